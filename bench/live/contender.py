"""Say what runs the live load: the protocol of a contender, and what it reports.

A new contender is a class with the three methods of `LiveContender`, entered in
`bench.live.contest`. Its `run` takes the load's batches one by one (or pipelined), makes each
durable together with its effects before it counts as acknowledged, and ends when the last tick is.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench.live.load import Batch, Load
from bench.rivals.columns import MAIL, MAIL_A, MAIL_B, NODES, SMS, Counts

SENDS = (MAIL, MAIL_A, MAIL_B, SMS)
"""The nodes that send, in the order in which effects are counted."""

LOAD, DECODE, APPLY, COMMIT = "load", "decode", "apply", "commit"
TRANSFER, WAIT = "transfer", "wait"
"""Stages: making batches; turning them into one's own form; working on them; making them durable;
carrying them between processes; waiting for others. A contender reports those it can tell apart."""


class NotHereError(Exception):
    """A contender can't run on this machine; says what is missing."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: `entries` that ran to their end in `seconds`.

    `counts` int64[12]: arrivals at each node; `effects` int64[4]: effects found in the durable
    outbox afterwards, by the nodes `SENDS`. `stages`: seconds by stage; where stages overlap, as in
    several processes, they may add up to more than `seconds`.
    """

    counts: Counts
    effects: NDArray[np.int64]
    entries: int
    seconds: float
    stages: dict[str, float] = field(default_factory=dict)


class LiveContender(Protocol):
    """Runs the reference journey live, in a folder of its own."""

    def prepare(self, folder: Path, load: Load) -> None:
        """Open the store in `folder`, made where there is none; nothing here is measured.

        In a folder where an earlier run was stopped, recover: `run` then goes on after the last
        durable batch. NotHereError where the machine lacks something.
        """

    def run(self) -> Outcome:
        """Take all batches that are not durable yet, until all journeys are over."""

    def close(self) -> None:
        """Release files and processes, also after `prepare` failed; the folder stays."""


class Stopwatch:
    """Tells the seconds of stages that follow each other."""

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._began = self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Charge the time since the last lap to a stage."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + now - self._last
        self._last = now

    @property
    def seconds(self) -> float:
        """From the start to the last lap."""
        return self._last - self._began


@contextmanager
def no_collector() -> Iterator[None]:
    """Let Python look for garbage in cycles before, not meanwhile.

    It would look through every token held in memory again and again, and find none.
    """
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def drive(batches: Iterator[Batch], take: Callable[[Batch, Stopwatch], None]) -> Stopwatch:
    """Hand each batch to `take`, which returns when it is durable; time the making of batches."""
    with no_collector():
        watch = Stopwatch()
        for batch in batches:
            watch.lap(LOAD)
            take(batch, watch)
        watch.lap(LOAD)
    return watch


def arrivals(entered: int, clicked: int, to_b: int, timed_out: int, asked: int, sms: int) -> Counts:
    """Arrivals at each node, int64[12], from what a hand-written journey counts.

    `asked` reached the question of consent; whoever answered a click or was asked has ended.
    """
    counts = np.array(
        [
            *(entered, entered, entered, entered, clicked, clicked),
            *(clicked - to_b, to_b, timed_out, asked, sms, clicked + asked),
        ],
        np.int64,
    )
    assert len(counts) == len(NODES)
    return counts
