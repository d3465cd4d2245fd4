"""Checks `headrace import` and `headrace sample`: what they say, refuse and leave behind."""

from __future__ import annotations

import csv
import json
import signal
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from actors.audience import read_schema
from command import EXAMPLES, Done, call, ended, names, start

MAPPING: dict[str, Any] = {
    "headrace_mapping": 1,
    "customers": {"file": "people.csv", "id": "id", "attributes": {"age": "age"}},
}


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    """A mapping beside one file of three people."""
    (tmp_path / "people.csv").write_text("id,age\nada,36\nbob,20\ncyd,\n")
    return write(tmp_path, MAPPING)


def write(folder: Path, mapping: dict[str, Any]) -> Path:
    path = folder / "mapping.json"
    path.write_text(json.dumps(mapping))
    return path


def test_an_import_accounts_for_every_row(tmp_path: Path, mapping: Path) -> None:
    done = call("import", mapping, tmp_path / "out")
    assert done.code == 0
    assert done.out.splitlines() == [
        "people.csv (customers): 3 rows read = 3 kept + 0 rejected + 0 blank",
        f"3 customers, 0 events and 0 changes are in {tmp_path / 'out'}",
    ]
    assert "writing customers ...\n" in done.err
    assert read_schema(tmp_path / "out").counts.customers == 3


def test_quiet_leaves_the_account(tmp_path: Path, mapping: Path) -> None:
    done = call("import", mapping, tmp_path / "out", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) == 2


def test_the_files_may_lie_elsewhere(tmp_path: Path, mapping: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "people.csv").rename(tmp_path / "data" / "people.csv")
    done = call("import", mapping, tmp_path / "out")
    assert (done.code, "people.csv" in done.err) == (2, True)
    assert call("import", mapping, tmp_path / "out", "--data", tmp_path / "data").code == 0


def test_a_column_of_mixed_types_is_text_or_its_misfits_are_rejected(
    tmp_path: Path, mapping: Path
) -> None:
    (tmp_path / "people.csv").write_text("id,age\nada,36\nbob,twenty\ncyd,\n")
    done = call("import", mapping, tmp_path / "text")
    assert done.code == 0
    assert read_schema(tmp_path / "text").attributes["age"].type == "string"
    typed = MAPPING["customers"] | {"attributes": {"age": {"column": "age", "type": "int64"}}}
    done = call("import", write(tmp_path, MAPPING | {"customers": typed}), tmp_path / "typed")
    assert done.code == 0
    assert "3 rows read = 2 kept + 1 rejected" in done.out
    with (tmp_path / "typed" / "rejects.csv").open() as file:
        (reject,) = csv.DictReader(file)
    assert (reject["file"], reject["column"], reject["value"]) == ("people.csv", "age", "twenty")


def test_a_parquet_file_cut_short_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["ada", "bob"] * 1000}), tmp_path / "people.parquet")
    data = (tmp_path / "people.parquet").read_bytes()
    (tmp_path / "people.parquet").write_bytes(data[: len(data) // 2])
    customers = {"file": "people.parquet", "id": "id"}
    done = call("import", write(tmp_path, MAPPING | {"customers": customers}), tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert str(tmp_path / "people.parquet") in done.err
    assert names(tmp_path) == ["mapping.json", "people.parquet"]


def test_mistakes_in_the_mapping_are_told(tmp_path: Path, mapping: Path) -> None:
    wrong = MAPPING | {"customers": {"file": "people.csv", "idd": "id"}}
    done = call("import", write(tmp_path, wrong), tmp_path / "out")
    assert (done.code, done.out) == (2, "")
    assert "/customers/0/id: Field required" in done.err
    done = call("import", tmp_path / "absent.yaml", tmp_path / "out")
    assert (done.code, "absent.yaml" in done.err) == (2, True)
    done = call("import", tmp_path, tmp_path / "out")
    assert (done.code, "Is a directory" in done.err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_what_is_there_is_only_replaced_when_asked(tmp_path: Path, mapping: Path) -> None:
    out = tmp_path / "out"
    assert call("import", mapping, out).code == 0
    (tmp_path / "people.csv").write_text("id,age\neve,50\n")
    done = call("import", mapping, out)
    assert (done.code, "an audience is there already" in done.err) == (2, True)
    assert read_schema(out).counts.customers == 3
    assert call("import", mapping, out, "--replace").code == 0
    assert read_schema(out).counts.customers == 1
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "love.txt").write_text("dear")
    done = call("import", mapping, tmp_path / "letters", "--replace")
    assert (done.code, "something other than an audience is there" in done.err) == (2, True)
    assert names(tmp_path / "letters") == ["love.txt"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_import_leaves_the_old_audience_and_nothing_else(
    tmp_path: Path, mapping: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out"
    assert call("import", mapping, out).code == 0
    with (tmp_path / "people.csv").open("w") as file:
        file.write("id,age\n")
        file.writelines(f"c{k},{k % 90}\n" for k in range(600_000))
    before = names(tmp_path)
    process = start("import", mapping, out, "--replace")
    assert process.stderr is not None
    assert process.stderr.readline() == "reading the mapping ...\n"
    assert process.stderr.readline() == "reading people.csv ...\n"
    while names(tmp_path) == before and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(number)
    done = ended(process)
    assert done.code == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert done.out == ""
    assert names(tmp_path) == before
    assert read_schema(out).counts.customers == 3


# -- the sample


def test_the_sample_says_what_it_holds(tmp_path: Path) -> None:
    args = ("sample", tmp_path / "shop", "--customers", "50", "--days", "30", "--seed", "4")
    done = call(*args)
    events = read_schema(tmp_path / "shop").counts.events
    assert events > 0
    assert done.code == 0
    assert done.out == f"{tmp_path / 'shop'}: 50 customers, {events:,} events over 30 days\n"
    assert call(*args).code == 2
    again = call(*args, "--replace", "--quiet")
    assert again == Done(0, done.out, "")


@pytest.mark.parametrize(
    ("option", "number", "said"),
    [
        ("--customers", "0", "a sample has 1 to 20,000,000 customers, not 0"),
        ("--days", "0", "a sample spans 1 to 3,650 days, not 0"),
        ("--seed", "-1", "Invalid value for '--seed'"),
    ],
)
def test_impossible_samples_are_refused(
    tmp_path: Path, option: str, number: str, said: str
) -> None:
    done = call("sample", tmp_path / "shop", option, number)
    assert done.code == 2
    assert said in done.words
    assert names(tmp_path) == []


def test_the_tour_can_be_imported_checked_and_run(tmp_path: Path) -> None:
    tour = EXAMPLES / "tour"
    assert call("import", tour / "mapping.yaml", tmp_path / "out").code == 0
    assert call("check", tour / "flow.yaml", "--audience", tmp_path / "out").code == 0
    done = call(
        "simulate", tour / "flow.yaml", "--audience", tmp_path / "out", "--from", "2026-02-01"
    )
    assert done.code == 0
    assert "151 people entered, of 200 customers" in done.words
