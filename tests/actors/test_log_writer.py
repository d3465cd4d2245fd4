"""Checks the decision log: what the reference decides, the same bytes however the run was cut."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import actors.log_writer
from actors.dry_run import dry_run
from actors.log_writer import log_writer
from cases import Case, ms, on, wait
from command import needs_full_disk
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.errors import HeadraceError
from core.program import LOG
from core.reference import run

PEOPLE = 40


def case() -> Case:
    """People of whom half fit no branch, and all are refused a second time."""
    nodes = {
        "t": on("go", "country"),
        "country": {
            "type": "branch_attribute",
            "attribute": "country",
            "branches": {"in": ["DE", "Österreich"]},
            "next": {"in": "w"},
        },
        "w": wait("1 day", "x"),
    }
    customers = [
        {"id": f"ç{k}", "attributes": {"country": ["DE", "Österreich", "FR", None][k % 4]}}
        for k in range(PEOPLE)
    ]
    return Case(
        nodes,
        [(f"05-{1 + k % 9:02d} 10:00:00.{k:03d}", "go", {}, f"ç{k}") for k in range(PEOPLE)]
        + [("05-20", "go", {}, f"ç{k}") for k in range(PEOPLE)],
        settings={"reentry": {"policy": "once"}},
        customers=customers,
    )


def bound_of(given: Case) -> Bound:
    return bind(compile_flow(given.flow(), given.model()), given.people(), given.run_options())


def write(path: Path, bound: Bound, **how: Any) -> bytes:
    with log_writer(path, bound) as log:
        dry_run(bound, log=log, **how)
    return path.read_bytes()


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    table = pq.read_table(path)
    times = table["time"].cast(pa.int64())
    columns = [table[name] for name in ("customer", "step", "entry", "node", "port")]
    return list(zip(*(column.to_pylist() for column in [*columns, times]), strict=True))


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_the_log_is_what_the_reference_decides(tmp_path: Path) -> None:
    given = case()
    write(tmp_path / "log.parquet", bound_of(given))
    records = run(given.flow(), given.people(), given.run_options(), None).records
    expected = [(r.customer, r.step, r.entry, r.node, r.port, r.time_ms) for r in records]
    assert rows_of(tmp_path / "log.parquet") == expected
    assert {row[4] for row in expected} == {"next", "in", "end", "no_branch", "refused_once"}
    first = expected[0]
    assert (first[0], first[1], first[3], first[5]) == ("ç0", 0, "t", ms("05-01 10:00"))


def test_the_columns_are_typed(tmp_path: Path) -> None:
    write(tmp_path / "log.parquet", bound_of(case()))
    schema = pq.read_schema(tmp_path / "log.parquet")
    assert schema.names == ["customer", "step", "time", "entry", "node", "port"]
    assert schema.field("time").type == pa.timestamp("ms", "UTC")
    assert schema.field("entry").type == pa.uint64()
    assert b"headrace" not in (schema.metadata or {})


@pytest.mark.parametrize("group", [1 << 18, 10, 7])
def test_the_file_is_the_same_for_any_cut(
    tmp_path: Path, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors.log_writer, "GROUP_ROWS", group)
    bound = bound_of(case())
    whole = write(tmp_path / "whole", bound)
    cuts = [{"block": 1}, {"block": 7, "workers": 2}, {"block": 33, "workers": 5, "lanes": 2}]
    for number, how in enumerate(cuts):
        assert write(tmp_path / str(number), bound, **how) == whole
    metadata = pq.read_metadata(tmp_path / "whole")
    sizes = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
    assert sizes[:-1] == [group] * (len(sizes) - 1)
    assert 0 < sizes[-1] <= group


def test_nobody_leaves_a_log_without_rows(tmp_path: Path) -> None:
    assert rows_of(empty(tmp_path)) == []


def empty(folder: Path) -> Path:
    write(folder / "log.parquet", bound_of(Case({"t": on("go", "x")})))
    return folder / "log.parquet"


def test_a_failed_run_leaves_no_file_and_no_old_one_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    path.write_text("old")
    with contextlib.suppress(RuntimeError), log_writer(path, bound_of(case())) as log:
        log.write(np.zeros(3, LOG))
        raise RuntimeError
    assert path.read_text() == "old"
    assert names(tmp_path) == ["log.parquet"]
    write(path, bound_of(case()))
    assert rows_of(path)
    assert names(tmp_path) == ["log.parquet"]


def test_an_interrupted_run_is_noted_in_the_file(tmp_path: Path) -> None:
    with log_writer(tmp_path / "log", bound_of(case())) as log:
        log.note_partial()
    assert pq.read_metadata(tmp_path / "log").metadata[b"headrace"] == b"partial"


@pytest.mark.parametrize(
    "place",
    ["absent/log.parquet", "folder", pytest.param("/dev/full", marks=needs_full_disk)],
)
def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    bound = bound_of(case())
    with pytest.raises(HeadraceError, match="the decision log can't be written") as caught:
        write(tmp_path / place, bound)
    assert caught.value.file == str(tmp_path / place)
    assert "--log" in caught.value.advice
    assert names(tmp_path) == ["folder"]


def test_no_space_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = actors.log_writer.LogWriter.write

    def full(self: Any, records: NDArray[Any]) -> None:
        written(self, records)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(actors.log_writer.LogWriter, "write", full)
    with pytest.raises(HeadraceError, match=r"No space left on device\. Make room"):
        write(tmp_path / "log.parquet", bound_of(case()), workers=2, block=5)
    assert names(tmp_path) == []
