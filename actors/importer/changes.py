"""Read a log of attribute changes, each value as the attribute's own type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.audience_writer import ChangeData, Progress
from actors.importer.accounting import Rejects, SourceCounts
from actors.importer.customers import Registry, required_ids
from actors.importer.events import by_customer_and_time, name_rows
from actors.importer.mapping import ChangeSource
from actors.importer.sieve import Sieve
from actors.importer.sources import read_source
from actors.importer.table import Wanted
from core.audience import Kind

Int64s = NDArray[np.int64]


@dataclass(slots=True)
class ChangePart:
    """The k changes of one source in the order of its rows; `values` are columns by their name."""

    customer: Int64s
    ms: Int64s
    code: NDArray[np.int32]
    names: list[str]
    values: dict[str, pa.Array]


VALUE_TYPES = {"v_int": pa.int64(), "v_float": pa.float64(), "v_string": pa.string()}


def value_column(kind: Kind) -> str:
    """The column of `changes.parquet` that holds values of a kind."""
    return {"float64": "v_float", "string": "v_string"}.get(kind, "v_int")


def read_changes(
    source: ChangeSource,
    base: Path,
    registry: Registry,
    kinds: Mapping[str, Kind],
    rejects: Rejects,
    progress: Progress | None,
) -> tuple[ChangePart, SourceCounts]:
    """Read one source of changes; `kinds` are the attributes there are.

    Changes of customers or attributes that are not there are rejected. A missing value is a change
    to "missing".
    """
    wanted = Wanted(tuple(source.columns()))
    sieve = Sieve(read_source(source, base, wanted, progress), source, "changes", rejects)
    customer = required_ids(sieve, source.customer)
    numbers = registry.lookup(customer.values)
    reason = "there is no such customer"
    sieve.reject(
        customer.rows[numbers < 0],
        source.customer.label,
        reason,
        sieve.cells(source.customer.column),
    )
    time = sieve.required(source.time, "datetime")
    code, names = name_rows(sieve, source.attribute)
    label = source.attribute.column or ""
    cells = sieve.cells([label]) if label else None
    for place, name in enumerate(names):
        if name not in kinds:
            sieve.reject(np.flatnonzero(code == place), label, "there is no such attribute", cells)
    rows_of = {name: pa.nulls(sieve.rows, kind) for name, kind in VALUE_TYPES.items()}
    everything = np.arange(sieve.rows)
    for place, name in enumerate(names):
        if name in kinds:
            own = sieve.cells(source.value.column).restricted(code == place)
            found = sieve.typed(source.value, kinds[name], own)
            dense = sieve.dense(found, everything).combine_chunks()
            if kinds[name] == "date":
                dense = dense.cast(pa.int32())
            target = value_column(kinds[name])
            filled = dense.cast(VALUE_TYPES[target])
            rows_of[target] = pc.coalesce(rows_of[target], filled)
    rows = np.flatnonzero(sieve.live)
    sieve.counts.kept = len(rows)
    times = sieve.dense(time, rows).cast(pa.int64()).to_numpy()
    part = ChangePart(
        customer=registry.lookup(sieve.dense(customer, rows)),
        ms=np.array(times, np.int64),
        code=code[rows],
        names=names,
        values={name: values.take(pa.array(rows)) for name, values in rows_of.items()},
    )
    return part, sieve.counts


def merge_changes(parts: Sequence[ChangePart]) -> ChangeData | None:
    """All changes, sorted by customer, time and original row; None where there is none."""
    if not any(len(part.ms) for part in parts):
        return None
    names = sorted({part.names[code] for part in parts for code in np.unique(part.code)})
    customer = np.concatenate([part.customer for part in parts])
    ms = np.concatenate([part.ms for part in parts])
    codes = [
        np.array([names.index(n) if n in names else -1 for n in part.names], np.int32)[part.code]
        for part in parts
    ]
    order, _ = by_customer_and_time(customer, ms)
    values = {
        name: pa.concat_arrays([part.values[name] for part in parts]).take(pa.array(order))
        for name in VALUE_TYPES
    }
    return ChangeData(
        customer=customer[order].astype(np.uint32),
        ms=ms[order],
        code=np.concatenate(codes)[order],
        names=names,
        v_int=values["v_int"],
        v_float=values["v_float"],
        v_string=values["v_string"],
    )
