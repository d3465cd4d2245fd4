"""Measure how long acknowledgements take at a load that does not wait for them.

Requests are due at a fixed rate whatever became of earlier ones, and each is timed from when it was
due, not from when it could at last be sent: a stall is then charged to all whom it kept waiting.
Leaving them out is "coordinated omission" (G. Tene, "How NOT to Measure Latency", 2013).
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count
from threading import Event
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Request = TypeVar("Request")

DRAIN_S_MAX = 60.0
_SLEEP_SHORT_S = 0.001


class Clock(Protocol):
    """Seconds that go on by themselves, or are driven."""

    def now(self) -> float:
        """Seconds since some beginning."""

    def sleep_until(self, then: float) -> None:
        """Return once `now` is `then` or later, at once where it is already."""

    def wait(self, done: Event, until: float) -> None:
        """Return once the event is set; TimeoutError where it is not by `until`."""


class WallClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Seconds since some beginning."""
        return time.perf_counter()

    def sleep_until(self, then: float) -> None:
        """Sleep, and spin for the last millisecond, which a sleep would overshoot."""
        ahead = then - time.perf_counter() - _SLEEP_SHORT_S
        if ahead > 0:
            time.sleep(ahead)
        while time.perf_counter() < then:
            pass

    def wait(self, done: Event, until: float) -> None:
        """Wait for the event."""
        if not done.wait(max(0.0, until - time.perf_counter())):
            raise TimeoutError


class DrivenClock:
    """A clock that goes on only when somebody sleeps, and then does what was planned meanwhile."""

    def __init__(self) -> None:
        self._now = 0.0
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def now(self) -> float:
        """Seconds since the clock was made."""
        return self._now

    def plan(self, at: float, act: Callable[[], None]) -> None:
        """Do something at a time; at one time, in the order of planning."""
        heapq.heappush(self._planned, (at, next(self._order), act))

    def sleep_until(self, then: float) -> None:
        """Do all that is planned until then, in order of time."""
        while self._planned and self._planned[0][0] <= then:
            self._next()
        self._now = max(self._now, then)

    def wait(self, done: Event, until: float) -> None:
        """Do what is planned until the event is set."""
        while not done.is_set():
            if not self._planned or self._planned[0][0] > until:
                raise TimeoutError
            self._next()

    def _next(self) -> None:
        at, _, act = heapq.heappop(self._planned)
        self._now = max(self._now, at)
        act()


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long acknowledgements took, from when each request was due.

    `seconds` float64[sent], in the order of sending; `offered` requests a second were due,
    `achieved` were acknowledged a second until the last one was. `late` requests could not be sent
    within a whole interval after they were due, because `submit` held the generator up.
    """

    seconds: NDArray[np.float64]
    offered: float
    achieved: float
    late: int

    def percentile(self, percent: float) -> float:
        """The smallest time that `percent` of the requests did not exceed (nearest rank)."""
        return float(np.percentile(self.seconds, percent, method="inverted_cdf"))

    @property
    def p50_ms(self) -> float:
        """The median in milliseconds."""
        return self.percentile(50) * 1e3

    @property
    def p99_ms(self) -> float:
        """The 99th percentile in milliseconds."""
        return self.percentile(99) * 1e3

    @property
    def max_ms(self) -> float:
        """The longest in milliseconds."""
        return float(self.seconds.max()) * 1e3


def open_loop(
    submit: Callable[[Request], Future[Any]],
    requests: Iterable[Request],
    per_second: float,
    clock: Clock | None = None,
    drain_s_max: float = DRAIN_S_MAX,
) -> Latencies:
    """Send each request when it is due, the i-th at i / `per_second`; time all acknowledgements.

    `submit` begins one and returns a future that is done when it is acknowledged, from any thread.
    What a future raises is raised here; TimeoutError where one is not done `drain_s_max` after the
    last was sent; ValueError without a request or with a rate that is not positive.
    """
    if per_second <= 0:
        raise ValueError(f"{per_second} requests a second: the rate must be positive")
    clock = clock or WallClock()
    sent: list[tuple[Future[Any], _Note]] = []
    late = 0
    began = clock.now()
    for number, request in enumerate(requests):
        due = began + number / per_second
        clock.sleep_until(due)
        late += clock.now() >= due + 1 / per_second
        future = submit(request)
        note = _Note(clock)
        future.add_done_callback(note)
        sent.append((future, note))
    if not sent:
        raise ValueError("no request to send")
    until = clock.now() + drain_s_max
    for future, note in sent:
        clock.wait(note.done, until)
        future.result()
    at = np.array([note.at for _, note in sent])
    seconds = at - began - np.arange(len(sent)) / per_second
    return Latencies(seconds, per_second, len(sent) / (float(at.max()) - began), late)


def at_load(
    submit: Callable[[Request], Future[Any]],
    requests: Iterable[Request],
    capacity_per_second: float,
    percent: float,
    clock: Clock | None = None,
) -> Latencies:
    """See `open_loop`, at so many percent of a capacity that was measured before."""
    return open_loop(submit, requests, capacity_per_second * percent / 100, clock)


class _Note:
    """Notes when a future was done, in the thread that ended it."""

    def __init__(self, clock: Clock) -> None:
        self.done = Event()
        self.at = 0.0
        self._clock = clock

    def __call__(self, _: Future[Any]) -> None:
        self.at = self._clock.now()
        self.done.set()
