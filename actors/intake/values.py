"""Read single values of clients' rows strictly: a value has the declared type, or it is refused.

Nothing is converted by guess: "1" is no number, 1 is no truth value, 1.0 is no whole number. A date
or an instant may be ISO text or a number, a fraction may be written as a whole number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from actors.intake.frame import INSTANT_MAX_MS, INSTANT_MIN_MS
from core.audience import INT64_MIN, Kind
from core.duration import DAY_MS
from core.instants import civil_day, instant_ms
from core.violations import quoted

Value = bool | int | float | str
INT64_MAX = 2**63 - 1

MISSING: dict[Kind, float | int] = {
    "bool": -1,
    "int64": INT64_MIN,
    "datetime": INT64_MIN,
    "date": INT64_MIN,
    "float64": math.nan,
}
"""What stands in a column for null; a text has the code -1 instead."""

_NAMES = {
    bool: "a truth value",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "a mapping",
    type(None): "null",
}


class RefusedError(Exception):
    """A row that is refused: a code, a message, and the steps to the place in it."""

    def __init__(self, code: str, message: str, *steps: str | int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.steps = steps


def wrong_type(expected: str, value: object) -> RefusedError:
    """The refusal of a value that is of another type than `expected`, in words."""
    found = _NAMES.get(type(value), type(value).__name__)
    return RefusedError("wrong-type", f"expected {expected}, found {found}")


def text_of(value: object, bytes_max: int) -> str:
    """A text of at most `bytes_max` bytes in UTF-8, without half characters."""
    if type(value) is not str:
        raise wrong_type("text", value)
    if value.isascii():
        size = len(value)
    else:
        try:
            size = len(value.encode())
        except UnicodeEncodeError:
            raise RefusedError(
                "lone-surrogate", f"the text {quoted(value)} holds half of a character"
            ) from None
    if size > bytes_max:
        raise RefusedError(
            "out-of-range", f"the text has {size:,} bytes; at most {bytes_max:,} are allowed"
        )
    return value


def instant_of(value: object) -> int:
    """An instant in ms UTC, from ms or ISO text (UTC without an offset), of the years 1 to 9999."""
    if type(value) is not int and type(value) is not str:
        raise wrong_type("an instant as milliseconds or ISO text", value)
    try:
        found = instant_ms(value)
    except (ValueError, OverflowError):
        raise RefusedError(
            "invalid-time",
            f"{quoted(value)} is not an instant such as 2026-01-31T09:00:00Z or its milliseconds",
        ) from None
    if not INSTANT_MIN_MS <= found <= INSTANT_MAX_MS:
        raise RefusedError("out-of-range", f"{found} ms is not within the years 1 to 9999")
    return found


def _date_of(value: object) -> int:
    if type(value) is not int and type(value) is not str:
        raise wrong_type("a date as ISO text or days since 1970-01-01", value)
    try:
        found = civil_day(value)
    except ValueError:
        raise RefusedError(
            "invalid-time", f"{quoted(value)} is not a date such as 2026-01-31"
        ) from None
    if not INSTANT_MIN_MS <= found * DAY_MS <= INSTANT_MAX_MS:
        raise RefusedError("out-of-range", f"day {found} is not within the years 1 to 9999")
    return found


def _bool_of(value: object) -> bool:
    if type(value) is not bool:
        raise wrong_type("true or false", value)
    return value


def _int_of(value: object) -> int:
    if type(value) is not int:
        raise wrong_type("a whole number", value)
    if not INT64_MIN < value <= INT64_MAX:
        raise RefusedError("number-too-large", "a whole number has at most 64 bits")
    return value


def _float_of(value: object) -> float:
    if type(value) is int:
        return float(_int_of(value))
    if type(value) is not float:
        raise wrong_type("a number", value)
    if not math.isfinite(value):
        raise RefusedError("not-finite", f"{value} is not a finite number")
    return value


_READERS: dict[Kind, Callable[[Any], Value]] = {
    "bool": _bool_of,
    "int64": _int_of,
    "float64": _float_of,
    "datetime": instant_of,
    "date": _date_of,
}


def reader_of(kind: Kind, text_bytes_max: int) -> Callable[[object], Value]:
    """What reads a value of this kind, null excepted: it returns it, or raises RefusedError."""
    if kind == "string":
        return lambda value: text_of(value, text_bytes_max)
    return _READERS[kind]
