"""Checks files that are odd or broken: layouts, encodings, blank and malformed rows, damage."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from actors.importer import csv_reader, streams
from core.errors import HeadraceError
from importing import Run, attribute_of, ids_of


def people(file: str = "people.csv", **fields: Any) -> dict[str, Any]:
    return {"customers": {"file": file, "id": "id", "attributes": {"v": "v"}, **fields}}


def test_blank_and_malformed_rows_are_counted_by_number_and_line(run: Run) -> None:
    text = "id,v\na,1\n\n,\nb\nc,3,4\n\nd,4\n"
    done = run(people(), {"people.csv": text})
    assert ids_of(done.load()) == ["a", "d"]
    assert (done.source.read, done.source.blank, done.source.rejected) == (7, 3, 2)
    assert [(r["row"], r["line"], r["value"], r["reason"]) for r in done.rejects] == [
        ("4", "5", "b", "it has 1 columns instead of 2"),
        ("5", "6", "c,3,4", "it has 3 columns instead of 2"),
    ]


def test_a_row_over_two_lines_has_no_known_line(run: Run) -> None:
    mapping = people(attributes={"v": {"column": "v", "type": "int64"}, "t": "t"})
    done = run(mapping, {"people.csv": 'id,v,t\na,1,"x\ny"\nb,z,t\n'})
    assert attribute_of(done.load(), "t") == ["x\ny"]
    assert [(r["row"], r["line"]) for r in done.rejects] == [("2", "")]


def test_rows_are_numbered_across_blocks(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 64)
    monkeypatch.setattr(csv_reader, "HEAD_BYTES", 16)
    rows = [f"c{i},{i}" if i % 10 else f"c{i}" for i in range(1, 100)]
    done = run(people(), {"people.csv": "id,v\n" + "\n".join(rows)})
    assert [row for row, *_ in done.refused()] == list(range(10, 100, 10))
    assert len(ids_of(done.load())) == 90


def test_blocks_change_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A column is converted block by block, in threads; a fault is told where it is."""
    mapping = {
        "customers": {"file": "people.csv", "id": "id", "attributes": "all"},
        "events": {
            "file": "log.csv", "customer": "who", "time": {"column": "at", "zone": "Europe/Berlin"},
            "event": "what", "properties": {"n": "n", "t": "t"},
        },
    }  # fmt: skip
    faults = {"n": "many", "at": "later", "who": "", "what": ""}
    rows = []
    for i in range(3_000):
        cells = {
            "who": f"c{i * 7919 % 211}", "at": f"2026-03-29 0{i % 4}:{i % 60:02}:00",
            "what": "abc"[i % 3], "n": str(i % 50) if i % 4 else "", "t": f"text {i}",
        }  # fmt: skip
        if i % 17 == 3:
            column = list(faults)[i % 4]
            cells[column] = faults[column]
        rows.append(",".join(cells.values()))
    people_rows = [f"c{i},{i}.5,{'perhaps' if i == 150 else 'true'}" for i in range(200)]
    files: dict[str, str | bytes] = {
        "people.csv": "id,score,consent\n" + "\n".join(people_rows),
        "log.csv": "who,at,what,n,t\n" + "\n".join(rows),
    }

    def imported() -> dict[str, bytes]:
        done = run(mapping, files)
        return {path.name: path.read_bytes() for path in sorted(done.folder.iterdir())}

    whole = imported()
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 512)
    monkeypatch.setattr(csv_reader, "HEAD_BYTES", 64)
    assert imported() == whole
    reasons = whole["rejects.csv"].decode().splitlines()[1:]
    assert len(reasons) == 1 + sum(i % 17 == 3 for i in range(3_000))
    assert [line.split(",")[1] for line in reasons[1:4]] == ["4", "21", "38"]


LAYOUTS: list[tuple[dict[str, Any], str]] = [
    ({"delimiter": ";"}, "id;v\na;1\nb;2\n"),
    ({"delimiter": "\t"}, "id\tv\r\na\t1\r\nb\t2\r\n"),
    ({"delimiter": "spaces"}, "  id    v\n a  1  \n\n   b \t 2\n"),
    ({"header": ["id", "v"]}, "a,1\nb,2\n"),
    ({}, '\ufeff\n\n"id",v\na,1\nb,2'),
]


@pytest.mark.parametrize(("layout", "text"), LAYOUTS)
def test_layouts_of_csv(run: Run, layout: dict[str, Any], text: str) -> None:
    done = run(people(csv=layout), {"people.csv": text})
    assert (ids_of(audience := done.load()), attribute_of(audience, "v")) == (["a", "b"], [1, 2])
    assert done.source.rejected == 0


