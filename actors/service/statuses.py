"""Say which of six statuses a flow has at a moment.

draft            it was saved, and does not run
ready_to_start   its start is set and still to come
running          it takes people in, or is paused
stopped          it ran and was stopped, or its window is over
frozen           it would run or start, but the tenant's time is over
invalidated      it was stopped 30 days ago: it can be read and copied, and never starts again

A status is a function of what is stored and of the time, so it is true whenever it is asked for.
"""

from __future__ import annotations

from typing import Literal, get_args

from actors.service.flow_rows import FlowRow
from actors.service.schedules import Schedule

Status = Literal["draft", "ready_to_start", "running", "stopped", "frozen", "invalidated"]
STATUSES: tuple[Status, ...] = get_args(Status)
LAUNCHED = frozenset({"ready_to_start", "running", "frozen"})
"""What counts as started for the quota."""
VALID_MS = 30 * 86_400_000
"""For so long a flow that was stopped can be started again."""


def status_of(row: FlowRow, schedule: Schedule | None, now_ms: int, *, expired: bool) -> Status:
    """The status at a time; `expired` says that the tenant's time is over."""
    stopped_ms = stopped_at(row, now_ms)
    waiting = schedule is not None and schedule.waiting
    if row.started and stopped_ms is None:
        if expired or row.frozen:
            return "frozen"
        start_ms = row.window[0] if row.window else None
        return "running" if start_ms is None or start_ms <= now_ms else "ready_to_start"
    if waiting:
        return "frozen" if expired else "ready_to_start"
    if stopped_ms is None:
        return "draft"
    return "invalidated" if now_ms >= stopped_ms + VALID_MS else "stopped"


def stopped_at(row: FlowRow, now_ms: int) -> int | None:
    """When a flow was stopped, by a command or by its window, ms UTC; None if it was not."""
    window_ms = row.window_stop_ms
    over_ms = window_ms if window_ms is not None and window_ms <= now_ms else None
    if row.started:
        return over_ms
    if row.stopped_ms is None or over_ms is None:
        return row.stopped_ms
    return min(over_ms, row.stopped_ms)
