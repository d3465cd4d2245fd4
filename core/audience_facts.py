"""Summarise an audience for lint: how many people have which value, tag or group, and no zone.

The shares of people whom conditions let pass are estimates, as a database's planner makes them:
of several tests as if they were independent. That nobody or everybody passes is no estimate; it is
only said where the values show it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import numpy as np

from core.audience import Audience, Column, Kind
from core.conditions import (
    AllOf,
    AnyOf,
    AttributeTest,
    DidTest,
    EntryRef,
    GroupTest,
    Model,
    NeverDidTest,
    Not,
    TagTest,
)
from core.errors import HeadraceError
from core.reference_conditions import View, compare
from core.reference_people import Day, Instant, Person, Value

DISTINCT_MAX = 1000  # values of an attribute that are counted one by one
COMPARED_MAX = 2_000_000  # values that all tests together are tried on
_ORDERED = ("above", "at_least", "below", "at_most", "before", "after")
_RELATIVE = ("within_last", "within_next", "older_than", "anniversary_in_days")
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class AttributeFacts:
    """The values of one attribute: with how many people have each, and how many have none.

    With `whole` these are all values; else some that stand for the others, evenly by rank, from the
    least to the greatest.
    """

    values: Sequence[tuple[Value, float]]
    missing: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the people pass, 0 to 1; `never` and `always` where that is sure."""

    guess: float
    never: bool = False
    always: bool = False


UNKNOWN = Share(0.5)


@dataclass(slots=True)
class AudienceFacts:
    """So many customers, of whom `zoneless` have no time zone; the rest by name."""

    customers: int
    zoneless: int = 0
    attributes: Mapping[str, AttributeFacts] = field(default_factory=dict)
    tags: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)
    events: Mapping[str, int] = field(default_factory=dict)
    _left: int = COMPARED_MAX

    def share(
        self, condition: Model, now_ms: int, changed: Collection[tuple[str, str]] = ()
    ) -> Share:
        """The share of people whom a condition is true for, at `now_ms` (ms UTC).

        Of attributes, tags and groups in `changed`, pairs of kind and name, nothing is known.
        """
        match condition:
            case AllOf(all=parts):
                return _together([self.share(part, now_ms, changed) for part in parts])
            case AnyOf(any=parts):
                return _not(_together([_not(self.share(p, now_ms, changed)) for p in parts]))
            case Not(not_=part):
                return _not(self.share(part, now_ms, changed))
            case TagTest(tag=name) if ("tag", name) not in changed:
                return self._members(self.tags.get(name))
            case GroupTest(group=name) if ("group", name) not in changed:
                return self._members(self.groups.get(name))
            case AttributeTest(attribute=name) if ("attribute", name) not in changed:
                return self._attribute(condition, now_ms)
            case DidTest(did=event):
                return self._history(event, condition.bounds)
            case NeverDidTest(never_did=event):
                return self._history(event, condition.bounds)
        return UNKNOWN

    def _members(self, count: int | None) -> Share:
        if count is None or not self.customers:
            return UNKNOWN
        return Share(count / self.customers, count == 0, count == self.customers)

    def _history(self, event: str, bounds: tuple[int, int | None]) -> Share:
        count = self.events.get(event)
        if count is None or not self.customers:
            return UNKNOWN
        if count == 0:
            return Share(float(bounds[0] == 0), bounds[0] > 0, bounds[0] == 0)
        often = min(1.0, count / self.customers / max(1, bounds[0]))
        return Share(often if bounds[0] else 1 - often)

    def _attribute(self, test: AttributeTest, now_ms: int) -> Share:
        facts = self.attributes.get(test.attribute)
        if facts is None or not self.customers:
            return UNKNOWN
        operator, operand = test.operator, test.operand
        if operator == "is_set":
            share = Share((self.customers - facts.missing) / self.customers,
                          facts.missing == self.customers, facts.missing == 0)  # fmt: skip
            return share if operand else _not(share)
        cost = len(facts.values) * (len(operand) if isinstance(operand, list) else 1)
        if isinstance(operand, EntryRef) or self._left < cost:
            return UNKNOWN
        self._left -= cost
        view = View(now_ms, _NOBODY, _UTC, _UTC)
        try:
            passing = [compare(test, value, view) for value, _ in facts.values]
        except HeadraceError:  # of another type, which other rules tell
            return UNKNOWN
        people = sum(n for (_, n), passes in zip(facts.values, passing, strict=True) if passes)
        # What has an order passes from one end on, so its ends tell of all between. An instant lies
        # at other local times in other zones, and what is relative changes while time passes.
        timed = operator in _RELATIVE or any(isinstance(v, Instant) for v, _ in facts.values[:1])
        sure = not timed and (facts.whole or operator in _ORDERED)
        return Share(
            people / self.customers,
            never=sure and not any(passing),
            always=sure and bool(passing) and all(passing) and facts.missing == 0,
        )


_NOBODY = Person("", 0, None, None, {}, frozenset(), set(), set(), [])


def _together(shares: list[Share]) -> Share:
    guess = 1.0
    for share in shares:
        guess *= share.guess
    return Share(guess, any(s.never for s in shares), all(s.always for s in shares))


def _not(share: Share) -> Share:
    return Share(1 - share.guess, share.always, share.never)


def facts_of(audience: Audience, events: Mapping[str, int] | None = None) -> AudienceFacts:
    """What is in the columns of an audience; `events` counts its events by name."""
    customers = len(audience.zone_code)
    return AudienceFacts(
        customers=customers,
        zoneless=int((audience.zone_code < 0).sum()),
        attributes={n: _attribute_facts(column) for n, column in audience.attributes.items()},
        tags={name: int(held.sum()) for name, held in audience.tags.items()},
        groups={name: int(held.sum()) for name, held in audience.groups.items()},
        events=dict(events or {}),
    )


def _attribute_facts(column: Column) -> AttributeFacts:
    missing = column.missing()
    values, counts = np.unique(column.values[~missing], return_counts=True)
    whole = len(values) <= DISTINCT_MAX
    if not whole and column.kind != "string":
        ranks = np.linspace(0, len(column) - int(missing.sum()) - 1, DISTINCT_MAX).round()
        values = values[np.searchsorted(counts.cumsum(), ranks, side="right")]
        counts = np.full(DISTINCT_MAX, (len(column) - int(missing.sum())) / DISTINCT_MAX)
    elif not whole:
        # Texts have no order: the most frequent ones stand for all.
        often = np.argsort(-counts, kind="stable")[:DISTINCT_MAX]
        scale = counts.sum() / counts[often].sum()
        values, counts = values[often], counts[often] * scale
    held = [(_value(column, raw), float(count)) for raw, count in zip(values, counts, strict=True)]
    return AttributeFacts(held, int(missing.sum()), whole)


def _value(column: Column, raw: float) -> Value:
    kind: Kind = column.kind
    if kind == "string":
        assert column.dictionary is not None
        return column.dictionary[int(raw)]
    if kind == "bool":
        return bool(raw)
    if kind == "float64":
        return float(raw)
    whole = int(raw)
    return Day(whole) if kind == "date" else Instant(whole) if kind == "datetime" else whole
