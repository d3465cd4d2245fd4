"""Read which ids mean another customer, so that their rows are the customer's from the start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.audience_writer import AttributeData, Progress
from actors.importer.accounting import Rejects, SourceCounts
from actors.importer.customers import CustomerPart, Int64s, required_ids
from actors.importer.mapping import AliasSource
from actors.importer.sieve import Sieve
from actors.importer.sources import read_source
from actors.importer.table import Wanted

THEMSELVES = "the alias is the customer"
ANOTHER = "the alias is another customer's already"


class Aliases:
    """Ids by the ids that they mean; an alias of an alias means the customer at the end."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def root(self, id_: str) -> str:
        """Whom an id means."""
        while id_ in self.known:
            id_ = self.known[id_]
        return id_

    def read(
        self, source: AliasSource, base: Path, rejects: Rejects, progress: Progress | None
    ) -> SourceCounts:
        """Read a source of aliases and account for its rows; contradictions are rejected."""
        wanted = Wanted(tuple(source.columns()))
        sieve = Sieve(read_source(source, base, wanted, progress), source, "aliases", rejects)
        alias = required_ids(sieve, source.alias)
        customer = required_ids(sieve, source.customer)
        rows = np.flatnonzero(sieve.live)
        pairs = zip(
            rows.tolist(),
            sieve.dense(alias, rows).to_pylist(),
            sieve.dense(customer, rows).to_pylist(),
            strict=True,
        )
        wrong: dict[str, list[int]] = {THEMSELVES: [], ANOTHER: []}
        for row, previous, known in pairs:
            if self.root(known) == previous:
                wrong[THEMSELVES].append(row)
            elif previous not in self.known:
                self.known[previous] = known
            elif self.root(previous) != self.root(known):
                wrong[ANOTHER].append(row)
        for reason, found in wrong.items():
            cells = sieve.cells(source.alias.column)
            sieve.reject(np.array(found, np.int64), source.alias.label, reason, cells)
        sieve.counts.kept = int(sieve.live.sum())
        return sieve.counts

    def meant(self, ids: pa.ChunkedArray) -> tuple[pa.ChunkedArray, NDArray[np.bool_]]:
        """Whom ids mean, and which of them, bool[len], are aliases."""
        if not self.known:
            return ids, np.zeros(len(ids), np.bool_)
        names = pa.array(list(self.known), pa.large_string())
        roots = pa.array([self.root(each) for each in self.known], pa.large_string())
        texts = ids.cast(pa.large_string())
        place = pc.index_in(texts, value_set=names)
        return pc.coalesce(roots.take(place), texts), place.is_valid().to_numpy()


def own_rows_first(part: CustomerPart) -> list[CustomerPart]:
    """A source's customers in parts that have each once: their own rows, then those of aliases."""
    is_alias = part.is_alias
    if not is_alias.any():
        return [part]
    turn = np.zeros(len(is_alias), np.int64)
    seen: dict[int, int] = {}
    for row in np.flatnonzero(is_alias).tolist():
        number = int(part.numbers[row])
        turn[row] = seen[number] = seen.get(number, 0) + 1
    return [_taken(part, np.flatnonzero(turn == each)) for each in range(int(turn.max()) + 1)]


def in_turn(parts: Sequence[Sequence[CustomerPart]]) -> list[CustomerPart]:
    """The parts of all sources: customers' own rows of each before those of aliases."""
    longest = max(map(len, parts), default=0)
    return [each[turn] for turn in range(longest) for each in parts if turn < len(each)]


def _taken(part: CustomerPart, rows: Int64s) -> CustomerPart:
    places = pa.array(rows)

    def pairs(found: tuple[Int64s, pa.Array] | None) -> tuple[Int64s, pa.Array] | None:
        if found is None:
            return None
        owner, names = found
        kept = np.isin(owner, rows)
        return np.searchsorted(rows, owner[kept]), names.filter(pa.array(kept))

    return replace(
        part,
        numbers=part.numbers[rows],
        created_at=part.created_at.take(places),
        zone=part.zone.take(places),
        attributes={
            name: AttributeData(held.kind, held.values.take(places), held.constant)
            for name, held in part.attributes.items()
        },
        tags=pairs(part.tags),
        groups=pairs(part.groups),
    )
