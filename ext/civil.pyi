"""Typed face of ext/civil.pyx."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SLOT_DTYPE: np.dtype[Any]

def civil_from_days_many(days: NDArray[np.int64]) -> NDArray[np.int64]: ...
def days_from_civil_many(dates: NDArray[np.int64]) -> NDArray[np.int64]: ...
def utc_to_local_many(
    utc: NDArray[np.int64], offset: NDArray[np.int64], utc_ms: NDArray[np.int64]
) -> NDArray[np.int64]: ...
def local_to_utc_many(
    utc: NDArray[np.int64], offset: NDArray[np.int64], local_ms: NDArray[np.int64]
) -> NDArray[np.int64]: ...
def local_date_many(
    utc: NDArray[np.int64], offset: NDArray[np.int64], utc_ms: NDArray[np.int64]
) -> NDArray[np.int64]: ...
def add_wall_many(
    utc: NDArray[np.int64],
    offset: NDArray[np.int64],
    utc_ms: NDArray[np.int64],
    durations: NDArray[np.int64],
) -> NDArray[np.int64]: ...
def next_slot_many(
    utc: NDArray[np.int64],
    offset: NDArray[np.int64],
    utc_ms: NDArray[np.int64],
    slots: NDArray[Any],
) -> NDArray[np.int64]: ...
