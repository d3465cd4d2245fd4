"""Write counts, shares, times and spans of time for people to read.

Thousands are set apart by a narrow no-break space, and so are numbers from their units; views that
cannot show it put something else in its place.
"""

from __future__ import annotations

from datetime import UTC, datetime

THIN = "\u202f"
"""The narrow no-break space."""

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))


def number(value: float) -> str:
    """A count: whole as it is, a mean with one decimal below 10."""
    if isinstance(value, int) or value == int(value) or abs(value) >= 9.95:
        return f"{round(value):,}".replace(",", THIN)
    return f"{value:.1f}"


def percent(share: float) -> str:
    """A share as a percentage, with as many decimals as tell it from 0 and 100."""
    value = 100 * share
    distance = min(abs(value), abs(100 - abs(value)))
    decimals = 1 if distance >= 0.1 or distance == 0 else 2 if distance >= 0.01 else 3
    text = f"{value:,.{decimals}f}".replace(",", THIN)
    return f"{text.removesuffix('.0')}{THIN}%"


def percents(lo: float, hi: float) -> str:
    """A range of shares, such as '4.8–24.8 %'."""
    return f"{percent(lo).removesuffix(THIN + '%')}–{percent(hi)}"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    value = 100 * difference
    text = f"{abs(value):.{1 if abs(value) >= 0.1 else 2}f}"
    return f"{'−' if value < 0 else '+'}{text}{THIN}pp"


def span(ms: float) -> str:
    """A span of time in its two largest units, such as '2 d 3 h'; whole seconds at least."""
    left = round(ms / 1000) * 1000
    parts: list[str] = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{THIN}{unit}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts)) or f"0{THIN}s"


def moment(ms: int) -> str:
    """An instant as '2026-01-31 09:00 UTC'."""
    return f"{_utc(ms):%Y-%m-%d %H:%M} UTC"


def day(ms: int) -> str:
    """The UTC day of an instant as '2026-01-31'."""
    return f"{_utc(ms):%Y-%m-%d}"


def plural(count: float, one: str, many: str | None = None) -> str:
    """A count and its noun: '1 customer', '2 customers'."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def _utc(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
