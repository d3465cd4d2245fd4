"""Define the wall clock in documents: times of day, weekdays, and the slots of a week."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from core.duration import DAY_MS
from core.fields import Model

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LOCAL_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,3})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?$"
)
DAY_NAMES = dict(zip(WEEKDAYS, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True))


def _time_of_day(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= DAY_MS:
        return value
    match = (
        re.fullmatch(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", value)
        if isinstance(value, str)
        else None
    )
    if match is None:
        raise ValueError("a time of day is text such as '09:00'")
    hour, minute, second = (int(part or 0) for part in match.groups())
    if minute > 59 or second > 59 or hour * 3600 + minute * 60 + second > 86_400:
        raise ValueError("a time of day lies between 00:00 and 24:00")
    return ((hour * 60 + minute) * 60 + second) * 1000


def time_of_day_text(ms: int) -> str:
    """Milliseconds since midnight as '09:00', with seconds only where there are some."""
    seconds = ms // 1000
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    return text if seconds % 60 == 0 else f"{text}:{seconds % 60:02d}"


TimeOfDay = Annotated[
    int,
    BeforeValidator(_time_of_day),
    PlainSerializer(time_of_day_text, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["09:00"]}),
]
"""Milliseconds since local midnight, 0 to 86,400,000."""


class Slot(Model):
    """A half-open time of day [from, until) on some weekdays, all of them unless stated."""

    from_: TimeOfDay = Field(alias="from")
    until: TimeOfDay
    days: list[Weekday] = Field(default_factory=lambda: list(WEEKDAYS), min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ >= self.until:
            raise ValueError("a slot ends after it begins; write two slots for one across midnight")
        return self

    @property
    def weekday_mask(self) -> int:
        """Bit 0 is Monday."""
        return sum(1 << WEEKDAYS.index(day) for day in set(self.days))

    def describe(self) -> str:
        """The days and hours, such as 'Mon–Fri 09:00–17:00'."""
        listed = [day for day in WEEKDAYS if day in self.days]
        hours = f"{time_of_day_text(self.from_)}–{time_of_day_text(self.until)}"
        if len(listed) == len(WEEKDAYS):
            return hours
        first, last = WEEKDAYS.index(listed[0]), WEEKDAYS.index(listed[-1])
        if len(listed) > 2 and last - first + 1 == len(listed):
            return f"{DAY_NAMES[listed[0]]}–{DAY_NAMES[listed[-1]]} {hours}"
        return f"{', '.join(DAY_NAMES[day] for day in listed)} {hours}"
