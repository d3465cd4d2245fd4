"""Back a partition up while it works, and restore it elsewhere once the copy has been verified.

A backup is a folder like any partition's. It is a compacting copy: one that carried free pages
along would carry deleted records along.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb

from actors.store.environment import Environment
from actors.store.errors import CorruptError, StoreError
from actors.store.folder import (
    DATA,
    FORMAT,
    LOCK,
    NO_SPACE,
    SIDE,
    check_format,
    create_format,
    no_space,
    os_errors,
)
from actors.store.head import Head
from actors.store.side_file import SideFile, sync_folder


def back_up(environment: Environment, to: Path) -> Head:
    """Copy the committed state into the new folder `to`; returns the counters of the copy.

    Raises StoreError if `to` is there or cannot be written, NoSpaceError.
    """
    environment.make_room_in_map()
    with _new_folder(to) as part:
        create_format(part, environment.what)
        with environment.reading() as txn:
            head = environment.head_in(txn)
            try:
                environment.copy(txn, part)
            except lmdb.Error as error:
                # A full disk comes as an I/O error when a write was cut short.
                if error.code in (*NO_SPACE, errno.EIO):
                    raise no_space(to, 0) from error
                raise StoreError(
                    f"copying failed: {error}",
                    advice=f"Verify the {environment.what}",
                    file=str(to),
                ) from error
        SideFile(part / SIDE, create=True, number=head.transactions).close()
        _sync(part / DATA)
    return head


def restore(backup: Path, to: Path) -> None:
    """Copy a backup into the new folder `to`; it appears there only if the copy is sound.

    Raises CorruptError if it is not, FormatError if `backup` is none, StoreError if `to` is there.
    """
    # It starts verification in a process of its own, which imports this package anew.
    from actors.store.verify import verify

    check_format(backup)
    with _new_folder(to) as part:
        part.mkdir(mode=0o700, parents=True)
        for name in (FORMAT, DATA, SIDE):
            shutil.copyfile(backup / name, part / name)
            _sync(part / name)
        report = verify(part)
        if not report.sound:
            raise CorruptError(
                f"the backup is damaged: {report.first_problem}",
                advice="Restore from another backup",
                file=str(backup),
            )
        (part / LOCK).unlink(missing_ok=True)


@contextmanager
def _new_folder(to: Path) -> Iterator[Path]:
    """Yield a folder to make beside `to`; it becomes `to` when the block ends well."""
    part = to.with_name(f".{to.name}.{os.getpid()}.part")
    with os_errors(to):
        if to.exists():
            raise StoreError("the folder is there already", advice="Choose another", file=str(to))
        try:
            yield part
            sync_folder(part)
            part.rename(to)
            sync_folder(to.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