def test_columns_without_a_header_are_numbered(run: Run) -> None:
    mapping = people(csv={"header": False, "quote": None}, id="1", attributes={"v": "2"})
    done = run(mapping, {"people.csv": 'a,"x\nb,y"\n'})
    assert attribute_of(done.load(), "v") == ['"x', 'y"']


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "latin-1"])
def test_encodings(run: Run, encoding: str) -> None:
    text = "id,v\nä,é\nb,x\n"
    done = run(people(encoding=encoding), {"people.csv": text.encode(encoding)})
    assert (ids_of(done.load()), attribute_of(done.load(), "v")) == (["ä", "b"], ["é", "x"])


def test_text_that_is_not_utf8_is_rejected_cell_by_cell(run: Run) -> None:
    done = run(people(), {"people.csv": b"id,v\na,x\nb\xff,y\nc,\xe4z\n"})
    assert ids_of(done.load()) == ["a"]
    assert done.refused() == [
        (2, "id", "b\\xff", "it is not UTF-8"),
        (3, "v", "\\xe4z", "it is not UTF-8"),
    ]
    with pytest.raises(HeadraceError, match=r"it is not charmap text .* State its 'encoding'"):
        run(people(encoding="cp1252"), {"people.csv": b"id,v\n\x81,x\n"})


def test_lines_that_are_no_objects_are_rejected(run: Run) -> None:
    lines = [
        b'{"id":"a","v":1}',
        b"",
        b"{",
        b"[1]",
        b'{"id":"b","v":"\xff"}',
        b'{"id":"\\ud800"}',
        b'{"id":"c","v":NaN}',
        b'{"id":"d","v":1e999}',
        b'  {"id":"e","v":2} ',
        b" \r",
    ]
    done = run(people("p.ndjson"), {"p.ndjson": b"\xef\xbb\xbf" + b"\n".join(lines)})
    assert ids_of(done.load()) == ["a", "e"]
    assert (done.source.read, done.source.blank) == (10, 2)
    assert [(r["row"], r["line"]) for r in done.rejects] == [(str(n), str(n)) for n in range(3, 9)]
    assert [r["reason"].split(":")[0] for r in done.rejects] == [
        "it is no JSON",
        "it is a list; NDJSON has one object on each line",
        "it is not UTF-8",
        "it is no JSON",
        "it is no JSON",
        "it is no JSON",
    ]


def test_numbers_beyond_64_bits_are_rejected_unless_they_are_text(run: Run) -> None:
    text = '{"id":"a","v":1}\n{"id":"b","v":18446744073709551616}\n{"id":"c","v":{"x":1}}\n'
    done = run(people("p.ndjson"), {"p.ndjson": text})
    assert done.refused() == [
        (2, "v", "18446744073709551616", "the number is outside the 64-bit range"),
        (3, "v", '{"x":1}', "it is a nested value; name a path into it"),
    ]
    mapping = people("p.ndjson", attributes={"v": {"column": "v", "type": "string"}})
    done = run(mapping, {"p.ndjson": text})
    assert attribute_of(done.load(), "v") == ["1", "18446744073709551616"]


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def test_parquet_types(run: Run) -> None:
    file = parquet(
        id=pa.array([1, 2, 3]),
        u=pa.array([1, 2**64 - 1, 3], pa.uint64()),
        f=pa.array([1.5, 2.5, float("nan")], pa.float32()),
        local=pa.array([0, 1, 2], pa.timestamp("s")),
        us=pa.array([1999, 2000, -1], pa.timestamp("us", "UTC")),
        deep=pa.array([{"a": {"b": "x"}}, {"a": None}, None]),
        tags=pa.array([["t", "u"], None, []], pa.list_(pa.string())),
    )
    mapping = people(
        "p.parquet",
        attributes={
            "u": "u",
            "f": "f",
            "local": {"column": "local", "zone": "Europe/Berlin"},
            "us": "us",
            "deep": "deep.a.b",
        },
        tags="tags",
    )
    done = run(mapping, {"p.parquet": file})
    audience = done.load()
    assert ids_of(audience) == ["1"]
    assert done.refused() == [
        (2, "u", str(2**64 - 1), "the number is outside the 64-bit range"),
        (3, "f", "nan", "the number is not finite"),
    ]
    assert attribute_of(audience, "local") == [-3_600_000]
    assert attribute_of(audience, "us") == [1]
    assert attribute_of(audience, "deep") == ["x"]
    assert done.summary.schema.tags == {"t": 1, "u": 1}


