"""Check and copy a control plane that nobody has open, and restore a copy of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.service.plane_check import check_rows
from actors.service.transactions import META, ROWS, WHAT
from actors.store import backup as store_backup
from actors.store.environment import Environment
from actors.store.errors import CorruptError
from actors.store.folder import DATA, FORMAT, LOCK, SIDE, FolderLock, check_format, os_errors
from actors.store.head import Head
from actors.store.side_file import sync_folder
from actors.store.verify import Finding, Report, structure


def inspect(folder: Path) -> Report:
    """Check the structure and every row of a control plane; nothing in its folder is changed.

    Raises FormatError if there is none, InUseError if a service has it open, StoreError.
    """
    with _held(folder):
        # First in a process of its own: what is damaged can kill the one that opens it.
        problem = structure(folder)
        if problem:
            return Report(str(folder), (Finding("structure", False, problem),))
        size = (folder / DATA).stat().st_size
        found = Finding("structure", True, f"{size:,} bytes")
        try:
            with _reading(folder) as environment, environment.reading() as txn:
                rows = check_rows(environment, txn)
        except CorruptError as error:
            return Report(str(folder), (found, Finding("records", False, error.message)))
        return Report(str(folder), (found, *rows.findings))


def copy(folder: Path, to: Path) -> Head:
    """Copy a control plane, compacted, into the new folder `to`; returns the copy's counters.

    Raises as `inspect` does, and StoreError if `to` is there, NoSpaceError.
    """
    with _held(folder), _reading(folder) as environment:
        return store_backup.back_up(environment, to)


def restore(backup: Path, to: Path) -> None:
    """Copy a backup of a control plane into the new folder `to`, once it has been checked.

    Raises CorruptError if it is damaged, FormatError if it is none, StoreError.
    """
    report = inspect(backup)
    if not report.sound:
        raise CorruptError(
            f"the backup is damaged: {report.first_problem}",
            advice="Restore from another backup",
            file=str(backup),
        )
    with os_errors(to):
        to.mkdir(mode=0o700, parents=True)
        # What the folder is comes last: without it the folder is no control plane.
        for name in (DATA, SIDE, FORMAT):
            shutil.copyfile(backup / name, to / name)
            fd = os.open(to / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        sync_folder(to)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    with os_errors(folder):
        check_format(folder, WHAT)
        lock = FolderLock(folder, what=WHAT)
        try:
            yield
        finally:
            lock.release()
            if not any(folder.glob("starts*")):
                # A copy that no service ever opened has none.
                (folder / LOCK).unlink(missing_ok=True)


@contextmanager
def _reading(folder: Path) -> Iterator[Environment]:
    environment = Environment(folder, 0, readonly=True, databases=(META, ROWS), what=WHAT)
    try:
        yield environment
    finally:
        environment.close()
