"""Run a tenant's flows for one partition's customers: rows, timers and commands in, effects out.

The state is a function of the journal. A batch is carried out in memory first, because only that
tells its effects; then inputs, effects and cursors are committed in one transaction, and whatever
goes wrong with that leaves a state that nobody was told of: it is dropped, and recovered from the
last snapshot and the journal behind it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from actors import failpoints
from actors.intake.admission import Admission, Judged
from actors.intake.directory import Directory
from actors.intake.frame import Frame
from actors.intake.joining import joined, runs_of
from actors.live.backfilling import backfill
from actors.live.basis import Basis, installed_basis, pack_tables
from actors.live.carrying import carry_basis, carry_grant, carry_time
from actors.live.control import SOURCE, Command, TenantSettings
from actors.live.effects import check_sends, stored_effects
from actors.live.errors import RefusedError
from actors.live.moving import CARRIED, carry_past, check_moved
from actors.live.places import state_of
from actors.live.receipt import LiveReceipt, receipts_of
from actors.live.records import (
    BasisRecord,
    CommandRecord,
    GrantRecord,
    Record,
    RowsRecord,
    TickRecord,
    decode_record,
    fitting,
)
from actors.live.retention import trim_journal
from actors.live.sharing import share
from actors.live.snapshots import Snapshotting, load_state
from actors.live.state import LiveState, add_counts
from actors.live.version import Columns, LiveVersion
from actors.store.errors import HaltedError
from actors.store.partition import Partition
from core.counters import Counters
from core.couplings import ANSWER, DECISION
from core.tenant_schema import TenantSchema
from core.zone_tables import ZoneTables

TICK_ALONG = 16_384
"""At most so many due customers are worked in the transaction of rows that came."""
SLICE_CUSTOMERS = 65_536
"""So many due customers are worked at a time, so that inputs wait no longer than for those."""


class LivePartition:
    """One partition, open; make one with `open`. One thread uses it at a time."""

    def __init__(
        self,
        store: Partition,
        tenant: TenantSettings,
        *,
        log: bool = False,
        retention_ms: int | None = None,
        basis: Basis | None = None,
        any_engine: bool = False,
    ) -> None:
        """Recover what the store holds; `any_engine`: whichever version's records they are."""
        self.store = store
        self._basis = basis or installed_basis()
        self._any_engine = any_engine
        self._tenant = tenant
        self._log = log
        self._retention_ms = retention_ms
        self._looked_back = 0  # the last record whose carrying out read the journal before it
        self._applied = 0  # the last journal record that was carried out
        self._next_first = 0  # where the next slice of due customers begins
        self._uncounted: dict[str, int] = {}  # rows that no record tells of yet
        self._held: LiveState | None = None
        self._recovered()
        self._snapshotting = Snapshotting(store)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        tenant: TenantSettings,
        *,
        create: bool = False,
        takeover: bool = False,
        log: bool = False,
        retention_ms: int | None = None,
        basis: Basis | None = None,
    ) -> Self:
        """Open the partition in `folder` and recover it. Raises as `store.Partition.open` does.

        With `log` every decision is kept for `take_log`. `retention_ms` is how long the journal is
        kept behind a snapshot, None for ever. `basis` is this engine and its zones, for tests.
        Where zones differ from what the partition worked under, waits are moved and that is
        committed. EngineError for records behind the snapshot that another version wrote.
        """
        store = Partition.open(Path(folder), create=create, takeover=takeover)
        try:
            opened = cls(store, tenant, log=log, retention_ms=retention_ms, basis=basis)
            opened._take_up_zones()
            return opened
        except BaseException:
            store.close()
            raise

    def close(self) -> None:
        """Close it; what was acknowledged is on the disk. Closing again does nothing."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    @property
    def _state(self) -> LiveState:
        """What it remembers. HaltedError once it was not known any more what the disk has."""
        if self._held is None:
            raise HaltedError(
                f"{self.store.folder}: a commit failed, and what it stored is not known",
                advice="Open the partition again: it tells what was stored",
            )
        return self._held

    # -- what there is

    @property
    def moving(self) -> dict[int, dict[str, Any]]:
        """What is still to be handed over of merged customers, by the hash of their ids."""
        return dict(self._state.moving)

    @property
    def clock_ms(self) -> int:
        """Its time: all work before it was carried out, of whoever had an input or was due."""
        return self._state.clock_ms

    @property
    def control_sequence(self) -> int:
        """The number of the last command that it applied."""
        return self._state.control

    @property
    def cursors(self) -> Mapping[bytes, int]:
        """The last sequence of every source."""
        return self.store.cursors

    @property
    def customers(self) -> int:
        """How many customers there are."""
        return len(self._state.directory)

    @property
    def next_due_ms(self) -> int | None:
        """The earliest time at which a timer is due, None for never."""
        due = [v.next_due_ms() for v in self._state.versions]
        return min((ms for ms in due if ms is not None), default=None)

    @property
    def row_counts(self) -> dict[str, int]:
        """Rows by what became of them, since the partition was made.

        Rows refused behind the last commit are forgotten if the process dies.
        """
        counts = dict(self._state.counts)
        add_counts(counts, self._uncounted)
        return counts

    def flows(self) -> list[dict[str, Any]]:
        """Every version under way, as a mapping of its name, number and standing."""
        return [
            {
                "flow": v.name,
                "version": v.number,
                "at_ms": v.at_ms,
                "entering": v.entering,
                "paused": v.paused,
                "inside": v.machine.inside(),
            }
            for v in self._state.versions
        ]

    def counts(self, flow: str, version: int | None = None, now_ms: int = 0) -> Counters:
        """What a version of a flow counted, the newest unless stated. RefusedError without one.

        Watches that ended by now have matured: at `now_ms`, or at the time of what came last.
        """
        found = self._version(flow, version).machine.count(max(now_ms, self._state.clock_ms))
        found.invalid_zones = self._state.invalid_zones()
        return found

    def version(self, flow: str, number: int | None = None) -> LiveVersion:
        """A version of a flow, the newest unless stated. RefusedError without one."""
        return self._version(flow, number)

    def state_of(self, customer_id: str) -> dict[str, Any] | None:
        """What is known of a customer and where he stands in each flow; None for a stranger."""
        return state_of(self._state, customer_id)

    def digest(self) -> int:
        """A hash of all customers and tokens, modulo 2**64: a sum over partitions is the tenant's.

        It does not depend on the number of partitions, on batches or on restarts.
        """
        return sum(v.digest() for v in self._state.versions) % 2**64

    def take_log(self, flow: str, version: int | None = None) -> NDArray[Any]:
        """The decisions since the last call, as `Machine.take_log`; customers by `id_of`."""
        return self._version(flow, version).machine.take_log()

    def id_hashes(self) -> NDArray[np.uint64]:
        """The hashes of customers' ids by their numbers, uint64[n]."""
        return self._state.directory.id_hashes

    def id_of(self, customer: int) -> str:
        """The id of a customer number."""
        return self._state.directory.id_of(customer)

    def _version(self, flow: str, number: int | None) -> LiveVersion:
        found = self._state.find(flow)
        if number is not None:
            found = [v for v in found if v.number == number]
        if not found:
            what = flow if number is None else f"{flow}, version {number},"
            raise RefusedError(f"{what} was never published", advice="Publish it first")
        return found[-1]

    # -- rows

    def take(self, frames: Sequence[Frame], now_ms: int) -> list[LiveReceipt]:
        """Carry out and commit frames, all or nothing; when it returns, the disk has them.

        Raises GapError for a numbered source that left one out, MovedError where a customer is
        another one by now, NoSpaceError and TooLargeError: with nothing taken in; other errors
        of the store, after which it must be opened again.
        """
        carried = False
        since_ms, met = self._state.clock_ms, set[int]()
        uncounted = dict(self._uncounted)
        records: list[Record] = []
        judged: list[tuple[Sequence[Frame], Judged]] = []
        cursors: dict[bytes, int] = {}
        self._state.admission.check_order(frames)
        check_moved(self._state, frames)
        try:
            for run in runs_of(frames):
                frame = joined(run)
                if len(run) < len(frames):
                    # Whoever is not in two frames may have inputs of one time in both; otherwise
                    # the clock would run away, by a millisecond for each of many small frames.
                    mine = set(frame.id_hash.tolist())
                    if not met.isdisjoint(mine):
                        since_ms, met = self._state.clock_ms, mine
                    met |= mine
                found = self._judge(frame, now_ms, since_ms)
                judged.append((run, found))
                add_counts(uncounted, found.counts)
                if frame.sequence and not found.whole:
                    cursors[frame.source] = frame.sequence
                if len(found.rows) == 0 and (found.whole or not frame.sequence):
                    continue
                for frame_part, historical in fitting(found.frame, found.historical):
                    until_ms = self._until(frame_part, since_ms)
                    record = RowsRecord(frame_part, historical, until_ms, uncounted)
                    uncounted = {}
                    carried = True
                    self._apply(record)
                    records.append(record)
                    self._recount(record)
            if carried:
                self._tick_along(records)
            commit = self._commit(records, cursors)
        except BaseException:
            if carried:
                self._recover()
            raise
        self._uncounted = uncounted
        return [receipt for run, found in judged for receipt in receipts_of(run, found, commit)]

    def _judge(self, frame: Frame, now_ms: int, since_ms: int) -> Judged:
        """Judge a frame; times that it states are not before `since_ms`."""
        found = self._state.admission.judge(frame, max(now_ms, since_ms), self._state.directory)
        received = found.frame.received_ms
        if len(received) and (received.min() < since_ms or np.any(np.diff(received) < 0)):
            found.frame.received_ms = np.maximum.accumulate(np.maximum(received, since_ms))
        return found

    def _until(self, frame: Frame, since_ms: int) -> int:
        latest = int(frame.received_ms.max()) + 1 if frame.rows else 0
        return max(latest, since_ms)

    # -- time

    def tick(self, now_ms: int) -> bool:
        """Fire timers due by `now_ms` and commit; whether more are due, left for the next call."""
        until_ms = max(now_ms + 1, self._state.clock_ms)
        due = sum(v.due(until_ms, 64 * SLICE_CUSTOMERS) for v in self._state.versions)
        if due == 0:
            return False
        first, last = self._slice(due)
        record = TickRecord(until_ms, first, last)
        if failpoints.armed:
            failpoints.hit("timer_pop")
        try:
            self._apply(record)
            self._commit([record], {})
        except BaseException:
            self._recover()
            raise
        self._next_first = last if last < self.customers else 0
        return any(v.due(until_ms, 1) for v in self._state.versions)

    def _tick_along(self, records: list[Record]) -> None:
        """Fire timers in the transaction of rows where they are few: a commit takes a while."""
        until_ms = self._state.clock_ms
        due = sum(v.due(until_ms, TICK_ALONG + 1) for v in self._state.versions)
        if 0 < due <= TICK_ALONG:
            record = TickRecord(until_ms, 0, self.customers)
            self._apply(record)
            records.append(record)

    def _slice(self, due: int) -> tuple[int, int]:
        """Which customers to work: all, or a range that holds about a slice of those due."""
        customers = self.customers
        if due <= SLICE_CUSTOMERS:
            return 0, customers
        width = max(1, customers * SLICE_CUSTOMERS // due)
        first = self._next_first if self._next_first < customers else 0
        return first, min(customers, first + width)

    # -- couplings

    def open_claims(self, serial: int) -> tuple[int, bytes, int]:
        """How many claims of a version were answered, those that were not (CLAIM), the clock."""
        for version in self._state.versions:
            if version.serial == serial:
                return version.answered, version.claims.tobytes(), self._state.clock_ms
        return 0, b"", self._state.clock_ms

    def grant(self, serial: int, through: int, answers: bytes, decisions: bytes) -> None:
        """Answer a version's claims up to number `through` and commit; see `GrantRecord`."""
        record = GrantRecord(
            serial,
            through,
            np.frombuffer(answers, ANSWER),
            np.frombuffer(decisions, DECISION),
            self._state.clock_ms,
        )
        try:
            self._apply(record)
            self._commit([record], {})
        except BaseException:
            self._recover()
            raise

    # -- commands

    def prepare(self, command: Command) -> None:
        """Raise what `command` would raise, and change nothing."""
        self._checked(command)

    def command(self, sequence: int, command: Command) -> None:
        """Apply a command of the control log and commit it; one that was applied does nothing."""
        if sequence <= self._state.control:
            return
        record = CommandRecord(sequence, command)
        try:
            self._apply(record)
            self._commit([record], {SOURCE: sequence})
        except BaseException:
            self._recover()
            raise

    def trial(self, command: Command) -> LiveVersion:
        """The version that a command would publish, as it would begin; nothing comes of it."""
        fresh = self._new_version(command, 0, self._state.directory, self._state.tables)
        if fresh.looks_back:
            backfill(fresh, self.store, self._applied, self._state.directory)
        return fresh

    def _checked(self, command: Command, sequence: int = 0) -> LiveVersion | None:
        """The version that a command publishes; what can't be is refused."""
        kind = command["kind"]
        if kind == "schema":
            TenantSchema.of(command["schema"])
            return None
        if kind == "segments" or kind in CARRIED:
            return None
        if kind != "publish":
            self._version(command["flow"], None)
            return None
        known = [v.number for v in self._state.find(command["flow"])]
        if command["version"] in known:
            raise RefusedError(
                f"version {command['version']} of {command['flow']} was published already",
                advice="Give a new version a new number",
            )
        state = self._state
        fresh = self._new_version(command, sequence, state.directory, state.tables)
        if fresh.name != command["flow"]:
            raise RefusedError(
                f"the document is of flow {fresh.name!r}, not {command['flow']!r}",
                advice="Publish it under its own name",
            )
        check_sends(fresh)
        return fresh

    def _new_version(
        self,
        said: Mapping[str, Any],
        serial: int,
        directory: Directory,
        tables: ZoneTables,
        columns: Columns | None = None,
    ) -> LiveVersion:
        return LiveVersion(
            said,
            serial,
            directory,
            salt=self._tenant.salt,
            zone=self._tenant.zone,
            log=self._log,
            columns=columns,
            tables=tables,
        )

    def _command(self, record: CommandRecord) -> None:
        """Carry out a command; it takes effect at its own time, the same in every partition."""
        state, command = self._state, record.command
        at_ms, kind = int(command["at_ms"]), command["kind"]
        fresh = self._checked(command, record.sequence)
        state.control = record.sequence
        state.clock_ms = max(state.clock_ms, at_ms)
        if kind == "schema":
            schema = TenantSchema.of(command["schema"])
            state.directory.adopt(schema)
            state.admission.settings = schema.settings
            return
        if kind == "segments":
            return  # versions have theirs in their documents
        if kind in CARRIED:
            CARRIED[kind](state, record)
            return
        older = state.find(command["flow"])
        if kind in ("pause", "resume"):
            for version in older:
                version.paused = kind == "pause"
            return
        inside = np.zeros(0, np.int32)
        for version in older:
            version.stop_entering(at_ms)
            if command.get("in_flight", "pin") != "pin" and not version.dropped:
                inside = np.union1d(inside, version.drop(at_ms))
        if fresh is None:
            return
        state.versions.append(fresh)
        if fresh.looks_back:
            self._looked_back = self._applied + 1
            backfill(fresh, self.store, self._applied, state.directory)
        if command.get("in_flight") == "reset":
            fresh.machine.admit(inside, at_ms)
            state.clock_ms = max(state.clock_ms, at_ms + 1)

    # -- carrying out, committing, recovering

    def _apply(self, record: Record) -> None:
        """Carry a record out in memory; live and in a replay alike."""
        state = self._state
        if isinstance(record, GrantRecord):
            carry_grant(state, record)
            return
        if isinstance(record, BasisRecord):
            carry_basis(state, record, self._basis.tables)
            return
        if isinstance(record, CommandRecord):
            self._command(record)
            sent = carry_past(state, record.command)
        else:
            sent = carry_time(state, record)
        share(state, sent)
        for version in state.versions:
            version.collect_claims()

    def _take_up_zones(self) -> None:
        """Work under the zones of this engine from now on; what waits by the former is moved."""
        state = self._state
        tables = self._basis.tables.keeping(state.tables)
        if tables.digest == state.tables.digest:
            return
        if not state.versions:
            # Nothing waits: it is told with the first record that may make something wait.
            state.tables, state.told = tables, False
            return
        record = BasisRecord(self._basis.engine, pack_tables(tables))
        self._apply(record)
        self._commit([record], {})

    def _untold(self) -> list[Record]:
        """The record, if one is due, that tells under what the next ones are carried out."""
        state, engine = self._state, self._basis.engine
        if state.told and state.engine == engine:
            return []
        record = BasisRecord(engine, b"" if state.told else pack_tables(state.tables))
        state.engine, state.told = engine, True
        return [record]

    def _commit(self, records: Sequence[Record], cursors: Mapping[bytes, int]) -> int:
        """Store records with the effects they had, and the cursors of their sources."""
        if not records:
            return self.store.head.journal_last
        records = [*self._untold(), *records]
        if failpoints.armed:
            failpoints.hit("after_apply_before_commit")
        effects: list[bytes] = []
        for version in self._state.versions:
            taken = version.take_effects()
            if len(taken):
                effects += stored_effects(self._tenant.tenant, version, taken)
        encoded = [record.encode() for record in records]
        self._applied = self.store.commit(encoded, effects, cursors)
        self._snapshotting.noted(sum(map(len, encoded)))
        return self._applied

    def _recovered(self) -> None:
        """Take the state of the last snapshot and all records behind it."""
        snapshot, after = self.store.load_snapshot(), 0
        if snapshot is None:
            schema = TenantSchema.of(self._tenant.schema)
            directory = Directory(schema, self._tenant.zone)
            admission = Admission(schema.settings, self.store.cursors)
            self._held = LiveState(directory, admission, tables=self._basis.tables)
        else:
            after = snapshot.manifest.sequence
            self._held = load_state(
                snapshot, self._tenant, self.store.cursors, self._new_version, self._basis.tables
            )
        file = str(self.store.folder)
        self._applied = after
        for number, data in self.store.journal(after):
            record = decode_record(number, data, file)
            if not self._any_engine:
                self._basis.check(record, self._state.engine, number, file)
            self._apply(record)
            self._applied = number
            if isinstance(record, RowsRecord):
                self._recount(record)
            for version in self._state.versions:
                version.take_effects()

    def _recount(self, record: RowsRecord) -> None:
        """Remember that rows of the journal were taken in."""
        frame = record.frame
        now_ms = record.until_ms - 1
        rows = np.arange(frame.rows)
        self._state.admission.accept(Judged(frame, rows, record.historical, now_ms))

    def _recover(self) -> None:
        """Drop what was carried out and not committed."""
        self._held = None
        try:
            self._recovered()
            self._snapshotting = Snapshotting(self.store)
        except HaltedError:
            # The store halts with whatever failed; that is what the caller is told. Nothing of a
            # state that may be false is told to anybody.
            self._held = None

    # -- care

    def snapshot(self, now: bool = False) -> bool:
        """Do a slice of a snapshot's work, if one is due or asked for; True while unfinished."""
        return self._snapshotting.work(self._state, now=now)

    def tend(self) -> None:
        """Do what must be done every minute."""
        self.store.tend()
        if self._snapshotting.under_way:
            return
        clock_ms, covered = self._state.clock_ms, self._snapshotting.covered
        for version in self._state.versions:
            version.forget(clock_ms)
        # A replay must find in the journal what was found there.
        found_again = covered >= self._looked_back and not self._state.moving
        if self._retention_ms is not None and found_again:
            trim_journal(self.store, covered, clock_ms - self._retention_ms)
