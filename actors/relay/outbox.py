"""The outbox as the relay sees it: numbered blocks to read, and a few rows of its own to write.

A store implements this protocol. The relay needs three things of it: blocks appear in the order of
their commits and never change; `mark` is one durable transaction; rows are listed in the order of
their names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol


class Cursor(NamedTuple):
    """All blocks up to `commit`'s are taken, and `done` effects of the block after it."""

    commit: int
    done: int = 0


START = Cursor(0)


class Outbox(Protocol):
    """One partition's outbox. What it raises passes through and stops the relay."""

    async def blocks_after(self, commit: int, limit: int) -> Sequence[tuple[int, Sequence[bytes]]]:
        """Up to `limit` blocks of commits > `commit`, ascending: the commit's number, its effects.

        Numbers start at 1 and may have gaps: a commit without effects has no block.
        """
        ...

    async def wait_for_block(self, after: int) -> None:
        """Return once there may be a committed block of a commit > `after`."""
        ...

    async def mark(
        self, position: Cursor | None, put: Mapping[str, bytes], delete: Collection[str]
    ) -> None:
        """Move the relay's position unless it is None, put and delete rows, in one transaction.

        Returns when it is durable. Blocks up to the position's commit are no longer needed. No row
        is both put and deleted; deleting an absent row is no error. Names have at most 510 bytes.
        """
        ...

    async def rows(self, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """Up to `limit` rows whose names start with `prefix` and come after `after`, ascending."""
        ...
