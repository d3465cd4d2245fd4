"""Checks how the window and the horizon of a run are read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from api.window import read_window
from core.audience import AudienceSchema, TimeSpan
from core.errors import HeadraceError
from core.limits import RUN_MS_MAX

FIRST, LAST = "2026-01-10T08:00", "2026-03-20T09:30"
DAY_MS = 86_400_000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def schema(zone: str | None = None, *, events: bool = True) -> AudienceSchema:
    span = TimeSpan(first_ms=ms(FIRST), last_ms=ms(LAST)) if events else TimeSpan()
    return AudienceSchema(zone=zone, time=span)


def window(
    begin: str | None = None,
    until: str | None = None,
    horizon: str | None = None,
    *,
    zone: str | None = None,
    of: AudienceSchema | None = None,
) -> tuple[int, int, int]:
    return read_window(begin, until, horizon, zone=zone, schema=of or schema())


def test_the_default_is_all_of_the_events() -> None:
    assert window() == (ms(FIRST), ms(LAST) + 1, ms(LAST) + 1)


def test_times_are_read_on_the_clock_of_the_flow_else_of_the_audience_else_utc() -> None:
    begin, until = "2026-02-01", "2026-02-02T12:00"
    assert window(begin, until)[:2] == (ms("2026-02-01"), ms("2026-02-02T12:00"))
    auckland = (ms("2026-01-31T11:00"), ms("2026-02-01T23:00"))
    assert window(begin, until, of=schema("Pacific/Auckland"))[:2] == auckland
    berlin = (ms("2026-01-31T23:00"), ms("2026-02-02T11:00"))
    found = window(begin, until, zone="Europe/Berlin", of=schema("Pacific/Auckland"))
    assert found[:2] == berlin
    stated = window("2026-02-01T00:00+05:30", "2026-02-02T12:00Z", zone="Europe/Berlin")
    assert stated[:2] == (ms("2026-01-31T18:30"), ms("2026-02-02T12:00"))


def test_the_horizon_is_a_time_or_a_duration_on_the_wall_clock() -> None:
    assert window(until="2026-02-01", horizon="+1 day 2 hours")[2] == ms("2026-02-02T02:00")
    assert window(until="2026-01-31", horizon="+1 month")[2] == ms("2026-02-28")
    over_spring = window(until="2026-03-28", horizon="+2 days", zone="Europe/Berlin")
    assert over_spring[2] - over_spring[1] == 2 * DAY_MS - 3_600_000
    assert window(until="2026-02-01", horizon="2026-02-03")[2] == ms("2026-02-03")
    assert window(until="2026-02-01", horizon="2026-02-01")[2] == ms("2026-02-01")


def refusal(*args: str | None, **more: AudienceSchema) -> str:
    with pytest.raises(HeadraceError) as caught:
        window(*args, **more)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_what_is_no_time_is_refused() -> None:
    advice = "Write a time such as 2026-04-01 or 2026-04-01T09:00"
    assert refusal("soon") == f"--from: 'soon' is no date or time. {advice}"
    assert refusal("") == f"--from: '' is no date or time. {advice}"
    assert refusal(None, "2026-02-30") == f"--until: '2026-02-30' is no date or time. {advice}"
    out_of_range = "0001-01-01T00:00+14:00"
    assert refusal(out_of_range) == f"--from: '{out_of_range}' is no date or time. {advice}"


def test_what_is_no_duration_is_refused() -> None:
    for text in ("+", "+14 dys", "+9000000 years"):
        said = refusal(None, None, text)
        assert said.startswith("--horizon: ")
        assert said.endswith(". Write how long after --until, such as '+14 days'")


def test_an_empty_window_says_what_it_is_made_of() -> None:
    assert refusal("2026-02-02", "2026-02-02") == (
        "the window is empty: it would begin at 2026-02-02 00:00 UTC and end at "
        "2026-02-02 00:00 UTC. Set --from before --until"
    )
    said = refusal(None, "2020-01-01")
    assert "begin at 2026-01-10 08:00 UTC (the audience's first event) and end" in said
    said = refusal("2027-01-01")
    assert "end at 2026-03-20 09:30 UTC (the audience's last event)." in said


def test_a_horizon_before_the_end_is_refused() -> None:
    assert refusal(None, "2026-02-02", "2026-02-01") == (
        "the horizon, 2026-02-01 00:00 UTC, is before the window's end, 2026-02-02 00:00 UTC. "
        "Follow people at least to --until, or leave --horizon out"
    )


def test_runs_of_more_than_ten_years_are_refused() -> None:
    until = datetime.fromtimestamp((ms(FIRST) + RUN_MS_MAX) / 1000, UTC).isoformat()
    assert window(None, until)[1] - ms(FIRST) == RUN_MS_MAX
    said = refusal(None, until, "+1 ms")
    assert "3,660 days are the most. Set --from and --until" in said


def test_without_events_both_ends_must_be_stated() -> None:
    none = schema(events=False)
    assert "has no event, so --from has no default. State --from" in refusal(of=none)
    assert "so --until has no default" in refusal("2026-01-01", of=none)
    assert window("2026-01-01", "2026-01-02", of=none)[2] == ms("2026-01-02")
