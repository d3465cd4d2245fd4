"""Read events: whose, when, which, with what; merge all sources into one sorted table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.audience_columns import unified_kind
from actors.audience_writer import ARROW_TYPES, EventData, Progress, PropertyData
from actors.event_identity import event_hashes, text_words
from actors.importer.accounting import Rejects
from actors.importer.conversion import Typed, is_mixed
from actors.importer.customers import Registry, all_columns, required_ids
from actors.importer.grouping import Grouped, group_rows
from actors.importer.mapping import ColumnSpec, EventName, EventSource
from actors.importer.sieve import Sieve, holds
from actors.importer.sources import read_source
from actors.importer.table import Wanted
from core.audience import Kind
from core.errors import HeadraceError
from core.limits import NAME_CHARS_MAX
from ext.hashing import hash_words

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]

EVENT_NAMES_MAX = 1_000  # more are ids or texts that were taken for names


@dataclass(slots=True)
class EventPart:
    """The k events of one source in the order of its rows: customer numbers, times, names.

    `properties` are by (event, property), their rows within this part; `ids` names rows and ids.
    """

    file: str
    customer: Int64s
    ms: Int64s
    code: Int32s
    names: list[str]
    properties: dict[tuple[str, str], PropertyData] = field(default_factory=dict)
    ids: tuple[Int64s, pa.Array] | None = None


def read_events(
    source: EventSource,
    base: Path,
    registry: Registry,
    rejects: Rejects,
    progress: Progress | None,
) -> tuple[EventPart, Sieve]:
    """Read one source of events; customers that no one named before are added."""
    wanted = Wanted(tuple(source.columns()), source.properties == "all")
    sieve = Sieve(read_source(source, base, wanted, progress), source, "events", rejects)
    customer = required_ids(sieve, source.customer)
    time = sieve.required(source.time, "datetime")
    code, names = name_rows(sieve, source.event)
    own_id = None if source.id is None else sieve.typed(source.id, "string")
    specs = _property_specs(sieve, source)
    typed = {name: _by_event(sieve, spec, code, names) for name, spec in specs.items()}
    grouped = None
    if source.group_by is not None:
        grouped = group_rows(sieve, source.group_by, customer, code)

    rows = np.flatnonzero(sieve.live)
    ms = _integers(sieve.dense(time, rows))
    if grouped is not None:
        rows, ms = grouped.first, grouped.earliest(ms)
        sieve.counts.grouped_away = int(sieve.live.sum()) - len(rows)
    sieve.counts.kept = len(rows)
    part = EventPart(
        file=source.file,
        customer=registry.numbers(sieve.dense(customer, rows)),
        ms=ms,
        code=code[rows],
        names=names,
    )
    for name, columns in typed.items():
        for column in columns:
            part.properties |= _split(part, name, column, rows)
    if grouped is not None:
        _add_totals(part, grouped)
    if own_id is not None:
        values = sieve.dense(own_id, rows)
        there = pc.is_valid(values).to_numpy(zero_copy_only=False)
        part.ids = (np.flatnonzero(there), values.drop_null())
        _note_repeated_ids(part, sieve, source.id)
    sieve.counts.out_of_order = _out_of_order(part)
    return part, sieve


def _note_repeated_ids(part: EventPart, sieve: Sieve, spec: ColumnSpec | None) -> None:
    """Note how many events have the id of an earlier one of the same name: they share its luck."""
    assert spec is not None
    assert part.ids is not None
    rows, values = part.ids
    keys = hash_words(np.stack([part.code[rows].astype(np.uint64), text_words(values)], axis=1))
    repeated = len(keys) - len(np.unique(keys))
    if repeated:
        note = f"{repeated:,} events have the id of an earlier one of the same name; all are kept"
        sieve.counts.notes.append(f"column {spec.label}: {note}")


def _integers(values: pa.Array) -> Int64s:
    return np.array(values.cast(pa.int64()).to_numpy(zero_copy_only=False), np.int64)


def name_rows(sieve: Sieve, naming: EventName) -> tuple[Int32s, list[str]]:
    """The name of each row: int32[rows] into the list of names; rows without one are rejected."""
    code = np.full(sieve.table.rows, -1, np.int32)
    if naming.constant is not None:
        code[:] = 0
        return code, [naming.constant]
    if naming.column is not None:
        return _named_by_column(sieve, ColumnSpec(column=[naming.column]))
    names: list[str] = []
    for rule in naming.when or ():
        if rule.event not in names:
            names.append(rule.event)
        hit = holds(rule, sieve.cells([rule.column])) & (code < 0)
        code[hit] = names.index(rule.event)
    if naming.otherwise is not None:
        if naming.otherwise not in names:
            names.append(naming.otherwise)
        code[code < 0] = names.index(naming.otherwise)
    columns = " or ".join(dict.fromkeys(naming.columns))
    cells = sieve.cells(naming.columns[:1])
    sieve.reject(np.flatnonzero(code < 0), columns, "no rule names this event", cells)
    return code, names


def _named_by_column(sieve: Sieve, spec: ColumnSpec) -> tuple[Int32s, list[str]]:
    found = sieve.required(spec, "string")
    cells = sieve.cells(spec.column)
    size = pc.utf8_length(found.values).to_numpy(zero_copy_only=False)
    reason = f"a name has at most {NAME_CHARS_MAX} characters"
    sieve.reject(found.rows[size > NAME_CHARS_MAX], spec.label, reason, cells)
    coded = found.values.dictionary_encode()
    if len(coded.dictionary) > EVENT_NAMES_MAX:
        message = f"column {spec.label!r} holds {len(coded.dictionary):,} different names"
        advice = f"At most {EVENT_NAMES_MAX:,} are allowed; is it really the name?"
        raise HeadraceError(message, advice=advice, file=str(sieve.table.path))
    code = np.full(sieve.table.rows, -1, np.int32)
    code[found.rows] = coded.indices.to_numpy(zero_copy_only=False)
    return code, coded.dictionary.to_pylist()


def _property_specs(sieve: Sieve, source: EventSource) -> dict[str, ColumnSpec]:
    if source.group_by is not None:
        return source.group_by.first
    if source.properties == "all":
        return all_columns(sieve, {name for names in source.columns() for name in names})
    return source.properties


def _by_event(sieve: Sieve, spec: ColumnSpec, code: Int32s, names: Sequence[str]) -> list[Typed]:
    """A property as one typed column; as one for each event where its types differ by event."""
    cells = sieve.cells(spec.column)
    if not is_mixed(cells, spec):
        return [sieve.typed(spec, None, cells)]
    return [sieve.typed(spec, None, cells.restricted(code == place)) for place in range(len(names))]


def _split(
    part: EventPart, name: str, column: Typed, rows: Int64s
) -> dict[tuple[str, str], PropertyData]:
    """A property of the part's events, one entry for each event that has it."""
    place = np.searchsorted(rows, column.rows)
    kept = place < len(rows)
    kept[kept] = rows[place[kept]] == column.rows[kept]
    place, values = place[kept], column.values.filter(pa.array(kept))
    found = {}
    own = part.code[place]
    for code in np.unique(own):
        mine = own == code
        mine_values = values if mine.all() else values.filter(pa.array(mine))
        data = PropertyData(column.kind, place[mine], mine_values)
        found[part.names[code], name] = data
    return found


