"""Write an audience folder anew with attributes and events added; all else stays as it was."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from actors.audience_writer import (
    ARROW_TYPES,
    COMPRESSION,
    INSTANT,
    NAMES,
    ROW_GROUP_ROWS,
    EventData,
    Progress,
    PropertyData,
    row_groups,
    write_schema,
)
from actors.event_identity import event_hashes
from core.audience import (
    AttributeSchema,
    AudienceSchema,
    Column,
    EventSchema,
    Kind,
    PropertySchema,
    TimeSpan,
)
from core.errors import HeadraceError

Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Derived:
    """An attribute for all customers, and its changes in order of customer and time.

    `column` has n texts or fractions; `customer`, `ms` and `value` int64[k] are as in
    `core.audience.ChangeLog`, texts by their codes in the column.
    """

    name: str
    column: Column
    customer: Int64s
    ms: Int64s
    value: Int64s


@dataclass(slots=True)
class NewEvents:
    """Events of one type in order of customer and time: `customer`, `ms` int64[k].

    `properties` are (kind, k values or None) by name.
    """

    name: str
    customer: Int64s
    ms: Int64s
    properties: dict[str, tuple[Kind, Sequence[Any]]] = field(default_factory=dict)


def write_enriched(
    source: Path,
    folder: Path,
    schema: AudienceSchema,
    derived: Sequence[Derived],
    events: Sequence[NewEvents],
    *,
    progress: Progress,
) -> AudienceSchema:
    """Write the audience `source` with more attributes and events into `folder`.

    Returns its schema. Events that are added come behind those of the same customer and time that
    were there. Raises HeadraceError for a file that is damaged.
    """
    made = schema.model_copy(deep=True)
    try:
        _write_customers(source, folder, made, derived, progress)
        _write_events(source, folder, made, events, progress)
        _write_changes(source, folder, made, derived)
    except (pa.ArrowException, FileNotFoundError, KeyError) as error:
        message = f"a file of the audience is damaged ({str(error).splitlines()[0]})"
        raise HeadraceError(message, advice="Import it again", file=str(source)) from error
    if (source / "rejects.csv").is_file():
        shutil.copyfile(source / "rejects.csv", folder / "rejects.csv")
    write_schema(folder, made)
    return made


def _write_customers(
    source: Path,
    folder: Path,
    schema: AudienceSchema,
    derived: Sequence[Derived],
    progress: Progress,
) -> None:
    table = pq.read_table(source / "customers.parquet")
    for each in derived:
        values = _arrow(each.column)
        place = table.column_names.index("tags")
        table = table.add_column(place, f"a.{each.name}", values)
        kind = each.column.kind
        schema.attributes[each.name] = AttributeSchema(type=kind, nulls=values.null_count)
    _write(folder / "customers.parquet", table, "writing customers", progress)


def _write_events(
    source: Path,
    folder: Path,
    schema: AudienceSchema,
    events: Sequence[NewEvents],
    progress: Progress,
) -> None:
    if not events:
        shutil.copyfile(source / "events.parquet", folder / "events.parquet")
        return
    table = pq.read_table(source / "events.parquet")
    for each in events:
        table = _with_events(table, each, schema)
    table = table.unify_dictionaries()
    customer, ms = table["customer"].to_numpy(), _ms(table["time"])
    # A stable sort: what was there stays in order, and what is new comes behind it.
    table = table.take(pa.array(np.lexsort((ms, customer))))
    _write(folder / "events.parquet", table, "writing events", progress)
    new = [each.ms for each in events if len(each.ms)]
    schema.counts.events = len(table)
    if new:
        first, last = (int(f([f(part) for part in new])) for f in (np.min, np.max))
        assert schema.time.first_ms is not None
        assert schema.time.last_ms is not None
        schema.time = TimeSpan(
            first_ms=min(first, schema.time.first_ms), last_ms=max(last, schema.time.last_ms)
        )


def _with_events(table: pa.Table, new: NewEvents, schema: AudienceSchema) -> pa.Table:
    rows = np.arange(len(new.ms))
    held = {
        name: PropertyData(kind, rows, pa.array(values, ARROW_TYPES[kind]))
        for name, (kind, values) in new.properties.items()
    }
    code = np.zeros(len(rows), np.int32)
    data = EventData(
        new.customer.astype(np.uint32),
        new.ms,
        code,
        [new.name],
        np.zeros(len(rows), np.uint64),
        {(new.name, name): each for name, each in held.items()},
    )
    data.hash = event_hashes(data)
    columns = {
        "customer": pa.array(data.customer),
        "time": pa.array(data.ms).view(INSTANT),
        "event": pa.DictionaryArray.from_arrays(pa.array(code), pa.array([new.name])).cast(NAMES),
        "hash": pa.array(data.hash),
    }
    described = EventSchema(count=len(rows))
    for name, each in held.items():
        column = f"p.{new.name}.{name}"
        while column in table.column_names:
            column += "~"
        columns[column] = each.values
        described.properties[name] = PropertySchema(type=each.kind, column=column)
    schema.events[new.name] = described
    return pa.concat_tables([table, pa.table(columns)], promote_options="default")


def _write_changes(
    source: Path, folder: Path, schema: AudienceSchema, derived: Sequence[Derived]
) -> None:
    tables = [pq.read_table(source / "changes.parquet")] if schema.counts.changes else []
    tables += [_change_table(each) for each in derived if len(each.ms)]
    if not tables:
        return
    table = pa.concat_tables(tables, promote_options="default").unify_dictionaries()
    table = table.take(pa.array(np.lexsort((_ms(table["time"]), table["customer"].to_numpy()))))
    pq.write_table(
        table, folder / "changes.parquet", compression=COMPRESSION, row_group_size=ROW_GROUP_ROWS
    )
    schema.counts.changes = len(table)


def _change_table(derived: Derived) -> pa.Table:
    kind, rows = derived.column.kind, len(derived.ms)
    is_text = kind == "string"
    raw = derived.value.astype(np.int32) if is_text else derived.value.view(np.float64)
    values = _arrow(Column(kind, raw, derived.column.dictionary))
    names = pa.array([derived.name], pa.string())
    return pa.table(
        {
            "customer": pa.array(derived.customer.astype(np.uint32)),
            "time": pa.array(derived.ms).view(INSTANT),
            "attribute": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), names),
            "v_int": pa.nulls(rows, pa.int64()),
            "v_float": pa.nulls(rows, pa.float64()) if is_text else values,
            "v_string": values if is_text else pa.nulls(rows, pa.string()),
        }
    )


def _arrow(column: Column) -> pa.Array:
    """A column of texts or fractions as an Arrow array, null where it is missing."""
    values = pa.array(column.values, mask=column.missing())
    return pa.array(column.dictionary, pa.string()).take(values) if column.dictionary else values


def _ms(times: pa.ChunkedArray) -> Int64s:
    found: Int64s = times.cast(pa.int64()).to_numpy()
    return found


def _write(path: Path, table: pa.Table, label: str, progress: Progress) -> None:
    texts = [f.name for f in table.schema if pa.types.is_string(f.type) and f.name != "id"]
    coded = ["event", *texts] if "event" in table.column_names else True
    with pq.ParquetWriter(
        path, table.schema, compression=COMPRESSION, use_dictionary=coded
    ) as writer:
        for start, stop in row_groups(len(table)):
            writer.write_table(table.slice(start, stop - start), row_group_size=ROW_GROUP_ROWS)
            progress(label, stop, len(table))
