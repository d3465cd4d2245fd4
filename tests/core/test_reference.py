"""Check the reference interpreter, detail by detail of docs/semantics.md, against hand-worked logs.

The vectors in tests/vectors/ show each detail in its plain form to every interpreter; here are its
further edges.
"""

# ruff: noqa: N802 - D is how details are numbered

from __future__ import annotations

from typing import Any

import pytest

from cases import Case, ask, log_of, ms, on, send, sure, wait, wait_event
from core.counters import DELAY_CELLS, HOUR_MS, delay_cell
from core.couplings import Grants, Kind
from core.hashing import hash_parts
from core.reference import Record, claims, run

ALWAYS = {"reentry": {"policy": "always"}}
STOP_ALL = {"type": "end", "whole_flow": True}
GO = ("05-04 10:00", "go")


def tag(name: str, target: Any) -> dict[str, Any]:
    return {"type": "add_tag", "tag": name, "next": target}


# -- one customer's timeline


def test_D1_recorded_inputs_keep_their_order_within_an_instant() -> None:
    case = Case(
        {"t": on("a", "x"), "u": on("b", "x")}, [GO, ("05-04 10:00", "b"), ("05-04 10:00", "a")]
    )
    assert case.log() == ["05-04 10:00 u next", "05-04 10:00 x end", "05-04 10:00 t refused_once"]


def test_D1_modelled_events_of_an_instant_come_by_creation() -> None:
    case = Case(
        {"t": on("go", "m"), "m": send("email", "a", "x"), "b": on("b", "x"), "a": on("a", "x")},
        [GO],
        settings=ALWAYS,
        responses=[{"outcomes": [sure("a"), sure("b")]}],
    )
    assert [line for line in case.log() if "next" in line][2:] == [
        "05-04 11:00 a next",
        "05-04 11:00 b next",
    ]


def test_D2_the_last_millisecond_before_the_horizon_is_worked() -> None:
    case = Case(
        {"t": on("go", "w"), "w": wait("59 minutes 59 seconds 999 ms", "x")},
        [GO],
        window=("05-01", "05-04 11:00", "05-04 11:00"),
    )
    assert case.log()[-1] == "05-04 10:59:59.999 x end"


def test_D3_a_success_is_seen_before_the_waits_that_the_event_ends() -> None:
    nodes = {
        "t": on("go", "w"),
        "w": wait_event("buy", yes="ab"),
        "ab": {
            "type": "ab_test",
            "branches": {"A": "100%", "B": "0%"},
            "target": {"event": "buy", "within": "1 day"},
            "next": {"A": "x", "B": "x"},
        },
    }
    counters = Case(nodes, [GO, ("05-04 11:00", "buy")]).run().counters
    assert (counters.watch_opened.tolist(), counters.watch_succeeded.tolist()) == ([1, 0], [0, 0])


def test_D3_segments_that_feed_each_other_end_with_the_budget() -> None:
    nodes = {
        "on": {"type": "on_segment", "if": {"tag": "a"}, "next": "off"},
        "off": {"type": "remove_tag", "tag": "a", "next": "x"},
        "off_now": {"type": "on_segment", "if": {"not": {"tag": "a"}}, "next": "again"},
        "again": tag("a", "x"),
    }
    ran = Case(nodes, settings=ALWAYS, options={"step_budget": 10}).run()
    assert [r.port for r in ran.records].count("next") == 6 + 5
    assert [(r.node, r.port) for r in ran.records][-2:] == [
        ("on", "next"),
        ("off", "parked_budget"),
    ]


def test_D4_a_forked_token_waits_for_its_turn() -> None:
    case = Case(
        {"t": on("go", ["a", "b", "x"]), "a": tag("a", ["x", "b"]), "b": tag("b", "x")}, [GO]
    )
    assert [line.split(" ", 2)[2] for line in case.log()] == [
        "t next",
        "a next",
        "x end",
        "b next",
        "x end",
        "x end",
        "b next",
        "x end",
    ]


