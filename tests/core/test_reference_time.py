"""Check the reference's clocks against those of the compiled interpreter, which share no code."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.duration import Duration
from core.errors import HeadraceError
from core.nodes import WEEKDAYS, OnSchedule, Slot
from core.reference_time import EPOCH_DAY, day_of, later, midnight, schedule_times, slot_due, zone
from core.schedule import occurrences
from core.zones import add_duration, local_to_utc, next_slot, transitions

DAY_MS = 86_400_000
MINUTE_MS = 60_000
ZONES = st.sampled_from(
    [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Asia/Kathmandu",
        "America/St_Johns",
        "Africa/Casablanca",
    ]
)
TIMES = st.integers(946_684_800, 2_208_988_800).map(lambda seconds: seconds * 1000)  # 2000 to 2040
# Minutes near the changes of clocks in Berlin in 2026, where most mistakes would show.
CHANGES = st.integers(-200, 200).flatmap(
    lambda m: st.sampled_from([1_774_746_000_000, 1_792_890_000_000]).map(
        lambda at: at + m * MINUTE_MS
    )
)
SPANS = st.builds(
    Duration,
    st.integers(0, 30),
    st.integers(0, 800),
    st.integers(0, 100).map(lambda h: h * 900_000),
)
CLOCK = st.integers(0, 95).map(lambda quarters: quarters * 15 * MINUTE_MS)


@given(ZONES, st.one_of(TIMES, CHANGES), SPANS)
@example("Europe/Berlin", 1_774_650_600_000, Duration(days=1))  # into the gap
def test_durations_agree(name: str, at_ms: int, span: Duration) -> None:
    assert later(at_ms, span, zone(name)) == add_duration(transitions(name), at_ms, span)


@given(ZONES, st.integers(10_000, 25_000))
def test_midnights_agree(name: str, days: int) -> None:
    assert midnight(day_of(days), zone(name)) == local_to_utc(transitions(name), days * DAY_MS)


@given(
    ZONES,
    st.one_of(TIMES, CHANGES),
    st.lists(
        st.tuples(CLOCK, st.integers(1, 96), st.sets(st.sampled_from(WEEKDAYS), min_size=1)),
        min_size=1,
        max_size=3,
    ),
)
def test_slots_agree(name: str, at_ms: int, drawn: list[tuple[int, int, set[str]]]) -> None:
    slots = [
        Slot.model_validate(
            {
                "from": begin,
                "until": min(begin + quarters * 15 * MINUTE_MS, DAY_MS),
                "days": sorted(days),
            }
        )
        for begin, quarters, days in drawn
    ]
    table = [(slot.weekday_mask, slot.from_, slot.until) for slot in slots]
    assert slot_due(at_ms, slots, zone(name)) == next_slot(transitions(name), at_ms, table)


@given(
    ZONES,
    TIMES,
    st.integers(1, 300),
    st.integers(1, 5),
    CLOCK,
    st.sampled_from(
        [
            {"repeat": "daily"},
            {"repeat": "weekly", "weekdays": ["mon", "sat"]},
            {"repeat": "monthly", "days": [1, 30, 31]},
            {"repeat": "once", "date": "2026-03-29"},
        ]
    ),
    st.integers(0, 21_000),
)
def test_schedules_agree(
    name: str,
    from_ms: int,
    days: int,
    every: int,
    clock: int,
    fields: dict[str, Any],
    anchor: int,
) -> None:
    until_ms = from_ms + days * DAY_MS
    node = OnSchedule.model_validate({"type": "on_schedule", "at": clock, "every": every, **fields})
    expected = occurrences(
        node.repeat,
        table=transitions(name),
        at_ms=node.at,
        date=None if node.date is None else (date.fromisoformat(node.date) - EPOCH_DAY).days,
        weekdays=sum(1 << WEEKDAYS.index(day) for day in node.weekdays or ()),
        month_days=tuple(node.days or ()),
        every=every,
        anchor_day=anchor,
        from_ms=from_ms,
        until_ms=until_ms,
    )
    found = schedule_times(node, day_of(anchor), from_ms, until_ms, zone(name))
    assert found == expected.tolist()


def test_a_zone_must_exist() -> None:
    with pytest.raises(HeadraceError, match="no time zone 'Nowhere'"):
        zone("Nowhere")
