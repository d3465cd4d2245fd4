"""Checks which condition stands for each of Knock's, and what is told of it."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from core.convert.draft import Draft
from core.convert.fields import Fields
from core.convert.knock_conditions import Conditions, Sent
from core.convert.notes import ConvertError


def condition_of(group: Any, now_ms: int | None = 3_600_000) -> Any:
    """The condition, and what was noted."""
    draft = Draft("Knock", "news")
    sent = {"feed": Sent("feed", "in_app", 0), "mail": Sent("mail-2", "email", None)}
    conditions = Conditions(draft, sent)
    conditions.now_ms = now_ms
    made = conditions.of(Fields({"c": group}, (), draft.notes), "c")
    return made, [(n.pointer, n.what) for n in draft.notes]


def one(variable: str, operator: str, argument: Any = None) -> dict[str, Any]:
    return {"variable": variable, "operator": operator, "argument": argument}


PLAN = {"attribute": "plan"}


@pytest.mark.parametrize(
    ("test", "made"),
    [
        (one("recipient.plan", "equal_to", "pro"), {**PLAN, "is": "pro"}),
        (one("recipient.plan", "not_equal_to", "pro"), {"not": {**PLAN, "is": "pro"}}),
        (one("recipient.plan", "equal_to", "null"), {**PLAN, "is_set": False}),
        (one("recipient.plan", "not_equal_to", None), {**PLAN, "is_set": True}),
        (one("recipient.plan", "equal_to", "true"), {**PLAN, "is": True}),
        (one("recipient.plan", "empty"), {"any": [{**PLAN, "is_set": False}, {**PLAN, "is": ""}]}),
        (
            one("recipient.plan", "not_empty"),
            {"all": [{**PLAN, "is_set": True}, {"not": {**PLAN, "is": ""}}]},
        ),
        (one("data.a.b", "greater_than", "5"), {"entry": "a.b", "above": 5}),
        (one("data.a", "greater_than_or_equal_to", 1.5), {"entry": "a", "at_least": 1.5}),
        (one("data.a", "less_than", "-2.5"), {"entry": "a", "below": -2.5}),
        (one("data.a", "less_than_or_equal_to", "007"), {"entry": "a", "at_most": "007"}),
        (one("data.a", "equal_to", "data.b"), {"entry": "a", "is": {"entry": "b"}}),
    ],
)
def test_N20_comparisons(test: dict[str, Any], made: dict[str, Any]) -> None:
    assert condition_of({"all": [test]}) == (made, [])


def test_N20_tests_are_joined() -> None:
    a, b = one("data.a", "equal_to", "x"), one("data.b", "equal_to", "y")
    is_a, is_b = {"entry": "a", "is": "x"}, {"entry": "b", "is": "y"}
    assert condition_of({"any": [{"all": [a, b]}, b]})[0] == {"any": [{"all": [is_a, is_b]}, is_b]}
    assert condition_of({"all": [a], "any": [a, b]})[0] == {"all": [is_a, {"any": [is_a, is_b]}]}
    assert condition_of({}) == (None, [])
    assert condition_of(None) == (None, [])


@pytest.mark.parametrize(
    ("test", "made", "what"),
    [
        (
            one("data.list", "contains", "a"),
            {"entry": "list", "contains": "a"},
            "contains in 'list'",
        ),
        (
            one("data.list", "not_contains", "a"),
            {"not": {"entry": "list", "contains": "a"}},
            "not_contains in 'list'",
        ),
        (
            one("data.list", "contains_all", ["a", "b"]),
            {"all": [{"entry": "list", "contains": "a"}, {"entry": "list", "contains": "b"}]},
            "contains_all in 'list'",
        ),
        (one("body.x", "equal_to", "x"), {"entry": "body.x", "is": "x"}, "body.x"),
        (one("tenant.name", "equal_to", "x"), {"entry": "tenant.name", "is": "x"}, "tenant.name"),
        (
            one("data.a", "equal_to", "recipient.b"),
            {"group": "Knock: equal_to recipient.b"},
            "equal_to recipient.b",
        ),
        (
            one("refs.feed.output", "equal_to", "x"),
            {"group": "Knock: refs.feed.output equal_to x"},
            "refs.feed.output equal_to x",
        ),
    ],
)
def test_N20_what_is_only_close_is_told(test: Any, made: dict[str, Any], what: str) -> None:
    assert condition_of({"all": [test]}) == (made, [("/c/all/0", what)])


def node(name: str) -> dict[str, Any]:
    return {"all": [{"property": "flow", "is": "news"}, {"property": "node", "is": name}]}


def test_N20_statuses_are_events_since_the_message() -> None:
    made, notes = condition_of(one("refs.feed.engagement_status", "contains", "$message.read"))
    assert made == {"did": "message_read", "within": "1 hour", "where": node("feed")}
    assert notes == [("/c", "message of feed contains read")]
    made, _ = condition_of(one("refs.mail.engagement_status", "not_contains", "$message.read"))
    assert made == {"not": {"did": "email_opened", "where": node("mail-2")}}
    made, _ = condition_of(one("refs.mail.status", "greater_than_or_equal_to", "$message.read"))
    events = [part["did"] for part in made["any"]]
    assert events == ["email_opened", "message_interacted", "email_clicked", "message_archived"]
    made, notes = condition_of(one("refs.feed.delivery_status", "equal_to", "$message.skipped"))
    assert made == {"group": "Knock: message of feed equal_to skipped"}
    made, _ = condition_of(one("refs.feed.status", "less_than", "$message.seen"), now_ms=None)
    assert "within" not in made["not"]["any"][0]


DEEP: dict[str, Any] = one("data.a", "empty")
for _ in range(20):
    DEEP = {"all": [DEEP]}


@pytest.mark.parametrize(
    ("group", "place", "said"),
    [
        ({"none": []}, "/c", "expected 'all', 'any' or a 'variable'"),
        (one("data.a", "looks_like", "x"), "/c/operator", "unknown operator 'looks_like'"),
        (one("data.a", "greater_than", None), "/c/argument", "nothing can be greater_than null"),
        (one("data.a", "contains", ""), "/c/argument", "nothing to look for"),
        (one("refs.gone.status", "less_than", "$message.seen"), "/c/variable", "no earlier step"),
        ({"all": ["x"]}, "/c/all/0", "expected an object"),
        (DEEP, "/c" + "/all/0" * 17, "nested too deeply"),
    ],
)
def test_N20_bad_conditions_are_errors(group: Any, place: str, said: str) -> None:
    with pytest.raises(ConvertError, match=said) as caught:
        condition_of(group)
    assert caught.value.pointer == place
