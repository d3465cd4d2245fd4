"""Look at the machine that a data directory is on: its clock, its disk, its file system, limits."""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path

REMOTE = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "lustre"),
        *("glusterfs", "gfs2", "ocfs2"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone"),
    )
)
MEMORY = frozenset(("tmpfs", "ramfs"))
_MOUNTS = Path("/proc/self/mounts")
_TIME_ERROR = 5  # what adjtimex(2) returns for a clock that is not synchronised
_STA_UNSYNC = 0x0040
_STATUS_AT = 40  # of `struct timex` where a long has 8 bytes
_TIMEX_BYTES = 208


def clock_synchronised() -> tuple[bool | None, str]:
    """Whether the kernel holds the clock for synchronised; None and why where it cannot be told.

    By adjtimex(2), which needs no right for a look.
    """
    if not sys.platform.startswith("linux") or ctypes.sizeof(ctypes.c_long) != 8:
        return None, "only Linux of 64 bits tells"
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (OSError, AttributeError) as error:
        return None, f"adjtimex cannot be called: {error}"
    if state < 0:
        return None, f"adjtimex: {os.strerror(ctypes.get_errno())}"
    status = int.from_bytes(buffer.raw[_STATUS_AT : _STATUS_AT + 4], sys.byteorder)
    return state != _TIME_ERROR and not status & _STA_UNSYNC, ""


def file_system(folder: Path, mounts: str | None = None) -> str:
    """The type of the file system that `folder` is on, "" where the system does not say."""
    if mounts is None:
        try:
            mounts = _MOUNTS.read_text()
        except OSError:
            return ""
    path = str(folder.resolve())
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        place = fields[1].encode().decode("unicode_escape")
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, kind = place, fields[2]
    return kind


def bytes_max() -> tuple[int, str]:
    """The least limit on what a process may map or a file may grow to, and its name; 0 for none."""
    found = []
    for name, limit in (("ulimit -v", resource.RLIMIT_AS), ("ulimit -f", resource.RLIMIT_FSIZE)):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            found.append((soft, name))
    return min(found, default=(0, ""))
