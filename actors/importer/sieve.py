"""Take the rows of one table through rules, duplicates and conversions, each row to one fate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.importer import texts as text_forms
from actors.importer.accounting import Refused, Rejects, SourceCounts
from actors.importer.cells import Cells
from actors.importer.conversion import Typed, convert, equal_to
from actors.importer.mapping import ColumnSpec, Source, Test
from actors.importer.table import Table
from core.audience import Kind

Flags = NDArray[np.bool_]
Int64s = NDArray[np.int64]


class Sieve:
    """The rows of a table that are still `live` (bool[rows]), and the account of the others."""

    def __init__(self, table: Table, source: Source, role: str, rejects: Rejects) -> None:
        self.table = table
        self.source = source
        self.rejects = rejects
        self.rows = table.rows
        self.live = np.ones(table.rows, np.bool_)
        self.counts = SourceCounts(source.file, role, read=table.read, blank=table.blank)
        for reason in dict.fromkeys(bad.reason for bad in table.malformed):
            same = [bad for bad in table.malformed if bad.reason == reason]
            numbers = np.array([bad.number for bad in same], np.int64)
            self._account(numbers, "", reason, [bad.text for bad in same])
        self._apply_rules()
        self._apply_duplicates()

    def _apply_rules(self) -> None:
        for rule in self.source.drop:
            gone = self.live & holds(rule, self.table.cells[rule.column])
            self.live &= ~gone
            named = self.counts.dropped.get(rule.name, 0)
            self.counts.dropped[rule.name] = named + int(gone.sum())

    def _apply_duplicates(self) -> None:
        keys = self.table.row_hash
        rows = None if self.live.all() else np.flatnonzero(self.live)
        held = np.sort(keys if rows is None else keys[rows])
        # Few rows are equal to others, so only those whose hash occurs twice are looked at.
        twice = np.unique(held[1:][held[1:] == held[:-1]])
        del held
        if not len(twice):
            return
        several = np.flatnonzero(np.isin(keys, twice) & self.live)
        _, first = np.unique(keys[several], return_index=True)
        repeated = np.delete(several, first)
        self.counts.duplicates = len(repeated)
        if self.source.duplicates == "drop":
            self.live[repeated] = False
            self.counts.duplicates_dropped = self.counts.duplicates

    def cells(self, columns: Sequence[str]) -> Cells:
        """The live cells of a column, of several the first that has a value."""
        held = [self.table.cells[name] for name in columns if name in self.table.cells]
        found = held[0]
        for other in held[1:]:
            found = found.otherwise(other)
        return found.restricted(self.live)

    def typed(
        self,
        spec: ColumnSpec,
        kind: Kind | None = None,
        cells: Cells | None = None,
        inferred: Kind | None = None,
    ) -> Typed:
        """Convert a column; rows that do not fit are rejected. The rest is as in `convert`."""
        cells = self.cells(spec.column) if cells is None else cells
        found = convert(cells, spec, kind, inferred)
        for rows, reason in found.bad:
            self.reject(rows, spec.label, reason, cells)
        if found.skipped:
            note = "local times do not exist, because the clock skips them; read as shifted forward"
            self.counts.notes.append(f"column {spec.label}: {found.skipped:,} {note}")
        if found.twice:
            note = "local times occur twice; the first is taken"
            self.counts.notes.append(f"column {spec.label}: {found.twice:,} {note}")
        return found

    def required(self, spec: ColumnSpec, kind: Kind) -> Typed:
        """Convert a column in which every row must have a value."""
        cells = self.cells(spec.column)
        found = self.typed(spec, kind, cells)
        if len(found.rows) < self.rows:
            absent = self.live.copy()
            absent[found.rows] = False
            self.reject(np.flatnonzero(absent), spec.label, "there is no value", cells)
        return found

    def reject(self, rows: Int64s, column: str, reason: str, cells: Cells | None = None) -> None:
        """Reject live rows for what they hold in a column; others are left as they are."""
        rows = rows[self.live[rows]]
        if not len(rows):
            return
        shown = cells.shown(rows) if cells is not None else [""] * len(rows)
        self.live[rows] = False
        self._account(self.table.number[rows], column, reason, shown)

    def _account(self, numbers: Int64s, column: str, reason: str, values: list[str]) -> None:
        self.rejects.add(
            Refused(self.source.file, column, reason, self.table.line, numbers, values)
        )
        self.counts.rejected += len(numbers)

    def dense(self, column: Typed, rows: Int64s) -> pa.ChunkedArray:
        """The values of a column for some rows, ascending; null where it has none."""
        if len(column.rows) == len(rows) == self.rows:
            return column.values
        asked = np.zeros(self.rows, np.bool_)
        asked[rows] = True
        keep = asked[column.rows]
        if int(np.count_nonzero(keep)) == len(rows):
            return column.values if keep.all() else column.values.filter(pa.array(keep))
        place = np.full(self.rows, -1, np.int64)
        place[column.rows] = np.arange(len(column.rows))
        place = place[rows]
        values = column.values.combine_chunks().take(pa.array(place, mask=place < 0))
        return pa.chunked_array([values])

    def release(self) -> None:
        """Forget what the file holds, as soon as all columns are converted."""
        none = np.zeros(0, np.int64)
        self.table.cells, self.table.number = {}, none
        self.table.row_hash = none.view(np.uint64)


def holds(test: Test, cells: Cells) -> Flags:
    """Which rows of a column a test holds for: bool[rows]."""
    if test.missing is not None:
        return np.asarray(cells.present() != test.missing, np.bool_)
    if test.is_ is not None:
        return equal_to(cells, test.is_)
    found = np.zeros(cells.count, np.bool_)
    for lane in cells.lanes:
        if test.starts_with is not None:
            if lane.form in ("text", "int"):
                texts = lane.values.cast(pa.large_string())
                hit = pc.starts_with(texts, test.starts_with)
                found[lane.rows] = hit.to_numpy(zero_copy_only=False)
        elif lane.form == "text":
            parsed = text_forms.parse_floats(lane.values)
            found[lane.rows] = parsed.ok & _compared(test, parsed.values.to_numpy())
        elif lane.form in ("int", "float"):
            found[lane.rows] = _compared(test, lane.values.to_numpy())
    return found


def _compared(test: Test, values: NDArray[Any]) -> Flags:
    bound = getattr(test, test.operator)
    operator = {
        "above": np.greater,
        "at_least": np.greater_equal,
        "below": np.less,
        "at_most": np.less_equal,
    }[test.operator]
    return np.asarray(operator(values, bound), np.bool_)
