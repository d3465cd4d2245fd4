"""Run transactions on a partition's LMDB environment: every write fenced, all or nothing.

Of LMDB's ways to fail only two leave it usable. A full map is grown and the same transaction tried
again. A full disk is met before the transaction begins, because room in the file is reserved first;
LMDB would report it as an I/O error. After anything else, above all a failed fsync, nothing in the
page cache can be trusted: the environment is closed, and only opening again tells what is stored.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lmdb

from actors import failpoints
from actors.store.errors import CorruptError, FencedError, HaltedError, MisuseError, StoreError
from actors.store.folder import DATA, NO_SPACE, PARTITION, SIDE, no_space, opened_twice
from actors.store.frames import RESTORE
from actors.store.head import HEAD_KEY, Head, pack_head, unpack_head
from actors.store.side_file import SideFile

DATABASES = ("meta", "journal", "outbox", "cursors", "relay", "slices")
READERS_MAX = 126
LAST_ROOM_BYTES = 256 << 10
RESERVE_BYTES = 1 << 20  # room kept beyond a transaction's own: pages copied on write, free lists
GROWTH_MAX_BYTES = 16 << 30
LIBRARY = 0  # the format of LMDB 0.9; that of 1.0 is another

Transaction = Any  # lmdb.Transaction; its stub cannot be named at run time


@dataclass
class Changes:
    """What one write transaction does. Databases are named as at the opening, keys are whole."""

    head: Head
    puts: list[tuple[str, bytes, bytes]] = field(default_factory=list)  # database, key, record
    deletes: list[tuple[str, bytes]] = field(default_factory=list)  # database, key
    spares_last_room: bool = False  # whether it leaves the last room to those who make room

    @property
    def total_bytes(self) -> int:
        """About how much is written."""
        return sum(len(record) + len(key) + 64 for _, key, record in self.puts)


class Environment:
    """An open LMDB environment with its head. Any thread may read; writers take turns."""

    def __init__(
        self,
        folder: Path,
        map_bytes: int,
        *,
        create: bool = False,
        readonly: bool = False,
        databases: tuple[str, ...] = DATABASES,
        what: str = PARTITION,
    ) -> None:
        """Open it and check that no transaction vanished, but write nothing to an existing one.

        One of the `databases` is `meta`, which holds the head; `what` names it all for people.

        With `readonly` nobody else may have it open: LMDB's table of readers is left alone.
        Raises CorruptError, NoSpaceError, OSError.
        """
        self.folder = folder
        self.what = what
        self._names = databases
        self.file = str(folder / DATA)
        self.closed_because: StoreError | None = None
        self._pid = os.getpid()
        self._writing = threading.Lock()
        self._gate = threading.Condition()
        self._users = 0  # threads at work in LMDB, but for the writer
        self._write_under_way = False
        self._resizing = False
        self._squeezed_bytes = 0  # where the map ends while the disk is full, else 0
        size = Path(self.file).stat().st_size if Path(self.file).exists() else 0
        self.map_bytes = max(map_bytes, -(-size * 2 >> 20) << 20)
        self._lmdb = self._open(create, readonly)
        try:
            self._page_bytes = self._lmdb.stat()["psize"]
            self._check_length(size)
            # In a transaction of ours: waiting for a writer in open_db would block every thread.
            with self._lmdb.begin(write=not readonly) as txn:
                self._databases = {
                    name: self._lmdb.open_db(
                        name.encode(), txn=None if readonly else txn, create=create
                    )
                    for name in databases
                }
            self.head = self._read_head()
        except lmdb.Error as error:
            self._lmdb.close()
            raise self._corrupt(str(error)) from error
        except CorruptError:
            self._lmdb.close()
            raise
        self._side = SideFile(folder / SIDE)
        self._fd = os.open(self.file, os.O_RDWR | os.O_CLOEXEC)
        self._reserved_bytes = size
        if self._side.number > self.head.transactions:
            lost = self._side.number - self.head.transactions
            self.close()
            raise self._corrupt(
                f"the last {lost:,} transactions are gone: the file ends with number "
                f"{self.head.transactions:,}, number {self._side.number:,} had been stored"
            )

    def _open(self, create: bool, readonly: bool) -> Any:
        try:
            environment = lmdb.open(
                str(self.folder),
                map_size=self.map_bytes,
                mode=0o600,
                create=create,
                readonly=readonly,
                max_dbs=len(self._names),
                max_readers=READERS_MAX,
                max_spare_txns=0,
                writemap=False,
                lock=not readonly,
                lib_version=LIBRARY,
            )
        except lmdb.DiskError as error:
            raise no_space(self.folder, 0) from error
        except (lmdb.Error, MemoryError) as error:
            if "already open" in str(error):
                raise opened_twice(self.folder, self.what) from error
            raise self._corrupt(str(error)) from error
        if not readonly:
            environment.reader_check()
        return environment

    def _check_length(self, size: int) -> None:
        """Raise CorruptError if the file ends before its last page: touching that would kill us."""
        needed = (self._lmdb.info()["last_pgno"] + 1) * self._page_bytes
        if 0 < size < needed:
            raise self._corrupt(f"the file has {size:,} bytes and was {needed:,} long: it was cut")

    def _read_head(self) -> Head:
        with self._lmdb.begin() as txn:
            return self.head_in(txn)

    # Reading

    @contextmanager
    def using(self) -> Iterator[Any]:
        """The lmdb.Environment, which stays open and of its size until the block ends.

        Raises HaltedError, MisuseError.
        """
        with self._gate:
            while self._resizing:
                self._gate.wait()
            self.check_usable()
            self._users += 1
        try:
            yield self._lmdb
        finally:
            with self._gate:
                self._users -= 1
                self._close_if_over()
                self._gate.notify_all()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A short read transaction; never hold it across a wait.

        Raises CorruptError, after which the store is halted; HaltedError, MisuseError.
        """
        with self.using():
            try:
                with self._begin_reading() as txn:
                    yield txn
            except CorruptError as error:
                self.halt(error)
                raise
            except lmdb.Error as error:
                raise self.halt(self._corrupt(str(error))) from error

    def _begin_reading(self) -> Any:
        try:
            return self._lmdb.begin()
        except lmdb.ReadersFullError:
            # Readers that were killed keep their places until someone looks.
            self._lmdb.reader_check()
            return self._lmdb.begin()

    def head_in(self, txn: Transaction) -> Head:
        """The head that a read transaction sees; `head` may be one commit on, or behind."""
        record = self.get(txn, "meta", HEAD_KEY)
        return Head() if record is None else unpack_head(record, self.file)

    def get(self, txn: Transaction, database: str, key: bytes) -> bytes | None:
        """The record under a key, or None."""
        found: bytes | None = txn.get(key, db=self._databases[database])
        return found

    def rows(self, txn: Transaction, database: str, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys from `start` on, in order, with their records."""
        cursor = txn.cursor(db=self._databases[database])
        if cursor.set_range(start):
            yield from cursor

    def rows_before(
        self, txn: Transaction, database: str, end: bytes
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys below `end`, the greatest first, with their records."""
        cursor = txn.cursor(db=self._databases[database])
        if cursor.prev() if cursor.set_range(end) else cursor.last():
            yield from cursor.iterprev()

    def keys(self, txn: Transaction, database: str) -> Iterator[bytes]:
        """Every key in order."""
        keys: Iterator[bytes] = txn.cursor(db=self._databases[database]).iternext(values=False)
        return keys

    def copy(self, txn: Transaction, to: Path) -> None:
        """Copy what a read transaction sees, compacted, into a folder. Raises lmdb.Error."""
        self._lmdb.copy(str(to), compact=True, txn=txn)

    def reader_check(self) -> int:
        """Clear the places of readers that died; returns how many there were."""
        with self.using() as environment:
            cleared: int = environment.reader_check()
            return cleared

    # Writing

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """The one writer's turn; it is not closed meanwhile."""
        with self._writing:
            with self._gate:
                self.check_usable()
                self._write_under_way = True
            try:
                yield
            finally:
                with self._gate:
                    self._write_under_way = False
                    self._close_if_over()

    def write(self, plan: Callable[[Head], Changes]) -> Head:
        """Carry out in one transaction what `plan` makes of the head; returns the new head.

        Raises what `plan` does and NoSpaceError, both with nothing stored and the store usable;
        FencedError, CorruptError and HaltedError, after which it is closed.
        """
        with self._turn():
            changes = plan(self.head)
            try:
                # What was freed last can be taken from the next transaction but one on.
                if self._attempt(changes) or (
                    self._attempt(Changes(self.head)) and self._attempt(changes)
                ):
                    return self.head
            except StoreError:
                raise
            except BaseException as error:
                # Such as an interrupt: whether LMDB has committed is not known here.
                self.halt(self._halted("committing", error))
                raise
            raise no_space(self.folder, changes.total_bytes)

    def _attempt(self, changes: Changes) -> bool:
        """Whether there was room on the disk; the map is made as large as needed."""
        head = replace(changes.head, transactions=self.head.transactions + 1)
        if self._reserve(changes):
            while not self._transact(changes, head):
                self._grow(changes.total_bytes)
        elif not self._transact(changes, head):
            return False
        try:
            if failpoints.armed:
                failpoints.hit("after_transaction")
            self._side.write(head.transactions)
            if failpoints.armed:
                failpoints.hit("before_acknowledgement")
        except OSError as error:
            raise self.halt(self._halted("recording the commit", error)) from error
        self.head = head
        return True

    def _transact(self, changes: Changes, head: Head) -> bool:
        """Whether there was room in the map."""
        expected = pack_head(self.head)
        try:
            if failpoints.armed:
                failpoints.hit("before_transaction")
            with self._lmdb.begin(write=True) as txn:
                stored = txn.get(HEAD_KEY, db=self._databases["meta"])
                if stored != expected and (stored is not None or self.head.transactions):
                    raise self._superseded(stored)
                for database, key in changes.deletes:
                    txn.delete(key, db=self._databases[database])
                for database, key, record in changes.puts:
                    txn.put(key, record, db=self._databases[database])
                txn.put(HEAD_KEY, pack_head(head), db=self._databases["meta"])
                if failpoints.armed:
                    failpoints.hit("in_transaction")
        except lmdb.MapFullError:
            return False
        except (FencedError, CorruptError) as error:
            self.halt(error)
            raise
        except (lmdb.Error, OSError) as error:
            code = error.code if isinstance(error, lmdb.Error) else error.errno
            if code in NO_SPACE and self._unharmed():
                raise no_space(self.folder, changes.total_bytes) from error
            raise self.halt(self._halted("committing", error)) from error
        return True

    def _unharmed(self) -> bool:
        """Whether LMDB still begins transactions: it refuses once a meta page failed to write."""
        try:
            self._lmdb.begin(write=True).abort()
        except lmdb.Error:
            return False
        return True

    def _superseded(self, stored: bytes | None) -> FencedError | CorruptError:
        if stored is None:
            return self._corrupt(f"the head of the {self.what} is gone")
        found = unpack_head(stored, self.file)
        if found.epoch > self.head.epoch:
            return FencedError(
                f"opening {found.epoch} took the {self.what} over from opening {self.head.epoch}",
                advice="Stop this process; it can store and send nothing any more",
                file=self.file,
            )
        return self._corrupt(f"another writer changed the {self.what} within the same opening")

    def _reserve(self, changes: Changes) -> bool:
        """Make the file long enough for the transaction; False if the disk has no room for that.

        In that case the map ends where the file ends, so that LMDB can take pages that were freed
        within it, and finds its map full before it finds the disk full. Commits have to stop a
        little earlier: deleting takes some pages before it frees more.
        """
        needed_bytes = changes.total_bytes
        last_page: int = self._lmdb.info()["last_pgno"]
        wanted = (last_page + 1) * self._page_bytes + needed_bytes + RESERVE_BYTES
        if wanted > self._reserved_bytes:
            wanted += RESERVE_BYTES
            try:
                if failpoints.armed:
                    failpoints.hit("reserve")
                if sys.platform == "linux":
                    os.posix_fallocate(self._fd, 0, wanted)
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise self.halt(self._halted("reserving room", error)) from error
                length = os.fstat(self._fd).st_size // self._page_bytes * self._page_bytes
                length -= LAST_ROOM_BYTES if changes.spares_last_room else 0
                if self._squeezed_bytes != length:
                    self._resize(length)
                    self._squeezed_bytes = length
                return False
            self._reserved_bytes = wanted
        if self._squeezed_bytes:
            self._resize(self.map_bytes)
            self._squeezed_bytes = 0
        return True

    def force_side_file(self) -> None:
        """Force the number of transactions to the disk; it holds afterwards that some were made."""
        with self._turn():
            try:
                self._side.sync()
            except OSError as error:
                raise self.halt(self._halted("recording the opening", error)) from error

    def make_room_in_map(self) -> None:
        """Grow the map if less than half of it is free: growing waits for those who use it."""
        with self._turn():
            if (self._lmdb.info()["last_pgno"] + 1) * self._page_bytes * 2 > self.map_bytes:
                self._grow(0)

    def _grow(self, needed_bytes: int) -> None:
        growth = min(self.map_bytes, GROWTH_MAX_BYTES) + 2 * needed_bytes
        self.map_bytes = -(-(self.map_bytes + growth) >> 20) << 20
        self._resize(self.map_bytes)

    def _resize(self, map_bytes: int) -> None:
        with self._gate:
            self._resizing = True
            while self._users:
                self._gate.wait()
        try:
            self._lmdb.set_mapsize(map_bytes)
        except (lmdb.Error, MemoryError) as error:
            raise self.halt(self._halted("resizing the map", error)) from error
        finally:
            with self._gate:
                self._resizing = False
                self._gate.notify_all()

    # Ending

    @property
    def halted(self) -> bool:
        """Whether it stopped by itself."""
        return not isinstance(self.closed_because, MisuseError | None)

    def check_usable(self) -> None:
        """Raise HaltedError or FencedError if it stopped, MisuseError if closed or inherited."""
        if os.getpid() != self._pid:
            raise MisuseError(
                f"the {self.what} was opened before this process was forked",
                advice="Open it in the process that uses it, or start that by spawn",
                file=str(self.folder),
            )
        if self.closed_because is not None:
            kind = type(self.closed_because)
            again = kind if kind in (FencedError, MisuseError) else HaltedError
            raise again(
                self.closed_because.message,
                advice=self.closed_because.advice,
                file=self.closed_because.file,
                pointer=self.closed_because.pointer,
            )

    def halt(self, error: StoreError) -> StoreError:
        """Stop for good because of `error`, which is returned; readers still at it may finish."""
        with self._gate:
            if self.closed_because is None:
                self.closed_because = error
            self._close_if_over()
        return error

    def close(self) -> None:
        """Close it once no reader is left. Closing again does nothing."""
        if os.getpid() != self._pid:
            return
        with self._writing:
            if self.closed_because is None:
                self._side.sync()
            self.halt(
                MisuseError(f"the {self.what} is closed", advice="Open it again", file=self.file)
            )

    def _close_if_over(self) -> None:
        busy = self._users or self._write_under_way
        if self.closed_because is not None and not busy and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._side.close()
            self._lmdb.close()

    def _corrupt(self, what: str) -> CorruptError:
        return CorruptError(what, advice=RESTORE, file=self.file)

    def _halted(self, doing: str, error: BaseException) -> HaltedError:
        return HaltedError(
            f"{doing} failed: {str(error) or type(error).__name__}",
            advice=f"Check the disk, then open the {self.what} again: it tells what was stored",
            file=self.file,
        )
