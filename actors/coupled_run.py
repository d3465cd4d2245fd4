"""Find what customers who depend on each other are granted, though they are run apart.

All customers run until they claim something; the claims are granted in order and they go on. A
claim that turns up late may change what others were granted: these are run again from the first
grant that changed, and nobody else is. The earliest open claim is always granted for good, since
nobody can claim anything before it any more; so this ends, with the grants that the order of time
gives (semantics D39 to D45). After some rounds it goes by epochs: only the earliest open claims
are answered, because later answers would hardly last.

What is found is all that a run needs: with the grants as an input every customer runs alone, in
any block, on any partition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.couplings import (
    ANSWER,
    CLAIM,
    DECISION,
    NEVER_MS,
    Answers,
    Claims,
    Coordinator,
    Grants,
    Kind,
    Spec,
    in_order,
)

ROUNDS_MAX = 8
EPOCH_SHARE = 1 / 8  # of the open claims are answered in the first epoch
NUMBERS = 2**32  # above every number of a claim


class Runner(Protocol):
    """Whatever runs customers apart, each by what he is granted."""

    @property
    def customers(self) -> int:
        """How many customers there are."""

    def run(self, customers: NDArray[np.int64], grants: Grants) -> Claims:
        """Run these customers, rows int64[k] ascending, as though from the beginning.

        Each goes on to the horizon, or to the end of the item of work in which he makes a claim
        that `grants` do not answer. Returned are all their claims and reports, CLAIM[n], those of
        a customer in his own order. Counters and logs of such a run are of no use.
        """


@dataclass(frozen=True, slots=True)
class Coupled:
    """The grants, and what finding them took: rounds, epochs, customers run, again and again.

    `standings`: of each test that ends, by resource, trials and successes by branch (int64 each)
    before its decision, or at the horizon.
    """

    grants: Grants
    standings: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]
    rounds: int
    epochs: int
    runs: int


def coupled_run(runner: Runner, specs: Sequence[Spec], *, rounds_max: int = ROUNDS_MAX) -> Coupled:
    """Find the grants of a run in which customers compete for `specs`.

    After `rounds_max` rounds it goes by epochs; the number changes nothing in the grants.
    RuntimeError where the runner does not do twice what it did once.
    """
    return _Search(runner, specs, rounds_max).found()


class _Search:
    """`records` are the claims and reports of each customer's last run; `answers` goes with it.

    A claim is `open` while it is not answered. All before `frozen_ms` is settled for good and in
    the coordinator's state already.
    """

    def __init__(self, runner: Runner, specs: Sequence[Spec], rounds_max: int) -> None:
        self.runner = runner
        self.specs = specs
        self.rounds_max = rounds_max
        self.records: Claims = np.zeros(0, CLAIM)
        self.answers: Answers = np.zeros(0, ANSWER)
        self.open = np.zeros(0, np.bool_)
        self.decisions = np.zeros(0, DECISION)
        self.settled = Coordinator(specs)
        self.frozen_ms = -NEVER_MS
        self.limit_ms = NEVER_MS
        self.share = EPOCH_SHARE
        self.rounds = self.epochs = self.epoch_rounds = self.runs = 0

    def found(self) -> Coupled:
        everybody = np.arange(self.runner.customers, dtype=np.int64)
        self._run(everybody, np.full(self.runner.customers, NUMBERS, np.int64))
        while True:
            self._choose_limit()
            decided = len(self.decisions)
            again = self._round()
            # A decision that nobody meets may still be followed by one that somebody does.
            if len(again) or len(self.decisions) > decided:
                self.rounds += 1
                self.epoch_rounds += 1
            elif self.limit_ms == NEVER_MS:
                standings = self.settled.standings()
                return Coupled(self._grants(), standings, self.rounds, self.epochs, self.runs)

    def _choose_limit(self) -> None:
        """Up to when claims are answered in this round: for ever, or to the end of an epoch."""
        if self.rounds < self.rounds_max:
            return
        waiting = np.sort(self.records["time_ms"][self.open])
        tired = self.epoch_rounds >= self.rounds_max
        if not len(waiting):
            self.limit_ms = NEVER_MS
        elif tired or self.limit_ms == NEVER_MS or waiting[0] > self.limit_ms:
            self.share = self.share / 2 if tired else min(1.0, self.share * 2)
            self.limit_ms = int(waiting[int((len(waiting) - 1) * self.share)])
            self.epochs += 1
            self.epoch_rounds = 0

    def _round(self) -> NDArray[np.int64]:
        """Answer once more; return who had to run again."""
        times = self.records["time_ms"]
        tail = np.flatnonzero((times >= self.frozen_ms) & (times <= self.limit_ms))
        tail = tail[_order(self.records[tail])]
        coordinator = Coordinator(self.specs)
        coordinator.restore(self.settled.snapshot())
        given = coordinator.take(self.records[tail])
        claims = self.records["kind"][tail] <= Kind.COUPON
        was_open = self.open[tail]
        changed = claims & ~was_open & (given != self.answers[tail])
        # Before this instant nothing can change any more.
        front_ms = min(self.limit_ms, NEVER_MS - 1) + 1
        for mask in (self.open, _mask(len(times), tail[changed])):
            if mask.any():
                front_ms = min(front_ms, int(times[mask].min()))
        keep = np.full(self.runner.customers, NUMBERS, np.int64)
        front_ms = self._decide(coordinator, front_ms, keep)
        self._settle(front_ms)
        redone = tail[changed]
        np.minimum.at(
            keep, self.records["customer"][redone], self.records["number"][redone].astype(int) + 1
        )
        answered = tail[claims]
        self.answers[answered] = given[claims]
        self.open[answered] = False
        moved = np.zeros(self.runner.customers, np.bool_)
        moved[self.records["customer"][tail[claims & was_open]]] = True
        again = np.flatnonzero(moved | (keep < NUMBERS))
        if len(again):
            self._run(again, keep)
        return again

    def _decide(self, coordinator: Coordinator, front_ms: int, keep: NDArray[np.int64]) -> int:
        """Take on the earliest new decision that rests on settled reports alone.

        Whoever has come to the test since keeps only the answers from before. Returns the instant
        before which all is settled now.
        """
        coordinator.advance(front_ms)
        fresh = [
            decision
            for decision in coordinator.decisions()
            if decision["time_ms"] <= front_ms
            and decision["resource"] not in self.decisions["resource"]
        ]
        if not fresh:
            return front_ms
        first_ms = min(int(decision["time_ms"]) for decision in fresh)
        now = np.array([d for d in fresh if d["time_ms"] == first_ms], DECISION)
        self.decisions = np.concatenate([self.decisions, now])
        hit = (self.records["kind"] == Kind.ARRIVED) & (self.records["time_ms"] >= first_ms)
        hit &= np.isin(self.records["resource"], now["resource"])
        np.minimum.at(
            keep, self.records["customer"][hit], self.records["number"][hit].astype(np.int64)
        )
        return first_ms

    def _settle(self, front_ms: int) -> None:
        """Let the coordinator take all before `front_ms` for good."""
        times = self.records["time_ms"]
        if front_ms > self.frozen_ms:
            self.settled.take(
                in_order(self.records[(times >= self.frozen_ms) & (times < front_ms)])
            )
            self.frozen_ms = front_ms

    def _run(self, customers: NDArray[np.int64], keep: NDArray[np.int64]) -> None:
        """Run customers again, each by his answers below `keep`."""
        claims = (self.records["kind"] <= Kind.COUPON) & ~self.open
        void = claims & (self.records["number"] >= keep[self.records["customer"]])
        self.open |= void
        grants = self._grants()
        self.runs += len(customers)
        fresh = self.runner.run(customers, grants)
        stays = ~np.isin(self.records["customer"], customers)
        rows = fresh["customer"]
        known = fresh["kind"] <= Kind.COUPON
        known &= fresh["number"] < np.diff(grants.offsets)[rows]
        before = self.records[claims & ~void & ~stays]
        if not np.array_equal(in_order(before), in_order(fresh[known])):
            raise RuntimeError("a customer's claims are not those of the run before")
        answers = np.zeros(len(fresh), ANSWER)
        at = grants.offsets[rows[known]] + fresh["number"][known]
        answers[known] = grants.answers[at]
        self.records = np.concatenate([self.records[stays], fresh])
        self.answers = np.concatenate([self.answers[stays], answers])
        self.open = np.concatenate([self.open[stays], (fresh["kind"] <= Kind.COUPON) & ~known])

    def _grants(self) -> Grants:
        """The answers so far, by customer and number."""
        known = np.flatnonzero((self.records["kind"] <= Kind.COUPON) & ~self.open)
        rows = self.records["customer"][known]
        order = np.lexsort([self.records["number"][known], rows])
        offsets = np.zeros(self.runner.customers + 1, np.int64)
        np.cumsum(np.bincount(rows, minlength=self.runner.customers), out=offsets[1:])
        return Grants(offsets, self.answers[known[order]], self.decisions)


def _order(records: Claims) -> NDArray[np.intp]:
    """The places of records in the order in which they are answered."""
    return np.lexsort([records[name] for name in ("number", "customer", "hash", "time_ms")])


def _mask(size: int, places: NDArray[np.intp]) -> NDArray[np.bool_]:
    mask = np.zeros(size, np.bool_)
    mask[places] = True
    return mask
