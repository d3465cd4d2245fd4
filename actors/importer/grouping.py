"""Make one event of several rows: an order of its lines, a session of its hits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from actors.event_identity import text_words
from actors.importer.cells import Cells
from actors.importer.conversion import Typed, infer
from actors.importer.mapping import ColumnSpec, GroupBy, Sum
from actors.importer.sieve import Sieve
from core.audience import Kind
from core.errors import HeadraceError
from ext.hashing import hash_words

Int64s = NDArray[np.int64]

SUM_MAX = 2.0**62  # beyond it a sum of whole numbers might leave 64 bits


@dataclass(slots=True)
class Grouped:
    """The groups of live rows, in the order of their first rows.

    `first` int64[g] are those rows; `order` sorts the live rows by group, `starts` int64[g] are the
    groups' beginnings in it. `totals` are one value for each group.
    """

    first: Int64s
    order: Int64s
    starts: Int64s
    totals: dict[str, NDArray[Any]] = field(default_factory=dict)

    def earliest(self, ms: Int64s) -> Int64s:
        """The least of each group's times; `ms` is of the live rows."""
        if not len(self.starts):
            return ms[:0]
        return np.minimum.reduceat(ms[self.order], self.starts)


def group_rows(
    sieve: Sieve, group_by: GroupBy, customer: Typed, code: NDArray[np.int32]
) -> Grouped:
    """Group the live rows by the columns stated, the customer and the event; add up what is stated.

    Rows without a value to group by or to add up are rejected. `code` int32[rows] is the event.
    """
    words = [_words(sieve, name) for name in group_by.by]
    factors = {
        name: [_numbers(sieve, column) for column in total.factors]
        for name, total in group_by.sum.items()
    }
    rows = np.flatnonzero(sieve.live)
    coded = sieve.dense(customer, rows).dictionary_encode().combine_chunks()
    people = coded.indices.to_numpy(zero_copy_only=False).astype(np.uint64)
    parts = [*(word[rows] for word in words), people, code[rows].astype(np.uint64)]
    keys = hash_words(np.stack(parts, axis=1))
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    group = rank[group]
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(first)))
    found = Grouped(rows[np.sort(first)], order, starts)
    for name, total in group_by.sum.items():
        columns = [sieve.dense(column, rows) for column in factors[name]]
        found.totals[name] = _total(sieve, name, total, columns, found)
    if group_by.count is not None:
        found.totals[group_by.count] = np.diff(np.append(starts, len(rows)))
    return found


def _words(sieve: Sieve, column: str) -> NDArray[np.uint64]:
    """64 bits for each row, equal for equal values of a column; rows without one are rejected."""
    cells = sieve.cells([column])
    sieve.reject(
        np.flatnonzero(sieve.live & ~cells.present()),
        column,
        "there is no value to group by",
        cells,
    )
    found = np.zeros(cells.count, np.uint64)
    for lane in cells.lanes:
        words = []
        for chunk in lane.values.chunks:
            texts = chunk if lane.form == "text" else pa.array(map(repr, chunk.to_pylist()))
            words.append(text_words(texts))
        found[lane.rows] = np.concatenate(words)
    return found


def _numbers(sieve: Sieve, column: str) -> Typed:
    """A column of numbers in which every row must have one."""
    spec = ColumnSpec(column=[column])
    cells: Cells = sieve.cells([column])
    kind: Kind = "int64" if infer(cells, spec) == "int64" else "float64"
    return sieve.required(spec, kind)


def _total(
    sieve: Sieve, name: str, total: Sum, columns: list[pa.ChunkedArray], groups: Grouped
) -> NDArray[Any]:
    """What `total` states, added up for each group: int64 where all is whole, else float64."""
    arrays = [column.to_numpy() for column in columns]
    size = np.prod([np.abs(array.astype(np.float64)) for array in arrays], axis=0)
    whole = all(array.dtype == np.int64 for array in arrays)
    if whole and size.sum() > SUM_MAX:
        message = f"the sum {name!r} leaves the 64-bit range"
        raise HeadraceError(message, file=str(sieve.table.path))
    product = arrays[0] if len(arrays) == 1 else arrays[0] * arrays[1]
    if not len(groups.starts):
        return np.zeros(0, product.dtype)
    added = np.add.reduceat(product[groups.order], groups.starts)
    return added if whole or total.round is None else np.round(added, total.round)
