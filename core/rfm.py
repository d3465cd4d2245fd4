"""Compute the RFM status: how recently, how often and for how much somebody bought, in one word.

Recency, frequency and money are each coded 1 to 5, by fifths of all customers who ever bought or by
bounds of the tenant's own. A grid of recency against the mean of the other two names a status. It
is computed at scheduled times, each from nothing but the purchases up to then, and told as a log of
changes: so a dry run on the past sees what was known at that time, and a status changes when the
schedule says and not before.

Coding by fifths is A. M. Hughes, Strategic Database Marketing (1994), chapter on RFM; here equal
values get the same code, the one of the lowest of them, so that neither the order of customers nor
chance decides. The names are those customary in dashboards of the trade; they disagree on the
cells, so the grid `STATUSES` is stated here, one name for each cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictFloat, StrictInt, model_validator

from core.audience import INT64_MIN, Audience, ChangeLog, Column
from core.conditions import Model, Name, Number, WindowField
from core.duration import DAY_MS, Duration, fixed_ms

ATTRIBUTE = "rfm"
CODES = 5
TIMES_MAX = 10_000
MONDAY_MS = 4 * DAY_MS  # 1970-01-05, the first Monday of the epoch

STATUSES: dict[str, tuple[str, ...]] = {
    # status of recency 5, 4, 3, 2, 1 (rows) and the mean of frequency and money 1 to 5 (columns)
    "5": ("new", "potential_loyal", "potential_loyal", "champions", "champions"),
    "4": ("promising", "potential_loyal", "potential_loyal", "loyal", "champions"),
    "3": ("about_to_sleep", "about_to_sleep", "needs_attention", "loyal", "loyal"),
    "2": ("hibernating", "hibernating", "at_risk", "at_risk", "cant_lose"),
    "1": ("lost", "lost", "at_risk", "cant_lose", "cant_lose"),
}

NAMES: tuple[str, ...] = tuple(dict.fromkeys(name for row in STATUSES.values() for name in row))
"""The statuses, in the order of the grid; codes of the attribute's column are places in it."""

_GRID = np.array(
    [[NAMES.index(n) for n in STATUSES[str(recency)]] for recency in range(1, CODES + 1)], np.int8
)

Int64s = NDArray[np.int64]
Codes = NDArray[np.int8]
Bounds = Annotated[list[Number], Field(min_length=CODES - 1, max_length=CODES - 1)]


class RfmRules(Model):
    """How the status is computed.

    Purchases are events `event` with the number `amount` as a property; one without it counts as
    bought for 0. Only those within `window` before a scheduled time count, all of them where none
    is stated. `every` is the time between two schedules, in whole days of UTC, counted from a
    Monday. Bounds replace fifths: of `recency` the days at most for the codes 5, 4, 3 and 2
    (rising), of `frequency` and `money` the least for the codes 2, 3, 4 and 5 (rising).
    """

    event: Name = "purchase"
    amount: Name = "amount"
    window: WindowField | None = None
    every: WindowField = Duration(days=7)
    recency: Bounds | None = None
    frequency: Bounds | None = None
    money: Bounds | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if fixed_ms(self.every) % DAY_MS:
            raise ValueError("'every' must be whole days")
        for name in ("recency", "frequency", "money"):
            bounds: list[StrictInt | StrictFloat] | None = getattr(self, name)
            if bounds is not None and any(b <= a for a, b in pairwise(bounds)):
                raise ValueError(f"the bounds of '{name}' must rise")
        return self


@dataclass(frozen=True, slots=True)
class Purchases:
    """Who bought when for how much: `customer` int64[m], `ms` int64[m], `amount` float64[m].

    They are in order of time, those of one time in order of customers and then as they came;
    `customers` is n.
    """

    customers: int
    customer: Int64s
    ms: Int64s
    amount: NDArray[np.float64]


def purchases_of(audience: Audience, event: str, amount: str) -> Purchases:
    """The purchases in an audience; a missing amount is 0. Needs the event and the property loaded.

    An `amount` that the events have as true or false or as text counts as 0 too.
    """
    owner = np.repeat(np.arange(audience.customers), np.diff(audience.event_offsets))
    code = audience.event_names.index(event) if event in audience.event_names else -1
    rows = np.flatnonzero(audience.event_type == code)
    rows = rows[np.argsort(audience.event_ms[rows], kind="stable")]
    column = audience.properties.get(amount)
    money = np.zeros(len(rows), np.float64)
    if column is not None and column.kind in ("int64", "float64"):
        money = np.where(column.missing()[rows], 0, column.values[rows]).astype(np.float64)
    return Purchases(audience.customers, owner[rows], audience.event_ms[rows], money)


