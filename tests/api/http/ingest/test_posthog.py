"""PostHog's events as rows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.intake.rows import Unreadable
from api.http.ingest.posthog import key_of, read_batch, read_event
from api.http.ingest.translation import Merge, Places, Translation
from core.tenant_schema import TenantSchema
from http_service import SCHEMA

PLACES = Places.of(TenantSchema.of(SCHEMA))
RECEIVED_MS = 1_772_357_400_000  # 2026-03-01T09:30:00Z
SENT_AT = "2026-03-01T09:29:50Z"


def event(name: str, properties: Any = None, **fields: Any) -> Translation:
    body = {"event": name, "distinct_id": "ada", "properties": properties, **fields}
    return read_event(json.dumps(body).encode(), "", PLACES, RECEIVED_MS)


def test_an_event_has_its_own_properties_only() -> None:
    found = event("signup", {"plan": "gold", "$lib": "web", "$ip": "x"}, uuid="u1")
    assert found.rows == [
        {
            "customer": "ada",
            "message_id": "posthog:u1",
            "event": "signup",
            "properties": {"plan": "gold"},
        }
    ]
    assert found.ids == {0: "u1"}


@pytest.mark.parametrize(
    ("fields", "lag_ms"),
    [
        ({"sent_at": SENT_AT}, 10_000),
        ({}, 0),
        ({"sent_at": SENT_AT, "options": {"disable_skew_correction": True}}, 0),
        ({"sent_at": SENT_AT, "properties": {"$ignore_sent_at": True}}, 0),
    ],
)
def test_times_are_corrected_unless_told_otherwise(fields: dict[str, Any], lag_ms: int) -> None:
    found = event("signup", timestamp="2026-03-01T09:30:00Z", **fields)
    assert found.rows[0]["occurred"] == RECEIVED_MS + lag_ms


def test_views_are_standard_events() -> None:
    page = event("$pageview", {"$current_url": "https://example.com/a"}).rows[0]
    assert (page["event"], page["properties"]) == ("page_visited", {"url": "https://example.com/a"})
    screen = event("$screen", {"$screen_name": "pay"}).rows[0]
    assert (screen["event"], screen["properties"]) == ("screen_viewed", {"screen": "pay"})


def test_identify_sets_and_merges() -> None:
    found = event(
        "$identify",
        {"$set": {"plan": "gold"}, "$set_once": {"age": 3}, "$anon_distinct_id": "anon"},
    )
    (row,) = found.rows
    assert row == {"customer": "ada", "set": {"plan": "gold", "age": 3}}
    assert found.once == [(row, frozenset({"age"}))]
    assert found.merges == [Merge(0, "anon", "ada", False)]
    found.refuse_merge(0, "the id was merged into another customer already")
    assert found.rows == [row]
    assert found.left_out == {"merge-refused": 1}


def test_an_event_that_sets_is_an_event_and_a_change() -> None:
    properties = {"plan": "free", "$set": {"plan": "gold"}, "$set_once": {"$initial_utm": "x"}}
    found = event("signup", properties, uuid="u1")
    assert found.count == 1
    assert [row["message_id"] for row in found.rows] == ["posthog:u1", "posthog:u1:set"]
    assert found.rows[1]["set"] == {"plan": "gold"}


def test_two_ids_of_one_person_are_merged() -> None:
    ways = {
        ("$create_alias", "alias"): ("ada", "other", True),
        ("$merge_dangerously", "alias"): ("other", "ada", True),
        ("$identify", "$anon_distinct_id"): ("other", "ada", False),
    }
    for (name, key), (previous, customer, alone) in ways.items():
        found = event(name, {key: "other"}, distinct_id="ada")
        assert found.merges == [Merge(0, previous, customer, alone)]
        assert found.rows[0]["customer"] == customer
    assert event("$identify", {"$anon_distinct_id": "ada"}, distinct_id="ada").merges == []
    (row,) = event("$create_alias", {}).rows
    assert row.code == "missing-field"


def test_a_group_of_a_person_is_a_membership() -> None:
    group = {"$group_type": "company", "$group_key": "acme", "$group_set": {"size": 3}}
    found = event("$groupidentify", group)
    assert found.rows[0]["groups"] == {"add": ["company:acme"]}
    assert found.left_out == {"group-traits": 1}
    for made_up in ("$company_acme", "0b8a5a6e-57c3-4d1c-9d2a-aaaaaaaaaaaa"):
        (row,) = event("$groupidentify", group, distinct_id=made_up).rows
        assert isinstance(row, Unreadable)


def test_a_batch_goes_on_behind_what_is_wrong() -> None:
    events = [{"event": "signup", "distinct_id": "a", "uuid": "u0"}, 7, {"event": "signup"}]
    found = read_batch(json.dumps({"batch": events}).encode(), "", PLACES, RECEIVED_MS)
    assert [type(row) for row in found.rows] == [dict, Unreadable, Unreadable]
    assert found.ids == {0: "u0"}


@pytest.mark.parametrize(
    ("body", "key"), [(b'{"api_key": "k"}', "k"), (b'{"token": "t"}', "t"), (b"{}", "")]
)
def test_the_key_stands_in_the_body(body: bytes, key: str) -> None:
    assert key_of(body) == key
