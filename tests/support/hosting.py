"""Partitions without flows, for tests of what hosts partitions.

An event named `wait 500` makes a timer that is due 500 ms later; all else is only counted. What was
committed lies in a `Disk`, which outlives a closed partition.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from actors.intake.frame import Frame
from actors.live.data_dir import partition_path
from actors.live.hosted import Surroundings
from actors.live.opening import patiently
from actors.store.errors import HaltedError
from actors.store.partition import Partition
from core.counters import Counters
from core.document import read_flow
from ext.hashing import hash_strings

FLOW_TEXT = "headrace: 1\nflow: f\nnodes: {t: {type: on_event, event: a, next: x}, x: {type: end}}"
FLOW, _ = read_flow(FLOW_TEXT, name="f.yaml")


@dataclass(frozen=True)
class Taken:
    """A receipt."""

    accepted: int
    duplicates: int
    rejects: tuple[tuple[int, str], ...]
    commit: int
    source: bytes = b""
    sequence: int = 0
    known: tuple[int, ...] = ()


@dataclass
class Disk:
    """What a partition has committed."""

    batches: list[list[str]] = field(default_factory=list)  # events of each commit
    cursors: dict[bytes, int] = field(default_factory=dict)
    commands: list[dict[str, Any]] = field(default_factory=list)
    timers: list[int] = field(default_factory=list)
    fired: list[tuple[int, int]] = field(default_factory=list)  # (due, time)
    clock_ms: int = 0
    openings: int = 0
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    customers: set[str] = field(default_factory=set)
    order: list[str] = field(default_factory=list)

    @property
    def events(self) -> list[str]:
        return [event for batch in self.batches for event in batch]


class FakePartition:
    """Counts events and fires timers; `fail` is raised by the next call of the method it names."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.fail: dict[str, Exception] = {}
        self.gate = threading.Event()  # a commit waits for it
        self.gate.set()
        self.slices = self.snapshots = 0
        self.closed = False
        disk.openings += 1

    @property
    def next_due_ms(self) -> int | None:
        return self.disk.timers[0] if self.disk.timers else None

    @property
    def clock_ms(self) -> int:
        return self.disk.clock_ms

    @property
    def control_sequence(self) -> int:
        return len(self.disk.commands)

    @property
    def cursors(self) -> Mapping[bytes, int]:
        return self.disk.cursors

    def take(self, frames: Sequence[Frame], now_ms: int) -> list[Taken]:
        self._may_fail("take")
        assert self.gate.wait(10)
        now_ms = self._tick_to(now_ms)
        events: list[str] = []
        receipts: list[Taken] = []
        for frame in frames:
            commit = len(self.disk.batches) + 1
            again = frame.sequence and frame.sequence <= self.disk.cursors.get(frame.source, 0)
            if again:
                receipts.append(Taken(0, frame.rows, (), commit, frame.source, frame.sequence))
                continue
            if frame.sequence:
                self.disk.cursors[frame.source] = frame.sequence
            names = [frame.event_names[t] if t >= 0 else "" for t in frame.type]
            events += names
            self.disk.customers.update(frame.id_of(c) for c in range(frame.customers))
            self.disk.order.append("rows")
            for name in names:
                if name.startswith("wait "):
                    heapq.heappush(self.disk.timers, now_ms + int(name.split()[1]))
            receipts.append(Taken(frame.rows, 0, (), commit, frame.source, frame.sequence))
        self.disk.batches.append(events)
        return receipts

    def tick(self, now_ms: int) -> None:
        self._may_fail("tick")
        self._tick_to(now_ms)

    def prepare(self, command: Mapping[str, Any]) -> None:
        self._may_fail("prepare")

    def command(self, sequence: int, command: Mapping[str, Any]) -> None:
        self._may_fail("command")
        assert sequence == len(self.disk.commands) + 1
        self.disk.commands.append(dict(command))

    def snapshot(self, now: bool = False) -> bool:
        self.snapshots += 1
        self._may_fail("snapshot")
        self.slices = max(0, self.slices - 1)
        return self.slices > 0

    def wind_down(self) -> None:
        self._may_fail("wind_down")

    def settle(self) -> None:
        self._may_fail("settle")

    def tend(self) -> None:
        self._may_fail("tend")

    def counted(self) -> int:
        return len(self.disk.events)

    def put_people(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        self._may_fail("put_people")
        assert self.disk.people is not None
        self.disk.people.update({k: dict(v) for k, v in values.items()})
        self.disk.order.append("people")

    def forget_messages(self, id_hashes: Sequence[int]) -> None:
        self.disk.order.append(f"forgot {len(id_hashes)}")

    companions = ""

    def begin(self, surroundings: Surroundings) -> None:
        self._may_fail("begin")
        self.disk.order.append("begun")

    def counts(self, flow: str, version: int | None = None, now_ms: int = 0) -> Counters:
        assert FLOW is not None
        found = Counters.zeros(FLOW, 1, 0)
        found.customers = len(self.disk.events)
        return found

    def state_of(self, customer: str) -> dict[str, Any] | None:
        return {"customer": customer} if customer in self.disk.customers else None

    def export(self, path: Path) -> None:
        path.write_text("\n".join(self.disk.events))

    def close(self) -> None:
        self.closed = True

    def _tick_to(self, now_ms: int) -> int:
        self.disk.clock_ms = max(now_ms, self.disk.clock_ms + 1)
        while self.disk.timers and self.disk.timers[0] <= self.disk.clock_ms:
            due = heapq.heappop(self.disk.timers)
            self.disk.fired.append((due, self.disk.clock_ms))
        return self.disk.clock_ms

    def _may_fail(self, method: str) -> None:
        if method in self.fail:
            raise self.fail.pop(method)
        if self.closed:
            raise HaltedError("it was closed")


class Opener:
    """Opens fake partitions, and keeps them and their disks at hand."""

    def __init__(self) -> None:
        self.disks: dict[int, Disk] = {}
        self.open: dict[int, FakePartition] = {}
        self.fail: dict[int, Exception] = {}
        self.before: dict[int, Callable[[], object]] = {}  # called when one is opened

    def __call__(self, number: int) -> FakePartition:
        self.before.get(number, lambda: None)()
        if number in self.fail:
            raise self.fail[number]
        disk = self.disks.setdefault(number, Disk())
        self.open[number] = FakePartition(disk)
        return self.open[number]


def frame_of(*events: str, source: bytes = b"", sequence: int = 0, customer: str = "c") -> Frame:
    """A frame of events of one customer."""
    names = sorted(set(events))
    data = np.frombuffer(customer.encode(), np.uint8)
    offsets = np.array([0, len(data)], np.int64)
    n = len(events)
    return Frame(
        id_offsets=offsets,
        id_data=data,
        id_hash=hash_strings(data.data, offsets),
        customer=np.zeros(n, np.int32),
        type=np.array([names.index(e) for e in events], np.int32),
        event_names=names,
        occurred_ms=np.zeros(n, np.int64),
        received_ms=np.zeros(n, np.int64),
        message=np.zeros((n, 2), np.uint64),
        hash=np.arange(1, n + 1, dtype=np.uint64),
        source=source,
        sequence=sequence,
    )


class StoredPartition(FakePartition):
    """A partition in a folder: its events lie in a store's journal; timers are forgotten."""

    def __init__(self, folder: Path, *, takeover: bool = False) -> None:
        self.store = Partition.open(folder, create=True, takeover=takeover)
        disk = Disk(cursors=dict(self.store.cursors))
        for _, record in self.store.journal():
            kind, what = msgpack.unpackb(record)
            if kind == "events":
                disk.batches.append(what)
            else:
                disk.commands.append(what)
        super().__init__(disk)

    def take(self, frames: Sequence[Frame], now_ms: int) -> list[Taken]:
        receipts = super().take(frames, now_ms)
        record = msgpack.packb(("events", self.disk.batches[-1]))
        self.store.commit(record, cursors=self.disk.cursors)
        return receipts

    def command(self, sequence: int, command: Mapping[str, Any]) -> None:
        super().command(sequence, command)
        self.store.commit(msgpack.packb(("command", dict(command))))

    def events(self) -> list[str]:
        return self.disk.events

    def settle(self) -> None:
        pass

    def tend(self) -> None:
        self.store.tend()

    def close(self) -> None:
        super().close()
        self.store.close()


@dataclass(frozen=True)
class StoredFactory:
    """Opens partitions of a data directory that only store."""

    folder: Path

    def __call__(self) -> Callable[[int], StoredPartition]:
        return lambda number: patiently(lambda takeover: self._open(number, takeover))

    def _open(self, number: int, takeover: bool) -> StoredPartition:
        return StoredPartition(partition_path(self.folder, number), takeover=takeover)
