"""Tell what became of a frame that a partition was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from actors.intake.admission import Judged
from actors.intake.frame import Frame


@dataclass(frozen=True, slots=True)
class LiveReceipt:
    """What became of a frame that was committed: rows taken in, known before, and refused."""

    source: bytes
    sequence: int
    accepted: int
    known: list[int]
    historical: int
    rejects: list[tuple[int, str]]
    commit: int

    @property
    def duplicates(self) -> int:
        """How many rows were known before."""
        return len(self.known)


def receipts_of(frames: Sequence[Frame], judged: Judged, commit: int) -> Iterator[LiveReceipt]:
    """The receipt of each of the frames that were judged as one, in their order."""
    first = 0
    for frame in frames:
        last = first + frame.rows
        taken = _within(judged.rows, first, last)
        yield LiveReceipt(
            frame.source,
            frame.sequence,
            int(np.count_nonzero(taken)),
            (judged.known[_within(judged.known, first, last)] - first).tolist(),
            int(np.count_nonzero(judged.historical[taken])),
            [(row - first, why) for row, why in judged.rejects if first <= row < last],
            commit,
        )
        first = last


def _within(rows: NDArray[np.int64], first: int, last: int) -> NDArray[np.bool_]:
    return (rows >= first) & (rows < last)
