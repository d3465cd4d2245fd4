"""Split frames by partition: customers belong to equal ranges of their id's hash."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import Frame

PARTITIONS_MAX = 2**16

_HALF = np.uint64(32)
_LOW = np.uint64(2**32 - 1)


def partition_of(id_hash: NDArray[np.uint64], partitions: int) -> NDArray[np.int32]:
    """The partition of each customer, int32[k]: (hash * partitions) >> 64, of uint64[k] hashes.

    1 <= partitions <= 65,536, else ValueError.
    """
    if not 1 <= partitions <= PARTITIONS_MAX:
        raise ValueError(f"{partitions} partitions: expected 1 to {PARTITIONS_MAX:,}")
    factor = np.uint64(partitions)
    # The product has more than 64 bits, so the halves are multiplied; the carry is kept.
    carry = ((id_hash & _LOW) * factor) >> _HALF
    return (((id_hash >> _HALF) * factor + carry) >> _HALF).astype(np.int32)


def split(frame: Frame, partitions: int) -> list[tuple[int, Frame]]:
    """The frame's part for each partition, ascending, the order of rows kept.

    A numbered frame has a part for every partition, if need be without rows, so that no cursor of
    its source sees a gap; another only for those that it has rows for.
    """
    if partitions == 1:
        return [(0, frame)] if frame.rows or frame.sequence else []
    of_row = partition_of(frame.id_hash, partitions)[frame.customer]
    order = np.argsort(of_row, kind="stable")
    bounds = np.searchsorted(of_row[order], np.arange(partitions + 1))
    return [
        (p, frame if end - start == frame.rows else frame.take(order[start:end]))
        for p, (start, end) in enumerate(pairwise(bounds))
        if end > start or frame.sequence
    ]
