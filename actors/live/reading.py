"""Open a store that nobody has open for reading only, so that nothing in its folder changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.store.environment import Environment
from actors.store.folder import FolderLock, check_format, os_errors
from actors.store.partition import Partition
from actors.store.snapshot import Snapshot


class _WholeJournal(Partition):
    """A store that is replayed from its journal's first record, as if it had no snapshot."""

    def load_snapshot(self) -> Snapshot | None:
        """None."""
        return None


@contextmanager
def reading(folder: Path, *, whole: bool = False) -> Iterator[Partition]:
    """Within the block, the store in `folder`, which nobody else may have open, to be read.

    With `whole` it hides its snapshot. Raises as `Partition.open` does.
    """
    with os_errors(folder):
        check_format(folder)
        lock = FolderLock(folder)
        try:
            environment = Environment(folder, 0, readonly=True)
            try:
                yield (_WholeJournal if whole else Partition)(folder, lock, environment)
            finally:
                environment.close()
        finally:
            lock.release()
