"""Find the hours of the local week in which people do something, for a wait for a time slot."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.audience import Audience
from core.duration import DAY_MS
from core.wall_clock import WEEKDAYS, Slot
from core.zones import transitions

HOUR_MS = 3_600_000
HOURS = 24
_THURSDAY = 3  # the weekday of 1970-01-01, Monday being 0


@dataclass(frozen=True, slots=True)
class BestSlot:
    """A slot, the share (0 to 1) of what was done that lies in it, and the events behind that."""

    slot: Slot
    share: float
    events: int


def best_slots(audience: Audience, event: str, *, hours: int = 2, count: int = 3) -> list[BestSlot]:
    """The slots of so many whole hours of a day in which most is done, the best first.

    Each customer who did the event counts as one, spread over his events, so that a few who do it
    all day decide nothing. Hours are those of the customer's own clock (UTC without any zone). No
    two slots overlap; of equal ones the earlier in the week comes first; fewer are there where the
    event was done in fewer. Needs the event loaded. ValueError where `hours` is not 1 to 24.
    """
    if not 1 <= hours <= HOURS:
        raise ValueError(f"a slot has 1 to {HOURS} hours, not {hours}")
    code = audience.event_names.index(event) if event in audience.event_names else -1
    rows = np.flatnonzero(audience.event_type == code)
    owner = np.repeat(np.arange(audience.customers), np.diff(audience.event_offsets))[rows]
    if not len(rows):
        return []
    done = np.bincount(owner, minlength=audience.customers)
    weight = 1 / (done[owner] * np.count_nonzero(done))
    hour = _hours_of_week(audience, owner, audience.event_ms[rows])
    cells = len(WEEKDAYS) * HOURS
    shares: NDArray[np.float64] = np.zeros(cells)
    np.add.at(shares, hour, weight)
    shares = shares.reshape(-1, HOURS)
    events = np.bincount(hour, minlength=cells).reshape(-1, HOURS)
    found: list[BestSlot] = []
    free = np.ones(shares.shape, np.bool_)
    windows = [(day, at) for day in range(len(WEEKDAYS)) for at in range(HOURS - hours + 1)]
    for day, at in sorted(windows, key=lambda w: -round(_total(shares, w, hours), 12)):
        part = (day, slice(at, at + hours))
        if len(found) == count or not events[part].any():
            break
        if free[part].all():
            free[part] = False
            told = {
                "from": f"{at:02d}:00",
                "until": f"{at + hours:02d}:00",
                "days": [WEEKDAYS[day]],
            }
            share = _total(shares, (day, at), hours)
            found.append(BestSlot(Slot.model_validate(told), share, int(events[part].sum())))
    return found


def _total(shares: NDArray[np.float64], window: tuple[int, int], hours: int) -> float:
    day, at = window
    return float(shares[day, at : at + hours].sum())


def _hours_of_week(
    audience: Audience, owner: NDArray[np.int64], ms: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The hours of the local week, 0 (Monday 00:00) to 167, of events of these customers."""
    local = ms.copy()
    codes = audience.zone_code[owner]
    for code in np.unique(codes).tolist():
        zone = audience.zone if code < 0 else audience.zone_names[code]
        if zone is not None:
            table, mine = transitions(zone), codes == code
            local[mine] += table.offset_ms[np.searchsorted(table.utc_ms, ms[mine], "right") - 1]
    day, of_day = np.divmod(local, DAY_MS)
    hour: NDArray[np.int64] = (day + _THURSDAY) % len(WEEKDAYS) * HOURS + of_day // HOUR_MS
    return hour
