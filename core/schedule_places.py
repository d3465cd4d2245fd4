"""Say where customers are in their schedules after the tables of zones have changed.

An occurrence is known by its date on the wall clock, whatever instant the tables give it. So one
that has been never is again, and one that has not is still to come, even where the new tables put
it into the past (semantics D46).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from core.binding import Bound
from core.duration import DAY_MS
from core.nodes import OnSchedule
from core.program import TriggerKind
from core.zones import ZoneTable


def places_after(
    old: Bound,
    new: Bound,
    places: NDArray[np.int64],
    old_zone: NDArray[np.int32],
    new_zone: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Return int64[n, schedules]: each customer's next place in the schedules of `new`.

    `places`, of the same shape, are those in the schedules of `old`, the same program under other
    tables; `old_zone`, `new_zone` int32[n] are the customers' zones in either.
    """
    found = places.copy()
    schedules = _schedules(old)
    if not schedules:
        return found
    zones = len(new.zones.tables)
    pairs, pair_of = np.unique(old_zone.astype(np.int64) * zones + new_zone, return_inverse=True)
    for number, pair in enumerate(pairs.tolist()):
        was, now = divmod(pair, zones)
        rows = np.flatnonzero(pair_of == number)
        for k, node in enumerate(schedules):
            before = _dates(old, node, k, was)
            after = _dates(new, node, k, now)
            moved = np.append(
                after.searchsorted(before),
                after.searchsorted(before[-1:], side="right") if len(before) else 0,
            )
            found[rows, k] = moved[np.minimum(places[rows, k], len(before))]
    return found


def _schedules(bound: Bound) -> list[OnSchedule]:
    program = bound.program
    nodes = [
        program.flow.nodes[program.node_ids[int(trigger["node"])]]
        for trigger in program.triggers
        if trigger["kind"] == TriggerKind.SCHEDULE
    ]
    return [node for node in nodes if isinstance(node, OnSchedule)]


def _dates(bound: Bound, node: OnSchedule, k: int, zone: int) -> NDArray[np.int64]:
    """The local dates of schedule k's times in a zone, ascending.

    A gap makes a time later, by less than a day but where a zone skips one; then it is the same
    instant as that of the day after, and counts as that.
    """
    run = k * len(bound.zones.tables) + zone
    ms = bound.schedule_ms[bound.schedule_offsets[run] : bound.schedule_offsets[run + 1]]
    table: ZoneTable = bound.zones.flow if node.zone == "flow" else bound.zones.tables[zone]
    rows = np.maximum(table.utc_ms.searchsorted(ms, side="right") - 1, 0)
    dates: NDArray[np.int64] = (ms + table.offset_ms[rows] - node.at) // DAY_MS
    return dates
