"""Checks which condition stands for each kind of segment of Dittofeed."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from core.convert.dittofeed_segments import Segments
from core.convert.draft import Draft
from core.convert.notes import ConvertError


def condition_of(entry: dict[str, Any], *nodes: dict[str, Any], key: str | None = None) -> Any:
    """The condition of a segment `s`, and what was noted."""
    draft = Draft("Dittofeed", "j")
    definition = {"entryNode": {"id": "e", **entry}, "nodes": list(nodes)}
    segments = Segments(draft, {"s": definition})
    segments.entry_key = key
    return segments.test("s", "/here"), [(n.pointer, n.what) for n in draft.notes]


def trait(kind: str, **operator: Any) -> dict[str, Any]:
    return {"type": "Trait", "path": "plan", "operator": {"type": kind, **operator}}


def did(**more: Any) -> dict[str, Any]:
    return {"type": "Performed", "event": "buy", **more}


@pytest.mark.parametrize(
    ("entry", "test"),
    [
        (trait("Equals", value="a"), {"attribute": "plan", "is": "a"}),
        (trait("Equals", value=3), {"attribute": "plan", "is": 3}),
        (trait("NotEquals", value="a"), {"not": {"attribute": "plan", "is": "a"}}),
        (trait("Exists"), {"attribute": "plan", "is_set": True}),
        (trait("NotExists"), {"attribute": "plan", "is_set": False}),
        (trait("GreaterThanOrEqual", value=20.5), {"attribute": "plan", "at_least": 20.5}),
        (trait("LessThan", value=20), {"attribute": "plan", "below": 20}),
        (trait("Within", windowSeconds=86400), {"attribute": "plan", "within_last": "24 hours"}),
        (trait("NotWithin", windowSeconds=60), {"attribute": "plan", "older_than": "1 minute"}),
        (
            trait(
                "AbsoluteTimestamp", absoluteTimestamp="2026-01-01T00:00:00Z", direction="before"
            ),
            {"attribute": "plan", "before": "2026-01-01T00:00:00Z"},
        ),
        (did(), {"did": "buy"}),
        (did(times=2, timesOperator=">="), {"did": "buy", "at_least": 2}),
        (did(times=2, timesOperator="Equals"), {"did": "buy", "exactly": 2}),
        (did(times=0, timesOperator="="), {"never_did": "buy"}),
        (did(times=1, timesOperator="<"), {"never_did": "buy"}),
        (did(times=3, timesOperator="LessThan"), {"did": "buy", "at_most": 2}),
        (did(withinSeconds=5), {"did": "buy", "within": "5 seconds"}),
        (
            did(properties=[{"path": "sum", "operator": {"type": "LessThan", "value": 5}}]),
            {"did": "buy", "where": {"property": "sum", "below": 5}},
        ),
        (
            {"type": "Email", "event": "DFEmailOpened", "templateId": "t"},
            {"did": "email_opened", "where": {"property": "template", "is": "t"}},
        ),
    ],
)
def test_N20_segments_that_conditions_can_ask(entry: dict[str, Any], test: dict[str, Any]) -> None:
    assert condition_of(entry) == (test, [])


@pytest.mark.parametrize(
    ("path", "name"), [("a.b", "a.b"), ("$.a", "a"), ('$["two words"]', "two words"), (" x ", "x")]
)
def test_N20_paths_are_names(path: str, name: str) -> None:
    made, _ = condition_of({**trait("Exists"), "path": path})
    assert made == {"attribute": name, "is_set": True}


def test_N20_parts_are_joined_and_nested() -> None:
    one = {"id": "1", **trait("Equals", value="a")}
    two = {"id": "2", **did()}
    both = {"id": "3", "type": "And", "children": ["1", "2"]}
    made, notes = condition_of({"type": "Or", "children": ["1", "3"]}, one, two, both)
    is_a = {"attribute": "plan", "is": "a"}
    assert made == {"any": [is_a, {"all": [is_a, {"did": "buy"}]}]}
    assert notes == []


def test_N20_a_key_is_compared_with_that_of_the_entry() -> None:
    entry = {"type": "KeyedPerformed", "event": "late", "key": "order"}
    made, notes = condition_of(entry, key="number")
    where = {"property": "order", "is": {"entry": "number"}}
    assert (made, notes) == ({"did": "late", "where": where}, [])
    made, notes = condition_of(entry)
    assert (made, notes) == ({"did": "late"}, [("/here", "key 'order' of segment 's'")])


@pytest.mark.parametrize(
    ("entry", "test", "what"),
    [
        (
            trait("HasBeen", value="a", windowSeconds=3600, comparator="GTE"),
            {"attribute": "plan", "is": "a"},
            "plan has been a for 1 hour",
        ),
        ({"type": "Everyone"}, {"not": {"group": "nobody"}}, "everyone"),
        ({"type": "Manual", "version": 1}, {"group": "s"}, "manual list"),
        ({"type": "RandomBucket", "percent": 0.5}, {"group": "s: random share 0.5"},
         "random share 0.5"),
        ({"type": "Includes", "path": "items", "item": "x"}, {"tag": "items: x"}, "list 'items'"),
        (
            {"type": "SubscriptionGroup", "subscriptionGroupId": "n",
             "subscriptionGroupType": "OptOut"},
            {"not": {"group": "unsubscribed: n"}},
            "subscription",
        ),
        (
            {"type": "SubscriptionGroup", "subscriptionGroupId": "n",
             "subscriptionGroupType": "OptIn"},
            {"group": "subscribed: n"},
            "subscription",
        ),
        ({"type": "SubscriptionGroupUnsubscribed", "subscriptionGroupId": "n"},
         {"group": "unsubscribed: n"}, "unsubscription"),
        (did(event="buy*"), {"did": "buy*"}, "event 'buy*'"),
        ({"type": "LastPerformed", "event": "buy"}, {"did": "buy"}, "last event"),
        ({**trait("Exists"), "path": ""}, {"group": "s: trait without a name"},
         "trait without a name"),
        (did(colour="red"), {"did": "buy"}, "colour of the segment"),
    ],
)  # fmt: skip
def test_N20_what_conditions_can_not_ask_is_told(
    entry: dict[str, Any], test: dict[str, Any], what: str
) -> None:
    assert condition_of(entry) == (test, [("/here", f"{what} of segment 's'")])


CIRCLE = {"id": "1", "type": "And", "children": ["1"]}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"type": "Mood"}, "unknown kind of segment 'Mood'"),
        ({}, "'type' is missing"),
        (trait("Equals"), "value to compare with is missing"),
        (trait("LessThan", value="x"), "expected a number"),
        (trait("Within"), "length of time is missing"),
        (trait("Roughly"), "unknown comparison 'Roughly'"),
        (did(timesOperator="~"), "unknown comparison '~'"),
        (did(times=-1), "expected how often, found -1"),
        ({"type": "And", "children": ["1"]}, "nested too deeply, or in itself"),
        ({"type": "Or", "children": ["9"]}, "no node '9'"),
        ({"type": "Email", "event": "Eaten"}, "unknown event of e-mail 'Eaten'"),
    ],
)
def test_N20_bad_segments_are_errors(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ConvertError, match=said) as caught:
        condition_of(entry, CIRCLE)
    assert str(caught.value.pointer).startswith("/here/")
