"""Judge conditions by themselves: operands that fit no comparison, tests that never vary."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import NamedTuple

from core.conditions import (
    AllOf,
    AnyOf,
    AttributeTest,
    Comparison,
    EntryRef,
    EntryTest,
    FilterAllOf,
    FilterAnyOf,
    FilterNot,
    GroupTest,
    Model,
    Not,
    PropertyTest,
    TagTest,
)
from core.lint_view import Part, Steps, View, entry_names, operand_steps
from core.literals import NUMBER, TIMES, families_of, families_of_all, identity, moment
from core.nodes import BranchAttribute
from core.violations import Violation, quoted, violation

ORDERINGS = ("above", "at_least", "below", "at_most")


def operands(view: View) -> Iterator[Violation]:
    """Comparisons with values that they can't order, or that don't fit together."""
    for part in view.tests:
        yield from _operand(part)
    for node_id, node in view.flow.nodes.items():
        if isinstance(node, BranchAttribute):
            values = [v for listed in node.branches.values() for v in listed]
            if not families_of_all(values):
                message = "the branches mix numbers, texts or true and false"
                advice = "Write values of one type: put numbers in quotes where they are text."
                steps = ("nodes", node_id, "branches")
                yield violation("mixed-values", steps, message, advice)


def _operand(part: Part) -> Iterator[Violation]:
    steps, operator, operand = operand_steps(part), part.operator, part.operand
    if operator in ("before", "after"):
        if moment(operand) is None:
            message = f"{quoted(operand)} is no date or time of the calendar"
            advice = "Write a real date like 2026-01-31, or a time like 2026-01-31T09:00."
            yield violation("invalid-time", steps, message, advice)
    elif operator in ORDERINGS and not isinstance(operand, EntryRef):
        if not families_of(operand) & (NUMBER | TIMES):
            message = f"'{operator}' needs a number or a date, not {operand!r}"
            advice = "Write a number without quotes, or a date like 2026-01-31."
            yield violation("not-orderable", steps, message, advice)
    elif operator == "between":
        yield from _between(steps, operand)
    elif operator in ("one_of", "none_of") and not families_of_all(operand):
        message = "the list mixes numbers, texts or true and false"
        advice = "Write values of one type: put numbers in quotes where they are text."
        yield violation("mixed-values", steps, message, advice)


def _between(steps: Steps, bounds: tuple[object, object]) -> Iterator[Violation]:
    shared = families_of_all(list(bounds)) & (NUMBER | TIMES)
    if not shared:
        message = f"'between' needs two numbers or two dates, not {bounds[0]!r} and {bounds[1]!r}"
        advice = "Write numbers without quotes, or dates like 2026-01-31."
        yield violation("not-orderable", steps, message, advice)
    elif _clock(bounds[0]) == _clock(bounds[1]) and _ordered(bounds[0]) > _ordered(bounds[1]):
        message = f"{bounds[0]!r} is beyond {bounds[1]!r}, so nothing is between them"
        yield violation("between-reversed", steps, message, "Write the lower bound first.")


def _clock(value: object) -> str:
    """On what a value lies: only values of one clock can be ordered without knowing zones."""
    if not isinstance(value, str):
        return "numbers"
    time = moment(value)
    return "local" if time is None or time.tzinfo is None else "utc"


def _ordered(value: object) -> float:
    """A number, or a time as a number of seconds on its clock."""
    if isinstance(value, str):
        time = moment(value)
        assert time is not None
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    assert isinstance(value, int | float)
    return value


def entry_references(view: View) -> Iterator[Violation]:
    """Tests of the entering event where there is none, or not always."""
    others = view.other_triggers
    for part in view.tests:
        if part.entry == "own" or (part.entry == "entry" and not others):
            continue
        for steps, name in entry_names(part):
            if part.entry == "nothing" or not view.entry_events:
                message = f"no event begins the entry, so it has no {quoted(name)}"
                advice = "The test is always false: test an attribute, or use an on_event trigger."
            else:
                message = (
                    f"entries by {quoted(others[0])} begin with no event, so with no {quoted(name)}"
                )
                advice = "The test is false for them."
            yield violation("entry-without-event", steps, message, advice)


_Key = tuple[str, object]


def _key(value: object) -> _Key:
    """What equal values share: numbers and times lie on a clock, others are themselves."""
    orderable = families_of(value) & (NUMBER | TIMES)
    return (_clock(value), _ordered(value)) if orderable else identity(value)


class _Subject(NamedTuple):
    """What tests beside each other must share to be compared."""

    kind: type[Model]
    name: str


def constants(view: View) -> Iterator[Violation]:
    """Combinations that are never true, or always, whoever is asked; the simple ones are found."""
    for part in view.parts:
        match part.model:
            case AllOf(all=tests) | FilterAllOf(all=tests):
                reason = _never(list(tests))
                if reason:
                    message = f"it is never true: {reason}"
                    advice = "Change one of the tests, or join them by `any`."
                    steps = (*part.steps, "all")
                    yield violation("constant-condition", steps, message, advice)
            case AnyOf(any=tests) | FilterAnyOf(any=tests):
                name = _opposites(list(tests))
                if name:
                    message = f"it is always true: it asks for {name} and for its opposite"
                    steps = (*part.steps, "any")
                    yield violation("constant-condition", steps, message, "Remove it.")


def _never(tests: list[Model]) -> str:
    """Why tests can't all be true at once, or nothing."""
    ranges: dict[_Subject, _Range] = {}
    for test in tests:
        subject = _subject(test)
        if subject is None or not isinstance(test, Comparison):
            continue
        ranges.setdefault(subject, _Range()).narrow(test)
    for subject, held in ranges.items():
        if held.empty():
            return f"no value of {quoted(subject.name)} passes all tests of it"
    name = _opposites(tests)
    return f"it asks for {name} and for its opposite" if name else ""


