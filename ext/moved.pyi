"""Typed face of ext/moved.pyx."""

import numpy as np
from numpy.typing import NDArray

from core.binding import Bound
from ext.live import LiveMachine

__all__ = ["places", "retable"]

def places(machine: LiveMachine) -> tuple[NDArray[np.int32], NDArray[np.int64]]: ...
def retable(
    machine: LiveMachine,
    bound: Bound,
    zones: NDArray[np.int32],
    following: NDArray[np.int64],
    entering: bool,
) -> int: ...
