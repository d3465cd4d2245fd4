"""Tell a shard the time: a clock that never goes back and follows no leap of the machine's clock.

Between two looks the time passes as it does on the steady clock, which nobody sets. The wall clock
only steers it:

* A wall clock that is ahead by up to STEP_MS is caught up with at once. One that is further ahead
  has leapt: it is followed once the leap has lasted for CONFIRM_MS, and then timers are late rather
  than early. A leap beyond LEAP_MAX_MS is never followed by itself, because a year of timers would
  fire; it is told in `difference_ms`, and opening again takes the wall clock as it is.
* A wall clock that is behind is waited for at half speed, so the time never stands still and never
  goes back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

STEP_MS = 1_000
CONFIRM_MS = 60_000
LEAP_MAX_MS = 86_400_000


class Clock(Protocol):
    """The time of a shard."""

    def now_ms(self) -> int:
        """Milliseconds UTC; never less than before."""
        ...

    @property
    def difference_ms(self) -> int:
        """By how much the machine's clock is ahead of this one."""
        ...


class WallClock:
    """The machine's clock, guarded. One thread uses it."""

    def __init__(
        self,
        start_ms: int = 0,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] | None = None,
    ) -> None:
        """Begin with the wall clock, or at `start_ms`, where the partitions are, if that is later.

        `wall` and `steady` return seconds.
        """
        self._wall = wall
        self._steady = steady_s if steady is None else steady
        self._seen_s = self._steady()
        self._now = max(float(start_ms), self._wall() * 1000)
        self._ahead_since_s: float | None = None
        self._difference = self._wall() * 1000 - self._now

    def now_ms(self) -> int:
        """Milliseconds UTC; never less than before."""
        steady = self._steady()
        elapsed = max(0.0, (steady - self._seen_s) * 1000)
        self._seen_s = steady
        difference = self._wall() * 1000 - (self._now + elapsed)
        if difference < 0:
            # Half of what passed is given up, until the wall clock has come up.
            change = max(difference, -elapsed / 2)
        elif difference <= STEP_MS or self._confirmed(difference, steady):
            change = difference
        else:
            change = 0.0
        if change == difference or difference < 0:
            self._ahead_since_s = None
        self._now += elapsed + change
        self._difference = difference - change
        return int(self._now)

    @property
    def difference_ms(self) -> int:
        """By how much the machine's clock is ahead of this one, as of the last look."""
        return round(self._difference)

    def _confirmed(self, difference: float, steady_s_now: float) -> bool:
        if difference > LEAP_MAX_MS:
            self._ahead_since_s = None
            return False
        if self._ahead_since_s is None:
            self._ahead_since_s = steady_s_now
        return (steady_s_now - self._ahead_since_s) * 1000 >= CONFIRM_MS


class DrivenClock:
    """A clock that stands until somebody sets it: for tests and measurements."""

    def __init__(self, start_ms: int = 0) -> None:
        """Stand at `start_ms`."""
        self._now = start_ms

    def now_ms(self) -> int:
        """The time it was set to."""
        return self._now

    @property
    def difference_ms(self) -> int:
        """Nothing: it follows no other clock."""
        return 0

    def advance(self, to_ms: int) -> None:
        """Set it; an earlier time than before changes nothing."""
        self._now = max(self._now, to_ms)


def steady_s() -> float:
    """Seconds of a clock that nobody sets and that goes on while the machine sleeps."""
    # macOS lacks the first; its second does not stop in sleep.
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
