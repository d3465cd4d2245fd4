"""Find the messages of a partition that no relay has taken, so that they can move elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actors.intake.routing import partition_of
from actors.live.errors import RefusedError
from actors.relay.effect_block import expand
from actors.relay.effects import UnreadableError, decode_effect
from actors.relay.rows import decode_cursor
from actors.store.errors import CorruptError
from actors.store.frames import RESTORE
from actors.store.partition import Partition

_HASHES = 2**64


def check_settled(store: Partition) -> None:
    """Raise RefusedError unless all messages were sent, or no relay ever took one."""
    for prefix, what, advice in (
        (b"pending/", "are under way", "Start the engine until they are sent"),
        (b"held/", "are of channels that are off", "Switch these on again"),
        (b"parked/", "are parked", "Decide on each of them: send again, or discard"),
    ):
        if next(store.relay_rows(prefix), None) is not None:
            count = sum(1 for _ in store.relay_rows(prefix))
            raise RefusedError(f"{count:,} messages {what}", advice=advice, file=str(store.folder))
    if _begun(store) and _taken(store) < store.head.outbox_last:
        raise RefusedError(
            "the relay has taken a part of the messages that wait",
            advice="Start the engine until it has taken all",
            file=str(store.folder),
        )


def unsent(stores: Sequence[Partition], partitions: int) -> list[list[bytes]]:
    """The messages that no relay has taken, for each of so many partitions. Raises CorruptError."""
    found: list[list[bytes]] = [[] for _ in range(partitions)]
    for store in stores:
        if _begun(store):
            continue
        for block in store.outbox(max(store.head.relay_commit, store.head.outbox_trimmed)):
            for data in expand(block.effects):
                try:
                    customer = decode_effect(data).customer % _HASHES
                except UnreadableError as error:
                    raise CorruptError(
                        f"a message cannot be read: {error}",
                        advice=RESTORE,
                        file=str(store.folder),
                        pointer=f"commit {block.commit}",
                    ) from error
                home = partition_of(np.array([customer], np.uint64), partitions)
                found[int(home[0])].append(data)
    return found


def _begun(store: Partition) -> bool:
    """Whether a relay ever worked."""
    return next(store.relay_rows(b"cursor/"), None) is not None


def _taken(store: Partition) -> int:
    """The last commit of which all lanes of the relay have taken all messages."""
    cursors = [decode_cursor(row) for _, row in store.relay_rows(b"cursor/")]
    return min((cursor.commit for cursor in cursors), default=0)
