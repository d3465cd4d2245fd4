"""Store the control plane: one LMDB environment for tenants, keys, flows, jobs and their history.

It stands on the partitions' store and is as durable: fenced, checksummed, synchronised, counted.
Whoever holds `plane.tenant("acme")` holds a capability for that tenant's rows: the prefix of its
keys is put before them in this package and nowhere else, and no key leads out of it
(docs/decisions/0037).

    rows = plane.tenant("acme")
    with rows.write() as txn:
        txn.put("flows", "welcome", {"status": "draft"})
    with rows.read() as txn:
        txn.get("flows", "welcome")

A block belongs to one thread. A write keeps aside what it does and stores all of it when its block
has ended, in one transaction, so it holds up no reader; a block that raises has done nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

from actors import failpoints
from actors.service.plane_check import check_rows
from actors.service.row_keys import operator_space, tenant_space
from actors.service.transactions import (
    COUNT_KEY,
    META,
    RESTORE,
    ROWS,
    WHAT,
    Count,
    ReadTxn,
    Snapshot,
    WriteTxn,
    packed,
    payload_of,
    record_of,
)
from actors.store import backup, starts
from actors.store.environment import READERS_MAX, Changes, Environment
from actors.store.errors import CorruptError, FormatError, MisuseError
from actors.store.folder import (
    DATA,
    FORMAT,
    SIDE,
    FolderLock,
    check_format,
    create_format,
    os_errors,
)
from actors.store.frames import Kind, pack
from actors.store.head import Head
from actors.store.side_file import SideFile, read_number, sync_folder
from actors.store.verify import Report, structure

MAP_BYTES = 4 << 30  # addresses, not room on the disk: to grow it all readers have to be waited for
PLACES_SPARE = 8  # for copies, checks and readers that died and were not cleared yet


class Rows:
    """The capability for the rows of one owner: a tenant, or the operator where `tenant` is None.

    Made by `Plane.tenant` and `Plane.operator`.
    """

    def __init__(self, plane: Plane, tenant: str | None) -> None:
        """Bind the rows of a tenant, or of the operator."""
        self._tenant = tenant
        self._plane = plane
        self._space = operator_space() if tenant is None else tenant_space(tenant)

    @property
    def tenant(self) -> str | None:
        """Whose they are: a tenant's, or the operator's if None."""
        return self._tenant

    @property
    def space(self) -> bytes:
        """What stands before the owner's keys."""
        return self._space

    @property
    def home(self) -> object:
        """The store that they are in."""
        return self._plane

    @contextmanager
    def read(self) -> Iterator[ReadTxn]:
        """Read what is stored at this moment, however long the block takes.

        A read within a read of the same thread sees the same moment. Never hold one across a wait.
        Raises HaltedError, MisuseError.
        """
        with self._plane.reading() as snapshot:
            yield ReadTxn(snapshot, self)

    @contextmanager
    def write(self) -> Iterator[WriteTxn]:
        """Change rows; when the block has ended, the disk has all of it. Writers take turns.

        A block that raises stores nothing. At its end raises NoSpaceError, with nothing stored;
        HaltedError and FencedError, after which the store must be opened again; MisuseError within
        another block of the same thread.
        """
        with self._plane.writing() as snapshot:
            yield WriteTxn(snapshot, self)


