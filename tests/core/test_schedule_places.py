"""Tests of `core.schedule_places`: an occurrence is known by its date, not by its instant."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from core.audience_build import audience_from_python
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.document import read_flow
from core.duration import DAY_MS
from core.options import RunOptions
from core.schedule_places import places_after
from core.zone_tables import ZoneTables, installed
from zone_files import shifted

DAY_0 = 20_600  # 2026-05-27
FROM_MS = DAY_0 * DAY_MS
HOUR_S = 3600


def bound(tables: ZoneTables, node: dict[str, Any]) -> Bound:
    flow, violations = read_flow(
        json.dumps(
            {
                "headrace": 1,
                "flow": "f",
                "settings": {"zone": "UTC"},
                "nodes": {"t": {"type": "on_schedule", "next": "x", **node}, "x": {"type": "end"}},
            }
        ),
        name="f",
    )
    assert flow is not None, violations
    audience = audience_from_python([{"id": "a", "zone": "Asia/Tokyo"}, {"id": "b", "zone": "UTC"}])
    options = RunOptions(FROM_MS, FROM_MS + 10 * DAY_MS, FROM_MS + 10 * DAY_MS)
    return bind(compile_flow(flow), audience, options, tables)


@pytest.mark.parametrize(
    ("by_s", "moved"),
    [
        # 09:00 in Tokyo is 00:00 UTC. An hour further east the tenth day's occurrence is at 23:00.
        (HOUR_S, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (-HOUR_S, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_what_has_been_stays_so_and_what_has_not_is_to_come(by_s: int, moved: list[int]) -> None:
    daily = {"repeat": "daily", "at": "09:00", "zone": "customer"}
    old, new = bound(installed(), daily), bound(
        shifted(["Asia/Tokyo"], FROM_MS + 4 * DAY_MS - 2 * HOUR_S * 1000, by_s), daily
    )  # fmt: skip
    tokyo = int(old.zones.of_customer[0])
    places = np.arange(11, dtype=np.int64)[:, None]
    zone = np.full(11, tokyo, np.int32)
    found = places_after(old, new, places, zone, zone)
    assert found[:, 0].tolist() == moved
    first = new.schedule_offsets[tokyo]
    # The fifth occurrence, behind the change, is the same day's at another instant.
    assert new.schedule_ms[first + 4] == old.schedule_ms[first + 4] - by_s * 1000


def test_an_occurrence_more_at_the_beginning_shifts_places() -> None:
    daily = {"repeat": "daily", "at": "09:00", "zone": "customer"}
    # An hour further west all along, 09:00 of the first day has not been at the beginning.
    old = bound(shifted(["Asia/Tokyo"], 0, HOUR_S), daily)
    new = bound(installed(), daily)
    tokyo = int(old.zones.of_customer[0])
    first, run = old.schedule_offsets[tokyo], new.schedule_offsets[tokyo]
    assert old.schedule_ms[first] == FROM_MS + DAY_MS - HOUR_S * 1000
    assert new.schedule_ms[run] == FROM_MS
    places = np.array([[0], [1], [10]])
    zone = np.full(3, tokyo, np.int32)
    assert places_after(old, new, places, zone, zone)[:, 0].tolist() == [1, 2, 10]
    # One that is over stays over, though the last day's is another.
    assert old.schedule_offsets[tokyo + 1] - first == 10


def test_a_flow_clock_asks_for_the_flows_zone() -> None:
    daily = {"repeat": "daily", "at": "09:00"}
    old, new = bound(installed(), daily), bound(shifted(["Asia/Tokyo"], FROM_MS, 900), daily)
    tokyo = int(old.zones.of_customer[0])
    zone = np.full(2, tokyo, np.int32)
    assert places_after(old, new, np.array([[3], [7]]), zone, zone)[:, 0].tolist() == [3, 7]
    assert np.array_equal(old.schedule_ms, new.schedule_ms)
