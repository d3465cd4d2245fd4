"""Open the personal values of a partition's customers: put, get, erase, and prove erased.

The persons are named rows of a partition store, which has the fence, the checksums, the side file
and the patience with full disks. Erasing tells the ledger first, then deletes the rows, then copies
what is left, compacted, into a new folder and lets that count: deleted rows stay readable in the
free pages of an LMDB file, so the old folder goes as a whole.

Every row says how many erasures the ledger had when it was written. A row that an erasure with a
higher number means was brought back, by a crash or by a backup, and goes when the folder is opened;
a customer who came anew after the erasure stays.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from actors import failpoints
from actors.people.erasures import DIGEST_BYTES, Ledger, copy_longest, create_ledger, digest_of
from actors.people.manifest import (
    ERASURES,
    KEY_BYTES,
    SWAP,
    Manifest,
    read_manifest,
    write_manifest,
)
from actors.people.person import (
    Person,
    PersonError,
    Value,
    check_id,
    decode_person,
    encode_person,
    merged,
)
from actors.store.errors import (
    CorruptError,
    FencedError,
    HaltedError,
    MisuseError,
    StoreError,
)
from actors.store.folder import FolderLock, os_errors
from actors.store.partition import Partition
from actors.store.side_file import sync_folder
from core.hashing import hash_bytes

T = TypeVar("T")
MAP_BYTES = 1 << 28
CHUNK_ROWS = 256
ERASED = b"erased"  # the row that says up to which erasure this folder was rewritten
assert len(ERASED) != DIGEST_BYTES


class Erased(NamedTuple):
    """The number of the ledger's last erasure, and how many of those named had values here."""

    number: int
    found: int


