"""Keep a partition's counters in one record, which every write transaction reads and replaces.

Comparing it with what this opening wrote last is the fence; its counters tell of records that
vanished, which no checksum could.
"""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass

from actors.store.frames import Kind, pack, unpack

HEAD_KEY = b"head"
_FIELDS = struct.Struct("<13Q")


@dataclass(frozen=True, slots=True)
class Head:
    """Counters of a partition, all 0 <= x < 2**64.

    Journal records `journal_first` to `journal_last` are there, none if the latter is smaller.
    Outbox blocks after commit `outbox_trimmed` up to `outbox_last` are there.
    """

    epoch: int = 0  # how often it was opened for writing
    transactions: int = 0  # write transactions so far, of every sort
    journal_first: int = 1
    journal_last: int = 0  # also the number of the last commit
    outbox_trimmed: int = 0
    outbox_last: int = 0  # the last commit that had effects
    relay_commit: int = 0  # the relay has dealt with every block up to this commit's
    relay_done: int = 0  # and with so many effects of the next
    cursors: int = 0  # sources that have a cursor
    relay_rows: int = 0  # rows of the relay
    relay_names: int = 0  # the sum of the XXH3-64 of their names, modulo 2**64
    snapshot_begun: int = 0  # the number of the last snapshot begun
    snapshot: int = 0  # the number of the snapshot that counts, 0 for none


def pack_head(head: Head) -> bytes:
    """The record of a head."""
    return pack(Kind.HEAD, HEAD_KEY, head.transactions, _FIELDS.pack(*astuple(head)))


def unpack_head(record: bytes, file: str) -> Head:
    """The head in a record. Raises CorruptError, which names `file`."""
    _, payload = unpack(Kind.HEAD, HEAD_KEY, record, file)
    return Head(*_FIELDS.unpack(payload))
