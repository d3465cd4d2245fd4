"""Checks that every row goes to the partition of its customer, in order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.intake.frame import Frame
from actors.intake.routing import partition_of, split
from intake_frames import FRAMES, frame_of, told


@given(st.lists(st.integers(0, 2**64 - 1)), st.integers(1, 65_536))
def test_partitions_are_equal_ranges_of_the_hash(hashes: list[int], partitions: int) -> None:
    found = partition_of(np.array(hashes, np.uint64), partitions)
    assert found.tolist() == [(h * partitions) >> 64 for h in hashes]


def test_the_ends_of_every_range_fall_where_they_should() -> None:
    for partitions in (1, 2, 3, 7, 1000, 65_536):
        first = [-(-(p << 64) // partitions) for p in range(partitions)]
        last = [start - 1 for start in first[1:]] + [2**64 - 1]
        expected = list(range(partitions))
        assert partition_of(np.array(first, np.uint64), partitions).tolist() == expected
        assert partition_of(np.array(last, np.uint64), partitions).tolist() == expected


@pytest.mark.parametrize("partitions", [0, -1, 65_537])
def test_other_numbers_of_partitions_are_refused(partitions: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 65,536"):
        partition_of(np.zeros(1, np.uint64), partitions)


@given(FRAMES, st.integers(1, 9))
def test_the_parts_together_are_the_frame(frame: Frame, partitions: int) -> None:
    said = told(frame)
    parts = split(frame, partitions)
    for partition, part in parts:
        part.check()
        mine = [row for row in said if (row["id_hash"] * partitions) >> 64 == partition]
        assert told(part) == mine
    assert sum(part.rows for _, part in parts) == frame.rows
    assert [p for p, _ in parts] == sorted({(row["id_hash"] * partitions) >> 64 for row in said})


def test_a_numbered_frame_reaches_every_partition() -> None:
    frame = frame_of([{"customer": "a"}], source=b"x", sequence=5)
    parts = split(frame, 4)
    assert [p for p, _ in parts] == [0, 1, 2, 3]
    assert sorted(part.rows for _, part in parts) == [0, 0, 0, 1]
    assert {(part.source, part.sequence) for _, part in parts} == {(b"x", 5)}


def test_an_empty_frame_without_a_number_goes_nowhere() -> None:
    assert split(frame_of([]), 1) == []
    assert split(frame_of([]), 3) == []