class Plane:
    """The open control plane of one folder; make one with `open`."""

    def __init__(self, folder: Path, lock: FolderLock, environment: Environment) -> None:
        """Take over what `open` opened. Raises CorruptError."""
        self.folder = folder
        self._lock = lock
        self._environment = environment
        self._turn = threading.Lock()
        # LMDB has places for so many readers, and the store takes one too many for damage.
        self._places = threading.BoundedSemaphore(READERS_MAX - PLACES_SPARE)
        self._here = threading.local()
        self._count = stored_count(environment)
        self.operator = Rows(self, None)

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], *, create: bool = True, map_bytes: int = MAP_BYTES
    ) -> Plane:
        """Open the control plane in `folder`, with `create` made if it is not there.

        If the former opening ended with its process, the structure of the file is checked first,
        in a process of its own: what LMDB would abort on must not end this one again and again.

        Raises FormatError, InUseError, CorruptError, NoSpaceError, StoreError.
        """
        path = Path(folder)
        with os_errors(path):
            if create and not (path / FORMAT).exists():
                _check_empty(path)
                create_format(path, WHAT)
            check_format(path, WHAT)
            lock = FolderLock(path, what=WHAT)
            try:
                return cls._open_locked(path, lock, create, map_bytes)
            except BaseException:
                lock.release()
                raise

    @classmethod
    def _open_locked(cls, path: Path, lock: FolderLock, create: bool, map_bytes: int) -> Plane:
        if create and not (path / SIDE).exists():
            SideFile(path / SIDE, create=True).close()
        fresh = read_number(path / SIDE) == 0
        if fresh and not create:
            raise FormatError(
                f"the {WHAT} was not made to its end, and holds nothing",
                advice="Open it with create=True",
                file=str(path),
            )
        if fresh:
            # No opening has ended yet, so nothing was acknowledged: begin anew.
            (path / DATA).unlink(missing_ok=True)
        elif starts.unsettled(path):
            problem = structure(path)
            if problem:
                raise CorruptError(problem, advice=RESTORE, file=str(path / DATA))
        starts.settle(path)
        starts.count_start(path)
        environment = Environment(path, map_bytes, create=fresh, databases=(META, ROWS), what=WHAT)
        try:
            plane = cls(path, lock, environment)
            environment.write(lambda head: Changes(replace(head, epoch=head.epoch + 1)))
            if fresh:
                sync_folder(path)
            environment.force_side_file()
        except BaseException:
            environment.close()
            raise
        return plane

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

    def tenant(self, tenant: str) -> Rows:
        """The capability for a tenant's rows, whether the tenant is known or not.

        Raises TooLargeError unless the id has 1 to 64 bytes of UTF-8.
        """
        return Rows(self, tenant)

    @property
    def transactions(self) -> int:
        """How many write transactions there were; greater after each."""
        return self._environment.head.transactions

    @property
    def halted(self) -> bool:
        """Whether it stopped by itself, after damage or a failed write."""
        return self._environment.halted

    @property
    def map_bytes(self) -> int:
        """The size of the map now; it grows."""
        return self._environment.map_bytes

    def tend(self) -> int:
        """Call this every minute: it clears the places of readers that died; returns how many."""
        return self._environment.reader_check()

    def backup(self, to: str | os.PathLike[str]) -> Head:
        """Copy it, compacted, into the new folder `to`, while it goes on; `open` opens a copy.

        Returns the counters of the copy. Raises StoreError if `to` is there, NoSpaceError.
        """
        return backup.back_up(self._environment, Path(to))

    def verify(self) -> Report:
        """Check every record while it goes on; the report says what is wrong, and where.

        Raises HaltedError, MisuseError.
        """
        with self._environment.reading() as txn:
            return check_rows(self._environment, txn)

    # Transactions, for Rows

    @contextmanager
    def reading(self) -> Iterator[Snapshot]:
        """A snapshot for one block, the same for blocks within it."""
        here = self._here
        if getattr(here, "writing", False):
            raise MisuseError(
                "a read was begun within a write of the same thread, whose changes it can not see",
                advice="Read with the write's transaction, through `within` for other rows",
                file=str(self.folder),
            )
        outer: Snapshot | None = getattr(here, "snapshot", None)
        if outer is not None:
            yield outer
            return
        with self._opened() as snapshot:
            here.snapshot = snapshot
            try:
                yield snapshot
            finally:
                here.snapshot = None

    @contextmanager
    def writing(self) -> Iterator[Snapshot]:
        """A snapshot for one block, whose puts are stored when it has ended well."""
        here = self._here
        if getattr(here, "writing", False) or getattr(here, "snapshot", None) is not None:
            # It would wait for itself: at once for the turn, or when the map has to grow.
            raise MisuseError(
                "a write was begun within a read or a write of the same thread",
                advice="End the other block first, or use `within` for other rows",
                file=str(self.folder),
            )
        with self._turn:
            here.writing = True
            try:
                with self._opened() as snapshot:
                    yield snapshot
                    changed = self._changed(snapshot)
                if snapshot.puts:
                    self._store(snapshot.puts, changed)
            finally:
                here.writing = False
            for call in snapshot.stored_then:
                call()

    @contextmanager
    def _opened(self) -> Iterator[Snapshot]:
        # What the block raises is its own: it must not pass through `reading`, which halts the
        # store for what it takes for damage of its own.
        with self._places:
            reading = self._environment.reading()
            snapshot = Snapshot(self._environment, reading.__enter__())
            try:
                yield snapshot
            finally:
                snapshot.end()
                reading.__exit__(None, None, None)

    def _changed(self, snapshot: Snapshot) -> Count:
        """The count of rows as it will be."""
        count = self._count
        for key, payload in snapshot.puts.items():
            by = (payload is not None) - (snapshot.stored(key) is not None)
            if by:
                count = count.changed(key, by)
        return count

    def _store(self, puts: dict[bytes, bytes | None], count: Count) -> None:
        counted = packed({"rows": count.rows, "keys": count.keys})
        whole = [
            (ROWS, key, pack(Kind.ROW, key, 0, payload))
            for key, payload in puts.items()
            if payload is not None
        ]
        gone = [(ROWS, key) for key, payload in puts.items() if payload is None]
        whole.append((META, COUNT_KEY, pack(Kind.ROW, COUNT_KEY, 0, counted)))
        if failpoints.armed:
            failpoints.hit("plane_before_commit")
        self._environment.write(lambda head: Changes(head, whole, gone, spares_last_room=not gone))
        self._count = count
        if failpoints.armed:
            failpoints.hit("plane_after_commit")


def stored_count(environment: Environment) -> Count:
    """The count that the last write stored. Raises CorruptError."""
    with environment.reading() as txn:
        record = environment.get(txn, META, COUNT_KEY)
        if record is None:
            return Count()
        payload = payload_of(COUNT_KEY, record, environment.file)
        return Count(**record_of(COUNT_KEY, payload, environment.file))


def _check_empty(path: Path) -> None:
    """Raise FormatError if the folder for a new control plane holds anything that is not ours."""
    # What begins with a dot is a file that was not written to its end.
    if path.is_dir() and any(not found.name.startswith(".") for found in path.iterdir()):
        raise FormatError(
            f"the folder is not empty, and holds no {WHAT}",
            advice=f"Choose another folder, or restore the {WHAT} from its last backup",
            file=str(path),
        )
