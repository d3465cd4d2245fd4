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
    if kind == "bool":
        return _numpy(pc.fill_null(values.cast(pa.int8()), -1))
    if kind == "float64":
        return _numpy(pc.fill_null(values.cast(pa.float64()), np.nan))
    if kind == "date":
        values = values.cast(pa.int32())
    return _numpy(pc.fill_null(values.cast(pa.int64()), INT64_MIN))


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
        if piece.null_count == len(piece):
            return
        values = kind_filled(self.kind, piece)
        target = self.values[start : start + len(piece)]
        if piece.null_count:
            there = _numpy(pc.is_valid(piece))
            target[there] = values[there]
        else:
            target[:] = values

    def column(self, rows: int | None = None) -> Column:
        """The column of the first `rows` rows, all by default."""
        return Column(self.kind, self.values[:rows])


class StringCodes:
    """A builder of string columns: codes of each piece's own dictionary, made one at the end."""

    def __init__(self, rows: int) -> None:
        self.codes = np.full(rows, -1, np.int32)
        self._pieces: list[tuple[int, NDArray[np.bool_], NDArray[np.int32], pa.Array]] = []

    def fill(self, start: int, piece: pa.ChunkedArray) -> None:
        """Set the rows from `start` on where the piece (strings, also coded) is not null."""
        for chunk in piece.chunks:
            if chunk.null_count < len(chunk):
                coded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
                codes = _numpy(pc.fill_null(coded.indices.cast(pa.int32()), -1))
                self.fill_codes(start, codes, coded.dictionary)
            start += len(chunk)

    def fill_codes(self, start: int, codes: NDArray[np.int32], dictionary: pa.Array) -> None:
        """Set the rows from `start` on to codes into an Arrow string array; -1 leaves one as is."""
        self._pieces.append((start, codes >= 0, codes, dictionary))

    def column(self, rows: int | None = None) -> Column:
        """The column of the first `rows` rows, all by default; its dictionary has no duplicates."""
        if not self._pieces:
            return Column("string", self.codes[:rows], [])
        joined = pa.concat_arrays([piece[3].cast(pa.string()) for piece in self._pieces])
        unified = joined.dictionary_encode()
        table = unified.indices.to_numpy(zero_copy_only=False).astype(np.int32)
        base = 0
        for start, there, codes, dictionary in self._pieces:
            target = self.codes[start : start + len(codes)]
            target[there] = table[base + codes[there]]
            base += len(dictionary)
        self._pieces = []
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
