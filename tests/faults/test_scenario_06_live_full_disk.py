"""Scenario 6 for a live engine: its disk fills up while it serves, and is freed again.

Callers are told that there is no room, nothing that was acknowledged is lost, no partition halts,
and all goes on without a restart. The disk is a small one where this process may mount one; else a
limit on the size of files stands for it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import pytest

from actors.live.engine import Engine
from actors.live.errors import FullError
from actors.live.shard import ShardOptions
from actors.live.starting import Hosting, Making, start_engine
from actors.live.watermarks import LOOK_AGAIN_S, Marks
from actors.store.errors import NoSpaceError
from actors.store.verify import verify
from serving import SCHEMA, WELCOME, customers, signups, write_templates
from waiting import until

SIZE_BYTES = 64 << 20
# What is left of it above the watermark must hold what each store reserves, two MiB at a time.
WATERMARK_SIZE_BYTES = 256 << 20
BATCH, BATCHES_MAX = 100, 100
NOTE = "n" * 2_000  # so that a few batches fill what the stores have reserved
TEMPLATE = """
channels:
  email: {address: email, parts: {subject: "Hello", text: "from us"}}
"""
# A file that cannot be written to is tried again soon.
PROVIDERS = """
providers:
  out: {kind: file, channels: [email], backoff: {base_ms: 50, cap_ms: 200},
        breaker: {open_ms: 200, open_max_ms: 200}}
"""


class Disk(Protocol):
    """What the data directory lies on."""

    def fill(self, used: float) -> None: ...

    def free(self) -> None: ...


class SmallDisk:
    """A disk in memory, and a file that takes what is left of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ballast = folder / "ballast"

    def fill(self, used: float) -> None:
        found = os.statvfs(self.folder)
        wanted = int(found.f_blocks * used) - (found.f_blocks - found.f_bfree)
        with suppress(OSError), self.ballast.open("ab", buffering=0) as file:
            for _ in range(wanted):
                file.write(bytes(found.f_frsize))

    def free(self) -> None:
        self.ballast.unlink()


class LimitedFiles:
    """No file of this process may grow beyond what the largest store has."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self, used: float) -> None:
        sizes = [path.stat().st_size for path in self.folder.rglob("data.mdb")]
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes), self.before[1]))

    def free(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self.before)


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """A disk that is mounted in a new folder."""
    folder.mkdir()
    how = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "none", str(folder)]
    if subprocess.run(how, capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a disk")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(params=["small disk", "limited files"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    if request.param == "small disk":
        with small_disk(folder, SIZE_BYTES) as small:
            yield small
        return
    folder.mkdir()
    limited = LimitedFiles(folder)
    yield limited
    limited.free()


def started(folder: Path, disk_full: float) -> Engine:
    made = folder / "d"
    start_engine(made, Making(partitions=2), Hosting(inline=True, relays=False)).close()
    write_templates(made / "templates")
    (made / "templates" / "welcome.yaml").write_text(TEMPLATE)
    (made / "providers.yaml").write_text(PROVIDERS)
    marks = Marks(disk_full=disk_full, disk_warn=disk_full - 0.1, disk_spare_bytes=1 << 40)
    hosting = Hosting(inline=True, shards=2, options=ShardOptions(marks=marks))
    engine = start_engine(made, hosting=hosting)
    engine.set_schema(
        {**SCHEMA, "attributes": {**SCHEMA["attributes"], "note": {"type": "string"}}}
    )
    engine.publish(WELCOME)
    return engine


def sent(folder: Path) -> list[str]:
    """The addresses of all messages that left."""
    return [
        json.loads(line)["to"]
        for path in sorted((folder / "d" / "outgoing").glob("*.jsonl"))
        for line in path.read_text().splitlines(keepends=True)
        if line.endswith("\n")
    ]


def standing(engine: Engine) -> list[tuple[str, int]]:
    """The state of each partition, and the number of its opening."""
    found = []
    for handle in engine._handles:
        states = handle.call("status")["partitions"]
        found += [(states[n]["state"], _store(engine, n).epoch) for n in handle.numbers]
    return found


def _store(engine: Engine, number: int) -> Any:
    return engine._of[number].shard._seats[number].partition.partition.store


def batch(number: int) -> list[dict[str, Any]]:
    first = number * BATCH
    people = customers(BATCH, first)
    for row in people:
        row["set"]["note"] = f"{row['customer']} {NOTE}"
    return [*people, *signups(BATCH, first)]


def test_an_engine_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(
    tmp_path: Path, disk: Disk, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "disk"
    with started(folder, 1.1) as engine:
        before = standing(engine)
        taken = 0
        while taken < 5:
            taken += engine.send(batch(taken)).accepted // (2 * BATCH)
        disk.fill(1.0)
        told: list[NoSpaceError] = []
        while taken < BATCHES_MAX and not told:
            # There is room within the files yet.
            try:
                engine.send(batch(taken))
                taken += 1
            except NoSpaceError as error:
                told.append(error)
        assert told, "it never was full"
        for _ in range(4):  # and again and again
            with pytest.raises(NoSpaceError, match="no room") as caught:
                engine.send(batch(taken))
            assert "Free space" in caught.value.advice
        time.sleep(1.0)  # timers and relays find no room either
        assert standing(engine) == before
        # What is there can be read.
        state = engine.state_of("c0")
        assert state is not None
        assert state["personal"] == {"email": "c0@shop.example"}
        assert engine.counts("welcome").customers >= taken * BATCH
        acknowledged = taken
        disk.free()
        while taken < acknowledged + 5:
            # One partition may have taken its part before.
            assert engine.send(batch(taken)).rejects == []
            taken += 1
        people = taken * BATCH
        until(lambda: len(set(sent(folder))) == people)
        assert standing(engine) == before
        counts = engine.counts("welcome")
        assert (counts.customers, counts.entered[0]) == (people, people)
    assert max(Counter(sent(folder)).values()) == 1
    for number in range(2):
        assert verify(folder / "d" / "partitions" / f"{number:03}").first_problem == ""
    with capsys.disabled():
        print(
            f"\nscenario 6: full after {acknowledged * BATCH:,} customers, {4 + len(told)} batches"
            f" refused, then {people:,}, each sent one message; lost 0, halted 0"
        )


def test_above_the_watermark_rows_are_refused_and_all_else_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    with small_disk(folder, WATERMARK_SIZE_BYTES) as disk, started(folder, 0.9) as engine:
        before = standing(engine)
        engine.send(batch(0))
        disk.fill(0.92)
        time.sleep(LOOK_AGAIN_S)  # a look is remembered
        with pytest.raises(FullError, match=r"the disk is 9[0-9]% full, and from 90% on") as caught:
            engine.send(batch(1))
        assert "Free space there" in caught.value.advice
        assert engine.status()
        # Messages leave, commands are taken, and people are forgotten.
        until(lambda: len(sent(folder)) == BATCH)
        engine.pause("welcome")
        engine.resume("welcome")
        until(lambda: engine.erase(["c7"], request="r").pending == [])
        assert engine.state_of("c7") == {**(engine.state_of("c7") or {}), "attributes": {}}
        assert "personal" not in (engine.state_of("c7") or {})
        assert standing(engine) == before
        disk.free()
        time.sleep(LOOK_AGAIN_S)
        assert engine.send(batch(1)).accepted == 2 * BATCH
        until(lambda: len(set(sent(folder))) == 2 * BATCH - 1)  # the one to c7 is forgotten
