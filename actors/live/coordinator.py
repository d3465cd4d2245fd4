"""Grant what customers of different partitions compete for, while their flows are live.

Partitions number the claims of each coupled version and keep those that were not answered. The
coordinator looks for new ones, puts them in order, writes them down, and only then answers; so
after a crash it works out the same answers from what it wrote and sends again what a partition
lacks. A claim that comes late, behind others that were answered, counts as made when the last of
those was. While it is away claimed tokens wait, and all others go on; a rate of entries then goes
on from when it is back, so that those who waited do not come all at once. A partition that was
restored may lack claims that were answered, or answers that it had: its open claims count anew, and
what was granted to others stays granted, so that nothing is given twice.

Its store has a record for each round: a msgpack list of the format, the version, up to when all
claims have come, the time, and the claims of each partition with the number of the first. What was
worked out from older records is in a snapshot.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgpack
import numpy as np
from numpy.typing import NDArray

from actors.live.control import ControlLog, TenantSettings
from actors.live.errors import LiveError
from actors.live.version import flow_of, options_of
from actors.store.errors import CorruptError
from actors.store.frames import RESTORE, SLICE_BYTES_MAX
from actors.store.head import Head
from actors.store.partition import Partition
from core.couplings import ANSWER, CLAIM, Coordinator, Spec, resources_of

FORMAT = 3
MAP_BYTES = 64 << 20
SNAPSHOT_ROUNDS = 2_000
Read = Callable[[int, str, tuple[Any, ...]], Any]
"""Calls a method of a partition: its number, the method, its arguments."""


@dataclass(slots=True)
class Desk:
    """The claims of one version: how many of each partition were taken, and their answers.

    `answers[p]` ANSWER[k] are those of the last k claims of partition p that were taken, of which
    it may lack some.
    """

    coordinator: Coordinator
    last_ms: int = 0
    now_ms: int = 0  # when the last answers were given
    taken: dict[int, int] = field(default_factory=dict)
    answers: dict[int, NDArray[Any]] = field(default_factory=dict)
    told: dict[int, int] = field(default_factory=dict)  # decisions that a partition has, by number

    def align(self, number: int, acked: int, end: int) -> int:
        """Go on where a partition is, which has answers to `acked` claims and made `end`.

        Returns the number of its first claim that is new.
        """
        taken, held = self.taken.get(number, 0), self.answers.get(number, np.zeros(0, ANSWER))
        first = taken - len(held)
        if not first <= acked <= taken:
            first, held = acked, held[:0]
        self.answers[number] = held[: max(0, end - first)]
        self.taken[number] = first + len(self.answers[number])
        return self.taken[number]

    def take(
        self, claims: Mapping[int, tuple[int, NDArray[Any]]], until_ms: int, now_ms: int
    ) -> None:
        """Work out the answers, given at `now_ms`, to new claims of partitions.

        `claims` are those of a partition and the number of the first. None before `until_ms` will
        come.
        """
        self.now_ms = max(self.now_ms, now_ms)
        numbers = sorted(claims)
        if numbers:
            for number, (first, _) in claims.items():
                self.align(number, first, first)
            found = {number: mine for number, (_, mine) in claims.items()}
            together = np.concatenate([found[number] for number in numbers])
            owner = np.repeat(numbers, [len(found[number]) for number in numbers])
            order = np.lexsort(
                [together[n] for n in ("number",)] + [owner]
                + [together[n] for n in ("hash", "time_ms")]
            )  # fmt: skip
            ordered = together[order]
            ordered["time_ms"] = np.maximum.accumulate(np.maximum(ordered["time_ms"], self.last_ms))
            # One who is known in no partition but his own is told apart by his hash alone.
            ordered["customer"] = 0
            self.last_ms = int(ordered["time_ms"][-1])
            given = np.empty(len(ordered), ANSWER)
            given[order] = self.coordinator.take(ordered, self.now_ms)
            for number in numbers:
                mine = given[owner == number]
                self.taken[number] += len(mine)
                self.answers[number] = np.concatenate([self.answers[number], mine])
        self.coordinator.advance(max(until_ms, self.last_ms))
        self.last_ms = max(until_ms, self.last_ms)

    def lacking(self, number: int, acked: int) -> NDArray[Any]:
        """The answers that a partition lacks, which has those of its first `acked` claims."""
        held = self.answers.get(number, np.zeros(0, ANSWER))
        first = self.taken.get(number, 0) - len(held)
        left = held[max(0, acked - first) :]
        self.answers[number] = left
        return left

    def said(self) -> dict[str, Any]:
        """All of it, for a snapshot."""
        return {
            "coordinator": {
                name: [str(array.dtype), array.tobytes()]
                for name, array in self.coordinator.snapshot().items()
            },
            "last_ms": self.last_ms,
            "now_ms": self.now_ms,
            "taken": self.taken,
            "answers": {number: held.tobytes() for number, held in self.answers.items()},
        }

    def restore(self, said: Mapping[str, Any]) -> None:
        """Take on what `said` said."""
        self.coordinator.restore(
            {
                name: np.frombuffer(data, np.dtype(dtype))
                for name, (dtype, data) in said["coordinator"].items()
            }
        )
        self.last_ms, self.now_ms = said["last_ms"], said["now_ms"]
        self.taken = dict(said["taken"])
        self.answers = {n: np.frombuffer(data, ANSWER) for n, data in said["answers"].items()}


class CoupledVersions:
    """The versions of a control log whose customers depend on each other."""

    def __init__(self, control: ControlLog, tenant: TenantSettings) -> None:
        """Begin with none; `follow` reads the log."""
        self._control = control
        self._tenant = tenant
        self._read = 0
        self._specs: dict[int, list[Spec]] = {}

    def follow(self) -> dict[int, list[Spec]]:
        """What customers compete for, by the number of the command that published the version."""
        for number, command in self._control.after(self._read):
            self._read = number
            if command["kind"] == "publish":
                flow = flow_of(command["document"], command["flow"]).core
                if specs := resources_of(flow, options_of(command, self._tenant.salt)):
                    self._specs[number] = specs
        return self._specs


class LiveCoordinator:
    """The desks of a tenant's coupled versions, and the store in which their claims stand."""

    def __init__(self, store: Partition, partitions: int, versions: CoupledVersions) -> None:
        """Work out again what the store holds, for a tenant with so many partitions."""
        self._store = store
        self._partitions = partitions
        self._versions = versions
        self._desks: dict[int, Desk] = {}
        self._recover()

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        partitions: int,
        versions: CoupledVersions,
        *,
        takeover: bool = False,
    ) -> Self:
        """Open the store in `folder`, made if it is not there. Raises as `Partition.open` does."""
        store = Partition.open(folder, create=True, map_bytes=MAP_BYTES, takeover=takeover)
        try:
            return cls(store, partitions, versions)
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Close the store. Closing again does nothing."""
        self._store.close()

    def tend(self) -> None:
        """Call this every minute."""
        self._store.tend()

    def backup(self, to: Path) -> Head:
        """Copy the store, compacted, into the new folder `to`; returns the counters of the copy."""
        return self._store.backup(to)

    def step(self, read: Read, now_ms: int) -> int:
        """Answer what was claimed since the last step; returns how many claims were answered.

        `read` calls a method of a partition; what it raises, for a partition that is down, leaves
        that partition's claims for a later step. `now_ms` is the time, UTC: a rate of entries goes
        on from there at the earliest.
        """
        return sum(self._answer(serial, read, now_ms) for serial in self._versions.follow())

    def _desk(self, serial: int) -> Desk:
        if serial not in self._desks:
            self._desks[serial] = Desk(Coordinator(self._versions.follow()[serial]))
        return self._desks[serial]

    def _answer(self, serial: int, read: Read, now_ms: int) -> int:
        desk = self._desk(serial)
        acked: dict[int, int] = {}
        fresh: dict[int, tuple[int, NDArray[Any]]] = {}
        until_ms: int | None = None
        for number in range(self._partitions):
            try:
                first, data, clock_ms = read(number, "open_claims", (serial,))
            except LiveError:
                until_ms = desk.last_ms
                continue
            acked[number] = first
            claims = np.frombuffer(data, CLAIM)
            begin = desk.align(number, first, first + len(claims))
            if begin < first + len(claims):
                fresh[number] = begin, claims[begin - first :]
            until_ms = clock_ms if until_ms is None else min(until_ms, clock_ms)
            now_ms = max(now_ms, clock_ms)
        until_ms = desk.last_ms if until_ms is None else until_ms
        if fresh or desk.coordinator.next_decision_ms() <= until_ms:
            said = {number: [begin, claims.tobytes()] for number, (begin, claims) in fresh.items()}
            self._store.commit(msgpack.packb([FORMAT, serial, until_ms, now_ms, said]))
            desk.take(fresh, until_ms, now_ms)
            self._snapshot()
        decisions = desk.coordinator.decisions()
        answered = 0
        for number, first in acked.items():
            lacking = desk.lacking(number, first)
            told = desk.told.get(number, 0)
            if len(lacking) or told < len(decisions):
                through = first + len(lacking)
                answers = lacking.tobytes(), decisions.tobytes()
                try:
                    read(number, "grant", (serial, through, *answers))
                except LiveError:
                    continue
                desk.told[number] = len(decisions)
                answered += len(lacking)
        return answered

    def _recover(self) -> None:
        snapshot = self._store.load_snapshot()
        after = 0
        try:
            if snapshot is not None:
                after = snapshot.manifest.sequence
                names = sorted(snapshot.names())
                data = b"".join(snapshot.slice(name) for name in names)
                for serial, said in msgpack.unpackb(data, strict_map_key=False).items():
                    self._desk(serial).restore(said)
            for _, record in self._store.journal(after):
                format_, *round_ = msgpack.unpackb(record, strict_map_key=False)
                if format_ != FORMAT:
                    raise ValueError(f"a round of format {format_}")
                serial, until_ms, now_ms, said = round_
                claims = {
                    n: (begin, np.frombuffer(data, CLAIM)) for n, (begin, data) in said.items()
                }
                self._desk(serial).take(claims, until_ms, now_ms)
        except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
            raise CorruptError(
                f"what was claimed makes no sense: {error}",
                advice=RESTORE,
                file=str(self._store.folder),
            ) from error

    def _snapshot(self) -> None:
        """Spare the next opening old rounds, now and then."""
        head = self._store.head
        if head.journal_last - head.journal_first < SNAPSHOT_ROUNDS:
            return
        data = msgpack.packb({serial: desk.said() for serial, desk in self._desks.items()})
        writer = self._store.begin_snapshot()
        for number, start in enumerate(range(0, len(data), SLICE_BYTES_MAX)):
            writer.put_slice(f"{number:06}".encode(), data[start : start + SLICE_BYTES_MAX])
        writer.flip()
        self._store.sweep_snapshots()
        self._store.trim_journal(head.journal_last + 1)
