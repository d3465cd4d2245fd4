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
    kinds = recode[audience.event_type]
    offsets, ms, hashes = audience.event_offsets, audience.event_ms, audience.event_hash
    value = np.zeros(0, np.int64)
    if np.any(kinds < 0):
        keep = np.flatnonzero(kinds >= 0)
        offsets = np.searchsorted(keep, offsets).astype(np.int64)
        kinds, ms, hashes = kinds[keep], ms[keep], hashes[keep]
        columns.property = [_taken(p, keep) for p in columns.property]
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
        previous=_previous(program, kinds, offsets),
        value=value,
    )


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
    program: Program, kinds: NDArray[np.int32], offsets: NDArray[np.int64]
) -> NDArray[np.int64]:
    previous = np.full(len(kinds) if program.histories else 0, -1, np.int64)
    if not program.histories:
        return previous
    owner = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    for name in program.histories:
        rows = np.flatnonzero(kinds == program.events.index(name))
        same = owner[rows[1:]] == owner[rows[:-1]]
        previous[rows[1:][same]] = rows[:-1][same]
    return previous
