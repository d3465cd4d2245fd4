"""Account for every row of every file: kept, dropped, grouped, rejected or blank, and why."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.audience import AudienceSchema

VALUE_CHARS_MAX = 200


@dataclass(slots=True)
class SourceCounts:
    """Where the rows of one source went; `read` is the sum of the parts that `closes` names.

    `duplicates` counts rows equal to an earlier one, dropped or not; `out_of_order` rows earlier
    than the one before them of the same customer.
    """

    file: str
    role: str
    read: int = 0
    kept: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    duplicates: int = 0
    duplicates_dropped: int = 0
    grouped_away: int = 0
    rejected: int = 0
    blank: int = 0
    out_of_order: int = 0
    notes: list[str] = field(default_factory=list)

    def closes(self) -> bool:
        """Whether every row that was read is in exactly one place."""
        dropped = sum(self.dropped.values()) + self.duplicates_dropped
        return self.read == self.kept + dropped + self.grouped_away + self.rejected + self.blank

    def line(self) -> str:
        """The account in one line."""
        parts = [f"{self.kept:,} kept"]
        parts += [f"{count:,} dropped ({name})" for name, count in self.dropped.items()]
        if self.duplicates_dropped:
            parts.append(f"{self.duplicates_dropped:,} dropped (duplicates)")
        if self.grouped_away:
            parts.append(f"{self.grouped_away:,} grouped into others")
        parts.append(f"{self.rejected:,} rejected")
        parts.append(f"{self.blank:,} blank")
        return f"{self.file} ({self.role}): {self.read:,} rows read = " + " + ".join(parts)


@dataclass(frozen=True, slots=True)
class Refused:
    """Rows of one file that were refused for one reason, and what they held in the column.

    `rows` int64[k] count the data rows of the file from 1; a row's line in the file is `line`
    further on, None where lines are not known.
    """

    file: str
    column: str
    reason: str
    line: int | None
    rows: NDArray[np.int64]
    values: list[str]


class Rejects:
    """Every rejected row, written to one file."""

    def __init__(self) -> None:
        self._parts: list[Refused] = []

    def add(self, part: Refused) -> None:
        """Add rejected rows."""
        self._parts.append(part)

    def reasons(self) -> Counter[tuple[str, str, str]]:
        """How many rows were rejected for each (file, column, reason)."""
        found: Counter[tuple[str, str, str]] = Counter()
        for part in self._parts:
            if len(part.rows):
                found[part.file, part.column, part.reason] += len(part.rows)
        return found

    def write(self, path: Path) -> None:
        """Write them as CSV, in order of file and row."""
        files = dict.fromkeys(part.file for part in self._parts if len(part.rows))
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["file", "row", "line", "column", "value", "reason"])
            for name in files:
                held = [part for part in self._parts if part.file == name]
                order = np.argsort(np.concatenate([part.rows for part in held]), kind="stable")
                lines = [line for part in held for line in _lines(part)]
                writer.writerows(lines[place] for place in order.tolist())


def _lines(part: Refused) -> Iterator[tuple[str, int, int | str, str, str, str]]:
    for row, value in zip(part.rows.tolist(), part.values, strict=True):
        line = "" if part.line is None else row + part.line
        yield part.file, row, line, part.column, value[:VALUE_CHARS_MAX], part.reason


@dataclass(slots=True)
class ImportSummary:
    """What an import did: the folder's schema, an account of each source, reasons for rejects."""

    folder: Path
    schema: AudienceSchema
    sources: list[SourceCounts]
    reasons: Counter[tuple[str, str, str]]

    def text(self) -> str:
        """The whole account for a person, line by line."""
        counts = self.schema.counts
        lines = [source.line() for source in self.sources]
        for source in self.sources:
            if source.duplicates > source.duplicates_dropped:
                kept = source.duplicates - source.duplicates_dropped
                lines.append(f"{source.file}: {kept:,} rows are equal to an earlier one, and kept")
            if source.out_of_order:
                lines.append(
                    f"{source.file}: {source.out_of_order:,} rows are out of order in time"
                )
            lines += [f"{source.file}: {note}" for note in source.notes]
        for (file, column, reason), count in self.reasons.most_common(20):
            place = f", column {column}" if column else ""
            lines.append(f"{file}{place}: {count:,} rejected: {reason}")
        lines.append(
            f"{counts.customers:,} customers, {counts.events:,} events and "
            f"{counts.changes:,} changes are in {self.folder}"
        )
        return "\n".join(lines)
