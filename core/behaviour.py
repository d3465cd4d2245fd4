"""Describe what each customer did up to an instant as numbers, and what they did after it.

Models that predict learn from the first and are judged by the second. Everything here takes the
instant as an argument and reads no event after it for a feature, nor any after the end of the span
for an outcome, so what comes later cannot leak into a prediction of an earlier time. Attributes are
no features: those of an export are of today.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.audience import INT64_MIN, Audience
from core.duration import DAY_MS

SPANS_DAYS = (30, 90, 365)
FEATURES: tuple[str, ...] = (
    "days_since_purchase",
    "days_since_first_purchase",
    "days_known",
    "purchases",
    *(f"purchases_{days}d" for days in SPANS_DAYS),
    "money",
    *(f"money_{days}d" for days in SPANS_DAYS),
    "mean_amount",
    "mean_gap_days",
    "overdue",
    "days_since_event",
    "events",
    *(f"events_{days}d" for days in SPANS_DAYS),
)
"""The columns of `features`; a value that has no meaning for a customer is NaN."""

Int64s = NDArray[np.int64]
Float64s = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """The events of n customers in order of time: `customer`, `ms` int64[m].

    `bought` bool[m] marks purchases, `amount` float64[m] their money, else 0. `created_ms` int64[n]
    is INT64_MIN where unknown.
    """

    created_ms: Int64s
    customer: Int64s
    ms: Int64s
    bought: Flags
    amount: Float64s

    @property
    def customers(self) -> int:
        """The number of customers, n."""
        return len(self.created_ms)


def behaviour_of(audience: Audience, event: str, amount: str) -> Behaviour:
    """All loaded events of an audience; purchases are `event` with the property `amount`."""
    owner = np.repeat(np.arange(audience.customers), np.diff(audience.event_offsets))
    order = np.argsort(audience.event_ms, kind="stable")
    code = audience.event_names.index(event) if event in audience.event_names else -1
    bought = audience.event_type == code
    money = np.zeros(audience.events, np.float64)
    column = audience.properties.get(amount)
    if column is not None and column.kind in ("int64", "float64"):
        money = np.where(column.missing() | ~bought, 0, column.values).astype(np.float64)
    return Behaviour(
        audience.created_ms, owner[order], audience.event_ms[order], bought[order], money[order]
    )


def known_at(behaviour: Behaviour, at_ms: int) -> Flags:
    """Which customers were there at an instant, bool[n]: created by then, or where that is unknown.

    Somebody whose creation is unknown has always been there.
    """
    return behaviour.created_ms <= at_ms


def buyers_at(behaviour: Behaviour, at_ms: int) -> Flags:
    """Which customers had bought something by an instant, bool[n]."""
    return _counts(behaviour, INT64_MIN, at_ms, purchases=True) > 0


def bought_after(behaviour: Behaviour, at_ms: int, span_ms: int) -> Flags:
    """Which customers bought something in (at, at + span], bool[n]."""
    return _counts(behaviour, at_ms, at_ms + span_ms, purchases=True) > 0


def features(behaviour: Behaviour, at_ms: int) -> Float64s:
    """What each customer did at or before an instant, float64[n, len(FEATURES)]."""
    n = behaviour.customers
    stop = int(np.searchsorted(behaviour.ms, at_ms, side="right"))
    customer, ms = behaviour.customer[:stop], behaviour.ms[:stop]
    bought, amount = behaviour.bought[:stop], behaviour.amount[:stop]
    buyer, bought_ms = customer[bought], ms[bought]

    def days_since(times: Int64s) -> Float64s:
        return np.where(times == INT64_MIN, np.nan, (at_ms - times) / DAY_MS)

    def latest(whose: Int64s, when: Int64s) -> Int64s:
        found = np.full(n, INT64_MIN, np.int64)
        found[whose] = when  # in order of time, so the last one stays
        return found

    last, first = latest(buyer, bought_ms), latest(buyer[::-1], bought_ms[::-1])
    purchases = np.bincount(buyer, minlength=n).astype(np.float64)
    money = np.bincount(customer, amount, minlength=n)
    begun = np.where(behaviour.created_ms == INT64_MIN, latest(customer[::-1], ms[::-1]), 0)
    begun = np.where(behaviour.created_ms == INT64_MIN, begun, behaviour.created_ms)
    some = np.maximum(purchases, 1)
    gap = np.where(purchases > 1, (last - first) / DAY_MS / np.maximum(some - 1, 1), np.nan)
    since = days_since(last)
    spans = [(at_ms - days * DAY_MS, at_ms) for days in SPANS_DAYS]
    columns = [
        since,
        days_since(first),
        days_since(begun),
        purchases,
        *(_counts(behaviour, start, end, purchases=True) for start, end in spans),
        money,
        *(_money(behaviour, start, end) for start, end in spans),
        np.where(purchases > 0, money / some, np.nan),
        gap,
        np.where(gap > 0, since / np.where(gap > 0, gap, 1), np.nan),
        days_since(latest(customer, ms)),
        np.bincount(customer, minlength=n),
        *(_counts(behaviour, start, end, purchases=False) for start, end in spans),
    ]
    return np.stack([np.asarray(c, np.float64) for c in columns], axis=1)


def _between(behaviour: Behaviour, after_ms: int, until_ms: int) -> slice:
    """The rows in (after, until]."""
    bounds = np.searchsorted(behaviour.ms, [after_ms, until_ms], side="right")
    return slice(int(bounds[0]), int(bounds[1]))


def _counts(behaviour: Behaviour, after_ms: int, until_ms: int, *, purchases: bool) -> Int64s:
    rows = _between(behaviour, after_ms, until_ms)
    customer = behaviour.customer[rows]
    if purchases:
        customer = customer[behaviour.bought[rows]]
    return np.bincount(customer, minlength=behaviour.customers).astype(np.int64)


def _money(behaviour: Behaviour, after_ms: int, until_ms: int) -> Float64s:
    rows = _between(behaviour, after_ms, until_ms)
    found = np.bincount(behaviour.customer[rows], behaviour.amount[rows], behaviour.customers)
    return found.astype(np.float64)
