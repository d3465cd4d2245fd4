"""Turn whole columns of wall-clock times into instants: the vectorised face of `core.zones`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.zones import transitions


@dataclass(frozen=True, slots=True)
class Instants:
    """`ms` int64[n] UTC, and which local times a gap skipped or occur twice: bool[n] each."""

    ms: NDArray[np.int64]
    skipped: NDArray[np.bool_]
    twice: NDArray[np.bool_]


def local_to_utc_ms(zone: str, local_ms: NDArray[np.int64]) -> Instants:
    """The instants of local times (int64[n], ms of the wall clock since 1970-01-01) in a zone.

    A time that a gap skips is shifted forward by the gap, of one that occurs twice the first is
    meant, as `core.zones.local_to_utc` has it. Raises ValueError for an unknown zone.
    """
    table = transitions(zone)
    # Row i of the table holds for local times from starts[i] up to ends[i].
    starts = table.utc_ms + table.offset_ms
    ends = np.append(table.utc_ms[1:] + table.offset_ms[:-1], np.iinfo(np.int64).max)
    row = np.searchsorted(np.maximum.accumulate(ends), local_ms, side="right")
    skipped = local_ms < starts[row]
    following = np.minimum(row + 1, len(starts) - 1)
    twice = (following > row) & (local_ms >= starts[following]) & ~skipped
    return Instants(local_ms - table.offset_ms[row - skipped], skipped, twice)
