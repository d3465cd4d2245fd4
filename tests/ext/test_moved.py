"""Tests of `ext.moved`: what waits in a machine, when its program is bound under other tables."""

from __future__ import annotations

import json

import numpy as np
import pytest

from core.audience_build import audience_from_python
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.document import read_flow
from core.duration import DAY_MS
from core.options import RunOptions
from core.zone_tables import ZoneTables, installed
from ext import moved
from ext.live import LiveMachine
from zone_files import shifted

T0 = 20_600 * DAY_MS  # 2026-05-27
HOUR_MS = 3_600_000
TOKYO = shifted(["Asia/Tokyo"], T0 + DAY_MS, 3600)
FLOW = {
    "headrace": 1,
    "flow": "f",
    "settings": {"zone": "UTC", "reentry": {"policy": "always"}},
    "nodes": {
        "t": {"type": "on_event", "event": "go", "next": ["day", "hours"]},
        "day": {"type": "wait", "for": "2 days", "next": "x"},
        "hours": {"type": "wait", "for": "48 hours", "next": "x"},
        "s": {"type": "on_schedule", "repeat": "daily", "at": "09:00", "zone": "customer",
              "next": "x"},
        "x": {"type": "end"},
    },
}  # fmt: skip


def bound(tables: ZoneTables) -> Bound:
    flow, violations = read_flow(json.dumps(FLOW), name="f")
    assert flow is not None, violations
    zones = ("Asia/Tokyo", "Europe/Berlin", None)
    audience = audience_from_python([{"id": f"c{n}", "zone": z} for n, z in enumerate(zones)])
    return bind(
        compile_flow(flow), audience, RunOptions(T0, T0 + 9 * DAY_MS, T0 + 9 * DAY_MS), tables
    )


def machine() -> LiveMachine:
    """All three came an hour after the beginning, and another hour has passed."""
    made = LiveMachine(bound(installed()), 8)
    who = np.arange(3, dtype=np.int32)
    ms = np.full(3, T0 + HOUR_MS, np.int64)
    hashes = np.arange(3, dtype=np.uint64)
    made.feed(who, np.zeros(3, np.int32), ms, ms, hashes, np.zeros(3, np.int64), [])
    made.work(T0 + 2 * HOUR_MS)
    made.tick(T0 + 2 * HOUR_MS)
    return made


def due(live: LiveMachine, customer: int) -> list[int | None]:
    return [place[2] for place in live.places(customer)]


def test_a_zone_that_changed_moves_its_own_and_nothing_else() -> None:
    live = machine()
    at = T0 + HOUR_MS + 2 * DAY_MS
    assert [due(live, c) for c in range(3)] == [[at, at]] * 3
    zones, places = moved.places(live)
    new = bound(TOKYO)
    assert zones.tolist() == new.zones.of_customer.tolist()
    assert places[:, 0].tolist() == [1, 0, 0]  # 09:00 in Tokyo was at T0
    assert moved.retable(live, new, zones, places, True) == 1
    assert [due(live, c) for c in range(3)] == [[at - HOUR_MS, at], [at, at], [at, at]]
    assert live.next_due_ms() == T0 + 7 * HOUR_MS  # 09:00 in Berlin
    live.tick(at - HOUR_MS + 1)
    assert [len(due(live, c)) for c in range(3)] == [1, 2, 2]


def test_the_same_tables_move_nothing() -> None:
    live = machine()
    before = [live.places(c) for c in range(3)]
    zones, places = moved.places(live)
    assert moved.retable(live, bound(installed()), zones, places, True) == 0
    assert [live.places(c) for c in range(3)] == before


def test_what_does_not_fit_is_refused() -> None:
    live = machine()
    zones, places = moved.places(live)
    new = bound(TOKYO)
    with pytest.raises(ValueError, match="a zone and places of schedules"):
        moved.retable(live, new, zones[:2], places, True)
    with pytest.raises(ValueError, match="a zone and places of schedules"):
        moved.retable(live, new, zones, places[:, :0], True)
    with pytest.raises(ValueError, match="zone is not there"):
        moved.retable(live, new, zones + 3, places, True)


def test_a_snapshot_under_way_has_what_was_before() -> None:
    live, other = machine(), machine()
    other.mark_all()
    other.begin_snapshot()
    wanted = other.take_block(0)
    live.mark_all()
    live.begin_snapshot()
    zones, places = moved.places(live)
    moved.retable(live, bound(TOKYO), zones, places, True)
    assert np.array_equal(live.take_block(0), wanted)
    assert live.begin_snapshot() == [0]
