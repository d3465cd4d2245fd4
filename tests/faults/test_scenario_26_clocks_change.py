"""Scenarios 26 to 28, live: clocks that change, odd days, and zones that do not exist.

Local times are those of each customer's zone. One that a gap skips is shifted forward by the gap,
of one that occurs twice the first is meant. Expected times come from the standard library.
"""

import zoneinfo
from collections import Counter
from datetime import datetime, timedelta
from importlib import resources
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest

from core.duration import DAY_MS
from core.reference import run
from differential import load
from live_cases import live_options
from live_work import carry_out, counted, keys, model_keys, open_partition, plan_of
from store_work import in_memory

GAPS = (
    ("America/New_York", "2026-03-08T02:30"),
    ("Europe/Berlin", "2026-03-29T02:30"),
    ("Africa/Cairo", "2026-04-24T00:30"),
    ("Asia/Beirut", "2026-03-29T00:30"),
    ("America/Havana", "2026-03-08T00:30"),
    ("America/Santiago", "2026-09-06T00:30"),
    ("Australia/Lord_Howe", "2026-10-04T02:15"),
    ("Pacific/Apia", "2011-12-30T12:00"),
)
FOLDS = (("America/New_York", "2026-11-01T01:30"), ("Europe/Berlin", "2026-10-25T02:30"))
ALWAYS = {"reentry": {"policy": "always"}}
ENDS = (("Pacific/Kiritimati", "2027-01-01T00:00"), ("Etc/GMT+12", "2027-01-01T00:00"))


def utc_ms(zone: str, local: str) -> int:
    """A local time by the tables that Headrace has too; fold 0 is the rule for gaps and folds."""
    path = resources.files("tzdata").joinpath("zoneinfo", *zone.split("/"))
    with path.open("rb") as file:
        found = zoneinfo.ZoneInfo.from_file(file, key=zone)
    return int(datetime.fromisoformat(local).replace(tzinfo=found).timestamp() * 1000)


def text(ms: int) -> str:
    return (datetime(1970, 1, 1) + timedelta(milliseconds=ms)).isoformat() + "Z"


def send(after: str = "x") -> dict[str, Any]:
    return {"type": "send", "channel": "email", "template": "t", "next": after}


