"""Append inputs to the journal, read them back in order, and trim what is not needed any more.

A record's key is its number, which grows by one without a gap; so a record that vanished is noticed
by the next one, and the last one by the head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from actors.store.environment import Changes, Environment
from actors.store.errors import CorruptError, TrimmedError
from actors.store.frames import RESTORE, Kind, check_size, pack, unpack
from actors.store.head import Head

CHUNK_RECORDS = 256
CHUNK_BYTES = 4 << 20
TRIM_RECORDS = 1024  # deleted in one transaction
TRIM_BYTES = 64 << 20

_NUMBER_BYTES = 8


def number_key(number: int) -> bytes:
    """A number as a key that sorts like it."""
    return number.to_bytes(_NUMBER_BYTES, "big")


def append(changes: Changes, records: Sequence[bytes]) -> None:
    """Add records of at most 1 MiB each. Raises TooLargeError."""
    number = changes.head.journal_last
    for record in records:
        check_size(Kind.JOURNAL, record)
        number += 1
        key = number_key(number)
        changes.puts.append(("journal", key, pack(Kind.JOURNAL, key, number, record)))
    changes.head = replace(changes.head, journal_last=number)


def read(environment: Environment, after: int) -> Iterator[tuple[int, bytes]]:
    """Numbers and records after number `after`, up to the last when the reading began.

    Each chunk is a transaction of its own, and none is held while the caller works.
    Raises TrimmedError if the first of them was trimmed away, CorruptError for a gap.
    """
    last = environment.head.journal_last
    while after < last:
        chunk = _chunk(environment, after, last)
        yield from chunk
        after = chunk[-1][0]


def _chunk(environment: Environment, after: int, last: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    total = 0
    with environment.reading() as txn:
        first = environment.head_in(txn).journal_first
        if after + 1 < first:
            raise TrimmedError(
                f"the journal begins with record {first:,}; {after + 1:,} was asked for",
                advice="Start from a snapshot, or from the first record there is",
                file=environment.file,
            )
        for key, record in environment.rows(txn, "journal", number_key(after + 1)):
            number, payload = unpack(Kind.JOURNAL, key, record, environment.file)
            expected = after + 1 + len(found)
            if number_key(number) != key or number != expected:
                raise _gap(environment, expected, f"record {number} follows")
            found.append((number, payload))
            total += len(payload)
            if number == last or len(found) == CHUNK_RECORDS or total >= CHUNK_BYTES:
                return found
        raise _gap(environment, after + 1 + len(found), "nothing follows")


def _gap(environment: Environment, expected: int, what: str) -> CorruptError:
    return CorruptError(
        f"the record is missing: {what}",
        advice=RESTORE,
        file=environment.file,
        pointer=f"journal record {expected}",
    )


def trim(environment: Environment, before: int) -> int:
    """Delete the records with numbers below `before`, a few at a time; returns how many.

    The caller sees to it that a snapshot covers them.
    """
    deleted = 0
    while keys := _keys_before(environment, before):

        def plan(head: Head, keys: list[bytes] = keys) -> Changes:
            head = replace(head, journal_first=int.from_bytes(keys[-1], "big") + 1)
            return Changes(head, deletes=[("journal", key) for key in keys])

        environment.write(plan)
        deleted += len(keys)
    return deleted


def _keys_before(environment: Environment, before: int) -> list[bytes]:
    keys: list[bytes] = []
    total = 0
    with environment.reading() as txn:
        head = environment.head_in(txn)
        stop = min(before, head.journal_last + 1)
        for number in range(head.journal_first, min(stop, head.journal_first + TRIM_RECORDS)):
            key = number_key(number)
            record = environment.get(txn, "journal", key)
            if record is None:
                raise _gap(environment, number, "it was to be trimmed")
            keys.append(key)
            total += len(record)
            if total >= TRIM_BYTES:
                break
    return keys
