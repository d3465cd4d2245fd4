"""Carry one customer's claims to whoever answers them, for the reference interpreter (D39 to D45).

A `Desk` answers from grants that are given; a `SharedDesk` asks the coordinator at once, which is
right where the customers are worked in the order of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.couplings import (
    ANSWER,
    CLAIM,
    DECISION,
    Answers,
    Coordinator,
    GateSpec,
    Grants,
    Kind,
    PoolSpec,
    Result,
    Spec,
    TrialSpec,
)

Claim = tuple[int, int, int, int, int, int, int, int, int]
"""The fields of CLAIM."""


class Answer(NamedTuple):
    """When a claim is answered, and whether it is granted."""

    time_ms: int
    granted: bool


class Desk:
    """One customer's desk, answering from grants; `asked` are his claims and reports so far.

    `gate`, `pools` and `tests` say which resource is what; all are empty where nothing is coupled.
    `lacking` tells that a claim had no answer.
    """

    def __init__(
        self,
        specs: Sequence[Spec] = (),
        row: int = 0,
        id_hash: int = 0,
        grants: Grants | None = None,
    ) -> None:
        numbered = list(enumerate(specs))
        self.gate = next((i for i, spec in numbered if isinstance(spec, GateSpec)), None)
        self.pools = {spec.name: i for i, spec in numbered if isinstance(spec, PoolSpec)}
        self.tests = {spec.node: i for i, spec in numbered if isinstance(spec, TrialSpec)}
        self.asked: list[Claim] = []
        self.lacking = False
        self._row, self._hash = row, id_hash
        self.number = 0  # of the next claim
        self._answers: Answers = np.zeros(0, ANSWER)
        self._decisions: NDArray[Any] = np.zeros(0, DECISION)
        if grants is not None:
            first, end = grants.offsets[row : row + 2]
            self._answers, self._decisions = grants.answers[first:end], grants.decisions

    def claim(self, kind: Kind, resource: int, now_ms: int) -> Answer | None:
        """Claim a resource; None where the answer is not known."""
        claim = (now_ms, self._hash, 0, self._row, self.number, int(kind), resource, 0, 0)
        self.asked.append(claim)
        self.number += 1
        answer = self._answer(claim)
        self.lacking |= answer is None
        return answer

    def arrive(self, test: int, now_ms: int) -> int:
        """Report a visit of a test; return the branch decided for, -1 where the weights hold."""
        return self._told(self._report(Kind.ARRIVED, test, now_ms, 0, 0))

    def open(self, test: int, branch: int, now_ms: int) -> None:
        """Report that a watch of a branch was opened."""
        self._told(self._report(Kind.OPENED, test, now_ms, branch, now_ms))

    def succeed(self, test: int, branch: int, now_ms: int, start_ms: int) -> None:
        """Report that a watch of a branch, opened at `start_ms`, saw its success."""
        self._told(self._report(Kind.SUCCEEDED, test, now_ms, branch, start_ms))

    def _report(self, kind: Kind, test: int, now_ms: int, branch: int, start_ms: int) -> Claim:
        number = self.number
        report = (now_ms, self._hash, start_ms, self._row, number, int(kind), test, branch, 0)
        self.asked.append(report)
        return report

    def _answer(self, claim: Claim) -> Answer | None:
        if claim[4] >= len(self._answers):
            return None
        return _answer_of(self._answers[claim[4]])

    def _told(self, report: Claim) -> int:
        for at_ms, resource, branch in self._decisions.tolist():
            if resource == report[6] and at_ms <= report[0]:
                return int(branch)
        return -1


class SharedDesk(Desk):
    """A desk at which the coordinator itself answers."""

    def __init__(self, coordinator: Coordinator, row: int, id_hash: int) -> None:
        super().__init__(coordinator.specs, row, id_hash)
        self._coordinator = coordinator

    def _answer(self, claim: Claim) -> Answer | None:
        return _answer_of(self._coordinator.take(np.array([claim], CLAIM))[0])

    def _told(self, report: Claim) -> int:
        return int(self._coordinator.take(np.array([report], CLAIM))["result"][0])


def _answer_of(record: Any) -> Answer:
    return Answer(int(record["time_ms"]), int(record["result"]) == Result.GRANTED)
