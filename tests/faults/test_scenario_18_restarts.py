"""Scenarios 18 and 22: partitions stopped, killed and resumed in random order under load.

Four partitions take what is theirs of one load. At random some stand still, die or are opened
again; what they missed waits for them, in order, and is partly sent twice. The end is that of
partitions which were never disturbed.
"""

import time
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest

from actors.intake.routing import split
from actors.live.partition import LivePartition
from live_journey import journey
from live_work import Key, Plan, Step, carry_out, counted, keys, open_partition, plan_of
from store_work import in_memory

PARTITIONS = 4


def parted(plan: Plan) -> list[list[Step]]:
    """The steps of each partition; frames are numbered anew, since not all have rows of all."""
    found: list[list[Step]] = [[] for _ in range(PARTITIONS)]
    sequence = [0] * PARTITIONS
    for step in plan.steps:
        if step.frame is None:
            for steps in found:
                steps.append(step)
            continue
        for number, part in split(step.frame, PARTITIONS):
            sequence[number] += 1
            part.source, part.sequence = b"load", sequence[number]
            found[number].append(Step("rows", step.now_ms, part))
    return found


class Undisturbed:
    """What all partitions together come to."""

    def __init__(self, folder: Path, plan: Plan, steps: list[list[Step]]) -> None:
        self.digest = 0
        self.keys: Counter[Key] = Counter()
        self.entered = np.zeros(len(plan.loaded.flow.nodes), np.int64)
        for number, mine in enumerate(steps):
            with open_partition(folder / f"{number}", plan) as partition:
                for step in mine:
                    carry_out(partition, step)
                self.add(partition, plan)

    def add(self, partition: LivePartition, plan: Plan) -> None:
        self.digest = (self.digest + partition.digest()) % 2**64
        self.keys += Counter(keys(partition))
        self.entered += np.array(counted(partition.counts(plan.flow))["entered"])


class Nothing(Undisturbed):
    """The sum of no partition."""

    def __init__(self, plan: Plan) -> None:
        self.digest, self.keys = 0, Counter()
        self.entered = np.zeros(len(plan.loaded.flow.nodes), np.int64)


def swizzle(folder: Path, plan: Plan, steps: list[list[Step]], seed: int) -> tuple[Nothing, float]:
    """Stop a random subset one by one, resume in random order, while the others work."""
    dice = Random(seed)
    opened = [open_partition(folder / f"{n}", plan) for n in range(PARTITIONS)]
    place = [0] * PARTITIONS
    stopped: list[int] = []
    slowest = 0.0
    try:
        while any(place[n] < len(steps[n]) for n in range(PARTITIONS)):
            running = [n for n in range(PARTITIONS) if n not in stopped]
            if running and len(stopped) < PARTITIONS - 1 and dice.random() < 0.2:
                stopped.append(dice.choice(running))
            if stopped and (dice.random() < 0.2 or not _work_left(running, place, steps)):
                number = stopped.pop(dice.randrange(len(stopped)))
                if dice.random() < 0.5:
                    # It was not only slow: it is opened again, and told some of it twice.
                    opened[number].close()
                    began = time.perf_counter()
                    opened[number] = open_partition(folder / f"{number}", plan)
                    slowest = max(slowest, time.perf_counter() - began)
                    place[number] = max(0, place[number] - dice.randint(0, 3))
            for n in running:
                if n not in stopped and place[n] < len(steps[n]) and dice.random() < 0.8:
                    carry_out(opened[n], steps[n][place[n]])
                    place[n] += 1
        total = Nothing(plan)
        for partition in opened:
            total.add(partition, plan)
        return total, slowest
    finally:
        for partition in opened:
            partition.close()


def _work_left(running: list[int], place: list[int], steps: list[list[Step]]) -> bool:
    return any(place[n] < len(steps[n]) for n in running)


@pytest.mark.parametrize("seeds", [10, pytest.param(200, marks=pytest.mark.soak)])
def test_stopping_and_resuming_in_any_order_changes_nothing(
    tmp_path: Path, seeds: int, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(journey(200), 40, 22, snapshots=0.2)
    steps = parted(plan)
    slowest: list[float] = []
    with in_memory(tmp_path) as folder:
        expected = Undisturbed(folder / "undisturbed", plan, steps)
        for seed in range(seeds):
            found, took = swizzle(folder / f"{seed}", plan, steps, seed)
            slowest.append(took)
            assert found.digest == expected.digest, seed
            assert found.keys == expected.keys, seed
            assert found.entered.tolist() == expected.entered.tolist(), seed
    assert max(expected.keys.values()) == 1
    with capsys.disabled():
        print(
            f"\nscenarios 18, 22: {seeds} seeds, lost 0, twice 0; slowest opening "
            f"{max(slowest) * 1000:.0f} ms"
        )
    assert max(slowest) > 0
