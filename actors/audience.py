"""Load an audience folder into typed columns, and only as much of it as a flow needs.

Columns that nothing refers to are never read, rows of events that nothing refers to are dropped row
group by row group before they cost memory, and what a flow names but the folder lacks is reported
in `Audience.absent` instead of being an error: a report can then say it loudly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from actors.audience_columns import StringCodes, arrow_column, kind_filled, unified_kind
from actors.audience_writer import Progress
from actors.threads import read_ahead
from core.audience import (
    INT64_MIN,
    Audience,
    AudienceSchema,
    ChangeLog,
    Column,
    Kind,
    LoadCounts,
    Needs,
    absence,
)
from core.errors import HeadraceError
from core.instants import instant_ms
from core.zones import zone_names
from ext.hashing import hash_strings

IMPORT_AGAIN = "Import the audience again."
ROWS_MAX = 1 << 32
TIME_MIN_MS, TIME_MAX_MS = instant_ms("0001-01-01"), instant_ms("9999-12-31T23:59:59.999")


def read_schema(folder: Path | str) -> AudienceSchema:
    """The schema of an audience folder.

    Raises HeadraceError where there is no folder or no `schema.json` in it, or where that is not
    one of format version 1.
    """
    folder = Path(folder)
    path = folder / "schema.json"
    if not folder.is_dir():
        advice = "Make one with `headrace import` or `headrace sample`."
        raise HeadraceError("there is no such audience folder", advice=advice, file=str(folder))
    if not path.is_file():
        advice = "Name the folder that `headrace import` or `headrace sample` wrote."
        raise HeadraceError("it holds no schema.json: no audience", advice=advice, file=str(folder))
    try:
        document = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HeadraceError(
            f"cannot read it ({error})", advice=IMPORT_AGAIN, file=str(path)
        ) from error
    version = document.get("headrace_audience") if isinstance(document, dict) else None
    if version != 1:
        message = f"its format version is {version!r}, and this program reads version 1"
        raise HeadraceError(
            message, advice=IMPORT_AGAIN, file=str(path), pointer="/headrace_audience"
        )
    try:
        schema = AudienceSchema.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        pointer = "/" + "/".join(map(str, first["loc"]))
        raise HeadraceError(
            first["msg"], advice=IMPORT_AGAIN, file=str(path), pointer=pointer
        ) from error
    for pointer, message in _nonsense(schema):
        raise HeadraceError(message, advice=IMPORT_AGAIN, file=str(path), pointer=pointer)
    return schema


def _nonsense(schema: AudienceSchema) -> Iterator[tuple[str, str]]:
    """What no import would have written, though its shape is right: pointer and message."""
    if schema.as_of is not None:
        try:
            instant_ms(schema.as_of)
        except ValueError:
            yield "/as_of", f"{schema.as_of!r} is no instant"
    if schema.zone is not None and schema.zone not in zone_names():
        yield "/zone", f"there is no time zone {schema.zone!r}"
    counted = sum(event.count for event in schema.events.values())
    if counted != schema.counts.events:
        message = f"the event types count {counted:,} events, and /counts/events says "
        yield "/events", message + f"{schema.counts.events:,}"
    if max(schema.counts.customers, schema.counts.events, schema.counts.changes) > ROWS_MAX:
        yield "/counts", f"a folder holds at most {ROWS_MAX:,} rows of a kind"
    for name, ms in (("first_ms", schema.time.first_ms), ("last_ms", schema.time.last_ms)):
        if ms is not None and not TIME_MIN_MS <= ms <= TIME_MAX_MS:
            yield f"/time/{name}", f"{ms} ms is no time of the years 1 to 9999"


def load_audience(
    folder: Path | str, needs: Needs, *, progress: Progress | None = None
) -> Audience:
    """The customers, and of their attributes, tags, groups, events and properties the needed ones.

    `progress` is called as ("reading customers" | "reading events", rows done, rows in all). A
    property is one column over all needed events; whole and broken numbers become float64. Raises
    HeadraceError for a folder that is missing, damaged, of another version or without customers,
    and for a property that two events hold in types that do not go together.
    """
    folder = Path(folder)
    schema = read_schema(folder)
    if schema.counts.customers == 0:
        advice = "Check what the import rejected: its rejects.csv says why."
        raise HeadraceError("the audience is empty", advice=advice, file=str(folder))
    audience = _load_customers(folder, schema, needs, progress)
    _load_events(folder, schema, needs, audience, progress)
    audience.changes = _load_changes(folder, schema, audience)
    _report_absences(schema, needs, audience)
    return audience


@contextmanager
def _opened(path: Path, rows: int, dictionary: list[str]) -> Iterator[pq.ParquetFile]:
    """A Parquet file of so many rows; what is wrong with it becomes a HeadraceError."""
    try:
        with pq.ParquetFile(path, read_dictionary=dictionary) as file:
            if file.metadata.num_rows != rows:
                message = f"it holds {file.metadata.num_rows:,} rows, and schema.json says {rows:,}"
                raise HeadraceError(message, advice=IMPORT_AGAIN, file=str(path))
            yield file
    except FileNotFoundError as error:
        raise HeadraceError("the file is missing", advice=IMPORT_AGAIN, file=str(path)) from error
    except KeyError as error:
        message = f"it lacks a column that schema.json names ({error})"
        raise HeadraceError(message, advice=IMPORT_AGAIN, file=str(path)) from error
    except (pa.ArrowException, OSError) as error:
        message = f"it is damaged or cut short ({str(error).splitlines()[0]})"
        raise HeadraceError(message, advice=IMPORT_AGAIN, file=str(path)) from error


@contextmanager
def _groups(
    file: pq.ParquetFile, columns: list[str], label: str, progress: Progress | None
) -> Iterator[Iterator[pa.Table]]:
    """The row groups of a file, restricted to columns that it must have."""
    known = set(file.schema_arrow.names)
    for name in columns:
        if name not in known:
            raise KeyError(name)
    made = (file.read_row_group(i, columns) for i in range(file.metadata.num_row_groups))
    with read_ahead(made) as groups:
        yield _reported(groups, file.metadata.num_rows, label, progress)


def _reported(
    groups: Iterator[pa.Table], rows: int, label: str, progress: Progress | None
) -> Iterator[pa.Table]:
    done = 0
    for group in groups:
        yield group
        done += len(group)
        if progress is not None:
            progress(label, done, rows)


def _load_customers(
    folder: Path, schema: AudienceSchema, needs: Needs, progress: Progress | None
) -> Audience:
    count = schema.counts.customers
    wanted = {
        n: schema.attributes[n].type for n in sorted(needs.attributes & set(schema.attributes))
    }
    memberships = {
        "tags": sorted(needs.tags & set(schema.tags)),
        "groups": sorted(needs.groups & set(schema.groups)),
    }
    columns = ["id", "created_at", "zone", *(f"a.{name}" for name in wanted)]
    columns += [what for what, names in memberships.items() if names]
    texts = ["zone", *(f"a.{name}" for name, kind in wanted.items() if kind == "string")]

    held = {
        what: {name: np.zeros(count, np.int8) for name in names}
        for what, names in memberships.items()
    }
    id_sizes, id_bytes, start = [np.zeros(1, np.int64)], [], 0
    created = np.empty(count, np.int64)
    zones = StringCodes(count)
    values = {n: arrow_column(kind, count) for n, kind in wanted.items()}
    with (
        _opened(folder / "customers.parquet", count, texts) as file,
        _groups(file, columns, "reading customers", progress) as groups,
    ):
        for group in groups:
            sizes, data = _string_bytes(group["id"])
            id_sizes.append(sizes)
            id_bytes.append(data)
            stop = start + len(group)
            created[start:stop] = kind_filled("datetime", group["created_at"])
            zones.fill(start, group["zone"])
            for name, builder in values.items():
                builder.fill(start, group[f"a.{name}"])
            for what, flags in held.items():
                if flags:
                    _fill_memberships(flags, start, group[what])
            start = stop
    zone_column = zones.column()
    id_offsets, id_data = np.cumsum(np.concatenate(id_sizes)), np.concatenate(id_bytes)
    none = np.zeros(0, np.int64)
    assert zone_column.dictionary is not None
    return Audience(
        id_offsets=id_offsets,
        id_data=id_data,
        id_hash=hash_strings(id_data.data, id_offsets),
        created_ms=created,
        zone_names=zone_column.dictionary,
        zone_code=zone_column.values,
        attributes={name: builder.column() for name, builder in values.items()},
        tags=held["tags"],
        groups=held["groups"],
        event_names=sorted(needs.events),
        event_offsets=np.zeros(count + 1, np.int64),
        event_type=none.astype(np.int32),
        event_ms=none,
        event_hash=none.astype(np.uint64),
        properties={},
        as_of_ms=None if schema.as_of is None else instant_ms(schema.as_of),
        zone=schema.zone,
        constants=frozenset(n for n, a in schema.attributes.items() if a.constant),
    )


def _string_bytes(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The byte length of each string, int64[n], and all their bytes."""
    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())
    if array.null_count:
        raise pa.ArrowInvalid("a customer without an id")
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4)
    data = np.frombuffer(array.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    return np.diff(offsets).astype(np.int64), data


def _fill_memberships(
    flags: dict[str, NDArray[np.int8]], start: int, lists: pa.ChunkedArray
) -> None:
    owners = start + pc.list_parent_indices(lists).to_numpy()
    names = pc.list_flatten(lists)
    for name, flag in flags.items():
        flag[owners[pc.equal(names, name).to_numpy().astype(np.bool_)]] = 1


def _load_events(
    folder: Path,
    schema: AudienceSchema,
    needs: Needs,
    audience: Audience,
    progress: Progress | None,
) -> None:
    present = sorted(needs.events & set(schema.events))
    expected = sum(schema.events[event].count for event in present)
    columns, builders = _property_plan(schema, needs, present, expected)
    filters = []
    if needs.replaces is not None:
        filters = [
            schema.events[event].properties[schema.replaces_property].column
            for event in present
            if schema.replaces_property in schema.events[event].properties
        ]
    reads = ["customer", "time", "event", "hash", *dict.fromkeys([*columns, *filters])]
    held = [p for event in present for p in schema.events[event].properties.values()]
    texts = ["event", *(p.column for p in held if p.type == "string" and p.column in reads)]
    counts = audience.counts = LoadCounts(events_read=schema.counts.events)
    customer = np.empty(expected, np.uint32)
    kind = np.empty(expected, np.int32)
    ms = np.empty(expected, np.int64)
    hashes = np.empty(expected, np.uint64)
    kept = 0
    path = folder / "events.parquet"
    with ExitStack() as stack:
        file = stack.enter_context(_opened(path, schema.counts.events, texts))
        if not present:
            counts.events_not_needed = counts.events_read
            return
        groups = stack.enter_context(_groups(file, reads, "reading events", progress))
        for group in groups:
            codes = _event_codes(group["event"], audience.event_names)
            keep = codes >= 0
            counts.events_not_needed += len(keep) - int(keep.sum())
            for column in filters:
                own = pc.fill_null(pc.equal(group[column], needs.replaces), False)
                gone = keep & own.to_numpy().astype(np.bool_)
                counts.events_replaced += int(gone.sum())
                keep &= ~gone
            if not keep.all():
                group = group.filter(pa.array(keep))
                codes = codes[keep]
            stop = kept + len(group)
            if stop > expected:
                raise pa.ArrowInvalid("more events than schema.json counts")
            customer[kept:stop] = group["customer"].to_numpy()
            kind[kept:stop] = codes
            ms[kept:stop] = kind_filled("datetime", group["time"])
            hashes[kept:stop] = group["hash"].to_numpy()
            for column, name in columns.items():
                builders[name].fill(kept, group[column])
            kept = stop
        _check_order(customer[:kept], ms[:kept], audience.customers)
    if kept + counts.events_replaced != expected:
        message = (
            f"it holds {kept + counts.events_replaced:,} of the events needed, and schema.json"
        )
        message += f" says {expected:,}"
        raise HeadraceError(message, advice=IMPORT_AGAIN, file=str(path))
    counts.events_kept = kept
    audience.event_type, audience.event_ms = kind[:kept], ms[:kept]
    audience.event_hash = hashes[:kept]
    per_customer = np.bincount(customer[:kept], minlength=audience.customers)
    np.cumsum(per_customer, out=audience.event_offsets[1:])
    audience.properties = {name: builder.column(kept) for name, builder in builders.items()}


def _property_plan(
    schema: AudienceSchema, needs: Needs, events: list[str], rows: int
) -> tuple[dict[str, str], dict[str, Any]]:
    """Which Parquet column feeds which property, and a builder for each property's column."""
    columns: dict[str, str] = {}
    kinds: dict[str, dict[str, Kind]] = {}
    for event in events:
        for name, held in schema.events[event].properties.items():
            if name in needs.properties:
                columns[held.column] = name
                kinds.setdefault(name, {})[event] = held.type
    builders = {n: arrow_column(unified_kind(n, kinds[n]), rows) for n in sorted(kinds)}
    return columns, builders


def _event_codes(column: pa.ChunkedArray, names: list[str]) -> NDArray[np.int32]:
    """The index in `names` of each event, -1 where it is none of them."""
    index = {name: i for i, name in enumerate(names)}
    parts = [np.zeros(0, np.int32)]
    for chunk in column.chunks:
        table = np.array([index.get(n, -1) for n in chunk.dictionary.to_pylist()], np.int32)
        parts.append(table[chunk.indices.to_numpy()])
    return np.concatenate(parts)


def _check_order(customer: NDArray[np.uint32], ms: NDArray[np.int64], customers: int) -> None:
    if len(customer) and customer[-1] >= customers:
        raise pa.ArrowInvalid("a row of a customer who is not there")
    if np.any(customer[1:] < customer[:-1]):
        raise pa.ArrowInvalid("rows are not in order of customers")
    if np.any((ms[1:] < ms[:-1]) & (customer[1:] == customer[:-1])):
        raise pa.ArrowInvalid("a customer's rows are not in order of time")


def _load_changes(folder: Path, schema: AudienceSchema, audience: Audience) -> ChangeLog | None:
    if not schema.counts.changes or not audience.attributes:
        return None
    with _opened(
        folder / "changes.parquet", schema.counts.changes, ["attribute", "v_string"]
    ) as file:
        table = file.read()
        names = list(audience.attributes)
        code = _event_codes(table["attribute"], names)
        if not (code >= 0).all():
            table, code = table.filter(pa.array(code >= 0)), code[code >= 0]
        if not len(code):
            return None
        customer = table["customer"].to_numpy()
        ms = kind_filled("datetime", table["time"])
        _check_order(customer, ms, audience.customers)
        value = np.full(len(code), INT64_MIN, np.int64)
        for index, name in enumerate(names):
            rows = np.flatnonzero(code == index)
            if len(rows):
                part = table.take(pa.array(rows))
                value[rows], audience.attributes[name] = _changed(part, audience.attributes[name])
        per_customer = np.bincount(customer, minlength=audience.customers)
        return ChangeLog(
            attribute_names=names,
            offsets=np.concatenate([np.zeros(1, np.int64), np.cumsum(per_customer)]),
            ms=ms,
            attribute=code,
            value=value,
        )


def _changed(rows: pa.Table, column: Column) -> tuple[NDArray[np.int64], Column]:
    """The widened values of one attribute's changes, and its column with any new strings added."""
    if column.kind == "float64":
        return kind_filled("float64", rows["v_float"]).view(np.int64), column
    if column.kind != "string":
        values = kind_filled("int64", rows["v_int"])
        if column.kind == "bool":
            values[values == INT64_MIN] = -1
        return values, column
    both = StringCodes(len(column) + len(rows))
    both.fill_codes(0, column.values, pa.array(column.dictionary, pa.string()))
    both.fill(len(column), rows["v_string"])
    joint = both.column()
    whole = Column("string", joint.values[: len(column)], joint.dictionary)
    return joint.values[len(column) :].astype(np.int64), whole


def _report_absences(schema: AudienceSchema, needs: Needs, audience: Audience) -> None:
    of_events = [schema.events[e].properties for e in needs.events if e in schema.events]
    known: list[tuple[Any, set[str], set[str]]] = [
        ("attribute", needs.attributes, set(schema.attributes)),
        ("tag", needs.tags, set(schema.tags)),
        ("group", needs.groups, set(schema.groups)),
        ("event", needs.events, set(schema.events)),
        ("property", needs.properties, {name for held in of_events for name in held}),
    ]
    for kind, asked, have in known:
        audience.absent += [absence(kind, name, have) for name in sorted(asked - have)]
