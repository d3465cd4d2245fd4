"""Say why a condition came out as it did for one customer: what was found, and what was asked.

Only what decided is told: of parts that must all hold the first that does not, of alternatives the
first that holds. Names stand in `backticks`, text values in "quotes", as in core/describe.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from core.conditions import (
    AllOf,
    AnyOf,
    AttributeTest,
    ClockTest,
    Comparison,
    DidTest,
    EntryTest,
    FilterAllOf,
    FilterAnyOf,
    FilterNot,
    GroupTest,
    Model,
    NeverDidTest,
    Not,
    PropertyTest,
    TagTest,
)
from core.describe import LISTED_MAX, describe_condition
from core.reference_conditions import View, holds, matches, value_of
from core.reference_people import Day, Instant, Value
from core.reference_time import EPOCH, MS, day_of
from core.wall_clock import DAY_NAMES, WEEKDAYS


def explain(condition: Model, view: View) -> str:
    """Return why `condition` is true or false in `view`, such as '`age` is 21 (asked: ...)'."""
    match condition:
        case AllOf(all=parts) | FilterAllOf(all=parts):
            failing = [part for part in parts if not holds(part, view)]
            return explain(failing[0], view) if failing else _joined(parts, view)
        case AnyOf(any=parts) | FilterAnyOf(any=parts):
            holding = [part for part in parts if holds(part, view)]
            return explain(holding[0], view) if holding else _joined(parts, view)
        case Not(not_=part) | FilterNot(not_=part):
            return explain(part, view)
        case TagTest(tag=name):
            return f"{'tagged' if name in view.person.tags else 'not tagged'} `{name}`"
        case GroupTest(group=name):
            return f"{'in' if name in view.person.groups else 'not in'} the group `{name}`"
        case DidTest(did=name) | NeverDidTest(never_did=name):
            count = len(matches(condition, view))
            times = "once" if count == 1 else f"{count:,} times"
            return f"`{name}` counted {times} (asked: {describe_condition(condition)})"
        case ClockTest():
            now = on_clock(view.now_ms, view.here)
            asked = describe_condition(condition)
            return f"it is {DAY_NAMES[WEEKDAYS[now.weekday()]]} {now:%H:%M} (asked: {asked})"
        case Comparison():
            return _comparison(condition, view)
    raise TypeError(f"{type(condition).__name__} is no condition")


def value_text(value: Value | None, here: ZoneInfo) -> str:
    """Return a value as a person reads it; an instant on the customer's clock."""
    match value:
        case None:
            return "missing"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case Day(days=days):
            return day_of(days).isoformat()
        case Instant(ms=ms):
            return clock_text(ms, here)
    return str(value)


def clock_text(at_ms: int, here: ZoneInfo) -> str:
    """Return an instant on a wall clock, such as 2026-05-04 12:00, as finely as it needs."""
    wall = on_clock(at_ms, here)
    parts = "minutes" if wall.second == wall.microsecond == 0 else "seconds"
    return wall.replace(tzinfo=None).isoformat(
        " ", parts if not wall.microsecond else "milliseconds"
    )


def on_clock(at_ms: int, here: ZoneInfo) -> datetime:
    """Return an instant as a datetime of a zone."""
    return (EPOCH + at_ms * MS).astimezone(here)


def _joined(parts: Sequence[Model], view: View) -> str:
    told = [explain(part, view) for part in parts[:LISTED_MAX]]
    if len(parts) > LISTED_MAX:
        told.append(f"{len(parts) - LISTED_MAX:,} more tests likewise")
    return " and ".join(told)


def _comparison(test: Comparison, view: View) -> str:
    value = value_of(test, view)
    match test:
        case EntryTest(entry=name):
            found = f"the entry's `{name}` is {value_text(value, view.here)}"
        case AttributeTest(attribute=name) | PropertyTest(property=name):
            found = f"`{name}` is {value_text(value, view.here)}"
        case _:
            raise TypeError(f"{type(test).__name__} reads no value")
    asked = describe_condition(test)
    return found if found == asked or value is None else f"{found} (asked: {asked})"