def test_D5_tokens_ready_beyond_the_budget_are_parked_each() -> None:
    case = Case(
        {"t": on("go", ["a", "b", "a"]), "a": tag("a", "x"), "b": tag("b", "x")},
        [GO],
        options={"step_budget": 1},
    )
    assert [line.split(" ", 2)[2] for line in case.log()] == [
        "t next",
        "a next",
        "x parked_budget",
        "b parked_budget",
        "a parked_budget",
    ]
    assert case.run().counters.steps == 1 + 4


# -- tokens and entries


def test_D6_entries_are_numbered_as_they_begin_also_in_whose_timer_is_first() -> None:
    nodes = {
        "t": on("go", "w1"),
        "w1": wait("1 hour", "w2"),
        "w2": wait_event("no", timeout="2 hours", no="x"),
    }
    case = Case(nodes, [GO, ("05-04 10:00", "go")], settings=ALWAYS)
    entries = [record.entry for record in case.run().records if record.node == "w2"]
    began = [record.entry for record in case.run().records if record.node == "t"]
    assert entries == began


def test_D7_a_branch_without_a_target_is_idle_but_other_ends() -> None:
    nodes = {
        "t": on("go", "b"),
        "b": {
            "type": "branch_tag",
            "branches": {"v": "vip", "w": ["vip", "new"]},
            "next": {"w": "x"},
        },
    }
    people = [{"id": "v", "tags": ["new", "vip"]}, {"id": "n", "tags": ["new"]}, {"id": "o"}]
    case = Case(nodes, [(*GO, None, p["id"]) for p in people], customers=people)
    assert [case.log(customer=c)[1] for c in "vno"] == [
        "05-04 10:00 b v",
        "05-04 10:00 b w",
        "05-04 10:00 b no_branch",
    ]
    assert case.run().counters.idle.tolist() == [0, 1, 0]


def test_D8_a_woken_token_is_dropped_where_it_stands() -> None:
    nodes = {
        "t": on("go", ["a", "b"]),
        "a": wait_event("stop", yes="all"),
        "b": wait_event("stop", yes="x"),
        "all": STOP_ALL,
    }
    ran = Case(nodes, [GO, ("05-04 11:00", "stop")]).run()
    assert [(r.node, r.port) for r in ran.records][1:] == [
        ("a", "event"),
        ("all", "end"),
        ("b", "whole_flow"),
    ]
    assert ran.counters.entered.tolist() == [1, 1, 1, 1, 0]


@pytest.mark.parametrize(
    ("policy", "second"), [("after_exit", "refused_gap"), ("once", "refused_once")]
)
def test_D9_the_policy_is_judged_before_the_gap(policy: str, second: str) -> None:
    case = Case(
        {"t": on("go", "x")},
        [GO, ("05-04 11:00", "go")],
        settings={"reentry": {"policy": policy, "gap": "1 day"}},
    )
    assert case.log()[-1] == f"05-04 11:00 t {second}"


def test_D9_keys_are_equal_as_values() -> None:
    events = [(f"05-04 1{i}:00", "go", {"k": k}) for i, k in enumerate([1.5, 2, 2.0, 1.5])]
    case = Case({"t": on("go", "x")}, events, settings={"reentry": {"policy": "once", "key": "k"}})
    assert [line.split()[-1] for line in case.log() if " t " in line] == [
        "next",
        "next",
        "refused_once",
        "refused_once",
    ]


def test_D9_a_trigger_without_an_event_has_no_key() -> None:
    nodes = {"s": {"type": "on_segment", "if": {"tag": "v"}, "next": "x"}}
    case = Case(
        nodes,
        customers=[{"id": "c", "tags": ["v"]}],
        settings={"reentry": {"policy": "always", "key": "order"}},
    )
    assert case.log() == ["05-01 00:00 s refused_no_key"]


def test_D10_an_empty_window_lets_nobody_in() -> None:
    case = Case(
        {"t": on("go", "x"), "s": {"type": "on_segment", "if": {"never_did": "x"}, "next": "x"}},
        [GO],
        settings={"start": "2026-07-01", "stop": "2026-08-01"},
    )
    assert case.log() == []


