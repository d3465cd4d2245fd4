"""Reason about conditions: which values pass tests, and whether tests can all be true at once.

A `Domain` is what is known of one subject (an attribute, a tag, how often an event was done). It
may be too large, never too small: what is found impossible is impossible, and the rest is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

from core.conditions import (
    AllOf,
    AnyOf,
    AttributeTest,
    Comparison,
    DidTest,
    EntryRef,
    EntryTest,
    FilterAllOf,
    FilterAnyOf,
    FilterNot,
    GroupTest,
    Model,
    NeverDidTest,
    Not,
    PropertyTest,
    TagTest,
)
from core.literals import NUMBER, TIMES, families_of, identity, moment

ORDERINGS = ("above", "at_least", "below", "at_most")
_OPPOSITE = {"above": "at_most", "at_least": "below", "below": "at_least", "at_most": "above"}
_SAME = {"after": "above", "before": "below"}
_REMEMBERED_MAX = 32  # tests kept word for word, and bounds of counts, in one domain
_BARRED_MAX = 1024  # values kept that are known not to be there

_JOINED: dict[type[Model], str] = {
    AllOf: "all",
    FilterAllOf: "all",
    AnyOf: "any",
    FilterAnyOf: "any",
    Not: "not",
    FilterNot: "not",
}
_NAMED: dict[type[Model], tuple[str, str]] = {
    AttributeTest: ("attribute", "attribute"),
    EntryTest: ("entry", "entry"),
    PropertyTest: ("property", "property"),
    TagTest: ("tag", "tag"),
    GroupTest: ("group", "group"),
}

Subject = tuple[str, ...]
"""What a test asks of: its kind and name; of history the event and the filter as text."""

Key = tuple[str, object]


def subject_of(test: Model) -> Subject | None:
    """What a single test asks of; None for combinations and what can't be reasoned about."""
    # By type: a flow may have 100,000 tests, and class patterns take several times as long.
    named = _NAMED.get(type(test))
    if named is not None:
        kind, attribute = named
        return (kind, getattr(test, attribute))
    if isinstance(test, DidTest | NeverDidTest):
        where = "" if test.where is None else _text(test.where)
        # How long a month is depends on the month: such tests are compared with their like only.
        since = () if test.since is None else (test.since,)
        return (*_event_of(test), where, *since)
    return None


def _event_of(test: DidTest | NeverDidTest) -> Subject:
    return ("did", test.did if isinstance(test, DidTest) else test.never_did)


def _text(condition: Model) -> str:
    """A condition as text; what differs in meaning differs in text."""
    name, parts = _parts(condition)
    if name:
        return f"{name}({','.join(map(_text, parts))})"
    subject = subject_of(condition)
    if isinstance(condition, Comparison):
        operator = condition.operator
        return f"{subject}{operator}{getattr(condition, operator)!r}"
    return repr(condition)


def roughly(test: Model) -> Subject:
    """A subject that is the same for all tests of one subject, and quick to find."""
    if isinstance(test, DidTest | NeverDidTest):
        return _event_of(test)
    return subject_of(test) or ("", "")


def tests_of(condition: Model) -> Iterator[Model]:
    """The single tests of a condition; filters of histories are conditions of their own."""
    waiting = [condition]
    while waiting:
        part = waiting.pop()
        name, parts = _parts(part)
        if name:
            waiting += reversed(parts)
        else:
            yield part


def in_words(subject: Subject) -> str:
    """A subject for a message, such as `the tag 'vip'`."""
    kind, name = subject[:2]
    words = {"entry": "the entry's", "property": "the event's", "did": "the event"}
    return f"{words.get(kind, f'the {kind}')} {name!r}"


def clock_of(value: object) -> str:
    """On what a value lies: only values of one clock can be ordered without knowing zones."""
    if not isinstance(value, str):
        return "numbers"
    time = moment(value)
    return "local" if time is None or time.tzinfo is None else "utc"


def order_of(value: object) -> float:
    """A number, or a time as a number of seconds on its clock."""
    if isinstance(value, str):
        time = moment(value)
        assert time is not None
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    assert isinstance(value, int | float)
    return value


def key_of(value: object) -> Key:
    """What equal values share: numbers and times lie on a clock, others are themselves."""
    orderable = families_of(value) & (NUMBER | TIMES)
    return (clock_of(value), order_of(value)) if orderable else identity(value)


