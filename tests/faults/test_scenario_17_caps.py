"""Scenario 17: caps hold with four partitions, restarts, and rows that come more than once.

Nobody ever gets more than one message within the cap's window, and nobody more than one on a local
day where the window is as long as the longest day, the one on which clocks are put back. What is
decided is what the reference interpreter decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from actors.intake.frame import Frame
from both_ways import ran
from cases import Case, on, send
from core.reference import Record
from differential import Loaded
from live_cases import Tenant, Way, run_live, sorted_records

# Clocks are put back on 25 October and on 1 November 2026; never in Tokyo.
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Tokyo"]
WINDOW = ("10-23", "11-04", "11-04")
HOUR_MS = 3_600_000
WAYS = [Way(4, 16, restart_every=3, snapshots=True), Way(4, 64, restart_every=7), Way(1, 256)]


class Retrying(Tenant):
    """Delivers every third frame once more, as a client does that got no answer."""

    taken = 0

    def take(self, frame: Frame, now_ms: int) -> None:
        super().take(frame, now_ms)
        self.taken += 1
        if self.taken > 1 and self.taken % 3 == 0:
            super().take(frame, now_ms)


def case_of(seed: int, within: str) -> Case:
    """Some customers who do much, by which two paths send at once."""
    dice = Random(seed)
    ids = [f"c{i}" for i in range(24)]
    nodes = {
        "go": on("go", ["m", "w"]),
        "m": send("email", "now", "x"),
        "w": {"type": "wait", "for": "3 hours", "next": "n"},
        "n": send("email", "later", "x"),
        "also": on("go", "n"),
    }
    days = ["10-23", "10-24", "10-25", "10-26", "10-31", "11-01", "11-02"]
    events: list[Any] = sorted(
        (f"{dice.choice(days)} {dice.randrange(24):02}:{dice.randrange(0, 60, 15):02}",
         "go", {}, dice.choice(ids))
        for _ in range(400)
    )  # fmt: skip
    people = [{"id": name, "zone": ZONES[i % 3]} for i, name in enumerate(ids)]
    settings = {
        "reentry": {"policy": "always"},
        "caps": [{"at_most": 1, "within": within, "channels": "email"}],
    }
    return Case(nodes, events, settings, people, window=WINDOW)


def sends(records: list[Record]) -> Iterator[tuple[int, list[int]]]:
    """The instants at which each customer was sent to, with the customer's number."""
    times: dict[int, list[int]] = {}
    for record in records:
        if record.node in ("m", "n") and record.port == "next":
            times.setdefault(int(record.customer[1:]), []).append(record.time_ms)
    yield from times.items()


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(("within", "hours"), [("24 hours", 24), ("25 hours", 25)])
def test_scenario_17_nobody_gets_more_than_the_cap_allows(
    tmp_path: Path, way: Way, within: str, hours: int
) -> None:
    case = case_of(seed=17, within=within)
    expected = ran(case).records
    loaded = Loaded(case.flow(), case.people(), case.run_options(), None)
    tenant = run_live(tmp_path, loaded, way, seed=17, kind=Retrying)
    tenant.close()
    found = sorted_records(tenant.records, loaded.audience)
    assert found == expected
    assert sum(record.port == "capped" for record in found) > 200
    local_days = 0
    for number, times in sends(found):
        assert all(b - a >= hours * HOUR_MS for a, b in pairwise(sorted(times)))
        zone = ZoneInfo(ZONES[number % 3])
        days = [datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone).date() for ms in times]
        assert hours == 24 or len(days) == len(set(days))
        local_days += len(days)
    assert local_days > 100
