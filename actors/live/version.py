"""Run one version of a flow in one partition: translate frames to its program, and keep its state.

Texts are coded by the version's own dictionaries, whose order means nothing; those that its
document names are in them from the start, so a text that is new can pass no test of equality.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.intake.directory import Directory
from actors.intake.frame import DTYPES, UPSERT, Frame, Sparse
from actors.live.records import GrantRecord
from actors.live.text_tables import TextTables
from core.audience import INT64_MIN, Audience, Column, Kind
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.conditions import EntryRef
from core.couplings import CLAIM, TrialSpec, resources_of
from core.couplings import Kind as ClaimKind
from core.document import read_flow
from core.duration import DAY_MS
from core.errors import HeadraceError
from core.flow import Flow
from core.hashing import hash_bytes, hash_parts
from core.internal_events import MADE_BY_SENDS, MESSAGE_SENT
from core.nodes import BranchAttribute
from core.options import RunOptions
from core.program import ColumnName, Program
from core.schedule_places import places_after
from core.zone_tables import ZoneTables
from ext import moved
from ext.live import LiveMachine

LIFE_MS = 3653 * DAY_MS
"""A version lives for ten years at most; hours and schedules are laid out for as long."""
HISTORICAL = 1 << 30
ECHO = 1 << 29
ROOM_MIN = 1024
FORGET_ROWS = 1 << 16
REPORTED = "message_handed_over"
"""By this event a relay tells that a provider took a message."""
Array = NDArray[Any]
Columns = dict[str, tuple[Kind, list[str] | None]]


def flow_of(document: str, name: str) -> Flow:
    """The flow that a document's text is. HeadraceError with the first thing that is wrong."""
    flow, violations = read_flow(document, name=name)
    if flow is None:
        first = min(violations)
        raise HeadraceError(first.message, advice=first.advice, file=name, pointer=first.pointer)
    return flow


def options_of(said: Mapping[str, Any], salt: str) -> RunOptions:
    """What a version that was published so is run with; `entry_rate` is the tenant's then."""
    at_ms = said["at_ms"]
    return RunOptions(
        from_ms=at_ms,
        until_ms=at_ms + LIFE_MS,
        horizon_ms=at_ms + LIFE_MS,
        salt=salt,
        entry_rate=said.get("entry_rate"),
    )


