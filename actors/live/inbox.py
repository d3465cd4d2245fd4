"""Queue what comes to a shard: frames, bounded in rows and bytes, and errands between batches.

Frames that come while a commit is made go together into the next. Under load the shard waits up to
LINGER_S for as many frames as the last batch had, because their senders are on their way; a shard
that was idle takes what comes at once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from actors.intake.frame import Frame
from actors.live.errors import BusyError, DownError
from actors.live.hosted import Receipt

LINGER_S = 0.002
BATCH_ROWS = 1 << 16
BATCH_BYTES = 32 << 20
RETRY_AFTER_MS = 50


@dataclass(frozen=True, slots=True)
class Delivery:
    """A frame for a partition, and the promise of its receipt."""

    partition: int
    frame: Frame
    size_bytes: int
    future: Future[Receipt]


@dataclass(frozen=True, slots=True)
class Errand:
    """Something to be done by the shard's thread between batches."""

    run: Callable[[], Any]
    future: Future[Any]

    def carry_out(self) -> None:
        """Do it, and keep the promise of its result."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.run())
        except Exception as error:
            self.future.set_exception(error)


def stopping() -> DownError:
    """The error for whoever comes too late."""
    return DownError("the shard is stopping", advice="Send the same again when it is back")


def frame_bytes(frame: Frame) -> int:
    """About how much memory a frame takes."""
    fixed = 48 * frame.rows + 16 * frame.customers + len(frame.id_data)
    return fixed + sum(part.rows.nbytes + part.values.nbytes for _, _, part in frame.parts())


class Inbox:
    """The queue. Any thread puts; one thread collects."""

    def __init__(self, rows_max: int, bytes_max: int) -> None:
        """Hold up to so many rows and bytes of frames; one frame always fits."""
        self.rows_max = rows_max
        self.bytes_max = bytes_max
        self.rows = 0
        self.bytes = 0
        self._changed = threading.Condition()
        self._deliveries: deque[Delivery] = deque()
        self._errands: deque[Errand] = deque()
        self._last_count = 0
        self._closed = False

    def put(self, delivery: Delivery) -> None:
        """Queue a frame. Raises BusyError when full, DownError when closed."""
        rows = delivery.frame.rows
        with self._changed:
            self._check_open()
            over = self.rows + rows > self.rows_max or self.bytes + delivery.size_bytes > (
                self.bytes_max
            )
            if over and self._deliveries:
                raise BusyError(
                    f"{self.rows:,} rows wait already, in {self.bytes >> 10:,} KiB",
                    retry_after_ms=RETRY_AFTER_MS,
                    advice="Send the same again a little later, or in more shards",
                )
            self._deliveries.append(delivery)
            self.rows += rows
            self.bytes += delivery.size_bytes
            self._changed.notify()

    def put_errand(self, run: Callable[[], Any]) -> Future[Any]:
        """Queue an errand. Raises DownError when closed."""
        errand = Errand(run, Future())
        with self._changed:
            self._check_open()
            self._errands.append(errand)
            self._changed.notify()
        return errand.future

    def collect(self, timeout_s: float) -> list[Delivery]:
        """The next batch, in order of arrival; [] after the timeout, for errands, or when closed.

        Errands end the waiting; `errand` hands them out.
        """
        with self._changed:
            if not self._deliveries:
                self._changed.wait_for(self._any, max(0.0, timeout_s))
            elif not self._errands:
                self._changed.wait_for(self._enough, LINGER_S)
            return self._batch()

    def errand(self) -> Errand | None:
        """The next errand, if there is one."""
        with self._changed:
            return self._errands.popleft() if self._errands else None

    def close(self) -> None:
        """Take nothing more; what is queued is handed out still."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Whether it takes nothing more and holds nothing."""
        with self._changed:
            return self._closed and not self._deliveries and not self._errands

    def _check_open(self) -> None:
        if self._closed:
            raise stopping()

    def _any(self) -> bool:
        return bool(self._deliveries or self._errands or self._closed)

    def _enough(self) -> bool:
        enough = len(self._deliveries) >= self._last_count or self.rows >= BATCH_ROWS
        return enough or bool(self._errands) or self._closed

    def _batch(self) -> list[Delivery]:
        batch: list[Delivery] = []
        rows = size = 0
        while self._deliveries:
            delivery = self._deliveries[0]
            rows += delivery.frame.rows
            size += delivery.size_bytes
            if batch and (rows > BATCH_ROWS or size > BATCH_BYTES):
                break
            batch.append(self._deliveries.popleft())
            self.rows -= delivery.frame.rows
            self.bytes -= delivery.size_bytes
        if batch:
            self._last_count = len(batch)
        return batch


def deadline_s(due_ms: int | None, now_ms: int, longest_s: float) -> float:
    """How long to wait for what is due at `due_ms`, at most `longest_s`."""
    if due_ms is None:
        return longest_s
    return min(longest_s, max(0, due_ms - now_ms) / 1000)


def timed_out(started_s: float, budget_s: float) -> bool:
    """Whether the budget of an activity that began at `started_s` is used up."""
    return time.monotonic() - started_s >= budget_s
