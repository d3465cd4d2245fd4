"""Runs the reference journey as a Bytewax dataflow with recovery, its state kept by customer.

Each batch is an epoch, so that Bytewax writes the changed states to its recovery database at its
end; effects go to a file that is forced to the disk at the same time and cut back on recovery. All
customers are one key, whose state is written whole each time: with a key for each customer the
recovery database, which parses a statement for every key, is several times slower at these sizes.
Bytewax's own timers go by the clock of the machine, so the driven clock comes as an item. What it
lacks beside an engine: the flow is code, the question about the country is left out, one entry for
each customer is assumed, events are not checked, and who sent a batch never learns that it is
durable.
"""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from itertools import starmap, takewhile
from pathlib import Path
from struct import Struct

import bytewax.operators as op
import numpy as np
from bytewax._bytewax import run_main
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir

from bench.journey_figures import ID_CHARS
from bench.live.contender import APPLY, LOAD, SENDS, Outcome, Stopwatch, arrivals, no_collector
from bench.live.load import TRIGGER, Load, takes_b
from bench.rivals.columns import CLICK_WAIT_MS, END, LATER_MS, MAIL, MAIL_A, MAIL_B, SMS

PART = "all"
TICK = 2
_RECORD = Struct(f">BQ{ID_CHARS}s")  # node, time, customer

Value = tuple[int, bytes, int, bytes, int]
"""A row of a batch, or TICK with the clock as its time."""
Item = tuple[str, Value]
Sent = tuple[int, int, bytes]
"""Node, time and customer of an effect, or END for who was asked and did not consent."""


class _Journeys(StatefulBatchLogic[Value, Sent, bytes]):
    """All customers in the flow; both waits are as long for all, so they end as they begin."""

    def __init__(self, state: bytes | None, key: int) -> None:
        self._waiting: dict[bytes, tuple[int, int]] = {}
        self._later: deque[tuple[int, bytes, int]] = deque()
        self._key = key
        if state is not None:
            self._waiting, self._later = pickle.loads(state)

    def on_batch(self, values: list[Value]) -> tuple[Iterable[Sent], bool]:
        """Take the steps of a batch and of the timers that are due by its clock."""
        waiting, later = self._waiting, self._later
        sent: list[Sent] = []
        clicks: list[tuple[bytes, int]] = []
        now_ms = -1
        for kind, customer, at, _, consent in values:
            if kind == TRIGGER:
                sent.append((MAIL, at, customer))
                waiting[customer] = at + CLICK_WAIT_MS, consent
            elif kind == TICK:
                now_ms = at
            elif customer in waiting and at <= waiting[customer][0]:
                del waiting[customer]
                clicks.append((customer, at))
        to_b = takes_b([customer for customer, _ in clicks], self._key)
        for (customer, at), b in zip(clicks, to_b, strict=True):
            sent.append((MAIL_B if b else MAIL_A, at, customer))
        over = list(takewhile(lambda item: item[1][0] <= now_ms, waiting.items()))
        for customer, (due, consent) in over:
            del waiting[customer]
            later.append((due + LATER_MS, customer, consent))
        while later and later[0][0] <= now_ms:
            due, customer, consent = later.popleft()
            sent.append((SMS if consent else END, due, customer))
        return sent, False

    def snapshot(self) -> bytes:
        """The state as it is now."""
        return pickle.dumps((self._waiting, self._later), pickle.HIGHEST_PROTOCOL)


class _Events(StatefulSourcePartition[Item, int]):
    """The batches after a number, each ended by its clock."""

    def __init__(self, load: Load, after: int, watch: Stopwatch) -> None:
        self._batches = load.batches(after)
        self._number, self._watch = after, watch

    def next_batch(self) -> list[Item]:
        """One batch."""
        self._watch.lap(APPLY)
        batch = next(self._batches)
        items: list[Item] = [(PART, row) for row in batch.rows()]
        items.append((PART, (TICK, b"", batch.now_ms, b"", 0)))
        self._number = batch.number
        self._watch.lap(LOAD)
        return items

    def snapshot(self) -> int:
        """The number of the last batch."""
        return self._number


class _Source(FixedPartitionedSource[Item, int]):
    """One partition of events."""

    def __init__(self, load: Load, watch: Stopwatch) -> None:
        self._load, self._watch = load, watch

    def list_parts(self) -> list[str]:
        """The only partition."""
        return [PART]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> _Events:
        """The partition, from where it was."""
        return _Events(self._load, resume_state or 0, self._watch)


class _Outbox(StatefulSinkPartition[Sent, int]):
    """A file of effects, durable whenever Bytewax asks how far it is."""

    def __init__(self, path: Path, size: int) -> None:
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(size)
        self._file.seek(size)

    def write_batch(self, values: list[Sent]) -> None:
        """Append effects."""
        self._file.write(b"".join(starmap(_RECORD.pack, values)))

    def snapshot(self) -> int:
        """Force the file to the disk; its size."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Sink(FixedPartitionedSink[Sent, int]):
    """One partition of effects."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list_parts(self) -> list[str]:
        """The only partition."""
        return [PART]

    def part_fn(self, item_key: str) -> int:
        """The only partition."""
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> _Outbox:
        """The partition, from where it was."""
        return _Outbox(self._path, resume_state or 0)


class BytewaxFlow:
    """See the module."""

    def prepare(self, folder: Path, load: Load) -> None:
        """Make the recovery database where there is none."""
        self._load, self._outbox = load, folder / "outbox"
        self._recovery = folder / "recovery"
        if not self._recovery.exists():
            self._recovery.mkdir()
            init_db_dir(self._recovery, 1)  # type: ignore[no-untyped-call]

    def run(self) -> Outcome:
        """Run the dataflow from where it was until its source ends."""
        watch = Stopwatch()
        flow = Dataflow("reference")
        events = op.input("events", flow, _Source(self._load, watch))
        sent = op.stateful_batch(
            "journeys", events, lambda state: _Journeys(state, self._load.split_key)
        )
        op.output("outbox", sent, _Sink(self._outbox))
        recovery = RecoveryConfig(self._recovery)  # type: ignore[no-untyped-call]
        with no_collector():
            run_main(  # type: ignore[no-untyped-call]
                flow, epoch_interval=timedelta(0), recovery_config=recovery
            )
        watch.lap(APPLY)
        return self._outcome(watch)

    def close(self) -> None:
        """Nothing stays open."""

    def _outcome(self, watch: Stopwatch) -> Outcome:
        record = np.dtype([("node", "u1"), ("rest", f"V{_RECORD.size - 1}")])
        nodes = np.bincount(np.fromfile(self._outbox, record)["node"], minlength=END + 1).tolist()
        asked = nodes[SMS] + nodes[END]
        # The dataflow runs until all journeys are over, so who timed out was asked as well.
        counts = arrivals(
            nodes[MAIL], nodes[MAIL_A] + nodes[MAIL_B], nodes[MAIL_B], asked, asked, nodes[SMS]
        )
        effects = np.array([nodes[node] for node in SENDS], np.int64)
        return Outcome(counts, effects, self._load.entries, watch.seconds, watch.stages)
