"""Backoff: how long to wait before the next attempt, exponential with full jitter.

Full jitter draws uniformly from zero to the exponential bound, which spreads the retries of many
messages best (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Backoff:
    """The bound is `base_ms` after the first failure and doubles with each, up to `cap_ms`."""

    base_ms: int = 1_000
    cap_ms: int = 600_000

    def delay_ms(self, failures: int, rng: np.random.Generator, floor_ms: int = 0) -> int:
        """Return a wait in [floor_ms, floor_ms + bound] after `failures` >= 1 attempts that failed.

        `floor_ms` is what a provider asked for (Retry-After); the jitter is added on top of it, so
        that all who were refused at once do not come back at once.
        """
        if failures < 1:
            raise ValueError(f"failures is {failures}, expected at least 1")
        bound = min(self.cap_ms, self.base_ms << min(failures - 1, 40))
        return floor_ms + int(rng.integers(0, bound, endpoint=True))
