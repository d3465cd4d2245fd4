"""Keep the commands of a tenant in order: what was published, stopped, paused and resumed.

A command that stands in this log has been decided: every partition applies it, in order, once,
those that were down as soon as they are back. Commands are numbered from 1; each is a record of the
journal of a store of its own, a compressed msgpack map with at least `kind` and `at_ms`:

    schema   schema: the tenant's schema as JSON
    segments segments: the tenant's segments as JSON
    publish  flow, version, document: the flow's text, in_flight: pin, drop or reset; authored: the
             text as it was sent, where it names segments, which `document` has resolved
    stop     flow, in_flight: pin or drop
    pause    flow
    resume   flow
    erase    hashes: of the ids of customers to forget
    merge    pairs: [id, id of the customer whom that turned out to be], ...
    inherit  what was of a merged customer: merge (the number of that command), from (the hash of
             the id), into (the id), part, last, frame; with the last part record and states

`request`, where it stands, is what the client named its request, so that one sent again is known.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgpack

from actors.live.aliases import Aliases
from actors.live.data_dir import Manifest
from actors.store.errors import CorruptError
from actors.store.frames import RESTORE
from actors.store.head import Head
from actors.store.partition import Partition
from core.options import DEFAULT_SALT

SOURCE = b"control"  # of the cursors that say how far a partition got
KINDS = (
    "schema",
    "segments",
    "publish",
    "stop",
    "pause",
    "resume",
    "grant",
    "erase",
    "merge",
    "inherit",
)
MAP_BYTES = 64 << 20
COMMAND_BYTES_MAX = 64 << 20  # unpacked

Command = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """What every partition of a tenant must know.

    `salt` keys splits and A/B tests; `zone` is that of customers who have none; `schema` is the
    tenant's schema as JSON, {} for one that is open.
    """

    tenant: str
    salt: str = DEFAULT_SALT
    zone: str = "UTC"
    partitions: int = 1
    schema: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Manifest) -> TenantSettings:
        """The settings that a data directory was made with; schemas come as commands."""
        return cls(manifest.tenant, manifest.salt, manifest.zone, manifest.partitions)


@dataclass(slots=True)
class FlowState:
    """What the log says of a flow: its newest version, its text, and whether it takes people in.

    `authored` is the text as it was sent, None where that is `document`: a text that names segments
    runs with what they stood for when it was published.
    """

    flow: str
    version: int
    document: str
    status: str  # active, paused, stopped
    published_ms: int
    authored: str | None = None

    @property
    def text(self) -> str:
        """The flow as somebody wrote it."""
        return self.document if self.authored is None else self.authored


@dataclass(slots=True)
class Standing:
    """What all commands together amount to."""

    schema: dict[str, Any] = field(default_factory=dict)
    segments: dict[str, Any] = field(default_factory=dict)
    flows: dict[str, FlowState] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)  # numbers of commands by request
    aliases: Aliases = field(default_factory=Aliases)

    def apply(self, number: int, command: Command) -> None:
        """Follow one more command."""
        kind = command["kind"]
        if command.get("request"):
            self.requests[command["request"]] = number
        if kind == "schema":
            self.schema = dict(command["schema"])
        elif kind == "segments":
            self.segments = dict(command["segments"])
        elif kind == "publish":
            name = command["flow"]
            self.flows[name] = FlowState(
                name,
                command["version"],
                command["document"],
                "active",
                command["at_ms"],
                command.get("authored"),
            )
        elif kind in ("merge", "inherit", "erase"):
            self.aliases.apply(number, command)
        elif kind in ("stop", "pause", "resume"):
            status = {"stop": "stopped", "pause": "paused", "resume": "active"}[kind]
            self.flows[command["flow"]].status = status


class ControlLog:
    """The open log; make one with `open`."""

    def __init__(self, store: Partition) -> None:
        """Read what is there from an open store."""
        self._store = store
        self._commands = [self._decoded(number, data) for number, data in store.journal()]
        self.standing = Standing()
        for number, command in self.after(0):
            self.standing.apply(number, command)

    @classmethod
    def open(cls, folder: str | os.PathLike[str], *, takeover: bool = False) -> ControlLog:
        """Open the log in `folder`, made if it is not there. Raises as `Partition.open` does."""
        store = Partition.open(folder, create=True, map_bytes=MAP_BYTES, takeover=takeover)
        try:
            return cls(store)
        except BaseException:
            store.close()
            raise

    @property
    def last(self) -> int:
        """The number of the last command, 0 without any."""
        return len(self._commands)

    def append(self, command: Command) -> int:
        """Decide a command: when this returns its number, the disk has it.

        Raises ValueError for one of an unknown kind, TooLargeError, NoSpaceError, with nothing
        decided; HaltedError, after which the log must be opened again.
        """
        if command.get("kind") not in KINDS or not isinstance(command.get("at_ms"), int):
            raise ValueError(f"not a command: {command.get('kind')!r} at {command.get('at_ms')!r}")
        record = zlib.compress(msgpack.packb(command), 1)
        found = self._decoded(self.last + 1, record)
        number = self._store.commit(record)
        self._commands.append(found)
        self.standing.apply(number, found)
        return number

    def after(self, number: int) -> list[tuple[int, dict[str, Any]]]:
        """Numbers and commands after command `number`, in order."""
        return list(enumerate(self._commands[number:], number + 1))

    @property
    def store(self) -> Partition:
        """The store that it lies in."""
        return self._store

    def backup(self, to: Path) -> Head:
        """Copy it, compacted, into the new folder `to`; returns the counters of the copy."""
        return self._store.backup(to)

    def tend(self) -> None:
        """Call this every minute."""
        self._store.tend()

    def close(self) -> None:
        """Close it. Closing again does nothing."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def _decoded(self, number: int, data: bytes) -> dict[str, Any]:
        try:
            unpacking = zlib.decompressobj()
            command = msgpack.unpackb(unpacking.decompress(data, COMMAND_BYTES_MAX))
            if command["kind"] in KINDS:
                return dict(command)
            problem = f"it is of kind {command['kind']!r}"
        except (zlib.error, ValueError, KeyError, TypeError) as error:
            problem = f"it cannot be read: {error}"
        raise CorruptError(
            f"the command makes no sense: {problem}",
            advice=RESTORE,
            file=str(Path(self._store.folder)),
            pointer=f"command {number}",
        )
