"""Checks the phrase of every node type and of every test of a condition."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from core.conditions import Condition, Filter
from core.describe import (
    describe,
    describe_condition,
    describe_reentry,
    describe_scope,
    describe_target,
)
from core.flow import Reentry
from core.nodes import OPERATIONS, Node, Target
from core.responses import Scope

HALF = {"a": "50%", "b": "50%"}

NODES: list[tuple[dict[str, Any], str]] = [
    ({"type": "on_event", "event": "signup"}, "Enter on `signup`"),
    (
        {"type": "on_event", "event": "buy", "where": {"property": "total", "above": 9.5}},
        "Enter on `buy` where `total` is above 9.5",
    ),
    ({"type": "on_segment", "if": {"tag": "vip"}}, "Enter when tagged `vip`"),
    (
        {"type": "on_segment", "if": {"group": "news"}, "members": "at_start"},
        "Enter at the start if in the group `news`",
    ),
    (
        {"type": "on_segment", "if": {"group": "news"}, "members": "joining"},
        "Enter on coming to match: in the group `news`",
    ),
    (
        {"type": "on_schedule", "repeat": "once", "date": "2026-02-01", "at": "09:00"},
        "Enter on 2026-02-01 at 09:00 (flow's time)",
    ),
    (
        {"type": "on_schedule", "repeat": "daily", "at": "09:00:30", "every": 2},
        "Enter every 2 days at 09:00:30 (flow's time)",
    ),
    (
        {
            "type": "on_schedule",
            "repeat": "weekly",
            "weekdays": ["mon", "fri"],
            "at": "18:30",
            "zone": "customer",
            "if": {"attribute": "email", "is_set": True},
        },
        "Enter every week on Mon and Fri at 18:30 (customer's time) if `email` is set",
    ),
    (
        {"type": "on_schedule", "repeat": "monthly", "days": [1, 15, 31], "at": "00:00"},
        "Enter every month on day 1, 15 and 31 at 00:00 (flow's time)",
    ),
    ({"type": "condition", "if": {"tag": "vip"}}, "If tagged `vip`"),
    (
        {"type": "branch_attribute", "attribute": "country", "branches": {"de": "DE"}},
        "Branch on `country`",
    ),
    (
        {"type": "branch_tag", "branches": {"a": ["x", "y"], "b": "z"}},
        "Branch on the tags `x`, `y` and `z`",
    ),
    ({"type": "wait", "for": "26 h"}, "Wait 26 hours"),
    (
        {"type": "wait_until", "at": "2026-05-01T09:00"},
        "Wait until 2026-05-01 09:00 (customer's time)",
    ),
    (
        {"type": "wait_until", "at": "2026-05-01", "zone": "flow"},
        "Wait until 2026-05-01 (flow's time)",
    ),
    ({"type": "wait_until", "at": "2026-05-01T09:00Z"}, "Wait until 2026-05-01 09:00 UTC"),
    (
        {"type": "wait_until", "at": "2026-05-01T09:00+02:00"},
        "Wait until 2026-05-01 09:00+02:00",
    ),
    ({"type": "wait_date", "attribute": "due"}, "Wait until `due`"),
    (
        {"type": "wait_date", "attribute": "due", "offset": "-3 days", "at": "08:00"},
        "Wait until 3 days before `due` at 08:00",
    ),
    (
        {"type": "wait_date", "attribute": "due", "offset": "1 month"},
        "Wait until 1 month after `due`",
    ),
    (
        {"type": "wait_event", "event": "clicked", "timeout": "1 day"},
        "Wait for `clicked`, at most 1 day",
    ),
    (
        {
            "type": "wait_event",
            "event": "clicked",
            "message": "mail-1",
            "where": {"property": "link", "is": "/a"},
        },
        'Wait for `clicked` on `mail-1` where `link` is "/a"',
    ),
    ({"type": "wait_event", "event": "paid", "entry": True}, "Enter on, or wait for, `paid`"),
    (
        {
            "type": "wait_any",
            "events": {"paid": {"event": "paid"}, "left": {"event": "cancelled"}},
            "timeout": "2 days",
        },
        "Wait for one of `paid` and `cancelled`, at most 2 days",
    ),
    (
        {"type": "wait_condition", "if": {"tag": "vip"}, "timeout": "1 week"},
        "Wait until tagged `vip`, at most 7 days",
    ),
    (
        {
            "type": "wait_slot",
            "slots": [
                {"from": "09:00", "until": "17:00", "days": ["fri", "mon", "tue", "wed", "thu"]},
                {"from": "10:00", "until": "24:00", "days": ["sat", "mon"]},
                {"from": "00:00", "until": "01:00"},
            ],
        },
        "Wait for Mon–Fri 09:00–17:00, Mon, Sat 10:00–24:00 and 00:00–01:00",
    ),
    ({"type": "split", "branches": {"a": "33.33%", "b": "66.67%"}}, "Split 33.33/66.67 %"),
    (
        {"type": "split", "branches": {str(i): "10%" for i in range(10)}},
        "Split into 10 branches",
    ),
    (
        {"type": "ab_test", "branches": HALF, "target": {"event": "buy", "within": "7 days"}},
        "A/B test 50/50 % on `buy` within 7 days",
    ),
    (
        {
            "type": "ab_test",
            "branches": HALF,
            "target": {"event": "buy", "within": "7 days"},
            "until": {"people": 1000},
        },
        "A/B test 50/50 % on `buy` within 7 days, after 1,000 people all to the best branch",
    ),
    (
        {
            "type": "ab_test",
            "branches": HALF,
            "target": {"event": "buy", "within": "7 days"},
            "until": {"people": 1, "decide": "at_count"},
        },
        "A/B test 50/50 % on `buy` within 7 days, after 1 person all to the best branch so far",
    ),
    (
        {
            "type": "ab_test",
            "branches": HALF,
            "target": {"event": "buy", "within": "7 days"},
            "until": {"people": 20, "then": "b"},
        },
        "A/B test 50/50 % on `buy` within 7 days, after 20 people all to `b`",
    ),
    ({"type": "take_coupon", "pool": "spring"}, "Take a coupon of `spring`"),
    ({"type": "send", "channel": "email", "template": "hi"}, "Send e-mail `hi`"),
    ({"type": "send", "channel": "in_app", "template": "hi"}, "Send in-app message `hi`"),
    ({"type": "add_tag", "tag": "x"}, "Add the tag `x`"),
    ({"type": "remove_tag", "tag": "x"}, "Remove the tag `x`"),
    ({"type": "set_attribute", "attribute": "tier", "value": "gold"}, 'Set `tier` to "gold"'),
    ({"type": "set_attribute", "attribute": "seen", "value": True}, "Set `seen` to true"),
    (
        {"type": "add_to_attribute", "attribute": "points", "by": 1000000},
        "Add 1000000 to `points`",
    ),
    (
        {"type": "add_to_attribute", "attribute": "points", "by": -2.5},
        "Subtract 2.5 from `points`",
    ),
    ({"type": "add_to_group", "group": "g"}, "Put into the group `g`"),
    ({"type": "remove_from_group", "group": "g"}, "Take out of the group `g`"),
    ({"type": "end"}, "End"),
    ({"type": "end", "whole_flow": True}, "End the whole entry"),
]

TESTS: list[tuple[dict[str, Any], str]] = [
    ({"attribute": "a", "is": "x"}, '`a` is "x"'),
    ({"attribute": "a", "is": True}, "`a` is true"),
    ({"attribute": "a", "is": {"entry": "b"}}, "`a` is the entry's `b`"),
    ({"attribute": "a", "is_not": 3}, "`a` is not 3"),
    ({"attribute": "a", "one_of": ["x", "y", "z"]}, '`a` is one of "x", "y" and "z"'),
    ({"attribute": "a", "none_of": list(range(9))}, "`a` is none of 0, 1, 2, 3, 4 and 4 more"),
    ({"attribute": "a", "at_least": 3}, "`a` is at least 3"),
    ({"attribute": "a", "below": 3}, "`a` is below 3"),
    ({"attribute": "a", "at_most": 0.5}, "`a` is at most 0.5"),
    ({"attribute": "a", "between": [1, 5]}, "`a` is between 1 and 5"),
    ({"attribute": "a", "before": "2026-01-31"}, "`a` is before 2026-01-31"),
    ({"attribute": "a", "after": "2026-01-31"}, "`a` is after 2026-01-31"),
    ({"attribute": "a", "contains": "x"}, '`a` contains "x"'),
    ({"attribute": "a", "starts_with": "x"}, '`a` starts with "x"'),
    ({"attribute": "a", "ends_with": "x"}, '`a` ends with "x"'),
    ({"attribute": "a", "matches": "^x+"}, '`a` matches "^x+"'),
    ({"attribute": "a", "is_set": False}, "`a` is not set"),
    ({"attribute": "a", "within_last": "3 days"}, "`a` is within the last 3 days"),
    ({"attribute": "a", "within_next": "3 days"}, "`a` is within the next 3 days"),
    ({"attribute": "a", "older_than": "3 days"}, "`a` is older than 3 days"),
    ({"entry": "id", "above": 1}, "the entry's `id` is above 1"),
    ({"did": "buy"}, "`buy` happened"),
    ({"did": "buy", "at_least": 2}, "`buy` happened at least 2 times"),
    ({"did": "buy", "exactly": 1}, "`buy` happened exactly 1 time"),
    (
        {"did": "buy", "at_most": 5, "within": "9 days"},
        "`buy` happened at most 5 times in the last 9 days",
    ),
    ({"never_did": "buy"}, "`buy` never happened"),
    (
        {"never_did": "buy", "where": {"property": "sku", "is": "a"}, "within": "2 h"},
        '`buy` where `sku` is "a" did not happen in the last 2 hours',
    ),
    ({"not": {"tag": "x"}}, "not (tagged `x`)"),
    (
        {"any": [{"all": [{"tag": "x"}, {"tag": "y"}]}, {"all": [{"tag": "z"}]}]},
        "(tagged `x` and tagged `y`) or tagged `z`",
    ),
    (
        {"all": [{"tag": str(i)} for i in range(1000)]},
        " and ".join(f"tagged `{i}`" for i in range(6)) + " and 994 more tests",
    ),
]


@pytest.mark.parametrize(("document", "phrase"), NODES, ids=[p for _, p in NODES])
def test_every_node_has_a_phrase(document: dict[str, Any], phrase: str) -> None:
    assert describe(TypeAdapter[Any](Node).validate_python(document)) == phrase


def test_no_node_type_is_forgotten() -> None:
    # Those that stand for others are in tests/core/catalogue/test_registry.py.
    assert {document["type"] for document, _ in NODES} == set(OPERATIONS)


@pytest.mark.parametrize(("document", "phrase"), TESTS, ids=[p for _, p in TESTS])
def test_every_test_has_a_phrase(document: dict[str, Any], phrase: str) -> None:
    assert describe_condition(TypeAdapter[Any](Condition).validate_python(document)) == phrase


def test_a_filter_reads_properties() -> None:
    document = {"any": [{"property": "a", "is": 1}, {"not": {"property": "b", "is_set": True}}]}
    condition = TypeAdapter[Any](Filter).validate_python(document)
    assert describe_condition(condition) == "`a` is 1 or not (`b` is set)"


@pytest.mark.parametrize(
    ("scope", "phrase"),
    [
        ({}, "all messages"),
        ({"channel": "sms"}, "SMS"),
        ({"template": "hi", "if": {"tag": "vip"}}, "`hi` if tagged `vip`"),
        ({"node": "mail"}, "messages of the node `mail`"),
        ({"channel": "email", "template": "hi", "node": "m"}, "e-mail `hi` of the node `m`"),
    ],
    ids=str,
)
def test_scopes_of_response_rules_have_phrases(scope: dict[str, Any], phrase: str) -> None:
    assert describe_scope(Scope.model_validate(scope)) == phrase


def test_targets_and_reentry_have_phrases() -> None:
    target = Target.model_validate({"event": "buy", "within": "7 days"})
    assert describe_target(target) == "`buy` within 7 days"
    assert describe_reentry(Reentry()) == "Each customer enters once"
    keyed = Reentry.model_validate({"policy": "after_exit", "key": "order", "gap": "1 day"})
    assert (
        describe_reentry(keyed)
        == "Each customer enters again after leaving, for each `order`, at least 1 day apart"
    )
