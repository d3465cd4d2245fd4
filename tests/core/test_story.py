"""Check the stories that are told of customers, word by word."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from cases import Case, ask, ms, on, send, sure, wait, wait_event
from core.story import Story, tell

GO = ("05-04 10:00", "go")
ALWAYS = {"reentry": {"policy": "always"}}


def told(case: Case, row: int = 0) -> Story:
    return tell(case.flow(), case.people(), row, case.run_options(), case.model())


def lines(story: Story) -> list[str]:
    return [f"{step.node} {step.port}: {step.reason}" for step in story.steps]


def reason_of(condition: dict[str, Any], **customer: Any) -> str:
    """The reason of a condition node's answer."""
    case = Case(
        {"t": on("go", "q"), "q": ask(condition)},
        [("05-03 10:00", "buy", {"sum": 20}), ("05-04 10:00", "go", {"sum": 5})],
        customers=[{"id": "c", **customer}],
    )
    return told(case).steps[1].reason


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"attribute": "country", "is": "DE"}, '`country` is "DE" -> yes'),
        (
            {"attribute": "country", "is": "FR"},
            '`country` is "DE" (asked: `country` is "FR") -> no',
        ),
        ({"attribute": "age", "above": 30}, "`age` is 41 (asked: `age` is above 30) -> yes"),
        ({"attribute": "plan", "is": "gold"}, "`plan` is missing -> no"),
        ({"attribute": "vip", "is": True}, "`vip` is true -> yes"),
        ({"entry": "sum", "is": 5}, "the entry's `sum` is 5 -> yes"),
        ({"tag": "new"}, "tagged `new` -> yes"),
        ({"tag": "old"}, "not tagged `old` -> no"),
        ({"not": {"group": "g"}}, "not in the group `g` -> yes"),
        (
            {"did": "buy", "within": "2 days"},
            "`buy` counted once (asked: `buy` happened in the last 2 days) -> yes",
        ),
        (
            {"never_did": "buy", "where": {"property": "sum", "above": 50}},
            "`buy` counted 0 times (asked: `buy` where `sum` is above 50 never happened) -> yes",
        ),
        (
            {"all": [{"tag": "new"}, {"attribute": "plan", "is_set": True}, {"tag": "old"}]},
            "`plan` is missing -> no",
        ),
        (
            {"all": [{"tag": "new"}, {"attribute": "country", "is": "DE"}]},
            'tagged `new` and `country` is "DE" -> yes',
        ),
        ({"any": [{"tag": "old"}, {"tag": "new"}]}, "tagged `new` -> yes"),
        ({"any": [{"tag": "old"}, {"tag": "odd"}]}, "not tagged `old` and not tagged `odd` -> no"),
    ],
)
def test_conditions_are_told_by_what_decided(condition: dict[str, Any], reason: str) -> None:
    attributes = {"country": "DE", "age": 41, "vip": True}
    assert reason_of(condition, attributes=attributes, tags=["new"]) == reason


def test_times_are_in_utc_and_on_the_customers_clock() -> None:
    case = Case(
        {"t": on("go", "w"), "w": wait("1 day", "x")},
        [("05-04 10:00:00.500", "go")],
        customers=[{"id": "c", "zone": "Asia/Tokyo"}],
        settings={"zone": "Europe/Berlin"},
    )
    story = told(case)
    assert (story.customer, story.zone) == ("c", "Asia/Tokyo")
    assert asdict(story.steps[0].at) == {
        "ms": ms("05-04 10:00:00.500"),
        "utc": "2026-05-04T10:00:00.500+00:00",
        "local": "2026-05-04T19:00:00.500+09:00",
    }
    assert story.steps[1].reason == "Wait 1 day: until 2026-05-05 19:00:00.500"


