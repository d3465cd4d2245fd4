"""Check how the reference interpreter passes nodes: details D22 to D36 beyond the vectors."""
# ruff: noqa: N802 - D is how details are numbered

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import Case, on, send, sure, wait, wait_event
from core.errors import HeadraceError
from core.hashing import hash_customer
from core.philox import assign_key, draw64, scale

GO = ("05-04 10:00", "go")


def test_D22_a_fraction_goes_into_a_fractional_attribute_only() -> None:
    nodes = {
        "t": on("go", "a"),
        "a": {"type": "add_to_attribute", "attribute": "n", "by": 0.5, "next": "x"},
    }
    assert (
        Case(nodes, [GO], customers=[{"id": "c", "attributes": {"n": 1.0}}])
        .log()[-1]
        .endswith("end")
    )
    with pytest.raises(HeadraceError):
        Case(nodes, [GO], customers=[{"id": "c", "attributes": {"n": 1}}]).log()


def test_D22_an_infinite_sum_parks() -> None:
    nodes = {
        "t": on("go", "a"),
        "a": {"type": "add_to_attribute", "attribute": "n", "by": 1e308, "next": "x"},
    }
    case = Case(nodes, [GO], customers=[{"id": "c", "attributes": {"n": 1e308}}])
    assert case.log()[-1] == "05-04 10:00 a parked_overflow"


def test_D23_a_chain_of_past_waits_is_one_activation() -> None:
    nodes = {"t": on("go", "w"), "w": wait("0 days", "v"), "v": wait("1 ms", "x")}
    assert Case(nodes, [GO]).log()[1:] == [
        "05-04 10:00 w next",
        "05-04 10:00:00.001 v next",
        "05-04 10:00:00.001 x end",
    ]


@pytest.mark.parametrize(
    ("began", "duration", "until"),
    [
        ("03-28 12:00", "1 day", "03-29 11:00"),  # Berlin loses an hour
        ("10-24 12:00", "1 day", "10-25 13:00"),  # and gains it
        ("10-24 12:00", "24 hours", "10-25 12:00"),
        ("03-30 12:00", "1 month", "04-30 12:00"),
        ("01-31 12:00", "3 months", "04-30 11:00"),
        ("10-24 22:30", "2 hours", "10-25 00:30"),
        ("10-24 00:30", "1 day 1 hour", "10-25 01:30"),
    ],
)
def test_D24_durations(began: str, duration: str, until: str) -> None:
    case = Case(
        {"t": on("go", "w"), "w": wait(duration, "x")},
        [(began, "go")],
        customers=[{"id": "c", "zone": "Europe/Berlin"}],
        window=("01-01", "12-31", "12-31"),
    )
    assert case.log()[1] == f"{until} w next"


def test_D25_wait_until_in_a_gap() -> None:
    nodes = {"t": on("go", "w"), "w": {"type": "wait_until", "at": "2026-03-29T02:15", "next": "x"}}
    case = Case(
        nodes,
        [("03-28 12:00", "go")],
        customers=[{"id": "c", "zone": "Europe/Berlin"}],
        window=("03-01", "06-01", "06-01"),
    )
    assert case.log()[1] == "03-29 01:15 w next"


def test_D26_a_birthday_of_29_february() -> None:
    nodes = {
        "t": on("go", "w"),
        "w": {"type": "wait_date", "attribute": "born", "offset": "26 years", "next": "x"},
    }
    case = Case(
        nodes,
        [("01-10 12:00", "go")],
        customers=[{"id": "c", "attributes": {"born": "2000-02-29"}}],
        audience={"attribute_types": {"born": "date"}},
        window=("01-01", "06-01", "06-01"),
    )
    assert case.log()[1] == "02-28 00:00 w next"


def test_D26_only_dates_can_be_waited_for() -> None:
    nodes = {"t": on("go", "w"), "w": {"type": "wait_date", "attribute": "n", "next": "x"}}
    with pytest.raises(HeadraceError):
        Case(nodes, [GO], customers=[{"id": "c", "attributes": {"n": 1}}]).log()


def test_D27_a_slot_of_one_weekday_is_a_week_away_when_over() -> None:
    slot = {"from": "09:00", "until": "09:30", "days": ["mon"]}
    nodes = {"t": on("go", "w"), "w": {"type": "wait_slot", "slots": [slot], "next": "x"}}
    assert Case(nodes, [("05-04 09:30", "go")]).log()[1] == "05-11 09:00 w next"
    assert Case(nodes, [("05-04 09:29:59.999", "go")]).log()[1] == "05-04 09:29:59.999 w next"


def test_D28_a_token_that_a_timer_brings_sees_events_of_the_instant_no_more() -> None:
    nodes = {"t": on("go", "w"), "w": wait("1 hour", "e"), "e": wait_event("click", yes="x")}
    ran = Case(nodes, [GO, ("05-04 11:00", "click")]).run()
    assert ran.counters.waiting.tolist() == [0, 0, 1, 0]


def test_D29_a_zone_that_the_flow_names_must_exist() -> None:
    with pytest.raises(HeadraceError, match="no time zone 'Mars'"):
        Case({"t": on("go", "x")}, [GO], settings={"zone": "Mars"}).log()


@given(st.integers(0, 2**64 - 1).map(str))
def test_D30_branches_follow_the_published_draw(name: str) -> None:
    weights = {"a": 1000, "b": 0, "c": 6500, "d": 2500}
    nodes = {
        "t": on("go", "s"),
        "s": {"type": "split", "branches": weights, "next": dict.fromkeys(weights, "x")},
    }
    case = Case(nodes, [(*GO, None, name)], customers=[{"id": name}])
    points = scale(draw64(assign_key("headrace", "f", "s"), hash_customer(name), 0), 10_000)
    expected = "a" if points < 1000 else "c" if points < 7500 else "d"
    assert case.log(customer=name)[1] == f"05-04 10:00 s {expected}"


def test_D30_weights_must_add_up() -> None:
    nodes = {"t": on("go", "s"), "s": {"type": "split", "branches": {"a": 1}, "next": {"a": "x"}}}
    with pytest.raises(HeadraceError, match="do not add up"):
        Case(nodes, [GO]).log()


def test_D34_only_leaving_a_send_draws() -> None:
    nodes = {"t": on("go", "m"), "m": send("email", "hi", "x")}
    case = Case(nodes, [GO], responses=[{"outcomes": [sure("o")]}], options={"step_budget": 0})
    ran = case.run()
    assert (case.log()[-1], ran.counters.modelled.tolist()) == ("05-04 10:00 m parked_budget", [0])


def test_D35_what_comes_at_the_horizon_does_not_happen() -> None:
    nodes = {"t": on("go", "m"), "m": send("email", "hi", "x")}
    case = Case(
        nodes,
        [GO],
        responses=[{"outcomes": [sure("early", "59 minutes"), sure("late", "1 hour")]}],
        window=("05-01", "05-04 11:00", "05-04 11:00"),
    )
    assert case.run().counters.modelled.tolist() == [1, 0]


def test_D36_a_recorded_event_does_not_answer_a_message() -> None:
    nodes = {
        "t": on("go", "m"),
        "m": send("email", "hi", "w"),
        "w": wait_event("opened", message="m", timeout="1 day", yes="x", no="x"),
    }
    case = Case(nodes, [GO, ("05-04 11:00", "opened", {"node": "m", "template": "hi"})])
    assert case.log()[2] == "05-05 10:00 w timeout"
