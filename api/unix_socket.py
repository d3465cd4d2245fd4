"""Listen and connect at a Unix socket, however long the path to it is."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import HeadraceError

PATH_BYTES_MAX = 100  # of what systems take, less a few
MODE = 0o600


def listen(path: Path) -> socket.socket:
    """A socket at `path` that only this user may connect to; one left behind is replaced.

    Raises HeadraceError for a path that is too long here, OSError.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            with _short(path) as name:
                listener.bind(name)
        finally:
            os.umask(before)
        path.chmod(MODE)
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(path: Path, timeout_s: float) -> socket.socket:
    """A connection to the socket at `path`. Raises HeadraceError as `listen` does, OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        with _short(path) as name:
            connection.connect(name)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """The path, or where it is too long a shorter one to the same place."""
    if len(os.fsencode(path)) <= PATH_BYTES_MAX:
        yield str(path)
        return
    if not Path("/proc/self/fd").is_dir():
        raise HeadraceError(
            f"the path has more than {PATH_BYTES_MAX} bytes, and a socket cannot have it here",
            advice="Choose a shorter path, or reach the folder by a symbolic link",
            file=str(path),
        )
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
