"""Keep what the machine asked the world to do: one block of effects for each commit that has any.

A block is stored in parts of about 1 MiB under its commit's number and the part's. It names the
commit of the block before it, so that a block that vanished is noticed.

    payload of a part: commit of the block before, u64; parts, u32; effects in this part, u32;
    the length of each, u32; the effects                                   (all little-endian)
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from actors.store.environment import Changes, Environment
from actors.store.errors import CorruptError, TrimmedError
from actors.store.frames import RECORD_BYTES_MAX, RESTORE, Kind, check_size, pack, unpack
from actors.store.head import Head

CHUNK_BYTES = 4 << 20
TRIM_BYTES = 64 << 20
_TABLE = struct.Struct("<QII")
_KEY = struct.Struct(">QI")
_LENGTH_BYTES = 4


class Block(NamedTuple):
    """The effects of one commit, in the order they were given."""

    commit: int
    effects: tuple[bytes, ...]


def append(changes: Changes, effects: Sequence[bytes]) -> None:
    """Add the block of the commit whose last journal record is the head's last; maybe empty.

    Raises TooLargeError for an effect over 1 MiB.
    """
    if not effects:
        return
    head = changes.head
    parts = _split(effects)
    for number, part in enumerate(parts):
        lengths = struct.pack(f"<{len(part)}I", *map(len, part))
        table = _TABLE.pack(head.outbox_last, len(parts), len(part))
        key = _KEY.pack(head.journal_last, number)
        payload = b"".join((table, lengths, *part))
        changes.puts.append(("outbox", key, pack(Kind.OUTBOX, key, head.journal_last, payload)))
    changes.head = replace(head, outbox_last=head.journal_last)


def _split(effects: Sequence[bytes]) -> list[list[bytes]]:
    parts: list[list[bytes]] = [[]]
    room = RECORD_BYTES_MAX
    for effect in effects:
        check_size(Kind.OUTBOX, effect, RECORD_BYTES_MAX)
        if parts[-1] and len(effect) + _LENGTH_BYTES > room:
            parts.append([])
            room = RECORD_BYTES_MAX
        parts[-1].append(effect)
        room -= len(effect) + _LENGTH_BYTES
    return parts


def read(environment: Environment, after: int, blocks_max: int | None = None) -> Iterator[Block]:
    """The blocks of commits after number `after`, up to the last when the reading began.

    With `blocks_max` it reads no more than those, which matters where blocks are small: a chunk
    holds many.

    Each chunk is a transaction of its own, and none is held while the caller works.
    Raises TrimmedError if one of them was trimmed away, CorruptError for a gap.
    """
    last = environment.head.outbox_last
    before: int | None = None
    left = sys.maxsize if blocks_max is None else blocks_max
    while after < last and left > 0:
        chunk, before = _chunk(environment, after, before, last, left)
        yield from chunk
        after = chunk[-1].commit
        left -= len(chunk)


def _chunk(
    environment: Environment, after: int, before: int | None, last: int, blocks_max: int
) -> tuple[list[Block], int]:
    """Blocks after a commit; `before` is the block just before them, None if not known yet."""
    found: list[Block] = []
    total = 0
    with environment.reading() as txn:
        trimmed = environment.head_in(txn).outbox_trimmed
        if after < trimmed:
            raise TrimmedError(
                f"the outbox is trimmed up to commit {trimmed:,}; {after + 1:,} was asked for",
                advice="Begin after that commit",
                file=environment.file,
            )
        rows = environment.rows(txn, "outbox", _KEY.pack(after + 1, 0))
        for row in rows:
            commit, previous, effects = _block(environment, row, rows)
            if previous > after if before is None else previous != before:
                raise _gap(environment, previous, f"commit {commit} follows it")
            found.append(Block(commit, effects))
            before = after = commit
            total += sum(map(len, effects))
            if commit == last or total >= CHUNK_BYTES or len(found) == blocks_max:
                return found, commit
        raise _gap(environment, last, "nothing follows")


def _block(
    environment: Environment, row: tuple[bytes, bytes], rows: Iterator[tuple[bytes, bytes]]
) -> tuple[int, int, tuple[bytes, ...]]:
    """The commit, the commit of the block before and the effects; takes the other parts."""
    effects: list[bytes] = []
    first, number, parts = row[0], 0, 1
    previous = 0
    while True:
        key, record = row
        commit, payload = unpack(Kind.OUTBOX, key, record, environment.file)
        previous, parts, count = _TABLE.unpack_from(payload)
        if key != _KEY.pack(commit, number) or key[:8] != first[:8]:
            raise _gap(environment, int.from_bytes(first[:8], "big"), f"part {number} is missing")
        lengths = struct.unpack_from(f"<{count}I", payload, _TABLE.size)
        start = _TABLE.size + _LENGTH_BYTES * count
        for length in lengths:
            effects.append(payload[start : start + length])
            start += length
        number += 1
        if number == parts:
            return commit, previous, tuple(effects)
        row = next(rows, (b"", b""))
        if not row[0]:
            raise _gap(environment, commit, f"part {number} is missing")


def _gap(environment: Environment, commit: int, what: str) -> CorruptError:
    return CorruptError(
        f"the block is missing or incomplete: {what}",
        advice=RESTORE,
        file=environment.file,
        pointer=f"outbox block {commit}",
    )


def trim(environment: Environment, through: int) -> int:
    """Delete the blocks of commits up to `through`, a few at a time; returns how many blocks.

    Raises ValueError if the relay has not dealt with all of them.
    """
    if through > environment.head.relay_commit:
        raise ValueError(
            f"the relay is at commit {environment.head.relay_commit}, so blocks cannot be "
            f"trimmed through {through}"
        )
    deleted = 0
    while keys := _keys_through(environment, through):
        commits = [_KEY.unpack(key)[0] for key in keys]

        def plan(head: Head, keys: list[bytes] = keys, upto: int = commits[-1]) -> Changes:
            head = replace(head, outbox_trimmed=upto)
            return Changes(head, deletes=[("outbox", key) for key in keys])

        environment.write(plan)
        deleted += len(set(commits))
    return deleted


def _keys_through(environment: Environment, through: int) -> list[bytes]:
    """The keys of whole blocks, from the first there is."""
    keys: list[bytes] = []
    total = 0
    with environment.reading() as txn:
        for key, record in environment.rows(txn, "outbox", b""):
            commit = _KEY.unpack(key)[0]
            if commit > through or (total >= TRIM_BYTES and _KEY.unpack(keys[-1])[0] != commit):
                break
            keys.append(key)
            total += len(record)
    return keys
