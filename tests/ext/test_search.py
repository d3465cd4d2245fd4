"""Holds the compiled interpreter against the reference where customers depend on each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from actors.coupled_dry_run import MachineRunner
from core.audience_build import audience_from_python
from core.couplings import ANSWER, DECISION, Grants, Kind, in_order, line_times
from core.flow import Flow
from core.options import RunOptions
from core.reference import claims
from coupled_cases import ReferenceRunner, coupled_case, crowded_case
from differential import (
    CUTS,
    Cut,
    Loaded,
    TooLongError,
    difference_of_cut,
    disagreement,
    load,
    run_reference,
)
from ext.machine import Machine
from ext.search import SearchMachine

SEEDS = st.integers(0, 2**63 - 1)
PHASES = (Phase.explicit, Phase.generate)
COUPLED_CUTS = (Cut(), Cut(1, 1), Cut(64, 3, 2, 3), Cut(4096, 64, 2))
CASES = 25


def check_many(make: Callable[[int], dict[str, Any]], cases: int) -> Counter[str]:
    """Check as many random cases; returns how often each outcome and port was decided."""
    reached: Counter[str] = Counter()

    @settings(max_examples=cases, phases=PHASES)
    @given(SEEDS)
    def check(seed: int) -> None:
        case = make(seed)
        try:
            found = disagreement(case, COUPLED_CUTS, seed)
            reached.update(record.port for record in run_reference(load(case))[0])
        except TooLongError:
            return
        assert found is None, f"seed {seed}: {found}"

    check()
    return reached


def test_both_interpreters_decide_alike_where_a_crowd_competes() -> None:
    reached = check_many(crowded_case, CASES)
    for port in ("taken", "sold_out", "refused_cap", "A", "B"):
        assert reached[port], port


def test_both_interpreters_decide_alike_in_coupled_random_cases() -> None:
    reached = check_many(coupled_case, CASES)
    assert reached["taken"]
    assert reached["sold_out"]


@pytest.mark.soak
@pytest.mark.parametrize("make", [crowded_case, coupled_case])
def test_both_interpreters_decide_alike_in_many_coupled_cases(
    make: Callable[[int], dict[str, Any]],
) -> None:
    reached = check_many(make, settings().max_examples)
    assert {"taken", "sold_out", "refused_cap", "refused_late"} <= set(reached)


def test_claims_are_those_of_the_reference_in_every_round() -> None:
    compared = 0
    for seed in range(60):
        loaded = load(crowded_case(seed))
        bound = loaded.bound()
        if not bound.couplings.specs:
            continue
        reference, machines = ReferenceRunner(loaded), MachineRunner(bound, size=3, lanes=2)
        rows = np.arange(0, loaded.audience.customers, 2)
        grants = Grants.none(loaded.audience.customers)
        for _ in range(3):
            one, other = reference.run(rows, grants), machines.run(rows, grants)
            assert np.array_equal(sorted_all(one), sorted_all(other))
            compared += len(one)
            grants = answered(one, loaded.audience.customers)
    assert compared > 500


def sorted_all(records: Any) -> Any:
    """Records in one order, reports of one instant among them."""
    return np.sort(in_order(records), order=list(records.dtype.names))


def answered(records: Any, customers: int) -> Grants:
    """All claims granted, 7 ms after they were made."""
    mine = in_order(records[records["kind"] <= Kind.COUPON])
    mine = mine[np.lexsort([mine["number"], mine["customer"]])]
    answers = np.zeros(len(mine), ANSWER)
    answers["time_ms"] = mine["time_ms"] + 7
    offsets = np.concatenate([[0], np.cumsum(np.bincount(mine["customer"], minlength=customers))])
    return Grants(offsets, answers, np.zeros(0, DECISION))


def raffle(people: int) -> Loaded:
    """So many people, a second apart, who each take a coupon."""
    flow = {
        "headrace": 1,
        "flow": "raffle",
        "settings": {"coupons": {"p": 2}},
        "nodes": {
            "t": {"type": "on_event", "event": "go", "next": "c"},
            "c": {"type": "take_coupon", "pool": "p", "next": {"taken": "x", "sold_out": "x"}},
            "x": {"type": "end"},
        },
    }
    events = [{"customer": f"c{i:03}", "time": 1000 * i, "event": "go"} for i in range(people)]
    audience = audience_from_python([{"id": f"c{i:03}"} for i in range(people)], events)
    return Loaded(Flow.model_validate(flow), audience, RunOptions(0, 10**6, 10**6), None)


def test_only_those_are_searched_who_are_asked_for() -> None:
    machine = SearchMachine(raffle(10).bound(), block_max=5)
    assert machine.search(np.array([3, 5, 7]))
    found = machine.take_claims()
    assert found["customer"].tolist() == [3, 5, 7]
    assert found["time_ms"].tolist() == [3000, 5000, 7000]
    assert len(machine.take_claims()) == 0
    assert machine.search(np.zeros(0, np.int64))


@pytest.mark.parametrize("rows", [[0, 5], [3, 2], [2, 2], [9, 10], [-1, 0]])
def test_rows_that_are_no_neighbours_are_refused(rows: list[int]) -> None:
    machine = SearchMachine(raffle(10).bound(), block_max=5)
    with pytest.raises(ValueError, match=r"customers"):
        machine.search(np.array(rows))


def test_a_run_without_answers_is_refused() -> None:
    machine = Machine(raffle(3).bound())
    machine.load(0, 3)
    with pytest.raises(ValueError, match="the grants lack an answer to a claim"):
        machine.apply(10**6)


def test_an_answer_before_its_claim_counts_as_of_the_claim() -> None:
    loaded = raffle(1)
    answers = np.array([(-5, 0, 0)], ANSWER)
    bound = loaded.bound().granted(Grants(np.array([0, 1]), answers, np.zeros(0, DECISION)))
    machine = Machine(bound, log=True)
    machine.load(0, 1)
    assert machine.apply(10**6)
    assert machine.take_log()["time_ms"].tolist() == [0, 0, 0]


def test_grants_of_another_run_are_refused() -> None:
    bound = raffle(3).bound()
    for grants, told in (
        (Grants.none(4), "grants.offsets"),
        (replace(Grants.none(3), offsets=np.array([0, 1, 1, 1])), "grants.offsets"),
        (
            Grants(np.array([0, 1, 1, 1]), np.array([(0, 2, 0)], ANSWER), np.zeros(0, DECISION)),
            "grants.answers",
        ),
        (replace(Grants.none(3), decisions=np.array([(0, 1, 0)], DECISION)), "grants.decisions"),
        (replace(Grants.none(3), decisions=np.array([(0, 0, 0)], DECISION)), "a decision"),
    ):
        with pytest.raises(ValueError, match=told):
            bound.granted(grants)
        with pytest.raises(ValueError, match=told):
            SearchMachine(bound).answer(grants)


def test_a_line_of_thousands_leaves_in_order() -> None:
    nodes = {"t": {"type": "on_event", "event": "go", "next": "x"}, "x": {"type": "end"}}
    settings_ = {"reentry": {"policy": "always"}, "entry_rate": {"per_second": 7}}
    flow = {"headrace": 1, "flow": "line", "settings": settings_, "nodes": nodes}
    came = np.arange(4000, dtype=np.int64) // 3
    events = [{"customer": "c", "time": at, "event": "go"} for at in came.tolist()]
    audience = audience_from_python([{"id": "c"}], events)
    loaded = Loaded(Flow.model_validate(flow), audience, RunOptions(0, 5000, 10**6), None)
    answers = np.zeros(4000, ANSWER)
    answers["time_ms"] = line_times(came, np.zeros(0, np.int64), 7)
    grants = Grants(np.array([0, 4000]), answers, np.zeros(0, DECISION))
    machine = Machine(loaded.bound().granted(grants), log=True)
    machine.load(0, 1)
    assert machine.apply(10**6)
    machine.finish()
    counters = machine.take_counters()
    assert counters.queued[0] == 4000 - 7
    assert counters.line_sum_ms[0] == int((answers["time_ms"] - came).sum())
    assert (counters.in_line[0], counters.refused_late[0]) == (0, 4000 - 5 * 7)
    assert machine.take_log()["time_ms"][-1] == answers["time_ms"][-1]


def test_the_reference_and_the_machines_write_the_same_claims_of_a_raffle() -> None:
    loaded = raffle(4)
    none = Grants.none(4)
    given = loaded.flow, loaded.audience, loaded.options, None
    expected = claims(*given, none, range(4))
    found = MachineRunner(loaded.bound(), 2, 1).run(np.arange(4), none)
    assert np.array_equal(in_order(found), in_order(expected))


def test_the_cuts_of_one_case_decide_alike() -> None:
    for seed in (3, 11):
        loaded = load(crowded_case(seed))
        expected = run_reference(loaded)
        bound = loaded.bound()
        for cut in CUTS:
            assert difference_of_cut(expected, bound, cut, seed) is None
