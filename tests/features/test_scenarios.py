"""Runs the worked scenarios of the source products, each on every interpreter.

The names carry the ids of the features that a scenario was promised for.
"""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from cases import END, Case, ask, log_of, on, send, wait_event
from interpreters import INTERPRETERS, Interpreter
from live_side import EVERY_WAY

every_way = pytest.mark.parametrize("interpreter", EVERY_WAY.values(), ids=EVERY_WAY)
every_interpreter = pytest.mark.parametrize("interpreter", INTERPRETERS.values(), ids=INTERPRETERS)

FOLLOWED = {
    "followed": on("followed", "page"),
    "page": send("in_app", "welcome-page", "opened"),
    "opened": wait_event("opened", timeout="5 hours", yes="group", no="again"),
    "group": {"type": "add_to_group", "group": "readers", "next": "done"},
    "again": send("in_app", "welcome-page", "done"),
    "done": END,
}


def following(events: list[Any], **fields: Any) -> Case:
    return Case(
        {**FOLLOWED, "x": END, "bye": on("unfollowed", "x")},
        events,
        settings={"reentry": {"policy": "always"}},
        **fields,
    )


@every_way
def test_A036_whoever_opens_the_page_in_time_joins_the_group(interpreter: Interpreter) -> None:
    case = following([("05-04 10:00", "followed"), ("05-04 14:59:59.999", "opened")])
    assert case.log(interpreter) == [
        "05-04 10:00 followed next",
        "05-04 10:00 page next",
        "05-04 14:59:59.999 opened event",
        "05-04 14:59:59.999 group next",
        "05-04 14:59:59.999 done end",
    ]


@every_way
def test_A036_whoever_does_not_is_sent_the_page_again(interpreter: Interpreter) -> None:
    case = following([("05-04 10:00", "followed"), ("05-04 15:00:00.001", "opened")])
    assert case.log(interpreter) == [
        "05-04 10:00 followed next",
        "05-04 10:00 page next",
        "05-04 15:00 opened timeout",
        "05-04 15:00 again next",
        "05-04 15:00 done end",
    ]


@every_way
def test_A036_the_same_user_may_follow_again_and_be_in_the_flow_twice(
    interpreter: Interpreter,
) -> None:
    case = following(
        [("05-04 10:00", "followed"), ("05-04 12:00", "followed"), ("05-04 13:00", "opened")]
    )
    ran = case.run(interpreter)
    assert log_of(ran)[4:] == [
        "05-04 13:00 opened event",
        "05-04 13:00 group next",
        "05-04 13:00 done end",
        "05-04 13:00 opened event",
        "05-04 13:00 group next",
        "05-04 13:00 done end",
    ]
    nodes = list(case.flow().nodes)
    assert ran.counters.people == 1
    assert ran.counters.entered[nodes.index("followed")] == 2
    assert ran.counters.unique[nodes.index("group")] == 1


LAUNCH = {
    "members": {
        "type": "on_segment",
        "if": {"group": "prospects"},
        "next": "announce",
    },
    "announce": send("email", "announcement", "clicked"),
    "clicked": wait_event("clicked", message="announce", timeout="1 day", yes="launch", no="x"),
    "launch": {"type": "wait_until", "at": "2026-05-10T09:00", "next": "remind"},
    "remind": send("sms", "launch-now", "x"),
    "x": END,
}


def launch(delay: str, **customer: Any) -> Case:
    return Case(
        LAUNCH,
        customers=[{"id": "c", "zone": "Europe/Berlin", "groups": ["prospects"], **customer}],
        responses=[
            {
                "for": {"channel": "email"},
                "outcomes": [{"event": "clicked", "probability": 1, "delay": {"constant": delay}}],
            }
        ],
    )


@every_interpreter
def test_A181_a_click_within_a_day_leads_to_the_launch_sms(interpreter: Interpreter) -> None:
    case = launch("20 hours")
    ran = case.run(interpreter)
    assert log_of(ran) == [
        "05-01 00:00 members next",
        "05-01 00:00 announce next",
        "05-01 20:00 clicked event",
        "05-10 07:00 launch next",
        "05-10 07:00 remind next",
        "05-10 07:00 x end",
    ]
    assert ran.counters.modelled.tolist() == [1]
    assert ran.counters.modelled_wakes[list(LAUNCH).index("clicked")] == 1


