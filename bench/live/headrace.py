"""Run the live load through Headrace itself: gateway, routing, shards, journal and outbox.

Nothing is written for this journey: frames carry each trigger as a change of the customer's record
and an event, the generic engine runs the published flow, sources are numbered for de-duplication,
and every batch is committed before it is acknowledged. With Ray each partition is hosted by an
actor in a process of its own, and the gateway keeps a few batches under way; in one process a
thread hosts all of them. Partitions work while the gateway does, so the stages of both add up to
more than the time; `wait` is what the gateway had nothing to do.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import UPSERT, Frame, Sparse
from actors.intake.routing import partition_of
from actors.live.engine import Engine
from actors.live.hosted import Receipt
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.relay.effect_block import COLUMN
from actors.store.partition import Partition
from bench.journey import FLOW
from bench.live.contender import (
    APPLY,
    COMMIT,
    DECODE,
    LOAD,
    SENDS,
    TRANSFER,
    WAIT,
    Outcome,
    Stopwatch,
)
from bench.live.load import TRIGGER, Batch, Load
from bench.live.measured import measured_factory, stages_of
from bench.rivals.columns import NODES, Counts
from core.identity import text
from ext.hashing import hash_strings, hash_words
from ext.idmap import IdMap

SOURCE = b"bench"
UNDER_WAY = 8
"""Batches that are sent and not acknowledged yet, at most."""
SCHEMA = {
    "attributes": {"country": {"type": "string"}, "consent": {"type": "bool"}},
    "events": {"go": {}, "click": {}},
}
_EVENTS = np.array([text("go"), text("click")], np.uint64)


class Headrace:
    """Headrace with `partitions` partitions, in actors of Ray or `inline`."""

    partitions = 2
    inline = False

    def prepare(self, folder: Path, load: Load) -> None:
        """Make a data directory and publish the journey, or go on with what is there."""
        self._load = load
        self._folder = folder
        self._engine: Engine | None = start_engine(
            folder / "data",
            Making(tenant="bench", partitions=self.partitions, salt=load.bound.options.salt),
            Hosting(
                inline=self.inline,
                shards=self.partitions,
                relays=False,
                options=ShardOptions(driven=True),
            ),
            factory=measured_factory(),
        )
        if not self._engine.flows():
            self._engine.set_schema(SCHEMA)
            document = FLOW.model_dump(mode="json", by_alias=True, exclude_unset=True)
            self._engine.publish(json.dumps(document))

    def run(self) -> Outcome:
        """Take all batches that are not durable yet, until all journeys are over."""
        assert self._engine is not None
        engine, load = self._engine, self._load
        after = engine.sequence_of(SOURCE)
        watch = Stopwatch()
        under_way: deque[list[Future[Receipt]]] = deque()
        for batch in load.batches(after):
            watch.lap(LOAD)
            if len(batch) == 0:
                break
            frames = frames_of(batch, self.partitions)
            watch.lap(DECODE)
            sent = [engine.submit(frame, number) for number, frame in enumerate(frames)]
            under_way.append([receipt for receipts in sent for receipt in receipts])
            watch.lap(TRANSFER)
            if len(under_way) > UNDER_WAY:
                settle(under_way.popleft())
                watch.lap(WAIT)
        while under_way:
            settle(under_way.popleft())
        engine.advance(load.end_ms + 1)
        watch.lap(WAIT)
        counts = engine.counts(FLOW.flow).entered
        self.close()
        inside = stages_of(self._folder / "data", self.partitions)
        stages = {**watch.stages, APPLY: inside.apply_s, COMMIT: inside.commit_s}
        return Outcome(counts, self._effects(), int(counts[0]), watch.seconds, stages)

    def close(self) -> None:
        """End the engine; the folder stays."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _effects(self) -> Counts:
        """The effects in the outboxes of all partitions, by the nodes SENDS."""
        found: dict[str, int] = {}
        for number in range(self.partitions):
            with Partition.open(self._folder / "data" / "partitions" / f"{number:03}") as store:
                for _, block in blocks_of(store):
                    places = np.frombuffer(block["effects"], COLUMN)["send"]
                    times = np.bincount(places, minlength=len(block["sends"])).tolist()
                    for send, count in zip(block["sends"], times, strict=True):
                        found[send[2]] = found.get(send[2], 0) + count
        return np.array([found.get(NODES[node], 0) for node in SENDS], np.int64)


