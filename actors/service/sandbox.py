"""Read what a sandbox would have sent: the messages of its flows, and its journey events.

Each channel writes files of its own, one for each partition; journey events go to one of theirs.
Places are file names and bytes in them, so a page stays where it was while more is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.live.engine import Engine
from actors.live.messaging import signed
from actors.relay.channels.base import Message
from actors.relay.channels.file import FileChannel, forget_lines
from actors.relay.outcomes import Outcome
from actors.relay.settings import OUTGOING
from actors.service.errors import NotFoundError
from core.hashing import hash_customer

JOURNEY = "journey"
JOURNEY_FILE = f"sandbox-{JOURNEY}.jsonl"
LINE_BYTES_MAX = 16 << 20
_FILE = re.compile(r"sandbox-([a-z_]+)(?:-(test-)?([0-9]+))?\.jsonl")
_HASHES = 2**64
_OWN = ("key", "at_ms", "customer", "to")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that stands in a file. `place` is where; `customer` is the hash of the id."""

    place: str
    channel: str
    partition: int
    test: bool
    key: str
    at_ms: int
    to: str
    customer: int
    parts: dict[str, Any]


class SandboxReceiver:
    """Takes journey events in the place of every receiver that a sandbox names."""

    def __init__(self, folder: Path) -> None:
        """Write below a data directory. Raises OSError."""
        outgoing = folder / OUTGOING
        outgoing.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = FileChannel(outgoing / JOURNEY_FILE)

    async def post(self, url: str, key: str, at_ms: int, body: str) -> Outcome:
        """Write it down."""
        said = json.loads(body)
        customer = signed(hash_customer(said["data"]["customer"]))
        return await self._file.send(Message(key, url, {"event": said}, at_ms, customer))

    async def close(self) -> None:
        """Close the file."""
        await self._file.close()


def page(engine: Engine, channel: str, after: str, limit: int) -> list[Sent]:
    """Up to `limit` messages behind a place, by channel and partition, the oldest first.

    Of all channels where none is named. Raises NotFoundError where it is no sandbox.
    """
    if not engine.manifest.sandbox:
        raise NotFoundError(
            "this tenant is no sandbox", advice="Make one: POST /v1/tenants with sandbox: true"
        )
    found: list[Sent] = []
    name, _, start = after.rpartition(":")
    for path in sorted((engine.path / OUTGOING).glob("sandbox-*.jsonl")):
        known = _FILE.fullmatch(path.name)
        if known is None or path.name < name or (channel and known[1] != channel):
            continue
        begin = int(start) if path.name == name and start.isdigit() else 0
        for at, line in _lines(path, begin):
            found.append(_sent(f"{path.name}:{at}", known, line))
            if len(found) == limit:
                return found
    return found


def forget(folder: Path, customer: str) -> None:
    """Remove the journey events of a customer who was erased. Raises OSError."""
    path = folder / OUTGOING / JOURNEY_FILE
    if path.exists():
        forget_lines(path, [signed(hash_customer(customer))])


def _lines(path: Path, begin: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The whole lines from a byte on, each with the byte behind it."""
    with path.open("rb") as file:
        if begin:
            file.seek(begin - 1)
            file.readline()  # up to the next line, should lines have been removed meanwhile
        while line := file.readline(LINE_BYTES_MAX):
            if not line.endswith(b"\n"):
                return  # it is being written
            yield file.tell(), json.loads(line)


def _sent(place: str, known: re.Match[str], line: dict[str, Any]) -> Sent:
    parts = {name: value for name, value in line.items() if name not in _OWN}
    return Sent(
        place=place,
        channel=known[1],
        partition=int(known[3] or 0),
        test=bool(known[2]),
        key=line["key"],
        at_ms=line["at_ms"],
        to=line["to"],
        customer=line["customer"] % _HASHES,
        parts=parts,
    )
