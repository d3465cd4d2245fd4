"""Checks sources of customers: ids, attributes, lists, repeated rows, several sources."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.audience import INT64_MIN
from core.errors import HeadraceError
from importing import Run, attribute_of, ids_of


def people(**fields: Any) -> dict[str, Any]:
    return {"customers": [{"file": "people.csv", "id": "id", **fields}]}


def test_ids_are_text_as_it_stands(run: Run) -> None:
    done = run(people(), {"people.csv": "id\n00001\n1\n 1\n1.0\nü\n"})
    assert ids_of(done.load()) == ["00001", "1", " 1", "1.0", "ü"]
    assert done.source.line() == (
        "people.csv (customers): 5 rows read = 5 kept + 0 rejected + 0 blank"
    )


def test_integer_text_takes_the_fraction_off(run: Run) -> None:
    mapping = people(id={"column": "id", "format": "integer_text"})
    done = run(mapping, {"people.csv": "id\n17850.0\n017\n12.5\nx\n"})
    assert ids_of(done.load()) == ["17850", "017"]
    assert done.refused() == [
        (3, "id", "12.5", "expected a whole number"),
        (4, "id", "x", "expected a whole number"),
    ]


def test_ids_that_are_none_are_rejected(run: Run) -> None:
    rows = ["", "x" * 511, "x" * 512, "ü" * 256]
    lines = "".join(f"{row},1\n" for row in rows)
    done = run(people(), {"people.csv": "id,a\n" + lines})
    assert ids_of(done.load()) == ["x" * 511]
    assert [(row, reason) for row, _, _, reason in done.refused()] == [
        (1, "there is no value"),
        (3, "an id has at most 511 bytes"),
        (4, "an id has at most 511 bytes"),
    ]
    # In JSON an id may be a number, but not a broken one.
    mapping = {"customers": {"file": "p.ndjson", "id": "id"}}
    done = run(mapping, {"p.ndjson": '{"id":7}\n{"id":7.0}\n{"id":true}\n{"id":["a"]}\n'})
    assert ids_of(done.load()) == ["7", "true"]
    assert [(row, reason) for row, _, _, reason in done.refused()] == [
        (2, "an id with a fraction; state format: integer_text"),
        (4, "it is a list; name a single value"),
    ]


def test_attributes_take_the_type_of_their_cells(run: Run) -> None:
    mapping = people(
        created_at="since",
        zone="zone",
        attributes={
            "age": {"column": "age", "missing": [118]},
            "score": "score",
            "vip": "vip",
            "born": {"column": "born", "constant": True},
            "seen": "seen",
            "code": "code",
        },
    )
    text = (
        "id,since,zone,age,score,vip,born,seen,code\n"
        "a,2026-01-01,Europe/Berlin,41,1.5,true,1980-02-29,2026-01-02T03:04:05.678+01:00,007\n"
        "b,,,118,2,FALSE,,2026-01-02 03:04,12\n"
        "c,2026-01-01T12:00:00Z,Nowhere,,,,,,\n"
    )
    done = run(mapping, {"people.csv": text})
    audience = done.load()
    assert audience.created_ms.tolist() == [1_767_225_600_000, INT64_MIN, 1_767_268_800_000]
    assert [audience.zone_names[c] if c >= 0 else None for c in audience.zone_code] == [
        "Europe/Berlin",
        None,
        "Nowhere",
    ]
    assert done.source.notes == ["unknown time zones, kept as they are: 'Nowhere'"]
    assert attribute_of(audience, "age") == [41, None, None]
    assert attribute_of(audience, "score") == [1.5, 2.0, None]
    assert attribute_of(audience, "vip") == [True, False, None]
    assert attribute_of(audience, "born") == [3711, None, None]
    assert attribute_of(audience, "seen") == [1_767_319_445_678, 1_767_323_040_000, None]
    assert attribute_of(audience, "code") == ["007", "12", None]
    kinds = {n: (a.type, a.nulls) for n, a in done.summary.schema.attributes.items()}
    assert kinds == {
        "age": ("int64", 2),
        "score": ("float64", 1),
        "vip": ("bool", 1),
        "born": ("date", 2),
        "seen": ("datetime", 1),
        "code": ("string", 1),
    }
    assert audience.constants == frozenset({"born"})


def test_cells_that_do_not_fit_are_told_and_their_rows_rejected(run: Run) -> None:
    mapping = people(attributes={"age": "age"})
    text = "id,age\na,41\nb,old\nc,42\nd,1.5x\ne,9223372036854775808\nf,-9223372036854775808\ng,7\n"
    text += "h,8\ni,9\n"
    done = run(mapping, {"people.csv": text})
    assert ids_of(done.load()) == ["a", "c", "g", "h", "i"]
    assert done.refused() == [
        (2, "age", "old", "expected a whole number"),
        (4, "age", "1.5x", "expected a whole number"),
        (5, "age", "9223372036854775808", "the number is outside the 64-bit range"),
        (6, "age", "-9223372036854775808", "the number is outside the 64-bit range"),
    ]
    assert [r["line"] for r in done.rejects] == ["3", "5", "6", "7"]
    assert done.source.rejected == 4
    assert done.summary.schema.counts.rejected == 4
    assert "people.csv, column age: 2 rejected: expected a whole number" in done.summary.text()


def test_mixed_columns_become_text_where_stated(run: Run) -> None:
    rows = [{"id": "a", "v": 1}, {"id": "b", "v": "x"}, {"id": "c", "v": 2}, {"id": "d", "v": True}]
    text = "\n".join(json.dumps(row) for row in rows)
    mapping = {"customers": {"file": "p.ndjson", "id": "id", "attributes": {"v": "v"}}}
    done = run(mapping, {"p.ndjson": text})
    assert attribute_of(done.load(), "v") == [1, 2]
    assert done.refused() == [
        (2, "v", "x", "expected a whole number"),
        (4, "v", "true", "expected a whole number"),
    ]
    mapping["customers"]["attributes"] = {"v": {"column": "v", "mixed": "string"}}
    done = run(mapping, {"p.ndjson": text})
    assert attribute_of(done.load(), "v") == ["1", "x", "2", "true"]
    assert done.refused() == []


def test_a_stated_type_holds_against_the_look(run: Run) -> None:
    mapping = people(
        attributes={
            "zip": {"column": "n", "type": "string"},
            "flag": {"column": "f", "type": "bool"},
            "whole": {"column": "w", "type": "int64"},
            "day": {"column": "d", "type": "date", "format": "%d.%m.%Y"},
        }
    )
    text = "id,n,f,w,d\na,1,yes,3.0,31.12.2025\nb,2,0,4,1.2.2026\n"
    text += "c,3,maybe,5,1.1.2026\nd,4,1,5,30.2.2026\n"
    done = run(mapping, {"people.csv": text})
    audience = done.load()
    assert attribute_of(audience, "zip") == ["1", "2"]
    assert attribute_of(audience, "flag") == [True, False]
    assert attribute_of(audience, "whole") == [3, 4]
    assert attribute_of(audience, "day") == [20453, 20485]
    assert done.refused() == [
        (3, "f", "maybe", "expected true or false"),
        (4, "d", "30.2.2026", "expected a date like %d.%m.%Y"),
    ]


def test_tags_and_groups_are_lists_or_separated_text(run: Run) -> None:
    mapping = people(tags="tags", groups={"column": "groups", "separator": "|"})
    text = 'id,tags,groups\na,"vip, new,,vip",x|y\nb,new,\nc,,y\n'
    audience = (done := run(mapping, {"people.csv": text})).load()
    assert {n: f.tolist() for n, f in audience.tags.items()} == {"new": [1, 1, 0], "vip": [1, 0, 0]}
    assert {n: f.tolist() for n, f in audience.groups.items()} == {"x": [1, 0, 0], "y": [1, 0, 1]}
    assert done.summary.schema.tags == {"new": 2, "vip": 1}
    lines = (
        '{"id":"a","t":["z","a","z"]}\n{"id":"b","t":[]}\n{"id":"c","t":7}\n{"id":"d","t":[7]}\n'
    )
    mapping = {"customers": {"file": "p.ndjson", "id": "id", "tags": "t"}}
    done = run(mapping, {"p.ndjson": lines})
    assert done.summary.schema.tags == {"a": 1, "z": 1}
    assert [(row, reason) for row, _, _, reason in done.refused()] == [
        (3, "expected a list of names"),
        (4, "expected a list of names"),
    ]


def test_a_customer_has_one_row(run: Run) -> None:
    text = "id,c\na,1\nb,2\na,3\n"
    done = run(people(attributes={"c": "c"}), {"people.csv": text})
    assert attribute_of(done.load(), "c") == [1, 2]
    assert [(row, value) for row, _, value, _ in done.refused()] == [(3, "a")]
    done = run(people(attributes={"c": "c"}, repeated="first"), {"people.csv": text})
    assert attribute_of(done.load(), "c") == [1, 2]
    assert (done.source.grouped_away, done.source.rejected) == (1, 0)


def test_all_takes_every_other_column(run: Run) -> None:
    lines = '{"id":"a","x":1,"deep":{"y":2}}\n{"id":"b","z":"t"}\n'
    mapping = {
        "customers": {
            "file": "p.ndjson",
            "id": "id",
            "attributes": "all",
            "constants": {"shop": "north", "level": 3},
        }
    }
    done = run(mapping, {"p.ndjson": lines})
    audience = done.load()
    assert set(audience.attributes) == {"x", "z", "shop", "level"}
    assert attribute_of(audience, "z") == [None, "t"]
    assert attribute_of(audience, "level") == [3, 3]
    assert done.source.notes == ["column deep: it holds nested values, and is left out"]


def test_several_sources_fill_in_for_each_other(run: Run) -> None:
    mapping = {
        "customers": [
            {"file": "a.csv", "id": "id", "attributes": {"n": "n", "own": "n"}, "tags": "t"},
            {"file": "b.csv", "id": "id", "attributes": {"n": "n"}, "tags": "t"},
        ]
    }
    files: dict[str, str | bytes] = {
        "a.csv": "id,n,t\na,1,x\nb,,y\n",
        "b.csv": "id,n,t\nb,2.5,z\na,9,x\nc,3,\n",
    }
    done = run(mapping, files)
    audience = done.load()
    assert ids_of(audience) == ["a", "b", "c"]
    assert attribute_of(audience, "n") == [1.0, 2.5, 3.0]
    assert attribute_of(audience, "own") == [1, None, None]
    assert {n: f.tolist() for n, f in audience.tags.items()} == {
        "x": [1, 0, 0],
        "y": [0, 1, 0],
        "z": [0, 1, 0],
    }
    files["b.csv"] = "id,n,t\na,text,\n"
    with pytest.raises(HeadraceError, match=r"attribute 'n' is int64 in a.csv and string in b.csv"):
        run(mapping, files)
