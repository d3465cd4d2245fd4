"""Tell what a literal of a flow document can stand for: dates are written as text there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from core.nodes import LOCAL_TIME

Families = frozenset[str]
"""Kinds of values that can be compared with each other: bool, number, text, date, datetime."""

ALL: Families = frozenset({"bool", "number", "text", "date", "datetime"})
TIMES: Families = frozenset({"date", "datetime"})
NUMBER: Families = frozenset({"number"})
TEXT: Families = frozenset({"text"})
BOOL: Families = frozenset({"bool"})
OF_KIND = {
    "bool": "bool",
    "int64": "number",
    "float64": "number",
    "string": "text",
    "date": "date",
    "datetime": "datetime",
}
"""The family of each kind of column."""

_LOCAL_TIME = re.compile(LOCAL_TIME, re.ASCII)


def moment(text: str) -> datetime | None:
    """The date (as midnight) or time that `text` writes, with its offset if any; None if invalid.

    The forms are those of `core.wall_clock.LOCAL_TIME`. 2026-02-30 is none, nor is what lies
    beyond the calendar's years 1 to 9999 in UTC.
    """
    if not _LOCAL_TIME.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
        found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
    return found


def families_of(value: object) -> Families:
    """The families that a literal can belong to: text that writes a time may be meant as either."""
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int | float):
        return NUMBER
    if isinstance(value, str) and moment(value) is not None:
        return TEXT | TIMES
    return TEXT


def families_of_all(values: Sequence[object]) -> Families:
    """The families that all of the literals can belong to; empty where they don't fit together."""
    shared = ALL
    for value in values:
        shared &= families_of(value)
    return shared


def identity(value: object) -> tuple[str, object]:
    """What two equal literals share: 1 and 1.0 are one number, but true isn't 1."""
    return ("bool" if isinstance(value, bool) else "other", value)
