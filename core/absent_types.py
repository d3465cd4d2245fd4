"""Find the types of attributes and event properties that an audience lacks, from their uses.

A flow can set an attribute that nobody has yet, and modelled events can carry a property that no
recorded event has. Such a name has the type that the documents ask for (semantics D17).
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from core.answers import ANSWERS
from core.audience import Audience, Kind
from core.conditions import (
    TIME_TESTS,
    AttributeTest,
    Comparison,
    DidTest,
    EntryRef,
    EntryTest,
    Model,
    NeverDidTest,
    PropertyTest,
    Scalar,
    walk,
)
from core.flow import Flow
from core.internal_events import MESSAGE_SENT, NOTE_ADDED, change_of
from core.nodes import (
    ABTest,
    AddToAttribute,
    BranchAttribute,
    ConditionNode,
    OnEvent,
    OnSchedule,
    OnSegment,
    Send,
    SetAttribute,
    WaitAny,
    WaitCondition,
    WaitDate,
    WaitEvent,
)
from core.record import attribute_kind
from core.responses import RESERVED_PROPERTIES, Responses
from core.usage import event_names

ORDERINGS = ("above", "at_least", "below", "at_most", "between")

_Name = tuple[bool, str]
"""Whether it is a property, and its name."""


@dataclass(slots=True)
class _Uses:
    """What is known of names that are compared with each other."""

    values: list[Scalar] = field(default_factory=list)
    kinds: set[Kind] = field(default_factory=set)
    timed: bool = False
    ordered: bool = False  # compared by size with each other
    names: set[_Name] = field(default_factory=set)

    def kind(self) -> Kind:
        """The type of all of them; text where nothing is known."""
        stated = [v for v in self.values if isinstance(v, str)]
        timed = self.timed or (self.ordered and stated and not self.kinds)
        if timed or self.kinds & {"date", "datetime"}:
            dates = all("T" not in text for text in stated)
            return "date" if dates and "datetime" not in self.kinds else "datetime"
        known: set[type | Kind] = {type(value) for value in self.values} | self.kinds
        if known and known <= {bool, "bool"}:
            return "bool"
        if known and known <= {int, "int64"}:
            return "int64"
        return "float64" if known and known <= {int, float, "int64", "float64"} else "string"


def absent_types(
    flow: Flow, responses: Responses | None, audience: Audience
) -> tuple[dict[str, Kind], dict[str, Kind]]:
    """The types of attributes and of properties that the documents name and `audience` lacks.

    Names that are compared with each other share all uses. A date or time, where a test or a wait
    asks for one: a date if all that is stated are dates alone; else true or false, whole numbers,
    fractions, or text. A standard attribute has the type of `core.record`, whatever is asked of it.
    """
    uses: dict[_Name, _Uses] = {}
    events = event_names(flow)
    for name, value in _literals(flow, responses, events):
        _of(uses, name).values.append(value)
    for condition in _conditions(flow, responses):
        for test in walk(condition):
            if isinstance(test, Comparison):
                _note(uses, test)
            elif isinstance(test, DidTest | NeverDidTest):
                events.add(test.did if isinstance(test, DidTest) else test.never_did)
    for node in flow.nodes.values():
        if isinstance(node, WaitDate):
            _of(uses, (False, node.attribute)).timed = True
        elif isinstance(node, Send):
            for shown in node.of_entry.values():
                _of(uses, (True, shown))
    for event in events:
        change = change_of(event)
        if change is not None and change[0] == "attribute":
            _of(uses, (False, change[1]))
    held = (audience.attributes, audience.properties)
    for name, use in uses.items():
        column = held[name[0]].get(name[1])
        if column is not None:
            use.kinds.add(column.kind)
        elif (standard := _standard(name)) is not None:
            use.kinds.add(standard)
    found: tuple[dict[str, Kind], dict[str, Kind]] = ({}, {})
    for (is_property, text), use in uses.items():
        if text not in held[is_property]:
            found[is_property][text] = _standard((is_property, text)) or use.kind()
    return found


def _standard(name: _Name) -> Kind | None:
    is_property, text = name
    return None if is_property else attribute_kind(text)


def _of(uses: dict[_Name, _Uses], name: _Name) -> _Uses:
    if name not in uses:
        uses[name] = _Uses(names={name})
    return uses[name]


def _note(uses: dict[_Name, _Uses], test: Comparison) -> None:
    """Take in what a test says about the type of its value."""
    match test:
        case AttributeTest(attribute=text):
            name = (False, text)
        case PropertyTest(property=text) | EntryTest(entry=text):
            name = (True, text)
        case _:
            return
    operator, operand = test.operator, test.operand
    use = _of(uses, name)
    if isinstance(operand, EntryRef):
        use.ordered |= operator in ORDERINGS
        _join(uses, use, _of(uses, (True, operand.entry)))
        return
    stated = list(operand) if isinstance(operand, list | tuple) else [operand]
    if operator in TIME_TESTS or (operator in ORDERINGS and isinstance(stated[0], str)):
        use.timed = True
    if operator != "is_set":
        use.values += [v for v in stated if isinstance(v, bool | int | float | str)]


def _join(uses: dict[_Name, _Uses], one: _Uses, other: _Uses) -> None:
    if one is not other:
        # The smaller joins the larger, so that many names compared with one stay cheap.
        if len(one.names) < len(other.names):
            one, other = other, one
        one.values += other.values
        one.timed |= other.timed
        one.ordered |= other.ordered
        one.names |= other.names
        for name in other.names:
            uses[name] = one


def _literals(
    flow: Flow, responses: Responses | None, events: Set[str]
) -> Iterator[tuple[_Name, Scalar]]:
    """Yield the values that nodes and outcomes state, with the names they are for."""
    for node in flow.nodes.values():
        match node:
            case (
                SetAttribute(attribute=name, value=value) | AddToAttribute(attribute=name, by=value)
            ):
                yield (False, name), value
            case BranchAttribute(attribute=name, branches=branches):
                for listed in branches.values():
                    for value in listed:
                        yield (False, name), value
    if any(isinstance(node, WaitEvent) and node.message for node in flow.nodes.values()):
        yield (True, ANSWERS), 0
    if MESSAGE_SENT in events:
        for name in RESERVED_PROPERTIES:
            yield (True, name), ""
    if NOTE_ADDED in events:
        for name in ("note", "node", "flow"):
            yield (True, name), ""
    for outcome in [] if responses is None else responses.outcomes:
        for name, value in outcome.properties.items():
            yield (True, name), value
        for name in RESERVED_PROPERTIES:
            yield (True, name), ""


def _conditions(flow: Flow, responses: Responses | None) -> Iterator[Model | None]:
    for node in flow.nodes.values():
        match node:
            case OnSegment() | OnSchedule() | ConditionNode() | WaitCondition():
                yield node.if_
            case Send(guards=guards):
                yield from (guard.if_ for guard in guards)
            case WaitAny(events=events):
                yield from (each.where for each in events.values())
            case OnEvent() | WaitEvent():
                yield node.where
            case ABTest(target=target):
                yield target.where
    if flow.settings.goal is not None:
        yield flow.settings.goal.where
    for leaving in flow.settings.exit:
        yield leaving.if_
        yield leaving.where
    for rule in [] if responses is None else responses.rules:
        yield rule.for_.if_
