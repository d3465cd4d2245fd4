"""Controls of a flow: holdouts, goals, exits, several events at once, paths that join again."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from both_ways import ALWAYS, GO, ran, sent, told
from cases import Case, on, send, wait
from core.document import read_flow
from core.lint import lint

IDS = [f"c{i}" for i in range(600)]


def held_out(settings: dict[str, Any], **options: Any) -> tuple[set[str], Case]:
    """Who of many is kept out of a flow that sends an e-mail."""
    case = Case(
        {"go": on("go", "a"), "a": send("email", "t", "x")},
        [("05-04 10:00", "go", {}, name) for name in IDS],
        customers=[{"id": name} for name in IDS],
        settings={**ALWAYS, **settings},
        options=options,
    )
    found = ran(case)
    return {r.customer for r in found.records if r.port == "refused_holdout"}, case


def test_N10_a_holdout_is_kept_out_and_measured() -> None:
    goal = {"goal": {"event": "buy", "within": "1 day"}}
    kept, case = held_out({"holdout": {"share": "20%"}, **goal})
    # Six standard deviations of a fifth of 600.
    assert abs(len(kept) - 120) < 60
    assert sent(case) == {"email": 600 - len(kept)}
    assert ran(case).counters.watch_opened.tolist() == [600 - len(kept), len(kept)]


def test_N10_flows_of_one_group_keep_out_the_same_people() -> None:
    of_one, case = held_out({"holdout": {"share": "20%", "group": "everywhere"}})
    other = case.flow().model_copy(update={"flow": "another"})
    again = {r.customer for r in _records(other, case) if r.port == "refused_holdout"}
    assert again == of_one
    own, _ = held_out({"holdout": {"share": "20%"}})
    assert own != of_one


def _records(flow: Any, case: Case) -> Any:
    from core.reference import run

    return run(flow, case.people(), case.run_options()).records


def test_N11_a_goal_counts_within_its_window() -> None:
    names = IDS[:3]
    events = [("05-04 10:00", "go", {}, name) for name in names]
    events += [("05-05 10:00", "buy", {}, names[0]), ("05-05 10:00:00.001", "buy", {}, names[1])]
    case = Case(
        {"go": on("go", "x")},
        events,
        customers=[{"id": name} for name in names],
        settings={"goal": {"event": "buy", "within": "24 hours"}},
    )
    counters = ran(case).counters
    assert (counters.watch_opened.tolist(), counters.watch_succeeded.tolist()) == ([3], [1])


@pytest.mark.parametrize(
    "rule",
    [
        {"event": "resigned"},
        {"event": "resigned", "where": {"property": "channel", "is": "email"}},
        {"if": {"did": "resigned"}},
    ],
    ids=["event", "filter", "segment"],
)
def test_N11_an_exit_criterion_takes_out_at_once(rule: dict[str, Any]) -> None:
    nodes = {"go": on("go", ["w", "v"]), "w": wait("3 days", "x"), "v": wait("5 days", "x")}
    events = [GO, ("05-06 12:00", "resigned", {"channel": "email"})]
    lines = told(Case(nodes, events, settings={"exit": [rule]}))
    assert lines == ["05-04 10:00 go next", "05-06 12:00 w exit", "05-06 12:00 v exit"]


def test_N11_whom_an_exit_criterion_does_not_fit_stays() -> None:
    rule = {"event": "resigned", "where": {"property": "channel", "is": "sms"}}
    nodes = {"go": on("go", "w"), "w": wait("3 days", "x")}
    events = [GO, ("05-06 12:00", "resigned", {"channel": "email"})]
    assert told(Case(nodes, events, settings={"exit": [rule]}))[-1] == "05-07 10:00 x end"


def test_N15_the_first_of_several_events_goes_on_and_the_others_are_late() -> None:
    several = {"bought": {"event": "buy"}, "left": {"event": "leave"}}
    nodes = {
        "go": on("go", "w"),
        "w": {
            "type": "wait_any",
            "events": several,
            "timeout": "2 days",
            "next": {"bought": "x", "left": "x", "timeout": "x"},
        },
    }
    events = [GO, ("05-04 11:00", "leave"), ("05-04 12:00", "buy")]
    assert told(Case(nodes, events))[1:] == ["05-04 11:00 w left", "05-04 11:00 x end"]
    assert told(Case(nodes, [GO]))[1:] == ["05-06 10:00 w timeout", "05-06 10:00 x end"]


def test_N15_waiting_until_a_condition_holds_that_time_alone_makes_true() -> None:
    condition = {"not": {"did": "visit", "within": "2 days"}}
    nodes = {
        "go": on("go", "w"),
        "w": {"type": "wait_condition", "if": condition, "next": {"met": "x"}},
    }
    events = [("05-04 09:00", "visit"), GO]
    assert told(Case(nodes, events))[1:] == ["05-06 09:00 w met", "05-06 09:00 x end"]
    assert told(Case(nodes, [GO]))[1:] == ["05-04 10:00 w met", "05-04 10:00 x end"]


def test_N16_paths_join_again_and_a_jump_back_passes_a_wait() -> None:
    nodes = {
        "go": on("go", ["a", "b"]),
        "a": {"type": "add_score", "by": 1, "next": "j"},
        "b": {"type": "add_score", "by": 1, "next": "j"},
        "j": {"type": "wait_score", "reaches": 3, "timeout": "1 day",
              "next": {"met": "x", "timeout": "a"}},
    }  # fmt: skip
    lines = told(Case(nodes, [GO]))
    assert [line for line in lines if " j " in line] == [
        "05-05 10:00 j timeout",
        "05-05 10:00 j met",
        "05-05 10:00 j met",
    ]


def test_N16_a_cycle_without_a_wait_is_refused() -> None:
    text = (
        "{headrace: 1, flow: f, nodes: {t: {type: on_event, event: go, next: a}, "
        "a: {type: add_score, by: 1%s, next: q}, x: {type: end}, "
        "q: {type: condition, if: {score_reached: 3}, next: {yes: x, no: a}}}}"
    )
    for delay, refused in (("", True), (", delay: 1 hour", False)):
        flow, violations = read_flow(text % delay, name="f.yaml")
        assert flow is not None, violations
        found = {v.code for v in lint(flow) if v.severity == "error"}
        assert ("cycle-without-wait" in found) == refused, found