class LiveVersion:
    """One published version; `machine` holds its state.

    `entering` says whether it takes people in, `paused` whether it stands still, `dropped` whether
    everybody was taken out of it for good.
    """

    def __init__(
        self,
        said: Mapping[str, Any],
        serial: int,
        directory: Directory,
        *,
        salt: str,
        zone: str,
        log: bool = False,
        columns: Columns | None = None,
        tables: ZoneTables | None = None,
    ) -> None:
        """Compile and bind it for the customers that `directory` has now; it begins at `at_ms`.

        `said` has `flow` (its name), `document` (its text), `number` or `version`, and `at_ms`, as
        a command to publish does; `serial` is that command's number. With `columns`, those of a
        snapshot, it begins without customers, who are loaded then. `tables` are the zones', those
        of the tzdata package unless stated. Raises HeadraceError where the flow is wrong or does
        not fit the tenant's schema.
        """
        self.serial = serial
        self.document: str = said["document"]
        self.flow = flow_of(self.document, said["flow"]).core
        self.number: int = said["number"] if "number" in said else said["version"]
        self.at_ms: int = said["at_ms"]
        self.entering, self.paused, self.dropped = True, False, False
        self.program: Program = compile_flow(self.flow)
        self.entry_rate: int | None = said.get("entry_rate")
        self._options = replace(options_of(said, salt), audience_zone=zone)
        self.specs = resources_of(self.flow, self._options)
        self.claims: Array = np.zeros(0, CLAIM)  # that are not answered
        self.answered = 0  # claims before those
        self.decided: set[int] = set()  # resources
        # Those of other flows too.
        self.hears_sends = not set(MADE_BY_SENDS).isdisjoint(self.program.events)
        self._effects: list[Array] = []  # that other flows were told of
        audience = directory.audience(self._attributes())
        if columns is not None:
            audience = _without_customers(audience, columns)
        self._tables = tables
        self.bound: Bound = bind(self.program, self._seeded(audience), self._options, tables)
        self._zones = len(audience.zone_names)
        self._type_of = {name: i for i, name in enumerate(self.program.events)}
        self._column_of = {name: i for i, name in enumerate(self.program.columns)}
        self._codes: dict[int, dict[str, int]] = {}
        self._texts = TextTables(self.bound)
        self._windows = self._look_backs()
        self._forget_at = FORGET_ROWS
        self.machine = LiveMachine(self.bound, max(ROOM_MIN, self.bound.customers), log=log)

    @property
    def name(self) -> str:
        """The flow's name."""
        return self.flow.flow

    def _attributes(self) -> list[str]:
        """The attributes that the flow names."""
        return [c.name for c in self.program.columns if c.family == "attribute"]

    def _look_backs(self) -> dict[str, int | None]:
        """How far conditions look back to events of each type, ms; None for ever."""
        found: dict[str, int | None] = {}
        for spec in self.program.preds:
            if spec.event is None:
                continue
            before = found.get(spec.event, 0)
            window = spec.window_ms
            found[spec.event] = None if window is None or before is None else max(before, window)
        return found

    def _literals(self) -> Iterator[tuple[str, str]]:
        """Every text that the document compares a column with: (column's name, text)."""
        for spec in self.program.preds:
            if spec.test is None or isinstance(spec.test.operand, EntryRef):
                continue
            operand = spec.test.operand
            found = operand if isinstance(operand, list) else [operand]
            held: Any = self.program.columns if spec.source == 0 else self.program.properties
            name = held[spec.column]
            for each in found:
                if isinstance(each, str):
                    yield (name.name if isinstance(name, ColumnName) else name), each
        for node in self.flow.nodes.values():
            if isinstance(node, BranchAttribute):
                for values in node.branches.values():
                    for each in values:
                        if isinstance(each, str):
                            yield node.attribute, each

    def _seeded(self, audience: Audience) -> Audience:
        """The audience with the document's texts in the dictionaries."""
        literals: dict[str, dict[str, None]] = {}
        for name, text in self._literals():
            literals.setdefault(name, {})[text] = None

        def extended(name: str, column: Column) -> Column:
            if column.kind != "string":
                return column
            known = list(column.dictionary or ())
            there = set(known)
            known += [text for text in literals.get(name, ()) if text not in there]
            return Column("string", column.values, known)

        return replace(
            audience,
            attributes={n: extended(n, c) for n, c in audience.attributes.items()},
            properties={n: extended(n, c) for n, c in audience.properties.items()},
        )

    # -- work

    def take(
        self,
        frame: Frame,
        numbers: NDArray[np.int32],
        historical: NDArray[np.bool_],
        until_ms: int,
        *,
        resting: bool = False,
    ) -> None:
        """Carry out those rows of a frame that the flow refers to, and their customers' timers.

        `numbers` int32[k] are those of the frame's customers, `historical` bool[n] says which
        events came too late to be more than history. While it is paused nobody moves: events are
        history, and changes are made; likewise behind the end of its life, for which no hours
        are laid out, and where it is to be `resting`.
        """
        if self.dropped:
            return
        if MESSAGE_SENT in self.program.histories and REPORTED in frame.event_names:
            self._remember_reports(frame, numbers)
        if not self._feed(frame, numbers, historical):
            return
        if resting or self.paused or until_ms > self._options.horizon_ms:
            self.machine.observe()
        else:
            self.machine.work(until_ms)

    def backfill(self, frame: Frame, numbers: NDArray[np.int32]) -> None:
        """Remember a frame's events of the time before the version began."""
        if MESSAGE_SENT in self.program.histories and REPORTED in frame.event_names:
            self._remember_reports(frame, numbers)
        if self._feed(frame, numbers, np.ones(frame.rows, np.bool_), changes=False):
            self.machine.observe()

    def remember_sends(self, frame: Frame, numbers: NDArray[np.int32]) -> None:
        """Remember what another version sent, as `hear` takes it, if a condition looks back."""
        if not (self.dropped or set(MADE_BY_SENDS).isdisjoint(self.program.histories)):
            self._feed(frame, numbers, np.ones(frame.rows, np.bool_))
            self.machine.observe()

    def hear(self, frame: Frame, numbers: NDArray[np.int32], until_ms: int) -> None:
        """Let what another version sent happen; it is remembered already."""
        if not self.hears_sends or self.dropped or self.paused:
            return
        if until_ms <= self._options.horizon_ms:
            self._feed(frame, numbers, np.zeros(frame.rows, np.bool_), echo=True)
            self.machine.work(until_ms)

    def _remember_reports(self, frame: Frame, numbers: NDArray[np.int32]) -> None:
        """Remember what was sent before the version began, when a relay tells of it."""
        reports = frame.type == frame.event_names.index(REPORTED)
        delay_ms = np.zeros(frame.rows, np.int64)
        part = frame.properties.get("delay_ms")
        if part is not None and part.kind == "int64":
            delay_ms[part.rows] = np.maximum(part.values, 0)
        sent_ms = frame.occurred_ms - delay_ms
        rows = np.flatnonzero(reports & (sent_ms < self.at_ms))
        if len(rows) == 0:
            return
        told = frame.take(rows)
        told.event_names = [MESSAGE_SENT if n == REPORTED else n for n in told.event_names]
        told.occurred_ms = sent_ms[rows]
        number_of = dict(zip(frame.id_hash.tolist(), numbers.tolist(), strict=True))
        mine = np.array([number_of[h] for h in told.id_hash.tolist()], np.int32)
        self._feed(told, mine, np.ones(told.rows, np.bool_), changes=False)
        self.machine.observe()

    def new_effects(self) -> Array:
        """The messages asked for since the last call, EFFECT; `take_effects` has them too."""
        made: Array = self.machine.take_effects()
        if len(made):
            self._effects.append(made)
        return made

    def take_effects(self) -> Array:
        """The messages asked for since the last call, EFFECT records in the order of the work."""
        found = [*self._effects, self.machine.take_effects()]
        self._effects = []
        return np.concatenate(found)

    def moves(self, until_ms: int) -> bool:
        """Whether anybody moves in it before a time."""
        return not (self.dropped or self.paused or until_ms > self._options.horizon_ms)

    @property
    def looks_back(self) -> bool:
        """Whether any condition asks for events of the past."""
        return bool(self.program.histories)

    def tick(self, until_ms: int, first: int, last: int) -> None:
        """Fire the timers due before `until_ms` of the customers [first, last)."""
        if not self.paused and not self.dropped:
            self.machine.tick(until_ms, first, last)

    def due(self, until_ms: int, enough: int) -> int:
        """How many customers are due before `until_ms`, counted up to `enough`."""
        return 0 if self.paused or self.dropped else self.machine.due(until_ms, enough)

    def next_due_ms(self) -> int | None:
        """When the next timer is due, None for never, or while it is paused."""
        return None if self.paused or self.dropped else self.machine.next_due_ms()

    def stop_entering(self, at_ms: int) -> None:
        """Let nobody enter from `at_ms` on."""
        self.entering = False
        self.machine.close_entries(at_ms)

    def drop(self, at_ms: int) -> NDArray[np.int32]:
        """Take everybody out for good; returns the numbers of those who were inside."""
        self.dropped = True
        return self.machine.drop(at_ms)

    def erase(self, numbers: NDArray[np.int32], at_ms: int) -> None:
        """Forget customers: their tokens leave, and they are as though they had just joined."""
        self.machine.erase(numbers, at_ms)

    def forget(self, now_ms: int) -> None:
        """Drop rows that no condition looks back to any more, once most are such."""
        rows = self.machine.rows()
        if rows < self._forget_at:
            return
        limits = np.full(len(self.program.events), INT64_MIN, np.int64)
        for name, i in self._type_of.items():
            window = self._windows.get(name, 0)
            if window is not None:
                limits[i] = now_ms - window
        kept = self.machine.forget(limits)
        self._forget_at = max(FORGET_ROWS, 2 * kept)

    def join(self, id_hash: NDArray[np.uint64], directory: Directory) -> None:
        """Add the last customers of the directory, uint64[k]; what they have comes as rows."""
        self.learn_zones(directory)
        columns = [
            np.full(len(id_hash), _missing(c.kind, name), c.values.dtype)
            for c, name in zip(self.bound.columns.customer, self.program.columns, strict=True)
        ]
        created_ms, zone_code = directory.since(len(directory) - len(id_hash))
        self.machine.join(id_hash, created_ms, self.bound.zones.of_code[zone_code], columns)

    def collect_claims(self) -> None:
        """Keep what customers claimed until it is answered."""
        if self.specs:
            self.claims = np.concatenate([self.claims, self.machine.take_claims()])

    def grant(self, record: GrantRecord, clock_ms: int) -> None:
        """Answer the oldest claims; an answer takes effect now, or at its own time if later."""
        count = record.through - self.answered
        mine, self.claims = self.claims[:count], self.claims[count:]
        self.answered = record.through
        who = mine["kind"] <= ClaimKind.COUPON
        answers = record.answers[-count:][who] if count else record.answers[:0]
        self.machine.grant(
            mine["customer"][who],
            mine["number"][who],
            np.maximum(answers["time_ms"], clock_ms),
            answers["result"],
        )
        for time_ms, resource, branch in record.decisions.tolist():
            spec = self.specs[resource]
            if resource not in self.decided and isinstance(spec, TrialSpec):
                self.decided.add(resource)
                node = self.program.node_ids.index(spec.node)
                self.machine.decide(node, max(time_ms, clock_ms), branch)

    def take_changes(self) -> Frame | None:
        """What the flow did to customers' records since the last call; None where it did nothing.

        The frame's customers are numbers of the partition, and its rows are in the order of time.
        """
        made = self.machine.take_changes()
        if len(made) == 0:
            return None
        made = made[np.argsort(made["time_ms"], kind="stable")]
        frame = frame_of_changes(made["customer"].astype(np.int32), made["time_ms"])
        for c in np.unique(made["column"]).tolist():
            rows = np.flatnonzero(made["column"] == c).astype(np.int32)
            name, column = self.program.columns[c], self.bound.columns.customer[c]
            bits = made["value"][rows]
            values = bits.view(np.float64) if column.kind == "float64" else bits
            part = Sparse(column.kind, rows, values.astype(column.values.dtype), column.dictionary)
            families = {"attribute": frame.attributes, "tag": frame.tags, "group": frame.groups}
            families[name.family][name.name] = part
        return frame

    def learn_zones(self, directory: Directory) -> None:
        """Take in zones that nobody was in before."""
        if len(directory.zone_names) != self._zones:
            self._bind_anew(directory)
            self.machine.rebind(self.bound)

    def retable(self, tables: ZoneTables, directory: Directory) -> None:
        """Take other tables of zones: what waits for a local time is moved (semantics D46).

        The directory must know the customers that the machine has, and no others.
        """
        old = self.bound
        self._tables = tables
        self._bind_anew(directory)
        was, places = moved.places(self.machine)
        now = self.bound.zones.of_code[directory.since(0)[1]]
        places = places_after(old, self.bound, places, was, now)
        moved.retable(self.machine, self.bound, now, places, self.entering)

    def _bind_anew(self, directory: Directory) -> None:
        empty = _without_customers(directory.audience(self._attributes()), self.columns())
        self.bound = bind(self.program, self._seeded(empty), self._options, self._tables)
        self._zones = len(directory.zone_names)
        self._codes = {}
        self._texts = TextTables(self.bound)

    def _feed(
        self,
        frame: Frame,
        numbers: NDArray[np.int32],
        historical: NDArray[np.bool_],
        *,
        changes: bool = True,
        echo: bool = False,
    ) -> bool:
        """Hand over those rows of a frame that the flow refers to; False if there are none.

        With `echo` they are events that are remembered already, and happen now.
        """
        types = np.array([self._type_of.get(n, -1) for n in frame.event_names] + [-1], np.int32)
        type_of_row = types[frame.type]
        rows = np.flatnonzero(type_of_row >= 0)
        marks = np.where(historical[rows], HISTORICAL, ECHO if echo else 0).astype(np.int32)
        type_ = type_of_row[rows] + marks
        value = np.zeros(len(rows), np.int64)
        made = list(self._changes(frame)) if changes and np.any(frame.type == UPSERT) else []
        if made:
            rows = np.concatenate([rows, *(r for r, _, _ in made)])
            type_ = np.concatenate([type_, *(np.full(len(r), t, np.int32) for r, t, _ in made)])
            value = np.concatenate([value, *(v for _, _, v in made)])
        if len(rows) == 0:
            return False
        customer = numbers[frame.customer[rows]]
        order = np.lexsort((rows, customer)) if made else np.argsort(customer, kind="stable")
        rows, type_, value = rows[order], type_[order], value[order]
        received = frame.received_ms[rows]
        self.machine.feed(
            customer[order],
            type_,
            received,
            np.minimum(frame.occurred_ms[rows], received),
            frame.hash[rows],
            value,
            self._properties(frame, rows, type_ >= 0),
        )
        if self._texts.extend():
            self.machine.rebind(self.bound)
        return True

    def _changes(self, frame: Frame) -> Iterator[tuple[NDArray[np.int32], int, NDArray[np.int64]]]:
        """Rows, type and value of the frame's changes of columns that the flow refers to."""
        families = (
            ("attribute", frame.attributes), ("tag", frame.tags), ("group", frame.groups)
        )  # fmt: skip
        for family, parts in families:
            for name, part in parts.items():
                c = self._column_of.get(ColumnName(family, name))
                if c is None:
                    continue
                column = self.bound.columns.customer[c]
                if part.kind != column.kind:
                    continue
                values = part.values
                if part.kind == "string":
                    values = self._coded(column, part)
                elif part.kind == "float64":
                    values = np.ascontiguousarray(values).view(np.int64)
                yield part.rows, -1 - c, values.astype(np.int64)
        if frame.zone is not None:
            names = frame.zone.dictionary or []
            code_of = {name: code for code, name in enumerate(self.bound.audience.zone_names)}
            codes = np.array([code_of.get(name, -1) for name in names] + [-1])
            table = self.bound.zones.of_code[codes].astype(np.int64)
            yield frame.zone.rows, -1 - len(self.program.columns), table[frame.zone.values]

    def _coded(self, column: Column, part: Sparse) -> NDArray[np.int32]:
        """The version's codes of a text column's values; new texts get one."""
        assert column.dictionary is not None
        texts = column.dictionary
        codes = self._codes.get(id(texts))
        if codes is None:
            codes = self._codes[id(texts)] = {text: code for code, text in enumerate(texts)}
        moved = np.empty(len(part.dictionary or ()) + 1, np.int32)
        moved[-1] = -1
        for place, text in enumerate(part.dictionary or ()):
            code = codes.get(text)
            if code is None:
                code = codes[text] = len(texts)
                texts.append(text)
            moved[place] = code
        found: NDArray[np.int32] = moved[part.values]
        return found

    def _properties(
        self, frame: Frame, rows: NDArray[np.int64], events: NDArray[np.bool_]
    ) -> list[Array]:
        """A column of each property for the rows as they are fed."""
        found = []
        place: NDArray[np.int64] | None = None
        for name, column in zip(self.program.properties, self.bound.columns.property, strict=True):
            values = np.full(len(rows), _missing(column.kind), column.values.dtype)
            part = frame.properties.get(name)
            if part is not None and part.kind == column.kind:
                if place is None:
                    place = np.full(frame.rows, -1, np.int64)
                    place[rows[events]] = np.flatnonzero(events)
                mine = self._coded(column, part) if part.kind == "string" else part.values
                at = place[part.rows]
                values[at[at >= 0]] = mine[at >= 0]
            found.append(values)
        return found

    # -- what is there

    def columns(self) -> Columns:
        """Kind and texts of every column by name, `attribute/...` and `property/...`.

        A version keeps them whatever becomes of the schema: what customers had stays readable.
        """
        held = self.bound.columns
        found: Columns = {
            f"attribute/{name.name}": (column.kind, column.dictionary)
            for name, column in zip(self.program.columns, held.customer, strict=True)
            if name.family == "attribute"
        }
        for prop, column in zip(self.program.properties, held.property, strict=True):
            found[f"property/{prop}"] = (column.kind, column.dictionary)
        return found

    def digest(self) -> int:
        """An order-free hash of all that the version remembers, modulo 2**64."""
        ids = self.program.node_ids
        nodes = np.array([hash_parts(self.name, self.number, node) for node in ids], np.uint64)
        columns: list[Array | None] = []
        for column in self.bound.columns.customer:
            texts = column.dictionary if column.kind == "string" else None
            columns.append(
                None
                if texts is None
                else np.array([hash_bytes(t.encode()) for t in texts] or [0], np.uint64)
            )
        zones = np.zeros(len(self.bound.zones.tables), np.uint64)
        tables = self.bound.zones.of_code.tolist()
        for name, table in zip(self.bound.audience.zone_names, tables, strict=False):
            zones[table] = hash_bytes(name.encode()) if table else 0
        columns.append(zones)
        return self.machine.digest(nodes, columns)


