"""Read the objects of a foreign document field by field, and remember what nobody asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.convert.notes import NOTHING, ConvertError, Note
from core.duration import DAY_MS, DURATION_YEARS_MAX
from core.violations import close_to, listed, pointer, quoted

_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    type(None): "null",
}

SPAN_MS_MAX = DURATION_YEARS_MAX * 365 * DAY_MS


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    return _KINDS.get(type(value), "a number")


class Fields:
    """One object of a foreign document; fields that are null count as absent.

    Getters raise ConvertError where a value is of another type. `done` notes what none of them was
    asked for, so that no field gets lost by oversight.
    """

    def __init__(self, value: object, steps: Sequence[str | int], notes: list[Note]) -> None:
        self.steps = tuple(steps)
        self.notes = notes
        if not isinstance(value, dict):
            raise self.error(f"expected an object, found {kind_of(value)}")
        self.value: dict[str, Any] = value
        self._read: set[str] = set()

    @property
    def pointer(self) -> str:
        """The JSON pointer of the object."""
        return pointer(self.steps)

    def at(self, *steps: str | int) -> str:
        """The JSON pointer of something within the object."""
        return pointer((*self.steps, *steps))

    def error(self, message: str, *steps: str | int, advice: str = "") -> ConvertError:
        """The error to raise for something within the object."""
        return ConvertError(message, pointer=self.at(*steps) or "the document", advice=advice)

    def note(
        self,
        kind: Any,
        what: str,
        reason: str,
        stand_in: str = NOTHING,
        at: Sequence[str | int] = (),
    ) -> None:
        """Note what did not come along as it was."""
        self.notes.append(Note(self.at(*at), what, kind, reason, stand_in))

    def take(self, key: str) -> Any:
        """The value of a field as it is, None where it is absent."""
        self._read.add(key)
        return self.value.get(key)

    def skip(self, *keys: str) -> None:
        """Count fields as read that say nothing about what the journey does."""
        self._read.update(keys)

    def text(self, key: str) -> str | None:
        """A text, None where it is absent or empty."""
        value = self.take(key)
        if value is not None and not isinstance(value, str):
            raise self.error(f"expected a text, found {kind_of(value)}", key)
        return value or None

    def need(self, key: str) -> str:
        """A text that must be there."""
        value = self.text(key)
        if value is None:
            raise self.error(f"the field {quoted(key)} is missing", advice=_WHOLE)
        return value

    def number(self, key: str) -> int | float | None:
        """A number, None where it is absent."""
        value = self.take(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise self.error(f"expected a number, found {kind_of(value)}", key)
        return value

    def span_ms(self, key: str, unit_ms: int) -> int | float | None:
        """A length of time in ms, stated as a number of a unit; None where it is absent."""
        value = self.number(key)
        if value is None:
            return None
        if not 0 <= value * unit_ms <= SPAN_MS_MAX:
            raise self.error(f"expected a length of time from 0 to 1,000 years, found {value}", key)
        return value * unit_ms

    def flag(self, key: str) -> bool:
        """True or false; false where it is absent."""
        value = self.take(key)
        if value is not None and not isinstance(value, bool):
            raise self.error(f"expected true or false, found {kind_of(value)}", key)
        return bool(value)

    def items(self, key: str) -> list[Any]:
        """A list, empty where it is absent."""
        value = self.take(key)
        if value is not None and not isinstance(value, list):
            raise self.error(f"expected a list, found {kind_of(value)}", key)
        return value or []

    def part(self, key: str) -> Fields | None:
        """An object within, None where it is absent."""
        value = self.take(key)
        return None if value is None else Fields(value, (*self.steps, key), self.notes)

    def need_part(self, key: str) -> Fields:
        """An object within that must be there."""
        part = self.part(key)
        if part is None:
            raise self.error(f"the field {quoted(key)} is missing", advice=_WHOLE)
        return part

    def parts(self, key: str) -> list[Fields]:
        """A list of objects, empty where it is absent."""
        steps = (*self.steps, key)
        return [Fields(v, (*steps, i), self.notes) for i, v in enumerate(self.items(key))]

    def one_of(self, key: str, known: Sequence[str], what: str) -> str:
        """A text that must be one of a few."""
        value = self.need(key)
        if value not in known:
            otherwise = f"Known are {listed(known, 30)}"
            raise self.error(
                f"unknown {what} {quoted(value)}", key, advice=close_to(value, known, otherwise)
            )
        return value

    def done(self, where: str, *, gone: str = "a flow has nothing that corresponds") -> None:
        """Note every field that was not read and says something."""
        for key, value in self.value.items():
            if key not in self._read and value not in (None, "", [], {}, False):
                self.note("left out", f"{key} of {where}", gone, at=(key,))


_WHOLE = "The document may be cut short; export it again"
