"""Services are what a relay is given from outside: time, chance, values, templates, and an ear."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from actors.relay.compose import Contents, People
from actors.relay.results import Report
from actors.relay.switches import AllOn, Switches
from actors.relay.tracking import Tracker


@dataclass(frozen=True, slots=True)
class Services:
    """The same for all lanes of a relay.

    `clock` returns UTC milliseconds; `rng` is seeded by whoever makes it. `switches` say which
    channels are off, a `tracker` what links lead over and to whom nothing is sent. `request_of`
    tells which requests a commit was of, "" where none is known.
    """

    people: People
    contents: Contents
    report: Report
    clock: Callable[[], int]
    rng: np.random.Generator
    switches: Switches = field(default_factory=AllOn)
    tracker: Tracker | None = None
    request_of: Callable[[int], str] = field(default=lambda commit: "")


def wall_services(people: People, contents: Contents, report: Report, seed: int) -> Services:
    """Services by the wall clock. `seed` is for the jitter of retries, which decides nothing."""
    return Services(people, contents, report, wall_ms, np.random.default_rng(seed))


def wall_ms() -> int:
    """The time now, UTC milliseconds."""
    return time.time_ns() // 1_000_000
