"""Account for every row of every file: kept, dropped, grouped, rejected or blank, and why."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

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
class Reject:
    """One row that was refused: where it is, which column, what it held, and why.

    `row` counts the data rows of the file from 1, `line` is the line in the file where it is known.
    """

    file: str
    row: int
    line: int | None
    column: str
    value: str
    reason: str


class Rejects:
    """Every rejected row, written to one file."""

    def __init__(self) -> None:
        self.items: list[Reject] = []

    def add(self, item: Reject) -> None:
        """Add a rejected row."""
        self.items.append(item)

    def reasons(self) -> Counter[tuple[str, str, str]]:
        """How many rows were rejected for each (file, column, reason)."""
        return Counter((item.file, item.column, item.reason) for item in self.items)

    def write(self, path: Path) -> None:
        """Write them as CSV, in order of file and row."""
        order = {item.file: place for place, item in reversed(list(enumerate(self.items)))}
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["file", "row", "line", "column", "value", "reason"])
            for item in sorted(self.items, key=lambda i: (order[i.file], i.row)):
                line = "" if item.line is None else item.line
                value = item.value[:VALUE_CHARS_MAX]
                writer.writerow([item.file, item.row, line, item.column, value, item.reason])


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
