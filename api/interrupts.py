"""Turn Ctrl-C into a wish to stop while a dry run goes on."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from actors.dry_run import Cancel

_STOPPING = b"\nheadrace: stopping; what is done will be reported. Ctrl-C again aborts.\n"
_STDERR = 2


@contextmanager
def stopped_by_ctrl_c(cancel: Cancel) -> Iterator[None]:
    """Within the block, the first Ctrl-C asks `cancel` to stop and the second forces it.

    Only the main thread hears signals; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heard(number: int, frame: FrameType | None) -> None:
        if cancel.asked.is_set():
            cancel.force()
        else:
            cancel.ask()
            # A print could come in the midst of another.
            os.write(_STDERR, _STOPPING)

    before = signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
