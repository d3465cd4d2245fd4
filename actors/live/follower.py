"""Follow a partition's journal beside its engine, and keep every decision that it made.

A partition's state is a function of its journal, so carrying the journal out once more tells every
decision. What is found is kept in a store of its own, with snapshots of the state, so that the next
follower goes on where this one was. All of it can be thrown away: it is made anew from the journal.

    begin    the data directory's instance, the journal record and the time behind which it is whole
    version  a version's serial, flow, number and document
    log      a version's serial, how many lines, the lines (actors.live.decisions)
    erased   customers whose lines so far are shown to nobody any more
    step     nothing but how far it got

Each record begins with how far it got: the last journal record carried out, its checksum.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import msgpack
import numpy as np
import xxhash
from numpy.typing import NDArray

from actors.intake.admission import Admission
from actors.intake.directory import Directory
from actors.live.control import COMMAND_BYTES_MAX, TenantSettings
from actors.live.decisions import COLUMNS, PART_ROWS, DecisionLog, pack_lines, unpack_lines
from actors.live.partition import LivePartition
from actors.live.records import CommandRecord, Record, decode_record
from actors.live.shared_store import SharedStore
from actors.live.snapshots import Snapshotting, load_state
from actors.live.state import LiveState
from actors.live.version import LiveVersion, flow_of
from actors.store.errors import CorruptError, FormatError, StoreError, TrimmedError
from actors.store.head import Head
from actors.store.partition import Partition
from actors.store.snapshot import Snapshot
from core.hashing import hash_customer
from core.tenant_schema import TenantSchema

FORMAT = 2
STEP_RECORDS = 256
"""Journal records carried out between two commits: about a tenth of a second of work."""
SNAPSHOT_RECORDS = 20_000
BEGINNINGS_MAX = 3
PLACES_MAX = 64


class Source(Protocol):
    """What is followed: a store of `actors.live.shared_store`, or an open partition's."""

    @property
    def folder(self) -> Path:
        """Where it is."""

    @property
    def head(self) -> Head:
        """The counters after the last commit."""

    def journal(self, after: int = 0) -> Iterator[tuple[int, bytes]]:
        """Numbers and records after a number."""

    def load_snapshot(self) -> Snapshot | None:
        """The snapshot that counts."""


class StaleError(StoreError):
    """What a follower kept is of another journal, or of one that was trimmed since."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A version that is followed, and its lines. `serial` is the number of its command."""

    serial: int
    flow: str
    number: int
    log: DecisionLog


