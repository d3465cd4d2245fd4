"""Tests of `actors.live.handles`: shards are closed all at once, and none is left open."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from actors.intake.frame import Frame
from actors.live.handles import ShardHandle, close_all
from waiting import PATIENCE_S


class Closing:
    """A handle whose closing waits for that of the others."""

    numbers = (0,)

    def __init__(self, together: threading.Barrier, error: Exception | None = None) -> None:
        self.together = together
        self.error = error
        self.closed = False

    def submit(self, partition: int, frame: Frame, control: int) -> Future[Any]:
        raise AssertionError("nothing is sent")

    def call(self, method: str, *arguments: Any) -> Any:
        raise AssertionError("nothing is asked")

    def close(self) -> None:
        self.together.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        self.closed = True


def test_all_close_at_once_and_the_first_error_is_told_at_the_end() -> None:
    together = threading.Barrier(3)
    broken = Closing(together, OSError("it is stuck"))
    handles: list[ShardHandle] = [broken, Closing(together), Closing(together)]
    with pytest.raises(OSError, match="it is stuck"):
        close_all(handles)
    assert [handle.closed for handle in handles if isinstance(handle, Closing)] == [
        False,
        True,
        True,
    ]
    close_all([])
