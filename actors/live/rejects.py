"""Write down which rows were refused and why, in files of bounded size, without what was in them.

DATA_DIR/rejects/rejects.jsonl is the newest; a full one is numbered away and the oldest deleted. A
line has the time, who sent the batch, the row's number in it, the place within the row, and the
code. Values, ids and messages stay out, because they may be personal and files are not rewritten
when a customer is erased.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

FILE = "rejects.jsonl"
FILE_BYTES_MAX = 16 << 20
FILES_MAX = 8


class RejectLog:
    """The files of one data directory, and how many rows were refused for what since it opened."""

    def __init__(
        self, folder: Path, *, bytes_max: int = FILE_BYTES_MAX, files_max: int = FILES_MAX
    ) -> None:
        """Write to `folder`."""
        self._path = folder / FILE
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._writing = threading.Lock()
        self.counts: Counter[str] = Counter()

    def write(self, at_ms: int, source: str, rejects: Iterable[tuple[int, str, str]]) -> None:
        """Count and write refusals: row, place, code. A disk that fails costs only the lines."""
        lines = []
        with self._writing:
            for row, place, code in rejects:
                self.counts[code] += 1
                told = {"at_ms": at_ms, "source": source, "row": row, "place": place, "code": code}
                lines.append(json.dumps(told) + "\n")
            if lines:
                try:
                    self._append("".join(lines))
                except OSError:
                    self.counts["not_written"] += len(lines)

    def _append(self, text: str) -> None:
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        with self._path.open("a") as file:
            file.write(text)
            full = file.tell() >= self._bytes_max
        if full:
            for number in range(self._files_max - 1, 0, -1):
                older = self._path.with_name(f"{FILE}.{number}")
                newer = self._path.with_name(f"{FILE}.{number - 1}") if number > 1 else self._path
                if newer.exists():
                    newer.replace(older)