@dataclass(frozen=True, slots=True)
class Domain:
    """What a subject can still be, after some tests of it were true and others false.

    `missing`: it may have no value; `present`: it may have one, which is among `values` (None: any)
    without `barred`, and within the bounds where it lies on `clock`. `told` are tests whose answers
    are known, `counts` (window in ms, least, most) those of events. `void` is a contradiction.
    """

    missing: bool = True
    present: bool = True
    low: float = float("-inf")
    high: float = float("inf")
    low_open: bool = False
    high_open: bool = False
    clock: str = ""
    values: frozenset[Key] | None = None
    barred: frozenset[Key] = frozenset()
    told: tuple[tuple[object, bool], ...] = ()
    counts: tuple[tuple[float, int, float], ...] = ()
    void: bool = False

    def after(self, test: Model, truth: bool) -> Domain:
        """The domain when `test`, of this subject, is `truth` as well."""
        if isinstance(test, Comparison):
            return self._compared(test.operator, test.operand, truth)
        if isinstance(test, DidTest | NeverDidTest):
            return self._counted(test, truth)
        return replace(self, missing=self.missing and not truth, present=self.present and truth)

    def only(self, keys: Iterable[Key]) -> Domain:
        """The domain when the value is one of these."""
        held = frozenset(keys)
        values = held if self.values is None else self.values & held
        return replace(self, missing=False, values=values)

    def without(self, keys: Iterable[Key]) -> Domain:
        """The domain when there is no value, or none of these."""
        if len(self.barred) >= _BARRED_MAX:
            return self
        return replace(self, barred=self.barred | frozenset(keys))

    def _compared(self, operator: str, operand: Any, truth: bool) -> Domain:
        if operator == "is_set":
            there = operand == truth
            return replace(self, missing=self.missing and not there, present=self.present and there)
        found = replace(self, missing=False) if truth else self
        operator = _SAME.get(operator, operator)
        if isinstance(operand, EntryRef):
            return found._remember((operator, operand.entry, "entry"), truth)
        if operator in ("is_", "one_of", "is_not", "none_of"):
            many = operator in ("one_of", "none_of")
            keys = [key_of(value) for value in (operand if many else [operand])]
            if (operator in ("is_", "one_of")) == truth:
                held = found.only(keys)
                return held if truth else replace(held, missing=found.missing)
            return found.without(keys)
        if operator == "between" and truth:
            return found._bound("at_least", operand[0])._bound("at_most", operand[1])
        if operator in ORDERINGS and (truth or not (isinstance(operand, str) and "T" in operand)):
            return found._bound(operator if truth else _OPPOSITE[operator], operand)
        word = operand if isinstance(operand, str | int | float) else str(operand)
        return found._remember((operator, word), truth)

    def _bound(self, operator: str, operand: Any) -> Domain:
        if not families_of(operand) & (NUMBER | TIMES):
            return self
        clock = clock_of(operand)
        if self.clock not in ("", clock):
            return self
        bound = order_of(operand)
        opened = operator in ("above", "below")
        if operator in ("above", "at_least"):
            if bound < self.low:
                return self
            opened = opened or (self.low_open and bound == self.low)
            return replace(self, clock=clock, low=bound, low_open=opened)
        if bound > self.high:
            return self
        opened = opened or (self.high_open and bound == self.high)
        return replace(self, clock=clock, high=bound, high_open=opened)

    def _remember(self, asked: object, truth: bool) -> Domain:
        for known, answer in self.told:
            if known == asked:
                return self if answer == truth else replace(self, void=not self.missing)
        if len(self.told) >= _REMEMBERED_MAX:
            return self
        return replace(self, told=(*self.told, (asked, truth)))

    def _counted(self, test: DidTest | NeverDidTest, truth: bool) -> Domain:
        least, most = test.bounds
        window = float("inf") if test.window_ms is None else test.window_ms
        high = float("inf") if most is None else most
        found = replace(self, missing=False)._remember((window, least, most), truth)
        if truth:
            count = (window, least, high)
        elif most is None:
            count = (window, 0, float(least - 1))
        elif least == 0:
            count = (window, most + 1, float("inf"))
        else:
            return found
        # What happened within a window happened within every longer one too.
        for span, at_least, at_most in found.counts:
            if (span <= window and at_least > count[2]) or (window <= span and count[1] > at_most):
                return replace(found, void=True)
        if len(found.counts) >= _REMEMBERED_MAX:
            return found
        return replace(found, counts=(*found.counts, count))

    @property
    def empty(self) -> bool:
        """Whether nothing is left that the subject could be."""
        return self.void or not (self.missing or self._some_value())

    def _some_value(self) -> bool:
        if not self.present or self.low > self.high:
            return False
        if self.low == self.high and (self.low_open or self.high_open):
            return False
        if self.values is None:
            return not (self.low == self.high and (self.clock, self.low) in self.barred)
        return any(self._within(key) for key in self.values if key not in self.barred)

    def _within(self, key: Key) -> bool:
        clock, at = key
        if clock != self.clock or not isinstance(at, int | float):
            return True
        above = at > self.low or (at == self.low and not self.low_open)
        return above and (at < self.high or (at == self.high and not self.high_open))


