"""Runs the reference journey node by node in NumPy: at each node, the set of those who arrive.

With a log it also orders all arrivals of all customers by time, as one would to read or replay
them. Events and timers never wait in a queue: the sets of each node say who comes when.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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
from core.philox import draw_array

Rows = NDArray[np.int64]

_NODE_BITS = 4


class TimeLog(NamedTuple):
    """Every arrival in order of time, then customer, then the way through the flow.

    `customer` int32[k], `time_ms` int64[k], `node` int8[k].
    """

    customer: NDArray[np.int32]
    time_ms: NDArray[np.int64]
    node: NDArray[np.int8]


def numpy_journey(columns: Columns, tag: NDArray[np.int8]) -> Counts:
    """Arrivals at each node, int64[12]; `tag` int8[n] is written."""
    return _counts(_arrivals(columns, tag))


def numpy_journey_logged(columns: Columns, tag: NDArray[np.int8]) -> tuple[Counts, TimeLog]:
    """The same with the log."""
    arrivals = _arrivals(columns, tag)
    return _counts(arrivals), _time_log(columns, arrivals)


def _arrivals(columns: Columns, tag: NDArray[np.int8]) -> dict[int, tuple[Rows, Rows]]:
    """Who arrives at each node and when: customers ascending, and ms."""
    n, horizon = columns.customers, columns.horizon_ms
    owner = np.repeat(np.arange(n), np.diff(columns.event_offsets))

    row = np.flatnonzero(columns.event_type == columns.go)
    row = row[_first_of_each(owner[row])]
    at = columns.event_ms[row]
    inside = (at >= columns.from_ms) & (at < columns.until_ms)
    if not inside.all():
        row, at = row[inside], at[inside]
    who = owner[row]
    entries = who, at

    country = columns.country[who]
    masks = [country == code for code in columns.branches]
    branched = [np.flatnonzero(mask) for mask in (*masks, ~np.logical_or.reduce(masks))]
    assert sum(len(part) for part in branched) == len(who)

    due = np.full(n, -1)
    due[who] = at + CLICK_WAIT_MS
    entered_row = np.full(n, columns.event_ms.size)
    entered_row[who] = row
    click = np.flatnonzero(columns.event_type == columns.click)
    clicker, clicked_at = owner[click], columns.event_ms[click]
    seen = np.flatnonzero(
        (click > entered_row[clicker]) & (clicked_at <= due[clicker]) & (clicked_at < horizon)
    )
    clicker, clicked_at = clicker[seen], clicked_at[seen]
    first = np.flatnonzero(_first_of_each(clicker))
    woken = clicker, clicked_at = clicker[first], clicked_at[first]

    tag[clicker] = 1
    drawn = draw_array(columns.key, columns.id_hash[clicker], np.zeros(len(clicker), np.uint64))
    upper = drawn >= np.uint64(1 << 63)
    mail_a = clicker[~upper], clicked_at[~upper]
    mail_b = clicker[upper], clicked_at[upper]

    waiting = (due >= 0) & (due < horizon)
    waiting[clicker] = False
    late = np.flatnonzero(waiting)
    later = late, due[late]
    asked_at = later[1] + LATER_MS
    fires = asked_at < horizon
    asked = (late, asked_at) if fires.all() else (late[fires], asked_at[fires])
    yes = np.flatnonzero(columns.consent[asked[0]] == 1)
    sms = asked[0][yes], asked[1][yes]
    ended = np.concatenate([clicker, asked[0]]), np.concatenate([clicked_at, asked[1]])
    return {
        START: entries,
        COUNTRY: entries,
        MAIL: entries,
        CLICKED: entries,
        TAG: woken,
        SPLIT: woken,
        MAIL_A: mail_a,
        MAIL_B: mail_b,
        LATER: later,
        CONSENT: asked,
        SMS: sms,
        END: ended,
    }


def _first_of_each(owner: Rows) -> NDArray[np.bool_]:
    """Which rows are the first of their owner, owners ascending."""
    first = np.ones(len(owner), np.bool_)
    np.not_equal(owner[1:], owner[:-1], out=first[1:])
    return first


def _counts(arrivals: dict[int, tuple[Rows, Rows]]) -> Counts:
    return np.array([len(arrivals[node][0]) for node in range(len(NODES))], np.int64)


def _time_log(columns: Columns, arrivals: dict[int, tuple[Rows, Rows]]) -> TimeLog:
    """Sort all arrivals as packed integers (time, customer, node), much faster than by index.

    A customer's arrivals at one instant are in order of the nodes' numbers. ValueError where the
    three do not fit into 63 bits.
    """
    customer_bits = max(1, (columns.customers - 1).bit_length())
    span = columns.horizon_ms - columns.from_ms
    if span.bit_length() + customer_bits + _NODE_BITS > 63:
        raise ValueError("the log's key has 63 bits: take fewer customers or a shorter run")
    packed = np.empty(sum(len(who) for who, _ in arrivals.values()), np.int64)
    first = 0
    for node, (who, at) in arrivals.items():
        part = packed[first : first + len(who)]
        np.subtract(at, columns.from_ms, out=part)
        part <<= customer_bits
        part |= who
        part <<= _NODE_BITS
        part |= node
        first += len(who)
    packed.sort()
    nodes = np.empty(len(packed), np.int8)
    np.bitwise_and(packed, (1 << _NODE_BITS) - 1, out=nodes, casting="unsafe")
    packed >>= _NODE_BITS
    customers = np.empty(len(packed), np.int32)
    np.bitwise_and(packed, (1 << customer_bits) - 1, out=customers, casting="unsafe")
    packed >>= customer_bits
    packed += columns.from_ms
    return TimeLog(customers, packed, nodes)
