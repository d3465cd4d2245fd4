"""Judge types: what each attribute and property must be for the flow's tests to make sense."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from core.audience import Kind
from core.conditions import (
    INT64_MAX,
    INT64_MIN,
    TIME_TESTS,
    AttributeTest,
    EntryRef,
    EntryTest,
    PropertyTest,
)
from core.flow import Flow
from core.lint_view import Steps, View, entry_names, operand_steps
from core.literals import (
    ALL,
    NUMBER,
    OF_KIND,
    TEXT,
    TIMES,
    Families,
    families_of,
    families_of_all,
    moment,
)
from core.nodes import AddToAttribute, BranchAttribute, SetAttribute, WaitDate
from core.record import EVENT_PROPERTIES, attribute_kind
from core.violations import Violation, quoted, violation

_ORDERED = ("above", "at_least", "below", "at_most", "between")
_WORDS = {
    "bool": "true or false",
    "number": "a number",
    "text": "text",
    "date": "a date",
    "datetime": "a time",
}


class Use(NamedTuple):
    """A place that needs a value of certain families.

    `event` is None for an attribute, else the event whose property it is. `values` are the
    literals there; `writes` where the attribute is changed.
    """

    event: str | None
    name: str
    steps: Steps
    families: Families
    values: tuple[object, ...]
    writes: bool = False

    @property
    def subject(self) -> str:
        """What it is in words."""
        if self.event is None:
            return f"attribute {quoted(self.name)}"
        return f"property {quoted(self.name)} of {quoted(self.event)}"


def attribute_types(flow: Flow) -> dict[str, set[str]]:
    """For each attribute that a flow tests or writes, the families of types that all of it allows.

    Families are bool, number, text, date and datetime; an empty set means that they contradict.
    """
    types: dict[str, set[str]] = {}
    for use in uses(View(flow)):
        if use.event is None:
            types.setdefault(use.name, set(ALL)).intersection_update(use.families)
    return types


def uses(view: View) -> Iterator[Use]:
    """Every place that says something about a type."""
    for part in view.tests:
        families, values = _tested(part.operator, part.operand)
        steps = operand_steps(part)
        if isinstance(part.model, AttributeTest):
            yield Use(None, part.model.attribute, steps, families, values)
        elif isinstance(part.model, PropertyTest):
            assert part.event is not None
            yield Use(part.event, part.model.property, steps, families, values)
        else:
            events = [part.event] if part.entry == "own" else view.judged_events
            for _, name in islice(entry_names(part), 1):
                for event in events:
                    assert event is not None
                    yield Use(event, name, steps, families, values)
    for node_id, node in view.flow.nodes.items():
        at: Steps = ("nodes", node_id)
        match node:
            case BranchAttribute(attribute=name, branches=branches):
                listed = [v for part in branches.values() for v in part]
                families = families_of_all(listed) or ALL
                yield Use(None, name, (*at, "branches"), families, tuple(listed))
            case WaitDate(attribute=name):
                yield Use(None, name, (*at, "attribute"), TIMES, ())
            case SetAttribute(attribute=name, value=value):
                yield Use(None, name, (*at, "value"), families_of(value), (value,), writes=True)
            case AddToAttribute(attribute=name, by=by):
                yield Use(None, name, (*at, "by"), NUMBER, (by,), writes=True)


def _tested(operator: str, operand: object) -> tuple[Families, tuple[object, ...]]:
    """The families that a comparison can be true for, and its literals."""
    if isinstance(operand, EntryRef) or operator == "is_set":
        return ALL, ()
    if operator in TIME_TESTS:
        return TIMES, (operand,) if isinstance(operand, str) else ()
    if operator in ("contains", "starts_with", "ends_with", "matches"):
        return TEXT, ()
    values = list(operand) if isinstance(operand, list | tuple) else [operand]
    families = families_of_all(values)
    if operator in _ORDERED:
        families &= NUMBER | TIMES
    # What fits no family is reported where it stands; it says nothing about the type.
    return families or ALL, tuple(values)


def types(view: View) -> Iterator[Violation]:
    """Attributes and properties used as two types at once, or not as what the audience has."""
    taken = _Taken()
    for use in uses(view):
        yield from taken.contradiction(use)
        if view.schema is not None:
            yield from _mismatch(view, use)
        else:
            yield from _unusual(use)
    if view.schema is not None:
        yield from _compared_with_entry(view)


class _Taken:
    """What each attribute or property has been taken for so far, and where first."""

    def __init__(self) -> None:
        self.held: dict[tuple[str | None, str], tuple[Families, Use]] = {}
        self.told: set[tuple[str | None, str]] = set()

    def contradiction(self, use: Use) -> Iterator[Violation]:
        """What is wrong with one more use: once for each name, that it leaves no type."""
        key = (use.event, use.name)
        families, first = self.held.get(key, (ALL, use))
        shared = families & use.families
        if shared:
            self.held[key] = (shared, first if families == shared else use)
        elif key not in self.told:
            self.told.add(key)
            message = (
                f"{use.subject} is taken for {_words(use.families)} here, "
                f"and for {_words(families)} at /{'/'.join(map(str, first.steps))}"
            )
            yield violation("contradictory-types", use.steps, message, "One of the two is wrong.")


def _words(families: Families) -> str:
    return " or ".join(words for family, words in _WORDS.items() if family in families)


def _mismatch(view: View, use: Use) -> Iterator[Violation]:
    """A test or a change that doesn't fit the audience's type, or the standard one."""
    held = _held(view, use.event, use.name)
    kind = held or standard_kind(use.event, use.name)
    if kind is None:
        return
    if OF_KIND[kind] not in use.families:
        where = "in the audience" if held else "wherever no schema says otherwise"
        message = f"{use.subject} is {_WORDS[OF_KIND[kind]]} {where} ({kind})"
        message += f", and used as {_words(use.families)}"
        advice = "Compare or write a value of its type, or change the type in the audience."
        yield violation("type-mismatch", use.steps, message, advice)
    elif kind == "int64":
        yield from _not_whole(use)
    elif kind == "date":
        yield from _clock_times(use)


def _unusual(use: Use) -> Iterator[Violation]:
    """A test or a change of a standard name that fits only where a schema gives it another type."""
    kind = standard_kind(use.event, use.name)
    if kind is not None and OF_KIND[kind] not in use.families:
        message = f"{use.subject} is a standard name for {_WORDS[OF_KIND[kind]]} ({kind})"
        message += f", and used as {_words(use.families)}"
        advice = "Use another name, unless the tenant's schema gives it this type."
        yield violation("standard-name", use.steps, message, advice)


def standard_kind(event: str | None, name: str) -> Kind | None:
    """The type that the standard vocabulary gives an attribute, or a property of `event`."""
    return attribute_kind(name) if event is None else EVENT_PROPERTIES.get(event, {}).get(name)


def _kind(view: View, event: str | None, name: str) -> Kind | None:
    """The type in the audience, or else the standard one."""
    return _held(view, event, name) or standard_kind(event, name)


def _held(view: View, event: str | None, name: str) -> Kind | None:
    if view.schema is None:
        return None
    if event is None:
        attribute = view.schema.attributes.get(name)
        return None if attribute is None else attribute.type
    known = view.schema.events.get(event)
    held = None if known is None else known.properties.get(name)
    return None if held is None else held.type


def _not_whole(use: Use) -> Iterator[Violation]:
    """Numbers that an attribute or property of whole numbers can't hold or equal."""
    large = [v for v in use.values if isinstance(v, float) and not INT64_MIN < v < INT64_MAX]
    if large and use.writes:
        message = f"{use.subject} holds whole numbers, and {large[0]:g} is beyond 64 bits"
        yield violation("number-too-large", use.steps, message, "Write a smaller number.")
        return
    fractions = [v for v in use.values if isinstance(v, float) and not v.is_integer()]
    if not fractions:
        return
    message = f"{use.subject} holds whole numbers, and {fractions[0]} is a fraction"
    if use.writes:
        advice = "Write a whole number, or make the attribute float64 in the audience."
        yield violation("fraction-to-whole", use.steps, message, advice)
    elif use.steps[-1] in ("is", "is_not", "one_of", "none_of", "branches"):
        advice = "They are never equal: compare with whole numbers."
        yield violation("fraction-never-equal", use.steps, message, advice)


