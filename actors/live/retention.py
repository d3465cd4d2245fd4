"""Trim the journal behind a partition's snapshots, and keep as much of it as was asked for.

A snapshot makes a recovery independent of the records before it. They still tell the past to flows
that are published later, and to dry runs on the tenant's own journal: how far back is a choice.
"""

from __future__ import annotations

from actors.live.records import BasisRecord, CommandRecord, decode_record
from actors.store.partition import Partition

RECORDS_MAX = 10_000
"""So many records are looked at in one call, so that inputs need not wait long."""


def trim_journal(store: Partition, covered: int, before_ms: int) -> int:
    """Delete records of the time before `before_ms`, of those up to record `covered`.

    Returns how many were deleted; those of a call are the oldest, and at most RECORDS_MAX.
    """
    first, file = store.head.journal_first, str(store.folder)
    last = first - 1
    for number, data in store.journal(first - 1):
        if number > covered or number >= first + RECORDS_MAX:
            break
        record = decode_record(number, data, file)
        # A command says when it was decided, which may be later than what follows it.
        if not isinstance(record, CommandRecord | BasisRecord):
            if record.until_ms > before_ms:
                break
            last = number
    return store.trim_journal(last + 1) if last >= first else 0
