"""Calls of the Segment API as rows, and what is told of those that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.intake.rows import Unreadable
from api.http.ingest.segment import SIZES, key_of, read_batch, read_call
from api.http.ingest.translation import Merge, Places, Translation
from api.http.problems import ProblemError
from core.tenant_schema import TenantSchema
from http_service import SCHEMA

PLACES = Places.of(TenantSchema.of(SCHEMA))
RECEIVED_MS = 1_772_357_400_000  # 2026-03-01T09:30:00Z
AT = "2026-03-01T09:00:00Z"
AT_MS = RECEIVED_MS - 30 * 60_000


def call(kind: str, **fields: Any) -> Translation:
    return read_call(json.dumps(fields).encode(), kind, PLACES, RECEIVED_MS)


def batch(*calls: Any, **fields: Any) -> Translation:
    return read_batch(json.dumps({"batch": calls, **fields}).encode(), PLACES, RECEIVED_MS)


def test_a_track_call_is_an_event() -> None:
    found = call(
        "track",
        userId="ada",
        event="order",
        messageId="m1",
        timestamp=AT,
        properties={"amount": 5, "cart": {"total": 7.5}, "note": None},
    )
    assert found.rows == [
        {
            "customer": "ada",
            "event": "order",
            "occurred": AT_MS,
            "message_id": "segment:m1",
            "properties": {"amount": 5, "cart_total": 7.5, "note": None},
        }
    ]


@pytest.mark.parametrize(
    ("fields", "occurred"),
    [
        ({"timestamp": AT, "sentAt": "2026-03-01T09:29:50Z"}, AT_MS + 10_000),
        ({"timestamp": AT, "sentAt": "2026-03-01T11:30:00+01:00"}, AT_MS - 3_600_000),
        ({"timestamp": AT, "sentAt": "yesterday"}, AT_MS),
        ({"originalTimestamp": AT}, AT_MS),
        ({"timestamp": AT_MS}, AT_MS),
        ({"timestamp": "soon"}, "soon"),
        ({}, None),
    ],
)
def test_times_are_corrected_by_the_senders_clock(fields: dict[str, Any], occurred: Any) -> None:
    (row,) = call("track", userId="ada", event="signup", **fields).rows
    assert row.get("occurred") == occurred


def test_an_identify_call_changes_the_record() -> None:
    found = call(
        "identify",
        userId=7,
        anonymousId="a-1",
        traits={
            "firstName": "Ada",
            "email": "ada@example.com",
            "address": {"city": "Riga"},
            "createdAt": "2020-01-01T00:00:00Z",
            "timezone": "Europe/Riga",
            "age": None,
        },
    )
    assert found.rows == [
        {
            "customer": "7",
            "created": "2020-01-01T00:00:00Z",
            "zone": "Europe/Riga",
            "set": {
                "first_name": "Ada",
                "email": "ada@example.com",
                "address_city": "Riga",
                "age": None,
            },
        }
    ]
    assert found.left_out == {"identity-link": 1}


def test_context_counts_where_the_schema_has_a_place_for_it() -> None:
    found = batch(
        {"type": "track", "userId": "a", "event": "signup", "context": {"ip": "192.0.2.1"}},
        {"type": "track", "userId": "a", "event": "signup"},
        {"type": "track", "userId": "a", "event": "order"},
        {"type": "identify", "userId": "a", "context": {"timezone": "Mars/Olympus"}},
        context={"ip": "192.0.2.2", "timezone": "Europe/Riga"},
    )
    assert [row.get("properties") for row in found.rows[:3]] == [
        {"context_ip": "192.0.2.1"},
        {"context_ip": "192.0.2.2"},
        None,
    ]
    assert "zone" not in found.rows[3]
    assert "zone" in batch({"type": "identify", "userId": "a"}, context={"timezone": "UTC"}).rows[0]


def test_views_are_standard_events() -> None:
    page = call(
        "page", anonymousId="x", name="home", properties={"path": "/a", "ref": "mail"},
        context={"page": {"url": "https://example.com/a"}},
    )  # fmt: skip
    assert page.rows == [
        {
            "customer": "x",
            "event": "page_visited",
            "properties": {"ref": "mail", "url": "https://example.com/a"},
        }
    ]
    screen = call("screen", userId="a", name="pay", category="shop")
    assert screen.rows[0]["properties"] == {"screen": "pay"}


def test_a_group_call_puts_into_a_group() -> None:
    found = call("group", userId="a", groupId=42, traits={"size": 3})
    assert found.rows == [{"customer": "a", "groups": {"add": ["42"]}}]
    assert found.left_out == {"group-traits": 1}


def test_an_alias_and_a_merge_of_two_ids_merge() -> None:
    ids = [{"type": "user_id", "value": "ada"}, {"type": "anonymous_id", "value": "x-2"}]
    found = batch(
        {"type": "track", "userId": "ada", "event": "signup"},
        {"type": "alias", "userId": "ada", "previousId": "x-1", "messageId": "m1"},
        {"type": "merge", "mergeProperties": ids},
        {"type": "alias", "userId": "ada"},
        {"type": "alias", "previousId": "ada"},
        {"type": "merge", "mergeProperties": [{"type": "email", "value": "a@b.example"}, ids[0]]},
        {"type": "identify", "userId": "ada", "anonymousId": "x-3"},
    )
    assert found.merges == [Merge(1, "x-1", "ada", True), Merge(2, "x-2", "ada", True)]
    assert found.rows[1] == {"customer": "ada", "set": {}, "message_id": "segment:m1"}
    assert [row.code for row in found.rows if isinstance(row, Unreadable)] == [
        *["missing-field", "missing-field", "invalid-value"],
    ]
    assert found.left_out == {"identity-link": 1}
    found.refuse_merge(0, "the id was merged into another customer already")
    assert found.rows[1].code == "merge-refused"


def test_each_wrong_call_stays_in_its_place() -> None:
    deep: Any = 1
    for _ in range(20):
        deep = {"a": deep}
    found = batch(
        {"type": "track", "userId": "a", "event": "signup"},
        {"type": "dance", "userId": "a"},
        {"type": "track", "event": "signup"},
        {"type": "track", "userId": "a"},
        [],
        {"type": "alias", "userId": "a", "previousId": "b"},
        {"type": "track", "userId": ["a"], "event": "signup"},
        {"type": "track", "userId": "a", "event": "signup", "properties": deep},
        {"type": "track", "userId": "a", "event": "signup", "properties": "x"},
        {"type": "track", "userId": "a", "event": "x" * SIZES.event_bytes_max},
        {"type": "group", "userId": "a"},
    )
    assert found.count == 11
    assert [row.code for row in found.rows if isinstance(row, Unreadable)] == [
        *["invalid-value", "missing-field", "missing-field", "invalid-json"],
        *["wrong-type", "too-deep", "wrong-type", "too-large", "missing-field"],
    ]
    assert isinstance(found.rows[0], dict)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "invalid-json"),
        (b"\xff\xfe{}", 400, "invalid-json"),
        (b"[]", 400, "invalid-shape"),
        (b'{"batch": 7}', 400, "invalid-shape"),
        (b'{"batch": ' + b"[" * 100_000, 400, "too-deep"),
        (b'{"batch": [' + b",".join([b"1"] * 2_501) + b"]}", 413, "too-many-events"),
    ],
)
def test_a_wrong_body_is_told_whole(body: bytes, status: int, code: str) -> None:
    with pytest.raises(ProblemError) as found:
        read_batch(body, PLACES, RECEIVED_MS)
    assert (found.value.problem.status, found.value.problem.code) == (status, code)


def test_a_single_call_that_is_too_large_is_told() -> None:
    with pytest.raises(ProblemError) as found:
        call("track", userId="a", event="x" * SIZES.event_bytes_max)
    assert found.value.problem.code == "too-large"


def test_long_message_ids_stay_apart() -> None:
    first, second = (
        call("track", userId="a", event="signup", messageId="é" * 2_000 + end).rows[0]["message_id"]
        for end in "ab"
    )
    assert first != second
    assert len(first) < 64


@pytest.mark.parametrize(
    ("body", "key"), [(b'{"writeKey": "k"}', "k"), (b"{}", ""), (b'{"writeKey": 1}', "")]
)
def test_the_key_may_stand_in_the_body(body: bytes, key: str) -> None:
    assert key_of(body) == key
