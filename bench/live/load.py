"""Make the live load of the reference journey: its events in order of time, on a driven clock.

The customers, their entries and clicks are those of `bench.journey`, so that its dry run says how
often each node is entered. Each event happens at its own time, and a timer due before a click comes
before it; what a batch holds beside it therefore changes no count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from actors.dry_run import dry_run
from bench.journey import DAY_MS, ENTRY_DAYS, FLOW, HORIZON_DAYS, make_audience
from bench.journey_figures import ID_CHARS, with_ids
from bench.rivals.columns import CLICK_WAIT_MS, LATER_MS, Counts
from core.audience import Audience
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.options import RunOptions
from core.philox import assign_key, draw_array
from ext.hashing import hash_strings

TRIGGER, CLICK = 0, 1
_HALF = np.uint64(1 << 63)

Row = tuple[int, bytes, int, bytes, int]
"""Kind (TRIGGER or CLICK), customer id, time in ms, country, consent (1: yes)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that arrive together, m of them in order of time; a mere tick of the clock has none.

    `number` counts from 1; `now_ms` is the clock, never before an event or an earlier batch.
    `kind` int8[m]; `ids` S9[m]; `at_ms` int64[m]; `country` S2[m] and `consent` int8[m] are what
    the event says of its customer.
    """

    number: int
    now_ms: int
    kind: NDArray[np.int8]
    ids: NDArray[np.bytes_]
    at_ms: NDArray[np.int64]
    country: NDArray[np.bytes_]
    consent: NDArray[np.int8]

    def __len__(self) -> int:
        """The number of events, m."""
        return len(self.kind)

    def rows(self) -> Iterator[Row]:
        """The events one by one, as Python objects."""
        return zip(
            self.kind.tolist(),
            self.ids.tolist(),
            self.at_ms.tolist(),
            self.country.tolist(),
            self.consent.tolist(),
            strict=True,
        )

    def rows_of(self, kind: int) -> Batch:
        """The batch with the events of one kind only."""
        kept = np.flatnonzero(self.kind == kind)
        return Batch(
            self.number,
            self.now_ms,
            self.kind[kept],
            self.ids[kept],
            self.at_ms[kept],
            self.country[kept],
            self.consent[kept],
        )


@dataclass(frozen=True)
class Load:
    """All events of n customers, m of them in order of time, to be cut into batches.

    `owner` int32[m], `kind` int8[m], `at_ms` int64[m]; `ids` S9[n], `country` S2[n], `consent`
    int8[n] by customer. `bound` is the same journey for the dry run. `batch_max` events make a
    batch, of which the last may have fewer.
    """

    bound: Bound
    batch_max: int
    ids: NDArray[np.bytes_]
    country: NDArray[np.bytes_]
    consent: NDArray[np.int8]
    owner: NDArray[np.int32]
    kind: NDArray[np.int8]
    at_ms: NDArray[np.int64]

    @property
    def entries(self) -> int:
        """The number of customers, n, each of whom enters once."""
        return len(self.ids)

    @cached_property
    def end_ms(self) -> int:
        """When the last journey is over."""
        return int(self.at_ms[self.kind == TRIGGER][-1]) + CLICK_WAIT_MS + LATER_MS

    def batches(self, after: int = 0) -> Iterator[Batch]:
        """The batches numbered above `after`: events until there are none, then ticks to the end.

        A tick is as long as a batch on average, so that it fires as many timers as they do.
        """
        clock = 0
        number = 0
        for first in range(0, len(self.kind), self.batch_max):
            number += 1
            rows = slice(first, first + self.batch_max)
            clock = int(self.at_ms[rows][-1])
            if number > after:
                yield self._batch(number, clock, rows)
        tick = max(1, (clock - int(self.at_ms[0])) // number)
        while clock < self.end_ms:
            number += 1
            clock = min(clock + tick, self.end_ms)
            if number > after:
                yield self._batch(number, clock, slice(0, 0))

    def _batch(self, number: int, now_ms: int, rows: slice) -> Batch:
        owner = self.owner[rows]
        return Batch(
            number,
            now_ms,
            self.kind[rows],
            self.ids[owner],
            self.at_ms[rows],
            self.country[owner],
            self.consent[owner],
        )

    @cached_property
    def expected(self) -> Counts:
        """Arrivals at each node, int64[12], by a dry run of the same customers and events."""
        return dry_run(self.bound).counters[0].entered

    @cached_property
    def split_key(self) -> int:
        """The u64 key of the split's draws, see `takes_b`."""
        return assign_key(self.bound.options.salt, self.bound.program.flow.draws_as, "split")


def make_load(customers: int, batch_max: int) -> Load:
    """The load of so many customers: one trigger each over 20 days, a fifth with a click.

    ValueError where a number is not positive.
    """
    if customers < 1 or batch_max < 1:
        raise ValueError(f"{customers} customers in batches of {batch_max}: both must be positive")
    audience = _with_ids(make_audience(customers))
    options = RunOptions(0, ENTRY_DAYS * DAY_MS, HORIZON_DAYS * DAY_MS)
    owner = np.repeat(np.arange(customers, dtype=np.int32), np.diff(audience.event_offsets))
    trigger = audience.event_names.index("go")
    kind = np.where(audience.event_type == trigger, TRIGGER, CLICK).astype(np.int8)
    order = np.lexsort((kind, audience.event_ms))
    country: list[Any] = audience.attributes["country"].dictionary or []
    return Load(
        bound=bind(compile_flow(FLOW), audience, options),
        batch_max=batch_max,
        ids=audience.id_data.view(f"S{ID_CHARS}"),
        country=np.array(country, "S2")[audience.attributes["country"].values],
        consent=audience.attributes["consent"].values,
        owner=owner[order],
        kind=kind[order],
        at_ms=audience.event_ms[order],
    )


def takes_b(ids: Sequence[bytes], key: int) -> list[bool]:
    """Whether the split sends each customer to branch B, by the same draw in every contender.

    The customer's hash is XXH64 of the id; the upper half of the draws falls to B.
    """
    hashes = np.array([xxhash.xxh64_intdigest(name) for name in ids], np.uint64)
    drawn: list[bool] = (draw_array(key, hashes, np.zeros(len(ids), np.uint64)) >= _HALF).tolist()
    return drawn


def _with_ids(audience: Audience) -> Audience:
    """The audience with ids c00000000, c00000001, ... and their hashes."""
    named = with_ids(audience)
    return replace(named, id_hash=hash_strings(named.id_data.data, named.id_offsets))
