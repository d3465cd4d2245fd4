"""Open the folder that a live engine keeps everything in, and keep a second engine out.

headrace.json    what the folder is: tenant, partitions, salt, zone; written once
lock             held by the engine that has the folder open
control/         the commands: schemas, flows published, stopped, paused
coordinator/     what was granted to those who compete, where anybody does
partitions/000   one store for each partition
people/000       the personal values of a partition's customers
rejects/         rows that were not taken in, and why
outgoing/        what the file channel writes
reports/         decisions that were followed for reports; made anew where it is gone
headrace.sock    where clients of this machine connect
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from actors.live.errors import LiveError, RefusedError
from actors.store.errors import FormatError, InUseError
from actors.store.folder import os_errors
from actors.store.side_file import write_synced
from core.options import DEFAULT_SALT
from core.zones import zone_names

if TYPE_CHECKING:
    from actors.live.surroundings import Surroundings

MANIFEST = "headrace.json"
LOCK = "lock"
FORMAT_VERSION = 1
PARTITIONS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is fixed when a data directory is made.

    `instance` tells two directories of one tenant apart; `salt` keys splits and A/B tests; `zone`
    is that of customers who have none. Nothing ever leaves a `sandbox`: its messages go to files.
    """

    tenant: str
    partitions: int
    salt: str = DEFAULT_SALT
    zone: str = "UTC"
    instance: str = ""
    engine: str = ""
    sandbox: bool = False
    headrace_data: int = FORMAT_VERSION

    def check(self, file: str) -> None:
        """Raise RefusedError for a value that a data directory cannot have."""
        if type(self.sandbox) is not bool:
            raise RefusedError("'sandbox' is true or false", file=file)
        if not self.tenant.strip() or len(self.tenant) > 200:
            raise RefusedError("a tenant's name has 1 to 200 characters", file=file)
        if not 1 <= self.partitions <= PARTITIONS_MAX:
            raise RefusedError(
                f"{self.partitions} partitions: expected 1 to {PARTITIONS_MAX:,}", file=file
            )
        if self.zone not in zone_names():
            raise RefusedError(
                f"there is no time zone {self.zone!r}",
                advice="Use a name such as Europe/Berlin",
                file=file,
            )


class DataDir:
    """An open data directory; make one with `open` or `create`."""

    def __init__(self, path: Path, manifest: Manifest, lock: int) -> None:
        """Take over what `open` opened."""
        self.path = path
        self.manifest = manifest
        self.beside: Surroundings | None = None
        """What a service has open in the same folder, to be copied with it."""
        self._lock = lock

    @classmethod
    def create(cls, folder: str | os.PathLike[str], manifest: Manifest) -> DataDir:
        """Make a new data directory in `folder`, which is absent or empty, and open it.

        Raises RefusedError, FormatError if the folder holds anything, and as `open` does.
        """
        path = Path(folder).absolute()
        manifest.check(str(path))
        with os_errors(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = _take_lock(path)
            try:
                _check_empty(path)
                found = Manifest(**{**asdict(manifest), "instance": uuid.uuid4().hex})
                for name in ("control", "partitions", "people", "rejects", "outgoing"):
                    (path / name).mkdir(mode=0o700, exist_ok=True)
                # The manifest comes last: a folder without it was not made to its end.
                write_synced(path / MANIFEST, manifest_text(found))
            except BaseException:
                os.close(lock)
                raise
        return cls(path, found, lock)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> DataDir:
        """Open the data directory in `folder` for as long as this process holds it.

        Raises FormatError if it is none or of another version, InUseError, StoreError for a missing
        right or a failing disk, NoSpaceError.
        """
        path = Path(folder).absolute()
        with os_errors(path):
            manifest = read_manifest(path)
            lock = _take_lock(path)
        return cls(path, manifest, lock)

    @property
    def control(self) -> Path:
        """The folder of the control log."""
        return self.path / "control"

    @property
    def coordinator(self) -> Path:
        """The folder of what was granted to those who compete."""
        return self.path / "coordinator"

    @property
    def socket(self) -> Path:
        """Where clients of this machine connect."""
        return socket_path(self.path)

    def partition(self, number: int) -> Path:
        """The folder of partition `number`."""
        return partition_path(self.path, number)

    def people(self, number: int) -> Path:
        """The folder of the personal values of partition `number`."""
        return people_path(self.path, number)

    def close(self) -> None:
        """Give the folder back. Closing again does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()


def partition_path(folder: Path, number: int) -> Path:
    """The folder of partition `number` of the data directory `folder`."""
    return folder / "partitions" / f"{number:03}"


def people_path(folder: Path, number: int) -> Path:
    """The folder of the personal values of partition `number`."""
    return folder / "people" / f"{number:03}"


def socket_path(folder: Path) -> Path:
    """Where the engine of the data directory `folder` listens."""
    return folder / "headrace.sock"


def manifest_text(manifest: Manifest) -> bytes:
    """What stands in a data directory's manifest."""
    return json.dumps(asdict(manifest), indent=2, ensure_ascii=False).encode() + b"\n"


def is_sandbox(folder: Path) -> bool:
    """Whether a folder is the data directory of a sandbox. Raises FormatError for a damaged one."""
    return (folder / MANIFEST).exists() and read_manifest(folder).sandbox


def is_data_dir(folder: Path) -> bool:
    """Whether there is a data directory, of whatever version. Raises StoreError."""
    with os_errors(folder):
        return (folder / MANIFEST).exists()


def read_manifest(path: Path) -> Manifest:
    """What the folder says of itself, without opening it. Raises FormatError, OSError."""
    file = path / MANIFEST
    try:
        found = json.loads(file.read_bytes())
        version = found["headrace_data"]
        manifest = Manifest(**found) if version == FORMAT_VERSION else None
    except (FileNotFoundError, NotADirectoryError):
        raise FormatError(
            "there is no data directory here",
            advice="Check the path; `headrace serve` makes a new one in an empty folder",
            file=str(path),
        ) from None
    except (ValueError, KeyError, TypeError):
        raise FormatError(
            "the file does not say what the folder holds",
            advice="Restore it from the last backup",
            file=str(file),
        ) from None
    if manifest is None:
        raise FormatError(
            f"the data directory has format version {version!r}; this release reads "
            f"{FORMAT_VERSION}",
            advice="Open it with the release that wrote it",
            file=str(file),
        )
    try:
        manifest.check(str(file))
    except (LiveError, TypeError, AttributeError) as error:
        raise FormatError(
            f"what the file says cannot be: {getattr(error, 'message', error)}",
            advice="Restore it from the last backup",
            file=str(file),
        ) from None
    return manifest


def _take_lock(path: Path) -> int:
    fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
        os.close(fd)
        raise InUseError(
            f"the data directory is in use by process {holder or 'unknown'}",
            advice="Stop that engine first, or connect to it with a client",
            file=str(path),
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"%d\n" % os.getpid(), 0)
    return fd


def _check_empty(path: Path) -> None:
    if (path / MANIFEST).exists():
        raise FormatError("there is a data directory here already", file=str(path))
    ours = {LOCK, "control", "partitions", "people", "rejects", "outgoing"}
    for found in path.iterdir():
        # What a creation that was cut short leaves is empty folders, the lock and a hidden part.
        unfinished = found.name in ours and not (found.is_dir() and any(found.iterdir()))
        if not unfinished and not found.name.startswith("."):
            raise FormatError(
                f"the folder is not empty, and holds no data directory: there is {found.name!r}",
                advice="Choose another folder",
                file=str(path),
            )