def test_steps_have_their_reasons() -> None:
    case = Case(
        {
            "start": on("go", "b", where={"property": "sum", "above": 1}),
            "b": {
                "type": "branch_attribute",
                "attribute": "country",
                "branches": {"de": "DE"},
                "next": {"de": "tags", "other": "x"},
            },
            "tags": {
                "type": "branch_tag",
                "branches": {"new": "new", "vip": ["vip", "gold"]},
                "next": {"new": "x", "vip": "s"},
            },
            "s": {
                "type": "split",
                "branches": {"a": "50%", "b": "50%"},
                "next": {"a": "tag", "b": "tag"},
            },
            "tag": {"type": "add_tag", "tag": "seen", "next": "m"},
            "m": send("email", "hi", "past"),
            "past": {"type": "wait_until", "at": "2026-05-01", "next": "w"},
            "w": wait_event("click", timeout="2 hours", yes="x", no="d"),
            "d": {
                "type": "wait_date",
                "attribute": "born",
                "next": {"next": "x", "missing": "end"},
            },
            "end": {"type": "end"},
        },
        [("05-04 10:00", "go", {"sum": 3})],
        customers=[{"id": "c", "attributes": {"country": "DE"}, "tags": ["gold", "other"]}],
    )
    story = told(case)
    assert lines(story) == [
        "start next: `go` happened; `sum` is 3 (asked: `sum` is above 1)",
        'b de: `country` is "DE" -> de',
        "tags vip: tagged `gold` -> vip",
        "s a: assigned to a: draw 3085 of 10000",
        "tag next: Add the tag `seen`",
        "m next: Send e-mail `hi`",
        "past next: Wait until 2026-05-01 (customer's time): 2026-05-01 00:00 had come already",
        "w timeout: no `click` until 2026-05-04 12:00 -> timeout",
        "d missing: `born` is missing",
        "end end: End",
    ]
    assert [step.entry for step in story.steps] == [0] * 10
    assert (story.places, story.never_entered) == ([], [])


def test_ends_and_parks_have_reasons_too() -> None:
    case = Case(
        {
            "t": on("go", ["w", "b", "add", "idle", "later"]),
            "w": wait("1 day", "x"),
            "b": {
                "type": "branch_tag",
                "branches": {"new": "new"},
                "next": {"new": "x"},
            },
            "add": {"type": "add_to_attribute", "attribute": "n", "by": 1, "next": "x"},
            "idle": {"type": "add_tag", "tag": "i"},
            "later": wait("1 hour", "all"),
            "all": {"type": "end", "whole_flow": True},
        },
        [GO],
        customers=[{"id": "c", "attributes": {"n": 2**63 - 1}}],
    )
    assert lines(told(case))[1:] == [
        "b no_branch: carries no tag of a branch -> other, and nothing follows for others",
        "add parked_overflow: parked: the sum is beyond what a number can hold",
        "idle next: Add the tag `i`; nothing follows",
        "later next: Wait 1 hour: until 2026-05-04 11:00",
        "all end: End the whole entry",
        "w whole_flow: another token ended the whole entry",
        "add whole_flow: another token ended the whole entry",
        "idle whole_flow: another token ended the whole entry",
    ]
    small = Case({"t": on("go", "x")}, [GO], options={"step_budget": 0})
    assert lines(told(small))[1:] == ["x parked_budget: parked: more than 0 nodes in one go"]


def test_what_a_customer_waits_for_at_the_horizon() -> None:
    case = Case(
        {
            "t": on("go", ["e", "f", "i", "p"]),
            "e": wait_event("click", timeout="90 days", yes="x", no="x"),
            "f": wait_event("never", yes="x"),
            "i": {"type": "add_tag", "tag": "i"},
            "p": {"type": "add_to_attribute", "attribute": "n", "by": 1, "next": "x"},
        },
        [GO],
        customers=[{"id": "c", "attributes": {"n": 2**63 - 1}}],
    )
    places = told(case).places
    assert [(p.node, p.status, p.reason) for p in places] == [
        ("e", "waiting", "Wait for `click`, at most 90 days"),
        ("f", "waiting", "Wait for `never`"),
        ("i", "idle", "nothing follows"),
        ("p", "parked", "parked"),
    ]
    assert {p.since.ms for p in places} == {ms("05-04 10:00")}
    assert [p.due and p.due.utc for p in places] == [
        "2026-08-02T10:00:00.000+00:00",
        None,
        None,
        None,
    ]


