"""Measure what failpoints cost while none is armed: a look each, against a commit of one event."""

from __future__ import annotations

import time
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from actors import failpoints
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from bench.figures import Figure
from bench.journey import DAY_MS
from bench.live.feeding import journey_of, one_event
from bench.live.figures import Measured, at_most
from bench.live.headrace import SCHEMA

LOOKS = 1_000_000
ROUNDS = 5
COMMITS = 200
BAR_PERCENT = 1.0
NS = 1e9


def measure() -> Measured:
    """Nanoseconds of a look, looks of a commit, and their share of its time."""
    look_ns = look_s() * NS
    looks, commit_s = commit_looks()
    share = looks * look_ns / (commit_s * NS) * 100
    what = "a commit of one event"
    return Measured(
        [
            Figure("failpoints", "a look at a failpoint, none armed", "ns", look_ns),
            Figure("failpoints", f"looks of {what}", "looks", looks),
            Figure("failpoints", what, "µs", commit_s * 1e6),
            Figure("failpoints", f"share of looks in {what}", "%", share, bar=at_most(BAR_PERCENT)),
        ]
    )


def look_s() -> float:
    """Seconds of one look: a loop that looks against one that does nothing."""
    timers = [
        timeit.Timer(statement, "from actors import failpoints")
        for statement in ("if failpoints.armed:\n    failpoints.hit('x')", "pass")
    ]
    looking, idle = (min(timer.repeat(ROUNDS, LOOKS)) for timer in timers)
    return max(0.0, looking - idle) / LOOKS


def commit_looks() -> tuple[float, float]:
    """How many looks a commit of one event makes, and the median seconds of one without any."""
    with TemporaryDirectory(prefix="headrace-bench-") as place:
        settings = TenantSettings("bench", "salt", "UTC")
        with LivePartition.open(Path(place) / "000", settings, create=True) as partition:
            partition.command(1, {"kind": "schema", "schema": SCHEMA, "at_ms": 0})
            partition.command(2, _published())
            seconds = [_commit(partition, number) for number in range(COMMITS)]
            with counted_looks() as looked:
                for number in range(COMMITS, 2 * COMMITS):
                    _commit(partition, number)
    return looked.count / COMMITS, median(seconds)


class Looked(dict[str, tuple[int, str]]):
    """An empty mapping of armed points that counts how often somebody looks whether it is."""

    count = 0

    def __bool__(self) -> bool:
        self.count += 1
        return False


@contextmanager
def counted_looks() -> Iterator[Looked]:
    """Count the looks at failpoints meanwhile. RuntimeError where one is armed."""
    if failpoints.armed:
        raise RuntimeError("a failpoint is armed")
    looked = Looked()
    before, failpoints.armed = failpoints.armed, looked
    try:
        yield looked
    finally:
        failpoints.armed = before


def _commit(partition: LivePartition, number: int) -> float:
    began = time.perf_counter()
    partition.take(one_event(number), 1_000 + number)
    return time.perf_counter() - began


def _published() -> dict[str, object]:
    return {
        "kind": "publish",
        "flow": "reference",
        "version": 1,
        "document": journey_of(DAY_MS),
        "in_flight": "pin",
        "at_ms": 1,
    }