def _add_totals(part: EventPart, grouped: Grouped) -> None:
    """The totals of groups as properties of their events."""
    everything = np.arange(len(part.ms))
    for name, values in grouped.totals.items():
        kind: Kind = "int64" if values.dtype == np.int64 else "float64"
        column = Typed(kind, everything, pa.array(values))
        part.properties |= _split(part, name, column, everything)


def _out_of_order(part: EventPart) -> int:
    """How many events are earlier than the one before them of the same customer."""
    order = np.argsort(part.customer, kind="stable")
    customer, ms = part.customer[order], part.ms[order]
    return int(((customer[1:] == customer[:-1]) & (ms[1:] < ms[:-1])).sum())


def merge_events(parts: Sequence[EventPart]) -> EventData:
    """All events of all sources, sorted by customer, time and original row, with their hashes."""
    none = np.zeros(0, np.int64)
    names = sorted({part.names[code] for part in parts for code in np.unique(part.code)})
    tables = [np.array([_place(names, n) for n in part.names], np.int32) for part in parts]
    customer = np.concatenate([none, *(part.customer for part in parts)])
    ms = np.concatenate([none, *(part.ms for part in parts)])
    code = [table[part.code] for table, part in zip(tables, parts, strict=True)]
    order = by_customer_and_time(customer, ms)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    events = EventData(
        customer=customer[order].astype(np.uint32),
        ms=ms[order],
        code=np.concatenate([none.astype(np.int32), *code])[order],
        names=names,
        hash=np.zeros(len(order), np.uint64),
    )
    bases = np.cumsum([0, *(len(part.ms) for part in parts)])
    keys = sorted({key for part in parts for key in part.properties})
    for event, name in keys:
        pieces = [
            (part.file, place[base + data.rows], data)
            for part, base in zip(parts, bases[:-1], strict=True)
            if (data := part.properties.get((event, name))) is not None
        ]
        events.properties[event, name] = _joined(event, name, pieces)
    ids = [
        (place[base + part.ids[0]], part.ids[1])
        for part, base in zip(parts, bases[:-1], strict=True)
        if part.ids is not None
    ]
    named = None
    if ids:
        named = np.concatenate([r for r, _ in ids]), pa.concat_arrays([v for _, v in ids])
    events.hash = event_hashes(events, named)
    return events


def _place(names: list[str], name: str) -> int:
    """The place of a name, -1 for one that no row has."""
    return names.index(name) if name in names else -1


def by_customer_and_time(customer: Int64s, ms: Int64s) -> Int64s:
    """The order by customer and time, rows that agree in both as they were: int64[m]."""
    if not len(ms):
        return np.zeros(0, np.int64)
    first, span = int(ms.min()), int(ms.max()) - int(ms.min()) + 1
    if (int(customer.max()) + 1) * span < 2**63:
        return np.argsort(customer * span + (ms - first), kind="stable")
    return np.lexsort((ms, customer))


def _joined(event: str, name: str, pieces: list[tuple[str, Int64s, PropertyData]]) -> PropertyData:
    """A property of one event out of all sources, sorted by row."""
    kinds = {f"{event} of {file}": data.kind for file, _, data in pieces}
    kind = unified_kind(name, kinds)
    rows = np.concatenate([rows for _, rows, _ in pieces])
    values = pa.concat_arrays([data.values.cast(ARROW_TYPES[kind]) for _, _, data in pieces])
    order = np.argsort(rows)
    return PropertyData(kind, rows[order], values.take(pa.array(order)))
