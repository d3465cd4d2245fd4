"""Copy a data directory while it works, and restore it elsewhere without those who were erased.

A backup is made of compacting copies, one store after the other: each partition, then its people,
then what the coordinator granted, the control log last. So a copy of a partition may be of another
moment than that of the next, which is what a crash leaves too: customers of two partitions depend
on each other by what was granted alone, and whatever a partition was granted is in the copy of the
coordinator. Whatever command a partition had applied is in the copy of the control log; what it had
not, it applies when it is started. A customer's personal values are stored before the rows that
need them.

What lies beside an engine comes along: the control plane, copied before all else, so that whatever
it says of flows an engine's copy has carried out; and the data directories of further tenants, each
as a backup of its own within this one. Imported audiences and results of runs are of each tenant.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from actors.live import backup_manifest
from actors.live.backup_manifest import BackupManifest, StoreFacts, check_files, check_new
from actors.live.data_dir import (
    MANIFEST,
    DataDir,
    Manifest,
    manifest_text,
    partition_path,
    people_path,
)
from actors.live.erased_since import AUDIENCES, RUNS, ErasedSince
from actors.live.household import TEMPLATES
from actors.live.reading import reading
from actors.live.surroundings import PLANE, TENANTS, Surroundings, tenant_folders
from actors.people import backup as people_backup
from actors.people.manifest import ERASURES
from actors.people.people import People
from actors.relay.link_settings import LINKS
from actors.relay.marks import KEY_FILE
from actors.relay.settings import PROVIDERS
from actors.relay.suppression import FILE as SUPPRESSIONS
from actors.relay.switches import SWITCHES
from actors.relay.vault import SECRETS
from actors.service import plane_backup
from actors.store import backup as store_backup
from actors.store.errors import CorruptError
from actors.store.folder import SIDE, os_errors
from actors.store.side_file import read_number, sync_folder, write_synced
from actors.tenant_content import LIST

Progress = Callable[[str, int, int], None]
CONFIG = "config"
COORDINATOR = "coordinator"
COPYING = "copying"
RESTORING = "restoring"
FOLDERS = ("partitions", "people", "rejects", "outgoing")


class Source(Protocol):
    """A data directory that can be copied from: one that nobody has open, or a running engine."""

    @property
    def path(self) -> Path:
        """Its folder."""
        ...

    @property
    def manifest(self) -> Manifest:
        """What it says of itself."""
        ...

    def copy_partition(self, number: int, to: Path, people: Path | None) -> dict[str, int]:
        """Copy a partition and its people; {} if it was never opened.

        Returns `commits` and `transactions` of the copy, and `erasures` of the people's.
        """
        ...

    def copy_coordinator(self, to: Path) -> dict[str, int]:
        """Copy what was granted to those who compete; {} where nothing ever was.

        Returns `commits` and `transactions` of the copy.
        """
        ...

    def copy_control(self, to: Path) -> dict[str, int]:
        """Copy the control log; returns `commits` and `transactions` of the copy."""
        ...


class Stopped:
    """A data directory that this process holds, and that no engine works in."""

    def __init__(self, data: DataDir) -> None:
        """Copy from `data`, which stays open meanwhile."""
        self._data = data

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._data.path

    @property
    def manifest(self) -> Manifest:
        """What it says of itself."""
        return self._data.manifest

    def copy_partition(self, number: int, to: Path, people: Path | None) -> dict[str, int]:
        """Copy a partition and its people."""
        folder = self._data.partition(number)
        if not folder.is_dir():
            return {}
        found = _copied(folder, to)
        if people is not None and self._data.people(number).is_dir():
            with People.open(self._data.people(number)) as values:
                found["erasures"] = values.backup(people)
        return found

    def copy_coordinator(self, to: Path) -> dict[str, int]:
        """Copy what was granted, where anything was."""
        folder = self._data.coordinator
        return _copied(folder, to) if folder.is_dir() else {}

    def copy_control(self, to: Path) -> dict[str, int]:
        """Copy the control log."""
        return _copied(self._data.control, to)


def _copied(folder: Path, to: Path) -> dict[str, int]:
    with reading(folder) as store:
        head = store.backup(to)
    return {"commits": head.journal_last, "transactions": head.transactions}


def back_up(
    source: Source,
    to: Path,
    *,
    people: bool = True,
    beside: Surroundings | None = None,
    progress: Progress | None = None,
) -> BackupManifest:
    """Copy `source` into the new folder `to`, which appears when it is whole; returns what it says.

    Without `people` no personal value is in it, and nothing that lies `beside`: good for looking
    at, not for restoring. Raises RefusedError if `to` is there, DownError while a partition is
    down, StoreError, NoSpaceError.
    """
    tell = progress or (lambda label, done, total: None)
    count = source.manifest.partitions
    with _new_folder(to) as part:
        began_ms = _now_ms()
        stores: dict[str, StoreFacts] = {}
        erasures: dict[str, int] = {}
        if people and beside is not None and (found := beside.copy_plane(part / PLANE)):
            stores[PLANE] = _facts(found)
        for number in range(count):
            tell(COPYING, number, count + 1)
            place = f"{number:03}"
            found = source.copy_partition(
                number,
                partition_path(part, number),
                people_path(part, number) if people else None,
            )
            if found:
                stores[f"partitions/{place}"] = _facts(found)
            if "erasures" in found:
                erasures[f"people/{place}"] = found["erasures"]
        tell(COPYING, count, count + 1)
        if found := source.copy_coordinator(part / COORDINATOR):
            stores[COORDINATOR] = _facts(found)
        stores["control"] = _facts(source.copy_control(part / "control"))
        if people and beside is not None:
            for tenant, theirs in beside.sources():
                back_up(theirs, part / TENANTS / tenant, progress=progress)
        if people:
            copy_work(source.path, part)
        ended_ms = _now_ms()
        (part / CONFIG).mkdir(mode=0o700)
        copy_config(source.path, part / CONFIG)
        manifest = BackupManifest(source.manifest, began_ms, ended_ms, stores, erasures)
        manifest = replace(manifest, files=backup_manifest.files_of(part))
        backup_manifest.write_manifest(part, manifest)
        tell(COPYING, count + 1, count + 1)
    return manifest


def _facts(found: dict[str, int]) -> StoreFacts:
    return StoreFacts(found["commits"], found["transactions"])


def copy_config(folder: Path, to: Path) -> None:
    """Copy what says how messages leave, and who is left alone, between two folders.

    Of secrets only the key of marks goes along readable: links in messages that were sent need it.
    """
    for name in (PROVIDERS, LIST, SWITCHES, SECRETS, LINKS, KEY_FILE, SUPPRESSIONS):
        if (folder / name).is_file():
            shutil.copy(folder / name, to / name)
    if (folder / TEMPLATES).is_dir():
        shutil.copytree(folder / TEMPLATES, to / TEMPLATES)


def copy_work(folder: Path, to: Path) -> None:
    """Copy imported audiences and results of runs, which appear whole and are replaced whole.

    What is being made or waits to be imported stays behind.
    """
    for name in (AUDIENCES, RUNS):
        for each in sorted((folder / name).glob("[!.]*")):
            for again in (True, False):
                try:
                    shutil.copytree(each, to / name / each.name, ignore=_UNDER_WAY)
                    break
                except (shutil.Error, FileNotFoundError):
                    # It was replaced just then, or deleted.
                    shutil.rmtree(to / name / each.name, ignore_errors=True)
                    if not again and each.exists():
                        raise


_UNDER_WAY = shutil.ignore_patterns(".*", "journal")


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored: the backup, and how much of what came after it is lost.

    `lost`: transactions by place, where the former data directory tells; `erased`: how many
    erasures were carried out again.
    """

    manifest: BackupManifest
    erased: int = 0
    lost: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As a mapping that JSON can carry."""
        return {
            "began_ms": self.manifest.began_ms,
            "ended_ms": self.manifest.ended_ms,
            "erased": self.erased,
            "lost": self.lost,
        }


def restore(
    backup: Path, to: Path, *, former: Path | None = None, progress: Progress | None = None
) -> Restored:
    """Make the new data directory `to` of a backup, once it has been verified.

    `former` is the data directory that is replaced, or what is left of it: whom its ledgers tell to
    be erased is erased again, and it tells what is lost. Raises RefusedError if `to` is there,
    CorruptError if the backup is damaged, FormatError if it is none, StoreError, NoSpaceError.
    """
    tell = progress or (lambda label, done, total: None)
    manifest = backup_manifest.read_manifest(backup)
    check_new(to)
    stores = sorted(manifest.stores)
    with os_errors(backup):
        tell("checking the backup", 0, 1)
        check_files(backup, manifest)
        tell("checking the backup", 1, 1)
    erased = 0
    with new_data_folder(to) as part:
        for done, place in enumerate(stores):
            tell(RESTORING, done, len(stores))
            restoring = plane_backup.restore if place == PLANE else store_backup.restore
            restoring(backup / place, part / place)
        for place, known in manifest.erasures.items():
            ledger = None if former is None else former / place / ERASURES
            ledgers = [ledger] if ledger is not None and ledger.is_file() else []
            erased += people_backup.restore(backup / place, part / place, ledgers) - known
        copy_work(backup, part)
        counts = {int(Path(place).name): count for place, count in manifest.erasures.items()}
        ErasedSince(part, manifest.data_dir.partitions, counts).erase(_now_ms())
        for theirs in tenant_folders(backup):
            own = None if former is None else former / TENANTS / theirs.name
            erased += restore(theirs, part / TENANTS / theirs.name, former=own).erased
        copy_config(backup / CONFIG, part)
        # Another instance: an engine ends what an engine of the same one left behind.
        made = replace(manifest.data_dir, instance=uuid.uuid4().hex)
        write_synced(part / MANIFEST, manifest_text(made))
        tell(RESTORING, len(stores), len(stores))
    return Restored(manifest, erased, {} if former is None else _lost(former, manifest))


def _lost(former: Path, manifest: BackupManifest) -> dict[str, int]:
    """How many transactions each store of the former data directory had that the backup lacks."""
    found = {}
    for place, facts in manifest.stores.items():
        try:
            number = read_number(former / place / SIDE)
        except (CorruptError, OSError):
            continue  # it does not tell any more
        found[place] = max(0, number - facts.transactions)
    return found


@contextmanager
def new_data_folder(to: Path) -> Iterator[Path]:
    """Yield a folder to make a data directory in; it becomes `to` when the block ends well."""
    with _new_folder(to) as part:
        for name in FOLDERS:
            (part / name).mkdir(mode=0o700)
        yield part


@contextmanager
def _new_folder(to: Path) -> Iterator[Path]:
    """Yield a folder to fill beside `to`; it becomes `to` when the block ends well."""
    check_new(to)
    part = to.with_name(f".{to.name}.{os.getpid()}.part")
    with os_errors(to):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        try:
            yield part
            check_new(to)
            part.rename(to)
            sync_folder(to.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
