"""Open a partition and use it: commit, read back, take snapshots, mark what the relay did.

One object for one folder. Commits come from one writer; readers and the relay's small transactions
may come from any thread. It holds bytes and knows nothing of machines: the state of a machine is a
function of the journal.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Self

from actors.store import backup, journal, outbox, relay_marks, snapshot, starts
from actors.store import cursors as cursor_rows
from actors.store.environment import Changes, Environment
from actors.store.errors import FormatError
from actors.store.folder import (
    DATA,
    FORMAT,
    SIDE,
    FolderLock,
    check_format,
    create_format,
    os_errors,
)
from actors.store.head import Head
from actors.store.side_file import SideFile, read_number, sync_folder

MAP_BYTES = 1 << 30


class Partition:
    """An open partition; make one with `open`."""

    def __init__(self, folder: Path, lock: FolderLock, environment: Environment) -> None:
        """Take over what `open` opened."""
        self.folder = folder
        self._lock = lock
        self._environment = environment
        self._watchers: tuple[Callable[[], None], ...] = ()
        self._cursors = cursor_rows.load(environment)
        relay_marks.check_names(environment)
        snapshot.load_manifest(environment)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        create: bool = False,
        map_bytes: int = MAP_BYTES,
        takeover: bool = False,
    ) -> Partition:
        """Open the partition in `folder`, with `create` made if it is not there.

        `map_bytes` is the size that the map begins with; it grows. `takeover` takes the partition
        from a process that holds it and no longer answers; that one can never commit again. If it
        hangs in the middle of a transaction, this waits until it is killed.

        Raises FormatError, InUseError, QuarantinedError, CorruptError, NoSpaceError, StoreError.
        """
        path = Path(folder)
        with os_errors(path):
            if create and not (path / FORMAT).exists():
                _check_empty(path)
                create_format(path)
            check_format(path)
            lock = FolderLock(path, takeover=takeover)
            try:
                return cls._open_locked(path, lock, create, map_bytes)
            except BaseException:
                lock.release()
                raise

    @classmethod
    def _open_locked(cls, path: Path, lock: FolderLock, create: bool, map_bytes: int) -> Partition:
        if create and not (path / SIDE).exists():
            SideFile(path / SIDE, create=True).close()
        fresh = read_number(path / SIDE) == 0
        if fresh and not create:
            raise FormatError(
                "the partition was not made to its end, and holds nothing",
                advice="Open it with create=True",
                file=str(path),
            )
        if fresh:
            # No opening has ended yet, so nothing was acknowledged: begin anew.
            (path / DATA).unlink(missing_ok=True)
        starts.count_start(path)
        environment = Environment(path, map_bytes, create=fresh)
        try:
            partition = cls(path, lock, environment)
            environment.write(lambda head: Changes(replace(head, epoch=head.epoch + 1)))
            if fresh:
                sync_folder(path)
            environment.force_side_file()
        except BaseException:
            environment.close()
            raise
        return partition

    def close(self) -> None:
        """Close it and give the folder back. Closing again does nothing."""
        clean = not self._environment.halted
        self._environment.close()
        if clean and self._lock.held:
            starts.settle(self.folder)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def tend(self) -> int:
        """Call this every minute: it clears readers that died, and returns how many.

        It also tells that this opening lives on, so that its death later is no sign of a partition
        that kills its process. Raises HaltedError, MisuseError.
        """
        cleared = self._environment.reader_check()
        starts.settle(self.folder)
        return cleared

    # What is there

    @property
    def head(self) -> Head:
        """The counters after the last commit."""
        return self._environment.head

    @property
    def epoch(self) -> int:
        """The number of this opening; a later one is greater."""
        return self.head.epoch

    @property
    def cursors(self) -> Mapping[bytes, int]:
        """The last sequence of every source."""
        return MappingProxyType(self._cursors)

    @property
    def map_bytes(self) -> int:
        """The size of the map now."""
        return self._environment.map_bytes

    @property
    def environment(self) -> Environment:
        """The environment, for modules of the store."""
        return self._environment

    # The writer

    def commit(
        self,
        journal_records: bytes | Sequence[bytes],
        effects: Sequence[bytes] = (),
        cursors: Mapping[bytes, int] = MappingProxyType({}),
    ) -> int:
        """Store inputs, the effects they had and the cursors of their sources, all or nothing.

        At least one journal record, each and each effect at most 1 MiB. Returns the number of the
        commit, which is that of its last journal record; when it returns, the disk has it.

        Raises TooLargeError, ValueError and NoSpaceError, with nothing stored; FencedError,
        CorruptError and HaltedError, after which the partition must be opened again.
        """
        records = (journal_records,) if isinstance(journal_records, bytes) else journal_records
        if not records:
            raise ValueError("a commit needs a journal record: state is a function of the journal")

        def plan(head: Head) -> Changes:
            changes = Changes(head, spares_last_room=True)
            journal.append(changes, records)
            outbox.append(changes, effects)
            cursor_rows.put(changes, self._cursors, cursors)
            return changes

        head = self._environment.write(plan)
        self._cursors.update(cursors)
        if effects:
            for told in self._watchers:
                told()
        return head.journal_last

    def trim_journal(self, before: int) -> int:
        """Delete journal records with numbers below `before`; returns how many.

        Raises ValueError if a recovery would need one of them.
        """
        found = snapshot.load_manifest(self._environment)
        covered = 0 if found is None else found.sequence
        if before > covered + 1:
            raise ValueError(
                f"the last snapshot covers the journal up to record {covered}, so it cannot be "
                f"trimmed before {before}"
            )
        return journal.trim(self._environment, before)

    def trim_outbox(self, through: int) -> int:
        """Delete the outbox blocks of commits up to `through`; returns how many.

        Raises ValueError if the relay is not done with all of them.
        """
        return outbox.trim(self._environment, through)

    # Readers

    def journal(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """Numbers and records of the journal after number `after`, up to the last one now.

        Raises TrimmedError, CorruptError.
        """
        return journal.read(self._environment, after)

    def outbox(self, after: int = 0, blocks_max: int | None = None) -> Iterator[outbox.Block]:
        """The blocks of commits after number `after`, up to the last one now, or so many.

        Raises TrimmedError, CorruptError.
        """
        return outbox.read(self._environment, after, blocks_max)

    def watch(self, told: Callable[[], None]) -> Callable[[], None]:
        """Call `told` after each commit with effects, in the thread that committed; be quick there.

        Returns what ends it. `told` must not raise.
        """
        self._watchers = (*self._watchers, told)

        def end() -> None:
            self._watchers = tuple(each for each in self._watchers if each is not told)

        return end

    # The relay

    @property
    def relay_position(self) -> relay_marks.Position:
        """How far the relay got."""
        return relay_marks.Position(self.head.relay_commit, self.head.relay_done)

    def mark_relay(
        self,
        position: relay_marks.Position | None = None,
        *,
        put: Mapping[bytes, bytes] = MappingProxyType({}),
        delete: Collection[bytes] = (),
    ) -> None:
        """Move the relay's position, put rows by name and delete rows, in one transaction.

        A name is 1 to 511 bytes, its row at most 1 MiB. Raises ValueError if the position goes back
        or beyond the outbox, and as `commit` does.
        """
        relay_marks.mark(self._environment, position, put, delete)

    def relay_rows(self, prefix: bytes = b"", after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Names with `prefix` and above `after`, in order, with their rows. Raises CorruptError."""
        return relay_marks.read(self._environment, prefix, after)

    def relay_rows_of(self, names: Collection[bytes]) -> dict[bytes, bytes]:
        """The rows of those names that have one, all of one moment. Raises CorruptError."""
        return relay_marks.get(self._environment, names)

    # Snapshots

    def begin_snapshot(self, sequence: int | None = None) -> snapshot.SnapshotWriter:
        """Begin a snapshot of the state that includes journal record `sequence`, or else the last.

        One is under way at a time: beginning another gives the former up.
        """
        if sequence is None:
            sequence = self.head.journal_last
        return snapshot.SnapshotWriter(self._environment, sequence)

    def load_snapshot(self) -> snapshot.Snapshot | None:
        """The snapshot that counts; recovery applies the journal after its `sequence` to it."""
        return snapshot.load(self._environment)

    def backup(self, to: str | os.PathLike[str]) -> Head:
        """Copy the partition, compacted, into the new folder `to`, while commits go on.

        Returns the counters of the copy. The file grows meanwhile, because pages that the copy
        reads are not used again. Raises StoreError if `to` is there, NoSpaceError.
        """
        return backup.back_up(self._environment, Path(to))

    def sweep_snapshots(self, bytes_max: int | None = None) -> int:
        """Delete slices that no snapshot needs; call it after a flip. Returns how many.

        With `bytes_max` it deletes about so many bytes in one transaction, and must be called again
        until it returns 0.
        """
        if bytes_max is not None:
            return snapshot.sweep_some(self._environment, bytes_max)
        return snapshot.sweep(self._environment)


def _check_empty(path: Path) -> None:
    """Raise FormatError if the folder for a new partition holds anything that is not ours."""
    # What begins with a dot is a file that was not written to its end.
    if path.is_dir() and any(not found.name.startswith(".") for found in path.iterdir()):
        raise FormatError(
            "the folder is not empty, and holds no partition",
            advice="Choose another folder, or restore the partition from its last backup",
            file=str(path),
        )
