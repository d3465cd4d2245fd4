"""Write the journals of partitions as an audience folder, for dry runs on a tenant's own past.

An event stands at the time at which it took effect, which is when it arrived; one that came too
late to move anybody stands at the time at which it happened. Values of attributes are dated, but
for those that came with their customers and never changed, which are constant. Tags and groups are
as they are now. What flows sent is found by carrying the journal out anew: events `message_sent`
that name their flow, so that a dry run can leave out those of the flow that it replaces; they come
before what else happened in their millisecond, as flows that were worked later knew of them. What
flows did to customers' records is not in the journal, and so not in the audience; personal values
never are, and nothing of those who were erased. Events of an alias are those of the customer, at
the times at which they happened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from actors.audience_writer import (
    ARROW_TYPES,
    AttributeData,
    ChangeData,
    CustomerData,
    EventData,
    PropertyData,
    count_names,
    new_folder,
    property_columns,
    write_changes,
    write_customers,
    write_events,
    write_schema,
)
from actors.intake.directory import Directory, Texts
from actors.intake.frame import UPSERT, Frame, Sparse
from actors.live.control import TenantSettings
from actors.live.moving import inherited_rows
from actors.live.records import CommandRecord, RowsRecord, decode_record
from actors.live.replay import Resending
from actors.store.errors import TrimmedError
from actors.store.partition import Partition
from core.audience import (
    INT64_MIN,
    AttributeSchema,
    Audience,
    AudienceCounts,
    AudienceSchema,
    Column,
    EventSchema,
    Kind,
    PropertySchema,
    TimeSpan,
)
from core.hashing import hash_customer
from core.tenant_schema import TenantSchema

Progress = Callable[[str, int, int], None]
EXPORTING = "exporting the journal"
Array = NDArray[Any]


@dataclass(slots=True)
class _Values:
    """A column in pieces: places and values; texts have codes into `texts`."""

    kind: Kind
    rows: list[Array] = field(default_factory=list)
    values: list[Array] = field(default_factory=list)
    texts: Texts = field(default_factory=Texts)

    def add(self, rows: Array, part: Sparse, taken: Array) -> None:
        """Add the values of `part` at the places `taken`, for `rows`."""
        values = self.texts.codes(part) if part.kind == "string" else part.values
        self.rows.append(rows)
        self.values.append(values[taken])

    def column(self) -> tuple[Array, Column]:
        """All places, int64[k], and their values."""
        texts = self.texts.texts if self.kind == "string" else None
        return np.concatenate(self.rows), Column(self.kind, np.concatenate(self.values), texts)


class _Export:
    """What is gathered from the journals; customers are numbered through all partitions."""

    def __init__(self, settings: TenantSettings) -> None:
        self.settings = settings
        self.directories: list[Directory] = []
        self.schema = TenantSchema.of(settings.schema)
        self.as_of_ms = 0
        self.first = 0  # the number of the partition's first customer
        self.codes: dict[str, int] = {}
        self.events = 0
        self.customer: list[Array] = []
        self.ms: list[Array] = []
        self.code: list[Array] = []
        self.hash: list[Array] = []
        self.is_sent: list[Array] = []
        self.properties: dict[tuple[str, str, Kind], _Values] = {}
        self.changed: dict[tuple[str, Kind], _Values] = {}
        self.change_ms: dict[tuple[str, Kind], list[Array]] = {}
        self.change_record: dict[tuple[str, Kind], list[Array]] = {}
        self.record: list[Array] = []  # by event, its record in its partition's journal
        self.seen_ms: list[Array] = []  # when each customer came
        self.erased: dict[int, int] = {}  # by customer, the record of the last erasure
        self.gone: set[int] = set()  # who was erased and did not come anew
        self.constants: set[str] = set()  # attributes that never changed

    def read(self, store: Partition) -> None:
        """Gather a partition's journal. Raises TrimmedError, CorruptError."""
        head, file = store.head, str(store.folder)
        if head.journal_first > 1:
            raise TrimmedError(
                f"the journal begins with record {head.journal_first:,}: what came before is gone",
                advice="Import the past from your own exports instead",
                file=file,
            )
        directory = Directory(TenantSchema.of(self.settings.schema), self.settings.zone)
        published, last = False, 0
        for number, data in store.journal():
            record = decode_record(number, data, file)
            if isinstance(record, RowsRecord):
                self._rows(number, record, directory)
                self.as_of_ms = max(self.as_of_ms, record.until_ms - 1)
            elif isinstance(record, CommandRecord):
                self._command(number, record.command, directory)
                published = published or record.command["kind"] == "publish"
            last = number
        if published:
            for number, sent in Resending(store, self.settings).sent:
                if number <= last:
                    rows, none = np.arange(sent.rows), np.zeros(sent.rows, np.bool_)
                    self._events(sent, none, rows, sent.customer.astype(np.int64) + self.first)
                    self.record.append(np.full(sent.rows, number, np.int64))
                    self.is_sent[-1][:] = True
        # A schema reaches all partitions; that of the last is as good as any.
        self.schema = directory.schema
        self.directories.append(directory)
        self.first += len(directory)

    def _command(self, number: int, command: Mapping[str, Any], directory: Directory) -> None:
        if command["kind"] == "schema":
            directory.adopt(TenantSchema.of(command["schema"]))
        elif command["kind"] in ("erase", "merge"):
            hashes = command.get("hashes") or [hash_customer(old) for old, _ in command["pairs"]]
            found = directory.find(np.array(hashes, np.uint64))
            customers = found[found >= 0]
            directory.forget(customers, int(command["at_ms"]))
            for customer in (customers + self.first).tolist():
                self.erased[customer] = number
                self.gone.add(customer)
        elif command["kind"] == "inherit":
            known = np.array([hash_customer(command["into"])], np.uint64)
            rows = inherited_rows(directory, command, int(command["at_ms"]))
            if directory.find(known)[0] >= 0 and rows is not None:
                self._rows(number, rows, directory)

    def _rows(self, number: int, record: RowsRecord, directory: Directory) -> None:
        frame = record.frame
        numbers, new = directory.numbers(frame, record.until_ms - 1)
        directory.apply(frame, numbers)
        self.seen_ms.append(np.full(int(new.sum()), record.until_ms - 1, np.int64))
        customer = numbers[frame.customer].astype(np.int64) + self.first
        if self.gone:
            self.gone.difference_update((numbers + self.first).tolist())
        events = np.flatnonzero(frame.type != UPSERT)
        if len(events):
            self._events(frame, record.historical, events, customer)
            self.record.append(np.full(len(events), number, np.int64))
        for name, part in frame.attributes.items():
            key = name, part.kind
            held = self.changed.setdefault(key, _Values(part.kind))
            held.add(customer[part.rows], part, np.arange(len(part)))
            self.change_ms.setdefault(key, []).append(frame.received_ms[part.rows])
            self.change_record.setdefault(key, []).append(np.full(len(part), number, np.int64))

    def _events(
        self, frame: Frame, historical: NDArray[np.bool_], rows: Array, customer: Array
    ) -> None:
        code_of = [self.codes.setdefault(name, len(self.codes)) for name in frame.event_names]
        code = np.array(code_of, np.int32)[frame.type[rows]]
        occurred = np.minimum(frame.occurred_ms, frame.received_ms)
        ms = np.where(historical, occurred, frame.received_ms)
        self.customer.append(customer[rows])
        self.ms.append(ms[rows])
        self.code.append(code)
        self.hash.append(frame.hash[rows])
        self.is_sent.append(np.zeros(len(rows), np.bool_))
        place = np.full(frame.rows, -1, np.int64)
        place[rows] = np.arange(self.events, self.events + len(rows))
        self.events += len(rows)
        for name, part in frame.properties.items():
            type_of = frame.type[part.rows]
            for type_ in np.unique(type_of).tolist():
                taken = np.flatnonzero(type_of == type_)
                key = frame.event_names[type_], name, part.kind
                held = self.properties.setdefault(key, _Values(part.kind))
                held.add(place[part.rows[taken]], part, taken)

    # -- as an audience

    def known(self, customer: Array, record: Array) -> NDArray[np.bool_]:
        """Which rows are of no customer who was erased after them: of int64[k] each."""
        cutoff = np.zeros(self.first, np.int64)
        if self.erased:
            cutoff[list(self.erased)] = list(self.erased.values())
        found: NDArray[np.bool_] = record > cutoff[customer]
        return found

    @property
    def numbers(self) -> Array:
        """The customers' numbers in the audience, int64[n], -1 for those who are gone."""
        there = np.ones(self.first, np.bool_)
        there[list(self.gone)] = False
        return np.where(there, np.cumsum(there) - 1, -1)

    def event_data(self) -> EventData:
        """The events, in the order of an audience."""
        customer, ms = _joined(self.customer, np.int64), _joined(self.ms, np.int64)
        code, hashes = _joined(self.code, np.int32), _joined(self.hash, np.uint64)
        later = ~_joined(self.is_sent, np.bool_)
        order = np.lexsort((np.arange(len(ms)), later, ms, customer))
        order = order[self.known(customer, _joined(self.record, np.int64))[order]]
        place = np.full(len(ms), -1, np.int64)
        place[order] = np.arange(len(order))
        names = sorted(self.codes)
        moved = np.empty(len(names), np.int32)
        for new, name in enumerate(names):
            moved[self.codes[name]] = new
        properties = {}
        for (event, name, kind), held in sorted(self.properties.items()):
            if self.schema.known_properties.get(name, kind) != kind:
                continue  # of an older schema, under which the name meant something else
            rows, column = held.column()
            at = np.argsort(place[rows], kind="stable")
            there = at[~column.missing()[at] & (place[rows[at]] >= 0)]
            values = _arrow(Column(kind, column.values[there], column.dictionary))
            properties[event, name] = PropertyData(kind, place[rows][there], values)
        return EventData(
            self.numbers[customer[order]].astype(np.uint32),
            ms[order],
            moved[code[order]] if len(names) else code,
            names,
            hashes[order],
            properties,
        )

    def changes(self) -> ChangeData | None:
        """The dated changes of attributes; None where there are none."""
        seen = _joined(self.seen_ms, np.int64)
        names: list[str] = []
        pieces: list[tuple[Array, Array, Array, Column]] = []
        for (name, kind), held in sorted(self.changed.items()):
            if self.schema.attribute_kind(name) != kind:
                continue
            customer, column = held.column()
            ms = np.concatenate(self.change_ms[name, kind])
            known = self.known(customer, np.concatenate(self.change_record[name, kind]))
            customer, ms = customer[known], ms[known]
            column = Column(kind, column.values[known], column.dictionary)
            single = np.bincount(customer, minlength=len(seen))[customer] == 1
            if np.all(single & (ms <= seen[customer])):
                # All came with their customers and never changed.
                self.constants.add(name)
                continue
            code = np.full(len(ms), len(names), np.int32)
            names.append(name)
            pieces.append((customer, ms, code, column))
        if not pieces:
            return None
        customer = np.concatenate([piece[0] for piece in pieces])
        ms = np.concatenate([piece[1] for piece in pieces])
        order = np.lexsort((np.arange(len(ms)), ms, customer))
        values = {
            family: pa.concat_arrays([_if(family, piece[3]) for piece in pieces]).take(
                pa.array(order)
            )
            for family in ("int", "float", "string")
        }
        return ChangeData(
            self.numbers[customer[order]].astype(np.uint32),
            ms[order],
            np.concatenate([piece[2] for piece in pieces])[order],
            names,
            values["int"],
            values["float"],
            values["string"],
        )

    def customer_data(self) -> CustomerData:
        """The customers of all partitions, as they are now, without those who are gone."""
        there = pa.array(np.flatnonzero(self.numbers >= 0))
        audiences = [directory.audience() for directory in self.directories]
        created = np.concatenate([a.created_ms for a in audiences])
        attributes = {}
        # Standard ones that are not declared are in a directory once somebody there has them.
        for name in dict.fromkeys(
            [*self.schema.kept, *(n for a in audiences for n in a.attributes)]
        ):
            columns = [d.column(name) for d in self.directories]
            values = pa.concat_arrays([_arrow(column) for column in columns]).take(there)
            declared = self.schema.attributes.get(name)
            constant = name in self.constants or (declared is not None and declared.constant)
            attributes[name] = AttributeData(columns[0].kind, values, constant)
        zones = [_arrow(Column("string", a.zone_code, a.zone_names)) for a in audiences]
        return CustomerData(
            pa.concat_arrays([_ids(a) for a in audiences]).take(there),
            pa.array(created, mask=created == INT64_MIN).cast(ARROW_TYPES["datetime"]).take(there),
            pa.concat_arrays(zones).take(there),
            attributes,
            pa.concat_arrays([_lists(a.tags, a.customers) for a in audiences]).take(there),
            pa.concat_arrays([_lists(a.groups, a.customers) for a in audiences]).take(there),
        )


