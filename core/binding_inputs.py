"""Bind the recorded inputs: the events that the program refers to, and changes of attributes.

An audience that was loaded for a program holds no other events, and has its rows used as they lie;
only changes, or events that nothing refers to, make a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.audience import INT64_MIN, Audience, Column
from core.binding_columns import Columns
from core.program import ColumnName, Program

CHUNK_ROWS = 1 << 18  # rows worked on at once: what they need fits in a processor's cache


@dataclass(slots=True)
class Inputs:
    """The m recorded inputs in order of (customer, time, changes first, recorded order).

    Those of customer c are rows `offsets[c]` to `offsets[c + 1]` (int64[n + 1]). `type` int32[m]:
    an event type of the program, or -1 - c for a change of column c to `value` int64[m] (empty
    where there are no changes). `ms` int64[m], `hash` uint64[m]. `previous` int64[m]: the
    customer's row before of the same event type, -1 for none, kept for types that conditions look
    back at.
    """

    offsets: NDArray[np.int64]
    type: NDArray[np.int32]
    ms: NDArray[np.int64]
    hash: NDArray[np.uint64]
    previous: NDArray[np.int64]
    value: NDArray[np.int64]


def bind_inputs(program: Program, audience: Audience, columns: Columns) -> Inputs:
    """Collect the inputs; the property columns in `columns` are brought to the same rows."""
    number = {name: i for i, name in enumerate(program.events)}
    recode = np.array([number.get(name, -1) for name in audience.event_names] or [-1], np.int32)
    offsets, ms, hashes = audience.event_offsets, audience.event_ms, audience.event_hash
    kinds = audience.event_type
    value = np.zeros(0, np.int64)
    if len(kinds) and recode.min() < 0:
        kept = _referred(audience, recode, with_rows=bool(columns.property))
        offsets, kinds, ms, hashes = kept.offsets, kept.type, kept.ms, kept.hash
        columns.property = [_taken(p, kept.rows) for p in columns.property]
    elif np.any(recode != np.arange(len(recode))):
        kinds = recode[kinds]
    logged = _logged(program, audience, columns)
    if logged is not None:
        owner, change_ms, change_type, change_value = logged
        n, m = audience.customers, len(kinds)
        owners = np.concatenate([owner, np.repeat(np.arange(n), np.diff(offsets))])
        times = np.concatenate([change_ms, ms])
        order = np.lexsort((np.arange(len(times)), times, owners))
        kinds = np.concatenate([change_type, kinds])[order]
        hashes = np.concatenate([np.zeros(len(owner), np.uint64), hashes])[order]
        value = np.concatenate([change_value, np.zeros(m, np.int64)])[order]
        ms = times[order]
        offsets = np.searchsorted(owners[order], np.arange(n + 1)).astype(np.int64)
        rows = np.where(order < len(owner), -1, order - len(owner))
        columns.property = [_taken(p, rows) for p in columns.property]
    return Inputs(
        offsets=np.ascontiguousarray(offsets, np.int64),
        type=np.ascontiguousarray(kinds, np.int32),
        ms=np.ascontiguousarray(ms, np.int64),
        hash=np.ascontiguousarray(hashes, np.uint64),
        previous=_previous(program, set(audience.event_names), kinds, offsets),
        value=value,
    )


@dataclass(slots=True)
class _Kept:
    """The rows of events that the program refers to; `rows` where they lay, if asked for."""

    offsets: NDArray[np.int64]
    type: NDArray[np.int32]
    ms: NDArray[np.int64]
    hash: NDArray[np.uint64]
    rows: NDArray[np.int64]


def _referred(audience: Audience, recode: NDArray[np.int32], *, with_rows: bool) -> _Kept:
    """Drop the events that nothing refers to, in chunks, so that no other array is as long."""
    types, offsets = audience.event_type, audience.event_offsets
    starts = range(0, len(types), CHUNK_ROWS)
    referred = recode >= 0
    sizes = [np.count_nonzero(referred[types[start : start + CHUNK_ROWS]]) for start in starts]
    total = int(sum(sizes))
    kept = _Kept(
        np.empty(len(offsets), np.int64),
        np.empty(total, np.int32),
        np.empty(total, np.int64),
        np.empty(total, np.uint64),
        np.empty(total if with_rows else 0, np.int64),
    )
    first = end = 0
    for start, size in zip(starts, sizes, strict=True):
        chunk = slice(start, start + CHUNK_ROWS)
        kinds = recode[types[chunk]]
        keep = np.flatnonzero(kinds >= 0)
        into = slice(end, end + size)
        kept.type[into] = kinds[keep]
        kept.ms[into] = audience.event_ms[chunk][keep]
        kept.hash[into] = audience.event_hash[chunk][keep]
        if with_rows:
            np.add(keep, start, out=kept.rows[into])
        last = int(np.searchsorted(offsets, start + CHUNK_ROWS))
        kept.offsets[first:last] = end + np.searchsorted(keep, offsets[first:last] - start)
        first, end = last, end + int(size)
    kept.offsets[first:] = end
    return kept


def _taken(column: Column, rows: NDArray[np.int64]) -> Column:
    """The column at `rows`, missing where a row is -1."""
    if len(column.values) == 0:
        empty: object = np.nan if column.kind == "float64" else -1
        if column.kind in ("int64", "datetime", "date"):
            empty = INT64_MIN
        return Column(
            column.kind, np.full(len(rows), empty, column.values.dtype), column.dictionary
        )
    values = column.values[rows]
    if column.kind == "float64":
        values[rows < 0] = np.nan
    else:
        values[rows < 0] = INT64_MIN if column.kind in ("int64", "datetime", "date") else -1
    return Column(column.kind, values, column.dictionary)


def _logged(
    program: Program, audience: Audience, columns: Columns
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32], NDArray[np.int64]] | None:
    """Customer, time, type and value of the dated changes of the program's columns, if any."""
    log = audience.changes
    if log is None:
        return None
    number = {c: i for i, c in enumerate(program.columns)}
    type_of = np.array(
        [-1 - number.get(ColumnName("attribute", a), -1) for a in log.attribute_names] or [0],
        np.int32,
    )
    types = type_of[log.attribute]
    keep = np.flatnonzero(types < 0)
    if len(keep) == 0:
        return None
    owner = np.repeat(np.arange(audience.customers), np.diff(log.offsets))
    types, value = types[keep], log.value[keep]
    for column, recode in columns.recoded.items():
        mine = types == -1 - column
        value[mine] = recode[value[mine]]
    return owner[keep], log.ms[keep], types, value


def _previous(
    program: Program, held: set[str], kinds: NDArray[np.int32], offsets: NDArray[np.int64]
) -> NDArray[np.int64]:
    """`Inputs.previous` of the event types in `held`, customers by chunks of CHUNK_ROWS rows."""
    previous = np.full(len(kinds) if program.histories else 0, -1, np.int64)
    number = {name: i for i, name in enumerate(program.events)}
    types = [number[name] for name in program.histories if name in held]
    first, customers = 0, len(offsets) - 1
    while types and first < customers:
        base = int(offsets[first])
        last = int(np.searchsorted(offsets, base + CHUNK_ROWS, side="right")) - 1
        last = min(max(last, first + 1), customers)
        owner = np.repeat(
            np.arange(last - first, dtype=np.int32), np.diff(offsets[first : last + 1])
        )
        here, mine = previous[base : base + len(owner)], kinds[base : base + len(owner)]
        for kind in types:
            rows = np.flatnonzero(mine == kind)
            same = np.flatnonzero(owner[rows[1:]] == owner[rows[:-1]])
            here[rows[same + 1]] = rows[same] + base
        first = last
    return previous
