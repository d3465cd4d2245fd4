"""Checks sources of events: times, names, properties, order, identities, rules, groups."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.importer.events import by_customer_and_time
from core.errors import HeadraceError
from core.identity import event_word, event_word_of_id
from importing import Run, events_of, ids_of


def log(**fields: Any) -> dict[str, Any]:
    return {
        "events": [{"file": "log.csv", "customer": "who", "time": "at", "event": "what", **fields}]
    }


def lines(*records: dict[str, Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_events_are_sorted_and_customers_created(run: Run) -> None:
    text = (
        "who,at,what,amount\n"
        "b,2026-01-01T00:00:02Z,buy,5\n"
        "a,2026-01-01T00:00:01Z,buy,\n"
        "b,2026-01-01T00:00:01Z,view,\n"
        "b,2026-01-01T00:00:01Z,buy,7.5\n"
    )
    done = run(log(properties={"amount": "amount"}), {"log.csv": text})
    audience = done.load()
    start = 1_767_225_600_000
    assert events_of(audience) == [
        ("b", start + 1000, "view", {}),
        ("b", start + 1000, "buy", {"amount": 7.5}),
        ("b", start + 2000, "buy", {"amount": 5.0}),
        ("a", start + 1000, "buy", {}),
    ]
    assert done.source.out_of_order == 1
    schema = done.summary.schema
    assert {n: (e.count, list(e.properties)) for n, e in schema.events.items()} == {
        "buy": (3, ["amount"]),
        "view": (1, []),
    }
    assert (schema.time.first_ms, schema.time.last_ms) == (start + 1000, start + 2000)
    assert audience.event_hash.tolist() == [
        event_word("view", start + 1000, {}),
        event_word("buy", start + 1000, {"amount": ("float64", 7.5)}),
        event_word("buy", start + 2000, {"amount": ("float64", 5.0)}),
        event_word("buy", start + 1000, {}),
    ]


def test_ids_of_events_name_them_and_repeats_differ(run: Run) -> None:
    text = "who,at,what,key\na,2026-01-01,x,k1\na,2026-01-01,x,\na,2026-01-01,x,\n"
    done = run(log(id="key"), {"log.csv": text})
    audience = done.load()
    assert done.source.notes == []
    day = 1_767_225_600_000
    assert audience.event_hash.tolist() == [
        event_word_of_id("x", "k1"),
        event_word("x", day, {}, 0),
        event_word("x", day, {}, 1),
    ]


TIMES = [
    ({"format": "unix_s"}, ["0", "1.5", "-1"], [0, 1500, -1000]),
    ({"format": "unix_ms"}, ["1767225600000"], [1_767_225_600_000]),
    (
        {"format": "hours_since", "epoch": "2018-01-01T00:00:00Z"},
        ["0", "714"],
        [1_514_764_800_000, 1_514_764_800_000 + 714 * 3_600_000],
    ),
    ({"format": "days_since", "epoch": "1970-01-02"}, ["0.5"], [86_400_000 * 3 // 2]),
    ({"format": "%Y%m%d"}, ["19970131"], [854_668_800_000]),
    ({"format": "%d/%m/%Y %H:%M"}, ["1/2/1970 3:04"], [31 * 86_400_000 + 11_040_000]),
    ({"format": "%d %b %Y %I %p"}, ["02 Jan 1970 01 PM"], [86_400_000 + 13 * 3_600_000]),
    ({"format": "%Y-%m-%dT%H:%M:%S.%f%z"}, ["1970-01-01T00:00:00.25-0100"], [3_600_250]),
    ({"zone": "Europe/Berlin"}, ["1970-01-01 00:00", "1970-01-01T00:00Z"], [-3_600_000, 0]),
    ({"format": "iso"}, ["1970-01-01T00:00:00.123999Z", "1970-01-01T01:00:00+01"], [123, 0]),
]


@pytest.mark.parametrize(("fields", "texts", "expected"), TIMES)
def test_times_are_read_as_stated(
    run: Run, fields: dict[str, Any], texts: list[str], expected: list[int]
) -> None:
    mapping = log(time={"column": "at", **fields}, event={"constant": "e"})
    rows = "".join(f"c{i},{text}\n" for i, text in enumerate(texts))
    done = run(mapping, {"log.csv": "who,at\n" + rows})
    assert [ms for _, ms, _, _ in events_of(done.load())] == expected


def test_times_that_are_none_are_rejected(run: Run) -> None:
    bad = ["2026-02-29", "2026-13-01", "0000-01-01", "2026-01-01T24:00", "2026-01-01T10:00+25:00",
           "yesterday", "", "1767225600"]  # fmt: skip
    rows = "".join(f"c,{text}\n" for text in bad)
    done = run(log(event={"constant": "e"}), {"log.csv": "who,at\n" + rows + "c,2026-01-01\n"})
    assert [(row, value) for row, _, value, _ in done.refused()] == list(enumerate(bad, start=1))
    reasons = [reason for _, _, _, reason in done.refused()]
    assert reasons == ["expected a date and time"] * 6 + ["there is no value"] + [
        "expected a date and time"
    ]
    mapping = log(time={"column": "at", "format": "unix_s"}, event={"constant": "e"})
    done = run(mapping, {"log.csv": "who,at\nc,1767225600000\nc,1\n"})
    assert done.refused() == [
        (1, "at", "1767225600000", "the time is outside the years 1 to 9999; is its unit right?")
    ]


def test_clock_changes_are_counted(run: Run) -> None:
    mapping = log(time={"column": "at", "zone": "Europe/Berlin"}, event={"constant": "e"})
    text = "who,at\nc,2026-03-29 02:30\nc,2026-10-25 02:30\nc,2026-10-25 02:30\n"
    done = run(mapping, {"log.csv": text})
    assert done.source.notes == [
        "column at: 1 local times do not exist, because the clock skips them; read as shifted"
        " forward",
        "column at: 2 local times occur twice; the first is taken",
    ]


def test_repeated_ids_are_noted(run: Run) -> None:
    text = "who,at,what,key\na,2026-01-01,x,k\nb,2026-01-01,y,k\na,2026-01-02,x,k\n"
    done = run(log(id="key"), {"log.csv": text})
    assert (done.source.kept, done.source.notes) == (
        3,
        ["column key: 1 events have the id of an earlier one of the same name; all are kept"],
    )


def test_names_with_dots_do_not_run_together(run: Run) -> None:
    mapping = log(properties={"c": "p", "b.c": "q"})
    text = "who,at,what,p,q\na,2026-01-01,a.b,1,\na,2026-01-02,a,,x\n"
    done = run(mapping, {"log.csv": text})
    assert [p for _, _, _, p in events_of(done.load())] == [{"c": 1}, {"b.c": "x"}]


def test_rules_name_events_and_drop_rows(run: Run) -> None:
    mapping = log(
        event={
            "when": [
                {"column": "no", "starts_with": "C", "event": "cancel"},
                {"column": "qty", "below": 0, "event": "return"},
                {"column": "kind", "is": ["gift", 7], "event": "gift"},
            ],
            "otherwise": "buy",
        },
        drop=[
            {"name": "nobody", "column": "who", "missing": True},
            {"name": "free", "column": "price", "at_most": 0},
            {"name": "test", "column": "who", "is": "robot"},
        ],
    )
    text = (
        "who,at,no,qty,kind,price\n"
        "a,2026-01-01,C1,1,,5\n"
        "a,2026-01-02,1,-1,gift,5\n"
        "a,2026-01-03,1,2,gift,5\n"
        "a,2026-01-04,1,2,7.0,5\n"
        "a,2026-01-05,1,2,,0.01\n"
        ",2026-01-05,1,2,,0\n"
        "a,nonsense,1,2,,-1\n"
        "robot,2026-01-05,1,2,,1\n"
    )
    done = run(mapping, {"log.csv": text})
    assert [event for _, _, event, _ in events_of(done.load())] == [
        "cancel",
        "return",
        "gift",
        "gift",
        "buy",
    ]
    assert done.source.dropped == {"nobody": 1, "free": 1, "test": 1}
    assert done.source.line() == (
        "log.csv (events): 8 rows read = 5 kept + 1 dropped (nobody) + 1 dropped (free)"
        " + 1 dropped (test) + 0 rejected + 0 blank"
    )
    del mapping["events"][0]["event"]["otherwise"]
    done = run(mapping, {"log.csv": text})
    assert [(row, column, reason) for row, column, _, reason in done.refused()] == [
        (5, "no or qty or kind", "no rule names this event")
    ]


def test_duplicates_are_counted_and_dropped_where_stated(run: Run) -> None:
    text = "who,at,what,x\na,2026-01-01,e,1\na,2026-01-01,e,1\na,2026-01-01,e,2\na,2026-01-01,e,1\n"
    done = run(log(), {"log.csv": text})
    assert (done.source.kept, done.source.duplicates, done.source.duplicates_dropped) == (4, 2, 0)
    done = run(log(duplicates="drop"), {"log.csv": text})
    # x is not imported, and still tells the third row from the first.
    assert (done.source.kept, done.source.duplicates, done.source.duplicates_dropped) == (2, 2, 2)
    assert done.summary.schema.counts.dropped == {"duplicates": 2}


def test_properties_reach_into_objects_and_alternatives(run: Run) -> None:
    mapping = {
        "events": {
            "file": "log.ndjson",
            "customer": "who",
            "time": {"column": "at", "format": "unix_ms"},
            "event": "what",
            "properties": {"offer": ["value.offer id", "value.offer_id"], "deep": "value.a.b"},
        }
    }
    text = lines(
        {"who": "a", "at": 1, "what": "sent", "value": {"offer id": "o1"}},
        {"who": "a", "at": 2, "what": "done", "value": {"offer_id": "o2", "a": {"b": 3}}},
        {"who": "a", "at": 3, "what": "done", "value": 7},
        {"who": "a", "at": 4, "what": "sent", "value": {"offer id": None, "offer_id": "o3"}},
    )
    done = run(mapping, {"log.ndjson": text})
    assert events_of(done.load()) == [
        ("a", 1, "sent", {"offer": "o1"}),
        ("a", 2, "done", {"offer": "o2", "deep": 3}),
        ("a", 3, "done", {}),
        ("a", 4, "sent", {"offer": "o3"}),
    ]
    assert [list(e.properties) for e in done.summary.schema.events.values()] == [
        ["deep", "offer"],
        ["offer"],
    ]


def test_a_property_may_have_another_type_on_another_event(run: Run) -> None:
    mapping = log(properties="all")
    text = (
        "who,at,what,v\na,2026-01-01,x,1\na,2026-01-01,y,word\na,2026-01-01,x,2\na,2026-01-01,x,q\n"
    )
    done = run(mapping, {"log.csv": text})
    schema = done.summary.schema
    assert {n: e.properties["v"].type for n, e in schema.events.items()} == {
        "x": "int64",
        "y": "string",
    }
    assert done.refused() == [(4, "v", "q", "expected a whole number")]
    with pytest.raises(HeadraceError, match="property 'v' is int64 on 'x' and string on 'y'"):
        done.load()


ORDERS = {
    "by": "order",
    "sum": {"amount": {"multiply": ["qty", "price"], "round": 2}, "items": "qty"},
    "first": {"city": "city"},
    "count": "lines",
}
ORDER_LINES = (
    "who,at,order,qty,price,city\n"
    "a,2026-01-01T10:05:00Z,1,3,0.1,Rome\n"
    "b,2026-01-01T10:00:00Z,2,1,9.99,Oslo\n"
    "a,2026-01-01T10:04:00Z,1,1,0.7,Bari\n"
    "b,2026-01-01T10:00:00Z,1,1,5,Oslo\n"
    "a,2026-01-01T10:06:00Z,1,x,0.7,Rome\n"
    "a,2026-01-01T10:06:00Z,,1,0.7,Rome\n"
    "a,2026-01-01T10:06:00Z,3,1,,Rome\n"
)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3)), max_size=40), st.booleans())
def test_the_order_is_that_of_lexsort(rows: list[tuple[int, int]], far: bool) -> None:
    customer = np.array([who for who, _ in rows], np.uint32) + (2**32 - 6 if far else 0)
    ms = np.array([at for _, at in rows], np.int64) * (2**40 if far else 1)
    order, late = by_customer_and_time(customer, ms)
    assert order.tolist() == np.lexsort((ms, customer)).tolist()
    by_customer = sorted(rows, key=lambda row: row[0])
    assert late == sum(a[0] == b[0] and b[1] < a[1] for a, b in pairwise(by_customer))


def test_rows_of_an_order_are_one_event(run: Run) -> None:
    done = run(log(event={"constant": "buy"}, group_by=ORDERS), {"log.csv": ORDER_LINES})
    ten = 1_767_261_600_000
    assert events_of(done.load()) == [
        ("a", ten + 240_000, "buy", {"amount": 1.0, "city": "Rome", "items": 4, "lines": 2}),
        ("b", ten, "buy", {"amount": 9.99, "city": "Oslo", "items": 1, "lines": 1}),
        ("b", ten, "buy", {"amount": 5.0, "city": "Oslo", "items": 1, "lines": 1}),
    ]
    assert [(row, column, reason) for row, column, _, reason in done.refused()] == [
        (5, "qty", "expected a whole number"),
        (6, "order", "there is no value to group by"),
        (7, "price", "there is no value"),
    ]
    assert (done.source.kept, done.source.grouped_away, done.source.rejected) == (3, 1, 3)


def test_too_many_names_are_no_names(run: Run) -> None:
    rows = "".join(f"a,2026-01-01,text {i}\n" for i in range(1_001))
    with pytest.raises(HeadraceError, match="column 'what' holds 1,001 different names"):
        run(log(), {"log.csv": "who,at,what\n" + rows})
    done = run(log(), {"log.csv": f"who,at,what\na,2026-01-01,{'n' * 257}\na,2026-01-01,n\n"})
    assert [reason for _, _, _, reason in done.refused()] == ["a name has at most 256 characters"]


def test_rejected_rows_make_no_customer(run: Run) -> None:
    done = run(log(), {"log.csv": "who,at,what\nghost,never,x\na,2026-01-01,x\n"})
    assert ids_of(done.load()) == ["a"]


def test_sources_of_events_merge(run: Run) -> None:
    mapping = {
        "events": [
            {"file": "1.csv", "customer": "c", "time": "t", "event": "e", "properties": {"v": "v"}},
            {"file": "2.csv", "customer": "c", "time": "t", "event": "e", "properties": {"v": "v"},
             "id": "id"},
        ]
    }  # fmt: skip
    files: dict[str, str | bytes] = {
        "1.csv": "c,t,e,v\na,2026-01-02,x,1\nb,2026-01-01,x,2\n",
        "2.csv": "c,t,e,v,id\na,2026-01-01,x,0.5,k\na,2026-01-03,y,text,l\n",
    }
    files["2.csv"] = "c,t,e,v,id\na,2026-01-01,x,0.5,k\na,2026-01-03,y,1.5,l\n"
    audience = run(mapping, files).load()
    assert [(c, e, p) for c, _, e, p in events_of(audience)] == [
        ("a", "x", {"v": 0.5}),
        ("a", "x", {"v": 1.0}),
        ("a", "y", {"v": 1.5}),
        ("b", "x", {"v": 2.0}),
    ]
    assert audience.event_hash[0] == event_word_of_id("x", "k")
    files["2.csv"] = "c,t,e,v,id\na,2026-01-01,x,word,k\n"
    with pytest.raises(HeadraceError, match=r"property 'v' is int64 on 'x of 1.csv' and string"):
        run(mapping, files)


def test_identities_survive_a_wider_export(run: Run) -> None:
    narrow = "who,at,what,n\na,2026-01-01,x,1\na,2026-01-02,x,2\n"
    wide = "at,m,what,n,who\n2026-01-01,,x,1.0,a\n2026-01-02,,x,2.0,a\n2026-01-03,5,x,2.5,a\n"
    first = run(log(properties={"n": "n"}), {"log.csv": narrow}).load()
    second = run(log(properties={"m": "m", "n": "n"}), {"log.csv": wide}).load()
    assert first.properties["n"].kind == "int64"
    assert second.properties["n"].kind == "float64"
    assert first.event_hash.tolist() == second.event_hash.tolist()[:2]
