"""Scenario 24: a virtual year. Memory and files stay flat, counters equal a recount.

Every week's customers come back, so that the second half of the time adds nobody. A relay is played
by marking messages as done; snapshots are taken as they fall due, and the journal is trimmed.
"""

import json
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from actors.intake.frame import Frame
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from actors.relay.effect_block import COLUMN
from actors.store.relay_marks import Position
from actors.store.verify import verify
from core.duration import DAY_MS
from ext.hashing import hash_strings
from store_work import in_memory

T0 = 1_767_225_600_000
ROWS = 5_000
SETTINGS = TenantSettings("shop", schema={"events": {"go": {}, "click": {}}})
FLOW = {
    "headrace": 1,
    "flow": "f",
    "settings": {"reentry": {"policy": "after_exit"}},
    "nodes": {
        "t": {"type": "on_event", "event": "go", "next": "hello"},
        "hello": {"type": "send", "channel": "email", "template": "hello", "next": "w"},
        "w": {
            "type": "wait_event",
            "event": "click",
            "timeout": "2 days",
            "next": {"event": "often", "timeout": "x"},
        },
        "often": {
            "type": "condition",
            "if": {"did": "click", "within": "7 days", "at_least": 2},
            "next": {"yes": "keen", "no": "x"},
        },
        "keen": {"type": "send", "channel": "email", "template": "keen", "next": "x"},
        "x": {"type": "end"},
    },
}


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


class Crowd:
    """Customers of whom a seventh comes each day, and half of those click in the evening."""

    def __init__(self, customers: int) -> None:
        self.customers = customers
        names = np.char.add("c", np.char.zfill(np.arange(customers).astype("U8"), 8)).astype("S9")
        self.names = names.view(np.uint8).reshape(-1, 9)
        self.hashes = hash_strings(names.view(np.uint8).data, np.arange(customers + 1) * 9)
        self.number = 0

    def frames(self, day: int) -> list[Frame]:
        who = np.arange(day % 7, self.customers, 7)
        rng = np.random.default_rng(day)
        clickers = np.sort(rng.choice(who, len(who) // 2, replace=False))
        found = []
        for event, those in (("go", who), ("click", clickers), ("click", clickers[::3])):
            for first in range(0, len(those), ROWS):
                found.append(self._frame(event, those[first : first + ROWS]))
        return found

    def _frame(self, event: str, who: np.ndarray[Any, Any]) -> Frame:
        n = len(who)
        message = np.zeros((n, 2), np.uint64)
        message[:, 0] = self.number + 1 + np.arange(n)
        self.number += n
        return Frame(
            id_offsets=np.arange(n + 1, dtype=np.int64) * 9,
            id_data=self.names[who].reshape(-1),
            id_hash=self.hashes[who],
            customer=np.arange(n, dtype=np.int32),
            type=np.zeros(n, np.int32),
            event_names=[event],
            occurred_ms=np.full(n, -(2**63), np.int64),
            received_ms=np.zeros(n, np.int64),
            message=message,
            hash=message[:, 0] * np.uint64(0x9E3779B97F4A7C15),
        )


def care(partition: LivePartition) -> int:
    """What a relay and a minute's care do; returns how many messages there were."""
    sent, head = 0, partition.store.head
    for _, blocks in partition.store.outbox(head.outbox_trimmed):
        sent += sum(len(msgpack.unpackb(b)["effects"]) // COLUMN.itemsize for b in blocks)
    if head.outbox_last:
        partition.store.mark_relay(Position(head.outbox_last))
        partition.store.trim_outbox(head.outbox_last)
    while partition.snapshot(now=True):
        pass
    partition.tend()
    return sent


@pytest.mark.parametrize(
    ("days", "customers"), [(42, 5_000), pytest.param(366, 1_000_000, marks=pytest.mark.soak)]
)
def test_a_long_time_leaves_memory_and_files_flat(
    tmp_path: Path, days: int, customers: int, capsys: pytest.CaptureFixture[str]
) -> None:
    crowd = Crowd(customers)
    sizes: list[int] = []
    memory: list[int] = []
    sent = entered = 0
    with in_memory(tmp_path) as folder:
        path = folder / "p"
        with LivePartition.open(path, SETTINGS, create=True, retention_ms=7 * DAY_MS) as partition:
            command = {"kind": "publish", "flow": "f", "version": 1, "at_ms": T0}
            partition.command(1, {**command, "document": json.dumps(FLOW)})
            for day in range(days):
                at_ms = T0 + day * DAY_MS
                for number, frame in enumerate(crowd.frames(day)):
                    partition.take([frame], at_ms + 60_000 * number)
                    entered += frame.rows if frame.event_names == ["go"] else 0
                while partition.tick(at_ms + DAY_MS - 1):
                    pass
                sent += care(partition)
                sizes.append((path / "data.mdb").stat().st_size)
                memory.append(resident_bytes())
            head = partition.store.head
            counts = partition.counts("f")
            digest = partition.digest()
            inside = partition.flows()[0]["inside"]
            kept = partition.version("f").machine.rows()
        assert verify(path).first_problem == ""
        with LivePartition.open(path, SETTINGS, create=True) as partition:
            assert partition.digest() == digest
            again = partition.counts("f")
            assert np.array_equal(again.entered, counts.entered)
            standing = [p for c in range(0, customers, 997)
                        for p in partition.version("f").machine.places(c)]  # fmt: skip
            assert len(standing) <= inside
    names = list(FLOW["nodes"])  # type: ignore[call-overload]
    by_name = dict(zip(names, counts.entered.tolist(), strict=True))
    # Recounts: of what came in, of what went out, and of tokens, each of which is in one place.
    assert by_name["t"] == entered
    assert sent == by_name["hello"] + by_name["keen"] == int(counts.sends_by_hour.sum())
    assert by_name["t"] == int(counts.outcome.sum()) + int(counts.waiting.sum())
    assert inside == int(counts.waiting.sum() + counts.idle.sum())
    # From two weeks on everything there is has been there before.
    steady = sizes[16], max(sizes[-14:])
    # A snapshot has a little more hours each day, for which the room of the one before is a little
    # too short; after some months the file has such room for all.
    assert steady[1] <= steady[0] * 1.75
    grown = np.mean(memory[-7:]) - np.mean(memory[16:23])
    assert grown <= 0.05 * np.mean(memory) + (8 << 20)
    assert head.journal_last - head.journal_first < head.journal_last * 0.8
    with capsys.disabled():
        print(
            f"\nscenario 24: {days} days, {customers:,} customers, {entered:,} entries, file "
            f"{steady[0] / 2**20:.0f} to {steady[1] / 2**20:.0f} MiB, memory grew by "
            f"{grown / 2**20:.1f} MiB, rows kept {kept:,}"
        )