def test_D11_a_refusal_bears_the_identity_that_the_entry_would_have_had() -> None:
    case = Case({"t": on("go", "x")}, [GO, ("05-04 11:00", "go")])
    hashes = [int(h) for h in case.people().event_hash]
    records = case.run().records
    assert [r.entry for r in records] == [
        hash_parts("event", hashes[0]),
        hash_parts("event", hashes[0]),
        hash_parts("event", hashes[1]),
    ]


def test_D12_visits_count_within_an_entry() -> None:
    nodes = {
        "t": on("go", ["m", "m"]),
        "m": send("email", "hi", "x"),
        "o": on("opened", "x"),
    }
    case = Case(nodes, [GO], settings=ALWAYS, responses=[{"outcomes": [sure("opened")]}])
    records = case.run().records
    entry = records[0].entry
    assert [r.entry for r in records if r.node == "o"] == [
        hash_parts("event", hash_parts("modelled", entry, "hi", "opened", visit))
        for visit in (1, 2)
    ]


# -- the decision log


def test_D13_D14_D15_records_are_plain_and_in_steps() -> None:
    case = Case({"t": on("go", "w"), "w": wait("1 day", "x")}, [GO])
    entry = hash_parts("event", int(case.people().event_hash[0]))
    assert case.run().records == [
        Record("c", 0, ms("05-04 10:00"), entry, "t", "next"),
        Record("c", 1, ms("05-05 10:00"), entry, "w", "next"),
        Record("c", 2, ms("05-05 10:00"), entry, "x", "end"),
    ]


# -- success, segments and schedules


def test_D31_a_watch_that_ends_at_the_horizon_is_not_matured() -> None:
    case = Case(
        {"t": on("go", "x")},
        [GO, ("05-04 10:30", "buy")],
        settings={"goal": {"event": "buy", "within": "1 hour"}},
        window=("05-01", "05-04 11:00", "05-04 11:00"),
    )
    counters = case.run().counters
    assert counters.watch_opened.tolist() == counters.watch_succeeded_ever.tolist() == [1]
    assert counters.watch_matured.tolist() == counters.watch_succeeded.tolist() == [0]


def test_D32_changes_before_the_first_look_are_no_edges() -> None:
    nodes = {"s": {"type": "on_segment", "if": {"did": "buy"}, "members": "joining", "next": "x"}}
    person = [{"id": "c", "created_at": "2026-05-05T00:00:00Z"}]
    assert Case(nodes, [("05-04 10:00", "buy")], customers=person).log() == []
    assert Case(nodes, [("05-06 10:00", "buy")], customers=person).log()[0] == "05-06 10:00 s next"


def test_D32_a_date_in_a_look_back_turns_too() -> None:
    where = {"property": "trip", "within_next": "2 days"}
    nodes = {"s": {"type": "on_segment", "if": {"did": "booked", "where": where}, "next": "x"}}
    case = Case(
        nodes,
        [("05-04 10:00", "booked", {"trip": "2026-05-20"})],
        audience={"property_types": {"trip": "date"}},
    )
    assert case.log() == ["05-18 00:00 s next", "05-18 00:00 x end"]