def export_journals(
    stores: Sequence[Partition],
    settings: TenantSettings,
    to: Path,
    *,
    progress: Progress | None = None,
) -> AudienceSchema:
    """Write the journals of open stores as the audience folder `to`; returns its schema.

    Reading goes on beside commits; what comes meanwhile may be in or not. `to` is absent or empty,
    else HeadraceError. Raises TrimmedError where a journal does not go back to its beginning,
    CorruptError.
    """
    tell = progress or (lambda label, done, total: None)
    export = _Export(settings)
    for done, store in enumerate(stores):
        tell(EXPORTING, done, len(stores))
        export.read(store)
    tell(EXPORTING, len(stores), len(stores))
    changes, events = export.changes(), export.event_data()
    customers = export.customer_data()
    schema = _schema(export, customers, events, changes)
    with new_folder(to) as folder:
        write_customers(folder, customers)
        write_events(folder, events)
        if changes is not None:
            write_changes(folder, changes)
        write_schema(folder, schema)
    return schema


def _schema(
    export: _Export, customers: CustomerData, events: EventData, changes: ChangeData | None
) -> AudienceSchema:
    columns = property_columns(events.properties)
    counts = np.bincount(events.code, minlength=len(events.names))
    described: dict[str, EventSchema] = {
        name: EventSchema(
            count=int(count),
            properties={
                name_: PropertySchema(type=data.kind, column=columns[event, name_])
                for (event, name_), data in events.properties.items()
                if event == name
            },
        )
        for name, count in zip(events.names, counts, strict=True)
    }
    for name in export.schema.events:
        # Known, and never seen: a flow may name it.
        described.setdefault(name, EventSchema())
    as_of = datetime.fromtimestamp(export.as_of_ms / 1000, UTC)
    return AudienceSchema(
        as_of=as_of.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        zone=export.schema.zone or export.settings.zone,
        attributes={
            name: AttributeSchema(
                type=data.kind, constant=data.constant, nulls=data.values.null_count
            )
            for name, data in customers.attributes.items()
        },
        tags=count_names(customers.tags),
        groups=count_names(customers.groups),
        events=dict(sorted(described.items())),
        counts=AudienceCounts(
            customers=len(customers.ids),
            events=len(events.ms),
            changes=0 if changes is None else len(changes.ms),
        ),
        time=TimeSpan(
            first_ms=int(events.ms.min()) if len(events.ms) else None,
            last_ms=int(events.ms.max()) if len(events.ms) else None,
        ),
    )


