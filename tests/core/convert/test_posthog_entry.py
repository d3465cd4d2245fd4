"""Checks how people get into a PostHog workflow that was converted, and how they leave it early."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from core.convert.notes import Converted, ConvertError
from core.convert.posthog import convert_posthog
from foreign import flow_of, journey, nodes_of, told

PAID = {"type": "person", "key": "plan", "operator": "exact", "value": "paid"}


def event(name: str | None, *properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": name, "type": "events", "properties": list(properties), **more}


def of(
    filters: dict[str, Any] | None = None, *, kind: str = "event", edges: Any = None, **more: Any
) -> Converted:
    """A workflow that waits for a day and writes."""
    trigger = {"type": kind, "filters": filters or {"events": [event("signup")]}}
    document = {
        "key": "nudge",
        "trigger": trigger,
        "actions": [
            {"id": "t", "type": "trigger", "config": trigger},
            {"id": "wait", "type": "delay", "config": {"delay_duration": "1d"}},
            {"id": "hi", "type": "function_email", "config": {}},
            {"id": "x", "type": "exit"},
        ],
        "edges": [
            {"from": begin, "to": end, "type": "continue"}
            for begin, end in edges or [("t", "wait"), ("wait", "hi"), ("hi", "x")]
        ],
    }
    return convert_posthog(document | more, name="n")


def test_N20_each_event_of_the_trigger_enters() -> None:
    big = {"type": "event", "key": "amount", "operator": "gte", "value": 10}
    made = of({"events": [event("signup"), event("order", big)]})
    assert made.notes == ()
    assert list(nodes_of(made))[:2] == ["t", "t-or"]
    events = [("05-05 10:00", "signup"), ("05-05 11:00", "order", {"amount": 9}),
              ("05-05 12:00", "order", {"amount": 10})]  # fmt: skip
    assert [line for line in journey(made, events) if line.split()[2] in ("t", "t-or")] == [
        "05-05 10:00 t next",
        "05-05 12:00 t-or next",
    ]


def test_N20_what_is_asked_of_the_person_is_asked_behind_the_trigger() -> None:
    made = of({"events": [event("signup")], "properties": [PAID], "filter_test_accounts": True})
    assert nodes_of(made)["t-filter"]["if"] == {
        "all": [{"attribute": "plan", "is": "paid"}, {"not": {"group": "test accounts"}}]
    }
    assert told(made) == [("/trigger/filters/filter_test_accounts", "filter_test_accounts")]
    signup = [("05-05 10:00", "signup")]
    assert "05-06 10:00 hi next" in journey(made, signup, attributes={"plan": "paid"})
    log = journey(made, signup, attributes={"plan": "paid"}, groups=["test accounts"])
    assert log[1] == "05-05 10:00 t-filter no"


@pytest.mark.parametrize(
    "kind", ["webhook", "manual", "schedule", "tracking_pixel", "data-warehouse-table"]
)
def test_N20_other_triggers_are_events_of_a_name(kind: str) -> None:
    made = of({"properties": []}, kind=kind)
    assert nodes_of(made)["t"]["event"] == f"PostHog {kind} nudge"
    assert told(made) == [("/trigger", f"trigger by {kind}")]
    assert made.noted == ("/trigger",)


def test_N20_a_batch_enters_at_the_start() -> None:
    made = of({"properties": [PAID]}, kind="batch")
    assert nodes_of(made)["t"]["members"] == "at_start"
    assert told(made) == [("/trigger", "trigger by batch")]
    assert journey(made, attributes={"plan": "paid"})[0] == "05-01 00:00 t next"
    assert journey(made, attributes={"plan": "free"}) == []


def test_N20_actions_and_any_event_are_told() -> None:
    action = {"id": "7", "type": "actions", "name": "Bought"}
    made = of({"events": [event(None)], "actions": [action]})
    assert [n["event"] for n in nodes_of(made).values() if "event" in n] == ["any event", "Bought"]
    assert [what for _, what in told(made)] == ["any event", "action 'Bought'"]


@pytest.mark.parametrize(
    ("masking", "reentry", "notes"),
    [
        ({"ttl": 3600, "hash": "{person.id}"}, {"policy": "always", "gap": "1 hour"}, []),
        ({"ttl": None, "hash": "{person.id}"}, {"policy": "once"}, []),
        ({"ttl": 60, "hash": "{event.properties.order}"},
         {"policy": "always", "gap": "1 minute", "key": "order"}, []),
        ({"ttl": 60, "hash": "{concat(1)}", "threshold": 3},
         {"policy": "always", "gap": "1 minute"}, ["threshold 3", "hash '{concat(1)}'"]),
    ],
)  # fmt: skip
def test_N20_masking_is_the_reentry(masking: Any, reentry: Any, notes: list[str]) -> None:
    made = of(trigger_masking=masking)
    stated = flow_of(made).settings.reentry.model_dump(mode="json", exclude_none=True)
    assert stated == reentry
    assert [what for _, what in told(made)] == notes


def test_N20_a_conversion_is_the_goal_and_lets_people_out() -> None:
    conversion = {"window_minutes": 2880, "events": [{"filters": {"events": [event("order")]}}]}
    made = of(conversion=conversion)
    goal = flow_of(made).settings.goal
    assert goal is not None
    assert (goal.event, str(goal.within)) == ("order", "48 hours")
    assert made.notes == ()
    made = of(conversion=conversion, exit_condition="exit_on_conversion")
    assert told(made) == [("/conversion", "exit on conversion")]
    signup = ("05-05 10:00", "signup")
    log = journey(made, [signup, ("05-05 12:00", "order")])
    assert [line.split()[2:] for line in log] == [
        ["t", "next"], ["wait-exits", "no"], ["wait", "next"], ["hi-exits", "yes"], ["done", "end"],
    ]  # fmt: skip
    assert "05-06 10:00 hi next" in journey(made, [signup])
    made = of(conversion={"filters": [PAID]}, exit_condition="exit_on_conversion")
    assert told(made) == [("/conversion/filters", "conversion by properties of the person")]
    paid = [("05-05 12:00", "plan", "paid")]
    log = journey(made, [signup], changes=paid, attributes={"plan": None})
    assert log[-2:] == ["05-06 10:00 hi-exits yes", "05-06 10:00 done end"]


def test_N20_people_leave_when_the_trigger_no_longer_fits() -> None:
    exits = "exit_on_trigger_not_matched"
    made = of({"events": [event("signup")], "properties": [PAID]}, exit_condition=exits)
    signup, changed = [("05-05 10:00", "signup")], [("05-04 00:00", "plan", "paid"),
                                                    ("05-05 12:00", "plan", "free")]  # fmt: skip
    log = journey(made, signup, changes=changed, attributes={"plan": None})
    assert log[-2:] == ["05-06 10:00 hi-exits yes", "05-06 10:00 done end"]
    assert "05-06 10:00 hi next" in journey(made, signup, attributes={"plan": "paid"})
    made = of(exit_condition=exits)
    assert told(made) == [("/trigger", exits)]


def test_N20_a_conversion_that_is_not_stated_is_told() -> None:
    made = of(exit_condition="exit_on_conversion", conversion=None)
    assert told(made) == [("/exit_condition", "exit_on_conversion")]
    with pytest.raises(ConvertError, match="unknown exit condition 'never'"):
        of(exit_condition="never")


def test_N20_edges_that_lead_nowhere() -> None:
    made = of(edges=[("t", "wait"), ("wait", "hi")])
    assert told(made) == [("/actions/2", "way on from hi")]
    with pytest.raises(ConvertError, match="there is no action 'z'") as caught:
        of(edges=[("t", "wait"), ("wait", "z")])
    assert caught.value.pointer == "/edges/1/to"
    with pytest.raises(ConvertError, match="a second edge leaves 't'"):
        of(edges=[("t", "wait"), ("t", "hi")])


def test_N20_a_circle_without_a_wait_is_an_error() -> None:
    with pytest.raises(ConvertError, match="no wait on the cycle hi, hi") as caught:
        of(edges=[("t", "hi"), ("hi", "hi"), ("wait", "x")])
    assert caught.value.pointer == "/actions/2"
