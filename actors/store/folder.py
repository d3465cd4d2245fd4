"""Guard a partition's folder: its layout, the version of its format, and who may open it.

format       what the folder is and of which version, as JSON; written first
data.mdb     the LMDB environment
lock.mdb     LMDB's table of readers; never copied
commits      the number of transactions once more (`side_file`)
lock         held by whoever has the partition open; says who
starts       openings that have not yet proved themselves (`starts`)
quarantined  there if the partition may not be opened before it is verified
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actors.store.errors import FormatError, InUseError, NoSpaceError, StoreError
from actors.store.side_file import write_synced

FORMAT = "format"
DATA = "data.mdb"
SIDE = "commits"
LOCK = "lock"
STARTS = "starts"
QUARANTINED = "quarantined"

PARTITION = "partition"  # what a folder holds, for people and in its format file
FORMAT_VERSION = 1
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_locks: weakref.WeakSet[FolderLock] = weakref.WeakSet()


class FolderLock:
    """The exclusive right to a folder, held until `release` or the end of the process.

    It is a courtesy that keeps two openings apart and gives a clear error; what keeps an opening
    that lost its right from writing is the epoch.
    """

    def __init__(self, folder: Path, *, takeover: bool = False, what: str = PARTITION) -> None:
        """Take the lock. With `takeover` it is taken from a holder that no longer answers.

        `what` names for people what the folder holds. Raises InUseError if it is held, and OSError.
        """
        self.path = folder / LOCK
        self._what = what
        self._fd = self._replace() if takeover else self._take()
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
        _locks.add(self)

    def _take(self) -> int:
        while True:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(fd), self.path.stat()):
                    return fd
            except BlockingIOError:
                holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
                os.close(fd)
                raise self._in_use(holder) from None
            except FileNotFoundError:
                pass
            # A takeover put another file in its place meanwhile.
            os.close(fd)

    def _replace(self) -> int:
        part = self.path.with_name(f".{LOCK}.{os.getpid()}")
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        part.replace(self.path)
        return fd

    def _in_use(self, holder: str) -> InUseError:
        if holder == str(os.getpid()):
            return opened_twice(self.path.parent, self._what)
        return InUseError(
            f"the {self._what} is open in process {holder or 'unknown'}",
            advice="Stop that process; if it hangs, kill it or open with takeover",
            file=str(self.path.parent),
        )

    @property
    def held(self) -> bool:
        """Whether it was not released yet."""
        return self._fd >= 0

    @property
    def current(self) -> bool:
        """Whether it still is the folder's lock: a takeover puts another in its place."""
        try:
            return self.held and os.path.samestat(os.fstat(self._fd), self.path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the lock back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def opened_twice(folder: Path, what: str = PARTITION) -> InUseError:
    """The error for what this process has open."""
    return InUseError(
        f"this process has the {what} open already",
        advice="Close the other opening first, or share it",
        file=str(folder),
    )


def _drop_inherited_locks() -> None:
    # A forked child shares its parent's lock, and would hold it after the parent's death.
    for lock in list(_locks):
        lock.release()


os.register_at_fork(after_in_child=_drop_inherited_locks)


def create_format(folder: Path, what: str = PARTITION) -> None:
    """Make the folder, if it is not there, and say in it what it is. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    statement = {"format": f"headrace {what}", "version": FORMAT_VERSION, "engine": "lmdb 0.9"}
    write_synced(folder / FORMAT, json.dumps(statement).encode() + b"\n")


def check_format(folder: Path, what: str = PARTITION) -> None:
    """Raise FormatError unless the folder says that it is a `what` of this version."""
    path = folder / FORMAT
    try:
        statement = json.loads(path.read_bytes())
        name, version = statement["format"], statement["version"]
    except FileNotFoundError:
        raise FormatError(
            f"there is no {what} here",
            advice="Check the path, or open it with create=True",
            file=str(folder),
        ) from None
    except (ValueError, KeyError, TypeError):
        raise FormatError(
            "the file does not say what the folder holds",
            advice=f"Verify the {what}, and restore it from its last backup",
            file=str(path),
        ) from None
    if name != f"headrace {what}":
        raise FormatError(
            f"the folder holds {name!r} instead of 'headrace {what}'",
            advice="Check the path",
            file=str(path),
        )
    if version != FORMAT_VERSION:
        raise FormatError(
            f"the {what} has format version {version!r}; this release reads {FORMAT_VERSION}",
            advice="Open it with the release that wrote it",
            file=str(path),
        )


@contextmanager
def os_errors(folder: Path) -> Iterator[None]:
    """Turn an OSError of the block into NoSpaceError or StoreError with advice."""
    try:
        yield
    except PermissionError as error:
        raise StoreError(
            "permission denied",
            advice=f"Give user {os.geteuid()} the right to read and write there",
            file=str(error.filename or folder),
        ) from error
    except OSError as error:
        if error.errno in NO_SPACE:
            raise no_space(folder, 0) from error
        raise StoreError(
            error.strerror or str(error),
            advice="Check the disk that the folder is on",
            file=str(error.filename or folder),
        ) from error


def no_space(folder: Path, needed_bytes: int) -> NoSpaceError:
    """The error for a transaction of about so many bytes that found no room; 0 if unknown."""
    size = f" for {needed_bytes:,} bytes" if needed_bytes else ""
    return NoSpaceError(
        f"no room{size}: the disk, a quota or the limit of a file's size is exhausted",
        advice="Free space there; nothing was stored, and the next try may succeed",
        file=str(folder),
    )
