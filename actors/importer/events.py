"""Read events: whose, when, which, with what; merge all sources into one sorted table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.audience_columns import unified_kind
from actors.audience_writer import ARROW_TYPES, EventData, Progress, PropertyData
from actors.event_identity import event_hashes, text_words
from actors.importer.accounting import Rejects, SourceCounts
from actors.importer.conversion import Typed, agreed_kind
from actors.importer.customers import Registry, all_columns, required_ids
from actors.importer.grouping import group_rows
from actors.importer.mapping import ColumnSpec, EventName, EventSource
from actors.importer.sieve import Sieve, holds
from actors.importer.sources import read_source
from actors.importer.table import Wanted
from actors.threads import in_threads
from core.audience import Kind
from core.errors import HeadraceError
from core.limits import NAME_CHARS_MAX
from ext.hashing import hash_words

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]

EVENT_NAMES_MAX = 1_000  # more are ids or texts that were taken for names


@dataclass(slots=True)
class EventPart:
    """The k events of one source, sorted by customer, time and original row.

    `customer` uint32[k] are numbers of customers, `code` int32[k] points into `names`;
    `properties` are by (event, property), `ids` names places in this part, int64[i], and i ids.
    """

    file: str
    customer: NDArray[np.uint32]
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
) -> tuple[EventPart, SourceCounts]:
    """Read one source of events and account for its rows.

    Customers that no one named before are added.
    """
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

    sieve.release()
    rows = np.flatnonzero(sieve.live)
    ms = _integers(sieve.dense(time, rows))
    del time
    if grouped is not None:
        rows, ms = grouped.first, grouped.earliest(ms)
        sieve.counts.grouped_away = int(sieve.live.sum()) - len(rows)
    sieve.counts.kept = len(rows)
    numbers = registry.numbers(sieve.dense(customer, rows)).astype(np.uint32)
    del customer
    order, sieve.counts.out_of_order = by_customer_and_time(numbers, ms)
    part = EventPart(source.file, numbers[order], ms[order], code[rows[order]], names)
    del numbers, ms, code
    place = _inverse(order)
    del order
    place_of_row = place
    if len(rows) < sieve.rows:
        place_of_row = np.full(sieve.rows, -1, np.int64)
        place_of_row[rows] = place
    for name in list(typed):
        for column in typed.pop(name):
            part.properties |= _split(part, name, column, place_of_row)
    if grouped is not None:
        for name, totals in grouped.totals.items():
            kind: Kind = "int64" if totals.dtype == np.int64 else "float64"
            column = Typed(kind, np.arange(len(rows)), pa.chunked_array([pa.array(totals)]))
            part.properties |= _split(part, name, column, place)
    if own_id is not None:
        values = sieve.dense(own_id, rows).combine_chunks()
        there = pc.is_valid(values).to_numpy(zero_copy_only=False)
        part.ids = (place[there], values.drop_null())
        _note_repeated_ids(part, sieve, source.id)
    return part, sieve.counts


def _inverse(order: Int64s) -> Int64s:
    """The place of each row in an order."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place


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


def _integers(values: pa.ChunkedArray) -> Int64s:
    return np.array(values.cast(pa.int64()).to_numpy(), np.int64)


def name_rows(sieve: Sieve, naming: EventName) -> tuple[Int32s, list[str]]:
    """The name of each row: int32[rows] into the list of names; rows without one are rejected."""
    code = np.full(sieve.rows, -1, np.int32)
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
    coded = found.values.dictionary_encode().combine_chunks()
    codes = coded.indices.to_numpy()
    size = pc.utf8_length(coded.dictionary).to_numpy(zero_copy_only=False)
    if len(size) and size.max() > NAME_CHARS_MAX:
        reason = f"a name has at most {NAME_CHARS_MAX} characters"
        sieve.reject(found.rows[size[codes] > NAME_CHARS_MAX], spec.label, reason, cells)
    if len(coded.dictionary) > EVENT_NAMES_MAX:
        message = f"column {spec.label!r} holds {len(coded.dictionary):,} different names"
        advice = f"At most {EVENT_NAMES_MAX:,} are allowed; is it really the name?"
        raise HeadraceError(message, advice=advice, file=str(sieve.table.path))
    code = np.full(sieve.rows, -1, np.int32)
    code[found.rows] = codes
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
    kind = agreed_kind(cells, spec)
    if kind is not None:
        return [sieve.typed(spec, None, cells, kind)]
    return [sieve.typed(spec, None, cells.restricted(code == place)) for place in range(len(names))]


