"""Make the customers of the micro-benchmarks: an attribute of each type, tags, groups, and events.

They begin on 2026-01-01. Event `go` begins entries, one a day in its first hours; `click` follows
from the third day on, one a day. So an entry, whenever it was, comes before the first click.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from core.audience import INT64_MIN, Audience, Column
from core.options import RunOptions

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
START_DAY = 20_454  # 2026-01-01
START_MS = START_DAY * DAY_MS
ENTRY_DAYS = 20
HORIZON_DAYS = 100
GO_HOURS = 8
FIRST_CLICK_DAY = 2
OPTIONS = RunOptions(
    START_MS, START_MS + ENTRY_DAYS * DAY_MS, START_MS + HORIZON_DAYS * DAY_MS, audience_zone="UTC"
)
COUNTRIES = ["DE", "FR", "IT", "PL", "US"]
PLANS = ["free", "plus", "pro"]


@lru_cache(maxsize=4)
def make_crowd(customers: int, *, entries: int = 1, clicks: int = 0) -> Audience:
    """So many customers, each with so many events of both types; the same from the same numbers.

    Every event has the properties `amount`, 0 to 100, and `plan`. What is returned is kept for the
    next caller, who must not change it.
    """
    rng = np.random.default_rng([customers, entries, clicks])
    ms = START_MS + np.concatenate(
        [
            np.arange(entries) * DAY_MS + rng.integers(1, GO_HOURS * HOUR_MS, (customers, entries)),
            (np.arange(clicks) + FIRST_CLICK_DAY) * DAY_MS
            + rng.integers(0, DAY_MS, (customers, clicks)),
        ],
        axis=1,
    )
    kind = np.broadcast_to(np.repeat(np.array([1, 0], np.int32), [entries, clicks]), ms.shape)
    order = np.argsort(ms, axis=1)
    events = ms.size
    return Audience(
        id_offsets=np.zeros(customers + 1, np.int64),
        id_data=np.zeros(0, np.uint8),
        id_hash=rng.integers(0, 2**64, customers, dtype=np.uint64),
        created_ms=np.full(customers, INT64_MIN),
        zone_names=["America/New_York", "Europe/Berlin", "Europe/Warsaw"],
        zone_code=(np.arange(customers, dtype=np.int32) % 4 - 1).astype(np.int32),
        attributes=_attributes(rng, customers),
        tags={
            "keen": np.zeros(customers, np.int8),
            "newsletter": rng.integers(0, 2, customers).astype(np.int8),
            "vip": rng.integers(0, 2, customers).astype(np.int8),
        },
        groups={"beta": rng.integers(0, 2, customers).astype(np.int8)},
        event_names=["click", "go"],
        event_offsets=np.arange(customers + 1) * (entries + clicks),
        event_type=np.take_along_axis(kind, order, axis=1).reshape(-1),
        event_ms=np.take_along_axis(ms, order, axis=1).reshape(-1),
        event_hash=rng.integers(0, 2**64, events, dtype=np.uint64),
        properties={
            "amount": Column("float64", rng.uniform(0, 100, events)),
            "plan": _texts(rng, events, PLANS),
        },
    )


def _attributes(rng: np.random.Generator, customers: int) -> dict[str, Column]:
    """Half of the customers lie on either side of the middle of each, which predicates ask for."""

    def among(low: int, high: int) -> NDArray[np.int64]:
        return rng.integers(low, high, customers)

    return {
        "age": Column("int64", among(0, 100)),
        "balance": Column("float64", rng.uniform(0, 100, customers)),
        "born": Column("date", among(START_DAY - 20_000, START_DAY)),
        "consent": Column("bool", among(0, 2).astype(np.int8)),
        "country": _texts(rng, customers, COUNTRIES),
        "due": Column("datetime", among(START_MS, START_MS + 20 * DAY_MS)),
        "plan": _texts(rng, customers, PLANS),
        "points": Column("int64", among(0, 100)),
        "renewal": Column("date", among(START_DAY + 30, START_DAY + 60)),
        "seen": Column("datetime", among(START_MS - 20 * DAY_MS, START_MS)),
    }


def _texts(rng: np.random.Generator, count: int, texts: list[str]) -> Column:
    return Column("string", rng.integers(0, len(texts), count).astype(np.int32), list(texts))