class People:
    """An open environment of personal values; make one with `open`. Any thread may use it.

    Customers are found by their id or by its hash, XXH64 of the id's UTF-8 bytes, which is all
    that other parts of a partition need to keep.
    """

    def __init__(self, folder: Path, lock: FolderLock, manifest: Manifest, map_bytes: int) -> None:
        """Take over what `open` locked."""
        self.folder = folder
        self._lock = lock
        self._manifest = manifest
        self._map_bytes = map_bytes
        self._writing = threading.Lock()
        self._gate = threading.Condition()
        self._readers = 0
        self._swapping = False
        self._partition: Partition | None = None
        self._closed_because: StoreError | None = None

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        create: bool = False,
        takeover: bool = False,
        map_bytes: int = MAP_BYTES,
    ) -> People:
        """Open the folder, with `create` made if it is not there, and end erasures cut short.

        `takeover` takes it from a process that no longer answers; that one can never write again.
        Raises FormatError, InUseError, QuarantinedError, CorruptError, NoSpaceError, StoreError.
        """
        path = Path(folder)
        with os_errors(path):
            if create and (not path.exists() or not any(path.iterdir())):
                _create(path, map_bytes)
            read_manifest(path)
            if takeover:
                with _alone(path):
                    lock = FolderLock(path, takeover=True)
            else:
                lock = FolderLock(path)
            people = cls(path, lock, read_manifest(path), map_bytes)
            try:
                people._open(takeover)
            except BaseException:
                people.close()
                raise
            return people

    def _open(self, takeover: bool) -> None:
        self._sweep()
        self._ledger = Ledger(self.folder / ERASURES, self._manifest.key)
        values = self._manifest.folder(self.folder)
        self._partition = Partition.open(values, takeover=takeover, map_bytes=self._map_bytes)
        if self.erased_through > self._ledger.count:
            raise CorruptError(
                f"the ledger ends with erasure {self._ledger.count:,}, and {self.erased_through:,} "
                "had been carried out",
                advice="Put the latest copy of the ledger in its place",
                file=str(self._ledger.path),
            )
        if self.pending:
            self._delete_erased()
            self._rewrite()

    def close(self) -> None:
        """Close it and give the folder back. Closing again does nothing."""
        closed = MisuseError("it is closed", advice="Open it again", file=str(self.folder))
        with self._writing:
            self._end(closed)

    def _end(self, reason: StoreError) -> None:
        with self._gate:
            while self._readers:
                self._gate.wait()
            partition, self._partition = self._partition, None
            self._closed_because = self._closed_because or reason
            if partition is not None:
                partition.close()
            if hasattr(self, "_ledger"):
                self._ledger.close()
            self._lock.release()

    def _ended(self) -> StoreError:
        reason = self._closed_because
        if reason is None:
            return MisuseError("it is not open", advice="Open it", file=str(self.folder))
        return type(reason)(
            reason.message, advice=reason.advice, file=reason.file, pointer=reason.pointer
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def tend(self) -> int:
        """Call this every minute, as with a partition; returns how many dead readers it cleared."""
        return self._read(lambda partition: partition.tend())

    # Reading

    @contextmanager
    def _reading(self) -> Iterator[Partition]:
        with self._gate:
            while self._swapping:
                self._gate.wait()
            if self._partition is None:
                raise self._ended()
            self._readers += 1
            partition = self._partition
        try:
            yield partition
        finally:
            with self._gate:
                self._readers -= 1
                self._gate.notify_all()

    def _read(self, work: Callable[[Partition], T]) -> T:
        with self._reading() as partition:
            return work(partition)

    def of_hashes(self, id_hashes: Iterable[int]) -> dict[int, Person]:
        """The persons whose ids have these hashes, as far as they are here. Raises CorruptError."""
        names = {self._digest(id_hash): id_hash for id_hash in id_hashes}
        rows = self._read(lambda partition: partition.relay_rows_of(names.keys()))
        living = {names[name]: self._living(name, row) for name, row in rows.items()}
        return {id_hash: person for id_hash, person in living.items() if person is not None}

    def get(self, ids: Iterable[bytes]) -> dict[bytes, Mapping[str, Value]]:
        """The values of the customers with these ids, as far as they are here."""
        wanted = {hash_bytes(id): id for id in ids}
        found = self.of_hashes(wanted)
        return {
            person.id: person.values
            for id_hash, person in found.items()
            if person.id == wanted[id_hash]
        }

    def is_erased(self, id_hash: int) -> bool:
        """Whether the customer was erased and did not come anew."""
        return self._ledger.last(self._digest(id_hash)) > 0 and not self.of_hashes([id_hash])

    def erased_ms(self, id_hash: int) -> int | None:
        """When the customer was last erased, UTC, None if never; it may have come anew since."""
        return self._ledger.last_ms(self._digest(id_hash))

    def erasure_of(self, id_hash: int) -> tuple[int, int] | None:
        """Number and time, UTC, of a customer's last erasure in the ledger; None if never."""
        number = self._ledger.last(self._digest(id_hash))
        return (number, self._ledger.erasures[number - 1].at_ms) if number else None

    def __len__(self) -> int:
        with self._reading() as partition:
            return partition.head.relay_rows - len(partition.relay_rows_of([ERASED]))

    def persons(self) -> Iterator[Person]:
        """Everybody, in no order that means anything; what changes meanwhile may be in."""
        after = b""
        while True:
            with self._reading() as partition:
                chunk = list(itertools.islice(partition.relay_rows(after=after), CHUNK_ROWS))
            if not chunk:
                return
            after = chunk[-1][0]
            for name, row in chunk:
                person = None if name == ERASED else self._living(name, row)
                if person is not None:
                    yield person

    def _digest(self, id_hash: int) -> bytes:
        return digest_of(self._manifest.key, id_hash)

    def _decode(self, row: bytes) -> Person:
        return decode_person(row, str(self._manifest.folder(self.folder)))

    def _living(self, name: bytes, row: bytes) -> Person | None:
        """The person in a row, unless an erasure means it that has not deleted it yet."""
        person = self._decode(row)
        return None if person.erasures < self._ledger.last(name) else person

    # Writing

    def put(self, values: Mapping[bytes, Mapping[str, Value | None]]) -> None:
        """Put values over those that the customers with these ids have; None removes one.

        All of them or none; when it returns, the disk has them. Putting the same again writes
        nothing. Raises PersonError and NoSpaceError, with nothing stored; CorruptError,
        FencedError, HaltedError.
        """
        names = {}
        for id in values:
            check_id(id)
            names[id] = self._digest(hash_bytes(id))
        if len(set(names.values())) < len(names):
            raise _collision()
        with self._writing, self._reading() as partition:
            stored = partition.relay_rows_of(names.values())
            rows: dict[bytes, bytes] = {}
            for id, name in names.items():
                known = self._living(name, stored[name]) if name in stored else None
                if known is not None and known.id != id:
                    raise _collision()
                person = merged(known or Person(id, {}), values[id], self._ledger.count)
                if known is None or person.values != known.values:
                    rows[name] = encode_person(person)
            if rows:
                partition.mark_relay(put=rows)

    def erase(self, ids: Collection[bytes], at_ms: int, *, rewrite: bool = True) -> Erased:
        """Erase the customers with these ids: `erase_hashes` of their hashes."""
        for id in ids:
            check_id(id)
        return self.erase_hashes([hash_bytes(id) for id in ids], at_ms, rewrite=rewrite)

    def erase_hashes(
        self, id_hashes: Collection[int], at_ms: int, *, rewrite: bool = True
    ) -> Erased:
        """Erase customers by the hashes of their ids, at a time, UTC; known or not.

        The ledger has it first; from then on readers find nothing, and a crash is made good at the
        next opening. With `rewrite` no byte of the values is left in the folder when it returns;
        without, `rewrite()` has to follow: one for many erasures.

        Raises NoSpaceError, after which `pending` tells whether the ledger has it; StoreError.
        """
        digests = [self._digest(id_hash) for id_hash in dict.fromkeys(id_hashes)]
        with self._writing:
            with self._reading(), self._owning():
                self._ledger.append(digests, at_ms)
            if failpoints.armed:
                failpoints.hit("people_after_ledger")
            number = self._ledger.count
            found = self._delete_erased()
            if rewrite:
                self._rewrite()
        return Erased(number, found)

    def rewrite(self) -> None:
        """Copy what counts into a new folder, and remove the old one with all it ever held.

        Reading goes on but for a moment; putting waits. Raises NoSpaceError, StoreError.
        """
        with self._writing:
            self._delete_erased()
            self._rewrite()

    @property
    def erased_through(self) -> int:
        """The number of the last erasure of which nothing is left in the folder."""
        rows = self._read(lambda partition: partition.relay_rows_of([ERASED]))
        return int.from_bytes(rows.get(ERASED, b""), "little")

    @property
    def pending(self) -> bool:
        """Whether the ledger has erasures of which something may be left in the folder."""
        return self.erased_through < self._ledger.count

    def _delete_erased(self) -> int:
        """Delete the rows that the ledger means and that are still there; returns how many.

        An erasure may have been cut short before that, or come after the backup this was.
        """
        through = self.erased_through
        latest = {
            erasure.digest: erasure.number
            for erasure in self._ledger.erasures
            if erasure.number > through
        }
        with self._reading() as partition:
            rows = partition.relay_rows_of(latest.keys())
            stale = [name for name, row in rows.items() if self._living(name, row) is None]
            if stale:
                partition.mark_relay(delete=stale)
        if failpoints.armed:
            failpoints.hit("people_after_delete")
        return len(stale)

    def _rewrite(self) -> None:
        """Let a compacted copy count, which says up to which erasure nothing is in it."""
        self._sweep()
        manifest = replace(self._manifest, values=self._manifest.values + 1)
        through = self._ledger.count.to_bytes(8, "little")
        try:
            new = self._copy_counts(manifest, through)
        except HaltedError as error:
            self._end(error)
            raise
        with self._gate:
            self._swapping = True
            while self._readers:
                self._gate.wait()
            old, self._partition, self._manifest = self._partition, new, manifest
            self._swapping = False
            self._gate.notify_all()
        if old is not None:
            old.close()
        if failpoints.armed:
            failpoints.hit("people_after_swap")
        with os_errors(self.folder):
            self._sweep()

    def _copy_counts(self, manifest: Manifest, through: bytes) -> Partition:
        """Copy the values into the manifest's folder and let it count; returns it, open."""
        with os_errors(self.folder), self._reading() as old:
            old.backup(manifest.folder(self.folder))
            new = Partition.open(manifest.folder(self.folder), map_bytes=self._map_bytes)
            try:
                new.mark_relay(put={ERASED: through})
                if failpoints.armed:
                    failpoints.hit("people_before_swap")
                self._let_count(manifest)
            except BaseException:
                new.close()
                raise
        return new

    def _let_count(self, manifest: Manifest) -> None:
        with self._owning():
            try:
                write_manifest(self.folder, manifest)
            except OSError as error:
                if read_manifest(self.folder) == self._manifest:
                    raise
                # It has its name, and may not be on the disk: only opening again can tell.
                raise HaltedError(
                    f"changing the folder of values failed: {error.strerror}",
                    advice="Check the disk, then open it again",
                    file=str(self.folder),
                ) from error

    def _sweep(self) -> None:
        """Remove folders of values that do not count, whole or half made, and their names."""
        kept = self._manifest.folder(self.folder).name
        stale = [
            path
            for path in self.folder.iterdir()
            if path.name.lstrip(".").startswith("values-") and path.name != kept
        ]
        for path in stale:
            shutil.rmtree(path)
        if stale:
            sync_folder(self.folder)

    @contextmanager
    def _owning(self) -> Iterator[None]:
        """Nobody can take it over until the block ends. Raises FencedError if somebody has."""
        with _alone(self.folder):
            if not self._lock.current:
                raise FencedError(
                    "another opening took it over",
                    advice="Stop this process; it can change nothing here any more",
                    file=str(self.folder),
                )
            yield

    # Copies

    def backup(self, to: str | os.PathLike[str]) -> int:
        """Copy it, compacted, into the new folder `to`; returns how many erasures that knows of.

        Erasures under way are ended first. Puts go on meanwhile. Raises StoreError, NoSpaceError.
        """
        target = Path(to)
        if self.pending:
            self.rewrite()
        with new_folder(target) as part:
            manifest = Manifest(self._manifest.key)
            self._copy_values(manifest.folder(part))
            # The ledger after the values: an erasure in between is then carried out again.
            count = copy_longest([self.folder / ERASURES], manifest.key, part / ERASURES)
            write_manifest(part, manifest)
        return count

    def _copy_values(self, to: Path) -> None:
        while True:
            partition = self._read(lambda partition: partition)
            try:
                partition.backup(to)
                return
            except MisuseError:
                # A rewriting closed it before the copy began; it raises if there is no next one.
                continue


@contextmanager
def new_folder(to: Path) -> Iterator[Path]:
    """Yield a folder beside `to`; it becomes `to` when the block ends well, and vanishes else.

    Raises StoreError if `to` is there and not empty, NoSpaceError.
    """
    part = to.with_name(f".{to.name}.{os.getpid()}.part")
    with os_errors(to):
        if to.exists() and any(to.iterdir()):
            raise StoreError("the folder is there already", advice="Choose another", file=str(to))
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        try:
            yield part
            sync_folder(part)
            part.rename(to)
            sync_folder(to.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _create(folder: Path, map_bytes: int) -> None:
    with new_folder(folder) as part:
        manifest = Manifest(os.urandom(KEY_BYTES))
        Partition.open(manifest.folder(part), create=True, map_bytes=map_bytes).close()
        create_ledger(part / ERASURES, manifest.key)
        write_manifest(part, manifest)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait for the folder's moment of change, and hold it."""
    fd = os.open(folder / SWAP, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _collision() -> PersonError:
    return PersonError(
        "two customers' ids have one hash, so they cannot be told apart",
        advice="Give one of them another id",
    )
