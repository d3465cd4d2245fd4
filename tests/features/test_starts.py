"""How flows start and who may enter: real-time, groups, cycles, segments; on both interpreters."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from both_ways import ALWAYS, entered, told
from cases import Case, ask, on
from core.document import read_flow
from core.lint import lint

PEOPLE = ["a", "b", "c"]


def entries(trigger: dict[str, Any], events: Any = (), **fields: Any) -> list[str]:
    """When the customer `c` enters by a trigger."""
    case = Case({"t": {**trigger, "next": "x"}}, events, **{"settings": ALWAYS, **fields})
    return [line[: -len(" t next")] for line in told(case) if line.endswith(" t next")]


def refused(document: str) -> set[str]:
    """The codes of what is wrong with a document."""
    flow, violations = read_flow(document, name="f.yaml")
    return {v.code for v in (violations if flow is None else lint(flow)) if v.severity == "error"}


# -- real-time marketing


def test_A023_A024_A100_a_customer_enters_when_he_does_the_event() -> None:
    events = [("05-04 10:00", "signed_up"), ("05-04 11:00", "other")]
    assert entries(on("signed_up", "x"), events) == ["05-04 10:00"]


@pytest.mark.parametrize(
    ("condition", "times"),
    [
        ({"score_reached": 50}, ["05-04 10:00", "05-07 10:00"]),
        ({"score_exceeded": 50}, ["05-07 10:00"]),
        ({"attribute": "score", "at_most": 10}, ["05-06 10:00"]),
    ],
)
def test_A026_E11_E12_a_score_rises_or_falls_to_a_value(
    condition: dict[str, Any], times: list[str]
) -> None:
    changes = [
        ("05-04 10:00", "score", 50),
        ("05-05 10:00", "score", 50),
        ("05-06 10:00", "score", 10),
        ("05-07 10:00", "score", 60),
        ("05-08 10:00", "score", 70),
    ]
    found = entries(
        {"type": "on_enter_segment", "if": condition},
        changes=changes,
        customers=[{"id": "c", "attributes": {"score": 20}}],
    )
    assert found == times


@pytest.mark.parametrize("name", ["city", "member_province"])
def test_A027_A029_A104_only_a_change_to_the_value_counts_and_not_having_it(name: str) -> None:
    changes = [
        ("05-04 10:00", name, "Bonn"),
        ("05-05 10:00", name, "Köln"),
        ("05-06 10:00", name, "Bonn"),
        ("05-07 10:00", name, "Bonn"),
    ]
    trigger = {"type": "on_enter_segment", "if": {"attribute": name, "is": "Bonn"}}
    now = [{"id": "c", "attributes": {name: "Bonn"}}]
    has_it, has_not = (("04-20 10:00", name, value) for value in ("Bonn", "Ulm"))
    assert entries(trigger, changes=[has_it, *changes], customers=now) == ["05-06 10:00"]
    found = entries(trigger, changes=[has_not, *changes], customers=now)
    assert found == ["05-04 10:00", "05-06 10:00"]


def test_A035_a_date_that_comes_round_each_year_begins_entries_at_a_local_time() -> None:
    birthday = {"type": "on_anniversary", "attribute": "birth_date", "at": "09:00"}
    people = [{"id": "c", "zone": "Asia/Tokyo", "attributes": {"birth_date": "1990-05-20"}}]
    years = {"window": ("05-01", "12-31", "12-31"), "customers": people}
    typed = {"audience": {"attribute_types": {"birth_date": "date"}}}
    assert entries(birthday, **years, **typed) == ["05-20 00:00"]
    assert entries({**birthday, "days_before": 7}, **years, **typed) == ["05-13 00:00"]


def test_A035_only_who_has_the_date_and_is_in_the_group_enters() -> None:
    trigger = {
        "type": "on_anniversary",
        "attribute": "birth_date",
        "at": "09:00",
        "if": {"group": "readers"},
    }
    people = [
        {"id": "a", "attributes": {"birth_date": "1990-05-20"}, "groups": ["readers"]},
        {"id": "b", "attributes": {"birth_date": "1990-05-20"}},
        {"id": "c", "groups": ["readers"]},
    ]
    case = Case(
        {"t": {**trigger, "next": "x"}},
        customers=people,
        settings=ALWAYS,
        audience={"attribute_types": {"birth_date": "date"}},
    )
    assert entered(case, PEOPLE, "t") == ["a"]


def test_A120_a_condition_may_ask_whether_it_is_the_birthday() -> None:
    nodes = {"go": on("go", "q"), "q": ask({"attribute": "birth_date", "anniversary_in_days": 0})}
    case = Case(
        nodes,
        [("05-19 23:59", "go"), ("05-20 00:00", "go"), ("05-20 23:59", "go"), ("05-21", "go")],
        customers=[{"id": "c", "attributes": {"birth_date": "1990-05-20"}}],
        settings=ALWAYS,
        audience={"attribute_types": {"birth_date": "date"}},
    )
    answers = [line.split()[-1] for line in told(case) if " q " in line]
    assert answers == ["no", "yes", "yes", "no"]


def test_A030_a_start_time_needs_a_stop_time_and_entries_are_between() -> None:
    events = [(f"05-{day:02} 10:00", "go") for day in (3, 4, 5, 6)]
    settings = {**ALWAYS, "start": "2026-05-04T10:00", "stop": "2026-05-06T10:00"}
    assert entries(on("go", "x"), events, settings=settings) == ["05-04 10:00", "05-05 10:00"]
    text = (
        "{headrace: 1, flow: f, settings: {start: 2026-05-04%s}, "
        "nodes: {t: {type: on_event, event: go, next: x}, x: {type: end}}}"
    )
    assert refused(text % "") == {"invalid-value"}
    assert refused(text % ", stop: 2026-05-06") == set()


@pytest.mark.parametrize(
    ("policy", "times"),
    [
        ("once", ["05-04 10:00"]),
        ("after_exit", ["05-04 10:00", "05-06 10:00"]),
        ("always", ["05-04 10:00", "05-05 10:00", "05-06 10:00"]),
    ],
)
def test_A031_A174_who_may_enter_again(policy: str, times: list[str]) -> None:
    events = [(f"05-0{day} 10:00", "go") for day in (4, 5, 6)]
    case = Case(
        {"t": on("go", "w"), "w": {"type": "wait", "for": "30 hours", "next": "x"}},
        events,
        settings={"reentry": {"policy": policy}},
    )
    lines = told(case)
    assert [line[:11] for line in lines if line.endswith(" t next")] == times


# -- groups, segments and lists


def test_A032_everybody_in_the_group_at_the_start_and_who_joins_it_later() -> None:
    nodes = {
        "t": {"type": "on_group", "group": "g", "next": "x"},
        "join": on("join", "add"),
        "add": {"type": "add_to_group", "group": "g", "next": "x"},
    }
    customers = [{"id": name, "groups": ["g"] if name == "a" else []} for name in PEOPLE]
    case = Case(nodes, [("05-04 10:00", "join", {}, "b")], customers=customers, settings=ALWAYS)
    assert entered(case, PEOPLE, "t") == ["a", "b"]
    assert told(case, "a")[0] == "05-01 00:00 t next"
    assert "05-04 10:00 t next" in told(case, "b")


def test_A034_a_group_comes_round_daily_weekly_and_monthly() -> None:
    member = {"customers": [{"id": "c", "groups": ["g"]}]}
    base = {"type": "on_schedule", "at": "09:00", "if": {"group": "g"}}
    weekly = {**base, "repeat": "weekly", "weekdays": ["mon"]}
    assert entries(weekly, **member) == [f"05-{day:02} 09:00" for day in (4, 11, 18, 25)]
    monthly = {**base, "repeat": "monthly", "days": [31]}
    assert entries(monthly, **member) == ["05-31 09:00"]
    daily = {**base, "repeat": "daily", "every": 10}
    assert len(entries(daily, **member)) == 3
    assert entries(weekly) == []


def test_A101_a_segment_is_entered() -> None:
    buyers = {"type": "on_enter_segment", "if": {"did": "purchase", "at_least": 2}}
    events = [(f"05-0{day} 10:00", "purchase") for day in (4, 5, 6)]
    assert entries(buyers, events) == ["05-05 10:00"]


def test_A102_a_segment_is_left_also_when_only_time_passes() -> None:
    active = {"type": "on_exit_segment", "if": {"did": "visit", "within": "3 days"}}
    assert entries(active, [("05-04 10:00", "visit")]) == ["05-07 10:00"]
    assert entries(active) == []
    tagged = {"type": "on_exit_segment", "if": {"attribute": "plan", "is": "gold"}}
    gold = [{"id": "c", "attributes": {"plan": "gold"}}]
    changes = [
        ("04-20 10:00", "plan", "gold"),
        ("05-04 10:00", "plan", "silver"),
        ("05-05 10:00", "plan", "bronze"),
    ]
    assert entries(tagged, customers=gold, changes=changes) == ["05-04 10:00"]


def test_A103_members_are_reminded_every_15_days_as_long_as_they_are_members() -> None:
    nodes = {
        "type": "on_schedule",
        "repeat": "daily",
        "every": 15,
        "at": "09:00",
        "if": {"did": "purchase", "within": "20 days"},
    }
    found = entries(
        nodes,
        [("05-01 08:00", "purchase")],
        settings={**ALWAYS, "start": "2026-05-01", "stop": "2026-06-01"},
    )
    assert found == ["05-01 09:00", "05-16 09:00"]


def test_A105_an_uploaded_list_starts_the_flow_not_yet_users_included() -> None:
    customers = [
        {"id": "a", "groups": ["upload-1"]},
        {"id": "b", "groups": ["upload-1"], "created_at": "2026-05-09"},
        {"id": "c"},
    ]
    case = Case({"t": {"type": "on_group", "group": "upload-1", "next": "x"}}, customers=customers)
    assert entered(case, PEOPLE, "t") == ["a", "b"]
    assert told(case, "b")[0] == "05-09 00:00 t next"


# -- Dynamics: frequency


def test_A180_A186_A187_a_static_audience_runs_exactly_once() -> None:
    nodes = {
        "t": {"type": "on_segment", "if": {"group": "g"}, "members": "at_start", "next": "x"},
        "join": on("join", "add"),
        "add": {"type": "add_to_group", "group": "g", "next": "x"},
    }
    customers = [{"id": name, "groups": ["g"] if name == "a" else []} for name in PEOPLE]
    events = [("05-04 10:00", "join", {}, "b")]
    case = Case(nodes, events, customers=customers, settings=ALWAYS)
    assert entered(case, PEOPLE, "t") == ["a"]
    assert [line for line in told(case, "a") if " t " in line] == ["05-01 00:00 t next"]


def test_A188_each_person_once_even_if_removed_and_added_again() -> None:
    nodes = {
        "t": {"type": "on_group", "group": "g", "next": "x"},
        "out": on("leave", "remove"),
        "remove": {"type": "remove_from_group", "group": "g", "next": "x"},
        "in": on("join", "add"),
        "add": {"type": "add_to_group", "group": "g", "next": "x"},
    }
    events = [("05-04 10:00", "leave"), ("05-05 10:00", "join")]
    once = {"reentry": {"policy": "once"}}
    case = Case(nodes, events, customers=[{"id": "c", "groups": ["g"]}], settings=once)
    lines = [line for line in told(case) if " t " in line]
    assert lines == ["05-01 00:00 t next"]


def test_A189_who_is_added_between_runs_waits_for_the_next_run() -> None:
    trigger = {"type": "on_schedule", "repeat": "weekly", "weekdays": ["mon"], "at": "09:00"}
    found = entries(
        {**trigger, "if": {"attribute": "plan", "is": "gold"}},
        changes=[("05-05 10:00", "plan", "gold"), ("05-12 10:00", "plan", "none")],
        customers=[{"id": "c", "attributes": {"plan": "none"}}],
    )
    assert found == ["05-11 09:00"]


def test_A190_a_start_date_and_time() -> None:
    once = {"type": "on_schedule", "repeat": "once", "date": "2026-05-20", "at": "16:30"}
    assert entries(once) == ["05-20 16:30"]


def test_A191_the_time_zone_of_the_flow() -> None:
    once = {"type": "on_schedule", "repeat": "once", "date": "2026-05-20", "at": "16:30"}
    berlin = {**ALWAYS, "zone": "Europe/Berlin"}
    assert entries(once, settings=berlin) == ["05-20 14:30"]
    paris = [{"id": "c", "zone": "America/New_York"}]
    assert entries(once, settings=berlin, customers=paris) == ["05-20 14:30"]
    own = {**once, "zone": "customer"}
    assert entries(own, settings=berlin, customers=paris) == ["05-20 20:30"]


# -- structures


def test_A160_a_structure_begins_with_an_event_and_several_may() -> None:
    assert "no-trigger" in refused(
        "{headrace: 1, flow: f, nodes: {a: {type: add_tag, tag: t, next: x}, x: {type: end}}}"
    )
    nodes = {"t": on("go", "x"), "u": on("come", "x")}
    events = [("05-04 10:00", "go"), ("05-04 11:00", "come")]
    assert [line for line in told(Case(nodes, events, settings=ALWAYS)) if "next" in line] == [
        "05-04 10:00 t next",
        "05-04 11:00 u next",
    ]


def test_A161_an_event_in_mid_flow_ignores_what_stands_before_it() -> None:
    nodes = {
        "t": on("go", "q"),
        "q": ask({"tag": "vip"}, "w", "x"),
        "w": {"type": "wait_event", "event": "buy", "entry": True, "next": {"event": "x"}},
    }
    lines = told(Case(nodes, [("05-04 10:00", "buy")]))
    assert lines == ["05-04 10:00 w event", "05-04 10:00 x end"]


def test_A162_one_event_begins_several_structures() -> None:
    nodes = {
        "t": on("go", "one"),
        "u": on("go", "two"),
        "one": {"type": "add_tag", "tag": "one", "next": "x"},
        "two": {"type": "add_tag", "tag": "two", "next": "x"},
    }
    lines = told(Case(nodes, [("05-04 10:00", "go")], settings=ALWAYS))
    assert [line for line in lines if "one" in line or "two" in line] == [
        "05-04 10:00 one next",
        "05-04 10:00 two next",
    ]


def test_A163_a_time_limit_on_an_event_and_none_on_the_first() -> None:
    wait = {"type": "wait_event", "event": "buy", "timeout": "2 hours"}
    nodes = {"t": on("go", "w"), "w": {**wait, "next": {"event": "x", "timeout": "late"}},
             "late": {"type": "add_tag", "tag": "late", "next": "x"}}  # fmt: skip
    assert told(Case(nodes, [("05-04 10:00", "go")]))[1:] == [
        "05-04 12:00 w timeout",
        "05-04 12:00 late next",
        "05-04 12:00 x end",
    ]
    text = "{headrace: 1, flow: f, nodes: {w: {type: wait_event, event: buy, entry: true, "
    text += "timeout: 2 hours, next: {event: x, timeout: x}}, x: {type: end}}}"
    assert "first-event-timeout" in refused(text)


def test_A158_A172_no_flow_without_an_end() -> None:
    text = "{headrace: 1, flow: f, nodes: {t: {type: on_event, event: go, next: a}, "
    assert "no-end" in refused(text + "a: {type: add_tag, tag: t}}}")
    assert refused(text + "a: {type: add_tag, tag: t, next: x}, x: {type: end}}}") == set()


def test_A182_two_sources_of_people_in_one_flow() -> None:
    nodes = {
        "t": {"type": "on_group", "group": "contacts", "next": "x"},
        "u": {"type": "on_group", "group": "leads", "next": "x"},
    }
    customers = [{"id": "a", "groups": ["contacts"]}, {"id": "b", "groups": ["leads"]}, {"id": "c"}]
    case = Case(nodes, customers=customers)
    assert (entered(case, PEOPLE, "t"), entered(case, PEOPLE, "u")) == (["a"], ["b"])


def test_A105_a_flow_on_a_list_that_nobody_is_in_lets_nobody_in() -> None:
    case = Case({"t": {"type": "on_group", "group": "empty", "next": "x"}})
    assert entered(case, ["c"], "t") == []
