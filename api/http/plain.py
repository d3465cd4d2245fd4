"""Refuse what a JSON body can write and nothing here can keep: half characters, odd numbers."""

from __future__ import annotations

import math
from typing import Any

from api.http.problems import ProblemError, refuse
from core.violations import pointer

INT_MIN, INT_MAX = -(2**63), 2**63 - 1


def check_plain(value: Any, steps: tuple[str | int, ...] = ()) -> None:
    """Raise ProblemError, 422, with the pointer of the first value that can't be kept.

    These are texts and names with half a surrogate pair, whole numbers beyond 64 bits, and numbers
    that are not finite. The value is no deeper than what a body was read from.
    """
    waiting: list[tuple[tuple[str | int, ...], Any]] = [(steps, value)]
    while waiting:
        place, part = waiting.pop()
        if isinstance(part, dict):
            for name in part:
                _check_text(name, place)
            waiting += (((*place, name), each) for name, each in part.items())
        elif isinstance(part, list):
            waiting += (((*place, at), each) for at, each in enumerate(part))
        elif isinstance(part, str):
            _check_text(part, place)
        elif isinstance(part, int) and not INT_MIN <= part <= INT_MAX:
            raise _refused("the number is beyond 64 bits", place)
        elif isinstance(part, float) and not math.isfinite(part):
            raise _refused("the number is not finite", place)


def _check_text(text: object, place: tuple[str | int, ...]) -> None:
    try:
        str(text).encode()
    except UnicodeEncodeError:
        raise _refused("the text holds half a character", place) from None


def _refused(what: str, place: tuple[str | int, ...]) -> ProblemError:
    return refuse(422, "invalid", what, "Send what JSON can carry as UTF-8", pointer=pointer(place))
