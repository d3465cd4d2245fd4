"""Read customers, number them in order of appearance, and put together what sources say of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.audience_writer import ARROW_TYPES, AttributeData, CustomerData, Progress
from actors.importer.accounting import Rejects, SourceCounts
from actors.importer.conversion import Typed
from actors.importer.mapping import ColumnSpec, CustomerSource, ListSpec
from actors.importer.sieve import Sieve
from actors.importer.sources import read_source
from actors.importer.table import Wanted
from core.audience import Kind
from core.audience_build import infer_kind
from core.errors import HeadraceError
from core.limits import ID_BYTES_MAX
from core.zones import zone_names

Int64s = NDArray[np.int64]


Meant = Callable[[pa.ChunkedArray], tuple[pa.ChunkedArray, NDArray[np.bool_]]]


class Registry:
    """The ids of all customers so far; a customer's number is its place.

    `meant` tells whom ids mean, and which of them are aliases.
    """

    def __init__(self, meant: Meant | None = None) -> None:
        self.ids = pa.array([], pa.large_string())
        self._meant = meant or (lambda ids: (ids, np.zeros(len(ids), np.bool_)))

    def is_alias(self, ids: pa.ChunkedArray) -> NDArray[np.bool_]:
        """Which ids, bool[len], mean a customer who has another."""
        return self._meant(ids)[1]

    def numbers(self, ids: pa.ChunkedArray) -> Int64s:
        """The numbers of customers: int64[len]; those not known are added in the order given."""
        ids, _ = self._meant(ids)
        found = self._places(ids)
        fresh = found < 0
        if fresh.any():
            unknown = ids if fresh.all() else ids.filter(pa.array(fresh))
            coded = unknown.cast(pa.large_string()).dictionary_encode().combine_chunks()
            found[fresh] = coded.indices.to_numpy().astype(np.int64) + len(self.ids)
            self.ids = pa.concat_arrays([self.ids, coded.dictionary])
        return found

    def lookup(self, ids: pa.ChunkedArray) -> Int64s:
        """The numbers of customers: int64[len], -1 for those not known."""
        return self._places(self._meant(ids)[0])

    def _places(self, ids: pa.ChunkedArray) -> Int64s:
        if not len(self.ids):
            return np.full(len(ids), -1, np.int64)
        found = pc.index_in(ids.cast(pa.large_string()), value_set=self.ids)
        return np.array(pc.fill_null(found, -1).to_numpy(), np.int64)


def required_ids(sieve: Sieve, spec: ColumnSpec) -> Typed:
    """The customer of each live row; rows without one, or with one that is no id, are rejected."""
    cells = sieve.cells(spec.column)
    if spec.format != "integer_text":
        for lane in cells.lanes:
            if lane.form == "float":
                reason = "an id with a fraction; state format: integer_text"
                sieve.reject(lane.rows, spec.label, reason, cells)
    found = sieve.required(spec, "string")
    size = pc.binary_length(found.values).to_numpy(zero_copy_only=False)
    reason = f"an id has at most {ID_BYTES_MAX} bytes"
    sieve.reject(found.rows[size > ID_BYTES_MAX], spec.label, reason, cells)
    return found


@dataclass(slots=True)
class CustomerPart:
    """What one source says: k customers by number, and as many values in each column.

    `tags` and `groups` are pairs: places in this part, int64[p], and p names. `is_alias` bool[k]
    says which rows were of another id, so that one customer has several.
    """

    file: str
    numbers: Int64s
    created_at: pa.Array
    zone: pa.Array
    attributes: dict[str, AttributeData] = field(default_factory=dict)
    tags: tuple[Int64s, pa.Array] | None = None
    groups: tuple[Int64s, pa.Array] | None = None
    is_alias: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))


def read_customers(
    source: CustomerSource,
    base: Path,
    registry: Registry,
    rejects: Rejects,
    progress: Progress | None,
) -> tuple[CustomerPart, SourceCounts]:
    """Read one source of customers, number them, and account for its rows."""
    everything = source.attributes == "all"
    wanted = Wanted(tuple(source.columns()), everything)
    sieve = Sieve(read_source(source, base, wanted, progress), source, "customers", rejects)
    ids = required_ids(sieve, source.id)
    _one_row_each(sieve, source, ids)
    created = _optional(sieve, source.created_at, "datetime")
    zone = _optional(sieve, source.zone, "string")
    specs = _all_columns(sieve, source) if source.attributes == "all" else source.attributes
    typed = {name: sieve.typed(spec) for name, spec in specs.items()}
    tags = _names(sieve, source.tags)
    groups = _names(sieve, source.groups)

    rows = np.flatnonzero(sieve.live)
    sieve.counts.kept = len(rows)
    found_ids = sieve.dense(ids, rows)
    part = CustomerPart(
        file=source.file,
        numbers=registry.numbers(found_ids),
        is_alias=registry.is_alias(found_ids),
        created_at=sieve.dense(created, rows).combine_chunks(),
        zone=sieve.dense(zone, rows).combine_chunks(),
    )
    for name, found in typed.items():
        values = sieve.dense(found, rows).combine_chunks()
        part.attributes[name] = AttributeData(found.kind, values, specs[name].constant)
    for name, value in source.constants.items():
        kind = infer_kind([value])
        values = pa.array([value] * len(rows), ARROW_TYPES[kind])
        part.attributes[name] = AttributeData(kind, values)
    part.tags, part.groups = _placed(tags, rows), _placed(groups, rows)
    unknown = set(part.zone.unique().to_pylist()) - zone_names() - {None}
    if unknown:
        shown = ", ".join(map(repr, sorted(unknown)[:5]))
        sieve.counts.notes.append(f"unknown time zones, kept as they are: {shown}")
    return part, sieve.counts


def _optional(sieve: Sieve, spec: ColumnSpec | None, kind: Kind) -> Typed:
    if spec is None:
        return Typed(kind, np.zeros(0, np.int64), pa.chunked_array([], ARROW_TYPES[kind]))
    return sieve.typed(spec, kind)


def _one_row_each(sieve: Sieve, source: CustomerSource, ids: Typed) -> None:
    """Leave one row of each customer live, the first."""
    keep = sieve.live[ids.rows]
    rows, values = ids.rows[keep], ids.values.filter(pa.array(keep))
    codes = values.dictionary_encode().combine_chunks().indices.to_numpy()
    # Codes count up in order of appearance, so a new one is greater than all before it.
    later = np.zeros(len(rows), np.bool_)
    later[1:] = codes[1:] <= np.maximum.accumulate(codes)[:-1]
    if source.repeated == "first":
        sieve.live[rows[later]] = False
        sieve.counts.grouped_away = int(later.sum())
    else:
        reason = "the customer has a row already; state repeated: first where that is meant"
        sieve.reject(rows[later], source.id.label, reason, sieve.cells(source.id.column))


def _all_columns(sieve: Sieve, source: CustomerSource) -> dict[str, ColumnSpec]:
    """Every column that nothing else names, but for those that hold no single values."""
    return all_columns(sieve, {name for names in source.columns() for name in names})


def all_columns(sieve: Sieve, named: set[str]) -> dict[str, ColumnSpec]:
    """Every column not `named` that holds single values; the others are noted."""
    found = {}
    for name, cells in sieve.table.cells.items():
        forms = {lane.form for lane in cells.lanes}
        if name in named:
            continue
        if forms and forms <= {"list", "nested"}:
            note = f"column {name}: it holds nested values, and is left out"
            sieve.counts.notes.append(note)
        else:
            found[name] = ColumnSpec(column=[name])
    return found


def _names(sieve: Sieve, spec: ListSpec | None) -> tuple[Int64s, pa.Array] | None:
    """Pairs of (row, name) of a column of lists, or of text with a separator."""
    if spec is None:
        return None
    cells = sieve.cells([spec.column])
    owners, names = [np.zeros(0, np.int64)], [pa.array([], pa.large_string())]
    for lane in cells.lanes:
        if lane.form == "list":
            lists = lane.values.combine_chunks()
        elif lane.form == "text":
            lists = pc.split_pattern(lane.values.combine_chunks(), spec.separator)
        else:
            reason = "expected a list of names"
            sieve.reject(lane.rows, spec.label, reason, cells)
            continue
        flat = text_trimmed(pc.list_flatten(lists))
        filled = pc.not_equal(flat, "").to_numpy(zero_copy_only=False)
        parents = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
        owners.append(lane.rows[parents[filled]])
        names.append(flat.filter(pa.array(filled)))
    return np.concatenate(owners), pa.concat_arrays(names)


def text_trimmed(values: pa.Array) -> pa.Array:
    """Names without blanks around them; a null is empty."""
    return pc.fill_null(pc.utf8_trim_whitespace(values.cast(pa.large_string())), "")


def _placed(pairs: tuple[Int64s, pa.Array] | None, rows: Int64s) -> tuple[Int64s, pa.Array] | None:
    """The pairs of rows that were kept, by the place of the row."""
    if pairs is None:
        return None
    owner, names = pairs
    place = np.searchsorted(rows, owner)
    kept = place < len(rows)
    kept[kept] = rows[place[kept]] == owner[kept]
    return place[kept], names.filter(pa.array(kept))


def put_together(parts: Sequence[CustomerPart], registry: Registry) -> CustomerData:
    """All customers; where sources say different things of one, the first that says any counts."""
    count = len(registry.ids)
    names = list(dict.fromkeys(name for part in parts for name in part.attributes))
    return CustomerData(
        ids=registry.ids.cast(pa.string()),
        created_at=_joined([(p.numbers, p.created_at) for p in parts], "datetime", count),
        zones=_joined([(p.numbers, p.zone) for p in parts], "string", count),
        attributes={name: _attribute(name, parts, count) for name in names},
        tags=_lists([(p.numbers, p.tags) for p in parts], count),
        groups=_lists([(p.numbers, p.groups) for p in parts], count),
    )


def _joined(columns: list[tuple[Int64s, pa.Array]], kind: Kind, count: int) -> pa.Array:
    """A value for each customer: that of the first column that has one."""
    found = pa.nulls(count, ARROW_TYPES[kind])
    for numbers, values in columns:
        place = np.full(count, -1, np.int64)
        place[numbers] = np.arange(len(numbers))
        dense = values.cast(ARROW_TYPES[kind]).take(pa.array(place, mask=place < 0))
        found = pc.coalesce(found, dense)
    return found


def _attribute(name: str, parts: Sequence[CustomerPart], count: int) -> AttributeData:
    held = [part for part in parts if name in part.attributes]
    kinds = {part.attributes[name].kind: part.file for part in held}
    if set(kinds) == {"int64", "float64"}:
        kind: Kind = "float64"
    elif len(kinds) > 1:
        (one, file), (two, other), *_ = kinds.items()
        message = f"attribute {name!r} is {one} in {file} and {two} in {other}"
        raise HeadraceError(message, advice="State one type for it in the mapping.")
    else:
        kind = held[0].attributes[name].kind
    columns = [(part.numbers, part.attributes[name].values) for part in held]
    constant = any(part.attributes[name].constant for part in held)
    return AttributeData(kind, _joined(columns, kind, count), constant)


def _lists(parts: list[tuple[Int64s, tuple[Int64s, pa.Array] | None]], count: int) -> pa.Array:
    """The names of each customer as a list<string>, sorted and without repetition."""
    owners, names = [np.zeros(0, np.int64)], [pa.array([], pa.large_string())]
    for numbers, pairs in parts:
        if pairs is not None:
            owners.append(numbers[pairs[0]])
            names.append(pairs[1])
    coded = pa.concat_arrays(names).dictionary_encode()
    order = pc.rank(coded.dictionary, "ascending").to_numpy(zero_copy_only=False).astype(np.int64)
    width = len(coded.dictionary) + 1
    rank = order[coded.indices.to_numpy(zero_copy_only=False)] if width > 1 else owners[0]
    pairs_key = np.unique(np.concatenate(owners) * width + rank)
    owner, rank = pairs_key // width, pairs_key % width
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=count))])
    by_rank = coded.dictionary.take(pa.array(np.argsort(order)))
    values = by_rank.take(pa.array(rank - 1)).cast(pa.string())
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)
