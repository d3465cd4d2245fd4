"""Changes of the record as events: stages, tags, scores, details, owners, loyalty; E05 to E24."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from both_ways import ALWAYS, GO, told
from cases import Case, on

CHANGED = ("05-05 10:00", "05-06 10:00", "05-07 10:00")


def heard(
    word: str, changes: list[tuple[str, str, Any]], name: str, **fields: Any
) -> tuple[list[str], list[str]]:
    """When `on_<word>` lets the customer enter, and when each of three `wait_<word>` goes on."""
    customers = [{"id": "c", "attributes": {name: changes[-1][2]}}]
    trigger = {"t": {"type": f"on_{word}", **fields, "next": "x"}}
    case = Case(trigger, (), settings=ALWAYS, customers=customers, changes=changes)
    begun = [line[:11] for line in told(case) if line.endswith(" t next")]
    leads = [*(f"w{i}" for i in range(1, 3)), "x"]
    nodes: dict[str, Any] = {"go": on("go", "w0")}
    for place, target in enumerate(leads):
        nodes[f"w{place}"] = {"type": f"wait_{word}", **fields, "next": {"event": target}}
    case = Case(nodes, [GO], customers=customers, changes=changes)
    return begun, [line[:11] for line in told(case) if line.endswith(" event")]


def log_of(name: str, *values: Any, before: Any = None) -> list[tuple[str, str, Any]]:
    """Changes on three days, after one in April where there was a value before."""
    first = [] if before is None else [("04-20 10:00", name, before)]
    return first + [(at, name, value) for at, value in zip(CHANGED, values, strict=False)]


def both(times: list[str]) -> tuple[list[str], list[str]]:
    """Heard at the same times by the trigger and by the waits."""
    return times, times


def test_E07_the_RFM_status_changes() -> None:
    changes = log_of("rfm", "loyal", "loyal", "lost", before="new")
    assert heard("rfm_changed", changes, "rfm") == both(["05-05 10:00", "05-07 10:00"])


def test_E10_a_new_detail_is_the_first_value_only() -> None:
    changes = log_of("city", "Bonn", "Ulm")
    assert heard("detail_added", changes, "city", attribute="city") == both(["05-05 10:00"])
    changes = log_of("city", "Bonn", "Ulm", before="Rom")
    assert heard("detail_added", changes, "city", attribute="city") == both([])


def test_E13_a_detail_is_modified_by_another_value_only() -> None:
    changes = log_of("city", "Bonn", "Bonn", "Ulm")
    assert heard("detail_changed", changes, "city", attribute="city") == both(["05-07 10:00"])


def test_E16_a_new_owner() -> None:
    changes = log_of("owner", "ann", "ann", "bob")
    expected = both(["05-05 10:00", "05-07 10:00"])
    assert heard("owner_changed", changes, "owner") == expected


def test_E23_moved_to_a_tier() -> None:
    changes = log_of("tier:club", "silver", "gold", "gold")
    expected = both(["05-05 10:00", "05-06 10:00"])
    assert heard("tier_changed", changes, "tier:club", programme="club") == expected
    assert heard("tier_changed", changes, "tier:club", programme="air") == both([])


def test_E24_points_are_earned_and_not_spent() -> None:
    changes = log_of("points:club", 10, 5, 20)
    expected = both(["05-05 10:00", "05-07 10:00"])
    assert heard("points_earned", changes, "points:club", programme="club") == expected


@pytest.mark.parametrize(
    ("change", "times"),
    [
        ("first", [CHANGED[0]]),
        ("changed", list(CHANGED[1:])),
        ("raised", [CHANGED[0], CHANGED[2]]),
        ("lowered", [CHANGED[1]]),
        ("any", list(CHANGED)),
    ],
)
def test_A104_a_change_of_an_attribute_of_any_kind(change: str, times: list[str]) -> None:
    changes = log_of("due", 20, 10, 30)
    assert heard("change", changes, "due", attribute="due", change=change) == both(times)


def made(word: str, action: dict[str, Any], **fields: Any) -> list[str]:
    """The log of a flow that does something twice, an hour apart, and of `on_<word>` and a wait."""
    nodes = {
        "go": on("go", ["w", "a"]),
        "a": {**action, "next": "p"},
        "p": {"type": "wait", "for": "1 hour", "next": "b"},
        "b": {**action, "next": "x"},
        "t": {"type": f"on_{word}", **fields, "next": "x"},
        "w": {"type": f"wait_{word}", **fields, "next": {"event": "x"}},
    }
    lines = told(Case(nodes, [GO], settings=ALWAYS))
    return [line for line in lines if line[12:] in ("t next", "w event")]


ONCE = ["05-04 10:00 w event", "05-04 10:00 t next"]
TWICE = [*ONCE, "05-04 11:00 t next"]


def test_E09_X03_a_tag_that_an_action_assigns_is_heard_and_not_when_it_is_there_already() -> None:
    assert made("tag_added", {"type": "add_tag", "tag": "vip"}, tag="vip") == ONCE
    assert made("tag_added", {"type": "add_tag", "tag": "vip"}, tag="other") == []


def test_E16_X04_an_owner_that_an_action_sets_is_heard() -> None:
    action = {"type": "set_owner", "user": "ann"}
    assert made("owner_changed", action) == ONCE
    assert made("owner_changed", {**action, "co_owner": True}, co_owner="ann") == ONCE
    assert made("owner_changed", {**action, "co_owner": True}) == []


def test_E24_E23_X26_points_and_tiers_of_an_action_are_heard() -> None:
    action = {"type": "add_points", "programme": "club", "points": 60}
    assert made("points_earned", action, programme="club") == TWICE
    tiers = {**action, "tiers": {"gold": 100}}
    assert made("tier_changed", tiers, programme="club") == [
        "05-04 11:00 w event",
        "05-04 11:00 t next",
    ]


def test_E05_X06_coming_to_a_stage_is_heard_and_being_there_is_not() -> None:
    action = {"type": "add_to_stage", "campaign": "autumn", "stage": "won"}
    nodes = {
        "go": on("go", "a"),
        "a": {**action, "next": "p"},
        "p": {"type": "wait", "for": "1 hour", "next": "b"},
        "b": {**action, "next": "x"},
        "t": {"type": "on_stage", "campaign": "autumn", "stage": "won", "next": "x"},
        "u": {"type": "on_stage", "campaign": "autumn", "stage": "new", "next": "x"},
    }
    lines = told(Case(nodes, [GO], settings=ALWAYS))
    assert [line for line in lines if line[12] in "tu"] == ["05-04 10:00 t next"]


def test_E05_a_stage_is_waited_for() -> None:
    wait = {"type": "wait_stage", "campaign": "autumn", "stage": "won", "timeout": "1 day"}
    nodes = {
        "go": on("go", "w"),
        "w": {**wait, "next": {"met": "x", "timeout": "x"}},
        "win": on("win", "a"),
        "a": {"type": "add_to_stage", "campaign": "autumn", "stage": "won", "next": "x"},
    }
    won = told(Case(nodes, [GO, ("05-04 12:00", "win")], settings=ALWAYS))
    assert "05-04 12:00 w met" in won
    assert "05-05 10:00 w timeout" in told(Case(nodes, [GO], settings=ALWAYS))


@pytest.mark.parametrize(
    ("field", "value", "crossed"),
    [("reaches", 10, "05-04 11:00"), ("exceeds", 10, "05-04 12:00")],
)
def test_E11_E12_A026_a_score_that_actions_raise_crosses_a_value_once(
    field: str, value: int, crossed: str
) -> None:
    nodes = {
        "go": on("go", ["w", "a0"]),
        "w": {"type": "wait_score", field: value, "next": {"met": "x"}},
        "t": {"type": "on_score", field: value, "next": "x"},
    }
    for place in range(4):
        nodes[f"a{place}"] = {"type": "add_score", "by": 5, "next": f"p{place}"}
        nodes[f"p{place}"] = {"type": "wait", "for": "1 hour", "next": f"a{place + 1}"}
    nodes["a4"] = {"type": "add_score", "by": 5, "next": "x"}
    lines = told(Case(nodes, [GO], settings=ALWAYS))
    assert sorted(line for line in lines if line[12] in "tw") == [
        f"{crossed} t next",
        f"{crossed} w met",
    ]


def test_A026_a_score_falls_to_a_value() -> None:
    nodes = {
        "t": {"type": "on_score", "falls_to": 0, "next": "x"},
        "go": on("go", "a"),
        "a": {"type": "add_score", "by": -5, "next": "b"},
        "b": {"type": "add_score", "by": -5, "next": "x"},
    }
    case = Case(nodes, [GO, ("05-05 10:00", "go")], settings=ALWAYS,
                customers=[{"id": "c", "attributes": {"score": 10}}])  # fmt: skip
    assert [line for line in told(case) if line[12] == "t"] == ["05-04 10:00 t next"]
