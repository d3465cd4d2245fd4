"""Check audiences built from plain values: order, types, missing values, identities, needs."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest

from core.audience import INT64_MIN, Absence, Needs
from core.audience_build import audience_from_python, infer_kind, make_column
from core.errors import HeadraceError
from core.identity import event_word, event_word_of_id, text

CUSTOMERS: list[dict[str, Any]] = [
    {
        "id": "c1",
        "zone": "Europe/Berlin",
        "created_at": "2026-01-01",
        "attributes": {"age": 41, "score": 1.5, "plan": "pro", "active": True},
        "tags": ["vip"],
    },
    {"id": "ç2", "attributes": {"age": None, "plan": "free"}, "groups": ["beta"]},
]
EVENTS: list[dict[str, Any]] = [
    {"customer": "late", "time": 9, "event": "signup"},
    {"customer": "c1", "time": 7, "event": "purchase", "properties": {"amount": 3, "flow": "f"}},
    {"customer": "c1", "time": 3, "event": "signup", "id": "e7"},
    {"customer": "c1", "time": 7, "event": "purchase", "properties": {"amount": 3, "flow": "f"}},
    {"customer": "ç2", "time": "1970-01-01T00:00:01Z", "event": "open", "properties": {"n": 2.5}},
]


def test_columns_hold_values_and_their_missing_marks() -> None:
    audience = audience_from_python(CUSTOMERS, EVENTS, as_of="2026-02-01", zone="Europe/Paris")
    assert audience.customers == 3
    assert [audience.id_of(c) for c in range(3)] == ["c1", "ç2", "late"]
    assert audience.index_of("ç2") == 1
    assert audience.index_of("c") is None
    assert audience.id_hash.tolist() == [text("c1"), text("ç2"), text("late")]
    assert audience.created_ms.tolist() == [1_767_225_600_000, INT64_MIN, INT64_MIN]
    assert (audience.zone_names, audience.zone_code.tolist()) == (["Europe/Berlin"], [0, -1, -1])
    assert audience.attributes["age"].values.tolist() == [41, INT64_MIN, INT64_MIN]
    assert [audience.attributes["plan"].value(c) for c in range(3)] == ["pro", "free", None]
    assert audience.attributes["active"].values.tolist() == [1, -1, -1]
    assert audience.attributes["active"].values.dtype == np.int8
    assert audience.attributes["score"].missing().tolist() == [False, True, True]
    assert audience.tags["vip"].tolist() == [1, 0, 0]
    assert audience.groups["beta"].tolist() == [0, 1, 0]
    assert (audience.as_of_ms, audience.zone) == (1_769_904_000_000, "Europe/Paris")
    assert audience.absent == []


def test_events_are_sorted_by_customer_time_and_original_row() -> None:
    audience = audience_from_python(CUSTOMERS, EVENTS)
    assert audience.event_names == ["open", "purchase", "signup"]
    assert audience.event_offsets.tolist() == [0, 3, 4, 5]
    assert audience.event_type.tolist() == [2, 1, 1, 0, 2]
    assert audience.event_ms.tolist() == [3, 7, 7, 1000, 9]
    amount: dict[str, Any] = {"amount": ("int64", 3), "flow": ("string", "f")}
    assert audience.event_hash.tolist() == [
        event_word_of_id("signup", "e7"),
        event_word("purchase", 7, amount, 0),
        event_word("purchase", 7, amount, 1),
        event_word("open", 1000, {"n": ("float64", 2.5)}),
        event_word("signup", 9, {}),
    ]
    assert [audience.properties["amount"].value(r) for r in range(5)] == [None, 3, 3, None, None]


def test_needs_leave_out_and_report_what_is_absent() -> None:
    needs = Needs(
        attributes={"plan", "aeg"},
        tags={"vpi"},
        events={"purchase", "refund"},
        properties={"amount", "n"},
        replaces="f",
    )
    audience = audience_from_python(CUSTOMERS, EVENTS, needs=needs)
    assert list(audience.attributes) == ["plan"]
    assert audience.tags == {}
    assert audience.event_names == ["purchase", "refund"]
    assert audience.events == 0
    assert (audience.counts.events_not_needed, audience.counts.events_replaced) == (3, 2)
    assert audience.absent == [
        Absence("attribute", "aeg", ("age",)),
        Absence("tag", "vpi", ("vip",)),
        Absence("event", "refund"),
        Absence("property", "n"),
    ]


def test_changes_are_sorted_and_share_the_codes_of_their_attribute() -> None:
    changes = [
        {"customer": "c1", "time": 20, "attribute": "plan", "value": "basic"},
        {"customer": "c1", "time": 10, "attribute": "score", "value": 0.5},
        {"customer": "new", "time": 5, "attribute": "plan", "value": None},
    ]
    audience = audience_from_python(CUSTOMERS, changes=changes)
    log = audience.changes
    assert log is not None
    assert log.attribute_names == ["plan", "score"]
    assert log.offsets.tolist() == [0, 2, 2, 3]
    assert (log.ms.tolist(), log.attribute.tolist()) == ([10, 20, 5], [1, 0, 0])
    plan = audience.attributes["plan"]
    assert plan.dictionary is not None
    half = struct.unpack("<q", struct.pack("<d", 0.5))[0]
    assert log.value.tolist() == [half, plan.dictionary.index("basic"), -1]
    assert len(plan) == 3


def test_kinds_are_inferred_and_stated() -> None:
    assert infer_kind([1, 2.5, None]) == "float64"
    assert infer_kind([True]) == "bool"
    assert infer_kind([None]) == "string"
    with pytest.raises(ValueError, match="no single type"):
        infer_kind([True, 1])
    with pytest.raises(ValueError, match="finite"):
        make_column([float("inf")])
    born = make_column(["1970-01-03", None], "date")
    assert born.values.tolist() == [2, INT64_MIN]
    stated = audience_from_python([{"id": "a"}], attribute_types={"x": "bool"})
    assert stated.attributes == {}


def test_bad_input_is_refused_with_its_name() -> None:
    with pytest.raises(HeadraceError, match="'a' is there twice"):
        audience_from_python([{"id": "a"}, {"id": "a"}])
    with pytest.raises(HeadraceError, match="attribute 'x'"):
        audience_from_python([{"id": "a", "attributes": {"x": 1}}], attribute_types={"x": "bool"})
    with pytest.raises(HeadraceError, match="fit in 64 bits"):
        audience_from_python([{"id": "a", "attributes": {"x": -(2**63)}}])
