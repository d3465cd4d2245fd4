"""Keep work that takes long in threads of its own, so that whoever asked can ask how it is going.

An actor answers one call at a time: a copy of gigabytes within a call would keep rows waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from actors.live.errors import UnknownError


class Jobs:
    """Work under way, by names that callers choose. Any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[str, Future[Any]] = {}

    def begin(self, name: str, work: Callable[[], Any]) -> None:
        """Begin it in a thread of its own; a name that is under way already is left alone."""
        with self._lock:
            if name in self._jobs:
                return
            future = self._jobs[name] = Future()
        thread = threading.Thread(target=_carry_out, args=(work, future), name="job", daemon=True)
        thread.start()

    def ended(self, name: str, wait_s: float = 0.0) -> tuple[bool, Any]:
        """Whether it has ended, and what it returned; the name is free then.

        Waits so long for that. Raises what it raised; UnknownError for a name that nobody began,
        or whose end was told.
        """
        with self._lock:
            future = self._jobs.get(name)
        if future is None:
            raise UnknownError(
                f"nothing of the name {name} is under way: it ended, or its process did",
                advice="Ask for it again",
            )
        try:
            found = future.result(wait_s)
        except TimeoutError:
            if not future.done():
                return False, None
            self._forget(name)
            raise
        except BaseException:
            self._forget(name)
            raise
        self._forget(name)
        return True, found

    def _forget(self, name: str) -> None:
        with self._lock:
            self._jobs.pop(name, None)


def _carry_out(work: Callable[[], Any], future: Future[Any]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:
        future.set_exception(error)