def frame_of_changes(customer: NDArray[np.int32], ms: NDArray[np.int64]) -> Frame:
    """A frame of changes of customers' records without any, by the partition's numbers."""
    n = len(customer)
    return Frame(
        id_offsets=np.zeros(1, np.int64),
        id_data=np.zeros(0, np.uint8),
        id_hash=np.zeros(0, np.uint64),
        customer=customer,
        type=np.full(n, UPSERT, np.int32),
        event_names=[],
        occurred_ms=ms,
        received_ms=ms,
        message=np.zeros((n, 2), np.uint64),
        hash=np.zeros(n, np.uint64),
    )


def _missing(kind: str, name: ColumnName | None = None) -> float | int:
    if name is not None and name.family != "attribute":
        return 0
    if kind == "float64":
        return float("nan")
    return -1 if kind in ("string", "bool") else INT64_MIN


def _without_customers(audience: Audience, kept: Columns) -> Audience:
    """The audience with nobody in it, and with the columns that a version has."""

    def columns(family: str, known: Mapping[str, Column]) -> dict[str, Column]:
        found = {name: (column.kind, column.dictionary) for name, column in known.items()}
        for name, (kind, texts) in kept.items():
            if name.startswith(f"{family}/"):
                found[name.removeprefix(f"{family}/")] = kind, texts
        return {
            name: Column(
                kind, np.zeros(0, DTYPES[kind]), list(texts or ()) if kind == "string" else None
            )
            for name, (kind, texts) in found.items()
        }

    none = np.zeros(0, np.int8)
    return replace(
        audience,
        id_offsets=audience.id_offsets[:1],
        id_data=audience.id_data[:0],
        id_hash=audience.id_hash[:0],
        created_ms=audience.created_ms[:0],
        zone_code=audience.zone_code[:0],
        attributes=columns("attribute", audience.attributes),
        properties=columns("property", audience.properties),
        tags=dict.fromkeys(audience.tags, none),
        groups=dict.fromkeys(audience.groups, none),
        event_offsets=audience.event_offsets[:1],
    )
