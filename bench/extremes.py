"""Make the extremes: one customer with most of the events, and all tokens due at one millisecond.

Each comes with its even case: the same flow on an audience of like size without the extreme.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.journey import DAY_MS, ENTRY_DAYS, FLOW, make_audience
from core.audience import INT64_MIN, Audience, Column
from core.flow import Flow
from core.options import RunOptions

CLICK, GO, OTHER = range(3)  # indices into the journey's event names, and a type beside them
SURGE_DAYS = 20
SURGE_OPTIONS = RunOptions(0, DAY_MS, (SURGE_DAYS + 2) * DAY_MS)

REENTERING = Flow.model_validate(
    FLOW.model_dump(by_alias=True, exclude_none=True)
    | {"settings": {"zone": "UTC", "reentry": {"policy": "always"}}}
)
"""The reference journey, which each `go` enters, also while the customer is inside."""

SURGE_FLOW = Flow.model_validate(
    {
        "headrace": 1,
        "flow": "surge",
        "settings": {"zone": "UTC"},
        "nodes": {
            "start": {
                "type": "on_segment",
                "if": {"attribute": "due", "is_set": True},
                "members": "at_start",
                "next": "due",
            },
            "due": {
                "type": "wait_date",
                "attribute": "due",
                "next": {"next": "mail", "missing": "end"},
            },
            "mail": {"type": "send", "channel": "email", "template": "due", "next": "end"},
            "end": {"type": "end"},
        },
    }
)


def whale_of_entries(events: int) -> Audience:
    """One customer who enters `events` times in 20 days, and clicks every second day.

    A click wakes all tokens that came within the 24 hours before: half of them end their wait by a
    click and half by the timeout.
    """
    rng = np.random.default_rng(2)
    entered = np.sort(rng.integers(0, ENTRY_DAYS * DAY_MS, events))
    clicked = np.arange(2, ENTRY_DAYS + 1, 2) * DAY_MS
    ms = np.concatenate([entered, clicked])
    kind = np.concatenate([np.full(events, GO, np.int32), np.full(len(clicked), CLICK, np.int32)])
    return _with_whale(make_audience(0), ms, kind)


def whale_in_crowd(customers: int, events: int, kind: int) -> Audience:
    """The journey's audience and one customer more, who enters once and then does one type only."""
    rng = np.random.default_rng(3)
    ms = np.concatenate([[0], np.sort(rng.integers(1, ENTRY_DAYS * DAY_MS, events))])
    kinds = np.concatenate([[GO], np.full(events, kind)]).astype(np.int32)
    return _with_whale(make_audience(customers), ms, kinds)


def _with_whale(crowd: Audience, ms: NDArray[np.int64], kind: NDArray[np.int32]) -> Audience:
    """`crowd` with a last customer of these events."""
    rng = np.random.default_rng(4)
    order = np.argsort(ms, kind="stable")
    hashes = rng.integers(0, 2**64, len(ms), dtype=np.uint64)
    return replace(
        crowd,
        id_offsets=np.append(crowd.id_offsets, crowd.id_offsets[-1]),
        id_hash=np.append(crowd.id_hash, rng.integers(0, 2**64, 1, dtype=np.uint64)),
        created_ms=np.append(crowd.created_ms, INT64_MIN),
        zone_code=np.append(crowd.zone_code, np.int32(-1)),
        attributes={
            "country": _longer(crowd.attributes["country"], 0),
            "consent": _longer(crowd.attributes["consent"], 1),
        },
        tags={name: np.append(flags, np.int8(0)) for name, flags in crowd.tags.items()},
        event_names=["click", "go", "other"],
        event_offsets=np.append(crowd.event_offsets, crowd.events + len(ms)),
        event_type=np.concatenate([crowd.event_type, kind[order]]),
        event_ms=np.concatenate([crowd.event_ms, ms[order]]),
        event_hash=np.concatenate([crowd.event_hash, hashes]),
    )


def _longer(column: Column, value: int) -> Column:
    values = np.append(column.values, column.values.dtype.type(value))
    return Column(column.kind, values, column.dictionary)


def surge(customers: int, *, even: bool) -> Audience:
    """Customers who all wait: until one millisecond, or `even`ly over 20 days."""
    rng = np.random.default_rng(5)
    if even:
        due = rng.integers(DAY_MS, (SURGE_DAYS + 1) * DAY_MS, customers)
    else:
        due = np.full(customers, (SURGE_DAYS + 2) * DAY_MS // 2)
    return Audience(
        id_offsets=np.zeros(customers + 1, np.int64),
        id_data=np.zeros(0, np.uint8),
        id_hash=rng.integers(0, 2**64, customers, dtype=np.uint64),
        created_ms=np.full(customers, INT64_MIN),
        zone_names=[],
        zone_code=np.full(customers, -1, np.int32),
        attributes={"due": Column("datetime", due)},
        tags={},
        groups={},
        event_names=[],
        event_offsets=np.zeros(customers + 1, np.int64),
        event_type=np.zeros(0, np.int32),
        event_ms=np.zeros(0, np.int64),
        event_hash=np.zeros(0, np.uint64),
        properties={},
    )
