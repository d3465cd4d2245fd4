"""Read Parquet: typed columns, a dotted path reaches into structs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from actors.importer.cells import CellsBuilder
from actors.importer.csv_reader import Report
from actors.importer.streams import naming_faults
from actors.importer.table import Table, Wanted
from actors.threads import read_ahead
from core.errors import HeadraceError
from ext.hashing import hash_strings, hash_words

BATCH_ROWS = 1 << 17


def read_parquet(path: Path, wanted: Wanted, report: Report | None = None) -> Table:
    """The wanted columns of a Parquet file.

    All columns are read, because `row_hash` is over all of them. Raises HeadraceError for a file
    that is damaged or cut short, and for a column that is not there.
    """
    if path.stat().st_size == 0:
        raise HeadraceError("the file is empty", file=str(path))
    with naming_faults(path), pq.ParquetFile(path) as file:
        there = file.schema_arrow
        names = wanted.found(path, lambda n: _steps(there, n) is not None, there.names)
        if wanted.everything:
            names += [name for name in there.names if name not in names]
        steps = {name: _steps(there, name) or [name] for name in names}
        builders = {name: CellsBuilder(typed=True) for name in names}
        hashes = [np.zeros(0, np.uint64)]
        done, total = 0, file.metadata.num_rows
        with read_ahead(file.iter_batches(BATCH_ROWS)) as batches:
            for batch in batches:
                for name, builder in builders.items():
                    builder.add_arrow(_reach(batch, steps[name]))
                hashes.append(_hashes(batch))
                done += len(batch)
                if report is not None:
                    report(done, total)
    every_row = np.arange(total)
    return Table(
        path=path,
        cells={name: builder.cells(every_row) for name, builder in builders.items()},
        number=every_row + 1,
        line=None,
        row_hash=np.concatenate(hashes),
    )


def _steps(schema: pa.Schema, name: str) -> list[str] | None:
    """The steps to a column: its name, or the parts of a dotted path through structs."""
    if name in schema.names:
        return [name]
    steps = name.split(".")
    if steps[0] in schema.names:
        kind = schema.field(steps[0]).type
        for step in steps[1:]:
            if not pa.types.is_struct(kind) or kind.get_field_index(step) < 0:
                break
            kind = kind.field(step).type
        else:
            return steps
    return None


def _reach(batch: pa.RecordBatch, steps: list[str]) -> Any:
    column = batch.column(steps[0])
    return pc.struct_field(column, steps[1:]) if len(steps) > 1 else column


def _hashes(batch: pa.RecordBatch) -> NDArray[np.uint64]:
    """A hash of each row over all columns: uint64[rows]."""
    columns = [_words(column) for column in batch.columns]
    return hash_words(np.stack(columns, axis=1)) if columns else np.zeros(len(batch), np.uint64)


def _words(column: pa.Array) -> NDArray[np.uint64]:
    """64 bits for each value, equal for equal values; nested ones by their text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    there = pc.is_valid(column).to_numpy(zero_copy_only=False)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_temporal(kind):
        bits = pc.fill_null(_as_integers(column), 0).to_numpy(zero_copy_only=False)
        words = bits.astype(np.uint64)
    elif pa.types.is_floating(kind):
        floats = pc.fill_null(column.cast(pa.float64()), 0.0)
        words = np.array(floats.to_numpy(zero_copy_only=False)).view(np.uint64)
    else:
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            column = pa.array([repr(value) for value in column.to_pylist()])
        texts = pc.fill_null(column.cast(pa.large_string()), "")
        offsets = np.frombuffer(texts.buffers()[1], np.int64, len(texts) + 1, texts.offset * 8)
        words = hash_strings(memoryview(texts.buffers()[2] or b""), offsets)
    # Whether a value is there takes part, so that a null is not zero.
    return hash_words(np.stack([words, there.astype(np.uint64)], axis=1))


def _as_integers(column: pa.Array) -> pa.Array:
    if pa.types.is_boolean(column.type):
        return column.cast(pa.int8())
    if pa.types.is_date32(column.type) or pa.types.is_time32(column.type):
        return column.cast(pa.int32())
    return column.cast(pa.int64()) if pa.types.is_temporal(column.type) else column
