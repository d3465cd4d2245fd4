"""Record how far the relay got, and rows of its own, in small transactions.

What went well leaves no row: it is covered by the relay's position. A row is for what needs
attention, such as a message that may or may not have been taken. The head keeps the number of rows
and the sum of the hashes of their names, so that a damaged name cannot hide a row from its prefix.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import xxhash

from actors.store.environment import Changes, Environment, Transaction
from actors.store.errors import CorruptError
from actors.store.frames import RESTORE, Kind, check_key, pack, unpack
from actors.store.head import Head

CHUNK_ROWS = 256
_MODULUS = 1 << 64


class Position(NamedTuple):
    """The relay is done with all blocks up to `commit`'s, and with `done` effects of the next."""

    commit: int
    done: int = 0


def mark(
    environment: Environment,
    position: Position | None,
    put: Mapping[bytes, bytes],
    delete: Collection[bytes],
) -> None:
    """Move the position, put and delete rows, in one transaction.

    A name is 1 to 511 bytes, its row at most 1 MiB. A row put again replaces the old one; deleting
    one that is absent does nothing. Raises ValueError if the position would go back or beyond the
    outbox or a row is both put and deleted, TooLargeError.
    """
    gone = set(delete)
    for name in (*put, *gone):
        check_key(name, "the name of a row")
    if both := put.keys() & gone:
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
            added = [name for name in put if not _there(environment, txn, name)]
            present = [name for name in gone if _there(environment, txn, name)]
        for name, payload in put.items():
            changes.puts.append(("relay", name, pack(Kind.RELAY_ROW, name, 0, payload)))
        changes.deletes = [("relay", name) for name in present]
        changes.head = replace(
            head,
            relay_rows=head.relay_rows + len(added) - len(present),
            relay_names=(head.relay_names + _sum(added) - _sum(present)) % _MODULUS,
        )
        return changes

    environment.write(plan)


def get(environment: Environment, names: Collection[bytes]) -> dict[bytes, bytes]:
    """The rows of those names that have one, all of one moment. Raises CorruptError."""
    found: dict[bytes, bytes] = {}
    with environment.reading() as txn:
        for name in names:
            record = environment.get(txn, "relay", name)
            if record is not None:
                found[name] = unpack(Kind.RELAY_ROW, name, record, environment.file)[1]
    return found


def read(
    environment: Environment, prefix: bytes, after: bytes = b""
) -> Iterator[tuple[bytes, bytes]]:
    """Names with `prefix` and above `after`, in order, and rows; what changes meanwhile may be in.

    Each chunk is a transaction of its own. Raises CorruptError.
    """
    while chunk := _chunk(environment, prefix, after):
        yield from chunk
        after = chunk[-1][0]


def _chunk(environment: Environment, prefix: bytes, after: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    with environment.reading() as txn:
        for name, record in environment.rows(txn, "relay", max(prefix, after)):
            if not name.startswith(prefix) or len(found) == CHUNK_ROWS:
                break
            if name > after:
                found.append((name, unpack(Kind.RELAY_ROW, name, record, environment.file)[1]))
    return found


def check_names(environment: Environment) -> int:
    """How many rows there are; their names are checked against the head. Raises CorruptError."""
    with environment.reading() as txn:
        head = environment.head_in(txn)
        count = total = 0
        for name in environment.keys(txn, "relay"):
            count += 1
            total += xxhash.xxh3_64_intdigest(name)
        if count != head.relay_rows or total % _MODULUS != head.relay_names:
            raise CorruptError(
                f"the {count:,} rows of the relay are not the {head.relay_rows:,} it wrote",
                advice=RESTORE,
                file=environment.file,
            )
    return count


def _there(environment: Environment, txn: Transaction, name: bytes) -> bool:
    return environment.get(txn, "relay", name) is not None


def _sum(names: Collection[bytes]) -> int:
    total: int = sum(map(xxhash.xxh3_64_intdigest, names))
    return total % _MODULUS
