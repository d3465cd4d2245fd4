"""Write an audience folder: its schema and its Parquet files of customers, events and changes.

The importer and the sample generator both end here. A folder appears whole or not at all: it is
written beside its place under another name and renamed last.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from actors.threads import read_ahead
from core.audience import AudienceSchema, Kind
from core.errors import HeadraceError

Progress = Callable[[str, int, int], None]
"""Called with a label, the number done and the total, often enough to draw a bar."""

ROW_GROUP_ROWS = 1 << 18
COMPRESSION = "zstd"
INSTANT = pa.timestamp("ms", tz="UTC")
NAMES = pa.dictionary(pa.int32(), pa.string())
ARROW_TYPES: dict[Kind, pa.DataType] = {
    "bool": pa.bool_(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "datetime": INSTANT,
    "date": pa.date32(),
}


@dataclass(slots=True)
class AttributeData:
    """An attribute of all customers: an Arrow array of n rows, of its kind's type."""

    kind: Kind
    values: pa.Array | pa.ChunkedArray
    constant: bool = False


@dataclass(slots=True)
class CustomerData:
    """The customers in order: ids (string), `created_at` (ms UTC), zones and memberships (lists).

    All are Arrow arrays of n rows; `tags` and `groups` are list<string>.
    """

    ids: pa.Array
    created_at: pa.Array
    zones: pa.Array
    attributes: dict[str, AttributeData]
    tags: pa.Array
    groups: pa.Array


@dataclass(slots=True)
class PropertyData:
    """A property of one event type: values for some of the event rows.

    `rows` int64[k] ascending are row numbers of the events, `values` an Arrow array of k; text may
    be dictionary-coded.
    """

    kind: Kind
    rows: NDArray[np.int64]
    values: pa.Array


@dataclass(slots=True)
class EventData:
    """The events, sorted by (customer, time, original row).

    `customer` uint32[m], `ms` int64[m], `code` int32[m] into `names`, `hash` uint64[m];
    `properties` by (event, property).
    """

    customer: NDArray[np.uint32]
    ms: NDArray[np.int64]
    code: NDArray[np.int32]
    names: list[str]
    hash: NDArray[np.uint64]
    properties: dict[tuple[str, str], PropertyData] = field(default_factory=dict)


@dataclass(slots=True)
class ChangeData:
    """Attribute changes, sorted by (customer, time, original row).

    `customer` uint32[k], `ms` int64[k].
    `code` int32[k] is an index into `names`; of the values only that of the attribute's kind is
    set: `v_int` (int64, also for bool, datetime in ms and date in days), `v_float`, `v_string`.
    """

    customer: NDArray[np.uint32]
    ms: NDArray[np.int64]
    code: NDArray[np.int32]
    names: list[str]
    v_int: pa.Array
    v_float: pa.Array
    v_string: pa.Array