def _split(
    part: EventPart, name: str, column: Typed, place_of: Int64s
) -> dict[tuple[str, str], PropertyData]:
    """A property of the part's events, one entry for each event that has it.

    `place_of` gives the place in the part of each row that the column may tell of, -1 for none.
    """
    values = column.values
    if column.kind == "string":
        values = values.dictionary_encode()
    values = values.combine_chunks()
    place = place_of[column.rows]
    if len(place) and place.min() < 0:
        kept = place >= 0
        place, values = place[kept], values.filter(pa.array(kept))
    source = np.full(len(part.ms), -1, np.int64)
    source[place] = np.arange(len(place))

    def of_event(code: int) -> PropertyData:
        rows = np.flatnonzero((part.code == code) & (source >= 0))
        return PropertyData(column.kind, rows, values.take(pa.array(source[rows])))

    found = in_threads(of_event, range(len(part.names)))
    return {
        (event, name): data for event, data in zip(part.names, found, strict=True) if len(data.rows)
    }


def merge_events(parts: Sequence[EventPart]) -> EventData:
    """All events of all sources, sorted by customer, time and original row, with their hashes."""
    names = sorted({part.names[code] for part in parts for code in np.unique(part.code)})
    tables = [np.array([_place(names, n) for n in part.names], np.int32) for part in parts]
    customer = _concatenated([part.customer for part in parts], np.uint32)
    ms = _concatenated([part.ms for part in parts], np.int64)
    codes = [table[part.code] for table, part in zip(tables, parts, strict=True)]
    code = _concatenated(codes, np.int32)
    place = None
    if len(parts) > 1:
        order, _ = by_customer_and_time(customer, ms)
        customer, ms, code, place = customer[order], ms[order], code[order], _inverse(order)
    events = EventData(customer, ms, code, names, np.zeros(len(ms), np.uint64))
    bases = np.cumsum([0, *(len(part.ms) for part in parts)])
    keys = sorted({key for part in parts for key in part.properties})
    for event, name in keys:
        pieces = [
            (part.file, data.rows if place is None else place[base + data.rows], data)
            for part, base in zip(parts, bases[:-1], strict=True)
            if (data := part.properties.get((event, name))) is not None
        ]
        events.properties[event, name] = _joined(event, name, pieces)
    ids = [
        (part.ids[0] if place is None else place[base + part.ids[0]], part.ids[1])
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


def _concatenated(arrays: Sequence[NDArray[Any]], kind: type) -> NDArray[Any]:
    """One array of all; the only one itself, without a copy."""
    return arrays[0] if len(arrays) == 1 else np.concatenate([np.zeros(0, kind), *arrays])


def by_customer_and_time(customer: NDArray[Any], ms: Int64s) -> tuple[Int64s, int]:
    """The order by customer and time, rows that agree in both as they were: int64[m].

    Also tells how many rows are earlier than the one before them of the same customer.
    """
    order = _by_customer(customer)
    customer, ms = customer[order], ms[order]
    late = int(np.count_nonzero((customer[1:] == customer[:-1]) & (ms[1:] < ms[:-1])))
    if not late:
        return order, 0
    first, span = int(ms.min()), int(ms.max()) - int(ms.min()) + 1
    if (int(customer.max()) + 1) * span < 2**63:
        key = customer.astype(np.int64) * span + (ms - first)
        return order[np.argsort(key, kind="stable")], late
    return order[np.lexsort((ms, customer))], late


def _by_customer(customer: NDArray[Any]) -> Int64s:
    """The order by customer, a customer's rows as they were: int64[m]."""
    row_bits = len(customer).bit_length()
    if not len(customer) or int(customer.max()).bit_length() + row_bits > 64:
        return np.argsort(customer, kind="stable")
    # Sorting numbers is many times as fast as sorting places by them: the row rides below.
    key = (customer.astype(np.uint64) << np.uint64(row_bits)) | np.arange(
        len(customer), dtype=np.uint64
    )
    key.sort()
    return (key & np.uint64((1 << row_bits) - 1)).astype(np.int64)


def _joined(event: str, name: str, pieces: list[tuple[str, Int64s, PropertyData]]) -> PropertyData:
    """A property of one event out of all sources, sorted by row."""
    kinds = {f"{event} of {file}": data.kind for file, _, data in pieces}
    kind = unified_kind(name, kinds)
    if len(pieces) == 1:
        _, rows, data = pieces[0]
        values = data.values
        if np.all(rows[1:] > rows[:-1]):
            return PropertyData(kind, rows, values)
    else:
        rows = np.concatenate([rows for _, rows, _ in pieces])
        values = pa.concat_arrays([data.values.cast(ARROW_TYPES[kind]) for _, _, data in pieces])
    order = np.argsort(rows)
    return PropertyData(kind, rows[order], values.take(pa.array(order)))
