"""Shows that a damaged program is refused or runs to an end: the machine never crashes.

Another process runs the machine, so that a crash fails a test with the seed that made it.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import damage
from core.audience_build import audience_from_python
from core.binding import bind
from core.compiler import compile_flow
from core.flow import Flow
from core.options import RunOptions
from core.outcomes import Outcome
from ext.machine import Machine

ANSWER_S_MAX = 60
PHASES = (Phase.explicit, Phase.generate)
SEEDS = st.integers(0, 2**63 - 1)


class Runner:
    """The other process: give it a seed, and it tells what became of the program."""

    def __init__(self) -> None:
        folders = [str(Path(damage.__file__).parent), *sys.path]
        self.process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", damage.__file__],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def became(self, seed: int) -> str:
        """What became of the damaged program of a seed; fails where the process ended or hangs."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdin.write(f"{seed}\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], ANSWER_S_MAX)
        if not ready:
            self.process.kill()
            pytest.fail(f"seed {seed}: no answer within {ANSWER_S_MAX} s")
        said = self.process.stdout.readline().strip()
        if not said:
            code, errors = self.process.wait(), self.process.stderr.read()
            pytest.fail(f"seed {seed}: the process ended with {code}\n{errors}")
        return said


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """One process for all seeds."""
    one = Runner()
    yield one
    one.process.stdin.close()
    assert one.process.wait(ANSWER_S_MAX) == 0
    one.process.stdout.close()
    one.process.stderr.close()


def run_many(runner: Runner, count: int) -> Counter[str]:
    """Run as many damaged programs; what became of them."""
    found: Counter[str] = Counter()

    @settings(max_examples=count, phases=PHASES)
    @given(SEEDS)
    def check_one(seed: int) -> None:
        found[runner.became(seed)] += 1

    check_one()
    return found


def test_a_damaged_program_is_refused_or_runs(runner: Runner) -> None:
    found = run_many(runner, 250)
    print(found)
    assert found["refused"] > 50
    assert found["run"] > 50


@pytest.mark.soak
def test_many_damaged_programs_are_refused_or_run(runner: Runner) -> None:
    print(run_many(runner, settings().max_examples))


def spinning(budget: int) -> tuple[Machine, int]:
    """A machine whose one customer runs in a circle that has no wait, and its horizon."""
    nodes = {
        "in": {"type": "on_event", "event": "go", "next": "ask"},
        "ask": {"type": "condition", "if": {"tag": "t"}, "next": {"no": "out"}},
        "out": {"type": "end"},
    }
    flow = Flow.model_validate({"headrace": 1, "flow": "f", "nodes": nodes})
    audience = audience_from_python([{"id": "c"}], [{"customer": "c", "time": 5, "event": "go"}])
    options = RunOptions(from_ms=0, until_ms=10, horizon_ms=10, step_budget=budget)
    program = compile_flow(flow)
    program.edges[:] = 1
    machine = Machine(bind(program, audience, options), log=True)
    machine.load(0, 1)
    return machine, options.horizon_ms


def test_a_circle_without_a_wait_ends_with_the_budget() -> None:
    machine, horizon_ms = spinning(1000)
    assert machine.apply(horizon_ms)
    machine.finish()
    assert machine.take_counters().entered.tolist() == [1, 1001, 0]
    assert machine.take_log()["port"][-1] == Outcome.PARKED_BUDGET


def test_a_circle_with_a_huge_budget_can_be_stopped() -> None:
    machine, horizon_ms = spinning(2**31 - 1)
    threading.Timer(0.05, machine.stop).start()
    assert not machine.apply(horizon_ms)


def test_a_budget_beyond_counting_is_refused() -> None:
    with pytest.raises(ValueError, match="step_budget"):
        spinning(2**32)


@pytest.mark.parametrize("at", [2**62, -(2**62), 2**63 - 1])
def test_times_to_which_nothing_can_be_added_are_refused(at: int) -> None:
    options = RunOptions(from_ms=0, until_ms=10, horizon_ms=10)
    nodes = {"in": {"type": "on_event", "event": "go"}}
    flow = Flow.model_validate({"headrace": 1, "flow": "f", "nodes": nodes})
    audience = audience_from_python([], [{"customer": "c", "time": at, "event": "go"}])
    with pytest.raises(ValueError, match=r"inputs\.ms"):
        Machine(bind(compile_flow(flow), audience, options))