def schedule_ms(rules: RfmRules, first_ms: int, until_ms: int) -> Int64s:
    """The scheduled times t with `first_ms` < t <= `until_ms`, int64[k]: midnights of UTC.

    ValueError where there are more than `TIMES_MAX`.
    """
    every = fixed_ms(rules.every)
    start = first_ms + (MONDAY_MS - first_ms) % every
    start += every if start == first_ms else 0
    count = max(0, (until_ms - start) // every + 1)
    if count > TIMES_MAX:
        raise ValueError(f"there would be {count:,} scheduled times; at most {TIMES_MAX:,} are")
    return start + every * np.arange(count, dtype=np.int64)


def code_by_fifths(values: NDArray[np.float64]) -> Codes:
    """The codes 1 to 5 of values, int8[n], the greatest having 5.

    The code of a value is 1 and the whole number of fifths of all that are smaller.
    """
    n = len(values)
    if not n:
        return np.zeros(0, np.int8)
    # A value has k fifths of all below it if it is greater than the last of these in order, so
    # four order statistics do instead of sorting everybody.
    lasts = [-(-k * n // CODES) - 1 for k in range(1, CODES)]
    bounds = np.partition(values, sorted(set(lasts)))[lasts]
    return (1 + np.searchsorted(bounds, values, side="left")).astype(np.int8)


def code_by_bounds(values: NDArray[np.float64], bounds: list[StrictInt | StrictFloat]) -> Codes:
    """The codes 1 to 5 of values, int8[n]: 1 and how many of the rising bounds they reach."""
    found = np.searchsorted(np.array(bounds, np.float64), values, side="right")
    return (1 + found).astype(np.int8)


def statuses(
    rules: RfmRules, at_ms: int, last_ms: Int64s, bought: Int64s, money: NDArray[np.float64]
) -> Codes:
    """The status of each customer at a time, int8[n]: places in `NAMES`, -1 who bought nothing.

    `last_ms`, `bought` and `money` are of the purchases that count: the time of the last, how many,
    and for how much in all.
    """
    found = np.full(len(bought), -1, np.int8)
    who = np.flatnonzero(bought > 0)
    age_days = (at_ms - last_ms[who]) / DAY_MS
    if rules.recency is None:
        recency = code_by_fifths(-age_days)
    else:
        recency = code_by_bounds(-age_days, [-bound for bound in reversed(rules.recency)])
    often = bought[who].astype(np.float64)
    spent = money[who]
    by_fifths = code_by_fifths
    frequency = (
        by_fifths(often) if rules.frequency is None else code_by_bounds(often, rules.frequency)
    )
    monetary = by_fifths(spent) if rules.money is None else code_by_bounds(spent, rules.money)
    # The mean of the two, a half rounded up.
    mean = (frequency + monetary + 1) // 2
    found[who] = _GRID[recency - 1, mean - 1]
    return found


@dataclass(frozen=True, slots=True)
class Statuses:
    """The statuses over time: changes in order of (customer, time), and the last ones.

    `customer` int64[k], `ms` int64[k] and `status` int8[k] are the changes, `now` int8[n] what
    holds at the end; statuses are places in `NAMES`, -1 is none.
    """

    customer: Int64s
    ms: Int64s
    status: Codes
    now: Codes

    def change_log(self, customers: int) -> ChangeLog:
        """The changes as `core.audience` holds them, of the one attribute `rfm`."""
        counts = np.bincount(self.customer, minlength=customers)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        code = np.zeros(len(self.ms), np.int32)
        return ChangeLog([ATTRIBUTE], offsets, self.ms, code, self.status.astype(np.int64))

    def column(self) -> Column:
        """The statuses at the end as a column of texts."""
        return Column("string", self.now.astype(np.int32), list(NAMES))


def statuses_over_time(rules: RfmRules, purchases: Purchases, times_ms: Int64s) -> Statuses:
    """The statuses at each of the rising `times_ms`, from the purchases at or before it."""
    n = purchases.customers
    span = None if rules.window is None else fixed_ms(rules.window)
    stops = np.searchsorted(purchases.ms, times_ms, side="right")
    # A window is (t - span, t].
    starts = np.zeros_like(stops)
    if span is not None:
        starts = np.searchsorted(purchases.ms, times_ms - span, side="right")
    last_ms = np.full(n, INT64_MIN, np.int64)
    bought = np.zeros(n, np.int64)
    money = np.zeros(n, np.float64)
    now = np.full(n, -1, np.int8)
    done = 0
    parts: list[tuple[Int64s, Int64s, Codes]] = []
    for at_ms, start, stop in zip(times_ms.tolist(), starts.tolist(), stops.tolist(), strict=True):
        fresh = slice(done, stop)
        # Rows are in order of time, and of repeated places the last assigned stays.
        last_ms[purchases.customer[fresh]] = purchases.ms[fresh]
        if span is None:
            # One by one in order of time, so that sums do not depend on the schedule.
            np.add.at(bought, purchases.customer[fresh], 1)
            np.add.at(money, purchases.customer[fresh], purchases.amount[fresh])
        else:
            held = purchases.customer[start:stop]
            bought = np.bincount(held, minlength=n)
            money = np.bincount(held, purchases.amount[start:stop], minlength=n).astype(np.float64)
        done = stop
        found = statuses(rules, at_ms, last_ms, bought, money)
        who = np.flatnonzero(found != now)
        parts.append((who, np.full(len(who), at_ms, np.int64), found[who]))
        now = found
    customer = np.concatenate([np.zeros(0, np.int64), *(part[0] for part in parts)])
    ms = np.concatenate([np.zeros(0, np.int64), *(part[1] for part in parts)])
    status = np.concatenate([np.zeros(0, np.int8), *(part[2] for part in parts)])
    order = np.argsort(customer, kind="stable")
    return Statuses(customer[order], ms[order], status[order], now)