def case(
    nodes: dict[str, Any],
    customers: list[dict[str, Any]],
    events: list[tuple[str, int]],
    around: tuple[int, int],
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """A case whose customers do `go` at given times."""
    return {
        "flow": {
            "headrace": 1,
            "flow": "f",
            "settings": {"zone": "UTC", **(settings or {})},
            "nodes": {**nodes, "x": {"type": "end"}},
        },
        "customers": customers,
        "audience": {"attribute_types": {"day": "date", "born": "date"}},
        "events": [{"customer": c, "time": text(ms), "event": "go"} for c, ms in events],
        "options": {"from": text(around[0]), "until": text(around[1]), "horizon": text(around[1])},
    }


def lived(folder: Path, case: dict[str, Any], seed: int = 0) -> list[tuple[str, str, int]]:
    """Run a case live, with restarts, beside the reference: (customer, node, time) of messages."""
    loaded = live_options(case)
    plan = plan_of(loaded, 1, seed)
    model = run(loaded.flow, loaded.audience, loaded.options, None)
    names = {int(h): loaded.audience.id_of(c) for c, h in enumerate(loaded.audience.id_hash)}
    dice = Random(seed)
    partition = open_partition(folder, plan)
    try:
        for step in plan.steps:
            begin = partition.clock_ms
            if step.kind == "tick":
                # The time passes in small pieces, so that nothing fires early or twice.
                for now in sorted(dice.randint(begin, max(begin, step.now_ms)) for _ in range(30)):
                    partition.tick(now)
            carry_out(partition, step)
            if dice.random() < 0.3:
                partition.close()
                partition = open_partition(folder, plan)
        found = keys(partition)
        assert counted(partition.counts("f")) == counted(model.counters)
        assert partition.counts("f").invalid_zones == model.counters.invalid_zones
    finally:
        partition.close()
    assert Counter(found) == model_keys(loaded, model.records)
    assert len(set(found)) == len(found)
    return sorted((names[customer], node, ms) for customer, _, node, ms in found)


def waits(local: str) -> dict[str, Any]:
    """All ways to wait for a local time."""
    date, _, at = local.partition("T")
    return {
        "t": {"type": "on_event", "event": "go", "next": ["until", "date", "slot"]},
        "until": {"type": "wait_until", "at": local, "zone": "customer", "next": "m-until"},
        "m-until": send(),
        "date": {"type": "wait_date", "attribute": "day", "at": at, "next": "m-date"},
        "m-date": send(),
        "slot": {"type": "wait", "for": "2 days", "next": "m-wait"},
        "m-wait": send(),
        "s": {
            "type": "on_schedule",
            "repeat": "once",
            "date": date,
            "at": at,
            "zone": "customer",
            "next": "m-schedule",
        },
        "m-schedule": send(),
    }


@pytest.mark.parametrize(("zone", "local"), GAPS + FOLDS + ENDS)
def test_a_local_time_comes_once_wherever_clocks_change(
    tmp_path: Path, zone: str, local: str
) -> None:
    due = utc_ms(zone, local)
    before = datetime.fromisoformat(local) - timedelta(days=2)
    entered = utc_ms(zone, before.isoformat())
    customers = [{"id": "anna", "zone": zone, "attributes": {"day": local[:10]}}]
    with in_memory(tmp_path) as folder:
        around = entered - DAY_MS, due + 3 * DAY_MS
        made = case(waits(local), customers, [("anna", entered)], around, ALWAYS)
        sent = lived(folder / "p", made)
    # Two days by the wall are two days on the calendar, whatever lies between.
    expected = {("anna", f"m-{way}", due) for way in ("until", "date", "wait", "schedule")}
    assert set(sent) == expected
    assert len(sent) == 4


def test_a_daily_schedule_never_loops_where_an_hour_comes_twice(tmp_path: Path) -> None:
    zone = "America/New_York"
    nodes = {
        "s": {
            "type": "on_schedule",
            "repeat": "daily",
            "at": "01:30",
            "zone": "customer",
            "next": "m",
        },
        "m": send(),
    }
    around = utc_ms(zone, "2026-10-30T00:00"), utc_ms(zone, "2026-11-04T00:00")
    with in_memory(tmp_path) as folder:
        customers = [{"id": "anna", "zone": zone}]
        sent = lived(folder / "p", case(nodes, customers, [], around, ALWAYS))
    days = ("2026-10-30", "2026-10-31", "2026-11-01", "2026-11-02", "2026-11-03")
    assert [ms for _, _, ms in sent] == [utc_ms(zone, f"{day}T01:30") for day in days]


def test_a_day_by_the_wall_is_not_24_hours(tmp_path: Path) -> None:
    nodes = {
        "t": {"type": "on_event", "event": "go", "next": ["day", "hours"]},
        "day": {"type": "wait", "for": "1 day", "next": "m-day"},
        "m-day": send(),
        "hours": {"type": "wait", "for": "24 hours", "next": "m-hours"},
        "m-hours": send(),
    }
    zone = "Europe/Berlin"
    lengths = []
    for day in ("2026-03-28", "2026-06-01", "2026-10-24"):
        begin = utc_ms(zone, f"{day}T12:00")
        around = begin - DAY_MS, begin + 3 * DAY_MS
        with in_memory(tmp_path) as folder:
            customers = [{"id": "anna", "zone": zone}]
            sent = lived(folder / "p", case(nodes, customers, [("anna", begin)], around))
        lengths.append([(ms - begin) // 3_600_000 for _, _, ms in sent])
    assert lengths == [[23, 24], [24, 24], [25, 24]]


@pytest.mark.parametrize(
    ("years", "expected"), [(31, "2027-02-28"), (32, "2028-02-29"), (104, "2100-02-28")]
)
def test_a_birthday_on_29_february_is_the_28th_in_other_years(
    tmp_path: Path, years: int, expected: str
) -> None:
    nodes = {
        "t": {"type": "on_event", "event": "go", "next": "w"},
        "w": {
            "type": "wait_date",
            "attribute": "born",
            "offset": f"{12 * years} months",
            "at": "09:00",
            "next": "m",
        },
        "m": send(),
    }
    zone = "Asia/Tokyo"
    begin = utc_ms(zone, f"{expected[:4]}-01-05T00:00")
    customers = [{"id": "anna", "zone": zone, "attributes": {"born": "1996-02-29"}}]
    around = begin - DAY_MS, begin + 90 * DAY_MS
    with in_memory(tmp_path) as folder:
        sent = lived(folder / "p", case(nodes, customers, [("anna", begin)], around))
    assert sent == [("anna", "m", utc_ms(zone, f"{expected}T09:00"))]


@pytest.mark.parametrize(("year", "end"), [(2027, "02-28"), (2028, "02-29")])
def test_a_month_after_31_january_is_the_end_of_february(
    tmp_path: Path, year: int, end: str
) -> None:
    nodes = {
        "t": {"type": "on_event", "event": "go", "next": "w"},
        "w": {"type": "wait", "for": "1 month", "next": "m"},
        "m": send(),
    }
    zone = "America/Sao_Paulo"
    begin = utc_ms(zone, f"{year}-01-31T10:00")
    around = begin - DAY_MS, begin + 60 * DAY_MS
    with in_memory(tmp_path) as folder:
        customers = [{"id": "anna", "zone": zone}]
        sent = lived(folder / "p", case(nodes, customers, [("anna", begin)], around))
    assert sent == [("anna", "m", utc_ms(zone, f"{year}-{end}T10:00"))]


def test_weeks_go_on_over_week_53_and_the_year_s_end(tmp_path: Path) -> None:
    nodes = {
        "s": {
            "type": "on_schedule",
            "repeat": "weekly",
            "weekdays": ["mon"],
            "every": 2,
            "at": "00:30",
            "zone": "customer",
            "next": "m",
        },
        "m": send(),
    }
    zones = ("Pacific/Kiritimati", "Etc/GMT+12")
    customers = [{"id": zone, "zone": zone} for zone in zones]
    around = utc_ms("UTC", "2026-12-01T00:00"), utc_ms("UTC", "2027-02-01T00:00")
    with in_memory(tmp_path) as folder:
        sent = lived(folder / "p", case(nodes, customers, [], around, ALWAYS))
    for zone in zones:
        times = [ms for name, _, ms in sent if name == zone]
        assert len(times) >= 4
        assert {b - a for a, b in pairwise(times)} == {14 * DAY_MS}


def test_a_zone_that_does_not_exist_is_the_flow_s_and_is_counted(tmp_path: Path) -> None:
    nodes = {
        "t": {"type": "on_event", "event": "go", "next": "w"},
        "w": {"type": "wait_until", "at": "2026-06-02T09:00", "zone": "customer", "next": "m"},
        "m": send(),
    }
    begin = utc_ms("UTC", "2026-06-01T00:00")
    zones = {"anna": "Mars/Base", "bert": None, "carl": "Asia/Tokyo", "dora": ""}
    customers = [{"id": name, **({"zone": zone} if zone else {})} for name, zone in zones.items()]
    events = [(name, begin + n) for n, name in enumerate(zones)]
    made = case(nodes, customers, events, (begin - DAY_MS, begin + 3 * DAY_MS))
    assert load(made).bound().zones.invalid == 1
    with in_memory(tmp_path) as folder:
        sent = {name: ms for name, _, ms in lived(folder / "p", made)}
    own, tokyo = utc_ms("UTC", "2026-06-02T09:00"), utc_ms("Asia/Tokyo", "2026-06-02T09:00")
    assert sent == {"anna": own, "bert": own, "carl": tokyo, "dora": own}
