"""Runs the reference journey in SimPy: one process for each customer, begun when they enter.

A process knows its customer's recorded events, so it sleeps until the click or until its own timer,
whichever is first; an event of its own for each click would only be slower.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event

from bench.rivals.columns import (
    CLICK_WAIT_MS,
    CLICKED,
    CONSENT,
    COUNTRY,
    END,
    LATER,
    LATER_MS,
    MAIL,
    MAIL_A,
    MAIL_B,
    NODES,
    SMS,
    SPLIT,
    START,
    TAG,
    Columns,
    Counts,
)


def simpy_journey(columns: Columns, upper: list[bool], tag: NDArray[np.int8]) -> Counts:
    """Arrivals at each node, int64[12]; `tag` int8[n] is written.

    `upper`: whether a customer's draw at the split falls to branch B, drawn beforehand.
    """
    branches = {int(code): port for port, code in enumerate(columns.branches)}
    country, consent = columns.country.tolist(), columns.consent.tolist()
    offsets, kinds = columns.event_offsets.tolist(), columns.event_type.tolist()
    times = columns.event_ms.tolist()
    click = columns.click
    keen = bytearray(columns.customers)
    taken = [0] * (len(branches) + 1)
    entered = [0] * len(NODES)
    env = Environment()
    timeout = env.timeout

    def journey(customer: int, row: int) -> Generator[Event, None, None]:
        entered[START] += 1
        entered[COUNTRY] += 1
        taken[branches.get(country[customer], -1)] += 1
        entered[MAIL] += 1
        entered[CLICKED] += 1
        now = times[row]
        due = now + CLICK_WAIT_MS
        for later_row in range(row + 1, offsets[customer + 1]):
            ms = times[later_row]
            if ms > due:
                break
            if kinds[later_row] == click:
                if ms > now:
                    yield timeout(ms - now)
                entered[TAG] += 1
                keen[customer] = 1
                entered[SPLIT] += 1
                entered[MAIL_B if upper[customer] else MAIL_A] += 1
                entered[END] += 1
                return
        yield timeout(due - now)
        entered[LATER] += 1
        yield timeout(LATER_MS)
        entered[CONSENT] += 1
        if consent[customer] == 1:
            entered[SMS] += 1
        entered[END] += 1

    def entries() -> Generator[Event, None, None]:
        now = 0
        for row, customer in _entries(columns):
            if times[row] > now:
                yield timeout(times[row] - now)
                now = times[row]
            env.process(journey(customer, row))

    env.process(entries())
    env.run(until=columns.horizon_ms)
    tag[:] = np.frombuffer(keen, np.int8)
    assert sum(taken) == entered[COUNTRY]
    return np.array(entered, np.int64)


def _entries(columns: Columns) -> list[tuple[int, int]]:
    """The row and the customer of each entry, in order of time."""
    owner = np.repeat(np.arange(columns.customers), np.diff(columns.event_offsets))
    row = np.flatnonzero(columns.event_type == columns.go)
    row = row[np.diff(owner[row], prepend=-1) != 0]
    at = columns.event_ms[row]
    inside = (at >= columns.from_ms) & (at < columns.until_ms)
    row = row[inside][np.argsort(at[inside], kind="stable")]
    return list(zip(row.tolist(), owner[row].tolist(), strict=True))
