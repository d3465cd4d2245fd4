"""Time work in rounds, with a calibration between them, and note the time for one step.

The calibration is a fixed piece of work by which machines, and moments of one machine, can be
compared: a stable sort of integers in NumPy, which branches as the engine does and uses one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from actors.coupled_dry_run import MachineRunner
from actors.coupled_run import coupled_run
from bench.micro.crowd import OPTIONS
from bench.micro.flows import LINKS
from core.audience import Audience
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.flow import Flow
from core.options import RunOptions
from core.outcomes import PARKS
from core.responses import Responses
from ext.machine import BLOCK, Machine

ROUNDS, ROUNDS_SHORT = 16, 2
SHORT_SHARE = 64  # the short form has one customer of so many
ROUND_S = 0.015
REPEATS_MAX = 64
CALIBRATION_VALUES = 1 << 14

_VALUES = np.random.default_rng(1).integers(0, 2**62, CALIBRATION_VALUES)


def calibration_s() -> float:
    """The seconds that the calibration takes now; about one millisecond."""
    began = time.perf_counter()
    np.sort(_VALUES, kind="stable")
    return time.perf_counter() - began


class Stopwatch:
    """Times with the `benchmark` fixture of pytest-benchmark; `short` makes everything smaller."""

    def __init__(self, benchmark: Any, *, short: bool) -> None:
        self.benchmark = benchmark
        self.short = short

    def size(self, full: int) -> int:
        """`full`, or in the short form its share, at least 1."""
        return max(1, full // SHORT_SHARE) if self.short else full

    def time(
        self,
        work: Callable[[], object],
        *,
        steps: int,
        unit: str,
        before: Callable[[], object] | None = None,
    ) -> None:
        """Time `work`, which takes so many steps of a unit; `before` is called before each round.

        Without `before`, a round repeats the work until it takes 15 ms. Noted is what the fastest
        round took, because other work on the machine only ever adds: `extra_info` has `steps`,
        `unit`, `ns_per_step` and `calibration_ns` (of one sorted value).
        """
        calibrations = []

        def between() -> None:
            if before is not None:
                before()
            calibrations.append(calibration_s())

        between()
        began = time.perf_counter()
        work()
        taken_s = time.perf_counter() - began
        repeats = 1
        if before is None and not self.short:
            repeats = max(1, min(round(ROUND_S / taken_s), REPEATS_MAX))

        def work_repeatedly() -> None:
            for _ in range(repeats):
                work()

        rounds = ROUNDS_SHORT if self.short else ROUNDS
        self.benchmark.pedantic(work_repeatedly, setup=between, rounds=rounds)
        fastest_s: float = self.benchmark.stats.stats.min
        self.benchmark.extra_info.update(
            steps=steps * repeats,
            unit=unit,
            ns_per_step=fastest_s * 1e9 / (steps * repeats),
            calibration_ns=min(calibrations) * 1e9 / CALIBRATION_VALUES,
        )

    def time_flow(
        self,
        flow: Flow,
        audience: Audience,
        *,
        steps_each: int,
        responses: Responses | None = None,
        applies: int = 1,
    ) -> None:
        """Time a flow on one thread: loading, applying and finishing each block.

        `steps_each` is how many token-steps each customer takes; `applies` in how many calls a
        block comes to the horizon. AssertionError where it takes others, or parks tokens.
        """
        bound = bind(compile_flow(flow, responses), audience, OPTIONS)
        if bound.couplings.specs:
            # Epochs would take longer: one claim after the other is answered for all at once.
            found = coupled_run(MachineRunner(bound), bound.couplings.specs, rounds_max=10 * LINKS)
            bound = bound.granted(found.grants)
        runs = Runs(bound, applies)
        runs.run()
        steps = runs.counted_steps()
        expected = audience.customers * steps_each
        assert steps == expected, f"{steps:,} steps instead of {expected:,}"
        self.time(runs.run, steps=steps, unit="token-step")


class Runs:
    """A machine for one bound flow, which can run all its customers again and again."""

    def __init__(self, bound: Bound, applies: int = 1, *, log: bool = False) -> None:
        options: RunOptions = bound.options
        self.customers = bound.customers
        self.machine = Machine(bound, block_max=min(BLOCK, bound.customers), log=log)
        self.until_ms = [
            options.from_ms + (options.horizon_ms - options.from_ms) * (i + 1) // applies
            for i in range(applies)
        ]

    def run(self) -> None:
        """Run all customers, block by block."""
        for first in range(0, self.customers, BLOCK):
            self.machine.load(first, min(first + BLOCK, self.customers))
            for until_ms in self.until_ms:
                self.machine.apply(until_ms)
            self.machine.finish()

    def counted_steps(self) -> int:
        """The token-steps since the last call; AssertionError where tokens were parked."""
        counters = self.machine.take_counters()
        parked = int(counters.outcome[:, [outcome.column for outcome in PARKS]].sum())
        assert parked == 0, f"{parked:,} tokens were parked"
        return counters.steps
