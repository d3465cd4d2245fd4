"""Tests of `actors.live.snapshots`: a snapshot shows one time, whatever is written meanwhile."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actors.intake.rows import decode_rows
from actors.live import snapshots
from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from core.tenant_schema import TenantSchema

T0 = 1_767_225_600_000
SCHEMA = {
    "attributes": {"plan": {"type": "string"}, "age": {"type": "int64"}},
    "events": {"go": {}},
}
SETTINGS = TenantSettings("shop", zone="UTC", schema=SCHEMA)
FLOW = """
headrace: 1
flow: f
settings: {reentry: {policy: after_exit}}
nodes:
  t: {type: on_event, event: go, next: w}
  w: {type: wait, for: 2 hours, next: x}
  x: {type: end}
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "PIECE_BYTES", 512)
    monkeypatch.setattr(snapshots, "PIECE_TEXTS", 16)
    monkeypatch.setattr(snapshots, "SWEPT_BYTES", 4096)


def rows_of(seed: int, known: int) -> list[dict[str, Any]]:
    """Changes of records and events, of customers known and new."""
    rng = random.Random(seed)
    found: list[dict[str, Any]] = []
    for _ in range(60):
        customer = f"c{rng.randrange(known + 20)}"
        change = {"plan": f"plan {rng.randrange(1_000)}", "age": rng.randrange(90)}
        zone = rng.choice(["Europe/Berlin", "Asia/Tokyo"])
        found.append(
            {
                "customer": customer,
                "set": {name: value for name, value in change.items() if rng.random() < 0.7},
                "zone": zone,
                "tags": {rng.choice(["add", "remove"]): [f"t{rng.randrange(4)}"]},
                "groups": {rng.choice(["add", "remove"]): ["g"]},
            }
        )
        found.append({"customer": customer, "event": "go", "message_id": f"{seed}.{len(found)}"})
    return found


def take(partition: LivePartition, seed: int) -> None:
    decoded = decode_rows(rows_of(seed, partition.customers), TenantSchema.of(SCHEMA))
    assert decoded.rejects == []
    partition.take([decoded.frame], T0 + seed * 60_000)


def everything(partition: LivePartition) -> dict[str, Any]:
    arrays, meta = partition._state.directory.blocks()
    return {
        "digest": partition.digest(),
        "rows": partition.row_counts,
        "directory": {name: array.tolist() for name, array in arrays.items()},
        "meta": meta,
        "fingerprints": [a.tolist() for a in partition._state.admission.blocks().values()],
    }


def test_rows_between_its_slices_do_not_show_in_a_snapshot(small: None, tmp_path: Path) -> None:
    with LivePartition.open(tmp_path / "p", SETTINGS, create=True) as live:
        publish = {"kind": "publish", "flow": "f", "version": 1, "document": FLOW, "at_ms": T0}
        live.command(1, publish)
        for seed in range(8):
            take(live, seed)
        seed, slices = 8, 1
        assert live.snapshot(now=True)
        covered = live.store.head.journal_last
        while live.snapshot():
            slices += 1
            if slices % 3 == 0 and seed < 60:
                take(live, seed)
                seed += 1
            if slices == 100:
                erased = np.array([live.id_hashes()[3], live.id_hashes()[200]], np.uint64)
                live.command(2, {"kind": "erase", "hashes": erased.tolist(), "at_ms": T0})
        assert slices > 100
        wanted = everything(live)
        found = live.store.load_snapshot()
        assert found is not None
        assert found.sequence == covered < live.store.head.journal_last
    with LivePartition.open(tmp_path / "p", SETTINGS) as again:
        assert everything(again) == wanted


def test_a_large_sweep_is_cut_into_slices(small: None, tmp_path: Path) -> None:
    with LivePartition.open(tmp_path / "p", SETTINGS, create=True) as live:
        counts = []
        for seed in range(3):
            for part in range(4):
                take(live, 4 * seed + part)
            counts.append(0)
            while live.snapshot(now=True):
                counts[-1] += 1
        with live.store._environment.reading() as txn:
            kept = list(live.store._environment.keys(txn, "slices"))
        found = live.store.load_snapshot()
        assert found is not None
        assert len(kept) == len(found.names())
