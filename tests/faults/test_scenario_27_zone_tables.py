"""Scenario 27, its last part: new tables of zones change a future offset in the midst of waits.

The tables differ from a moment on that has not come. So whoever got the new ones later must end as
one who had them all along: every message at the same instant, the same counters, the same digest.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from actors.live.control import TenantSettings
from actors.live.partition import LivePartition
from actors.live.reading import reading
from actors.live.records import BasisRecord, decode_record
from actors.live.repartition import write_journals
from core.duration import DAY_MS
from core.zone_tables import ZoneTables, installed
from store_work import in_memory
from zone_files import shifted, with_zone
from zone_tenants import SCHEMA, SEND, SETTINGS, T0, Zoned, document, steps_of

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kolkata", None)
LOCAL = ("days", "until", "of-flow", "date", "wall", "slot", "spread", "heard", "any")
HEARING = ("wait_event", "wait_any")
HOUR_MS = 3_600_000
SWITCH_MS = T0 + 8 * DAY_MS
END_MS = T0 + 45 * DAY_MS


def date_of(ms: int, days: int) -> str:
    """The date so many days after an instant."""
    return str(np.datetime64(ms // DAY_MS + days, "D"))


def ways(dice: Random) -> dict[str, dict[str, Any]]:
    """All nodes at which a timer waits: by the wall clock, by elapsed time, and by neither."""
    clock = f"{dice.randrange(24):02}:{dice.randrange(60):02}"
    timeout = f"{dice.randrange(1, 9)} days"
    later = f"{date_of(T0, dice.randrange(9, 25))}T{clock}"
    weekday = dice.choice(["mon", "wed", "sun"])
    return {
        "days": {"type": "wait", "for": f"{dice.randrange(1, 20)} days"},
        "months": {"type": "wait", "for": "1 months 2 days 5 hours"},
        "hours": {"type": "wait", "for": f"{dice.randrange(1, 400)} hours"},
        "until": {"type": "wait_until", "at": later, "zone": "customer"},
        "of-flow": {"type": "wait_until", "at": later, "zone": "flow"},
        "instant": {"type": "wait_until", "at": later + "+02:00"},
        "date": {"type": "wait_date", "attribute": "day", "offset": "-1 days", "at": clock},
        "midnight": {"type": "wait_date", "attribute": "day", "offset": "2 days 3 hours"},
        "moment": {"type": "wait_date", "attribute": "moment"},
        "wall": {"type": "wait_date", "attribute": "moment", "offset": "1 days"},
        "slot": {
            "type": "wait_slot",
            "slots": [{"from": clock, "until": "24:00", "days": [weekday]}],
        },
        "spread": {
            "type": "wait_slot",
            "slots": [{"from": clock, "until": "24:00", "days": [weekday]}],
            "spread": f"{dice.randrange(1, 40)} hours",
        },
        "heard": {"type": "wait_event", "event": "click", "timeout": timeout},
        "any": {"type": "wait_any", "events": {"event": {"event": "click"}}, "timeout": timeout},
        "heard-ms": {"type": "wait_event", "event": "click", "timeout": "100 hours"},
    }  # fmt: skip


def flow_of(dice: Random, alone: bool) -> str:
    """A flow of some of those ways: all together, or each on its own so that nobody forks."""
    all_ways = ways(dice)
    chosen = [dice.choice(LOCAL)] if alone else dice.sample(sorted(all_ways), 6)
    nodes: dict[str, Any] = {"t": {"type": "on_event", "event": "go", "next": chosen}}
    for name in chosen:
        kind = all_ways[name]["type"]
        after: Any = f"m-{name}"
        if kind in HEARING:
            after = {"event": f"m-{name}", "timeout": f"l-{name}"}
        nodes[name] = {**all_ways[name], "next": after}
        nodes[f"m-{name}"] = dict(SEND)
        if kind in HEARING:
            nodes[f"l-{name}"] = dict(SEND)
    if not alone:
        nodes |= {
            "daily": {"type": "on_schedule", "repeat": "daily", "at": "09:30", "zone": "customer",
                      "every": dice.randrange(1, 4), "next": "m-daily"},
            "weekly": {"type": "on_schedule", "repeat": "weekly", "at": "00:10",
                       "weekdays": ["tue", "sat"], "next": "m-weekly"},
            "soon": {"type": "on_segment", "members": "joining", "next": "m-soon",
                     "if": {"attribute": "day", "within_next": "12 hours"}},
            "over": {"type": "on_segment", "members": "joining", "next": "m-over",
                     "if": {"attribute": "day", "older_than": "3 days"}},
            "m-daily": dict(SEND), "m-weekly": dict(SEND), "m-soon": dict(SEND),
            "m-over": dict(SEND),
        }  # fmt: skip
    return document(nodes, zone="Europe/Berlin", reentry={"policy": "once" if alone else "always"})


def customers(dice: Random) -> list[dict[str, Any]]:
    """Customers with zones, and dates behind the change."""
    found = []
    for number in range(24):
        zone = dice.choice(ZONES)
        row: dict[str, Any] = {
            "customer": f"c{number}",
            "set": {
                "day": date_of(T0, dice.randrange(13, 35)),
                "moment": f"{date_of(T0, dice.randrange(8, 30))}T{dice.randrange(24):02}:30:00Z",
            },
        }
        found.append(row if zone is None else {**row, "zone": zone})
    return found


def live(
    folder: Path, seed: int, old: ZoneTables, new: ZoneTables, partitions: int, cut: Random | None
) -> tuple[Zoned, int]:
    """Run a case; `new` come at SWITCH_MS. Returns the tenant, and how many waits moved."""
    dice = Random(seed)
    text = flow_of(dice, alone=seed % 3 == 0)
    tenant = Zoned(folder, old, partitions)
    tenant.take(customers(dice), T0 - 1)
    tenant.publish(text)
    steps = steps_of(dice, [f"c{n}" for n in range(24)], 12)
    switched, moved = False, 0
    for now, rows in [*steps, (END_MS, [])]:
        if not switched and now >= SWITCH_MS:
            tenant.tick(SWITCH_MS - 1)
            before = tenant.due()
            if cut is not None and cut.random() < 0.5:
                tenant.snapshot()
            tenant.reopen(new)
            switched, moved = True, len(tenant.due() - before)
        if rows:
            tenant.take(rows, now)
        if cut is not None and cut.random() < 0.1:
            tenant.snapshot()
        if cut is not None and cut.random() < 0.03:
            tenant.reopen()
        if cut is not None and cut.random() < 0.5:
            tenant.tick(now)
    for day in range(12, 45, 3):
        tenant.tick(T0 + day * DAY_MS)
    tenant.tick(END_MS)
    return tenant, moved


@pytest.mark.parametrize("seed", [0, 2])
def test_tables_that_come_late_end_as_if_they_had_been_there(tmp_path: Path, seed: int) -> None:
    check(tmp_path, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3, 60))
def test_many_tables_that_come_late(tmp_path: Path, seed: int) -> None:
    check(tmp_path, seed)


def check(tmp_path: Path, seed: int) -> None:
    """New tables in the midst, in 1, 2 and 8 partitions, against the new tables all along."""
    dice = Random(1000 + seed)
    zones = dice.sample(["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Asia/Kolkata"], 2)
    by_s = dice.choice([-7200, -3600, -900, 1800, 3600, 10_800, 36_000])
    new = shifted(zones, SWITCH_MS + dice.randrange(0, 2 * DAY_MS), by_s)
    moved = []
    with in_memory(tmp_path) as folder:
        model, none = live(folder / "model", seed, new, new, 1, None)
        stale, _ = live(folder / "stale", seed, installed(), installed(), 1, None)
        assert none == 0
        sent = sum(model.sent().values())
        for partitions in (1, 2, 8):
            found, count = live(
                folder / str(partitions), seed, installed(), new, partitions, Random(seed)
            )
            moved.append(count)
            assert found.sent() == model.sent()
            assert found.counted() == model.counted()
            assert found.due() == model.due()
            assert found.digest == model.digest
            found.close()
        differs = model.sent() != stale.sent() or model.due() != stale.due()
        model.close()
        stale.close()
    assert len(set(moved)) == 1
    assert sent > 0
    print(
        f"\nscenario 27: {zones} moved by {by_s} s: {moved[0]} waits moved, {sent} messages as if "
        f"it had always been so, in 1, 2 and 8 partitions; {'some' if differs else 'none'} differ "
        "from those of the old tables"
    )


def utc(text: str) -> int:
    """An instant in ms."""
    return int(np.datetime64(text, "ms").astype(np.int64))


def anna_in(
    folder: Path, nodes: dict[str, Any], at: str = "2026-04-10T00:00", **settings: Any
) -> Zoned:
    """A tenant with two customers in Berlin."""
    tenant = Zoned(folder, installed())
    rows = [
        {"customer": c, "zone": "Europe/Berlin", "set": {"day": "2026-04-20"}}
        for c in ("anna", "bert")
    ]
    tenant.take(rows, utc(at) - 1)
    tenant.publish(document(nodes, zone="Europe/Berlin", **settings), utc(at))
    return tenant


def event(customer: str, name: str = "click") -> list[dict[str, Any]]:
    return [{"customer": customer, "event": name}]


BERLIN = ["Europe/Berlin"]
SUNDAY = utc("2026-04-19T00:00")
SEEN = {"seen": {"type": "on_event", "event": "click", "next": "x"}}
ALWAYS = {"reentry": {"policy": "always"}}


def test_a_time_that_is_over_by_the_new_tables_is_made_up_for(tmp_path: Path) -> None:
    nodes = SEEN | {
        "t": {"type": "on_event", "event": "go", "next": "w"},
        "w": {"type": "wait_until", "at": "2026-04-20T09:00", "next": "m"},
        "m": SEND,
    }
    with in_memory(tmp_path) as folder:
        tenant = anna_in(folder / "p", nodes, **ALWAYS)
        tenant.take(event("anna", "go") + event("bert", "go"), T0 + DAY_MS)
        tenant.take(event("bert"), utc("2026-04-20T06:15"))
        tenant.tick(utc("2026-04-20T06:30"))
        assert tenant.times("m") == []
        tenant.reopen(shifted(BERLIN, SUNDAY, 3600))
        tenant.tick(utc("2026-04-20T06:30"))
        # At its own time; and not before what happened to the customer since.
        assert tenant.times("m") == [utc("2026-04-20T06:00"), utc("2026-04-20T06:15")]
        tenant.close()


@pytest.mark.parametrize("alone", [False, True])
@pytest.mark.parametrize("by_s", [3600, -3600])
@pytest.mark.parametrize("since", ["2026-04-11T15:00", "2026-04-12T04:00"])
def test_who_goes_on_apart_stays_as_far_apart(
    tmp_path: Path, alone: bool, by_s: int, since: str
) -> None:
    """The slot begins on 11 April at 22:00 UTC, behind what the new tables change, or before."""
    slot = {"type": "wait_slot", "slots": [{"from": "00:00", "until": "24:00", "days": ["sun"]}]}
    ways = ["near", "far"][alone:]
    nodes = {
        "t": {"type": "on_event", "event": "go", "next": ways},
        "near": {**slot, "spread": "2 hours", "next": "m-near"},
        "far": {**slot, "spread": "3 days", "next": "m-far"},
        "any": {"type": "wait_any", "events": {"event": {"event": "click"}}, "timeout": "11 days",
                "next": {"event": "x", "timeout": "m-any"}},
        "u": {"type": "on_event", "event": "click", "next": "any"},
    }  # fmt: skip
    nodes |= {f"m-{way}": SEND for way in ("near", "far", "any")}
    tables = shifted(BERLIN, utc(since), by_s)
    moved_ms = by_s * 1000 if since < "2026-04-12" else 0
    with in_memory(tmp_path) as folder:
        tenant = anna_in(folder / "p", nodes, **ALWAYS)
        tenant.take(event("anna", "go") + event("bert", "go") + event("bert"), T0 + DAY_MS)
        before = tenant.due()
        tenant.reopen(tables)
        starts = {(c, way, ms - moved_ms) for c, way, ms in before if way in ways and ms}
        assert {place for place in tenant.due() if place[1] in ways} == starts
        assert {ms - utc("2026-04-11T22:00") > 6 * HOUR_MS for _, way, ms in starts} == {
            True, alone
        }  # fmt: skip
        tenant.tick(utc("2026-04-30T00:00"))
        assert tenant.times("m-far") == sorted(ms for _, way, ms in starts if way == "far")
        assert tenant.times("m-any") == [T0 + 12 * DAY_MS - by_s * 1000]
        tenant.close()


@pytest.mark.parametrize(
    ("by_s", "until", "expected"),
    [
        (3600, "2026-04-20T06:30", ["2026-04-20T06:00", "2026-04-21T06:00"]),
        (3600, "2026-04-20T07:30", ["2026-04-20T07:00", "2026-04-21T06:00"]),
        (-3600, "2026-04-20T07:30", ["2026-04-20T07:00", "2026-04-21T08:00"]),
        (-3600, "2026-04-20T06:30", ["2026-04-20T08:00", "2026-04-21T08:00"]),
    ],
)
@pytest.mark.parametrize("zone", ["customer", "flow"])
def test_a_schedule_comes_once_a_day_whatever_the_tables(
    tmp_path: Path, by_s: int, until: str, expected: list[str], zone: str
) -> None:
    nodes = {
        "s": {"type": "on_schedule", "repeat": "daily", "at": "09:00", "zone": zone, "next": "m"},
        "m": SEND,
    }
    with in_memory(tmp_path) as folder:
        tenant = anna_in(folder / "p", nodes, **ALWAYS)
        tenant.tick(utc(until))
        tenant.reopen(shifted(BERLIN, SUNDAY, by_s))
        tenant.tick(utc("2026-04-21T12:00"))
        days = [utc(f"2026-04-{day}T07:00") for day in range(10, 20)]
        assert tenant.times("m") == sorted(2 * [*days, *map(utc, expected)])
        tenant.close()


@pytest.mark.parametrize("way", ["Asia/Tokyo America/New_York", "America/New_York Asia/Tokyo"])
def test_a_schedule_goes_on_where_a_customer_moves_to(tmp_path: Path, way: str) -> None:
    here, there = way.split()
    nodes = {
        "s": {"type": "on_schedule", "repeat": "daily", "at": "09:00", "zone": "customer",
              "next": "m"},
        "m": SEND,
    }  # fmt: skip
    with in_memory(tmp_path) as folder:
        tenant = Zoned(folder / "p", installed())
        tenant.take([{"customer": "anna", "zone": here}], T0 - 1)
        tenant.publish(document(nodes, **ALWAYS))
        tenant.tick(utc("2026-04-14T20:00"))
        tenant.take([{"customer": "anna", "zone": there}], utc("2026-04-14T20:00"))
        tenant.tick(utc("2026-04-19T20:00"))
        at = {"Asia/Tokyo": "00:00", "America/New_York": "13:00"}
        before = [utc(f"2026-04-{day}T{at[here]}") for day in range(10, 15)]
        after = [utc(f"2026-04-{day}T{at[there]}") for day in range(16, 20)]
        # Of the 15th it comes once: who moves east has it late, when it would have come before.
        assert tenant.times("m") == [*before, utc("2026-04-15T13:00"), *after]
        tenant.close()


@pytest.mark.parametrize("operator", ["within_last", "within_next"])
@pytest.mark.parametrize("by_s", [3600, -3600])
@pytest.mark.parametrize("between", [False, True])
def test_a_date_comes_once_whatever_the_tables(
    tmp_path: Path, operator: str, by_s: int, between: bool
) -> None:
    """In Berlin 20 April begins on the 19th at 22:00 UTC, and by the new tables an hour off."""
    nodes = SEEN | {
        "s": {"type": "on_segment", "members": "joining", "next": "m",
              "if": {"attribute": "day", operator: "2 days"}},
        "m": SEND,
    }  # fmt: skip
    begins = utc("2026-04-19T22:00") - (2 * DAY_MS if operator == "within_next" else 0)
    tables = shifted(BERLIN, SUNDAY, by_s)
    with in_memory(tmp_path) as folder:
        before = anna_in(folder / "before", nodes, **ALWAYS)
        before.tick(begins - HOUR_MS // 2)
        if between:
            before.take(event("anna"), begins - HOUR_MS // 4)
        assert before.times("m") == []
        before.reopen(tables)
        before.take(event("anna") + event("bert"), begins + 3 * HOUR_MS)
        before.tick(begins + 5 * DAY_MS)
        moved = begins - by_s * 1000
        late = max(moved, begins - HOUR_MS // 4) if between else moved
        assert before.times("m") == sorted([late, moved])
        before.close()
        after = anna_in(folder / "after", nodes, **ALWAYS)
        after.tick(begins + HOUR_MS // 4)
        assert after.times("m") == [begins, begins]
        after.reopen(tables)
        if between:
            after.take(event("anna"), begins + HOUR_MS // 2)
            after.reopen()
        after.take(event("bert"), begins + 3 * HOUR_MS)
        after.tick(begins + 5 * DAY_MS)
        assert after.times("m") == [begins, begins]
        # A date that ended is not begun again either.
        ends = begins + 2 * DAY_MS
        over = anna_in(folder / "over", nodes, **ALWAYS)
        over.tick(ends + HOUR_MS // 4)
        over.reopen(tables)
        if between:
            over.take(event("anna"), ends + HOUR_MS // 2)
        over.tick(ends + 5 * DAY_MS)
        assert over.times("m") == [begins, begins]
        # Another date is another matter.
        over.take([{"customer": "anna", "set": {"day": "2026-05-20"}}], ends + 6 * DAY_MS)
        over.tick(utc("2026-06-01T00:00"))
        assert len(over.times("m")) == 3
        over.close()


def test_a_time_in_a_gap_that_is_none_any_more_is_that_time(tmp_path: Path) -> None:
    nodes = {
        "t": {"type": "on_event", "event": "go", "next": ["until", "date", "slot", "days"]},
        "until": {"type": "wait_until", "at": "2026-03-29T02:30", "next": "m-until"},
        "date": {"type": "wait_date", "attribute": "day", "offset": "-22 days", "at": "02:30",
                 "next": "m-date"},
        "slot": {"type": "wait_slot", "slots": [{"from": "02:30", "until": "03:00",
                 "days": ["sun"]}], "next": "m-slot"},
        "days": {"type": "wait", "for": "2 days", "next": "m-days"},
        **{f"m-{name}": SEND for name in ("until", "date", "slot", "days")},
    }  # fmt: skip
    with in_memory(tmp_path) as folder:
        tenant = anna_in(folder / "p", nodes, "2026-03-20T00:00", **ALWAYS)
        tenant.take(event("anna", "go"), utc("2026-03-27T01:30"))
        in_gap = utc("2026-03-29T01:30")
        assert {due for _, node, due in tenant.due() if node != "x"} == {in_gap}
        tenant.reopen(with_zone("Europe/Berlin", 3600))
        due = {node: due for _, node, due in tenant.due()}
        # What the flow names is known; of two days by the wall only what the clock showed is.
        assert due == {
            "until": in_gap, "date": in_gap, "slot": in_gap, "days": in_gap + HOUR_MS
        }  # fmt: skip
        tenant.close()


def test_an_entry_window_by_the_wall_moves_and_a_stopped_flow_stays_so(tmp_path: Path) -> None:
    nodes = {"t": {"type": "on_event", "event": "go", "next": "m"}, "m": SEND}
    with in_memory(tmp_path) as folder:
        for by_s, entered in ((3600, 1), (-3600, 3)):
            tenant = anna_in(folder / str(by_s), nodes, stop="2026-04-20T09:00", **ALWAYS)
            tenant.take(event("anna", "go"), utc("2026-04-20T05:30"))
            tenant.reopen(shifted(BERLIN, SUNDAY, by_s))
            for at in ("2026-04-20T06:30", "2026-04-20T07:30", "2026-04-20T08:30"):
                tenant.take(event("anna", "go"), utc(at))
            assert len(tenant.times("m")) == entered
            tenant.close()
        tenant = anna_in(folder / "stopped", nodes, stop="2026-04-20T09:00", **ALWAYS)
        stop = {"kind": "stop", "flow": "f", "in_flight": "pin", "at_ms": utc("2026-04-20T06:00")}
        tenant.partitions[0].command(2, stop)
        tenant.reopen(shifted(BERLIN, SUNDAY, -3600))
        tenant.take(event("anna", "go"), utc("2026-04-20T06:30"))
        assert tenant.times("m") == []
        tenant.close()


def replayed(folder: Path, settings: TenantSettings, *, whole: bool) -> int:
    """The digest of a partition that is only read, by an engine with the installed zones."""
    with reading(folder, whole=whole) as store:
        return LivePartition(store, settings).digest()


def tables_taken_up(folder: Path) -> int:
    """How many records of a journal have tables of zones."""
    with reading(folder) as store:
        records = [decode_record(number, data, "") for number, data in store.journal()]
    return sum(isinstance(record, BasisRecord) and bool(record.tables) for record in records)


def test_each_record_is_replayed_under_the_tables_that_it_met(tmp_path: Path) -> None:
    older = shifted(["Europe/Berlin", "Asia/Tokyo"], SWITCH_MS - DAY_MS, -5400)
    newer = shifted(["Europe/Berlin", "Asia/Kolkata"], SWITCH_MS, 7200)
    digests = set()
    for snapshots in (0, 1, 2):
        with in_memory(tmp_path / str(snapshots)) as root:
            dice = Random(5)
            tenant = Zoned(root, older)
            tenant.take(customers(dice), T0 - 1)
            tenant.publish(flow_of(dice, alone=False))
            for now, rows in steps_of(dice, [f"c{n}" for n in range(24)], 12):
                if now >= SWITCH_MS and tenant.tables is older:
                    tenant.tick(SWITCH_MS - 1)
                    if snapshots == 1:
                        tenant.snapshot()
                    tenant.reopen(newer)
                    if snapshots == 2:
                        tenant.snapshot()
                tenant.take(rows, now)
            digest = tenant.digest
            journal = tenant.partitions[0].store.head.journal_last
            tenant.reopen()
            assert tenant.digest == digest
            # The same tables again are nothing new.
            assert tenant.partitions[0].store.head.journal_last == journal
            tenant.close()
            folder = root / "000"
            assert tables_taken_up(folder) == 2
            assert replayed(folder, SETTINGS, whole=False) == digest
            assert replayed(folder, SETTINGS, whole=True) == digest
            digests.add(digest)
    assert len(digests) == 1
    print("\nscenario 27: one digest live, from a snapshot with its tail, and from all records")


def test_customers_move_to_other_partitions_with_their_tables(tmp_path: Path) -> None:
    newer = shifted(["Europe/Berlin", "Asia/Kolkata"], SWITCH_MS, 7200)
    with in_memory(tmp_path) as folder:
        tenant, moved = live(folder / "2", 1, installed(), newer, 2, None)
        digest, waiting = tenant.digest, tenant.due()
        tenant.close()
        assert moved > 0
        count = 2
        for partitions in (4, 1, 3):
            stores = {n: folder / f"{count}" / f"{n:03}" for n in range(count)}
            settings = TenantSettings("shop", zone=SETTINGS.zone, partitions=count, schema=SCHEMA)
            with ExitStack() as stack:
                held = {n: stack.enter_context(reading(path)) for n, path in stores.items()}
                write_journals(
                    held, settings, partitions, lambda n, p=partitions: folder / str(p) / f"{n:03}"
                )
            count = partitions
            assert [tables_taken_up(folder / str(count) / f"{n:03}") for n in range(count)] == (
                count * [2]
            )
            made = Zoned(folder / str(count), newer, count)
            assert (made.digest, made.due()) == (digest, waiting)
            made.close()
