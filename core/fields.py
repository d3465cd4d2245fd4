"""Define the fields that documents share: names, numbers, durations, and the base of all models."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)

from core import limits
from core.duration import Duration, fixed_ms, parse_duration

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1


class Model(BaseModel):
    """Base of every document model: unknown fields are errors, instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _duration(value: object) -> object:
    if isinstance(value, Duration):
        return value
    if not isinstance(value, str):
        raise ValueError("a duration is text such as '3 days' or '24 hours'")
    return parse_duration(value)


def _window(value: object) -> object:
    duration = _duration(value)
    assert isinstance(duration, Duration)
    if fixed_ms(duration) <= 0:
        raise ValueError("a window must be longer than zero")
    return duration


def _scalar(value: object) -> object:
    if (
        isinstance(value, int)
        and not isinstance(value, bool)
        and not INT64_MIN < value <= INT64_MAX
    ):
        raise ValueError("whole numbers must fit in 64 bits")
    if isinstance(value, float) and not (value - value == 0.0):
        raise ValueError("numbers must be finite")
    return value


_DURATION_SCHEMA = {"type": "string", "examples": ["3 days", "24 hours", "1 day 2 hours"]}

DurationField = Annotated[
    Duration,
    BeforeValidator(_duration),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""A duration as text.

Days, weeks, months and years are wall-clock, hours and shorter are elapsed.
"""

WindowField = Annotated[
    Duration,
    BeforeValidator(_window),
    PlainSerializer(str, return_type=str),
    WithJsonSchema(_DURATION_SCHEMA),
]
"""A look-back or look-ahead of fixed length: a day is 24 hours, months and years are refused."""

Scalar = Annotated[StrictBool | StrictInt | StrictFloat | StrictStr, BeforeValidator(_scalar)]
Number = Annotated[StrictInt | StrictFloat, BeforeValidator(_scalar)]
Name = Annotated[str, Field(min_length=1, max_length=limits.NAME_CHARS_MAX)]
