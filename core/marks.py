"""Remember on which line each part of a document stands, so that a violation can say it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from core.violations import Violation, pointer, steps_of


class Mark(NamedTuple):
    """The line of a value, counted from 1 (a field has that of its key), and its parts' marks."""

    line: int
    parts: dict[str | int, Mark] | None


@dataclass(slots=True)
class Text:
    """What a reader made of a text: plain values, what is wrong, and marks where known."""

    value: Any = None
    marks: Mark | None = None
    violations: list[Violation] = field(default_factory=list)


def line_of(marks: Mark | None, text: str) -> int | None:
    """The line of what a JSON pointer leads to, or of the closest part around it, if known."""
    if marks is None:
        return None
    for step in steps_of(text):
        parts = marks.parts or {}
        found = parts.get(step) or (parts.get(int(step)) if step.isdecimal() else None)
        if found is None:
            break
        marks = found
    return marks.line


def there(marks: Mark | None, text: str) -> str:
    """As much of a JSON pointer as leads to something; all of it where nothing is known."""
    if marks is None:
        return text
    steps = steps_of(text)
    for place, step in enumerate(steps):
        parts = marks.parts or {}
        found = parts.get(step) or (parts.get(int(step)) if step.isdecimal() else None)
        if found is None:
            return pointer(steps[:place])
        marks = found
    return text


def placed(violations: Iterable[Violation], marks: Mark | None) -> list[Violation]:
    """The violations in their order, each with its line where `marks` know it."""
    lined = (v if v.line else replace(v, line=line_of(marks, v.pointer)) for v in violations)
    return sorted(lined)
