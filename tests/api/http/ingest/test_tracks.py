"""Batches of track calls as columns: they take and refuse what rows do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.intake.rows import Decoded, decode_rows
from api.http.ingest import segment
from api.http.ingest.translation import Places, skew_ms
from core.tenant_schema import TenantSchema

SCHEMA = TenantSchema.of(
    {
        "events": {
            "order": {"properties": {"amount": "float64", "count": "int64", "gift": "bool"}},
            "visit": {"properties": {"url": "string", "at": "datetime", "count": "int64"}},
        }
    }
)
DROPPING = TenantSchema.of({**SCHEMA.to_json(), "settings": {"unknown_fields": "drop"}})
PLACES = Places.of(SCHEMA)
RECEIVED_MS = 1_772_357_400_000  # 2026-03-01T09:30:00Z
PLAIN = {"type": "track", "userId": "ada", "event": "order", "messageId": "m1"}


def body_of(calls: list[Any], **fields: Any) -> bytes:
    return json.dumps({"batch": calls, **fields}).encode()


def told(found: Decoded) -> tuple[list[Any], list[Any], dict[str, int]]:
    """All that a batch says, whatever the order of its customers and texts."""
    frame = found.frame
    rows: list[Any] = [
        {
            "row": int(found.rows[i]),
            "customer": frame.id_of(int(frame.customer[i])),
            "event": frame.event_names[frame.type[i]],
            "occurred": int(frame.occurred_ms[i]),
            "message": tuple(frame.message[i].tolist()),
            "hash": int(frame.hash[i]),
            "properties": {},
        }
        for i in range(frame.rows)
    ]
    for _, name, part in frame.parts():
        for row, value in zip(part.rows.tolist(), part.values.tolist(), strict=True):
            text = part.dictionary[value] if part.dictionary is not None and value >= 0 else value
            rows[row]["properties"][name] = (part.kind, text)
    refused = [(r.row, r.pointer, r.code, r.message) for r in found.rejects]
    return rows, sorted(refused), found.dropped


def both(body: bytes, schema: TenantSchema = SCHEMA) -> tuple[Decoded, Decoded]:
    """What is decoded as columns where that is possible, and by rows."""
    found = segment.read_batch(body, PLACES, RECEIVED_MS)
    batch = segment._checked(body)
    skew = skew_ms(batch.sent_at, RECEIVED_MS)
    rows = segment._rows(batch, PLACES, skew).rows
    by_rows = decode_rows(rows, schema, batch=b"0" * 16)
    if found.decode is None:
        return decode_rows(found.rows, schema, batch=b"0" * 16), by_rows
    return found.decode(schema), by_rows


def is_columns(body: bytes, schema: TenantSchema = SCHEMA) -> bool:
    plain = segment.read_plain(body, PLACES, RECEIVED_MS)
    return plain is not None and segment.frame_of_plain([plain], PLACES, schema) is not None


TIMES = st.sampled_from(
    [
        "2026-03-01T09:00:00Z", "2026-03-01T09:00:00.123Z", "2026-03-01T09:00:00.123456+00:00",
        "2026-03-01T10:00:00.999999+01:00", "1969-12-31T23:59:59.999999Z", "2026-03-01 09:00:00Z",
        "2026-03-01T09:00:00", "2026-03-01", "20260301T090000Z", "0001-01-01T00:00:00Z", "soon",
        "2026-03-01T09:00:00.123456789Z", "", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z",
    ]
)  # fmt: skip
VALUES = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([0.5, 5.0, 1e300, 2**63, 2**70, -(2**63)]),
    st.booleans(),
    st.none(),
    st.sampled_from(["", "a", "ä" * 40, "2026-03-01T09:00:00Z", "x" * 70_000]),
    st.just({"deep": 1}),
    st.just([1]),
)
PROPERTIES = st.dictionaries(
    st.sampled_from(["amount", "count", "gift", "url", "at", "other", "event", "customer"]),
    VALUES,
    max_size=3,
)
CALLS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["track"] * 9 + ["page"]),
        "event": st.sampled_from(["order"] * 5 + ["visit"] * 4 + ["unheard", 7]),
        "messageId": st.sampled_from(["m1", "m2", "m3", "ä" * 100, "m" * 300]),
        "userId": st.sampled_from(["ada", "bob", "ada", "bob", "i" * 600, "", 7]),
    },
    optional={
        "properties": PROPERTIES | st.none(),
        "timestamp": TIMES | st.none(),
        "originalTimestamp": TIMES,
        "anonymousId": st.sampled_from(["x", 5, None]),
        "context": st.just({"ip": "1.2.3.4"}),
    },
)


@settings(max_examples=400)
@given(st.lists(CALLS, max_size=4), st.none() | TIMES, st.sampled_from([SCHEMA, DROPPING]))
def test_columns_take_and_refuse_what_rows_do(
    calls: list[Any], sent_at: str | None, schema: TenantSchema
) -> None:
    fields = {} if sent_at is None else {"sentAt": sent_at}
    found, by_rows = both(body_of(calls, **fields), schema)
    assert told(found) == told(by_rows)


@pytest.mark.parametrize(
    "call",
    [
        {},
        {"timestamp": "2026-03-01T09:00:00.123Z"},
        {"timestamp": None, "properties": None},
        {"userId": "", "anonymousId": "x"},
        {"properties": {"amount": 5, "count": -1, "gift": False}},
        {"event": "visit", "properties": {"url": "ä", "count": None}},
        {"context": {"library": {"name": "any"}}},
        {"event": "visit", "properties": {"at": "2026-03-01T09:00:00Z"}},
    ],
)
def test_plain_calls_are_read_as_columns(call: dict[str, Any]) -> None:
    body = body_of([PLAIN, {**PLAIN, "messageId": "m2", **call}])
    assert is_columns(body)
    found, by_rows = both(body)
    assert told(found) == told(by_rows)


@pytest.mark.parametrize(
    "call",
    [
        {"type": "page"},
        {"userId": 7},
        {"userId": "", "anonymousId": ""},
        {"messageId": "m" * 129},
        {"messageId": None},
        {"properties": {"amount": {"net": 5}}},
        {"properties": {"amount": "5"}},
        {"properties": {"event": "x"}},
        {"properties": {"unheard": 1}},
        {"event": "unheard"},
        {"timestamp": "soon"},
        {"timestamp": None, "originalTimestamp": "2026-03-01T09:00:00Z"},
    ],
)
def test_whatever_else_a_batch_holds_sends_it_through_rows(call: dict[str, Any]) -> None:
    assert not is_columns(body_of([PLAIN, {**PLAIN, **call}]))


def test_an_event_that_is_too_large_is_refused_alone() -> None:
    large = {**PLAIN, "messageId": "m2", "ignored": "x" * segment.SIZES.event_bytes_max}
    found, by_rows = both(body_of([PLAIN, large]))
    assert told(found) == told(by_rows)
    assert [(r.row, r.code) for r in found.rejects] == [(1, "too-large")]


def test_an_event_with_a_place_for_its_context_is_read_as_a_row() -> None:
    schema = TenantSchema.of({"events": {"order": {"properties": {"context_ip": "string"}}}})
    body = body_of([{**PLAIN, "context": {"ip": "1.2.3.4"}}])
    assert segment.read_plain(body, Places.of(schema), RECEIVED_MS) is None