@every_interpreter
def test_A181_a_later_click_comes_too_late(interpreter: Interpreter) -> None:
    assert launch("25 hours").log(interpreter) == [
        "05-01 00:00 members next",
        "05-01 00:00 announce next",
        "05-02 00:00 clicked timeout",
        "05-02 00:00 x end",
    ]


@every_interpreter
def test_A181_who_clicks_after_the_launch_gets_the_sms_at_once(interpreter: Interpreter) -> None:
    case = launch("2 hours", created_at="2026-05-11T08:00:00Z")
    assert case.log(interpreter)[2:] == [
        "05-11 10:00 clicked event",
        "05-11 10:00 launch next",
        "05-11 10:00 remind next",
        "05-11 10:00 x end",
    ]


SAME_CART = {"property": "cart_id", "is": {"entry": "cart_id"}}
ABANDONED = {
    "cart": on("cart_updated", "bought", where={"property": "total", "above": 0}),
    "bought": wait_event("purchase", where=SAME_CART, timeout="4 hours", yes="x", no="worth"),
    "worth": ask({"entry": "total", "at_least": 50}, yes="coupon", no="reminder"),
    "coupon": send("email", "cart-coupon", "late"),
    "reminder": send("email", "cart-reminder", "late"),
    "late": wait_event("purchase", where=SAME_CART, timeout="1 day", yes="won", no="x"),
    "won": {"type": "add_tag", "tag": "won-back", "next": "x"},
    "x": END,
}


def carts(*events: Any) -> Case:
    return Case(
        ABANDONED,
        events,
        settings={
            "reentry": {"policy": "after_exit", "key": "cart_id"},
            "goal": {"event": "purchase", "where": SAME_CART, "within": "3 days"},
        },
    )


@every_way
def test_abandoned_cart_a_purchase_of_that_cart_ends_it(interpreter: Interpreter) -> None:
    case = carts(
        ("05-04 10:00", "cart_updated", {"cart_id": "A", "total": 20}),
        ("05-04 11:00", "purchase", {"cart_id": "B"}),
        ("05-04 12:00", "purchase", {"cart_id": "A"}),
    )
    assert case.log(interpreter) == [
        "05-04 10:00 cart next",
        "05-04 12:00 bought event",
        "05-04 12:00 x end",
    ]


@every_way
def test_abandoned_cart_two_carts_are_followed_apart(interpreter: Interpreter) -> None:
    case = carts(
        ("05-04 09:00", "cart_updated", {"cart_id": "A", "total": 0}),
        ("05-04 10:00", "cart_updated", {"cart_id": "A", "total": 80}),
        ("05-04 11:00", "cart_updated", {"cart_id": "B", "total": 10}),
        ("05-04 12:00", "cart_updated", {"cart_id": "A", "total": 90}),
        ("05-04 20:00", "purchase", {"cart_id": "A"}),
        ("05-04 21:00", "cart_updated", {"cart_id": "A", "total": 5}),
        ("05-04 22:00", "purchase", {"cart_id": "A"}),
    )
    ran = case.run(interpreter)
    assert log_of(ran) == [
        "05-04 10:00 cart next",
        "05-04 11:00 cart next",
        "05-04 12:00 cart refused_inside",
        "05-04 14:00 bought timeout",
        "05-04 14:00 worth yes",
        "05-04 14:00 coupon next",
        "05-04 15:00 bought timeout",
        "05-04 15:00 worth no",
        "05-04 15:00 reminder next",
        "05-04 20:00 late event",
        "05-04 20:00 won next",
        "05-04 20:00 x end",
        "05-04 21:00 cart next",
        "05-04 22:00 bought event",
        "05-04 22:00 x end",
        "05-05 15:00 late timeout",
        "05-05 15:00 x end",
    ]
    assert ran.counters.watch_opened.tolist() == [3]
    assert ran.counters.watch_succeeded.tolist() == [2]