def _clock_times(use: Use) -> Iterator[Violation]:
    timed = [v for v in use.values if isinstance(v, str) and "T" in v and moment(v)]
    if timed:
        message = f"{use.subject} holds dates, so the time of day in {quoted(timed[0])} is ignored"
        yield violation("time-with-date", use.steps, message, "Write the date alone.")


def _compared_with_entry(view: View) -> Iterator[Violation]:
    """Comparisons of two values of the audience, of types that can't be compared."""
    for part in view.tests:
        if not isinstance(part.operand, EntryRef):
            continue
        events = view.judged_events if part.entry != "own" else [e for e in [part.event] if e]
        for event in events:
            match part.model:
                case AttributeTest(attribute=name):
                    left = _kind(view, None, name)
                case EntryTest(entry=name):
                    left = _kind(view, event, name)
                case PropertyTest(property=name):
                    left = _kind(view, part.event, name)
                case _:
                    continue
            right = _kind(view, event, part.operand.entry)
            if left is None or right is None or _comparable(left, right, part.operator):
                continue
            message = (
                f"a value of type {left} is compared with {quoted(part.operand.entry)} of "
                f"{quoted(event)}, which is of type {right}"
            )
            advice = "Compare values of one type; only numbers, dates and times have an order."
            yield violation("type-mismatch", operand_steps(part), message, advice)


def _comparable(left: Kind, right: Kind, operator: str) -> bool:
    ordered = operator not in _ORDERED or left not in ("string", "bool")
    return OF_KIND[left] == OF_KIND[right] and ordered


def nullable_negations(view: View) -> Iterator[Violation]:
    """Negated tests of attributes that not everybody has: `not` lets those people pass."""
    if view.schema is None:
        return
    for part in view.tests:
        test = part.model
        if not isinstance(test, AttributeTest) or part.operator == "is_set":
            continue
        known = view.schema.attributes.get(test.attribute)
        if known is None or not known.nulls or test.attribute in part.present:
            continue
        lacking = f"{known.nulls:,} people have no {quoted(test.attribute)}"
        if part.negated:
            message = f"{lacking}, and this `not` is true for them"
            advice = f"Add {{attribute: {test.attribute}, is_set: true}} beside it in an `all`, if "
            advice += "they aren't meant."
            yield violation("not-of-missing", part.steps, message, advice)
        elif part.operator in ("is_not", "none_of"):
            message = f"{lacking}, and '{part.operator}' is false for them"
            advice = "Use `not` around `is` or `one_of` if they are meant too."
            yield violation("is-not-of-missing", part.steps, message, advice)
