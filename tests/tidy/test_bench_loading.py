"""Checks that the benchmark of loading measures what it says, on a small export."""

import json
from importlib import import_module
from pathlib import Path

import msgspec
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from house import CHECKOUT


@pytest.fixture(autouse=True)
def _checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CHECKOUT))


def test_the_quick_form_yields_every_figure() -> None:
    found = {
        figure.name: figure for figure in import_module("bench.loading_figures").figures(True, 1)
    }
    timed = ["import CSV", "import NDJSON, 2,000 customers", "import Parquet", "load"]
    assert list(found) == [
        *(name for timing in timed for name in (timing, f"{timing}: memory")),
        "first line of progress",
    ]
    rivals = {name: figure.rival for name, figure in found.items() if figure.rival}
    assert rivals == {
        "import CSV": "pandas",
        "import CSV: memory": "pandas",
        "load": "pyarrow",
        "load: memory": "pyarrow",
    }
    bars = {name: (figure.bar.value, figure.unit) for name, figure in found.items() if figure.bar}
    assert bars == {
        "import CSV": (60.0, "s"),
        "load": (10.0, "s"),
        "first line of progress": (1.0, "s"),
    }
    for figure in found.values():
        assert figure.group == "loading"
        assert figure.ours > 0
        assert (figure.ratio is not None) == (figure.rival is not None)


def test_a_lost_event_ends_the_benchmark() -> None:
    loading = import_module("bench.loading_figures")
    run = loading._Run(1.0, 0.1, 199)
    with pytest.raises(AssertionError, match="import CSV: 199 events"):
        loading._hold_counts({"import CSV": [run]}, {"import CSV": 20})


def test_the_export_is_the_same_in_every_form(tmp_path: Path) -> None:
    write_export = import_module("bench.loading_data").write_export
    mapping = json.loads(write_export(tmp_path / "csv", 300, "csv").read_text())
    assert len(mapping["events"]["properties"]) == 2
    write_export(tmp_path / "parquet", 300, "parquet")
    write_export(tmp_path / "ndjson", 300, "ndjson")
    events = pq.read_table(tmp_path / "parquet" / "events.parquet")
    assert (len(events), len(events["event"].unique())) == (3_000, 12)
    customers = pq.read_table(tmp_path / "parquet" / "customers.parquet")
    assert customers.num_columns - len(("id", "created_at", "zone")) == 10
    text = pacsv.read_csv(tmp_path / "csv" / "events.csv")
    lines = (tmp_path / "ndjson" / "events.ndjson").read_bytes().splitlines()
    objects = [msgspec.json.decode(line) for line in lines]
    amounts = events["amount"].to_pylist()
    assert text["amount"].to_pylist() == amounts
    assert [one.get("amount") for one in objects] == amounts
    assert [one["customer"] for one in objects] == events["customer"].to_pylist()
