"""Declare the kinds of parameters that templates have: how a value is read, and what it can become.

A value is read once, from the command line or from a template's default, into what the flow
document holds in its place: a number, a text or a list. A *form* makes another value of it, such as
the rest of a share to 100 %, so that a template needs no arithmetic and puts no texts together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date
from typing import NamedTuple

from core import limits
from core.conditions import INT64_MAX, INT64_MIN
from core.duration import Duration, fixed_ms, parse_duration
from core.nodes import CHANNELS
from core.zones import zone_names

Value = bool | int | float | str | list[str]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_SHARE = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?\s*%", re.ASCII)
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_WHOLE = re.compile(r"[-+]?[0-9]{1,19}", re.ASCII)
TEXT_CHARS_MAX = 4096


class Kind(NamedTuple):
    """A kind of parameter: in words what is expected, and how it is read.

    `read` raises ValueError, whose text says what is wrong.
    """

    expected: str
    read: Callable[[str], Value]


class Form(NamedTuple):
    """Another value that one of `kinds` can become, and how."""

    kinds: tuple[str, ...]
    make: Callable[[str], str]


def _text(text: str, most: int = TEXT_CHARS_MAX) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    if not text.isprintable():
        raise ValueError("it has a character that can't be printed, such as a line break")
    if len(text) > most:
        raise ValueError(f"it has {len(text):,} characters, and the limit is {most:,}")
    return text.strip()


def _name(text: str) -> str:
    return _text(text, limits.NAME_CHARS_MAX)


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("an id has up to 64 letters, digits, '_', '.' and '-'")
    return text


def _integer(text: str) -> int:
    if not _WHOLE.fullmatch(text) or not INT64_MIN < int(text) <= INT64_MAX:
        raise ValueError("it is not a whole number of 64 bits")
    return int(text)


def _number(text: str) -> int | float:
    if _WHOLE.fullmatch(text):
        return _integer(text)
    try:
        number = float(text)
    except ValueError:
        raise ValueError("it is not a number") from None
    if not math.isfinite(number):
        raise ValueError("it is not a finite number")
    return number


def _boolean(text: str) -> bool:
    found = {"true": True, "yes": True, "false": False, "no": False}.get(text.lower())
    if found is None:
        raise ValueError("it is neither true nor false")
    return found


def _hundredths(text: str) -> int:
    match = _SHARE.fullmatch(text)
    found = -1 if match is None else int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    if not 0 < found < limits.WEIGHT_TOTAL:
        raise ValueError("it is not a percentage between 0% and 100%, with at most two decimals")
    return found


def _share_text(hundredths: int) -> str:
    whole, part = divmod(hundredths, 100)
    return f"{whole}.{part:02d}".rstrip("0").rstrip(".") + "%" if part else f"{whole}%"


def _duration(text: str) -> str:
    found = parse_duration(text)
    if max(found.months, found.days, found.ms) <= 0:
        raise ValueError("it is not longer than zero")
    return str(found)


def _window(text: str) -> str:
    found = _duration(text)
    fixed_ms(parse_duration(found))
    return found


def _time(text: str) -> str:
    match = _TIME.fullmatch(text)
    if match is None or int(match[1]) > 23 or int(match[2]) > 59:
        raise ValueError("it is not a time of day between 00:00 and 23:59")
    return f"{int(match[1]):02d}:{match[2]}"


def _date(text: str) -> str:
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise ValueError("there is no such date")


def _channel(text: str) -> str:
    if text not in CHANNELS:
        raise ValueError(f"it is none of {', '.join(CHANNELS)}")
    return text


def _zone(text: str) -> str:
    if text not in zone_names():
        raise ValueError("there is no such time zone")
    return text


def _names(text: str) -> list[str]:
    found = [_name(part) for part in text.split(",")]
    if repeated := next((name for name in found if found.count(name) > 1), None):
        raise ValueError(f"it names {repeated!r} twice")
    return found


KINDS: dict[str, Kind] = {
    "text": Kind("a text", _text),
    "name": Kind("a name", _name),
    "names": Kind("names with commas in between", _names),
    "id": Kind("an id", _id),
    "integer": Kind("a whole number", _integer),
    "number": Kind("a number", _number),
    "boolean": Kind("true or false", _boolean),
    "share": Kind("a percentage such as 20%", lambda text: _share_text(_hundredths(text))),
    "duration": Kind("a duration such as 3 days", _duration),
    "window": Kind("a duration without months and years, such as 30 days", _window),
    "time": Kind("a time of day such as 09:00", _time),
    "date": Kind("a date such as 2026-05-31", _date),
    "channel": Kind("a channel such as sms", _channel),
    "zone": Kind("a time zone such as Europe/Berlin", _zone),
}

FORMS: dict[str, Form] = {
    "rest": Form(
        ("share",), lambda text: _share_text(limits.WEIGHT_TOTAL - _hundredths(text))
    ),
    "days": Form(("integer",), lambda text: f"{text} days"),
    "before": Form(("duration", "window"), lambda text: str(_negated(parse_duration(text)))),
    "consent": Form(("channel",), lambda text: f"consent:{text}"),
    "points": Form(("id",), lambda text: f"points:{text}"),
    "tier": Form(("id",), lambda text: f"tier:{text}"),
}  # fmt: skip


def _negated(length: Duration) -> Duration:
    return Duration(-length.months, -length.days, -length.ms)


def kind_of(value: Value) -> str:
    """The kind that a value in a flow looks to be of, for a parameter that stands in its place."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, list):
        return "names"
    for kind in ("share", "time", "date", "duration", "channel"):
        try:
            KINDS[kind].read(value)
        except ValueError:
            continue
        return kind
    return "text"


def read_value(kind: str, value: Value) -> Value:
    """The value of a parameter of this kind, of text or of what a document holds.

    Raises ValueError with what is wrong with it.
    """
    if isinstance(value, list):
        if kind != "names":
            raise ValueError("it is a list")
        value = ",".join(value)
    elif isinstance(value, bool):
        value = "true" if value else "false"
    return KINDS[kind].read(str(value).strip())


def formed(form: str, value: Value) -> Value:
    """What a value becomes in a form of `FORMS`, the value itself for the form ""."""
    return FORMS[form].make(str(value)) if form else value
