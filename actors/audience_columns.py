"""Turn Arrow columns into the typed NumPy columns of an audience, filled piece by piece.

A builder is made for the whole length, filled with one piece of Arrow data after another (pieces of
several Parquet columns may fill the same rows, nulls leave what is there), and gives a `Column`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.audience import INT64_MIN, Column, Kind
from core.errors import HeadraceError

MISSING: dict[Kind, float] = {
    "bool": -1,
    "int64": INT64_MIN,
    "float64": np.nan,
    "datetime": INT64_MIN,
    "date": INT64_MIN,
}


def kind_filled(kind: Kind, values: Any) -> NDArray[Any]:
    """An Arrow column of a kind other than string as `Column.values` holds it (a fresh array).

    Also takes an int64 column for float64.
    """
    cast = _as_numbers(kind, values)
    return np.array((pc.fill_null(cast, MISSING[kind]) if cast.null_count else cast).to_numpy())


def _as_numbers(kind: Kind, values: Any) -> Any:
    """An Arrow column in the type of `Column.values`, with its nulls."""
    if kind == "bool":
        return values.cast(pa.int8())
    if kind == "float64":
        return values.cast(pa.float64())
    return (values.cast(pa.int32()) if kind == "date" else values).cast(pa.int64())


def _present(numbers: pa.Array) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Where an Arrow array of numbers has values, and those.

    Read from its buffers: nearly all of a property's column is null, as other events have rows too.
    """
    bitmap, data = numbers.buffers()
    start, stop = numbers.offset, numbers.offset + len(numbers)
    kind = numbers.type.to_pandas_dtype()
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), count=stop, bitorder="little")
    rows = np.flatnonzero(bits[start:].view(np.bool_))
    return rows, np.frombuffer(data, kind, stop)[start:][rows]


class ValueCells:
    """A builder of columns of every kind but string; starts with every row missing."""

    def __init__(self, kind: Kind, rows: int) -> None:
        self.kind = kind
        width = {"bool": np.int8, "float64": np.float64}.get(kind, np.int64)
        self.values: NDArray[Any] = np.full(rows, MISSING[kind], width)

    def fill(self, start: int, piece: pa.ChunkedArray) -> None:
        """Set the rows from `start` on where the piece is not null."""
        for chunk in piece.chunks:
            stop = start + len(chunk)
            if not chunk.null_count:
                self.values[start:stop] = _as_numbers(self.kind, chunk).to_numpy()
            elif chunk.null_count < len(chunk):
                rows, values = _present(_as_numbers(self.kind, chunk))
                self.values[start + rows] = values
            start = stop

    def column(self, rows: int | None = None) -> Column:
        """The column of the first `rows` rows, all by default."""
        return Column(self.kind, self.values[:rows])


class StringCodes:
    """A builder of string columns: codes into all pieces' dictionaries, made one at the end."""

    def __init__(self, rows: int) -> None:
        self.codes = np.full(rows, -1, np.int32)
        self._dictionaries: list[pa.Array] = []
        self._entries = 0

    def fill(self, start: int, piece: pa.ChunkedArray) -> None:
        """Set the rows from `start` on where the piece (strings, also coded) is not null."""
        for chunk in piece.chunks:
            if chunk.null_count < len(chunk):
                coded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
                codes = coded.indices.cast(pa.int32())
                if codes.null_count:
                    rows, there = _present(codes)
                    self.codes[start + rows] = there + self._entries
                else:
                    self.codes[start : start + len(chunk)] = codes.to_numpy() + self._entries
                self._add(coded.dictionary)
            start += len(chunk)

    def fill_codes(self, start: int, codes: NDArray[np.int32], dictionary: pa.Array) -> None:
        """Set the rows from `start` on to codes into an Arrow string array; -1 leaves one as is."""
        target = self.codes[start : start + len(codes)]
        np.copyto(target, codes + self._entries, where=codes >= 0)
        self._add(dictionary)

    def _add(self, dictionary: pa.Array) -> None:
        self._dictionaries.append(dictionary.cast(pa.string()))
        self._entries += len(dictionary)

    def column(self, rows: int | None = None) -> Column:
        """The column of the first `rows` rows, all by default; its dictionary has no duplicates."""
        if not self._dictionaries:
            return Column("string", self.codes[:rows], [])
        unified = pa.concat_arrays(self._dictionaries).dictionary_encode()
        # The last entry of the table is for -1, a missing value.
        table = np.append(unified.indices.to_numpy(), -1).astype(np.int32)
        self.codes = table[self.codes]
        self._dictionaries = [unified.dictionary]
        self._entries = len(unified.dictionary)
        return Column("string", self.codes[:rows], unified.dictionary.to_pylist())


def arrow_column(kind: Kind, rows: int) -> ValueCells | StringCodes:
    """A builder for a column of a kind and a length."""
    return StringCodes(rows) if kind == "string" else ValueCells(kind, rows)


def unified_kind(name: str, kinds: Mapping[str, Kind]) -> Kind:
    """The kind that holds property `name` of all events; HeadraceError naming two that differ."""
    found = set(kinds.values())
    if found == {"int64", "float64"}:
        return "float64"
    if len(found) > 1:
        (event, kind), (other, second) = _clash(kinds)
        message = f"property {name!r} is {kind} on {event!r} and {second} on {other!r}"
        advice = "State one type for it in the mapping, or give one of them another name."
        raise HeadraceError(message, advice=advice)
    return found.pop()


def _clash(kinds: Mapping[str, Kind]) -> tuple[tuple[str, Kind], tuple[str, Kind]]:
    ordered = sorted(kinds.items())
    numbers = ("int64", "float64")
    for event in ordered:
        for other in ordered:
            if event[1] != other[1] and not (event[1] in numbers and other[1] in numbers):
                return event, other
    raise AssertionError("called for kinds that go together")