class Follower(LivePartition):
    """One partition carried out anew; make one with `following`. One thread uses it at a time.

    Lists are whole from the time `since_ms` on, 0 where nothing lacks.
    """

    def __init__(
        self, source: Source, own: Partition, tenant: TenantSettings, instance: str
    ) -> None:
        """Take up what `own` holds; StaleError where that is of another journal than `source`.

        `instance` is that of the data directory.
        """
        self._own = own
        self._instance = self._own_instance = instance
        self._check = b""
        self._fresh: list[bytes] = []  # records that are not stored yet
        self._since_snapshot = 0  # journal records
        self._erased = False  # whether somebody was, since the last snapshot
        self.followed: dict[int, Followed] = {}  # by serial
        self.since_ms = 0
        self._stored = 0  # the last journal record whose decisions are kept
        self._places = {0: 0}  # by a journal record, after which of ours those behind it come
        self.erased_at: dict[int, int] = {}
        """The journal record with which each customer was erased last, by number."""
        super().__init__(cast(Partition, source), tenant, log=True, any_engine=True)
        self._snapshotting = Snapshotting(own)

    def versions(self, flow: str) -> list[Followed]:
        """The versions of a flow, ascending."""
        return [each for each in self.followed.values() if each.flow == flow]

    def running(self, flow: str) -> list[LiveVersion]:
        """The versions of a flow with all that they remember, the newest last."""
        return self._state.find(flow)

    def try_out(self, command: Mapping[str, Any]) -> None:
        """Carry out a command that nobody gave, in a process that was forked for that.

        What is remembered is spoilt then. Raises RefusedError.
        """
        self._apply(CommandRecord(self.control_sequence + 1, dict(command)))

    def reopen(self) -> None:
        """Open what is followed again after it was closed, as it must be where a process forks."""
        self.store = cast(Partition, SharedStore.open(self.store.folder))

    @property
    def tenant(self) -> TenantSettings:
        """The tenant's settings."""
        return self._tenant

    @property
    def applied(self) -> int:
        """The last journal record that it carried out."""
        return self._applied

    @property
    def kept(self) -> int:
        """The last journal record whose decisions are kept."""
        return self._stored

    @property
    def instance(self) -> str:
        """The data directory's instance."""
        return self._instance

    def lines(self, after: int) -> Iterator[tuple[int, int, dict[str, NDArray[Any]]]]:
        """What was decided behind journal record `after`: that of each part, serial, columns.

        In the order in which it was decided, as far as it is kept. Raises CorruptError.
        """
        last = self._places.get(after, 0)
        for place, data in self._own.journal(last):
            _, reached, _, kind, *said = msgpack.unpackb(data)
            if reached < after:
                last = place  # the next look begins behind it
                continue
            if len(self._places) >= PLACES_MAX:
                self._places.pop(next(iter(self._places)))
            self._places[after] = last
            if kind == "log":
                serial, rows, packed = said
                yield reached + 1, serial, unpack_lines(packed, rows)

    def find(self, customer: str) -> int:
        """The number of a customer, -1 for one who is unknown or erased."""
        directory = self._state.directory
        number = int(directory.find(np.array([hash_customer(customer)], np.uint64))[0])
        return number if number >= 0 and directory.id_of(number) == customer else -1

    def numbers_of(self, id_hash: NDArray[np.uint64]) -> NDArray[Any]:
        """The numbers of customers by the hashes of their ids, -1 for strangers and the erased."""
        return self._state.directory.find(id_hash)

    @property
    def behind(self) -> int:
        """How many journal records there are that it did not carry out yet."""
        return self.store.head.journal_last - self._applied

    def step(self) -> bool:
        """Carry out some records and keep what was decided; whether there may be more.

        Raises CorruptError, TrimmedError, NoSpaceError: then it has to be made anew.
        """
        file, done = str(self.store.folder), 0
        for number, data in self.store.journal(self._applied):
            self._carry(number, decode_record(number, data, file))
            self._applied = number
            self._check = xxhash.xxh3_64_digest(data)
            self._snapshotting.noted(len(data))
            done += 1
            if done == STEP_RECORDS:
                break
        if self._applied > self._stored:
            self._own.commit([*self._fresh, self._packed("step")])
            self._fresh, self._stored = [], self._applied
            self._since_snapshot += done
            if self._erased or self._since_snapshot >= SNAPSHOT_RECORDS:
                # A former snapshot would still have the ids of those who were erased.
                self.save()
                self._erased = False
        return done == STEP_RECORDS

    def save(self) -> None:
        """Take a snapshot, so that the next follower need not carry out all records again."""
        if self._since_snapshot == 0:
            return
        unfinished = self._snapshotting.work(self._state, now=True)
        while unfinished:
            unfinished = self._snapshotting.work(self._state)
        self._since_snapshot = 0

    def close(self) -> None:
        """Close its own store. Closing again does nothing."""
        self._own.close()

    # -- carrying out

    def _carry(self, number: int, record: Record) -> None:
        erased: list[int] = []
        if isinstance(record, CommandRecord) and record.command["kind"] == "erase":
            found = self._state.directory.find(np.array(record.command["hashes"], np.uint64))
            erased = found[found >= 0].tolist()
        self._apply(record)
        for version in self._state.versions:
            version.take_effects()
            lines = version.machine.take_log()
            if number <= self._stored:
                continue  # carried out again behind a snapshot
            if version.serial not in self.followed:
                self._keep_version(version)
            for first in range(0, len(lines), PART_ROWS):
                self._keep("log", version.serial, lines[first : first + PART_ROWS])
        if erased and number > self._stored:
            self._fresh.append(self._packed("erased", erased))
            self._erase(erased)
            self.erased_at.update(dict.fromkeys(erased, number))
            self._erased = True

    def _keep_version(self, version: LiveVersion) -> None:
        self.followed[version.serial] = Followed(
            version.serial, version.name, version.number, DecisionLog(version.flow)
        )
        document = zlib.compress(version.document.encode(), 1)
        said = version.serial, version.name, version.number, document
        self._fresh.append(self._packed("version", *said))

    def _keep(self, kind: str, serial: int, lines: NDArray[Any]) -> None:
        self._fresh.append(self._packed(kind, serial, len(lines), pack_lines(lines)))
        columns = {name: lines[name].astype(dtype) for name, dtype in COLUMNS.items()}
        self.followed[serial].log.add(columns)

    def _erase(self, customers: Sequence[int]) -> None:
        for each in self.followed.values():
            each.log.erase(customers)

    # -- what is kept

    def _packed(self, kind: str, *said: Any) -> bytes:
        return bytes(msgpack.packb([FORMAT, self._applied, self._check, kind, *said]))

    def _recovered(self) -> None:
        """Take up what was kept, or begin: with the journal, or where it was trimmed to."""
        reached = {number: self._restore(number, data) for number, data in self._own.journal()}
        last = self._own.head.journal_last
        self._stored = reached.get(last, 0)
        if last and not self._continues():
            raise StaleError("what was kept of the decisions is of another journal")
        snapshot = self._own.load_snapshot()
        self._applied = 0 if snapshot is None else reached[snapshot.manifest.sequence]
        trimmed = self._applied + 1 < self.store.head.journal_first
        if trimmed and last:
            raise StaleError("the journal was trimmed behind what was kept of its decisions")
        if trimmed:
            snapshot = self.store.load_snapshot()
            if snapshot is None or snapshot.manifest.sequence + 1 < self.store.head.journal_first:
                raise StaleError("the journal is being trimmed")
            self._applied = snapshot.manifest.sequence
        if snapshot is None:
            schema = TenantSchema.of(self._tenant.schema)
            directory = Directory(schema, self._tenant.zone)
            admission = Admission(schema.settings, {})
            self._held = LiveState(directory, admission, tables=self._basis.tables)
        else:
            self._held = load_state(
                snapshot, self._tenant, {}, self._new_version, self._basis.tables
            )
        if last == 0:
            self._begin(trimmed)

    def _begin(self, trimmed: bool) -> None:
        self._stored = self._applied
        self.since_ms = self._state.clock_ms if trimmed else 0
        self._fresh.append(self._packed("begin", self._instance, self.since_ms))
        for version in self._state.versions:
            self._keep_version(version)
        self._own.commit(self._fresh)
        self._fresh = []
        if trimmed:
            for version in self._state.versions:
                version.machine.mark_all()  # its blocks are in the other store
            self._snapshotting = Snapshotting(self._own)
            self._since_snapshot = 1
            self.save()

    def _continues(self) -> bool:
        """Whether the journal still has the last record carried out, and it is that one."""
        head = self.store.head
        if self._stored > head.journal_last or self._own_instance != self._instance:
            return False
        if self._stored < max(1, head.journal_first):
            return True
        _, data = next(iter(self.store.journal(self._stored - 1)))
        return self._check == xxhash.xxh3_64_digest(data)

    def _restore(self, number: int, data: bytes) -> int:
        """Take up a record that was kept; the journal record that it had got to."""
        try:
            format_, reached, self._check, kind, *said = msgpack.unpackb(data)
            if format_ != FORMAT:
                raise ValueError(f"its format is {format_!r}")
            if kind == "begin":
                self._own_instance, self.since_ms = said
            elif kind == "version":
                serial, flow, version, document = said
                text = zlib.decompressobj().decompress(document, COMMAND_BYTES_MAX).decode()
                log = DecisionLog(flow_of(text, flow).core)
                self.followed[serial] = Followed(serial, flow, version, log)
            elif kind == "log":
                serial, rows, packed = said
                self.followed[serial].log.add(unpack_lines(packed, rows))
            elif kind == "erased":
                self._erase(said[0])
                self.erased_at.update(dict.fromkeys(said[0], int(reached) + 1))
            return int(reached)
        except (ValueError, TypeError, KeyError, zlib.error, msgpack.UnpackException) as error:
            raise CorruptError(
                f"the record makes no sense: {error}",
                advice="Delete the folder: it is made anew from the journal",
                file=str(self._own.folder),
                pointer=f"journal record {number}",
            ) from error


def follow(source: Source, folder: Path, tenant: TenantSettings, instance: str) -> Follower:
    """Follow `source`, going on with what is kept in `folder`, or anew where that is of no use.

    Raises as opening a store does, and CorruptError where the journal makes no sense.
    """
    for _ in range(BEGINNINGS_MAX):
        own = None
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            own = Partition.open(folder, create=True)
            return Follower(source, own, tenant, instance)
        except (StaleError, TrimmedError, CorruptError, FormatError) as error:
            # Either what was kept is of no use, or a snapshot was swept while it was read.
            if own is not None:
                own.close()
            told = error
        shutil.rmtree(folder, ignore_errors=True)
    raise told
