"""Tell where the time of events by HTTP goes: by process, and by step at the gateway.

A process's time is that of all its threads while the load ran. Steps are timed alone, on a batch as
the load has it, so they are what a step costs when nothing else is at work.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from actors.intake.frame import decode, encode
from actors.intake.routing import split
from api.http.ingest import segment
from api.http.ingest.translation import Places
from core.tenant_schema import TenantSchema

REPEATS = 30
PARTITIONS = 2
_TICKS = os.sysconf("SC_CLK_TCK")


def processor_s(pid: int) -> dict[str, float]:
    """Seconds that a service's processes have used so far: `gateway`, `shards`, `other` of Ray."""
    parents = dict(_processes())
    found = {"gateway": 0.0, "shards": 0.0, "other": 0.0}
    for process in parents:
        line = [process]
        while line[-1] in parents and line[-1] != pid:
            line.append(parents[line[-1]])
        if line[-1] != pid:
            continue
        try:
            # Actors of Ray name themselves by their class and what they do.
            name = Path(f"/proc/{process}/cmdline").read_bytes()
            seconds = _seconds(process)
        except OSError:
            continue  # it has ended
        kind = "gateway" if process == pid else "shards" if b"ShardHost" in name else "other"
        found[kind] += seconds
    return found


def _processes() -> Iterator[tuple[int, int]]:
    """Every process with its parent."""
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            try:
                yield int(each.name), int(_fields(int(each.name))[1])
            except OSError:
                continue


def _fields(pid: int) -> list[str]:
    """What /proc/PID/stat has behind the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _seconds(pid: int) -> float:
    user, system = _fields(pid)[11:13]
    return (int(user) + int(system)) / _TICKS


def segment_steps(body: bytes, schema: TenantSchema) -> dict[str, float]:
    """Seconds for the steps that a body of plain Segment calls goes through, by what they do."""
    places = Places.of(schema)
    plain = segment.read_plain(body, places, 0)
    frame = None if plain is None else segment.frame_of_plain([plain], places, schema)
    if plain is None or frame is None:
        raise ValueError("the body has calls that are not plain")
    parts = split(frame, PARTITIONS)
    written = [encode(part) for _, part in parts]
    return {
        "reading JSON": _timed(lambda: segment.read_plain(body, places, 0)),
        "making columns": _timed(lambda: segment.frame_of_plain([plain], places, schema)),
        "splitting by partition": _timed(lambda: split(frame, PARTITIONS)),
        "writing frames": _timed(lambda: [encode(part) for _, part in parts]),
        "reading and checking frames": _timed(lambda: [decode(each) for each in written]),
    }


def _timed(work: Callable[[], object]) -> float:
    """The shortest time of several, in seconds."""
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best