def _joined(pieces: Sequence[Array], dtype: Any) -> Array:
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype)


def _arrow(column: Column) -> pa.Array:
    """A column as an Arrow array of its kind's type."""
    missing = column.missing()
    if column.kind == "string":
        codes = pa.array(column.values, mask=missing)
        texts = pa.array(column.dictionary or [], pa.string())
        return pa.DictionaryArray.from_arrays(codes, texts).cast(pa.string())
    values = np.where(missing, 0, column.values) if column.kind != "float64" else column.values
    if column.kind == "bool":
        values = values.astype(np.bool_)
    elif column.kind == "date":
        values = values.astype(np.int32)
    return pa.array(values, mask=missing).cast(ARROW_TYPES[column.kind])


def _ids(audience: Audience) -> pa.Array:
    """The ids of an audience's customers."""
    offsets = np.ascontiguousarray(audience.id_offsets)
    data = np.ascontiguousarray(audience.id_data)
    buffers = pa.py_buffer(offsets), pa.py_buffer(data)
    return pa.LargeStringArray.from_buffers(audience.customers, *buffers).cast(pa.string())


def _if(family: str, column: Column) -> pa.Array:
    """The values of a column as those of a family of changes; nulls for the other families."""
    kind = column.kind
    mine = {"string": "string", "float64": "float"}.get(kind, "int")
    types = {"int": pa.int64(), "float": pa.float64(), "string": pa.string()}
    if mine != family:
        return pa.nulls(len(column), types[family])
    if family == "int":
        return pa.array(column.values.astype(np.int64), mask=column.missing())
    return _arrow(column)


def _lists(members: Mapping[str, NDArray[np.int8]], customers: int) -> pa.Array:
    """The names that each customer is a member of, as list<string>[customers]."""
    names = sorted(members)
    rows = [np.flatnonzero(members[name]) for name in names]
    row = _joined(rows, np.int64)
    code = np.repeat(np.arange(len(names), dtype=np.int32), [len(each) for each in rows])
    order = np.lexsort((code, row))
    offsets = np.zeros(customers + 1, np.int32)
    np.cumsum(np.bincount(row, minlength=customers), out=offsets[1:])
    values = pa.array(names, pa.string()).take(pa.array(code[order]))
    return pa.ListArray.from_arrays(pa.array(offsets), values)
