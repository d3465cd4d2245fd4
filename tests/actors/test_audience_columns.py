"""Checks that columns are filled piece by piece, and that a later piece leaves what it lacks."""

from __future__ import annotations

from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from actors.audience_columns import StringCodes, arrow_column, kind_filled
from core.audience import INT64_MIN, Column, Kind


def texts(column: Column) -> list[str | None]:
    assert column.dictionary is not None
    return [None if code < 0 else column.dictionary[code] for code in column.values.tolist()]


def test_pieces_of_strings_share_one_dictionary() -> None:
    builder = StringCodes(8)
    builder.fill(0, pa.chunked_array([["b", None], ["a"]]))
    small = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), ["a", "c"])
    builder.fill(3, pa.chunked_array([small]))
    builder.fill(4, pa.chunked_array([["a", None, None]]))
    builder.fill_codes(6, np.array([-1, 1], np.int32), pa.array(["x", "b"]))
    column = builder.column()
    assert texts(column) == ["b", None, "a", "c", "a", "a", None, "b"]
    assert sorted(column.dictionary or []) == ["a", "b", "c", "x"]
    builder.fill(1, pa.chunked_array([["z"]]))
    assert texts(builder.column(3)) == ["b", "z", "a"]


def test_a_small_code_type_holds_many_pieces() -> None:
    builder = StringCodes(300)
    for i in range(300):
        piece = pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), [f"t{i}"])
        builder.fill(i, pa.chunked_array([piece]))
    assert texts(builder.column()) == [f"t{i}" for i in range(300)]


def test_nothing_filled_is_missing() -> None:
    builder = StringCodes(2)
    builder.fill(0, pa.chunked_array([pa.nulls(2, pa.string())]))
    assert texts(builder.column()) == [None, None]


PIECES: list[tuple[Kind, pa.Array, pa.Array, list[float]]] = [
    ("bool", pa.array([True, None, None]), pa.array([None, False, None]), [1, 0, -1]),
    ("int64", pa.array([5, None, None]), pa.array([None, 7, None]), [5, 7, INT64_MIN]),
    ("float64", pa.array([0.5, None]), pa.array([None, 3]), [0.5, 3.0]),
    ("date", pa.array([date(1970, 1, 2), None]), pa.array([None, date(1970, 1, 3)]), [1, 2]),
]


@pytest.mark.parametrize(("kind", "one", "other", "expected"), PIECES)
def test_two_columns_fill_the_same_rows(
    kind: Kind, one: pa.Array, other: pa.Array, expected: list[float]
) -> None:
    builder = arrow_column(kind, len(one) + 1)
    builder.fill(0, pa.chunked_array([one]))
    builder.fill(0, pa.chunked_array([other]))
    builder.fill(0, pa.chunked_array([pa.nulls(len(one), one.type)]))
    builder.fill(len(one), pa.chunked_array([one.slice(0, 1)]))
    assert builder.column().values.tolist() == [*expected, expected[0]]


def test_missing_floats_are_nan() -> None:
    assert np.isnan(kind_filled("float64", pa.array([None], pa.int64()))).tolist() == [True]
