"""Report entries and messages over time: by hour, by day and by hour of the day, all UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from core.counters import HOUR_MS, Counters, Int64s
from core.nodes import CHANNELS, Send
from core.report import ChannelSends, Day, Peak, Series
from core.report_figures import Figures

DAY_MS = 24 * HOUR_MS

Hours = Callable[[Counters], Int64s]


def entry_series(figures: Figures, from_ms: int) -> Series:
    """Entries over time."""
    return _series(figures, lambda c: c.entries_by_hour, figures.assumed.entries, from_ms)


def channel_sends(figures: Figures, from_ms: int) -> list[ChannelSends]:
    """Messages over time, for each channel on which the flow sends, in the order of `CHANNELS`."""
    sends = {i: n for i, n in figures.flow.nodes.items() if isinstance(n, Send)}
    used = {node.channel for node in sends.values()}
    found = []
    for k, channel in enumerate(CHANNELS):
        if channel in used:
            nodes = [i for i, n in sends.items() if n.channel == channel]
            assumed = not figures.assumed.left.isdisjoint(nodes)
            series = _series(figures, _row(k), assumed, from_ms)
            found.append(ChannelSends(channel=channel, series=series))
    return found


def _row(channel: int) -> Hours:
    return lambda c: np.asarray(c.sends_by_hour[channel], np.int64)


def _series(figures: Figures, hours: Hours, assumed: bool, from_ms: int) -> Series:
    every = np.stack([hours(c) for c in figures.replicates])
    by_hour = _mean(every)
    places = np.arange(every.shape[1])
    day = (from_ms + places * HOUR_MS) // DAY_MS
    first = int(day[0]) if len(day) else 0
    by_day = _summed(every, day - first, int(day[-1]) - first + 1 if len(day) else 0)
    hour = (from_ms // HOUR_MS + places) % 24
    by_hour_of_day = _summed(every, hour, 24)
    return Series(
        total=figures.of_values(every.sum(axis=1).tolist(), assumed, "a total over time"),
        by_hour=by_hour,
        by_day=[
            Day(
                day_ms=(first + d) * DAY_MS,
                count=figures.of_values(
                    by_day[:, d].tolist(), assumed, _name((first + d) * DAY_MS)
                ),
            )
            for d in range(by_day.shape[1])
        ],
        by_hour_of_day=_mean(by_hour_of_day),
        peak=_peak(by_hour, from_ms),
    )


def _summed(every: NDArray[np.int64], place: NDArray[np.int64], places: int) -> NDArray[np.int64]:
    """Sum the columns of `every` [replicates, hours] into `places` columns."""
    sums = np.zeros((places, every.shape[0]), np.int64)
    np.add.at(sums, place, every.T)
    return sums.T


def _mean(every: NDArray[np.int64]) -> list[int | float]:
    """The mean over replicates; whole numbers where there is one."""
    mean: list[int | float] = (every[0] if len(every) == 1 else every.mean(axis=0)).tolist()
    return mean


def _peak(mean: list[int | float], from_ms: int) -> Peak | None:
    if not any(mean):
        return None
    place = mean.index(max(mean))
    return Peak(hour_ms=from_ms + place * HOUR_MS, count=mean[place])


def _name(ms: int) -> str:
    return f"the count of {datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"