def test_D33_a_schedule_of_a_skipped_day_comes_once() -> None:
    # Samoa had no 30 December 2011: local times of that day are those of the 31st.
    node = {"type": "on_schedule", "repeat": "daily", "at": "09:00", "next": "x"}
    case = Case({"s": node}, settings={**ALWAYS, "zone": "Pacific/Apia"})
    options = case.run_options()
    first = ms("05-04") - (ms("05-04") - 1_325_116_800_000)  # 2011-12-29 00:00 UTC
    shifted = type(options)(first, first + 72 * HOUR_MS, first + 72 * HOUR_MS)
    fired = run(case.flow(), case.people(), shifted).records[::2]
    assert [(r.time_ms - first) // HOUR_MS for r in fired] == [19, 43, 67]


# -- the past


def test_D37_without_as_of_nobody_is_touched() -> None:
    case = Case({"t": on("go", "q"), "q": ask({"attribute": "a", "is": 1})}, [GO],
                customers=[{"id": "c", "attributes": {"a": 1}}])  # fmt: skip
    assert case.run().counters.touched.tolist() == [0, 0, 0]


def test_D38_a_change_before_the_window_counts_and_does_nothing() -> None:
    nodes = {"s": {"type": "on_segment", "if": {"attribute": "a", "is": 1}, "next": "x"}}
    case = Case(
        nodes,
        customers=[{"id": "c", "attributes": {"a": 0}}],
        changes=[("04-01 00:00", "a", 1)],
    )
    assert case.log()[0] == "05-01 00:00 s next"


# -- the whole


def test_counters_hold_delays_in_cells() -> None:
    nodes = {"t": on("go", ["x", "w"]), "w": wait("100 ms", "x")}
    counters = Case(nodes, [GO]).run().counters
    assert counters.entered.tolist() == [1, 1, 2]
    assert counters.delays.tolist() == [[2 * DELAY_CELLS + delay_cell(100), 1, 100]]
    assert counters.delay_sum_ms.tolist() == [0, 0, 100]


def test_messages_are_listed() -> None:
    case = Case({"t": on("go", "m"), "m": send("email", "hi", "x")}, [GO])
    result = run(case.flow(), case.people(), case.run_options())
    assert result.sends == [("c", "m", ms("05-04 10:00"), result.records[0].entry)]


def test_customers_can_be_picked_and_do_not_depend_on_each_other() -> None:
    people = [{"id": c} for c in "abc"]
    nodes = {
        "t": on("go", "s"),
        "s": {"type": "split", "branches": {"a": 5000, "b": 5000}, "next": {"a": "x", "b": "w"}},
        "w": wait("1 day", "x"),
    }
    case = Case(nodes, [(*GO, None, c) for c in "abc"], customers=people)
    every = run(case.flow(), case.people(), case.run_options())
    parts = [
        run(case.flow(), case.people(), case.run_options(), customers=[row]) for row in (2, 0, 1)
    ]
    assert [r for part in parts for r in part.records] == sorted(
        every.records, key=lambda r: ("cab".index(r.customer), r.step)
    )
    assert sum(part.counters.steps for part in parts) == every.counters.steps


# -- couplings


def test_D39_everybody_competes_whosever_decisions_are_asked_for() -> None:
    case = Case(
        {"t": on("go", "x")},
        [("05-04 10:00", "go", {}, name) for name in ("a", "b")],
        settings={"entry_cap": 1},
        customers=[{"id": "a"}, {"id": "b"}],
    )
    given = (case.flow(), case.people(), case.run_options())
    only = run(*given, customers=[0])
    assert [(r.customer, r.port) for r in only.records] == [("a", "refused_cap")]
    assert (only.counters.customers, only.counters.refused_cap.tolist()) == (1, [1, 0])
    assert [r.customer for r in run(*given, customers=[1]).records] == ["b", "b"]


def test_D40_grants_that_lack_an_answer_are_refused() -> None:
    case = Case({"t": on("go", "x")}, [GO], settings={"entry_cap": 1})
    given = (case.flow(), case.people(), case.run_options())
    with pytest.raises(ValueError, match="lack an answer for 'c'"):
        run(*given, grants=Grants.none(1))
    (claim,) = claims(*given, None, Grants.none(1), [0])
    assert (claim["time_ms"], claim["kind"], claim["number"]) == (ms("05-04 10:00"), Kind.ENTRY, 0)


def test_D41_a_modelled_event_may_stand_in_line() -> None:
    case = Case(
        {"t": on("go", "m"), "m": send("email", "a", "x"), "o": on("opened", "x")},
        [GO, ("05-04 11:00", "go")],
        settings=ALWAYS | {"entry_rate": {"per_second": 1}},
        responses=[{"outcomes": [sure("opened")]}],
    )
    ran = case.run()
    assert [line for line in log_of(ran) if " m " not in line and " x " not in line] == [
        "05-04 10:00 t next",
        "05-04 11:00 t next",
        "05-04 11:00:01 o next",
        "05-04 12:00 o next",
    ]
    assert ran.counters.modelled_entries.tolist() == [0, 0, 2, 0]
    assert ran.counters.queued.tolist() == [0, 0, 1, 0]
    assert ran.counters.line_sum_ms.tolist() == [0, 0, 1000, 0]