@contextmanager
def new_folder(out_dir: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a fresh folder that becomes `out_dir` when the block ends well, and vanishes otherwise.

    An audience that is there already is only overwritten with `replace`, anything else never.
    Raises HeadraceError for that, and for a full disk or missing rights anywhere in the block.
    """
    out_dir = out_dir.absolute()
    _refuse_to_overwrite(out_dir, replace)
    with _disk_errors(out_dir):
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.", dir=out_dir.parent))
    try:
        with _disk_errors(out_dir):
            yield work
            work.chmod(0o777 & ~_umask())
            _swap(work, out_dir)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _refuse_to_overwrite(out_dir: Path, replace: bool) -> None:
    if not out_dir.exists() or (out_dir.is_dir() and not any(out_dir.iterdir())):
        return
    if not (out_dir / "schema.json").exists():
        message = "something other than an audience is there"
        advice = "Choose a folder that is empty or does not exist."
        raise HeadraceError(message, advice=advice, file=str(out_dir))
    if not replace:
        advice = "Choose another folder, or state that the audience there is to be replaced."
        raise HeadraceError("an audience is there already", advice=advice, file=str(out_dir))


def _swap(work: Path, out_dir: Path) -> None:
    if not out_dir.exists():
        work.rename(out_dir)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out_dir.name}.old.", dir=out_dir.parent))
    out_dir.rename(old / "was")
    try:
        work.rename(out_dir)
    except BaseException:
        (old / "was").rename(out_dir)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _disk_errors(out_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno == errno.ENOSPC or "No space left" in str(error)
        advice = "Free some space, or write elsewhere." if full else "Check the folder's rights."
        reason = "the disk is full" if full else f"cannot write ({error.strerror or error})"
        raise HeadraceError(reason, advice=advice, file=str(out_dir)) from error


def write_customers(
    folder: Path, customers: CustomerData, *, progress: Progress | None = None
) -> None:
    """Write `customers.parquet` in row groups."""
    columns: dict[str, Any] = {
        "id": customers.ids,
        "created_at": customers.created_at.cast(INSTANT),
        "zone": customers.zones.cast(NAMES) if len(customers.zones) else pa.array([], NAMES),
        **{f"a.{name}": data.values for name, data in customers.attributes.items()},
        "tags": customers.tags,
        "groups": customers.groups,
    }
    table = pa.table(columns)
    path = folder / "customers.parquet"
    with pq.ParquetWriter(path, table.schema, compression=COMPRESSION) as writer:
        for start, stop in row_groups(len(table)):
            writer.write_table(table.slice(start, stop - start), row_group_size=ROW_GROUP_ROWS)
            if progress is not None:
                progress("writing customers", stop, len(table))


def property_columns(keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The Parquet column of each (event, property): p.<event>.<property>, made distinct.

    Names may hold dots, so two pairs can spell the same column; the later gets a mark behind it.
    """
    columns: dict[tuple[str, str], str] = {}
    used: set[str] = set()
    for event, name in keys:
        column = f"p.{event}.{name}"
        while column in used:
            column += "~"
        used.add(column)
        columns[event, name] = column
    return columns


def write_events(folder: Path, events: EventData, *, progress: Progress | None = None) -> None:
    """Write `events.parquet` in row groups; a property's column is null where it has no row."""
    fields = [
        pa.field("customer", pa.uint32(), nullable=False),
        pa.field("time", INSTANT, nullable=False),
        pa.field("event", NAMES, nullable=False),
        pa.field("hash", pa.uint64(), nullable=False),
    ]
    columns_of = property_columns(events.properties)
    for key, data in events.properties.items():
        fields.append(pa.field(columns_of[key], ARROW_TYPES[data.kind]))
    schema = pa.schema(fields)
    path, done = folder / "events.parquet", 0
    coded = [f.name for f in fields if f.name == "event" or f.type == pa.string()]
    with (
        pq.ParquetWriter(path, schema, compression=COMPRESSION, use_dictionary=coded) as writer,
        read_ahead(_event_groups(events, schema)) as groups,
    ):
        for batch in groups:
            writer.write_table(batch, row_group_size=ROW_GROUP_ROWS)
            done += len(batch)
            if progress is not None:
                progress("writing events", done, len(events.ms))


def _event_groups(events: EventData, schema: pa.Schema) -> Iterator[pa.Table]:
    """The row groups of the events."""
    names = pa.array(events.names, pa.string())
    for start, stop in row_groups(len(events.ms)):
        codes = pa.array(events.code[start:stop])
        columns = [
            pa.array(events.customer[start:stop]),
            pa.array(events.ms[start:stop]).view(INSTANT),
            pa.DictionaryArray.from_arrays(codes, names),
            pa.array(events.hash[start:stop]),
            *(_spread(data, start, stop) for data in events.properties.values()),
        ]
        yield pa.Table.from_arrays(columns, schema=schema)


def _spread(data: PropertyData, start: int, stop: int) -> pa.Array:
    """The property's values for the event rows from `start` to `stop`, null where it has none."""
    first, last = np.searchsorted(data.rows, [start, stop])
    source = np.zeros(stop - start, np.int64)
    absent = np.ones(stop - start, np.bool_)
    source[data.rows[first:last] - start] = np.arange(first, last)
    absent[data.rows[first:last] - start] = False
    return data.values.take(pa.array(source, mask=absent)).cast(ARROW_TYPES[data.kind])


def write_changes(folder: Path, changes: ChangeData) -> None:
    """Write `changes.parquet`."""
    names = pa.array(changes.names, pa.string())
    table = pa.table(
        {
            "customer": pa.array(changes.customer),
            "time": pa.array(changes.ms).view(INSTANT),
            "attribute": pa.DictionaryArray.from_arrays(pa.array(changes.code), names),
            "v_int": changes.v_int,
            "v_float": changes.v_float,
            "v_string": changes.v_string,
        }
    )
    pq.write_table(
        table, folder / "changes.parquet", compression=COMPRESSION, row_group_size=ROW_GROUP_ROWS
    )


def write_schema(folder: Path, schema: AudienceSchema) -> None:
    """Write `schema.json`, indented, in the model's order."""
    text = json.dumps(schema.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / "schema.json").write_text(text + "\n", encoding="utf-8")


def count_names(lists: pa.Array) -> dict[str, int]:
    """How many of the lists hold each name, by name; a list holds a name at most once."""
    counted = pc.value_counts(pc.list_flatten(lists)).to_pylist()
    return {e["values"]: e["counts"] for e in sorted(counted, key=lambda e: str(e["values"]))}


def row_groups(rows: int) -> Iterator[tuple[int, int]]:
    """The bounds of the row groups of a file; one empty group where it has no row."""
    yield 0, min(rows, ROW_GROUP_ROWS)
    for start in range(ROW_GROUP_ROWS, rows, ROW_GROUP_ROWS):
        yield start, min(rows, start + ROW_GROUP_ROWS)
