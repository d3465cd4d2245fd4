"""Append messages to a file, one JSON object a line: the default where no provider is set up.

The file holds addresses and texts, so only its owner may read it. A line is whole or absent: a torn
one, from a crash or a full disk, is cut off. Lines to erased customers are removed by writing the
others anew.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from actors.relay.channels.base import Message
from actors.relay.channels.render import Encoding
from actors.relay.outcomes import Dead, Delivered, Outcome, Retry
from actors.store.side_file import sync_folder
from actors.whole_file import whole_file

PARTS: Mapping[str, Encoding] = {
    "body": "text",
    "subject": "text",
    "text": "text",
    "html": "html",
    "unsubscribe": "header",
}


class FileChannel:
    """Appends to one file, which no other process writes; messages that meet share an fsync."""

    keyed = False
    key_ttl_ms = 0
    parts = PARTS
    optional = frozenset(PARTS)

    def __init__(self, path: Path) -> None:
        """Open or make the file. Raises OSError."""
        self._path = path
        for part in path.parent.glob(f".{path.name}.*.part"):
            # From a process that died while it wrote the lines anew.
            part.unlink()
        self._file = _opened(path)
        self._lines: list[bytes] = []
        self._lock = asyncio.Lock()
        self._outcomes: dict[int, Outcome] = {}
        self._batch = 0
        _cut_torn_line(self._file)

    async def send(self, message: Message) -> Outcome:
        """Append it; Delivered once it is on disk."""
        try:
            line = json.dumps(
                {
                    "key": message.key,
                    "at_ms": message.at_ms,
                    "customer": message.customer,
                    "to": message.address,
                    **message.parts,
                    **({"mark": message.mark} if message.mark else {}),
                },
                ensure_ascii=False,
            ).encode()
        except UnicodeEncodeError:
            return Dead("body_not_utf8")
        self._lines.append(line + b"\n")
        batch = self._batch
        async with self._lock:
            if batch == self._batch:
                lines, self._lines = self._lines, []
                self._batch += 1
                self._outcomes = {batch: await asyncio.to_thread(_append, self._file, lines)}
            return self._outcomes[batch]

    async def forget(self, customers: Collection[int]) -> int:
        """Remove the lines to these customers, also when closed. Raises OSError."""
        async with self._lock:
            removed = await asyncio.to_thread(forget_lines, self._path, customers)
            if removed and self._file >= 0:
                os.close(self._file)
                self._file = _opened(self._path)
            return removed

    async def close(self) -> None:
        """Close the file. Closing again does nothing."""
        async with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1


def forget_lines(path: Path, customers: Collection[int]) -> int:
    """Write a file anew without the lines to these customers, if it has any; returns how many.

    No channel may have it open. Raises OSError.
    """
    wanted = set(customers)

    def is_theirs(line: bytes) -> bool:
        return line.endswith(b"\n") and json.loads(line).get("customer") in wanted

    with path.open("rb") as file:
        removed = sum(map(is_theirs, file))
        if removed:
            file.seek(0)
            with whole_file(path) as part, part.open("wb") as kept:
                part.chmod(0o600)
                kept.writelines(line for line in file if not is_theirs(line))
                kept.flush()
                os.fsync(kept.fileno())
            sync_folder(path.parent)
    return removed


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def _append(file: int, lines: list[bytes]) -> Outcome:
    size = os.fstat(file).st_size
    data = b"".join(lines)
    try:
        if os.write(file, data) == len(data):
            os.fsync(file)
            return Delivered()
        reason = "disk_full"
    except OSError as error:
        reason = f"os_error_{error.errno}"
    os.ftruncate(file, size)
    return Retry(reason)


def _cut_torn_line(file: int) -> None:
    """Cut the file behind its last line feed."""
    end = os.fstat(file).st_size
    at = end
    while at > 0:
        start = max(0, at - 65_536)
        found = os.pread(file, at - start, start).rfind(b"\n")
        if found >= 0:
            at = start + found + 1
            break
        at = start
    if at < end:
        os.ftruncate(file, at)
        os.fsync(file)
