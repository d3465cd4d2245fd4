"""Restore a backup of personal values without those who were erased since it was made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from actors.people.erasures import copy_longest
from actors.people.manifest import ERASURES, read_manifest, write_manifest
from actors.people.people import People, new_folder
from actors.store import backup as store_backup
from actors.store.folder import os_errors


def restore(
    backup: str | os.PathLike[str],
    to: str | os.PathLike[str],
    ledgers: Sequence[str | os.PathLike[str]],
) -> int:
    """Copy a backup into the new folder `to`, and erase again who was erased since.

    `ledgers` are copies of the ledger that may be newer than the backup's, above all that of the
    environment which the backup replaces; the longest is taken, and must continue the others.
    Returns the number of its last erasure. The folder appears only when nothing of the erased is in
    it. Raises CorruptError, FormatError, StoreError, NoSpaceError.
    """
    source, target = Path(backup), Path(to)
    with os_errors(source):
        manifest = read_manifest(source)
    with new_folder(target) as part:
        store_backup.restore(manifest.folder(source), manifest.folder(part))
        known = [source / ERASURES, *map(Path, ledgers)]
        count = copy_longest(known, manifest.key, part / ERASURES)
        write_manifest(part, manifest)
        People.open(part).close()
    return count


def erase_again(backup: str | os.PathLike[str], ledgers: Sequence[str | os.PathLike[str]]) -> int:
    """Erase in a backup, where it is, who was erased since it was made.

    Returns the number of the last erasure; a crash in between is made good by calling it again.
    Raises as `restore` does.
    """
    folder = Path(backup)
    with os_errors(folder):
        manifest = read_manifest(folder)
        known = [folder / ERASURES, *map(Path, ledgers)]
        count = copy_longest(known, manifest.key, folder / ERASURES)
    People.open(folder).close()
    return count
