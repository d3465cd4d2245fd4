"""Watch how full the disk and the memory are, so that a shard says no before they are.

Above the mark new rows are refused; timers, reads and commands go on, because they end work.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from actors.live.errors import BusyError, FullError, LiveError

LOOK_AGAIN_S = 0.25
MEMORY_RETRY_MS = 1_000
_STATM = Path("/proc/self/statm")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Marks:
    """Where it is full. Shares of the disk's size, between 0 and 1; bytes of memory.

    With more than `disk_spare_bytes` free a disk is never full: a tenth of a large disk is a lot.
    """

    disk_warn: float = 0.8
    disk_full: float = 0.9
    disk_spare_bytes: int = 64 << 30
    memory_bytes: int = 0  # 0: four fifths of the machine's


class Watermarks:
    """Looks now and then, and remembers in between. Any thread may ask."""

    def __init__(self, folder: Path, marks: Marks) -> None:
        """Watch the disk that `folder` is on and this process's memory."""
        self._folder = folder
        self._marks = marks
        self.memory_max = marks.memory_bytes or machine_memory_bytes() * 4 // 5
        self._looked_s = -1e9
        self.disk_used = 0.0
        self.disk_free = 0
        self.memory_bytes = 0

    def look(self) -> None:
        """Look again, if the last look is a while ago."""
        now = time.monotonic()
        if now - self._looked_s < LOOK_AGAIN_S:
            return
        self._looked_s = now
        found = os.statvfs(self._folder)
        self.disk_free = found.f_bavail * found.f_frsize
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        self.disk_used = used / max(1, used + self.disk_free)
        self.memory_bytes = resident_bytes()

    @property
    def disk_state(self) -> str:
        """`ok`, `warn` or `full`, as of the last look."""
        if self.disk_free >= self._marks.disk_spare_bytes:
            return "ok"
        if self.disk_used >= self._marks.disk_full:
            return "full"
        return "warn" if self.disk_used >= self._marks.disk_warn else "ok"

    def refusal(self) -> LiveError | None:
        """Why no more rows can be taken in now, or None."""
        self.look()
        if self.disk_state == "full":
            return FullError(
                f"the disk is {self.disk_used:.0%} full, and from {self._marks.disk_full:.0%} on "
                "nothing is taken in",
                advice="Free space there, then send the same again",
                file=str(self._folder),
            )
        if self.memory_bytes > self.memory_max:
            return BusyError(
                f"the shard uses {self.memory_bytes >> 20:,} MiB of memory, and from "
                f"{self.memory_max >> 20:,} MiB on nothing is taken in",
                retry_after_ms=MEMORY_RETRY_MS,
                advice="Give it more memory, or more shards on other machines",
            )
        return None


def resident_bytes() -> int:
    """The memory that this process uses, 0 where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def machine_memory_bytes() -> int:
    """The memory that this process may use: the machine's, or less where it is confined."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        confined = _CGROUP_LIMIT.read_text().strip()
    except OSError:
        return physical
    return min(physical, int(confined)) if confined.isdigit() else physical
