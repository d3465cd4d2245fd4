"""Open partitions as a shard needs them: made if absent, taken over from a process that is gone.

An engine holds its data directory's lock. So whoever still holds a partition of it is an actor that
a former engine left behind, or that Ray believes dead: it gets a moment to end, then the partition
is taken from it, and it can never commit again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from actors.live.hosted import Opener
from actors.store.errors import InUseError

PATIENCE_S = 2.0
AGAIN_S = 0.05
T = TypeVar("T")


class OpenerFactory(Protocol):
    """Makes an opener in the process that hosts the partitions; it can be pickled."""

    def __call__(self) -> Opener:
        """The opener."""
        ...


def patiently(opening: Callable[[bool], T]) -> T:
    """What `opening(False)` opens, or after a while of InUseError what `opening(True)` takes over.

    Raises what `opening` raises.
    """
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            return opening(False)
        except InUseError:
            time.sleep(AGAIN_S)
    return opening(True)
