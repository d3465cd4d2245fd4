"""Compares the two interpreters on cases, however the compiled one is cut up and fed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, fields
from random import Random
from typing import Any

import numpy as np

from compiled import granted, records_of
from core.audience import Audience
from core.audience_build import audience_from_python
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.counters import Counters
from core.flow import Flow
from core.instants import instant_ms
from core.options import RunOptions
from core.reference import Observer, Record, run
from core.reference_conditions import View
from core.reference_people import Happening
from core.reference_state import Token
from core.responses import Responses
from ext.machine import Machine

STEPS_MAX = 3000
"""A case that decides and waits more often is too slow for the reference; few are."""


class TooLongError(Exception):
    """The case takes more than STEPS_MAX."""


class _Limit(Observer):
    def __init__(self) -> None:
        self.left = STEPS_MAX

    def record(self, record: Record, token: Token | None) -> None:
        """Count a line of the log."""
        self._step()

    def waiting(self, token: Token, now_ms: int, due_ms: int | None) -> None:
        """Count a token that came to wait: each one slows all work that follows."""
        self._step()

    def trigger(self, node: str, matched: bool, view: View, happening: Happening | None) -> None:
        """Count a judgement, which may go through all that the customer ever did."""
        self._step(len(view.person.history) // 20)

    def _step(self, count: int = 1) -> None:
        self.left -= count
        if self.left < 0:
            raise TooLongError


@dataclass(frozen=True)
class Loaded:
    """A case as the interpreters take it."""

    flow: Flow
    audience: Audience
    options: RunOptions
    responses: Responses | None

    def bound(self) -> Bound:
        """The case compiled and bound."""
        return bind(compile_flow(self.flow, self.responses), self.audience, self.options)


@dataclass(frozen=True)
class Cut:
    """How a run is cut up: customers by block and lanes, workers by block, time by calls."""

    block: int = 4096
    lanes: int = 64
    workers: int = 1
    calls: int = 1


CUTS = (Cut(), Cut(block=1, lanes=1), Cut(64, 3, 1, 5), Cut(2, 64, 2, 1), Cut(1, 1, 2, 3))


def load(case: dict[str, Any]) -> Loaded:
    """Read a vector."""
    options = dict(case["options"])
    times = {f"{name}_ms": instant_ms(options.pop(name)) for name in ("from", "until", "horizon")}
    audience = audience_from_python(
        case["customers"],
        case.get("events", ()),
        changes=case.get("changes", ()),
        **case.get("audience", {}),
    )
    responses = case.get("responses")
    return Loaded(
        Flow.model_validate(case["flow"]),
        audience,
        RunOptions(**times, **options),
        None if responses is None else Responses.model_validate(responses),
    )


def run_reference(loaded: Loaded) -> tuple[list[Record], Counters]:
    """Run the reference interpreter. Raises TooLongError where that would take long."""
    result = run(loaded.flow, loaded.audience, loaded.options, loaded.responses, observer=_Limit())
    return result.records, result.counters


def run_cut(
    bound: Bound, cut: Cut, seed: int = 0, *, log: bool = True
) -> tuple[list[Record], Counters]:
    """Run the compiled interpreter, cut up as told, called at times that the seed chooses."""
    bound = granted(bound, cut.block, cut.lanes, cut.workers)
    machines = [
        Machine(bound, block_max=cut.block, lanes=cut.lanes, log=log) for _ in range(cut.workers)
    ]
    firsts = range(0, bound.customers, cut.block)
    shares = [firsts[number :: cut.workers] for number in range(cut.workers)]
    stops = _stops(bound, cut, seed)
    if cut.workers == 1:
        _work(bound, machines[0], shares[0], cut.block, stops)
    else:
        threads = [
            threading.Thread(target=_work, args=(bound, machine, share, cut.block, stops))
            for machine, share in zip(machines, shares, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counters = machines[0].take_counters()
    for machine in machines[1:]:
        counters.add(machine.take_counters())
    counters.invalid_zones = bound.zones.invalid
    row = {bound.audience.id_of(c): c for c in range(bound.customers)}
    records = [record for machine in machines for record in records_of(bound, machine)]
    return sorted(records, key=lambda r: (row[r.customer], r.step)), counters


def _stops(bound: Bound, cut: Cut, seed: int) -> list[int]:
    dice = Random(seed)
    options = bound.options
    around = (options.from_ms - 1, options.horizon_ms)
    return [*sorted(dice.randint(*around) for _ in range(cut.calls - 1)), options.horizon_ms]


def _work(
    bound: Bound, machine: Machine, firsts: Sequence[int], block: int, stops: Sequence[int]
) -> None:
    for first in firsts:
        machine.load(first, min(first + block, bound.customers))
        for until in stops:
            assert machine.apply(until)
        machine.finish()


def difference(
    expected: tuple[list[Record], Counters], found: tuple[list[Record], Counters]
) -> str | None:
    """Where two runs differ first, None where they don't."""
    for number, (one, other) in enumerate(zip(expected[0], found[0], strict=False)):
        if one != other:
            return f"record {number}: {one} against {other}"
    if len(expected[0]) != len(found[0]):
        more = max(expected[0], found[0], key=len)[min(len(expected[0]), len(found[0]))]
        return f"{len(expected[0])} records against {len(found[0])}; the first more is {more}"
    for field in fields(Counters):
        one, other = getattr(expected[1], field.name), getattr(found[1], field.name)
        if not np.array_equal(one, other):
            return f"{field.name}: {np.asarray(one).tolist()} against {np.asarray(other).tolist()}"
    return None


def difference_of_cut(
    expected: tuple[list[Record], Counters], bound: Bound, cut: Cut, seed: int
) -> str | None:
    """Where the compiled interpreter differs, cut up as told; None where it does not.

    It runs with a log and without: without one it leaves out more than the log.
    """
    if found := difference(expected, run_cut(bound, cut, seed)):
        return found
    _, counters = run_cut(bound, cut, seed, log=False)
    if found := difference(([], expected[1]), ([], counters)):
        return f"without a log: {found}"
    return None


def disagreement(case: dict[str, Any], cuts: Sequence[Cut] = CUTS, seed: int = 0) -> str | None:
    """Where the interpreters disagree about a case, None where they don't."""
    loaded = load(case)
    expected = run_reference(loaded)
    bound = loaded.bound()
    for cut in cuts:
        if found := difference_of_cut(expected, bound, cut, seed):
            return f"{cut}: {found}"
    return None