ANYTHING = Domain()
Domains = Mapping[Subject, Domain]
Facts = list[tuple[Subject, Model, bool]]
"""Tests with their subjects and whether they are true."""


def facts_of(condition: Model, truth: bool) -> Facts:
    """What is known of single tests when a condition is true, or when it is false."""
    found: Facts = []
    for test, held in _joined(condition, truth, [])[0]:
        subject = subject_of(test)
        if subject is not None:
            found.append((subject, test, held))
    return found


Choice = tuple[tuple[Any, ...], Model, bool]


def _joined(
    condition: Model, truth: bool, steps: list[Any]
) -> tuple[list[tuple[Model, bool]], list[Choice]]:
    """The tests that all hold when `condition` is `truth`, and the choices beside them.

    A choice is an `any` that is true or an `all` that is false, with the steps to it.
    """
    tests: list[tuple[Model, bool]] = []
    choices: list[Choice] = []
    waiting: list[tuple[Model, bool, tuple[Any, ...]]] = [(condition, truth, tuple(steps))]
    while waiting:
        part, held, at = waiting.pop()
        name, parts = _parts(part)
        if name == "not":
            waiting.append((parts[0], not held, (*at, name)))
        elif not name:
            tests.append((part, held))
        elif (name == "all") == held or len(parts) == 1:
            waiting += [(p, held, (*at, name, i)) for i, p in reversed(list(enumerate(parts)))]
        else:
            choices.append((at, part, held))
    return tests, choices


def _parts(condition: Model) -> tuple[str, list[Any]]:
    joined = _JOINED.get(type(condition), "")
    if not joined:
        return "", []
    held = condition.__dict__
    return (joined, [held["not_"]]) if joined == "not" else (joined, held[joined])


@dataclass(slots=True)
class Judge:
    """Finds parts of conditions that can't be true, or can't be false, beside what is known.

    `found` are the innermost ones: the steps to each, whether it was asked to be true, and why.
    """

    found: list[tuple[tuple[Any, ...], bool, str]]

    def possible(
        self,
        condition: Model,
        truth: bool,
        known: Domains,
        steps: tuple[Any, ...] = (),
    ) -> bool:
        """Whether `condition` can be `truth` where `known` holds, as far as can be seen."""
        tests, choices = _joined(condition, truth, list(steps))
        domains: dict[Subject, Domain] = {}
        for test, held in tests:
            subject = subject_of(test)
            if subject is not None:
                before = domains.get(subject) or known.get(subject, ANYTHING)
                domains[subject] = before.after(test, held)
        for subject, domain in domains.items():
            if domain.empty:
                self.found.append((self._place(condition, steps), truth, in_words(subject)))
                return False
        if not choices:
            return True
        beside: Domains = _Beside(domains, known) if domains else known
        return False not in [self._choice(*choice, beside) for choice in choices]

    def _choice(self, at: tuple[Any, ...], part: Model, held: bool, beside: Domains) -> bool:
        name, parts = _parts(part)
        seen = [self.possible(p, held, beside, (*at, name, i)) for i, p in enumerate(parts)]
        return any(seen)

    @staticmethod
    def _place(condition: Model, steps: tuple[Any, ...]) -> tuple[Any, ...]:
        name = _parts(condition)[0]
        return (*steps, name) if name in ("all", "any") else steps


class _Beside(Mapping[Subject, Domain]):
    """Domains in front of others, without a copy."""

    def __init__(self, own: Domains, behind: Domains) -> None:
        self.own, self.behind = own, behind

    def __getitem__(self, subject: Subject) -> Domain:
        return self.own[subject] if subject in self.own else self.behind[subject]

    def __iter__(self) -> Iterator[Subject]:
        return iter({**self.own, **self.behind})

    def __len__(self) -> int:
        return len({**self.own, **self.behind})


def verdict(condition: Model, known: Domains) -> bool | None:
    """Whether a condition is true of everybody of whom `known` holds; None where it varies."""
    judge = Judge([])
    if not judge.possible(condition, True, known):
        return False
    return None if judge.possible(condition, False, known) else True
