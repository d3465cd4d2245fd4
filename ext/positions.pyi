"""Typed face of ext/positions.pyx."""

import numpy as np
from numpy.typing import NDArray

from ext.live import LiveMachine

__all__ = ["positions"]

def positions(
    machine: LiveMachine,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64]]: ...