class HeadraceInline(Headrace):
    """Headrace in one process, one partition."""

    partitions = 1
    inline = True


def frames_of(batch: Batch, partitions: int) -> list[Frame]:
    """A batch routed: the rows of each partition, none perhaps, for its source is numbered."""
    size = batch.ids.dtype.itemsize
    offsets = np.arange(len(batch) + 1, dtype=np.int64) * size
    hashes = hash_strings(batch.ids.tobytes(), offsets)
    if partitions == 1:
        return [frame_of(batch, hashes)]
    of = partition_of(hashes, partitions)
    found = []
    for number in range(partitions):
        rows = np.flatnonzero(of == number)
        part = replace(
            batch,
            kind=batch.kind[rows],
            ids=batch.ids[rows],
            at_ms=batch.at_ms[rows],
            country=batch.country[rows],
            consent=batch.consent[rows],
        )
        found.append(frame_of(part, hashes[rows]))
    return found


def frame_of(batch: Batch, hashes: NDArray[np.uint64]) -> Frame:
    """Rows of events: before each trigger a change of what is known of its customer.

    `hashes` uint64[m] are those of the customers' ids.
    """
    reps = 1 + (batch.kind == TRIGGER)
    of = np.repeat(np.arange(len(batch)), reps)
    last = np.cumsum(reps) - 1
    rows = len(of)
    is_event = np.zeros(rows, np.bool_)
    is_event[last] = True
    size = batch.ids.dtype.itemsize
    numbers = IdMap()
    who = numbers.add(hashes)
    first = np.full(len(numbers), len(batch), np.int64)
    np.minimum.at(first, who, np.arange(len(batch)))
    kind = np.full(rows, UPSERT, np.int32)
    kind[last] = batch.kind
    identity = np.zeros(rows, np.uint64)
    words = np.empty((len(batch), 2), np.uint64)
    words[:, 0] = _EVENTS[batch.kind]
    words[:, 1] = np.arange(len(batch), dtype=np.uint64) + np.uint64(batch.number << 32)
    identity[last] = hash_words(words)
    changes = np.flatnonzero(~is_event).astype(np.int32)
    return Frame(
        id_offsets=np.arange(len(numbers) + 1, dtype=np.int64) * size,
        id_data=np.frombuffer(batch.ids[first].tobytes(), np.uint8),
        id_hash=hashes[first],
        customer=who[of],
        type=kind,
        event_names=["go", "click"],
        occurred_ms=batch.at_ms[of],
        received_ms=batch.at_ms[of],
        message=np.zeros((rows, 2), np.uint64),
        hash=identity,
        source=SOURCE,
        sequence=batch.number,
        attributes=_attributes(batch, of[changes], changes) if len(changes) else {},
    )


def _attributes(batch: Batch, of: NDArray[np.int64], rows: NDArray[np.int32]) -> dict[str, Sparse]:
    codes = batch.country[of].view(np.uint16)
    known = np.unique(codes)
    names = [name.decode() for name in known.view("S2").tolist()]
    country = np.searchsorted(known, codes).astype(np.int32)
    return {
        "country": Sparse("string", rows, country, names),
        "consent": Sparse("bool", rows, batch.consent[of].astype(np.int8)),
    }


def settle(receipts: list[Future[Receipt]]) -> None:
    """Wait until a batch is durable; raises what kept it from being so."""
    for receipt in receipts:
        receipt.result()


def blocks_of(store: Partition) -> Iterator[tuple[int, dict[str, Any]]]:
    """The blocks of effects in an outbox, each with the number of its commit."""
    for block in store.outbox():
        for data in block.effects:
            yield block.commit, msgpack.unpackb(data)