def test_parquet_duplicates_are_whole_rows(run: Run) -> None:
    file = parquet(id=["a", "b", "b", "b"], v=[1, 2, 2, 2], w=[None, 0.5, 0.5, None])
    done = run(people("p.parquet", repeated="first"), {"p.parquet": file})
    assert done.source.duplicates == 1


BROKEN: list[tuple[str, bytes, str]] = [
    ("people.csv", b"", "the file is empty"),
    ("people.csv", b" \n\n", "the file is empty"),
    ("people.ndjson", b"\n", "the file is empty"),
    ("people.parquet", b"", "the file is empty"),
    ("people.csv.gz", b"id,v\na,1\n", "it is damaged .* no whole gzip file"),
    ("people.csv.gz", gzip.compress(b"id,v\n" + b"a,1\n" * 9999, mtime=0)[:-9], "it is cut short"),
    ("people.parquet", parquet(id=["a"], v=[1])[:-20], "cannot read it"),
    ("people.parquet", b"id,v\na,1\n", "cannot read it"),
    ("people.csv", b"id;v\na;1\n", "there is no column 'id'.*is the delimiter ';'"),
    ("people.csv", b"ID,w\na,1\n", "no column 'id'.*mean 'ID'.*It has: ID, w"),
    ("people.ndjson", b'{"Id":"a","v":1}', "no column 'id'.*mean 'Id'"),
    ("people.parquet", parquet(id=["a"]), "no column 'v'"),
    ("people.csv", b"id,id,v\na,b,1\n", "several columns are named 'id'"),
    ("people.csv", b"id,v\n", "no customer is left to import"),
    ("people.ndjson", b"{\n{\n", "no customer is left.*it is no JSON"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN)
def test_broken_files_are_named(
    run: Run, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(HeadraceError, match=message) as caught:
        run(people(name), {name: content})
    if "no customer" not in message:
        assert caught.value.file == str(tmp_path / name)
    assert not (tmp_path / "audience").exists()


def test_an_open_quotation_mark_is_guessed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(people(), {"people.csv": 'id,v\na,1\n"b,2\nc,3\n'})
    (reject,) = done.refused()
    assert reject[3] == "it has 1 columns instead of 2; a quotation mark may be left open"
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 1_000)
    with pytest.raises(HeadraceError, match=r"it is no CSV.*quotation mark"):
        run(people(), {"people.csv": 'id,v\na,1\n"b,2\n' + "c,3\n" * 1_000})


def test_files_that_are_not_there_or_not_told(run: Run, tmp_path: Path) -> None:
    with pytest.raises(HeadraceError, match="there is no such file"):
        run(people(), {})
    with pytest.raises(HeadraceError, match="its name does not tell"):
        run(people("people.dat"), {"people.dat": "id,v\n"})
    with pytest.raises(HeadraceError, match="it is a folder"):
        run(people("."), {})
    with pytest.raises(HeadraceError, match="unknown encoding 'klingon'"):
        run(people(encoding="klingon"), {"people.csv": "id,v\na,1\n"})
    with pytest.raises(HeadraceError, match="cannot be read from gzip"):
        run(people("people.parquet.gz"), {"people.parquet.gz": b"x"})
    assert not (tmp_path / "audience").exists()


def test_data_may_lie_elsewhere_and_progress_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "people.csv.gz").write_bytes(gzip.compress(b"id,v\na,1\n"))
    seen: list[tuple[str, int, int]] = []
    done = run(
        people("people.csv.gz"),
        {},
        data=tmp_path / "data",
        progress=lambda label, at, total: seen.append((label, at, total)),
    )
    assert ids_of(done.load()) == ["a"]
    assert seen[0][0] == "reading people.csv.gz"
    assert seen[0][1] == seen[0][2] > 0
    assert [label for label, *_ in seen[1:]] == [
        "sorting events",
        "writing customers",
        "writing events",
    ]


def test_an_interrupt_leaves_nothing_behind(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("actors.importer.run.write_events", stop)
    with pytest.raises(KeyboardInterrupt):
        run(people(), {"people.csv": "id,v\na,1\n"})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mapping.json", "people.csv"]


def test_formats_are_told_by_name() -> None:
    assert streams.SUFFIXES[".tsv"] == "csv"
    assert streams.SUFFIXES[".jsonl"] == "ndjson"
