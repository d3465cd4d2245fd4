"""Keep the number of transactions a second time, beside the database, to tell if one vanished.

If the newer of LMDB's two meta pages is damaged, LMDB opens with the older one and says nothing:
the last transaction is gone. This file of 4 KiB holds the number in two places, in sectors of their
own, written in turns, each with a checksum. It is written after every transaction, so it never
knows of one that the disk does not have, and forced to the disk at the opening and after every
SYNC_EVERY-th.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

import xxhash

from actors import failpoints
from actors.store.errors import CorruptError
from actors.store.frames import RESTORE
from actors.whole_file import whole_file

FILE_BYTES = 4096
SECTOR_BYTES = 512
SYNC_EVERY = 16

_SLOT = struct.Struct("<8sQQ")
_MAGIC = b"HRcommit"


class SideFile:
    """The open side file; `number` is the greatest number of transactions in it."""

    def __init__(self, path: Path, *, create: bool = False, number: int = 0) -> None:
        """Open it, or create it with `number`. Raises CorruptError if neither place can be read."""
        self.path = path
        if create:
            sectors = _slot(number).ljust(SECTOR_BYTES, b"\0") * 2
            write_synced(path, sectors.ljust(FILE_BYTES, b"\0"))
        self.number = read_number(path)
        self._unsynced = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def write(self, number: int) -> None:
        """Record that transaction `number` is on disk. Raises OSError."""
        if failpoints.armed:
            failpoints.hit("side_file")
        os.pwrite(self._fd, _slot(number), number % 2 * SECTOR_BYTES)
        self.number = number
        self._unsynced += 1
        if self._unsynced >= SYNC_EVERY:
            self.sync()

    def sync(self) -> None:
        """Force it to the disk. Raises OSError."""
        os.fsync(self._fd)
        self._unsynced = 0

    def close(self) -> None:
        """Close it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def read_number(path: Path) -> int:
    """The greatest number in the file at `path`.

    Raises CorruptError if the file is absent or holds none; one damaged place of two is what a
    power failure may leave.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CorruptError("the file is missing", advice=RESTORE, file=str(path)) from None
    found: list[int] = [
        number
        for magic, number, checksum in (
            _SLOT.unpack_from(data, offset)
            for offset in (0, SECTOR_BYTES)
            if len(data) >= offset + _SLOT.size
        )
        if magic == _MAGIC and checksum == _sum(number)
    ]
    if not found:
        raise CorruptError("neither of its two numbers can be read", advice=RESTORE, file=str(path))
    return max(found)


def write_synced(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and force it and its name to the disk. Raises OSError."""
    with whole_file(path) as part, part.open("wb") as file:
        part.chmod(0o600)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Force the names in a folder to the disk. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _slot(number: int) -> bytes:
    return _SLOT.pack(_MAGIC, number, _sum(number))


def _sum(number: int) -> int:
    digest: int = xxhash.xxh3_64(_MAGIC + number.to_bytes(8, "little")).intdigest()
    return digest
