"""Measure how soon a partition serves again: from its start to the first acknowledgement.

Its tokens all wait. Two thirds of them are in the snapshot, the others in the journal behind it.
Each opening is in a process of its own; for a cold one the partition's files are dropped from the
page cache before, and what it read from the disk is told.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from actors.live.control import TenantSettings
from actors.live.data_dir import DataDir, partition_path
from actors.live.household import Household, HouseholdFactory
from actors.live.partition import LivePartition
from actors.live.starting import Hosting, start_engine
from bench.alone import alone
from bench.figures import Figure, spread_of
from bench.journey import DAY_MS
from bench.live.feeding import fill, journey_of, one_event, requests_of, start
from bench.live.figures import Form, Measured, at_most, counted
from bench.live.load import make_load

MODULE = "bench.live.figures_recovery"
BATCH = 5_000
BAR_S = 5.0
SECTOR_BYTES = 512
MIB = 2**20
OPENER = HouseholdFactory
"""What the engine imports when it starts; named here so that importing it is not timed."""


@dataclass(frozen=True, slots=True)
class Left:
    """What lies in a folder: MiB of the snapshot's file, and of the journal behind it."""

    data_mib: float
    tail_mib: float


def measure(form: Form) -> Measured:
    """Warm and cold openings."""
    with TemporaryDirectory(prefix="headrace-bench-") as place:
        folder = Path(place) / "data"
        left = leave(folder, form.reopened_tokens)
        return Measured(list(_figures(folder, left, form)))


def _figures(folder: Path, left: Left, form: Form) -> Iterator[Figure]:
    what = (
        f"{counted(form.reopened_tokens)} waiting tokens, {left.tail_mib:.0f} MiB of journal "
        "behind the snapshot"
    )
    warm: list[float] = []
    cold: list[float] = []
    read_mib: list[float] = []
    for _ in range(form.reopenings):
        alone(MODULE, "reopen", folder=str(folder))
        warm.append(alone(MODULE, "reopen", folder=str(folder)).result["seconds"])
        forget(folder)
        found = alone(MODULE, "reopen", folder=str(folder)).result
        cold.append(found["seconds"])
        read_mib.append(found["read_mib"])
    yield Figure(
        "recovery", f"{what}: warm", "s", median(warm), spread_of(warm), bar=at_most(BAR_S)
    )
    name = f"{what}: cold, {median(read_mib):.0f} of {left.data_mib:.0f} MiB read from the disk"
    yield Figure("recovery", name, "s", median(cold), spread_of(cold))


def leave(folder: Path, tokens: int) -> Left:
    """Make a data directory of one partition with so many waiting tokens, and close it."""
    requests = requests_of(make_load(tokens, BATCH), b"load", 1, triggers_only=True)
    tail = len(requests) // 3
    with start(folder, partitions=1, inline=True) as engine:
        engine.publish(journey_of(DAY_MS))
        fill(engine, requests[: len(requests) - tail])
    with DataDir.open(folder) as data:
        settings = TenantSettings.of(data.manifest)
    path = partition_path(folder, 0)
    with LivePartition.open(path, settings) as partition:
        while partition.snapshot(now=True):
            pass
        covered = partition.store.head.journal_last
        for frames in requests[len(requests) - tail :]:
            partition.take(frames, time.time_ns() // 1_000_000)
        tail_bytes = sum(len(record) for _, record in partition.store.journal(covered))
    size = (path / "data.mdb").stat().st_blocks * SECTOR_BYTES
    return Left(size / MIB, tail_bytes / MIB)


def forget(folder: Path) -> None:
    """Drop the files of a data directory from the page cache; nobody has them open."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _leave_tail(_household: Household) -> None:
    """Save nothing."""


def reopen(folder: str) -> dict[str, Any]:
    """Start an engine on the folder and send it an event: `seconds`, and `read_mib` from disk."""
    request = one_event(time.time_ns() // 1_000_000 % 100_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_inblock
    began = time.perf_counter()
    engine = start_engine(folder, None, Hosting(inline=True, shards=1, relays=False))
    fill(engine, [request])
    seconds = time.perf_counter() - began
    blocks = resource.getrusage(resource.RUSAGE_SELF).ru_inblock - before
    # Otherwise a clean close saved the state, and left the next opening no tail.
    Household.settle = _leave_tail  # type: ignore[assignment,method-assign]
    engine.close()
    return {"seconds": seconds, "read_mib": blocks * SECTOR_BYTES / MIB}