def test_modelled_events_are_marked() -> None:
    case = Case(
        {
            "t": on("go", "m"),
            "m": send("email", "hi", "w"),
            "w": wait_event("opened", yes="x"),
            "o": on("opened", "x"),
        },
        [GO],
        settings=ALWAYS,
        responses=[{"outcomes": [sure("opened")]}],
    )
    story = told(case)
    assert lines(story)[2:] == [
        "w event: `opened` happened (modelled)",
        "x end: End",
        "o next: `opened` happened (modelled)",
        "x end: End",
    ]
    assert [step.modelled for step in story.steps] == [False, False, True, False, True, False]


@pytest.mark.parametrize(
    ("reentry", "reason"),
    [
        ({"policy": "once"}, "entered at 2026-05-04 10:00 already, and may once only"),
        ({"policy": "after_exit"}, "still inside since 2026-05-04 10:00"),
        (
            {"policy": "always", "gap": "1 day"},
            "the last entry at 2026-05-04 10:00 is less than 1 day ago",
        ),
        (
            {"policy": "once", "key": "k"},
            "entered with this `k` at 2026-05-04 10:00 already, and may once only",
        ),
    ],
)
def test_refusals_say_what_stood_in_the_way(reentry: dict[str, Any], reason: str) -> None:
    case = Case(
        {"t": on("go", "w"), "w": wait("1 day", "x")},
        [("05-04 10:00", "go", {"k": 1}), ("05-04 11:00", "go", {"k": 1})],
        settings={"reentry": reentry},
    )
    refusal = told(case).steps[1]
    assert (refusal.entry, refusal.reason) == (None, f"`go` happened, but {reason}")


SEGMENT = {
    "type": "on_segment",
    "if": {"all": [{"tag": "a"}, {"attribute": "n", "above": 5}]},
    "next": "x",
}


@pytest.mark.parametrize(
    ("trigger", "events", "customer", "reason"),
    [
        (on("go", "x"), [], {}, "no `go` ever"),
        (
            on("go", "x"),
            [("04-03 10:00", "go")],
            {},
            "no `go` in the time of entries; the last was at 2026-04-03 10:00",
        ),
        (
            on("go", "x", where={"property": "sum", "above": 9}),
            [("05-03 10:00", "go", {"sum": 2}), ("05-04 10:00", "go", {"sum": 3})],
            {},
            "`go` happened at 2026-05-04 10:00, but `sum` is 3 (asked: `sum` is above 9); "
            "the last of 2",
        ),
        (
            SEGMENT,
            [],
            {"tags": ["a"], "attributes": {"n": 3}},
            "never matched: `n` is 3 (asked: `n` is above 5)",
        ),
        (SEGMENT, [], {"attributes": {"n": 9}}, "never matched: not tagged `a`"),
        (
            {**SEGMENT, "members": "joining"},
            [],
            {"tags": ["a"], "attributes": {"n": 9}},
            "matched from the start, and only those enter who come to match",
        ),
        (
            {**SEGMENT, "members": "at_start"},
            [],
            {"created_at": "2026-07-01", "tags": ["a"], "attributes": {"n": 9}},
            "its time did not come in the time of entries, for a customer since 2026-07-01 00:00",
        ),
        (
            {"type": "on_segment", "if": {"did": "go"}, "members": "at_start", "next": "x"},
            [GO],
            {},
            "came to match later, and only those enter who match at the start",
        ),
        (
            {
                "type": "on_schedule",
                "repeat": "once",
                "date": "2026-07-01",
                "at": "10:00",
                "next": "x",
            },
            [],
            {},
            "its time did not come in the time of entries",
        ),
        (
            {
                "type": "on_schedule",
                "repeat": "daily",
                "at": "10:00",
                "if": {"tag": "a"},
                "next": "x",
            },
            [],
            {},
            "never matched: not tagged `a`",
        ),
    ],
)
def test_why_a_customer_never_entered(
    trigger: dict[str, Any], events: list[Any], customer: dict[str, Any], reason: str
) -> None:
    story = told(Case({"t": trigger}, events, customers=[{"id": "c", **customer}]))
    assert (story.steps, story.never_entered) == ([], [f"`t`: {reason}"])


