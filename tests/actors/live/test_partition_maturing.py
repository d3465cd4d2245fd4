"""Live, a success counts among the matured when its time is over, and not before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors.intake.rows import decode_rows
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from core.hashing import hash_customer, hash_parts
from core.tenant_schema import TenantSchema

DAY_MS = 86_400_000
SCHEMA: dict[str, Any] = {"attributes": {}, "events": {"go": {}, "bought": {}, "seen": {}}}
FLOW = {
    "headrace": 1,
    "flow": "offer",
    "settings": {"goal": {"event": "bought", "within": "7 days"}},
    "nodes": {
        "start": {"type": "on_event", "event": "go", "next": "wait"},
        "wait": {"type": "wait", "for": "30 days", "next": "end"},
        "end": {"type": "end"},
    },
}


def opened(folder: Path) -> LivePartition:
    return LivePartition.open(folder, TenantSettings("t", schema=SCHEMA), create=True)


def at(partition: LivePartition, day: float, *sent: tuple[str, str]) -> None:
    """Let the time pass to a day, on which customers do something."""
    now_ms = int(day * DAY_MS)
    partition.tick(now_ms)
    if sent:
        batch = hash_parts(now_ms, repr(sent)).to_bytes(16, "big")
        rows = [{"customer": customer, "event": event} for customer, event in sent]
        decoded = decode_rows(rows, TenantSchema.of(SCHEMA), batch=batch)
        assert not decoded.rejects
        partition.take([decoded.frame], now_ms)


def command(partition: LivePartition, number: int, day: float, **said: Any) -> None:
    partition.command(number, {**said, "at_ms": int(day * DAY_MS)})


def publish(partition: LivePartition, number: int, day: float, version: int, **said: Any) -> None:
    document = json.dumps(FLOW)
    command(
        partition, number, day, kind="publish", flow="offer", version=version, document=document,
        **said,
    )  # fmt: skip


def counted(partition: LivePartition, day: float) -> tuple[int, int, int, int]:
    """Watches opened, matured, succeeded among the matured, succeeded so far, on a day."""
    now_ms = int(day * DAY_MS)
    found = partition.counts("offer", 1, now_ms)
    by_watch = (
        found.watch_opened, found.watch_matured, found.watch_succeeded, found.watch_succeeded_ever,
    )  # fmt: skip
    return tuple(int(each[0]) for each in by_watch)  # type: ignore[return-value]


def restarted(partition: LivePartition, folder: Path, snapshot: bool) -> LivePartition:
    while snapshot and partition.snapshot(now=True):
        pass
    partition.close()
    return opened(folder)


@pytest.mark.parametrize("snapshot", [None, False, True])
def test_successes_mature_with_their_time(tmp_path: Path, snapshot: bool | None) -> None:
    partition = opened(tmp_path / "p")
    publish(partition, 1, 1, 1)
    at(partition, 1, ("anna", "go"))
    at(partition, 4, ("bert", "go"))
    at(partition, 5, ("bert", "bought"), ("bert", "bought"))
    at(partition, 7, ("cleo", "go"), ("bert", "seen"))
    assert counted(partition, 7) == (3, 0, 0, 1)
    if snapshot is not None:
        partition = restarted(partition, tmp_path / "p", snapshot)
    at(partition, 8)
    assert counted(partition, 8) == (3, 0, 0, 1), "anna may still, at the last moment"
    at(partition, 8.01)
    assert counted(partition, 8.01) == (3, 1, 0, 1)
    at(partition, 10.9, ("bert", "bought"))
    assert counted(partition, 10.9) == (3, 1, 0, 1), "he has succeeded already"
    at(partition, 11.1)
    assert counted(partition, 11.1) == (3, 2, 1, 1)
    at(partition, 11.2, ("anna", "bought"), ("bert", "bought"))
    if snapshot is not None:
        partition = restarted(partition, tmp_path / "p", snapshot)
    assert counted(partition, 11.2) == (3, 2, 1, 1), "too late"
    at(partition, 14.5)
    assert counted(partition, 14.5) == (3, 3, 1, 1)
    partition.close()


def test_who_is_erased_before_never_matures(tmp_path: Path) -> None:
    partition = opened(tmp_path / "p")
    publish(partition, 1, 1, 1)
    at(partition, 1, ("anna", "go"), ("bert", "go"), ("cleo", "go"))
    at(partition, 2, ("anna", "bought"), ("bert", "bought"))
    at(partition, 3)
    command(partition, 2, 3, kind="erase", hashes=[hash_customer("anna"), hash_customer("cleo")])
    assert counted(partition, 3) == (3, 0, 0, 2)
    at(partition, 9)
    assert counted(partition, 9) == (3, 1, 1, 2)
    command(partition, 3, 9, kind="erase", hashes=[hash_customer("bert")])
    assert counted(partition, 9) == (3, 1, 1, 2), "his time was over"
    partition.close()


def test_who_is_taken_out_before_never_matures(tmp_path: Path) -> None:
    partition = opened(tmp_path / "p")
    publish(partition, 1, 1, 1)
    at(partition, 1, ("anna", "go"))
    at(partition, 2, ("anna", "bought"), ("bert", "go"))
    at(partition, 8.5)
    assert counted(partition, 8.5) == (2, 1, 1, 1)
    publish(partition, 2, 8.5, 2, in_flight="drop")
    at(partition, 20, ("bert", "bought"))
    assert counted(partition, 20) == (2, 1, 1, 1), "bert was not watched to the end"
    partition.close()
