"""Keep the ledger of erasures: who was erased, as a keyed hash, and when; append-only and fsynced.

The ledger outlives what it tells of. Restoring an older backup brings back those who were erased
since, and the ledger says whom to erase again. So it is never restored to an older state, and a
copy of it belongs with every backup and beside it.

A record of `actors.store.frames` for each, numbered from 1 in its sequence:

    payload: keyed hash of the customer, 16 bytes; time, ms UTC, i64 little-endian

The first record, number 0, holds the hash of a constant, which tells whose key it is.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from actors.store.errors import CorruptError, HaltedError, NoSpaceError
from actors.store.folder import NO_SPACE, no_space
from actors.store.frames import HEADER_BYTES, Kind, pack, unpack
from actors.store.side_file import sync_folder, write_synced

DIGEST_BYTES = 16
_KEY = b"erasure"
_PAYLOAD = struct.Struct(f"<{DIGEST_BYTES}sq")
RECORD_BYTES = HEADER_BYTES + _PAYLOAD.size
_OWNER = b"headrace erasures"
LATEST = "Put the latest copy of the ledger in its place: a backup has one"


class Erasure(NamedTuple):
    """That the customer with this keyed hash was erased, as number `number`, at a time."""

    number: int
    digest: bytes
    at_ms: int


def digest_of(key: bytes, id_hash: int) -> bytes:
    """The keyed hash of a customer: BLAKE2b of the id's XXH64, 16 bytes.

    It is made of the id's hash, so that who knows a customer only by that finds the same.
    """
    data = id_hash.to_bytes(8, "little")
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES, key=key).digest()


def create_ledger(path: Path, key: bytes) -> None:
    """Make an empty ledger. Raises OSError."""
    write_synced(path, _record(0, _owner(key), 0))


def read_ledger(path: Path, key: bytes) -> tuple[list[Erasure], int]:
    """The erasures in a ledger, in order, and how many bytes of it hold them.

    What an append that was cut short left at the end does not count: nobody was told of it.
    Raises CorruptError if it is damaged, of another key or missing; OSError.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise _corrupt("the ledger of erasures is missing", path) from None
    found: list[Erasure] = []
    for start in range(0, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
        record = data[start : start + RECORD_BYTES]
        try:
            number, payload = unpack(Kind.ERASURE, _KEY, record, str(path))
        except CorruptError:
            if _some_record(data[start + RECORD_BYTES :], str(path)):
                raise
            return found, start
        digest, at_ms = _PAYLOAD.unpack(payload)
        if start == 0 and digest != _owner(key):
            raise CorruptError(
                "the ledger belongs to another environment", advice="Find its own", file=str(path)
            )
        if number != start // RECORD_BYTES:
            place = start // RECORD_BYTES
            raise _corrupt(f"erasure {number} stands where {place} was expected", path)
        if number:
            found.append(Erasure(number, digest, at_ms))
    if len(data) < RECORD_BYTES:
        raise _corrupt("the ledger of erasures is empty", path)
    return found, len(data) // RECORD_BYTES * RECORD_BYTES


def _some_record(data: bytes, file: str) -> bool:
    """Whether a whole record stands anywhere in what follows a damaged one."""
    for start in range(0, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
        try:
            unpack(Kind.ERASURE, _KEY, data[start : start + RECORD_BYTES], file)
        except CorruptError:
            continue
        return True
    return False


class Ledger:
    """An open ledger. One writer; `last` may be asked from any thread."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Open it and cut off what was not written to its end. Raises CorruptError, OSError."""
        self.path = path
        self.erasures, self._length = read_ledger(path, key)
        if self._length == 0:
            raise _corrupt("the ledger's first record is damaged", path)
        self._numbers = {erasure.digest: erasure.number for erasure in self.erasures}
        self._broken = False
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        if os.fstat(self._fd).st_size > self._length:
            os.ftruncate(self._fd, self._length)
            os.fsync(self._fd)

    @property
    def count(self) -> int:
        """How many erasures it tells of, which is the number of the last."""
        return len(self.erasures)

    def last(self, digest: bytes) -> int:
        """The number of the last erasure of a customer, 0 if there was none."""
        return self._numbers.get(digest, 0)

    def last_ms(self, digest: bytes) -> int | None:
        """The time of the last erasure of a customer, None if there was none."""
        number = self.last(digest)
        return self.erasures[number - 1].at_ms if number else None

    def append(self, digests: Sequence[bytes], at_ms: int) -> None:
        """Tell of erasures at a time; when it returns, the disk has them.

        Raises NoSpaceError, with nothing told; HaltedError, after which it cannot be used.
        """
        if self._broken:
            raise self._halted("it failed before")
        added = [Erasure(self.count + at, digest, at_ms) for at, digest in enumerate(digests, 1)]
        data = b"".join(map(_record, *zip(*added, strict=True))) if added else b""
        try:
            written = os.pwrite(self._fd, data, self._length)
            if written < len(data):
                os.ftruncate(self._fd, self._length)
                raise no_space(self.path, len(data))
            os.fsync(self._fd)
        except NoSpaceError:
            raise
        except OSError as error:
            if error.errno in NO_SPACE and os.fstat(self._fd).st_size == self._length:
                raise no_space(self.path, len(data)) from error
            self._broken = True
            raise self._halted(error.strerror or "I/O error") from error
        self._length += len(data)
        self.erasures += added
        self._numbers.update((erasure.digest, erasure.number) for erasure in added)

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _halted(self, why: str) -> HaltedError:
        return HaltedError(
            f"writing the ledger of erasures failed: {why}",
            advice="Check the disk, then open it again",
            file=str(self.path),
        )


def copy_longest(ledgers: Sequence[Path], key: bytes, to: Path) -> int:
    """Write the longest of several copies of one ledger to `to`; returns its last number.

    Raises CorruptError if one is damaged or two contradict each other; OSError.
    """
    read = [(path, *read_ledger(path, key)) for path in ledgers]
    longest, erasures, length = max(read, key=lambda found: len(found[1]))
    for path, others, _ in read:
        if others != erasures[: len(others)]:
            raise CorruptError(
                f"it contradicts {longest}",
                advice="Choose copies of one ledger: the same environment's, of different times",
                file=str(path),
            )
    write_synced(to, longest.read_bytes()[:length])
    sync_folder(to.parent)
    return len(erasures)


def _corrupt(what: str, path: Path) -> CorruptError:
    return CorruptError(what, advice=LATEST, file=str(path))


def _owner(key: bytes) -> bytes:
    return hashlib.blake2b(_OWNER, digest_size=DIGEST_BYTES, key=key).digest()


def _record(number: int, digest: bytes, at_ms: int) -> bytes:
    return pack(Kind.ERASURE, _KEY, number, _PAYLOAD.pack(digest, at_ms))
