"""Checks what becomes of each action of a PostHog workflow, and that people go the same ways."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from core.convert.notes import Converted, ConvertError
from core.convert.posthog import convert_posthog
from foreign import flow_of, journey, nodes_of, told

Action = dict[str, Any]


def asks(event: str, *properties: dict[str, Any]) -> dict[str, Any]:
    return {"events": [{"id": event, "type": "events", "properties": list(properties)}]}


def person(key: str, operator: str = "exact", value: Any = None) -> dict[str, Any]:
    return {"type": "person", "key": key, "operator": operator, "value": value}


def action(own: str, kind: str, **config: Any) -> Action:
    return {"id": own, "type": kind, "name": own, "config": config}


def mail(own: str, **more: Any) -> Action:
    return {"id": own, "type": "function_email", "name": own, "config": {}, **more}


def of(
    *actions: Action, edges: list[tuple[Any, ...]] | None = None, filters: Any = None, **more: Any
) -> Converted:
    """A workflow; actions follow each other unless `edges` (from, to, index of a branch) say."""
    trigger = {"type": "event", "filters": asks("signup") if filters is None else filters}
    row = [{"id": "t", "type": "trigger", "config": trigger}, *actions, action("x", "exit")]
    follow = [(a["id"], b["id"]) for a, b in pairwise(row)]
    document = {
        "id": "1", "key": "nudge", "name": "Nudge", "trigger": trigger, "actions": row,
        "exit_condition": "exit_only_at_end",
        "edges": [
            {"from": e[0], "to": e[1], "type": "branch" if len(e) > 2 else "continue",
             "index": e[2] if len(e) > 2 else None}
            for e in (follow if edges is None else edges)
        ],
    }  # fmt: skip
    return convert_posthog(document | more, name="n")


SIGNUP = ("05-05 10:00", "signup")


def test_N20_actions_follow_their_edges() -> None:
    made = of(action("wait", "delay", delay_duration="1d"), mail("hi"))
    assert made.notes == ()
    assert made.flow_id == "nudge"
    assert journey(made, [SIGNUP, ("05-05 11:00", "signup")])[:4] == [
        "05-05 10:00 t next",
        "05-05 11:00 t next",
        "05-06 10:00 wait next",
        "05-06 10:00 hi next",
    ]


@pytest.mark.parametrize(
    ("text", "here"),
    [("1d", "24 hours"), ("1.5h", "1 hour 30 minutes"), ("10m", "10 minutes"),
     ("30s", "30 seconds"),     (".5h", "30 minutes")],
)  # fmt: skip
def test_N20_delays_keep_their_units(text: str, here: str) -> None:
    made = of(action("wait", "delay", delay_duration=text))
    assert nodes_of(made)["wait"]["for"] == here


def test_N20_delays_until_a_property_of_the_person() -> None:
    until = {"expression": "{person.properties.trial_end}", "offset": "-1d"}
    made = of(action("wait", "delay", delay_until=until))
    assert nodes_of(made)["wait"] == {
        "type": "wait_date", "title": "wait", "attribute": "trial_end", "offset": "-24 hours",
        "next": {"next": "x", "missing": "x"},
    }  # fmt: skip
    made = of(action("wait", "delay", delay_until={"expression": "now() + 3"}))
    assert told(made) == [("/actions/1/config/delay_until/expression", "delay until 'now() + 3'")]


def test_N20_waiting_for_an_event_is_exact() -> None:
    wait = action(
        "wait", "wait_until_condition", condition={"filters": asks("click")}, max_wait_duration="3d"
    )
    edges = [("t", "wait"), ("wait", "late"), ("wait", "x", 0), ("late", "x")]
    made = of(wait, mail("late"), edges=edges)
    assert made.notes == ()
    log = journey(made, [SIGNUP, ("05-06 09:07", "click")])
    assert log[1:] == ["05-06 09:07 wait event", "05-06 09:07 x end"]
    log = journey(made, [SIGNUP])
    assert log[1:] == ["05-08 10:00 wait timeout", "05-08 10:00 late next", "05-08 10:00 x end"]


WAITS = [("t", "wait"), ("wait", "late"), ("wait", "x", 0), ("late", "x")]
PAID = {"filters": {"properties": [person("plan", value="paid")]}}


def test_N20_waiting_for_several_events_goes_on_at_the_first() -> None:
    wait = action(
        "wait", "wait_until_condition", condition={"filters": None},
        events=[{"filters": asks("click")}, {"filters": asks("open")}], max_wait_duration="1d",
    )  # fmt: skip
    made = of(wait, mail("late"), edges=WAITS)
    assert made.notes == ()
    log = journey(made, [("05-05 09:00", "open"), SIGNUP, ("05-05 15:00", "open")])
    assert log[1:] == ["05-05 15:00 wait open", "05-05 15:00 x end"]
    # What was done before the wait is not what is waited for.
    log = journey(made, [("05-05 02:00", "open"), SIGNUP])
    assert log[1:3] == ["05-06 10:00 wait timeout", "05-06 10:00 late next"]


def test_N20_waiting_for_a_property_goes_on_when_it_holds() -> None:
    wait = action("wait", "wait_until_condition", condition=PAID, max_wait_duration="6h")
    made = of(wait, mail("late"), edges=WAITS)
    assert made.notes == ()
    assert journey(made, [SIGNUP], attributes={"plan": "paid"})[1:] == [
        "05-05 10:00 wait met",
        "05-05 10:00 x end",
    ]
    paid_later = [("05-05 11:30", "plan", "paid")]
    log = journey(made, [SIGNUP], changes=paid_later, attributes={"plan": None})
    assert log[1:] == ["05-05 11:30 wait met", "05-05 11:30 x end"]
    log = journey(made, [SIGNUP], attributes={"plan": "free"})
    assert log[1:3] == ["05-05 16:00 wait timeout", "05-05 16:00 late next"]


def test_N20_waiting_for_a_property_of_the_entering_event_is_asked_once() -> None:
    big = {"filters": {"properties": [{"key": "amount", "operator": "gt", "value": "10"}]}}
    wait = action("wait", "wait_until_condition", condition=big, max_wait_duration="6h")
    made = of(wait, mail("late"), edges=WAITS)
    assert made.notes == ()
    assert nodes_of(made)["wait"]["if"] == {"entry": "amount", "above": "10"}
    assert nodes_of(made)["wait-wait"]["for"] == "6 hours"


def test_N20_waiting_for_events_or_a_property_looks_six_times() -> None:
    wait = action(
        "wait", "wait_until_condition", condition=PAID, events=[{"filters": asks("click")}],
        max_wait_duration="1d",
    )  # fmt: skip
    made = of(wait, mail("late"), edges=WAITS)
    assert told(made) == [("/actions/1", "wait wait")]
    assert "every 4 hours, 6 times" in made.text
    paid_later = [("05-05 11:30", "plan", "paid")]
    log = journey(made, [SIGNUP], changes=paid_later, attributes={"plan": None})
    assert log[-1] == "05-05 14:00 x end"
    log = journey(made, [("05-05 09:00", "click"), SIGNUP, ("05-05 18:30", "click")],
                  attributes={"plan": "free"})  # fmt: skip
    assert log[-1] == "05-05 22:00 x end"


def test_N20_a_branch_with_a_delay_goes_on_when_a_condition_holds() -> None:
    big = {"filters": {"properties": [{"key": "amount", "operator": "gt", "value": "10"}]}}
    by = action("by", "conditional_branch", conditions=[PAID, big], delay_duration="6h")
    edges = [("t", "by"), ("by", "a", 0), ("by", "b", 1), ("by", "x"), ("a", "x"), ("b", "x")]
    made = of(by, mail("a"), mail("b"), edges=edges)
    assert told(made) == [("/actions/1/config/delay_duration", "delay of by")]

    def way(amount: int) -> list[str]:
        events = [("05-05 10:00", "signup", {"amount": amount})]
        paid_later = [("05-05 11:30", "plan", "paid")]
        return journey(made, events, changes=paid_later, attributes={"plan": None})[1:-1]

    assert way(11) == ["05-05 10:00 by no", "05-05 10:00 by-else yes", "05-05 10:00 b next"]
    assert way(10) == [
        "05-05 10:00 by no", "05-05 10:00 by-else no", "05-05 11:30 by-wait met",
        "05-05 11:30 a next",
    ]  # fmt: skip


def test_N20_the_first_condition_that_holds_is_taken() -> None:
    conditions = [
        {"filters": {"properties": [person("plan", value="paid")]}},
        {"filters": {"properties": [{"key": "amount", "operator": "gt", "value": "10"}]}},
    ]
    edges = [("t", "by"), ("by", "a", 0), ("by", "b", 1), ("by", "x"), ("a", "x"), ("b", "x")]
    made = of(
        action("by", "conditional_branch", conditions=conditions), mail("a"), mail("b"), edges=edges
    )
    assert made.notes == ()

    def way(plan: str, amount: int) -> list[str]:
        events = [("05-05 10:00", "signup", {"amount": amount})]
        return [line.split()[2] for line in journey(made, events, attributes={"plan": plan})]

    assert way("paid", 11) == ["t", "by", "a", "x"]
    assert way("free", 11) == ["t", "by", "by-else", "b", "x"]
    assert way("free", 10) == ["t", "by", "by-else", "x"]


def test_N20_events_in_conditions_are_asked_of_the_entering_event() -> None:
    big = {"key": "amount", "type": "event", "operator": "gt", "value": 10}
    conditions = [{"filters": asks("signup", big)}, {"filters": asks("order")}]
    edges = [("t", "by"), ("by", "a", 0), ("by", "x", 1), ("by", "x"), ("a", "x")]
    made = of(action("by", "conditional_branch", conditions=conditions), mail("a"), edges=edges)
    nodes = nodes_of(made)
    assert nodes["by"]["if"] == {"entry": "amount", "above": "10"}
    assert nodes["by-else"]["if"] == {"did": "order"}
    assert told(made) == [("/actions/1/config/conditions/1", "event 'order'")]


def test_N20_cohorts_keep_their_proportions() -> None:
    cohorts = [{"percentage": 50, "name": "A"}, {"percentage": 25}]
    edges = [("t", "r"), ("r", "a", 0), ("r", "x", 1), ("a", "x")]
    made = of(action("r", "random_cohort_branch", cohorts=cohorts), mail("a"), edges=edges)
    node = nodes_of(made)["r"]
    assert node["branches"] == {"A": "66.67%", "cohort-2": "33.33%"}
    assert (node["sticky"], node["next"]) == ("false", {"A": "a", "cohort-2": "x"})
    assert told(made) == [("/actions/1/config/cohorts", "shares of r")]
    cohorts[0]["percentage"] = 75
    made = of(
        action("r", "random_cohort_branch", cohorts=cohorts, sticky_assignment=True), mail("a"),
        edges=edges,
    )  # fmt: skip
    assert nodes_of(made)["r"]["sticky"] == "true"
    assert made.notes == ()


def test_N20_time_windows_are_slots() -> None:
    def slots(**config: Any) -> Any:
        made = of(action("w", "wait_until_time_window", use_person_timezone=True, **config))
        return nodes_of(made)["w"]["slots"]

    assert slots(day="any", time="any") == [{"from": "00:00", "until": "24:00"}]
    assert slots(day="weekend", time=["9:00", "17:30"]) == [
        {"from": "09:00", "until": "17:30", "days": ["sat", "sun"]}
    ]
    assert slots(day=["friday", "sunday"], time=["22:00", "06:00"]) == [
        {"from": "22:00", "until": "24:00", "days": ["fri", "sun"]},
        {"from": "00:00", "until": "06:00", "days": ["sat", "mon"]},
    ]
    fixed = {"timezone": "Europe/Berlin", "day": "any", "time": ["09:00", "10:00"]}
    made = of(action("w", "wait_until_time_window", **fixed))
    assert flow_of(made).settings.zone == "Europe/Berlin"
    assert told(made) == [("/actions/1/config/timezone", "time zone Europe/Berlin")]
    assert journey(made, [SIGNUP])[1] == "05-06 07:00 w next"


@pytest.mark.parametrize(
    ("kind", "channel", "inputs", "to"),
    [
        ("function_email", "email",
         {"email": {"value": {"to": {"email": "{person.properties.email}"}}}}, None),
        ("function_email", "email",
         {"email": {"value": {"to": {"email": "{{ person.properties.work_mail }}"}}}}, "work_mail"),
        ("function_sms", "sms", {"to": {"value": "{person.properties.phone}"}}, "phone"),
        ("function_push", "push", {}, None),
    ],
)  # fmt: skip
def test_N20_messages(kind: str, channel: str, inputs: Any, to: str | None) -> None:
    made = of(action("m", kind, template_id="tpl", inputs=inputs))
    node = nodes_of(made)["m"]
    assert (node["channel"], node["template"], node.get("to")) == (channel, "nudge/m", to)
    assert {n.kind for n in made.notes} == {"elsewhere"}


def test_N20_what_can_not_come_along_is_listed() -> None:
    node = action(
        "m", "function", template_id="template-slack", message_category_type="marketing",
        tracking_enabled=False, colour="red",
    ) | {"on_error": "abort", "output_variable": {"key": "v"}}  # fmt: skip
    made = of(node, variables=[{"key": "v"}], email_sending_rate_limit={"count": 1}, mood="good")
    assert told(made, "left out") == [
        ("/actions/1/config/message_category_type", "message_category_type marketing"),
        ("/actions/1/on_error", "on_error"),
        ("/actions/1/output_variable", "output_variable"),
        ("/actions/1/config/colour", "colour of the action 'm'"),
        ("/variables", "variables"),
        ("/email_sending_rate_limit", "email_sending_rate_limit"),
        ("/mood", "mood of the workflow"),
    ]
    assert told(made, "approximated") == [("/actions/1/config", "function m")]
    assert made.noted == ("/actions/1",)


def test_N20_filters_of_an_action_let_people_skip_it() -> None:
    only = {"properties": [person("plan", value="paid")]}
    made = of(mail("m", filters=only), mail("all"))
    log = journey(made, [SIGNUP], attributes={"plan": "paid"})
    assert [line.split()[2:] for line in log][1:3] == [["m", "yes"], ["m-act", "next"]]
    log = journey(made, [SIGNUP], attributes={"plan": "free"})
    assert [line.split()[2:] for line in log][1:3] == [["m", "no"], ["all", "next"]]


@pytest.mark.parametrize(
    ("actions", "place", "said"),
    [
        ([action("a", "teleport")], "/actions/1/type", "unknown action type 'teleport'"),
        ([{"type": "delay"}], "/actions/1", "'id' is missing"),
        ([action("t", "delay")], "/actions/1/id", "the id 't' is there twice"),
        ([action("a", "delay")], "/actions/1/config", "neither delay_duration"),
        (
            [action("a", "delay", delay_duration="1 day")],
            "/actions/1/config/delay_duration",
            "expected a duration",
        ),
        (
            [action("a", "random_cohort_branch", cohorts=[])],
            "/actions/1/config/cohorts",
            "needs a percentage",
        ),
        (
            [action("a", "wait_until_time_window", day="someday")],
            "/actions/1/config/day",
            "list of days",
        ),
        (
            [action("a", "wait_until_time_window", time=["9", "10"])],
            "/actions/1/config/time",
            "two times of day",
        ),
        ([action("a", "trigger")], "/actions", "expected one trigger, found 2"),
        (["a"], "/actions/1", "expected an object"),
    ],
)
def test_N20_bad_actions_are_errors_with_a_place(actions: Any, place: str, said: str) -> None:
    trigger = {"type": "event", "filters": asks("signup")}
    document = {
        "trigger": trigger,
        "actions": [{"id": "t", "type": "trigger", "config": trigger}, *actions],
        "edges": [{"from": "t", "to": "a", "type": "continue"}] if "a" in str(actions) else [],
    }
    if said.startswith(("the id", "'id'", "expected an")):
        document["edges"] = []
    with pytest.raises(ConvertError, match=said) as caught:
        convert_posthog(document, name="n")
    assert caught.value.pointer == place
