"""The ledger writes what the lanes decide, many decisions in one transaction of the outbox.

While one transaction is being made durable, what comes in meanwhile gathers for the next. So lanes
share the cost of fsync, and each waits for its own decision only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from actors.relay.outbox import START, Cursor, Outbox
from actors.relay.rows import decode_cursor, encode_cursor


class Ledger:
    """The relay's rows and cursors in one outbox; every lane names itself before it starts."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._cursors: dict[str, Cursor] = {}
        self._changes: dict[str, bytes | None] = {}
        self._moved: dict[str, Cursor] = {}
        self._lock = asyncio.Lock()
        self._position: Cursor | None = None
        self._failure: BaseException | None = None

    async def open(self, lane: str) -> Cursor:
        """Return where `lane` is; from now on blocks are kept until it has taken them."""
        self._cursors[lane] = await self.saved(f"cursor/{lane}")
        return self._cursors[lane]

    async def saved(self, name: str) -> Cursor:
        """Return the cursor in row `name`, or START."""
        for found, data in await self._outbox.rows(name, "", 1):
            if found == name:
                return decode_cursor(data)
        return START

    async def write(
        self, changes: Mapping[str, bytes | None], lane: str = "", cursor: Cursor | None = None
    ) -> None:
        """Put rows (None deletes one) and move the lane's cursor; returns when that is durable.

        Writes take effect in the order of their calls. Raises what the outbox raises, and
        RuntimeError ever after: what was written with the failed transaction is not durable.
        """
        self._changes.update(changes)
        if cursor is not None:
            self._moved[lane] = cursor
            self._changes[f"cursor/{lane}"] = encode_cursor(cursor)
        async with self._lock:
            # Whoever held the lock before may have written this along with its own.
            if self._failure is not None:
                raise RuntimeError("the outbox failed before") from self._failure
            if self._changes:
                # Whoever decides at this very moment comes along.
                await asyncio.sleep(0)
                try:
                    await self._flush()
                except BaseException as error:
                    self._failure = error
                    raise

    async def _flush(self) -> None:
        changes, self._changes = self._changes, {}
        moved, self._moved = self._moved, {}
        cursors = self._cursors | moved
        position = Cursor(min(c.commit for c in cursors.values())) if cursors else None
        put = {name: data for name, data in changes.items() if data is not None}
        delete = [name for name, data in changes.items() if data is None]
        await self._outbox.mark(position if position != self._position else None, put, delete)
        self._cursors, self._position = cursors, position

    async def rows(self, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """Up to `limit` rows whose names start with `prefix` and come after `after`, ascending."""
        return await self._outbox.rows(prefix, after, limit)

    async def blocks_after(self, commit: int, limit: int) -> Sequence[tuple[int, Sequence[bytes]]]:
        """Up to `limit` blocks after a commit; see Outbox."""
        return await self._outbox.blocks_after(commit, limit)

    async def wait_for_block(self, after: int) -> None:
        """Return once there may be a block after a commit; see Outbox."""
        await self._outbox.wait_for_block(after)
