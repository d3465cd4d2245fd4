"""Hold what a run counted: arrays that add up over blocks, workers and machines in any order.

Everything is an integer, so that a sum does not depend on its order. Nodes are numbered by their
place in the document, ports run through all nodes in that order (`port_base`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from core.flow import Flow
from core.nodes import CHANNELS
from core.outcomes import OUTCOMES

Int64s = NDArray[np.int64]

HOUR_MS = 3_600_000
DELAY_SUB_BITS = 6  # 64 cells an octave: a cell is at most 1.6 % wide
DELAY_CELLS = (42 - DELAY_SUB_BITS + 1) << DELAY_SUB_BITS  # up to 2**42 ms, 139 years


def port_base(flow: Flow) -> Int64s:
    """The number of each node's first port, int64[nodes + 1]; the last is the number of ports."""
    return np.cumsum([0] + [len(node.ports) for node in flow.nodes.values()], dtype=np.int64)


def delay_cell(ms: int) -> int:
    """The cell of a delay of `ms` >= 0: exact below 64, then 64 an octave, as HdrHistogram."""
    if ms < 1 << DELAY_SUB_BITS:
        return ms
    shift = ms.bit_length() - 1 - DELAY_SUB_BITS
    return min(
        ((shift + 1) << DELAY_SUB_BITS) + ((ms >> shift) - (1 << DELAY_SUB_BITS)), DELAY_CELLS - 1
    )


def delay_table(delays_ms: Mapping[int, Sequence[int]]) -> Int64s:
    """The `delays` of `Counters` for the times since entry, ms, at the arrivals at each node."""
    rows: dict[int, list[int]] = {}
    for node, arrivals in delays_ms.items():
        for ms in filter(None, arrivals):
            key = node * DELAY_CELLS + delay_cell(ms)
            row = rows.setdefault(key, [key, 0, 0])
            row[1] += 1
            row[2] += ms
    return np.array([rows[key] for key in sorted(rows)], np.int64).reshape(-1, 3)


HOURLY = ("entries_by_hour", "sends_by_hour")
"""Counts by hour, which is their last axis."""


