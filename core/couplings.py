"""Grant what customers compete for: places in a line, places under a cap, coupons, ends of tests.

Claims come in as arrays in the order of (time, customer hash, number), answers go out. They are a
function of the claims alone: claims in pieces that come in order get the answers that all of them
get at once. Semantics D39 to D45; `core.reference` and `actors.coupled_run` both ask this
coordinator, so that nothing is granted by two rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from core.duration import fixed_ms
from core.errors import HeadraceError
from core.flow import Flow
from core.nodes import BEST, TakeCoupon
from core.options import RunOptions

Claims = NDArray[Any]
Answers = NDArray[Any]
Snapshot = dict[str, NDArray[Any]]

SECOND_MS = 1000
LONG_AGO_MS = -(2**62)
NEVER_MS = 2**63 - 1


class Kind(IntEnum):
    """What a record of CLAIM is: a claim (the first two), or a report on an A/B test."""

    ENTRY = 0
    COUPON = 1
    ARRIVED = 2
    OPENED = 3
    SUCCEEDED = 4


class Result(IntEnum):
    """What a claim is answered."""

    GRANTED = 0
    REFUSED = 1


CLAIM = np.dtype(
    [
        ("time_ms", "<i8"),
        ("hash", "<u8"),
        ("start_ms", "<i8"),
        ("customer", "<i4"),
        ("number", "<u4"),
        ("kind", "<i4"),
        ("resource", "<i4"),
        ("branch", "<i4"),
        ("pad", "<i4"),
    ]
)
"""A claim or a report. `hash` and `customer` (his row) say whose it is. `number` counts the
customer's claims from 0; of a report it is how many claims he had made before. `resource` is its
place in `resources_of`. `branch` is that of the watch that opened or succeeded, `start_ms` when it
opened; both are 0 elsewhere."""

ANSWER = np.dtype([("time_ms", "<i8"), ("result", "<i4"), ("pad", "<i4")])
"""When a claim is answered, and what (`Result`). For ARRIVED the result is the branch that the test
has been decided for by then, -1 where the weights hold; for other reports it is 0."""

DECISION = np.dtype([("time_ms", "<i8"), ("resource", "<i4"), ("branch", "<i4")])
"""From `time_ms` on everybody takes this branch of a test."""


@dataclass(frozen=True, slots=True)
class GateSpec:
    """The way into a flow: entries within a second and people in all, None for any number."""

    per_second: int | None
    people: int | None


@dataclass(frozen=True, slots=True)
class PoolSpec:
    """A pool of coupons."""

    name: str
    stock: int


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """An A/B test that ends after `people` visits.

    `wait_ms` after the last of them it is decided for the branch `then`, or for the best one (-1).
    """

    node: str
    people: int
    wait_ms: int
    then: int
    branches: int


Spec = GateSpec | PoolSpec | TrialSpec


def resources_of(flow: Flow, options: RunOptions) -> list[Spec]:
    """What customers of `flow` compete for: the gate if there is one, pools in use, tests that end.

    HeadraceError where the options state coupons of a pool that the flow doesn't have.
    """
    settings = flow.settings
    rate = options.entry_rate if settings.entry_rate is None else settings.entry_rate.per_second
    found: list[Spec] = []
    if rate is not None or settings.entry_cap is not None:
        found.append(GateSpec(rate, settings.entry_cap))
    for name in options.coupons:
        if name not in settings.coupons:
            raise HeadraceError(
                f"the flow has no pool of coupons {name!r}",
                advice=f"It has {', '.join(map(repr, settings.coupons)) or 'none'}.",
            )
    taken = {node.pool for node in flow.nodes.values() if isinstance(node, TakeCoupon)}
    stocks: Mapping[str, int] = {**settings.coupons, **options.coupons}
    found += [PoolSpec(name, stock) for name, stock in stocks.items() if name in taken]
    for node_id, node in flow.tests.items():
        if node.until is not None:
            best = node.until.then == BEST
            matured = best and node.until.decide == "matured"
            found.append(
                TrialSpec(
                    node=node_id,
                    people=node.until.people,
                    wait_ms=1 + (fixed_ms(node.target.within) if matured else 0),
                    then=-1 if best else node.ports.index(node.until.then),
                    branches=len(node.branches),
                )
            )
    return found


def in_order(claims: Claims) -> Claims:
    """The claims in the order in which they are answered; of one hash the smaller row is first."""
    keys = [claims[name] for name in ("number", "customer", "hash", "time_ms")]
    ordered: Claims = claims[np.lexsort(keys)]
    return ordered


def line_times(
    times_ms: NDArray[np.int64], before_ms: NDArray[np.int64], per_second: int
) -> NDArray[np.int64]:
    """When those are let in who come at these times, int64[k] ascending, ms.

    `before_ms` int64[j], j <= `per_second`, ascending, are the last times at which others were let
    in. Along every `per_second`-th place g(k) = max(t(k), g(k - N) + 1000) is a running maximum of
    t - 1000 * row.
    """
    j, k = len(before_ms), len(times_ms)
    if j + k <= per_second:
        return times_ms.copy()
    rows = 1 + -(-k // per_second)
    table = np.full(rows * per_second, LONG_AGO_MS, np.int64)
    table[per_second - j : per_second] = before_ms
    table[per_second : per_second + k] = times_ms
    shift = SECOND_MS * np.arange(rows, dtype=np.int64)[:, None]
    let_in = np.maximum.accumulate(table.reshape(rows, per_second) - shift, axis=0) + shift
    return let_in.reshape(-1)[per_second : per_second + k].copy()


class _Resource(Protocol):
    def take(self, claims: Claims, answers: Answers) -> None:
        """Answer claims on this resource, in order, into `answers` (granted at their time)."""

    def advance(self, until_ms: int) -> None:
        """No claim before `until_ms` will come any more."""

    def snapshot(self) -> Snapshot:
        """The state as plain arrays."""

    def restore(self, state: Snapshot) -> None:
        """Take on a state that `snapshot` gave."""


@dataclass(slots=True)
class _Gate:
    spec: GateSpec
    recent_ms: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    people: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))  # sorted

    def take(self, claims: Claims, answers: Answers) -> None:
        let_in = self._under_the_cap(claims["hash"])
        answers["result"] = np.where(let_in, Result.GRANTED, Result.REFUSED)
        per_second = self.spec.per_second
        if per_second is not None and let_in.any():
            granted = line_times(claims["time_ms"][let_in], self.recent_ms, per_second)
            answers["time_ms"][let_in] = granted
            recent = np.concatenate([self.recent_ms, granted])[-per_second:]
            # Whoever was let in a second before the last claim holds nobody back any more.
            self.recent_ms = recent[recent > claims["time_ms"][-1] - SECOND_MS]

    def _under_the_cap(self, hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
        if self.spec.people is None:
            return np.ones(len(hashes), np.bool_)
        distinct, first, place = np.unique(hashes, return_index=True, return_inverse=True)
        fresh = ~np.isin(distinct, self.people, assume_unique=True)
        order = np.flatnonzero(fresh)[np.argsort(first[fresh], kind="stable")]
        late = order[self.spec.people - len(self.people) :]
        let_in = np.ones(len(distinct), np.bool_)
        let_in[late] = False
        self.people = np.union1d(self.people, distinct[let_in])
        return np.asarray(let_in[place], np.bool_)

    def advance(self, until_ms: int) -> None:
        pass

    def snapshot(self) -> Snapshot:
        return {"recent_ms": self.recent_ms.copy(), "people": self.people.copy()}

    def restore(self, state: Snapshot) -> None:
        self.recent_ms, self.people = state["recent_ms"].copy(), state["people"].copy()


@dataclass(slots=True)
class _Pool:
    spec: PoolSpec
    taken: int = 0

    def take(self, claims: Claims, answers: Answers) -> None:
        left = self.spec.stock - self.taken
        answers["result"][:left] = Result.GRANTED
        answers["result"][left:] = Result.REFUSED
        self.taken += min(left, len(claims))

    def advance(self, until_ms: int) -> None:
        pass

    def snapshot(self) -> Snapshot:
        return {"taken": np.array([self.taken], np.int64)}

    def restore(self, state: Snapshot) -> None:
        self.taken = int(state["taken"][0])


class _Trial:
    """Counts of a test up to its decision; afterwards nothing changes them."""

    def __init__(self, spec: TrialSpec) -> None:
        self.spec = spec
        self.visits = 0
        self.full_ms = NEVER_MS  # when the last of the people came
        self.branch = -1
        self.opened = np.zeros(spec.branches, np.int64)
        self.succeeded = np.zeros(spec.branches, np.int64)

    @property
    def decision_ms(self) -> int:
        """From when on the decision holds."""
        return NEVER_MS if self.full_ms == NEVER_MS else self.full_ms + self.spec.wait_ms

    def take(self, claims: Claims, answers: Answers) -> None:
        times, kinds = claims["time_ms"], claims["kind"]
        arrived = kinds == Kind.ARRIVED
        missing = self.spec.people - self.visits
        if self.full_ms == NEVER_MS and arrived.sum() >= missing:
            self.full_ms = int(times[arrived][missing - 1])
        self.visits += int(arrived.sum())
        if self.branch < 0:
            trials = (kinds == Kind.OPENED) & (times <= self.full_ms)
            successes = (kinds == Kind.SUCCEEDED) & (times < self.decision_ms)
            successes &= claims["start_ms"] <= self.full_ms
            for mask, counts in ((trials, self.opened), (successes, self.succeeded)):
                counts += np.bincount(claims["branch"][mask], minlength=self.spec.branches)
            if len(times):
                self.advance(int(times[-1]))
        late = arrived & (times >= self.decision_ms)
        answers["result"] = np.where(arrived, np.where(late, self.branch, -1), 0)

    def advance(self, until_ms: int) -> None:
        if self.branch < 0 and self.full_ms != NEVER_MS and self.decision_ms <= until_ms:
            self.branch = self.best() if self.spec.then < 0 else self.spec.then

    def best(self) -> int:
        """The first branch of the highest rate; one without trials loses to one with any."""
        best = 0
        for i in range(1, self.spec.branches):
            mine, other = int(self.opened[i]), int(self.opened[best])
            # Products of whole numbers, so that equal rates are equal.
            ahead = int(self.succeeded[i]) * other - int(self.succeeded[best]) * mine
            if ahead > 0 or (mine > 0 and other == 0):
                best = i
        return best

    def snapshot(self) -> Snapshot:
        counts = np.array([self.visits, self.full_ms, self.branch], np.int64)
        return {
            "counts": counts,
            "opened": self.opened.copy(),
            "succeeded": self.succeeded.copy(),
        }

    def restore(self, state: Snapshot) -> None:
        self.visits, self.full_ms, self.branch = (int(count) for count in state["counts"])
        self.opened, self.succeeded = state["opened"].copy(), state["succeeded"].copy()


def _made(spec: Spec) -> _Resource:
    match spec:
        case GateSpec():
            return _Gate(spec)
        case PoolSpec():
            return _Pool(spec)
        case TrialSpec():
            return _Trial(spec)


class Coordinator:
    """Answers the claims on the resources of one flow."""

    def __init__(self, specs: Sequence[Spec]) -> None:
        self.specs = list(specs)
        self._resources = [_made(spec) for spec in specs]
        self._last_ms = LONG_AGO_MS

    def take(self, claims: Claims, now_ms: int = LONG_AGO_MS) -> Answers:
        """Answer CLAIM[k] records, returning ANSWER[k].

        They are `in_order`, and none is earlier than one that was taken before: ValueError
        otherwise. Of one instant the caller sees to the order between calls. `now_ms`, which never
        goes back, is the earliest time at which an answer can take effect: a rate of entries holds
        from then on.
        """
        answers: Answers = np.zeros(len(claims), ANSWER)
        answers["time_ms"] = claims["time_ms"]
        if not len(claims):
            return answers
        if claims["time_ms"][0] < self._last_ms or np.any(np.diff(claims["time_ms"]) < 0):
            raise ValueError("claims must come in the order of their time")
        self._last_ms = int(claims["time_ms"][-1])
        for number, resource in enumerate(self._resources):
            mine = claims["resource"] == number
            if mine.any():
                asked, given = claims[mine], answers[mine]
                if isinstance(resource, _Gate):
                    asked["time_ms"] = np.maximum(asked["time_ms"], now_ms)
                resource.take(asked, given)
                answers[mine] = given
        return answers

    def advance(self, until_ms: int) -> None:
        """Let time pass up to `until_ms`: no claim before it will come; tests may be decided."""
        for resource in self._resources:
            resource.advance(until_ms)

    def next_decision_ms(self) -> int:
        """When the next test is decided, as far as is known; NEVER_MS for none."""
        due = [r.decision_ms for r in self._resources if isinstance(r, _Trial) and r.branch < 0]
        return min(due, default=NEVER_MS)

    def decisions(self) -> NDArray[Any]:
        """The tests that have been decided, DECISION[k] by resource."""
        found = [
            (resource.decision_ms, number, resource.branch)
            for number, resource in enumerate(self._resources)
            if isinstance(resource, _Trial) and resource.branch >= 0
        ]
        return np.array(found, DECISION)

    def standings(self) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """By resource, for each test: trials and successes by branch, int64[branches] each.

        They are those before its decision, or so far.
        """
        return {
            number: (resource.opened.copy(), resource.succeeded.copy())
            for number, resource in enumerate(self._resources)
            if isinstance(resource, _Trial)
        }

    def snapshot(self) -> Snapshot:
        """The whole state as plain arrays by name, from which `restore` goes on alike."""
        state: Snapshot = {"last_ms": np.array([self._last_ms], np.int64)}
        for number, resource in enumerate(self._resources):
            state |= {f"{number}.{name}": held for name, held in resource.snapshot().items()}
        return state

    def restore(self, state: Snapshot) -> None:
        """Take on the state of a coordinator of the same resources; KeyError for another's."""
        for number, resource in enumerate(self._resources):
            prefix = f"{number}."
            resource.restore(
                {n.removeprefix(prefix): a for n, a in state.items() if n.startswith(prefix)}
            )
        self._last_ms = int(state["last_ms"][0])


@dataclass(slots=True)
class Grants:
    """What claims were answered, by customer row: all that a run needs to be carried out alone.

    Customer c's claims 0, 1, ... have the answers ANSWER `answers[offsets[c]:offsets[c + 1]]`;
    offsets int64[customers + 1]. `decisions` DECISION[k] are those of the tests.
    """

    offsets: NDArray[np.int64]
    answers: Answers
    decisions: NDArray[Any]

    @classmethod
    def none(cls, customers: int) -> Grants:
        """No answers, for so many customers."""
        return cls(np.zeros(customers + 1, np.int64), np.zeros(0, ANSWER), np.zeros(0, DECISION))
