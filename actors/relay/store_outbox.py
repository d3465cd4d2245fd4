"""A store outbox makes an open partition serve as a relay's outbox, without blocking its loop.

Reads and marks run in two threads of its own; a commit wakes who waits for a block from the thread
that made it. What is done is trimmed many commits at a time, because trimming is a transaction of
its own. A full disk only makes a mark wait: nothing is sent before it is marked, so no message
becomes of unknown fate by it.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, overload

from actors.relay.effect_block import expand
from actors.relay.outbox import Cursor
from actors.store.errors import NoSpaceError, StoreError
from actors.store.partition import Partition
from actors.store.relay_marks import Position

T = TypeVar("T")
TRIM_COMMITS = 256
SPACE_LOOK_S = 1.0
PACKED_MAX = 4


class StoreOutbox:
    """The outbox of one partition, for one relay. Use it within one event loop.

    `trim_commits` is how many commits the position moves on before blocks are deleted.
    """

    def __init__(self, partition: Partition, *, trim_commits: int = TRIM_COMMITS) -> None:
        self._partition = partition
        self._trim_commits = trim_commits
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="outbox")
        self._loop = asyncio.get_running_loop()
        self._committed = asyncio.Event()
        self._closing = asyncio.Event()
        self._told = False
        self._unwatch = partition.watch(self._tell)

    def _tell(self) -> None:
        """Runs in the committing thread; many commits may share one wake-up of the loop."""
        if not self._told:
            self._told = True
            try:
                self._loop.call_soon_threadsafe(self._wake)
            except RuntimeError:
                # The loop was closed at this very moment, so nobody waits any more.
                return

    def _wake(self) -> None:
        self._told = False
        self._committed.set()
        self._committed = asyncio.Event()

    async def _run(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._threads, work)

    async def blocks_after(self, commit: int, limit: int) -> Sequence[tuple[int, Sequence[bytes]]]:
        """Up to `limit` blocks of commits beyond `commit`, ascending. Raises StoreError."""
        if self._partition.head.outbox_last <= commit:
            return []

        def read() -> list[tuple[int, Sequence[bytes]]]:
            blocks = itertools.islice(self._partition.outbox(commit, limit), limit)
            return [(block.commit, _effects(block.effects)) for block in blocks]

        return await self._run(read)

    async def wait_for_block(self, after: int) -> None:
        """Return once there is a committed block of a commit > `after`."""
        while self._partition.head.outbox_last <= after:
            # A commit after the look above wakes the event that is waited for here: `_wake` runs
            # in this loop, which goes on only once this task waits.
            await self._committed.wait()

    async def mark(
        self, position: Cursor | None, put: Mapping[str, bytes], delete: Collection[str]
    ) -> None:
        """Move the position, put and delete rows in one durable transaction.

        While the disk is full it waits and tries again, until `close`. Raises StoreError.
        """
        moved = None if position is None else Position(position.commit, position.done)
        rows = {name.encode(): row for name, row in put.items()}
        gone = [name.encode() for name in delete]
        while True:
            try:
                await self._run(lambda: self._partition.mark_relay(moved, put=rows, delete=gone))
                break
            except NoSpaceError:
                if self._closing.is_set():
                    raise
                await self._pause()
        if position is not None:
            await self._trim(self._trim_commits)

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._closing.wait(), SPACE_LOOK_S)
        except TimeoutError:
            return

    async def _trim(self, commits: int) -> None:
        head = self._partition.head
        if head.relay_commit - head.outbox_trimmed >= commits:
            try:
                await self._run(lambda: self._partition.trim_outbox(head.relay_commit))
            except NoSpaceError:
                # It can wait: what is done stays where it is until the next time.
                return

    async def rows(self, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """Up to `limit` rows with `prefix` and names above `after`. Raises StoreError."""

        def read() -> list[tuple[str, bytes]]:
            found = self._partition.relay_rows(prefix.encode(), after.encode())
            return [(name.decode(), row) for name, row in itertools.islice(found, limit)]

        return await self._run(read)

    def give_up(self) -> None:
        """Let marks that wait for room on the disk fail."""
        self._closing.set()

    async def close(self) -> None:
        """Trim what is done and end the threads; the partition stays open."""
        self._unwatch()
        self.give_up()
        try:
            await self._trim(1)
        except StoreError:
            # The partition halted or is closed; what is done is trimmed after it is opened again.
            return
        finally:
            self._threads.shutdown(wait=True)


def _effects(stored: Sequence[bytes]) -> Sequence[bytes]:
    """The single effects of a commit; those of a large one are taken apart as they are read."""
    return expand(stored) if len(stored) <= PACKED_MAX else _Packed(stored)


class _Packed(Sequence[bytes]):
    """The effects of a commit with many packed blocks, of which one at a time is taken apart."""

    def __init__(self, stored: Sequence[bytes]) -> None:
        self._stored = stored
        self._ends = list(itertools.accumulate(len(expand([each])) for each in stored))
        self._at = -1
        self._open: list[bytes] = []

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...

    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = index + len(self) if index < 0 else index
        if not 0 <= number < len(self):
            raise IndexError(index)
        at = bisect.bisect_right(self._ends, number)
        if at != self._at:
            self._at, self._open = at, expand([self._stored[at]])
        return self._open[number - self._ends[at]]
