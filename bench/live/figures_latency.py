"""Measure how long acknowledgements take: beside a load, snapshots, and a surge of timers.

Requests are due at times that do not depend on earlier ones, see `bench.live.latency`. Batches of
the journey make the load, and single events of new customers between them tell what one of them
waits. Everything runs on the machine's clock with Ray; the journey's days are short, so that its
timers fire at the pace at which customers enter. An acknowledged event's effect must stand in the
outbox, in the very commit that the receipt names.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Lock, Thread

import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import Frame
from actors.intake.routing import partition_of
from actors.live.data_dir import partition_path
from actors.live.engine import Engine
from actors.live.hosted import Receipt
from actors.relay.effect_block import COLUMN
from actors.store.partition import Partition
from bench.figures import Figure
from bench.journey import ENTRY_DAYS
from bench.live.feeding import (
    SURGE,
    Request,
    fill,
    journey_of,
    one_event,
    renamed,
    requests_of,
    start,
    submit,
    surge_until,
)
from bench.live.figures import Form, Latency, Measured, counted
from bench.live.headrace import blocks_of
from bench.live.latency import open_loop
from bench.live.load import make_load
from bench.live.measured import stages_of

PARTITIONS = 2
BATCH, ONE = "a batch of {:,} events", "one event"
SINGLES_PER_SECOND = 100.0
BAR_MS = 50.0
EVENTS_OF_AN_ENTRY = 1.2
WARMING = 20
LEAD_S = 1.0
SURGE_FILL_PER_SECOND = 60_000
SURGE_IN_S = 4.0
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of the acknowledgements of batches and of single events, in order."""

    batches: NDArray[np.float64]
    singles: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pace:
    """A load: so many entries a second for so many seconds, in batches of so many events."""

    entries_per_second: float
    seconds: float
    batch: int

    @property
    def entries(self) -> int:
        """How many customers enter meanwhile."""
        return max(1, int(self.entries_per_second * self.seconds))

    @property
    def batches_per_second(self) -> float:
        """How many batches are due a second."""
        return self.entries_per_second * EVENTS_OF_AN_ENTRY / self.batch


def measure(form: Form, capacity: float, batch: int) -> Measured:
    """All latencies, at shares of a capacity in entries a second."""
    measured = Measured()
    for percent, snapshots in ((10, False), (80, False), (10, True)):
        pace = Pace(capacity * percent / 100, form.latency_s, batch)
        beside = f"{percent} %" + (", snapshots one after the other" if snapshots else "")
        timed = under_load(pace, snapshots=snapshots)
        bar = BAR_MS if percent == 10 and not snapshots else None
        measured.latencies += _told(timed, pace, beside, bar)
    pace = Pace(capacity / 10, form.latency_s, batch)
    timed, over_s = in_surge(pace, form.surge_tokens)
    tokens = counted(form.surge_tokens)
    measured.latencies += _told(timed, pace, f"10 %, {tokens} timers due at one instant", None)
    name = f"{tokens} timers due at one instant, beside 10 % load: all fired after"
    measured.figures.append(Figure("surge", name, "s", over_s))
    return measured


def _told(timed: Timed, pace: Pace, beside: str, bar_ms: float | None) -> Iterator[Latency]:
    rate = pace.entries_per_second
    yield Latency(BATCH.format(pace.batch), beside, timed.batches, rate)
    yield Latency(ONE, beside, timed.singles, rate, bar_ms)


def under_load(pace: Pace, *, snapshots: bool = False, inline: bool = False) -> Timed:
    """Acknowledgements while the journey runs at a pace; `inline`: in one process, without Ray.

    RuntimeError where an effect does not stand where it should, or no snapshot was taken.
    """
    load = make_load(pace.entries, pace.batch)
    with TemporaryDirectory(prefix="headrace-bench-") as place:
        folder = Path(place) / "data"
        with start(folder, partitions=PARTITIONS, inline=inline, snapshots=snapshots) as engine:
            engine.publish(journey_of(max(1, int(pace.seconds * 1e3 / ENTRY_DAYS))))
            _warm(engine)
            caller = _Caller(engine)
            timed = _send(caller, requests_of(load, b"load", PARTITIONS), pace.batches_per_second)
        caller.hold_effects(folder)
        if snapshots and not stages_of(folder, PARTITIONS).snapshots:
            raise RuntimeError("no slice of a snapshot was written meanwhile")
    return timed


