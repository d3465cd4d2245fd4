"""Turn a row of an audience into a person of plain Python values, for the reference interpreter.

So the interpreter knows nothing of how columns lie in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeGuard
from zoneinfo import ZoneInfo

import numpy as np

from core.audience import INT64_MIN, Audience, ChangeLog, Column, Kind
from core.conditions import INT64_MAX, Scalar
from core.errors import HeadraceError
from core.reference_time import EPOCH_DAY, stated


@dataclass(frozen=True, slots=True, order=True)
class Day:
    """A date: days since 1970-01-01."""

    days: int


@dataclass(frozen=True, slots=True, order=True)
class Instant:
    """A point in time, ms UTC."""

    ms: int


Value = bool | int | float | str | Day | Instant


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of a customer. A modelled one knows which send it answers."""

    time_ms: int
    name: str
    properties: Mapping[str, Value]
    identity: int
    answers: tuple[int, str] | None = None  # entry number and send node
    outcome: int = -1  # number in the responses file

    @property
    def modelled(self) -> bool:
        """Whether a response model made it up."""
        return self.outcome >= 0


@dataclass(frozen=True, slots=True)
class Change:
    """A recorded change of an attribute; None takes the value away."""

    time_ms: int
    attribute: str
    value: Value | None


@dataclass(slots=True)
class Person:
    """A customer: what is known now, what has happened so far, and the recorded inputs to come.

    `logged` names the attributes with recorded changes of this customer: they are missing before
    the first of them (D37).
    """

    id: str
    hash: int
    created_ms: int | None
    zone: str | None
    attributes: dict[str, Value]
    logged: frozenset[str]
    tags: set[str]
    groups: set[str]
    inputs: list[Happening | Change]
    history: list[Happening] = field(default_factory=list)


def person(audience: Audience, row: int) -> Person:
    """The customer in a row, with the inputs in recorded order: at one instant changes first."""
    changes = _changes(audience.changes, audience.attributes, row)
    logged = frozenset(change.attribute for change in changes)
    attributes = {
        name: value
        for name, column in audience.attributes.items()
        if name not in logged and (value := _value(column, row)) is not None
    }
    inputs: list[Happening | Change] = [*changes, *_events(audience, row)]
    inputs.sort(key=lambda item: item.time_ms)
    created = int(audience.created_ms[row])
    code = int(audience.zone_code[row])
    return Person(
        id=audience.id_of(row),
        hash=int(audience.id_hash[row]),
        created_ms=None if created == INT64_MIN else created,
        zone=None if code < 0 else audience.zone_names[code],
        attributes=attributes,
        logged=logged,
        tags={name for name, held in audience.tags.items() if held[row] == 1},
        groups={name for name, held in audience.groups.items() if held[row] == 1},
        inputs=inputs,
    )


def fit(literal: Scalar, kind: Kind, where: ZoneInfo) -> Value:
    """A literal as a value of an attribute's kind. Raises HeadraceError where it can't be one.

    A date is text such as 2026-01-31; an instant is text too, local in the zone `where` unless it
    has an offset (D17).
    """
    value: Value | None = None
    if type(literal) is {"bool": bool, "string": str}.get(kind):
        value = literal
    elif kind in ("int64", "float64") and is_number(literal):
        if kind == "float64":
            value = float(literal)
        elif isinstance(literal, int) or float(literal).is_integer():
            value = int(literal)
    elif isinstance(literal, str):
        value = moment(literal, kind, where)
    if value is None:
        raise HeadraceError(f"{literal!r} is no value of type {kind}")
    return value


def moment(text: str, kind: Kind, where: ZoneInfo) -> Day | Instant | None:
    """The date or the instant that a literal states, None where it states none of that kind."""
    try:
        if kind == "date":  # D17: a time of day does not matter
            return Day((date.fromisoformat(text[: len("2026-01-31")]) - EPOCH_DAY).days)
        if kind == "datetime":
            return Instant(stated(text, where))
    except ValueError:
        pass
    return None


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a value is a whole number or a fraction; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def in_int64(number: int) -> bool:
    """Whether a whole number can be held; the least int64 means missing."""
    return INT64_MIN < number <= INT64_MAX


def _value(column: Column, row: int) -> Value | None:
    value = column.value(row)
    if value is None:
        return None
    if column.kind == "date":
        return Day(int(value))
    if column.kind == "datetime":
        return Instant(int(value))
    return value


def _events(audience: Audience, row: int) -> list[Happening]:
    first, end = (int(offset) for offset in audience.event_offsets[row : row + 2])
    return [
        Happening(
            time_ms=int(audience.event_ms[i]),
            name=audience.event_names[int(audience.event_type[i])],
            properties={
                name: value
                for name, column in audience.properties.items()
                if (value := _value(column, i)) is not None
            },
            identity=int(audience.event_hash[i]),
        )
        for i in range(first, end)
    ]


def _changes(log: ChangeLog | None, columns: Mapping[str, Column], row: int) -> list[Change]:
    if log is None:
        return []
    first, end = (int(offset) for offset in log.offsets[row : row + 2])
    found = []
    for i in range(first, end):
        name = log.attribute_names[int(log.attribute[i])]
        column = columns.get(name)
        if column is None:
            continue
        raw: Any = log.value[i : i + 1]
        if column.kind == "float64":
            raw = raw.view(np.float64)
        alone = Column(column.kind, raw, column.dictionary)
        found.append(Change(int(log.ms[i]), name, _value(alone, 0)))
    return found
