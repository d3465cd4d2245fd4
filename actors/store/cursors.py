"""Remember for every source the last sequence that was taken in.

There are few sources, so all cursors are read at the opening and kept in memory: a cursor whose key
was damaged would otherwise look like a source that was never seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from actors.store.environment import Changes, Environment
from actors.store.errors import CorruptError
from actors.store.frames import RESTORE, Kind, check_key, pack, unpack


def load(environment: Environment) -> dict[bytes, int]:
    """Every source with its last sequence. Raises CorruptError, also if one is missing."""
    found = {}
    with environment.reading() as txn:
        for key, record in environment.rows(txn, "cursors", b""):
            found[key] = unpack(Kind.CURSOR, key, record, environment.file)[0]
        expected = environment.head_in(txn).cursors
        if len(found) != expected:
            raise CorruptError(
                f"there are {len(found):,} cursors instead of {expected:,}",
                advice=RESTORE,
                file=environment.file,
            )
    return found


def put(changes: Changes, known: Mapping[bytes, int], cursors: Mapping[bytes, int]) -> None:
    """Move cursors. A source is 1 to 511 bytes, its sequence 0 <= s < 2**64 and never falls.

    Raises TooLargeError for a longer name, ValueError for a sequence below the known one.
    """
    for source, sequence in cursors.items():
        check_key(source, "the name of a source")
        if sequence < known.get(source, 0):
            raise ValueError(
                f"the cursor of source {source!r} is at {known[source]} and cannot go back to "
                f"{sequence}: take in a batch only if its sequence is above the cursor"
            )
        changes.puts.append(("cursors", source, pack(Kind.CURSOR, source, sequence, b"")))
    added = sum(source not in known for source in cursors)
    changes.head = replace(changes.head, cursors=changes.head.cursors + added)
