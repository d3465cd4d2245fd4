"""Checks that grants found round by round are those of the order of time, however they are found.

The runner is the reference interpreter, each customer alone; beside it the reference works all
customers together in the order of time. The latter knows nothing of rounds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.coupled_run import ROUNDS_MAX, coupled_run
from core.balance import check_balance
from core.couplings import CLAIM, Claims, Grants, PoolSpec
from core.reference import run
from coupled_cases import ReferenceRunner, coupled_case, crowded_case
from differential import TooLongError, difference, load, run_reference

CROWDS = 120
VECTORS = sorted((Path(__file__).parents[1] / "vectors").glob("D4[0-5]-*.json"))
CASES = 60


def found(case: dict[str, Any], rounds_max: int) -> tuple[Any, Any]:
    """What a run of all together decides, and a run of each alone by the grants that are found."""
    loaded = load(case)
    expected = run_reference(loaded)
    runner = ReferenceRunner(loaded)
    coupled = coupled_run(runner, runner.specs, rounds_max=rounds_max)
    assert coupled.runs == len(runner.runs)
    given = (loaded.flow, loaded.audience, loaded.options, loaded.responses)
    alone = run(*given, grants=coupled.grants)
    check_balance(loaded.flow, alone.counters)
    return difference(expected, (alone.records, alone.counters)), coupled


@pytest.mark.parametrize("rounds_max", [ROUNDS_MAX, 0, 2])
def test_crowds_are_granted_what_the_order_of_time_grants(rounds_max: int) -> None:
    rounds = epochs = 0
    # In 2216 a decision that nobody meets comes before one that somebody does.
    for seed in (*range(CROWDS), 2216):
        differs, coupled = found(crowded_case(seed), rounds_max)
        assert differs is None, f"seed {seed}: {differs}"
        rounds, epochs = max(rounds, coupled.rounds), epochs + coupled.epochs
    assert rounds > 4  # later claims did change earlier grants
    assert (epochs > 0) == (rounds > rounds_max)


def test_random_flows_are_granted_what_the_order_of_time_grants() -> None:
    done = 0
    for seed in range(CASES):
        try:
            differs, _ = found(coupled_case(seed), ROUNDS_MAX)
        except TooLongError:
            continue
        assert differs is None, f"seed {seed}: {differs}"
        done += 1
    assert done > CASES * 0.8


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vectors_are_granted_what_the_order_of_time_grants(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    assert found(case, ROUNDS_MAX)[0] is None
    assert found(case, 0)[0] is None


def test_only_those_run_again_whose_grants_changed() -> None:
    # One coupon: a takes it at 1 s, b comes at 2 s, c claims at 3 s.
    case = {
        "flow": {
            "headrace": 1,
            "flow": "f",
            "settings": {"coupons": {"p": 1}},
            "nodes": {
                "t": {"type": "on_event", "event": "go", "next": "k"},
                "k": {"type": "take_coupon", "pool": "p", "next": {"taken": "x", "sold_out": "x"}},
                "x": {"type": "end"},
            },
        },
        "customers": [{"id": name} for name in "abcd"],
        "events": [
            {"customer": name, "time": 1000 * second, "event": "go"}
            for second, name in enumerate("abc", 1)
        ],
        "options": {"from": 0, "until": 10_000, "horizon": 10_000},
    }
    runner = ReferenceRunner(load(case))
    coupled = coupled_run(runner, runner.specs)
    assert runner.runs == [0, 1, 2, 3, 0, 1, 2]
    assert (coupled.rounds, coupled.epochs) == (1, 0)
    assert coupled.grants.offsets.tolist() == [0, 1, 2, 3, 3]
    assert coupled.grants.answers["result"].tolist() == [0, 1, 1]


def test_whoever_comes_at_the_end_of_a_test_claims_by_the_chosen_branch() -> None:
    # By the weights f and g go to A and its coupons; from 1.001 s on all go to B.
    target = {"event": "buy", "within": "1 day"}
    case = {
        "flow": {
            "headrace": 1,
            "flow": "f",
            "settings": {"coupons": {"p": 2}},
            "nodes": {
                "t": {"type": "on_event", "event": "go", "next": "s"},
                "u": {"type": "on_event", "event": "also", "next": "k"},
                "s": {
                    "type": "ab_test",
                    "branches": {"A": "50%", "B": "50%"},
                    "target": target,
                    "until": {"people": 1, "then": "B"},
                    "next": {"A": "k", "B": "x"},
                },
                "k": {"type": "take_coupon", "pool": "p", "next": {"taken": "x", "sold_out": "x"}},
                "x": {"type": "end"},
            },
        },
        "customers": [{"id": name} for name in "fgh"],
        "events": [
            {"customer": "f", "time": 1000, "event": "go"},
            {"customer": "g", "time": 1001, "event": "go"},
            {"customer": "h", "time": 2000, "event": "also"},
        ],
        "options": {"from": 0, "until": 10_000, "horizon": 10_000},
    }
    differs, coupled = found(case, ROUNDS_MAX)
    assert differs is None
    assert coupled.grants.offsets.tolist() == [0, 1, 1, 2]
    assert coupled.grants.answers["result"].tolist() == [0, 0]
    assert coupled.grants.decisions.tolist() == [(1001, 1, 1)]


@dataclass
class Scripted:
    """A runner whose one customer claims at other times when he is run again."""

    customers: int = 1
    runs: int = 0

    def run(self, customers: NDArray[np.int64], grants: Grants) -> Claims:
        """Claim a coupon, later each time."""
        self.runs += 1
        claims = np.zeros(len(customers), CLAIM)
        claims["time_ms"], claims["kind"] = self.runs, 1
        return claims


def test_a_runner_that_does_not_do_twice_the_same_is_found_out() -> None:
    with pytest.raises(RuntimeError, match="not those of the run before"):
        coupled_run(Scripted(), [PoolSpec("p", 5)])


def test_nobody_is_granted_nothing() -> None:
    coupled = coupled_run(Scripted(customers=0), [])
    assert coupled.grants.offsets.tolist() == [0]
