"""Waits for what happens beside a test: no longer than it takes, and long on a loaded machine."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 300.0
"""How long a test waits for what must come. Only a test that fails waits so long."""
LOOK_S = 0.01

Found = TypeVar("Found")


def until(true: Callable[[], Found], missing: str | Callable[[], object] = "it") -> Found:
    """Wait until something is true, and return it.

    AssertionError says what was missing: its name, or what a function then tells.
    """
    end_s = time.monotonic() + PATIENCE_S
    while not (found := true()):
        if time.monotonic() > end_s:
            told = missing if isinstance(missing, str) else missing()
            raise AssertionError(f"did not come true in {PATIENCE_S:.0f} s: {told}")
        time.sleep(LOOK_S)
    return found