def _opposites(tests: list[Model]) -> str:
    """The tag or group of which a test and its negation are both there, or nothing."""
    plain = {_subject(t) for t in tests if isinstance(t, TagTest | GroupTest)}
    for test in tests:
        if isinstance(test, Not | FilterNot) and isinstance(test.not_, TagTest | GroupTest):
            subject = _subject(test.not_)
            if subject in plain and subject is not None:
                kind = "tag" if subject.kind is TagTest else "group"
                return f"the {kind} {quoted(subject.name)}"
    return ""


def _subject(test: Model) -> _Subject | None:
    match test:
        case AttributeTest(attribute=name) | PropertyTest(property=name) | EntryTest(entry=name):
            return _Subject(type(test), name)
        case TagTest(tag=name) | GroupTest(group=name):
            return _Subject(type(test), name)
    return None


class _Range:
    """The values that pass all tests of one subject so far."""

    def __init__(self) -> None:
        self.low: float = float("-inf")
        self.high: float = float("inf")
        self.clock = ""
        self.low_open = self.high_open = False
        self.values: set[_Key] | None = None
        self.barred: set[_Key] = set()
        self.absent = self.needed = False

    def narrow(self, test: Comparison) -> None:
        """Take in one more test."""
        operator, operand = test.operator, test.operand
        if operator == "is_set":
            self.needed |= operand
            self.absent |= not operand
            return
        self.needed = True
        if isinstance(operand, EntryRef):
            return
        if operator in ("is_", "one_of"):
            passing = {_key(v) for v in (operand if operator == "one_of" else [operand])}
            self.values = passing if self.values is None else self.values & passing
        elif operator in ("is_not", "none_of"):
            self.barred |= {_key(v) for v in (operand if operator == "none_of" else [operand])}
        elif operator == "between":
            self._bound("at_least", operand[0])
            self._bound("at_most", operand[1])
        else:
            self._bound({"after": "above", "before": "below"}.get(operator, operator), operand)

    def _bound(self, operator: str, operand: object) -> None:
        if operator not in ORDERINGS or not families_of(operand) & (NUMBER | TIMES):
            return
        self.clock = self.clock or _clock(operand)
        if _clock(operand) != self.clock:
            return
        bound = _ordered(operand)
        if operator in ("above", "at_least") and bound >= self.low:
            self.low_open = operator == "above" or (self.low_open and bound == self.low)
            self.low = bound
        elif operator in ("below", "at_most") and bound <= self.high:
            self.high_open = operator == "below" or (self.high_open and bound == self.high)
            self.high = bound

    def empty(self) -> bool:
        """Whether no value passes."""
        if self.absent and self.needed:
            return True
        if self.low > self.high or (self.low == self.high and (self.low_open or self.high_open)):
            return True
        if self.values is None:
            return False
        return not any(self._passes(v) for v in self.values - self.barred)

    def _passes(self, key: _Key) -> bool:
        clock, at = key
        if clock != self.clock or not isinstance(at, int | float):
            return True
        above = at > self.low or (at == self.low and not self.low_open)
        below = at < self.high or (at == self.high and not self.high_open)
        return above and below
