"""Test that arrays are shown as they were, whatever is written to them meanwhile."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.intake.frozen import Frozen, FrozenPrints
from ext.idmap import FingerprintSet

HOUR_MS = 3_600_000


@settings(max_examples=100)
@given(
    st.integers(0, 40),
    st.lists(
        st.one_of(
            st.integers(1, 9),  # a piece of so many rows
            st.lists(st.integers(0, 60), max_size=8),  # rows overwritten
            st.just("grow"),
        ),
        max_size=40,
    ),
)
def test_an_array_is_shown_as_it_was(rows: int, steps: list[Any]) -> None:
    array = np.arange(rows + 5, dtype=np.int32)
    wanted = array[:rows].tolist()
    frozen = Frozen({"a": array[:rows]})
    told: list[int] = []
    for number, step in enumerate(steps):
        if isinstance(step, int):
            told += frozen.piece("a", step).tolist() if len(told) < rows else []
        elif step == "grow":
            array = np.concatenate((array, array))
        else:
            at = np.array([row for row in step if row < len(array)], np.int32)
            frozen.before("a", at)
            frozen.before("another", at)
            array[at] = -number - 1
    while len(told) < rows:
        told += frozen.piece("a", 7).tolist()
    assert told == wanted


def keys(first: int, count: int) -> np.ndarray[Any, Any]:
    numbers = np.arange(first, first + count, dtype=np.uint64)
    return np.stack((numbers, numbers * np.uint64(7)), axis=1)


def test_what_is_forgotten_meanwhile_need_not_be_told() -> None:
    known = FingerprintSet(2 * HOUR_MS, 100)
    known.add(keys(0, 30), HOUR_MS)
    known.add(keys(30, 30), 2 * HOUR_MS)
    frozen = FrozenPrints(known)
    newest = frozen.piece(20)
    known.add(keys(60, 5), 2 * HOUR_MS)
    known.add(keys(65, 1), 3 * HOUR_MS + 1)  # the first thirty are forgotten now
    rest = frozen.piece(20)
    assert len(frozen.piece(20)) == 0
    told = np.concatenate((rest, newest))
    assert told.tolist() == keys(30, 30).tolist()
    run_ms, run_rows = frozen.runs()
    assert (run_ms.tolist(), run_rows.tolist()) == ([2 * HOUR_MS], [30])
    again = FingerprintSet.of_arrays(told, run_ms, run_rows, 2 * HOUR_MS, 100)
    again.add(keys(60, 5), 2 * HOUR_MS)
    again.add(keys(65, 1), 3 * HOUR_MS + 1)
    for mine, other in zip(again.arrays(), known.arrays(), strict=True):
        assert mine.tolist() == other.tolist()


def test_nothing_known_is_no_run() -> None:
    frozen = FrozenPrints(FingerprintSet(HOUR_MS, 10))
    assert len(frozen.piece(5)) == 0
    assert [len(each) for each in frozen.runs()] == [0, 0]
