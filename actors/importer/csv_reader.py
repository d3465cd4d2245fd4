"""Read CSV as raw bytes, so that every cell that does not fit can be told by its row and column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from actors.importer.cells import CellsBuilder
from actors.importer.mapping import Csv
from actors.importer.streams import BLOCK_BYTES, Progressing, opened
from actors.importer.table import Malformed, Table, Wanted
from actors.threads import read_ahead
from core.errors import HeadraceError
from ext.hashing import hash_strings, hash_words

HEAD_BYTES = 1 << 20
TEXT_CHARS_MAX = 200
UTF8_MARK = b"\xef\xbb\xbf"

Report = Callable[[int, int], None]
"""Called with the bytes read of the file on disk and its size."""


def read_csv(
    path: Path, wanted: Wanted, layout: Csv, encoding: str, report: Report | None = None
) -> Table:
    """The wanted columns of a CSV file, all other columns only hashed.

    Raises HeadraceError for a file that is empty or broken, and for a column that is not there.
    """
    with opened(path, encoding) as (stream, disk):
        head = _Head(path, stream, layout)
        table = _Reading(path, head, wanted)
        size = path.stat().st_size
        with read_ahead(table.batches()) as batches:
            for batch in batches:
                table.take(batch)
                if report is not None:
                    report(min(disk.tell(), size), size)
        return table.finish(stream.newlines)


class _Head:
    """The column names of a CSV file, and the rest of the file to read."""

    def __init__(self, path: Path, stream: Progressing, layout: Csv) -> None:
        spaces = layout.delimiter == "spaces"
        start = stream.read(-1 if spaces else HEAD_BYTES).removeprefix(UTF8_MARK)
        if spaces:
            start = _single_spaced(start)
        if not start.strip():
            raise HeadraceError("the file is empty", file=str(path))
        self.delimiter = " " if spaces else layout.delimiter
        self.quote = None if spaces else layout.quote
        first, lines, blank = self._first_row(path, start)
        if isinstance(layout.header, list):
            self.names, self.skipped, self.blank = layout.header, 0, 0
        elif layout.header:
            self.names, self.skipped, self.blank = first, lines, blank
        else:
            self.names = [str(i) for i in range(1, len(first) + 1)]
            self.skipped, self.blank = 0, 0
        twice = sorted({n for n in self.names if self.names.count(n) > 1})
        if twice:
            message = f"several columns are named {', '.join(map(repr, twice))}"
            advice = "State 'csv: {header: [...]}' with names of your own, and drop the header row."
            raise HeadraceError(message, advice=advice, file=str(path))
        rest = b"".join(start.splitlines(keepends=True)[self.skipped :]) if self.skipped else start
        self.rest = _Joined(rest, stream)

    def _first_row(self, path: Path, start: bytes) -> tuple[list[str], int, int]:
        """The first row with anything in it, the lines up to its end, the blank ones before."""
        text = io.StringIO(start.decode("utf-8", errors="replace"), newline="")
        rows = csv.reader(
            text,
            delimiter=self.delimiter,
            quotechar=self.quote or '"',
            quoting=csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL,
        )
        try:
            for blank, row in enumerate(rows):
                if any(cell.strip() for cell in row):
                    return row, rows.line_num, blank
        except csv.Error as error:
            raise HeadraceError(f"its first row is broken ({error})", file=str(path)) from error
        raise HeadraceError("the file is empty", file=str(path))


def _single_spaced(data: bytes) -> bytes:
    """Runs of blanks as one, none at the ends of lines."""
    data = re.sub(rb"[ \t]+", b" ", data.replace(b"\r\n", b"\n"))
    return re.sub(rb"(?m)^ | $", b"", data)


class _Joined(io.RawIOBase):
    """What was read already, then the rest of a stream."""

    def __init__(self, start: bytes, stream: Progressing) -> None:
        self._start = start
        self._stream = stream

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._start:
            cut = len(self._start) if size < 0 else size
            found, self._start = self._start[:cut], self._start[cut:]
            return found
        return self._stream.read(size)


class _Reading:
    """Collects the batches of one file."""

    def __init__(self, path: Path, head: _Head, wanted: Wanted) -> None:
        self.path = path
        self.head = head
        found = wanted.found(path, head.names.__contains__, head.names)
        kept = head.names if wanted.everything else found
        self.builders = {name: CellsBuilder(typed=False) for name in kept}
        self.hashes: list[NDArray[np.uint64]] = []
        self.filled: list[NDArray[np.bool_]] = []
        self.refused: list[tuple[int, str, str]] = []

    def _refuse(self, row: Any) -> str:
        reason = f"it has {row.actual_columns} columns instead of {row.expected_columns}"
        if "\n" in row.text:
            reason += "; a quotation mark may be left open"
        self.refused.append((row.number, row.text, reason))
        return "skip"

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The file's rows as record batches of binary columns."""
        names = self.head.names
        try:
            reader = pacsv.open_csv(
                pa.PythonFile(self.head.rest, mode="r"),
                pacsv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, column_names=names),
                pacsv.ParseOptions(
                    delimiter=self.head.delimiter,
                    quote_char=self.head.quote or False,
                    newlines_in_values=self.head.quote is not None,
                    ignore_empty_lines=False,
                    invalid_row_handler=self._refuse,
                ),
                pacsv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.binary()), strings_can_be_null=False
                ),
            )
            yield from reader
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            advice = (
                "A quotation mark may be left open; `csv: {quote: null}` reads it as plain text."
            )
            reason = str(error).splitlines()[0]
            raise HeadraceError(
                f"it is no CSV ({reason})", advice=advice, file=str(self.path)
            ) from error

    def take(self, batch: pa.RecordBatch) -> None:
        """Keep the wanted columns of a batch, and a hash of each row over all columns."""
        words = np.empty((len(batch), batch.num_columns), np.uint64)
        filled = np.zeros(len(batch), np.bool_)
        for place, column in enumerate(batch.columns):
            bounds = np.frombuffer(
                column.buffers()[1], np.int32, len(column) + 1, column.offset * 4
            )
            offsets: NDArray[np.int64] = bounds.astype(np.int64)
            words[:, place] = hash_strings(memoryview(column.buffers()[2] or b""), offsets)
            filled |= np.diff(offsets) > 0
        self.hashes.append(hash_words(words)[filled])
        self.filled.append(filled)
        keep = None if filled.all() else pa.array(filled)
        for name, builder in self.builders.items():
            column = batch.column(self.head.names.index(name))
            builder.add_bytes(column if keep is None else column.filter(keep))

    def finish(self, newlines: int) -> Table:
        """The whole table, its rows numbered around those that were refused."""
        filled = np.concatenate(self.filled) if self.filled else np.zeros(0, np.bool_)
        total = len(filled) + len(self.refused)
        taken = np.zeros(total, np.bool_)
        taken[[number - 1 for number, _, _ in self.refused]] = True
        number = np.flatnonzero(~taken) + 1
        number = number if filled.all() else number[filled]
        every_row = np.arange(len(number))
        blank = int((~filled).sum()) + self.head.blank
        malformed = [Malformed(n, t[:TEXT_CHARS_MAX], r) for n, t, r in self.refused]
        # A row is a line where there are as many of the one as of the other.
        lines = total + self.head.skipped
        return Table(
            path=self.path,
            cells={name: builder.cells(every_row) for name, builder in self.builders.items()},
            number=number,
            line=self.head.skipped if lines - newlines in (0, 1) else None,
            row_hash=np.concatenate(self.hashes) if self.hashes else np.zeros(0, np.uint64),
            blank=blank,
            malformed=malformed,
        )