@dataclass(slots=True)
class Counters:
    """Counts of a run; every array is int64.

    `n` nodes, `p` ports, `h` hours from `from` to the horizon, `w` success watches: the branches of
    the A/B tests in document order, then the goal if any.

    * entered[n]: arrivals of tokens at a node (a trigger: entries)
    * unique[n]: different customers among them
    * port[p]: tokens that left by a port
    * outcome[n, OUTCOMES]: ends, parks and refusals, by `Outcome.column`
    * waiting[n], idle[n]: tokens that wait or stand idle there at the horizon
    * delay_sum_ms[n]: sum over arrivals of the time since the entry began
    * delays[k, 3]: of those times the ones above 0, a row for each cell that has any: node *
      DELAY_CELLS + cell, ascending; how many; their sum in ms
    * entries_by_hour[h], sends_by_hour[len(CHANNELS), h]
    * layer_people[l]: different customers who reached a funnel layer
    * watch_opened[w], watch_matured[w], watch_succeeded[w] (among the matured),
      watch_succeeded_ever[w], watch_modelled[w] (of those, by a modelled event)
    * touched[n]: customers judged there by an attribute value of a later date (semantics D37)
    * modelled[o]: modelled events that happened, by outcome of the responses file in its order
    * modelled_wakes[n], modelled_entries[n]: of `port` and `entered`, those caused by a modelled
      event
    * queued[n]: entries that had to wait in line at a trigger, line_sum_ms[n] how long in all up to
      the horizon, in_line[n] how many still do; refused_cap[n], refused_late[n]: refusals there by
      the cap on people, and of those whom the line let out too late (semantics D41 to D43)
    """

    customers: int
    people: int  # customers with at least one entry
    steps: int  # arrivals in all
    invalid_zones: int
    entered: Int64s
    unique: Int64s
    port: Int64s
    outcome: Int64s
    waiting: Int64s
    idle: Int64s
    delay_sum_ms: Int64s
    delays: Int64s
    entries_by_hour: Int64s
    sends_by_hour: Int64s
    layer_people: Int64s
    watch_opened: Int64s
    watch_matured: Int64s
    watch_succeeded: Int64s
    watch_succeeded_ever: Int64s
    watch_modelled: Int64s
    touched: Int64s
    modelled: Int64s
    modelled_wakes: Int64s
    modelled_entries: Int64s
    queued: Int64s
    line_sum_ms: Int64s
    in_line: Int64s
    refused_cap: Int64s
    refused_late: Int64s

    @classmethod
    def zeros(cls, flow: Flow, hours: int, outcomes: int) -> Counters:
        """Counters of nothing for `flow`, so many hours, and outcomes of a responses file."""
        n = len(flow.nodes)
        w = flow.watches

        def z(*shape: int) -> Int64s:
            return np.zeros(shape, dtype=np.int64)

        return cls(
            customers=0, people=0, steps=0, invalid_zones=0,
            entered=z(n), unique=z(n), port=z(int(port_base(flow)[-1])), outcome=z(n, OUTCOMES),
            waiting=z(n), idle=z(n), delay_sum_ms=z(n), delays=z(0, 3), entries_by_hour=z(hours),
            sends_by_hour=z(len(CHANNELS), hours), layer_people=z(len(flow.settings.funnel)),
            watch_opened=z(w), watch_matured=z(w), watch_succeeded=z(w), watch_succeeded_ever=z(w),
            watch_modelled=z(w), touched=z(n), modelled=z(outcomes), modelled_wakes=z(n),
            modelled_entries=z(n), queued=z(n), line_sum_ms=z(n), in_line=z(n), refused_cap=z(n),
            refused_late=z(n),
        )  # fmt: skip

    @classmethod
    def total(cls, parts: Sequence[Counters]) -> Counters:
        """The sum of counts of the same flow, window and responses; the first one becomes it."""
        for other in parts[1:]:
            parts[0].add(other)
        return parts[0]

    def add(self, other: Counters) -> None:
        """Add `other`, counts of the same flow, window and responses, to these in place.

        Hours that one of them has been cut of are hours in which nothing happened.
        """
        for f in fields(self):
            one, more = getattr(self, f.name), getattr(other, f.name)
            if f.name in HOURLY:
                hours = max(one.shape[-1], more.shape[-1])
                one, more = _of_hours(one, hours), _of_hours(more, hours)
            if f.name != "delays":
                setattr(self, f.name, one + more)
        self.delays = _added(self.delays, other.delays)

    def fill(self, name: str, found: Int64s) -> None:
        """Set an array in place to `found`, flat: what `cut` left. ValueError unless it fits."""
        counts: Int64s = getattr(self, name)
        if name in HOURLY:
            counts[...] = 0
            rows = math.prod(counts.shape[:-1])
            counts = counts[..., : found.size // rows if rows else 0]
        counts[...] = found.reshape(counts.shape)

    def cut(self) -> Counters:
        """The same counts, in the same memory, without the hours after the last with any."""
        used = np.flatnonzero(self.sends_by_hour.any(axis=0) | (self.entries_by_hour != 0))
        hours = int(used[-1]) + 1 if len(used) else 0
        return replace(self, **{name: getattr(self, name)[..., :hours] for name in HOURLY})

    def median_delay_ms(self, node: int) -> float | None:
        """The median time since entry at arrivals at `node`, ms, None without arrivals.

        Exact where its cell holds one value, else within 1.6 %.
        """
        total = int(self.entered[node])
        if total == 0:
            return None
        first, last = np.searchsorted(
            self.delays[:, 0], [node * DELAY_CELLS, (node + 1) * DELAY_CELLS]
        )
        _, counts, sums = self.delays[first:last].T
        zeros = total - int(counts.sum())
        middle = (total + 1) // 2
        if middle <= zeros:
            return 0.0
        cell = int(np.searchsorted(np.cumsum(counts), middle - zeros))
        return float(sums[cell] / counts[cell])


def _of_hours(counts: Int64s, hours: int) -> Int64s:
    """Counts of at least as many hours as they have, int64[..., hours]."""
    missing = hours - counts.shape[-1]
    return np.pad(counts, [(0, 0)] * (counts.ndim - 1) + [(0, missing)]) if missing else counts


def _added(one: Int64s, other: Int64s) -> Int64s:
    """The rows of both tables of delays, those of a cell made one."""
    rows = np.concatenate([one, other])
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    if not len(rows):
        return rows
    begins = np.flatnonzero(np.diff(rows[:, 0], prepend=-1))
    added: Int64s = np.add.reduceat(rows, begins)
    added[:, 0] = rows[begins, 0]
    return added
