"""Read the window and the horizon of a run from what the command line says of them."""

from __future__ import annotations

from collections.abc import Callable

from core.audience import AudienceSchema
from core.binding_zones import literal_ms
from core.duration import parse_duration
from core.errors import HeadraceError
from core.limits import RUN_MS_MAX
from core.quantity import moment
from core.zones import ZoneTable, add_duration, transitions

A_TIME = "Write a time such as 2026-04-01 or 2026-04-01T09:00"


def read_window(
    begin: str | None,
    until: str | None,
    horizon: str | None,
    *,
    zone: str | None,
    schema: AudienceSchema,
    said: str = "--",
) -> tuple[int, int, int]:
    """The start, the end and the horizon in ms UTC; None stands for a default.

    Times without an offset are on the clock of `zone`, else of the audience's zone, else UTC.
    HeadraceError where they can't be read, make no window, or one longer than a report can hold; it
    calls them `from`, `until` and `horizon`, with `said` before.
    """
    table = transitions(zone or schema.zone or "UTC")
    first, last = schema.time.first_ms, schema.time.last_ms
    from_ms = _time(f"{said}from", begin, table, first)
    until_ms = _time(f"{said}until", until, table, None if last is None else last + 1)
    if from_ms >= until_ms:
        raise HeadraceError(
            f"the window is empty: it would begin at {_named(from_ms, begin, 'first')} "
            f"and end at {_named(until_ms, until, 'last')}",
            advice=f"Set {said}from before {said}until",
        )
    horizon_ms = until_ms
    if horizon is not None and horizon.startswith("+"):
        horizon_ms = _read(
            f"{said}horizon",
            horizon,
            lambda text: add_duration(table, until_ms, parse_duration(text[1:])),
            f"Write how long after {said}until, such as '+14 days'",
        )
    elif horizon is not None:
        horizon_ms = _time(f"{said}horizon", horizon, table, None)
    if horizon_ms < until_ms:
        raise HeadraceError(
            f"the horizon, {moment(horizon_ms)}, is before the window's end, {moment(until_ms)}",
            advice=f"Follow people at least to {said}until, or leave {said}horizon out",
        )
    if horizon_ms - from_ms > RUN_MS_MAX:
        raise HeadraceError(
            f"the run would span {moment(from_ms)} to {moment(horizon_ms)}, and "
            f"{RUN_MS_MAX // 86_400_000:,} days are the most",
            advice=f"Set {said}from and {said}until to the time that you want to know about",
        )
    return from_ms, until_ms, horizon_ms


def _named(ms: int, text: str | None, place: str) -> str:
    return moment(ms) + ("" if text is not None else f" (the audience's {place} event)")


def _time(option: str, text: str | None, table: ZoneTable, default: int | None) -> int:
    if text is not None:
        return _read(option, text, lambda stated: literal_ms(stated, table), A_TIME)
    if default is None:
        raise HeadraceError(
            f"the audience has no event, so {option} has no default", advice=f"State {option}"
        )
    return default


def _read(option: str, text: str, read: Callable[[str], int], advice: str) -> int:
    try:
        return read(text)
    except (ValueError, HeadraceError) as error:
        message = error.message if isinstance(error, HeadraceError) else str(error)
        raise HeadraceError(f"{option}: {message}", advice=advice) from None
