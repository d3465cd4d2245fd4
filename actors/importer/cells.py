"""Hold the cells of a column as the file has them: one lane for each form in which values come.

CSV gives text only. JSON and Parquet give typed values, and JSON may mix types within a column.
Cells that are empty or null are in no lane. Every lane knows the rows of its values, so that
whatever is done to it later can be told by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Int64s = NDArray[np.int64]
Form = Literal[
    "text", "bytes", "bool", "int", "float", "instant", "local", "day", "list", "big", "nested"
]
"""`bytes` are not UTF-8; `instant` is a time in UTC, `local` one without a zone, `day` a date;
`list` is a list of text, `big` the digits of a number beyond 64 bits, `nested` other JSON."""

Rows = Int64s | range
"""Ascending row numbers; a range, which takes no memory, where none is left out."""

SPACE, LAST_ASCII = 0x20, 0x7E  # between them lies what is visible


@dataclass(slots=True)
class Lane:
    """Values of one form: `rows` int64[k] ascending, `values` k values in chunks without nulls.

    The chunks of `values` are pieces of a few megabytes, which threads may take one by one.
    """

    form: Form
    rows: Int64s
    values: pa.ChunkedArray


@dataclass(slots=True)
class Cells:
    """A column of `count` rows. `typed` tells that text is text and not the writing of a number."""

    count: int
    lanes: list[Lane]
    typed: bool

    def restricted(self, live: NDArray[np.bool_]) -> Cells:
        """The cells of the rows where `live` (bool[count]) holds; rows keep their numbers."""
        if live.all():
            return self
        lanes = []
        for lane in self.lanes:
            keep = live[lane.rows]
            if keep.any():
                values = lane.values if keep.all() else lane.values.filter(pa.array(keep))
                lanes.append(Lane(lane.form, lane.rows[keep], values))
        return Cells(self.count, lanes, self.typed)

    def otherwise(self, other: Cells) -> Cells:
        """These cells, and where they have none those of `other`."""
        free = np.ones(self.count, np.bool_)
        for lane in self.lanes:
            free[lane.rows] = False
        joined = [*self.lanes, *other.restricted(free).lanes]
        return Cells(self.count, _merged(joined), self.typed)

    def present(self) -> NDArray[np.bool_]:
        """Which rows have a value: bool[count]."""
        found = np.zeros(self.count, np.bool_)
        for lane in self.lanes:
            found[lane.rows] = True
        return found

    def shown(self, rows: Int64s) -> list[str]:
        """The values of some rows for a person to read, "" where there is none."""
        texts = [""] * len(rows)
        for lane in self.lanes:
            place = np.searchsorted(lane.rows, rows)
            found = place < len(lane.rows)
            found[found] = lane.rows[place[found]] == rows[found]
            values = lane.values.take(pa.array(place[found])).to_pylist()
            for index, value in zip(np.flatnonzero(found).tolist(), values, strict=True):
                texts[index] = _shown(lane.form, value)
        return texts


def _shown(form: Form, value: Any) -> str:
    if form == "bytes":
        return str(value)[2:-1]
    if form == "bool":
        return "true" if value else "false"
    return str(value)


def _merged(lanes: list[Lane]) -> list[Lane]:
    """One lane for each form, its rows ascending; no row is in two lanes."""
    by_form: dict[Form, list[Lane]] = {}
    for lane in lanes:
        by_form.setdefault(lane.form, []).append(lane)
    merged = []
    for form, parts in by_form.items():
        if len(parts) == 1:
            merged.append(parts[0])
            continue
        rows = np.concatenate([part.rows for part in parts])
        values = pa.chunked_array([chunk for part in parts for chunk in part.values.chunks])
        if np.any(rows[1:] < rows[:-1]):
            order = np.argsort(rows, kind="stable")
            rows, values = rows[order], values.take(pa.array(order))
        merged.append(Lane(form, rows, values))
    return merged


class CellsBuilder:
    """Collect a column piece by piece, from raw bytes, Arrow arrays or Python values."""

    def __init__(self, typed: bool) -> None:
        self.typed = typed
        self.count = 0
        self._pieces: dict[Form, list[tuple[Rows, pa.Array]]] = {}

    def cells(self, every_row: Int64s | None = None) -> Cells:
        """What was added.

        `every_row` is arange(count), which all columns without a gap can share.
        """
        if every_row is None:
            every_row = np.arange(self.count)
        lanes, pieces = [], self._pieces
        self._pieces = {}
        for form, parts in pieces.items():
            values = pa.chunked_array([values for _, values in parts])
            if len(values) == self.count:
                rows = every_row
            else:
                rows = np.concatenate([_spelled_out(rows) for rows, _ in parts])
            lanes.append(Lane(form, rows, values))
        return Cells(self.count, lanes, self.typed)

    def skip(self, rows: int) -> None:
        """Add rows without a value."""
        self.count += rows

    def add_bytes(self, values: pa.Array) -> None:
        """Add binary cells: text where they are UTF-8, missing where they are empty or blank."""
        filled = np.diff(_offsets(values)) > 0
        rows: Rows = range(self.count, self.count + len(values))
        if not filled.all():
            rows, values = self.count + np.flatnonzero(filled), values.filter(pa.array(filled))
        self.count += len(filled)
        try:
            self._add("text", rows, values.cast(pa.string()))
        except pa.ArrowInvalid:
            rows = _spelled_out(rows)
            fits = np.array([_is_utf8(value.as_py()) for value in values], np.bool_)
            self._add("bytes", rows[~fits], values.filter(pa.array(~fits)))
            self._add("text", rows[fits], values.filter(pa.array(fits)).cast(pa.string()))

    def _add(self, form: Form, rows: Rows, values: pa.Array) -> None:
        if form == "text" and _may_be_blank(values):
            blank = pc.equal(pc.utf8_trim_whitespace(values), "")
            if pc.any(blank).as_py():
                rows = _spelled_out(rows)[~blank.to_numpy(zero_copy_only=False)]
                values = values.filter(pc.invert(blank))
        if len(rows):
            self._pieces.setdefault(form, []).append((rows, values))

    def add_arrow(self, values: pa.Array) -> None:
        """Add an Arrow array of any type; ValueError for a type that no column can have."""
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()
        rows: Rows = range(self.count, self.count + len(values))
        if values.null_count:
            there = pc.is_valid(values).to_numpy(zero_copy_only=False)
            rows = self.count + np.flatnonzero(there)
        kept = values.drop_null()
        self.count += len(values)
        if pa.types.is_null(values.type):
            return
        for form, part_rows, part in _formed(rows, kept):
            self._add(form, part_rows, part)

    def add_python(self, values: Sequence[Any]) -> None:
        """Add decoded JSON values."""
        start = self.count
        self.count += len(values)
        kinds = set(map(type, values))
        kinds.discard(type(None))
        for kind in sorted(kinds, key=lambda k: k.__name__):
            places = [i for i, value in enumerate(values) if type(value) is kind]
            rows = start + np.array(places, np.int64)
            for form, part_rows, part in _python_lanes(kind, rows, [values[i] for i in places]):
                self._add(form, part_rows, part)


def _spelled_out(rows: Rows) -> Int64s:
    return np.arange(rows.start, rows.stop) if isinstance(rows, range) else rows


def _offsets(values: pa.Array) -> NDArray[Any]:
    """Where the values of a text or binary array begin and end in its bytes: integers[n + 1]."""
    wide = pa.types.is_large_binary(values.type) or pa.types.is_large_string(values.type)
    kind = np.dtype(np.int64 if wide else np.int32)
    buffer = values.buffers()[1]
    if not len(values) or buffer is None:
        return np.zeros(1, kind)
    return np.frombuffer(buffer, kind, len(values) + 1, values.offset * kind.itemsize)


def _may_be_blank(values: pa.Array) -> bool:
    """Whether some text might be blanks only: it is empty, or begins with no visible ASCII."""
    starts = _offsets(values)
    if not len(values) or np.any(starts[1:] == starts[:-1]):
        return len(values) > 0
    first = np.frombuffer(values.buffers()[2], np.uint8)[starts[:-1]]
    return bool(np.any((first <= SPACE) | (first > LAST_ASCII)))


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _formed(rows: Rows, values: pa.Array) -> list[tuple[Form, Rows, pa.Array]]:
    """The form of an Arrow array without nulls, its values in the type of that form."""
    kind = values.type
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind):
        return [("text", rows, values.cast(pa.large_string()))]
    if types.is_boolean(kind):
        return [("bool", rows, values)]
    if types.is_uint64(kind):
        return _within_int64(_spelled_out(rows), values.to_pylist())
    if types.is_integer(kind):
        return [("int", rows, values.cast(pa.int64()))]
    if types.is_floating(kind) or types.is_decimal(kind):
        return [("float", rows, values.cast(pa.float64()))]
    if types.is_timestamp(kind):
        form: Form = "local" if kind.tz is None else "instant"
        # Finer than a millisecond is cut off, as in text.
        ms = pc.floor_temporal(values, unit="millisecond") if kind.unit in ("us", "ns") else values
        return [(form, rows, ms.cast(pa.timestamp("ms", kind.tz)).cast(pa.int64()))]
    if types.is_date(kind):
        return [("day", rows, values.cast(pa.date32()).cast(pa.int32()).cast(pa.int64()))]
    if types.is_list(kind) or types.is_large_list(kind):
        item = kind.value_type
        if types.is_string(item) or types.is_large_string(item):
            return [("list", rows, values.cast(pa.list_(pa.string())))]
    return _as_json(rows, values.to_pylist())


def _python_lanes(kind: type, rows: Int64s, values: list[Any]) -> list[tuple[Form, Rows, pa.Array]]:
    if kind is str:
        return [("text", rows, pa.array(values, pa.large_string()))]
    if kind is bool:
        return [("bool", rows, pa.array(values, pa.bool_()))]
    if kind is int:
        return _within_int64(rows, values)
    if kind is float:
        return [("float", rows, pa.array(values, pa.float64()))]
    if kind is list:
        plain = np.array([all(type(v) is str for v in value) for value in values], np.bool_)
        lists = pa.array(
            [v for v, p in zip(values, plain, strict=True) if p], pa.list_(pa.string())
        )
        rest = [v for v, p in zip(values, plain, strict=True) if not p]
        return [("list", rows[plain], lists), *_as_json(rows[~plain], rest)]
    return _as_json(rows, values)


def _within_int64(rows: Int64s, values: list[int]) -> list[tuple[Form, Rows, pa.Array]]:
    """Whole numbers; those beyond 64 bits are told as something else."""
    try:
        return [("int", rows, pa.array(values, pa.int64()))]
    except (OverflowError, pa.ArrowInvalid):
        fits = np.array([-(2**63) <= value < 2**63 for value in values], np.bool_)
        inside = pa.array([v for v, f in zip(values, fits, strict=True) if f], pa.int64())
        outside = pa.array(
            [str(v) for v, f in zip(values, fits, strict=True) if not f], pa.string()
        )
        return [("int", rows[fits], inside), ("big", rows[~fits], outside)]


def _as_json(rows: Rows, values: list[Any]) -> list[tuple[Form, Rows, pa.Array]]:
    texts = [msgspec.json.encode(value, enc_hook=str).decode() for value in values]
    return [("nested", rows, pa.array(texts, pa.string()))]
