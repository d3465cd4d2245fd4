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


def kind_filled(kind: Kind, values: Any) -> NDArray[Any]:
    """An Arrow column of a kind other than string as `Column.values` holds it (a fresh array).

    Also takes an int64 column for float64.
    """
    missing: Any = INT64_MIN
    if kind == "bool":
        values, missing = values.cast(pa.int8()), -1
    elif kind == "float64":
        values, missing = values.cast(pa.float64()), np.nan
    else:
        values = (values.cast(pa.int32()) if kind == "date" else values).cast(pa.int64())
    return _numpy(pc.fill_null(values, missing) if values.null_count else values)


def _numpy(values: Any) -> NDArray[Any]:
    return np.array(values.to_numpy())


class ValueCells:
    """A builder of columns of every kind but string; starts with every row missing."""

    def __init__(self, kind: Kind, rows: int) -> None:
        self.kind = kind
        if kind == "bool":
            self.values: NDArray[Any] = np.full(rows, -1, np.int8)
        elif kind == "float64":
            self.values = np.full(rows, np.nan)
        else:
            self.values = np.full(rows, INT64_MIN, np.int64)

    def fill(self, start: int, piece: pa.ChunkedArray) -> None:
        """Set the rows from `start` on where the piece is not null."""
        if not piece.null_count:
            self.values[start : start + len(piece)] = kind_filled(self.kind, piece)
        elif piece.null_count < len(piece):
            rows = start + np.flatnonzero(piece.is_valid().to_numpy())
            self.values[rows] = kind_filled(self.kind, piece.drop_null())

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
                    rows = start + np.flatnonzero(codes.is_valid().to_numpy(zero_copy_only=False))
                    self.codes[rows] = codes.drop_null().to_numpy() + self._entries
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