def in_surge(pace: Pace, tokens: int, *, inline: bool = False) -> tuple[Timed, float]:
    """Acknowledgements around an instant at which so many timers are due; seconds until all fired.

    The load's customers pass through the same flow, and do not wait once the instant is over.
    """
    waiting = requests_of(make_load(tokens, pace.batch), b"fill", PARTITIONS, triggers_only=True)
    later = renamed(make_load(pace.entries, pace.batch), b"l")
    beside = requests_of(later, b"load", PARTITIONS, triggers_only=True)
    with TemporaryDirectory(prefix="headrace-bench-") as place:
        folder = Path(place) / "data"
        with start(folder, partitions=PARTITIONS, inline=inline) as engine:
            at_s = int(time.time() + SURGE_IN_S + tokens / SURGE_FILL_PER_SECOND)
            engine.publish(surge_until(at_s))
            _warm(engine)
            fill(engine, waiting)
            ahead_s = at_s - LEAD_S - time.time()
            if ahead_s < 0:
                raise RuntimeError(f"{tokens:,} tokens took {-ahead_s:.1f} s too long to enter")
            time.sleep(ahead_s)
            caller = _Caller(engine)
            with _Fired(engine, at_s) as fired:
                timed = _send(caller, beside, pace.batches_per_second)
        caller.hold_effects(folder, due_ms=at_s * 1_000)
    return timed, fired.seconds


class _Caller:
    """Sends frames, and keeps the receipts of those with a single event."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sent: list[tuple[Frame, Future[Receipt], int]] = []

    def submit(self, request: Request) -> Future[None]:
        """Send a request; the future is done once all partitions have acknowledged it."""
        parts = submit(self._engine, request)
        if not request[0].sequence:
            self._sent.append((request[0], parts[0], time.time_ns() // 1_000_000))
        return _joined(parts)

    def hold_effects(self, folder: Path, due_ms: int = 0) -> None:
        """RuntimeError where an acknowledged event's effect is not in the commit of its receipt.

        Events before `due_ms` have none yet. The engine is closed.
        """
        found: list[set[tuple[int, int]]] = []
        for number in range(PARTITIONS):
            with Partition.open(partition_path(folder, number)) as store:
                found.append(
                    {
                        (commit, customer)
                        for commit, block in blocks_of(store)
                        for customer in np.frombuffer(block["effects"], COLUMN)["customer"].tolist()
                    }
                )
        for frame, receipt, at_ms in self._sent:
            number = int(partition_of(frame.id_hash, PARTITIONS)[0])
            customer = int(frame.id_hash.view(np.int64)[0])
            if at_ms > due_ms and (receipt.result().commit, customer) not in found[number]:
                raise RuntimeError(
                    f"commit {receipt.result().commit} of partition {number} was acknowledged, "
                    f"but has no effect for {frame.id_of(0)}"
                )


class _Fired:
    """Looks, while it is entered, how long after an instant nobody waits any more."""

    def __init__(self, engine: Engine, at_s: float) -> None:
        self.seconds = 0.0
        self._engine, self._at_s = engine, at_s
        self._thread = Thread(target=self._look, name="fired", daemon=True)
        self._done = Event()

    def __enter__(self) -> _Fired:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._thread.join(60)
        if not self._done.is_set():
            raise RuntimeError("not all timers fired within a minute")

    def _look(self) -> None:
        time.sleep(max(0.0, self._at_s - time.time()))
        while (entered := self._engine.counts(SURGE).entered)[0] != entered[-1]:
            time.sleep(LOOK_S)
        self.seconds = time.time() - self._at_s
        self._done.set()


def _send(caller: _Caller, batches: Sequence[Request], batches_per_second: float) -> Timed:
    """Send batches with single events evenly between them."""
    singles = max(1, round(SINGLES_PER_SECOND / batches_per_second))
    each = 1 + singles
    requests = [
        request
        for number, batch in enumerate(batches)
        for request in (batch, *(one_event(number * singles + i) for i in range(singles)))
    ]
    # The load is a heap of objects that a service would not have; nobody is to wait while the
    # collector looks through them.
    gc.collect()
    gc.freeze()
    found = open_loop(caller.submit, requests, batches_per_second * each)
    is_batch = np.arange(len(requests)) % each == 0
    return Timed(found.seconds[is_batch], found.seconds[~is_batch])


def _warm(engine: Engine) -> None:
    """Let every part do its work once before anything is timed."""
    for number in range(WARMING):
        fill(engine, [one_event(number, prefix=b"w")])


def _joined(parts: Sequence[Future[Receipt]]) -> Future[None]:
    """A future that is done when all are; it raises what the first that failed did."""
    whole: Future[None] = Future()
    left = len(parts)
    lock = Lock()

    def ended(part: Future[Receipt]) -> None:
        nonlocal left
        with lock:
            left -= 1
            last = left == 0
        if last:
            failed = next((e for p in parts if (e := p.exception()) is not None), None)
            if failed is None:
                whole.set_result(None)
            else:
                whole.set_exception(failed)

    for part in parts:
        part.add_done_callback(ended)
    return whole
