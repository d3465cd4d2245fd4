"""Write an audience folder anew without some customers: their rows, events, changes and rejects.

Customers are known by the XXH64 of their ids, which tells nobody who they are. The folder is
replaced as a whole or stays as it was.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from actors.audience import read_schema
from actors.audience_writer import COMPRESSION, ROW_GROUP_ROWS, new_folder, write_schema
from core.audience import AudienceSchema
from ext.hashing import hash_strings

CUSTOMERS, EVENTS, CHANGES = "customers.parquet", "events.parquet", "changes.parquet"
REJECTS = "rejects.csv"


@dataclass(slots=True)
class _Gone:
    """What goes with the customers: for the counts that the schema tells."""

    nulls: Counter[str] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    changes: int = 0
    first_ms: int | None = None
    last_ms: int | None = None


def hashes_in(folder: Path) -> set[int]:
    """The hashes of the ids of all customers of an audience."""
    found: set[int] = set()
    with pq.ParquetFile(folder / CUSTOMERS) as file:
        for number in range(file.num_row_groups):
            found.update(_hashes_of(file.read_row_group(number, ["id"])["id"]).tolist())
    return found


def holds(folder: Path, hashes: Collection[int]) -> bool:
    """Whether an audience has any customer whose id has one of these hashes."""
    wanted = np.array(sorted(hashes), np.uint64)
    with pq.ParquetFile(folder / CUSTOMERS) as file:
        return any(
            np.isin(_hashes_of(file.read_row_group(n, ["id"])["id"]), wanted).any()
            for n in range(file.num_row_groups)
        )


def erase_customers(folder: Path, hashes: Collection[int], texts: Collection[str] = ()) -> int:
    """Write an audience anew without customers, and without rejects that hold one of the texts.

    Returns how many customers went; where it is none and no reject holds a text, nothing is
    written. Raises HeadraceError for a folder that is damaged, a full disk, missing rights.
    """
    schema = read_schema(folder)
    kept_rejects = _rejects(folder / REJECTS, texts)
    if not holds(folder, hashes) and kept_rejects is None:
        return 0
    gone = _Gone()
    with new_folder(folder, replace=True) as work:
        wanted = np.array(sorted(hashes), np.uint64)
        numbers = _write_customers(folder, work, wanted, schema, gone)
        _write_rows(folder / EVENTS, work / EVENTS, numbers, gone)
        if (folder / CHANGES).is_file():
            _write_rows(folder / CHANGES, work / CHANGES, numbers, gone)
        if (folder / REJECTS).is_file():
            data = (folder / REJECTS).read_bytes() if kept_rejects is None else kept_rejects
            (work / REJECTS).write_bytes(data)
        write_schema(work, _counted(schema, numbers, gone))
    return int((numbers < 0).sum())


def _hashes_of(ids: pa.ChunkedArray) -> NDArray[np.uint64]:
    array = pa.concat_arrays(ids.chunks) if ids.num_chunks else pa.array([], pa.string())
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4)
    data = np.frombuffer(array.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    own = np.ascontiguousarray(offsets - offsets[0]).astype(np.int64)
    return hash_strings(np.ascontiguousarray(data).data, own)


def _groups(path: Path) -> Iterator[tuple[pa.Schema, pa.Table | None]]:
    """The schema of a file, and then again with each of its row groups."""
    with pq.ParquetFile(path) as file:
        yield file.schema_arrow, None
        for number in range(file.num_row_groups):
            yield file.schema_arrow, file.read_row_group(number)


def _written(source: Path, target: Path, kept: Any) -> None:
    """Write the row groups of a file to another one, as `kept` makes them."""
    groups = _groups(source)
    schema, _ = next(groups)
    coded = [f.name for f in schema if pa.types.is_dictionary(f.type) or f.type == pa.string()]
    with pq.ParquetWriter(target, schema, compression=COMPRESSION, use_dictionary=coded) as writer:
        for _, table in groups:
            made = kept(table)
            if len(made):
                writer.write_table(made.cast(schema), row_group_size=ROW_GROUP_ROWS)


def _write_customers(
    folder: Path, work: Path, wanted: NDArray[np.uint64], schema: AudienceSchema, gone: _Gone
) -> NDArray[np.int64]:
    """Write the customers who stay; returns the new number of each, -1 for who goes."""
    stays: list[NDArray[np.bool_]] = []

    def kept(table: pa.Table) -> pa.Table:
        mask = ~np.isin(_hashes_of(table["id"]), wanted)
        stays.append(mask)
        if not mask.all():
            leaving = table.filter(pa.array(~mask))
            for name in schema.attributes:
                gone.nulls[name] += leaving[f"a.{name}"].null_count
            for family, counts in (("tags", gone.tags), ("groups", gone.groups)):
                counts.update(pc.list_flatten(leaving[family]).to_pylist())
        return table.filter(pa.array(mask))

    _written(folder / CUSTOMERS, work / CUSTOMERS, kept)
    mask = np.concatenate(stays) if stays else np.zeros(0, np.bool_)
    return np.where(mask, np.cumsum(mask) - 1, -1)


def _write_rows(source: Path, target: Path, numbers: NDArray[np.int64], gone: _Gone) -> None:
    """Write the events or changes of who stays, with their new numbers."""

    def kept(table: pa.Table) -> pa.Table:
        owners = numbers[table["customer"].to_numpy()]
        mask = owners >= 0
        if source.name == CHANGES:
            gone.changes += int((~mask).sum())
        else:
            leaving = table.filter(pa.array(~mask))
            gone.events.update(leaving["event"].cast(pa.string()).to_pylist())
        found = table.filter(pa.array(mask))
        if source.name == EVENTS and len(found):
            span = pc.min_max(found["time"].cast(pa.int64())).as_py()
            gone.first_ms = min(span["min"], gone.first_ms or span["min"])
            gone.last_ms = max(span["max"], gone.last_ms or span["max"])
        place = found.schema.get_field_index("customer")
        return found.set_column(place, "customer", pa.array(owners[mask].astype(np.uint32)))

    _written(source, target, kept)


def _rejects(path: Path, texts: Collection[str]) -> bytes | None:
    """The rejects without those that hold a text, None where none does."""
    if not path.is_file() or not texts:
        return None
    with path.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.reader(opened))
    kept = [row for row in rows if not any(text in cell for text in texts for cell in row)]
    if len(kept) == len(rows):
        return None
    lines: list[str] = []
    writer = csv.writer(_Lines(lines), lineterminator="\n")
    writer.writerows(kept)
    return "".join(lines).encode()


class _Lines:
    """A file of lines in memory."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def write(self, line: str) -> None:
        self._lines.append(line)


def _counted(schema: AudienceSchema, numbers: NDArray[np.int64], gone: _Gone) -> AudienceSchema:
    """The schema with the counts of who stays."""
    said = schema.model_dump(mode="json")
    for name, attribute in said["attributes"].items():
        attribute["nulls"] -= gone.nulls[name]
    for family in ("tags", "groups"):
        counts: Counter[str] = getattr(gone, family)
        said[family] = {name: n - counts[name] for name, n in said[family].items()}
    for name, event in said["events"].items():
        event["count"] -= gone.events[name]
    said["counts"]["customers"] = int((numbers >= 0).sum())
    said["counts"]["events"] -= gone.events.total()
    said["counts"]["changes"] -= gone.changes
    said["time"] = {"first_ms": gone.first_ms, "last_ms": gone.last_ms}
    return AudienceSchema.model_validate(said)
