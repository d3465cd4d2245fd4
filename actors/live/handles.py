"""Reach a shard, wherever it runs: in this process, or behind an actor."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from actors.intake.frame import Frame
from actors.live.hosted import Receipt
from actors.live.shard import Shard


class ShardHandle(Protocol):
    """One shard as its engine sees it. Any thread may use it."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """The partitions that it hosts."""
        ...

    def submit(self, partition: int, frame: Frame, control: int) -> Future[Receipt]:
        """Send a frame on its way; the receipt, or why there is none, comes in time.

        The receipt raises BehindError, BusyError, FullError or what the store raises where nothing
        was taken in, DownError where that is not known: then the same frame may be sent again.
        """
        ...

    def call(self, method: str, *arguments: Any) -> Any:
        """What the shard's method answers. Raises what it raises, DownError if nobody answers."""
        ...

    def close(self) -> None:
        """Commit what is queued and close the partitions."""
        ...


class InlineHandle:
    """A shard in this process."""

    def __init__(self, shard: Shard) -> None:
        """Take over an open shard."""
        self.shard = shard

    @property
    def numbers(self) -> tuple[int, ...]:
        """The partitions that it hosts."""
        return self.shard.numbers

    def submit(self, partition: int, frame: Frame, control: int) -> Future[Receipt]:
        """Queue a frame; see `ShardHandle`."""
        try:
            return self.shard.submit(partition, frame, control)
        except Exception as error:
            failed: Future[Receipt] = Future()
            failed.set_exception(error)
            return failed

    def call(self, method: str, *arguments: Any) -> Any:
        """What the shard's method answers."""
        return getattr(self.shard, method)(*arguments)

    def close(self) -> None:
        """Commit what is queued and close the partitions."""
        self.shard.close()


def close_all(handles: Sequence[ShardHandle]) -> None:
    """Close shards, all at once: each saves its state, which is mostly waiting for the disk.

    Raises what one of them raised, when all have ended.
    """
    if not handles:
        return
    with ThreadPoolExecutor(len(handles), thread_name_prefix="closing") as pool:
        closing = [pool.submit(handle.close) for handle in handles]
    for done in closing:
        done.result()
