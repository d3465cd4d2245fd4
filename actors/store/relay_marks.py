"""Record how far the relay got, and the messages that need attention, in small transactions.

What went well leaves no row of its own: it is covered by the relay's position.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from enum import IntEnum
from typing import NamedTuple

from actors.store.environment import Changes, Environment, Transaction
from actors.store.errors import CorruptError
from actors.store.frames import RESTORE, Kind, check_key, pack, unpack
from actors.store.head import Head

CHUNK_ROWS = 256


class Trouble(IntEnum):
    """Why a message needs attention."""

    AMBIGUOUS = 1  # handed over, and nobody knows whether it was taken
    DEAD = 2  # given up


class Position(NamedTuple):
    """The relay is done with all blocks up to `commit`'s, and with `done` effects of the next."""

    commit: int
    done: int = 0


class ExceptionRow(NamedTuple):
    """A message in trouble: its key is 1 to 510 bytes, its payload at most 1 MiB."""

    trouble: Trouble
    key: bytes
    payload: bytes


def mark(
    environment: Environment,
    position: Position | None,
    put: Collection[ExceptionRow],
    delete: Collection[tuple[Trouble, bytes]],
) -> None:
    """Move the position and change rows in one transaction; a row put again replaces the old one.

    Raises ValueError if the position would go back or beyond the outbox, TooLargeError.
    """
    rows = {_key(row.trouble, row.key): row.payload for row in put}
    gone = {_key(trouble, key) for trouble, key in delete}
    if both := rows.keys() & gone:
        raise ValueError(f"{len(both)} rows are both put and deleted")

    def plan(head: Head) -> Changes:
        changes = Changes(head)
        if position is not None:
            now = (head.relay_commit, head.relay_done)
            if position < now or position.commit > head.outbox_last:
                raise ValueError(
                    f"the relay is at {now} and the outbox ends at {head.outbox_last}, "
                    f"so it cannot be at {tuple(position)}"
                )
            head = replace(head, relay_commit=position.commit, relay_done=position.done)
        with environment.reading() as txn:
            added = sum(not _there(environment, txn, key) for key in rows)
            present = [key for key in gone if _there(environment, txn, key)]
        for key, payload in rows.items():
            changes.puts.append(("exceptions", key, pack(Kind.EXCEPTION, key, 0, payload)))
        changes.deletes = [("exceptions", key) for key in present]
        changes.head = replace(head, exceptions=head.exceptions + added - len(present))
        return changes

    environment.write(plan)


def read(environment: Environment, trouble: Trouble, after: bytes = b"") -> Iterator[ExceptionRow]:
    """Rows of one trouble with keys above `after`, in order; what changes meanwhile may be there.

    Each chunk is a transaction of its own. Raises CorruptError.
    """
    while chunk := _chunk(environment, trouble, after):
        yield from chunk
        after = chunk[-1].key


def _chunk(environment: Environment, trouble: Trouble, after: bytes) -> list[ExceptionRow]:
    found: list[ExceptionRow] = []
    start = bytes([trouble]) + after
    with environment.reading() as txn:
        for key, record in environment.rows(txn, "exceptions", start):
            if key[0] != trouble or len(found) == CHUNK_ROWS:
                break
            if key != start:
                _, payload = unpack(Kind.EXCEPTION, key, record, environment.file)
                found.append(ExceptionRow(trouble, key[1:], payload))
    return found


def check_count(environment: Environment) -> int:
    """How many rows there are, checked against the head. Raises CorruptError."""
    with environment.reading() as txn:
        expected = environment.head_in(txn).exceptions
        found = sum(key[0] in set(Trouble) for key in environment.keys(txn, "exceptions"))
        if found != expected:
            raise CorruptError(
                f"there are {found:,} messages in trouble instead of {expected:,}",
                advice=RESTORE,
                file=environment.file,
            )
    return found


def _key(trouble: Trouble, key: bytes) -> bytes:
    check_key(key, "the key of a message", room=1)
    return bytes([trouble]) + key


def _there(environment: Environment, txn: Transaction, key: bytes) -> bool:
    return environment.get(txn, "exceptions", key) is not None
