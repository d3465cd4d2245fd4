"""Check instants and civil days in every form they are read from."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from core.instants import civil_day, instant_ms

YEAR_2026_MS = 1_767_225_600_000


def test_instants_are_ms_utc() -> None:
    assert instant_ms(5) == 5
    assert instant_ms("2026-01-01") == YEAR_2026_MS
    assert instant_ms("2026-01-01T00:00:00.250Z") == YEAR_2026_MS + 250
    assert instant_ms("2026-01-01T01:00:00+01:00") == YEAR_2026_MS
    assert instant_ms(datetime(2026, 1, 1, tzinfo=UTC)) == YEAR_2026_MS
    assert instant_ms(datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-1)))) == (
        YEAR_2026_MS + 3_600_000
    )
    assert instant_ms("1969-12-31T23:59:59.999Z") == -1


@pytest.mark.parametrize("bad", [True, 1.5, None])
def test_other_types_are_no_instants(bad: object) -> None:
    with pytest.raises(TypeError, match="whole milliseconds"):
        instant_ms(bad)  # type: ignore[arg-type]


def test_days_count_from_1970() -> None:
    assert civil_day("1970-01-03") == 2
    assert civil_day(date(1969, 12, 31)) == -1
    assert civil_day(7) == 7
    with pytest.raises(ValueError, match="out of range"):
        civil_day("2026-02-30")
