"""Scenarios 1 and 2: a live partition killed at every failpoint and at random moments.

What was acknowledged is there, no message is asked for twice, and no batch is half there: the state
is one of those that a run without crashes goes through, and the end is that run's end.
"""

import itertools
import signal
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from actors.store.verify import verify
from core.reference import run
from live_cases import live_options
from live_journey import journey
from live_work import (
    FRAME_ROWS,
    Plan,
    Step,
    carry_out,
    counted,
    keys,
    model_keys,
    open_partition,
    plan_of,
    run_child,
)
from random_flows import random_case
from store_work import in_memory

POINTS = (
    "after_apply_before_commit", "timer_pop", "snapshot_mid", "before_transaction",
    "in_transaction", "after_transaction", "side_file", "before_acknowledgement",
    "snapshot_slice", "snapshot_flip",
)  # fmt: skip
SERVING_S = 5.0


class Expected:
    """What a run without crashes goes through."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.plan = plan
        with open_partition(folder, plan) as partition:
            self.digests = [partition.digest()]
            for step in plan.steps:
                carry_out(partition, step)
                self.digests.append(partition.digest())
            self.keys = keys(partition)
            self.counts = counted(partition.counts(plan.flow))
            self.rows = partition.row_counts

    def check_resumed(self, folder: Path, done: int) -> tuple[int, float]:
        """Recover after a death behind step `done`, go on to the end; steps stored, and seconds."""
        plan = self.plan
        began = time.perf_counter()
        with open_partition(folder, plan) as partition:
            serving = time.perf_counter() - began
            digest = partition.digest()
            assert digest in self.digests[done : done + 2]
            # Whoever was not told sends again what he was not told of.
            for step in plan.steps[done:]:
                carry_out(partition, step)
            assert partition.digest() == self.digests[-1]
            assert sorted(keys(partition)) == sorted(self.keys)
            assert counted(partition.counts(plan.flow)) == self.counts
            assert partition.cursors[b"load"] == sum(s.kind == "rows" for s in plan.steps)
        return int(digest == self.digests[done + 1 : done + 2]), serving


def small_plan(kind: str) -> Plan:
    if kind == "journey":
        return plan_of(journey(60), 16, 2, snapshots=0.4)
    return plan_of(live_options(random_case(int(kind))), 16, 3, snapshots=0.4)


def last_done(told: list[str]) -> int:
    """How many steps were acknowledged."""
    return 1 + int(told[-1]) if told and told[-1] != "open" else 0


def test_the_model_sends_the_same_messages(tmp_path: Path) -> None:
    plan = plan_of(journey(400), 32, 1)
    model = run(plan.loaded.flow, plan.loaded.audience, plan.loaded.options, None)
    with in_memory(tmp_path) as folder:
        expected = Expected(folder / "p", plan)
    assert Counter(expected.keys) == model_keys(plan.loaded, model.records)
    assert len(set(expected.keys)) == len(expected.keys) > 400
    assert expected.counts == counted(model.counters)


@pytest.mark.parametrize("stride", [12, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_the_passages_of_a_point_loses_and_repeats_nothing(
    tmp_path: Path, point: str, stride: int
) -> None:
    plan = small_plan("journey")
    fired = 0
    with in_memory(tmp_path) as folder:
        expected = Expected(folder / "expected", plan)
        for hit in itertools.count(1, stride):
            path = folder / f"{hit}"
            told, code = run_child(path, plan, armed=f"{point}=kill@{hit}").wait()
            if code == 0:
                break
            assert code == -signal.SIGKILL, told
            fired += 1
            expected.check_resumed(path, last_done(told))
        assert verify(path).first_problem == ""
    print(f"scenario 1: {fired} kills at {point}, lost 0, sent twice 0")
    assert fired >= 1


@pytest.mark.parametrize("kills", [20, pytest.param(500, marks=pytest.mark.soak)])
def test_random_kills_lose_and_repeat_nothing(
    tmp_path: Path, kills: int, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = np.random.default_rng(kills)
    serving: list[float] = []
    with in_memory(tmp_path) as folder:
        for case in ("journey", "7", "33", "53"):
            plan = small_plan(case)
            expected = Expected(folder / f"expected-{case}", plan)
            began = time.perf_counter()
            run_child(folder / f"whole-{case}", plan).wait()
            whole = time.perf_counter() - began
            for number in range(kills // 4):
                path = folder / f"{case}-{number}"
                done, code = 0, -1
                # Killed over and over, each time as it goes on, until it gets through.
                while code:
                    child = run_child(path, plan, done)
                    time.sleep(dice.uniform(0, whole))
                    child.kill()
                    told, code = child.wait()
                    assert code in (0, -signal.SIGKILL), told
                    done = last_done(told) or done
                    if code:
                        break
                serving.append(expected.check_resumed(path, done)[1])
    with capsys.disabled():
        print(
            f"\nscenario 1: {len(serving)} kills, lost 0, sent twice 0, serving again within "
            f"{max(serving) * 1000:.0f} ms"
        )


def test_no_part_of_a_batch_of_10000_is_seen(tmp_path: Path) -> None:
    plan = plan_of(journey(10_000), 10_000, snapshots=0)
    died = 0
    with in_memory(tmp_path) as folder:
        expected = Expected(folder / "expected", plan)
        for hit in range(1, 6):
            path = folder / f"{hit}"
            point = "in_transaction" if hit % 2 else "after_apply_before_commit"
            told, code = run_child(path, plan, armed=f"{point}=kill@{hit}").wait()
            died += code == -signal.SIGKILL
            expected.check_resumed(path, last_done(told))
    print(f"scenario 2: {died} kills in batches of 10,000 rows, half there 0")
    assert died == 5


@pytest.mark.parametrize("tokens", [20_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_a_killed_partition_serves_again_soon(
    tmp_path: Path, tokens: int, capsys: pytest.CaptureFixture[str]
) -> None:
    # All enter within an hour, and the clock stops while all wait for a click.
    plan = plan_of(journey(tokens, entry_days=0.04, clicks=0), FRAME_ROWS, snapshots=0)
    steps = [s for s in plan.steps if s.kind != "tick"]
    plan = Plan(plan.loaded, plan.settings, [*steps, Step("snapshot")])
    told, code = run_child(tmp_path / "p", plan).wait()
    assert (len(told), code) == (len(plan.steps) + 1, 0)
    began = time.perf_counter()
    with open_partition(tmp_path / "p", plan) as partition:
        assert partition.flows()[0]["inside"] == tokens
        due = partition.next_due_ms
        assert due is not None
        partition.tick(due)
        serving = time.perf_counter() - began
    with capsys.disabled():
        print(f"\nscenario 1: {tokens:,} waiting tokens, a timer fired {serving:.2f} s after")
    assert serving <= SERVING_S
