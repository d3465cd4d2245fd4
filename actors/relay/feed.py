"""A feed reads the effects of an outbox in order for one lane, and leaves out those of others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from actors.relay.effects import Effect, UnreadableError, decode_effect
from actors.relay.ledger import Ledger
from actors.relay.outbox import Cursor

BLOCKS_AT_ONCE = 4
# Whether a lane takes the effect at a cursor; None is one that cannot be read.
IsOurs = Callable[[Effect | None, Cursor], bool]


class Taken(NamedTuple):
    """An effect (None if it cannot be read), its bytes, and the cursor just before it."""

    effect: Effect | None
    raw: bytes
    at: Cursor
    commit: int


class Feed:
    """Effects after a cursor, which moves along; at most a few blocks are in memory."""

    def __init__(self, ledger: Ledger, cursor: Cursor, is_ours: IsOurs) -> None:
        """`is_ours` says which effects to take."""
        self.cursor = cursor
        self._ledger = ledger
        self._is_ours = is_ours
        self._blocks: list[tuple[int, Sequence[bytes]]] = []

    async def take(
        self, wanted: int, until: Callable[[Effect | None], bool] | None = None
    ) -> list[Taken]:
        """Up to `wanted` next effects, fewer at the end or before one for which `until` is true."""
        found: list[Taken] = []
        while len(found) < wanted and await self._fill():
            commit, entries = self._blocks[0]
            for number in range(self.cursor.done, len(entries)):
                effect = _readable(entries[number])
                at = Cursor(self.cursor.commit, number)
                if self._is_ours(effect, at):
                    if until is not None and until(effect):
                        return found
                    found.append(Taken(effect, entries[number], at, commit))
                self.cursor = Cursor(self.cursor.commit, number + 1)
                if len(found) == wanted:
                    break
            if self.cursor.done >= len(entries):
                self.cursor = Cursor(commit)
                del self._blocks[0]
                await asyncio.sleep(0)
        return found

    async def _fill(self) -> bool:
        if not self._blocks:
            self._blocks = list(await self._ledger.blocks_after(self.cursor.commit, BLOCKS_AT_ONCE))
        return bool(self._blocks)


def _readable(data: bytes) -> Effect | None:
    try:
        return decode_effect(data)
    except UnreadableError:
        return None
