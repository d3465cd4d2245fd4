"""Hold what a reader found in a file, and say which columns there are when one is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actors.importer.cells import Cells
from core.errors import HeadraceError

NAMES_SHOWN = 30
DELIMITERS = (";", "\t", "|", ",")


@dataclass(frozen=True, slots=True)
class Malformed:
    """A row that is no row: `number` as in `Table.number`, its text, and what is wrong with it."""

    number: int
    text: str
    reason: str


@dataclass(slots=True)
class Table:
    """The rows of a file that could be parsed, k of them, in the columns that were asked for.

    `number` int64[k] counts the rows of the file from 1 (blank ones too), without a header;
    `line` is what to add to it for the line in the file, None where a row is not a line.
    `row_hash` uint64[k] is equal for rows that are equal in every column. `blank` counts the rows
    without any value.
    """

    path: Path
    cells: dict[str, Cells]
    number: NDArray[np.int64]
    line: int | None
    row_hash: NDArray[np.uint64]
    blank: int = 0
    malformed: list[Malformed] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The rows that could be parsed."""
        return len(self.number)

    @property
    def read(self) -> int:
        """All rows of the file."""
        return self.rows + self.blank + len(self.malformed)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which columns to read, and whether all top-level columns besides.

    Each item is a tuple of alternatives (names or dotted paths), of which one must be there.
    """

    columns: tuple[tuple[str, ...], ...]
    everything: bool = False

    def found(self, path: Path, there: Callable[[str], bool], known: Iterable[str]) -> list[str]:
        """The wanted names that are there; HeadraceError where none of some alternatives is."""
        names: dict[str, None] = {}
        for alternatives in self.columns:
            held = [name for name in alternatives if there(name)]
            if not held:
                raise missing_column(path, alternatives[0], known)
            names.update(dict.fromkeys(held))
        return list(names)


def missing_column(path: Path, name: str, there: Iterable[str]) -> HeadraceError:
    """The error for a column that a mapping names and a file lacks."""
    names = list(there)
    folded = {n.casefold().replace(" ", "_"): n for n in names}
    close = get_close_matches(name.casefold().replace(" ", "_"), list(folded), n=3, cutoff=0.6)
    shown = ", ".join(names[:NAMES_SHOWN]) + (", ..." if len(names) > NAMES_SHOWN else "")
    advice = f"Did you mean {' or '.join(repr(folded[c]) for c in close)}? " if close else ""
    advice += f"It has: {shown}." if names else "It has no columns."
    other = next((d for d in DELIMITERS if d in names[0]), None) if len(names) == 1 else None
    if other is not None:
        advice += f" That is one column: is the delimiter {other!r}?"
    return HeadraceError(f"there is no column {name!r}", advice=advice, file=str(path))