def test_a_refusal_without_a_key_is_why_nobody_entered() -> None:
    case = Case(
        {"t": on("go", "x")}, [GO], settings={"reentry": {"policy": "once", "key": "order"}}
    )
    assert told(case).never_entered == [
        "`t`: `go` happened, but there is no `order` to tell entries apart"
    ]


def test_a_story_is_plain_data() -> None:
    case = Case({"t": on("go", "w"), "w": wait("90 days", "x")}, [GO])
    story = asdict(told(case))
    assert json.loads(json.dumps(story)) == story


def test_of_many_customers_one_is_told() -> None:
    people = [{"id": "a"}, {"id": "b"}]
    case = Case({"t": on("go", "x")}, [(*GO, None, "b")], customers=people)
    assert [told(case, row).customer for row in (0, 1)] == ["a", "b"]
    assert told(case, 0).never_entered == ["`t`: no `go` ever"]
    with pytest.raises(IndexError):
        told(case, 2)


def test_whoever_stands_in_line_is_told_so() -> None:
    go = [("05-04 10:00", "go", {}, name) for name in ("e", "b", "a", "c")]
    case = Case(
        {"t": on("go", "k"), "k": {"type": "take_coupon", "pool": "p", "next": {"taken": "x"}}},
        [*go, ("05-04 10:00:01", "go", {}, "a")],
        settings={"entry_rate": {"per_second": 1}, "entry_cap": 3, "coupons": {"p": 1}},
        customers=[{"id": name} for name in "abce"],
        window=("05-01", "06-01", "06-01"),
    )
    assert lines(told(case, 3)) == [
        "t next: `go` happened",
        "k taken: Take a coupon of `p` -> taken",
        "x end: End",
    ]
    assert lines(told(case, 2)) == [
        "t next: `go` happened, then stood in line since 2026-05-04 10:00",
        "k sold_out: Take a coupon of `p` -> sold_out; nothing follows",
    ]
    assert lines(told(case, 0)) == [
        "t refused_cap: `go` happened, but as many people as may had entered",
        "t refused_cap: `go` happened, but as many people as may had entered",
    ]
    rated = {"entry_rate": {"per_second": 1}}
    short = Case(
        case.nodes, case.events, settings={**rated, "coupons": {"p": 1}}, customers=case.customers,
        window=("05-01", "05-04 10:00:02", "05-04 10:00:03"),
    )  # fmt: skip
    assert lines(told(short, 2)) == [
        "t refused_late: `go` happened, then stood in line since 2026-05-04 10:00, "
        "but the time of entries was over"
    ]
    waiting = told(short, 0)
    assert lines(waiting) == [
        "t refused_once: `go` happened, but stands in line since 2026-05-04 10:00 already"
    ]


def test_a_test_that_has_ended_is_told_so() -> None:
    target = {"event": "buy", "within": "1 day"}
    node = {"type": "ab_test", "branches": {"A": "50%", "B": "50%"}, "target": target}
    until = {"people": 1, "then": "B"}
    case = Case(
        {"t": on("go", "s"), "s": {**node, "until": until, "next": {"A": "x", "B": "x"}}},
        [("05-04 10:00", "go", {}, "c"), ("05-04 10:01", "go", {}, "f")],
        customers=[{"id": "c"}, {"id": "f"}],
    )
    assert lines(told(case, 0))[1] == "s A: assigned to A: draw 3085 of 10000"
    assert lines(told(case, 1))[1] == "s B: assigned to B: the test had ended"
