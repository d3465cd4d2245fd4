"""Show arrays as they were at one time, while they are written to.

A copy of all customers would hold up whoever waits; here only what is overwritten is copied, when
it is, and only where it was not read yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ext.idmap import FingerprintSet

Array = NDArray[Any]


class Frozen:
    """Arrays by name, as they were when this was made. One thread at a time may use it.

    Whoever writes to one of them says so before, by `before`. Each array is read once, in pieces
    from its first row to its last.
    """

    def __init__(self, arrays: Mapping[str, Array]) -> None:
        """Show these; what is a view of something that grows stays a view of what it was."""
        self.arrays = dict(arrays)
        self._read = dict.fromkeys(arrays, 0)
        self._saved: dict[str, NDArray[np.bool_]] = {}
        self._kept: dict[str, list[tuple[NDArray[np.int64], Array]]] = {}

    def before(self, name: str, rows: NDArray[np.integer[Any]]) -> None:
        """Keep what rows of an array are, as they are to be overwritten; unknown names are none."""
        array = self.arrays.get(name)
        if array is None:
            return
        saved = self._saved.get(name)
        if saved is None:
            saved = self._saved[name] = np.zeros(len(array), np.bool_)
        mine = np.asarray(rows, np.int64)
        mine = mine[(mine >= self._read[name]) & (mine < len(array))]
        mine = mine[~saved[mine]]
        if len(mine):
            saved[mine] = True
            self._kept.setdefault(name, []).append((mine, array[mine]))

    def piece(self, name: str, rows_max: int) -> Array:
        """The next rows of an array, at most so many; none when it is read to its end."""
        array, start = self.arrays[name], self._read[name]
        found = array[start : start + rows_max].copy()
        for rows, values in self._kept.get(name, ()):
            mine = (rows >= start) & (rows < start + len(found))
            found[rows[mine] - start] = values[mine]
        self._read[name] = start + len(found)
        if self._read[name] == len(array):
            self.arrays[name] = array[:0]
            self._read[name] = 0
            self._saved.pop(name, None)
            self._kept.pop(name, None)
        return found


class FrozenPrints:
    """What a set of fingerprints knows, while it learns others and forgets the oldest.

    What it forgets meanwhile need not be known: whoever goes on from here forgets it likewise.
    """

    def __init__(self, prints: FingerprintSet) -> None:
        """Show what it knows now."""
        self._prints = prints
        self._first, self._stop = prints.span()
        self._left = self._stop
        self._runs = prints.runs()

    def piece(self, rows_max: int) -> NDArray[np.uint64]:
        """The next fingerprints, uint64[n, 2], at most so many: the newest come first.

        None when all are told that are known still.
        """
        found = self._prints.prints(max(self._first, self._left - rows_max), self._left)
        self._left -= len(found)
        return found

    def runs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Times of runs of those that were told, and the number in each, int64[r]; oldest first."""
        ends = np.cumsum(self._runs[:, 1]) - (self._left - self._first)
        rows = np.diff(np.maximum(ends, 0), prepend=0)
        return self._runs[rows > 0, 0].copy(), rows[rows > 0]
