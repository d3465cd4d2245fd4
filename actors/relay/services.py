"""Services are what a relay is given from outside: time, chance, values, templates, and an ear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from actors.relay.compose import Contents, People
from actors.relay.results import Report


@dataclass(frozen=True, slots=True)
class Services:
    """The same for all lanes of a relay.

    `clock` returns UTC milliseconds; `rng` is seeded by whoever makes it.
    """

    people: People
    contents: Contents
    report: Report
    clock: Callable[[], int]
    rng: np.random.Generator
