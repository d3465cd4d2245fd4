"""Checks that mappings say where they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.importer.mapping import load_mapping
from core.errors import HeadraceError

WRONG: list[tuple[str, str, str]] = [
    ("", "the mapping is empty", ""),
    ("- 1", "a valid dictionary", ""),
    ("a: [1\nb: 2", "did not find", "line 2"),
    ("as_of: 2026-01-01\n", "at least one source", ""),
    ("events:\n  file: a.csv\n  customer: c\n  time: t\n", "Field required", "/events/0/event"),
    ("customers: {file: a, id: i, atributes: {}}", "no field 'atributes'", "line 1, /customers/0"),
    ("zone: Europe/Berln\ncustomers: {file: a, id: i}", "Europe/Berlin", "line 1, /zone"),
    ("as_of: today\ncustomers: {file: a, id: i}", "'today' is no instant", "/as_of"),
    (
        "events: {file: a, customer: c, time: {column: t, format: hours_since}, event: e}",
        "'epoch' goes with",
        "/events/0/time",
    ),
    (
        "events: {file: a, customer: c, time: {column: t, format: YYYYMMDD}, event: e}",
        "unknown format 'YYYYMMDD'",
        "/events/0/time",
    ),
    (
        "events: {file: a, customer: c, time: {column: t, format: '%H:%M'}, event: e}",
        "reads no year",
        "/events/0/time",
    ),
    (
        "events: {file: a, customer: c, time: {column: t, format: '%Y-%Q'}, event: e}",
        "'Q' is a bad directive",
        "/events/0/time",
    ),
    (
        "events: {file: a, customer: c, time: t, event: {constant: e, column: f}}",
        "state one of 'column', 'constant' and 'when'",
        "/events/0/event",
    ),
    (
        "events:\n- {file: a, customer: c, time: t, event: e,\n"
        "   drop: [{name: n, column: c, is: 1, above: 2}]}",
        "exactly one of .* found is, above",
        "line 3, /events/0/drop/0",
    ),
    (
        "events: {file: a, customer: c, time: t, event: e, id: k, group_by: {by: o}}",
        "properties go under it",
        "/events/0",
    ),
    (
        "events: {file: a, customer: c, time: t, event: e,"
        " group_by: {by: o, sum: {n: q}, count: n}}",
        "stated twice: n",
        "/events/0/group_by",
    ),
    (
        "customers: {file: a, id: {column: i, format: integer_text, type: int64}}",
        "its type is string",
        "/customers/0/id",
    ),
    ("customers: {file: a, id: i, csv: {delimiter: '::'}}", "one ASCII character", "/csv"),
]


@pytest.mark.parametrize(("text", "message", "pointer"), WRONG)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, text: str, message: str, pointer: str
) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    with pytest.raises(HeadraceError, match=message) as caught:
        load_mapping(path)
    assert caught.value.file == str(path)
    assert pointer in (caught.value.pointer or "")


def test_json_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mapping.json"
    path.write_text('{"customers": [{"file": "a.csv", "id": "i"}],\n "zon": 1}')
    with pytest.raises(HeadraceError, match="no field 'zon'") as caught:
        load_mapping(path)
    assert caught.value.pointer == "line 2, /zon"
    path.write_text('{"customers": {"file": "a.csv", "id": "i"}}')
    (source,) = load_mapping(path).customers
    assert source.id.column == ["i"]


def test_dates_stay_text_and_files_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text("as_of: 2026-01-01\ncustomers: {file: a.csv, id: i}")
    assert load_mapping(path).as_of == "2026-01-01"
    with pytest.raises(HeadraceError, match="cannot read the mapping"):
        load_mapping(tmp_path / "none.yaml")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(HeadraceError, match="not UTF-8"):
        load_mapping(path)
