"""Read instants and civil days from the forms in which people write them.

Inside, an instant is ms UTC since 1970-01-01 and a civil day a number of days since then.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_ms(value: int | str | datetime) -> int:
    """An instant in ms UTC, from ms, ISO 8601 text or a datetime; without an offset it is UTC.

    Raises ValueError for other text and TypeError for other types.
    """
    if isinstance(value, bool) or not isinstance(value, int | str | datetime):
        raise TypeError(f"an instant is whole milliseconds, ISO text or a datetime, not {value!r}")
    if isinstance(value, int):
        return value
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // timedelta(milliseconds=1)


def civil_day(value: int | str | date) -> int:
    """Days since 1970-01-01, from days, ISO text or a date. Raises ValueError for other text."""
    if isinstance(value, int):
        return value
    day = date.fromisoformat(value) if isinstance(value, str) else value
    return day.toordinal() - EPOCH.toordinal()


def instant_text(ms: int) -> str:
    """An instant as ISO text in UTC, to the second or as finely as it needs."""
    moment = (EPOCH + timedelta(milliseconds=ms)).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds") + "Z"


def civil_text(days: int) -> str:
    """A civil day as ISO text."""
    return (EPOCH.date() + timedelta(days=days)).isoformat()
