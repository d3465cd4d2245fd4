"""Typed face of ext/merging.pyx."""

import numpy as np
from numpy.typing import NDArray

from ext.live import LiveMachine

__all__ = ["settle", "take_in", "take_out"]

def take_out(
    machine: LiveMachine, customers: NDArray[np.int32], at_ms: int, never_ms: int
) -> list[tuple[int | None, bytes]]: ...
def take_in(machine: LiveMachine, c: int, entered_ms: int | None, truths: bytes) -> None: ...
def settle(machine: LiveMachine, c: int, at_ms: int) -> None: ...
