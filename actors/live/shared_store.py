"""Read a partition's store beside the engine that has it open, from another process.

LMDB lets processes read what one of them writes: each reading is of one commit, takes a place in
the table of readers, and holds nobody up. It is short, because pages that it sees are not reused
meanwhile. Nothing is ever written.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb

from actors.store import journal, snapshot
from actors.store.environment import DATABASES, LIBRARY, READERS_MAX, Environment
from actors.store.errors import CorruptError
from actors.store.folder import check_format, os_errors
from actors.store.head import Head

OPENINGS_MAX = 50
AGAIN_S = 0.01


class SharedStore:
    """A store that another process may be writing; make one with `open`."""

    def __init__(self, folder: Path, environment: _Shared) -> None:
        """Take over what `open` opened."""
        self.folder = folder
        self.environment = environment

    @classmethod
    def open(cls, folder: Path) -> SharedStore:
        """Open the store in `folder`, which this process must not have open otherwise.

        Raises FormatError, CorruptError, StoreError.
        """
        with os_errors(folder):
            check_format(folder)
            for left in reversed(range(OPENINGS_MAX)):
                try:
                    return cls(folder, _Shared(folder, 0, readonly=True))
                except CorruptError:
                    # A commit between two looks makes the file, or the number beside it, newer.
                    if left == 0:
                        raise
                time.sleep(AGAIN_S)
        raise AssertionError("unreachable")

    @property
    def head(self) -> Head:
        """The counters after the last commit there is now."""
        with self.environment.reading() as txn:
            self.environment.head = self.environment.head_in(txn)
        return self.environment.head

    @property
    def cursors(self) -> dict[bytes, int]:
        """Of no account to who takes nothing in."""
        return {}

    def journal(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """Numbers and records after number `after`, up to the last one now, as `Partition` does."""
        if self.head.journal_last <= after:
            return iter(())
        return journal.read(self.environment, after)

    def load_snapshot(self) -> snapshot.Snapshot | None:
        """The snapshot that counts now; its slices may be swept while they are read."""
        return snapshot.load(self.environment)

    def close(self) -> None:
        """Close it. Closing again does nothing."""
        self.environment.close()


class _Shared(Environment):
    """An environment that is read while another process writes it."""

    def _open(self, create: bool, readonly: bool) -> Any:
        try:
            return lmdb.open(
                str(self.folder),
                map_size=self.map_bytes,
                create=False,
                readonly=True,
                max_dbs=len(DATABASES),
                max_readers=READERS_MAX,
                max_spare_txns=0,
                lib_version=LIBRARY,
            )
        except (lmdb.Error, MemoryError) as error:
            raise self._corrupt(str(error)) from error

    def _begin_reading(self) -> Any:
        try:
            return super()._begin_reading()
        except lmdb.MapResizedError:
            # The writer made its map larger; 0 takes on its size.
            self._lmdb.set_mapsize(0)
            return super()._begin_reading()
