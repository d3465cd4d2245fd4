"""State in a backup's file what it holds: of whom, of when, and a checksum of every file.

backup.json         this statement, written last: a folder without it is no backup
control/            the control log
coordinator/        what was granted, where anything was
partitions/000 ...  one store for each partition
people/000 ...      personal values and their ledgers of erasures
config/             providers.yaml and templates/, where there are any
audiences/NAME/     imported audiences
runs/ID/            results of dry runs
service/            the control plane, where a service had one
tenants/ID/         a backup of each further tenant's data directory
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from actors.live.data_dir import DataDir, Manifest
from actors.live.errors import RefusedError
from actors.store.errors import CorruptError, FormatError
from actors.store.folder import os_errors
from actors.store.frames import RESTORE
from actors.store.side_file import write_synced

FILE = "backup.json"
FORMAT_VERSION = 1
CHUNK_BYTES = 8 << 20

_PEOPLE = re.compile(r"(tenants/[^/]+/)?people/")


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """A store's copy: records in its journal, and write transactions of every sort, so far."""

    commits: int
    transactions: int


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """What a backup holds.

    `data_dir` is the manifest of the data directory; `began_ms`, `ended_ms` UTC: every commit
    acknowledged before the former is in it, none after the latter. `stores` by place, `erasures`
    by the place of people; `files`: the size and the XXH3-128 of each, by its path.
    """

    data_dir: Manifest
    began_ms: int
    ended_ms: int
    stores: dict[str, StoreFacts]
    erasures: dict[str, int] = field(default_factory=dict)
    files: dict[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(size for size, _ in self.files.values())

    def to_json(self) -> dict[str, Any]:
        """As a mapping that JSON can carry."""
        return {"headrace_backup": FORMAT_VERSION, **asdict(self)}


def write_manifest(folder: Path, manifest: BackupManifest) -> None:
    """State what `folder` holds. Raises OSError."""
    text = json.dumps(manifest.to_json(), indent=2, ensure_ascii=False)
    write_synced(folder / FILE, text.encode() + b"\n")


def read_manifest(folder: Path) -> BackupManifest:
    """What the backup in `folder` says of itself. Raises FormatError, CorruptError, StoreError."""
    path = folder / FILE
    with os_errors(folder):
        try:
            found = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise FormatError(
                "there is no backup here",
                advice="Name a folder that `headrace backup` made to its end",
                file=str(folder),
            ) from None
        except ValueError:
            raise CorruptError(
                "it is not JSON", advice="Take another backup", file=str(path)
            ) from None
    version = found.pop("headrace_backup", None) if isinstance(found, dict) else None
    if version != FORMAT_VERSION:
        raise FormatError(
            f"the backup has format version {version!r}; this release reads {FORMAT_VERSION}",
            advice="Restore it with the release that made it",
            file=str(path),
        )
    try:
        found["data_dir"] = Manifest(**found["data_dir"])
        found["stores"] = {place: StoreFacts(**facts) for place, facts in found["stores"].items()}
        found["files"] = {name: (size, sum_) for name, (size, sum_) in found["files"].items()}
        return BackupManifest(**found)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CorruptError(
            "it does not say what the backup holds", advice="Take another backup", file=str(path)
        ) from None


def files_of(folder: Path) -> dict[str, tuple[int, str]]:
    """The size and the checksum of every file of a backup, but for people and the statement.

    Personal values may be rewritten when customers are erased; their records have checksums.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != FILE and not _PEOPLE.match(name):
            found[name] = (path.stat().st_size, checksum(path))
    return found


def checksum(path: Path) -> str:
    """The XXH3-128 of a file, hexadecimal. Raises OSError."""
    hasher = xxhash.xxh3_128()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            hasher.update(chunk)
    return hasher.hexdigest()


def check_files(folder: Path, manifest: BackupManifest) -> None:
    """Raise CorruptError unless all files are there and as they were. Raises OSError."""
    for name, (size, expected) in manifest.files.items():
        path = folder / name
        problem = ""
        if not path.is_file():
            problem = "the file is missing"
        elif path.stat().st_size != size:
            problem = f"the file has {path.stat().st_size:,} bytes, and had {size:,}"
        elif checksum(path) != expected:
            problem = "the file is not what was written"
        if problem:
            raise CorruptError(problem, advice=RESTORE, file=str(path))


@contextmanager
def held(folder: Path) -> Iterator[Manifest]:
    """Within the block, the manifest of the data directory or of the backup in `folder`.

    No engine can open it meanwhile. Raises FormatError if it is neither, InUseError, StoreError.
    """
    if (folder / FILE).exists():
        yield read_manifest(folder).data_dir
        return
    with DataDir.open(folder) as data:
        yield data.manifest


def check_new(folder: Path) -> None:
    """Raise RefusedError if there is anything at `folder` already."""
    if os.path.lexists(folder):
        raise RefusedError(
            "there is something already, and nothing is overwritten",
            advice="Name a folder that does not exist",
            file=str(folder),
        )
