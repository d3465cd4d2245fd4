"""Show a flow to the rules of lint: its graph, and every condition part and name with its place.

Rules are functions from a `View` to violations. What several of them need is worked out once here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

from core.audience import AudienceSchema
from core.audience_facts import AudienceFacts
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
    Model,
    NeverDidTest,
    Not,
)
from core.content import Content
from core.flow import Flow
from core.graph import Graph, components
from core.lowering import author_of, lowered_nodes
from core.nodes import (
    ABTest,
    ConditionNode,
    EventTest,
    OnEvent,
    OnSchedule,
    OnSegment,
    Send,
    Target,
    WaitAny,
    WaitCondition,
    WaitEvent,
)
from core.violations import Violation, close_to

Steps = tuple[str | int, ...]
Reads = Literal["own", "entry", "nothing"]
"""What `entry` reads: the event at hand, the one with which the entry began, or nothing at all."""

_ENTRY_PAIRS_MAX = 100_000  # of tests of the entering event with the events that it may be
_PAIRS_MAX = 4_000_000  # of characters compared, which bounds the time that close matches take


class Part(NamedTuple):
    """A test, or a combination of tests, in a condition or filter.

    `event` is the one whose properties are read (None in a condition), `entry` what an `entry`
    test reads, `negated` whether an odd number of `not` stands above, and `present` the attributes
    that an `is_set: true` beside it has shown to be there. `operator` and `operand` are those of a
    comparison, "" and None for everything else.
    """

    steps: Steps
    model: Model
    event: str | None
    entry: Reads
    negated: bool
    present: frozenset[str]
    operator: str
    operand: Any

    @classmethod
    def of(
        cls,
        steps: Steps,
        model: Model,
        event: str | None,
        entry: Reads,
        negated: bool = False,
        present: frozenset[str] = frozenset(),
    ) -> Part:
        """The part whose test or combination is `model`."""
        # Found once here: several rules ask for it, and a flow may have 100,000 tests.
        operator = model.operator if isinstance(model, Comparison) else ""
        operand = getattr(model, operator) if operator else None
        return cls(steps, model, event, entry, negated, present, operator, operand)


class Known:
    """Names that a name which isn't one of them may be meant for, and what was advised before."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self.chars = sum(map(len, self.names))
        self.advice: dict[str, str] = {}


@dataclass
class View:
    """What a rule may read: the flow, what is known beside it, and derived facts.

    `authored` is the flow as it was written where `flow` is that flow in operations.
    `schema` is that of an audience, `content` what there is to send, `others` are flows that run
    beside this one, `now_ms` is the time of asking (ms UTC), `facts` are the values of the people
    in the audience. None is not known.
    """

    flow: Flow
    schema: AudienceSchema | None = None
    content: Content | None = None
    others: Sequence[Flow] = ()
    now_ms: int | None = None
    facts: AudienceFacts | None = None
    authored: Flow | None = None
    _left: int = field(default=_PAIRS_MAX, repr=False)

    @cached_property
    def core(self) -> View:
        """The view of the flow in operations, for rules about what happens and not what is written.

        It is this view where the flow is written in operations alone.
        """
        # Not `flow.core`, which leaves its copy in the flow: lint changes nothing.
        written = self.flow.nodes
        nodes = lowered_nodes(written)
        if len(nodes) == len(written) and all(nodes[i] is node for i, node in written.items()):
            return self
        flow = self.flow.model_copy(update={"nodes": nodes})
        return replace(self, flow=flow, authored=self.flow)

    def place(self, node_id: str, *more: str | int) -> Steps:
        """Where a node of the core flow was written; with the field `more` if it is there too."""
        written = author_of(node_id)
        flow = self.authored or self.flow
        authored, here = flow.nodes.get(written), self.flow.nodes.get(node_id)
        same = written == node_id and type(authored) is type(here)
        return ("nodes", written, *more) if same else ("nodes", written)

    @property
    def customers(self) -> int | None:
        """How many people the audience has, None without one."""
        if self.facts is not None:
            return self.facts.customers
        return None if self.schema is None else self.schema.counts.customers

    @cached_property
    def graph(self) -> Graph:
        """The edges that can be taken."""
        return Graph.of(self.flow)

    @cached_property
    def component(self) -> list[int]:
        """The strongly connected component of each node, numbered as in `core.graph`."""
        return components(self.graph.onward, [True] * len(self.graph.ids))

    @cached_property
    def roots(self) -> list[Part]:
        """Every condition and filter as a whole, those inside conditions apart."""
        return list(_roots(self.flow))

    @cached_property
    def parts(self) -> list[Part]:
        """Every part of every condition and filter, in document order, parents before children."""
        return [p for root in self.roots for p in _walk(root)]

    @cached_property
    def tests(self) -> list[Part]:
        """The parts that are comparisons."""
        return [part for part in self.parts if part.operator]

    @cached_property
    def entry_events(self) -> list[str]:
        """The events with which entries begin, without repetition, in document order."""
        nodes = self.flow.nodes.values()
        events = [n.event for n in nodes if isinstance(n, OnEvent | WaitEvent) and enters(n)]
        return list(dict.fromkeys(events))

    @cached_property
    def judged_events(self) -> list[str]:
        """The events that tests of the entering event are judged by.

        All of `entry_events`, or the first where both are so many that all pairs would take long.
        """
        tests = sum(isinstance(p.model, EntryTest) or isinstance(p.operand, EntryRef)
                    for p in self.tests)  # fmt: skip
        return self.entry_events[: max(1, _ENTRY_PAIRS_MAX // max(1, tests))]

    @cached_property
    def other_triggers(self) -> list[str]:
        """The ids of the triggers that are no events."""
        return [i for i, n in self.flow.triggers.items() if not isinstance(n, OnEvent)]

    def close_to(self, name: str, known: Known, otherwise: str) -> str:
        """Advice with names of `known` like `name`, or `otherwise`; it too after much searching."""
        if name not in known.advice:
            cost = len(name) * known.chars
            if cost > self._left:
                return otherwise
            self._left -= cost
            known.advice[name] = close_to(name, known.names)
        return known.advice[name] or otherwise

    @cached_property
    def node_ids(self) -> Known:
        """The ids of all nodes."""
        return Known((self.authored or self.flow).nodes)


Rule = Callable[[View], Iterator[Violation]]


def enters(node: Model) -> bool:
    """Whether entries begin at the node."""
    return getattr(node, "trigger", False) or (isinstance(node, WaitEvent) and node.entry)


def entry_names(part: Part) -> Iterator[tuple[Steps, str]]:
    """The properties of the entering event that a part names, with their places."""
    if isinstance(part.model, EntryTest):
        yield (*part.steps, "entry"), part.model.entry
    if isinstance(part.operand, EntryRef):
        yield operand_steps(part), part.operand.entry


def operand_steps(part: Part) -> Steps:
    """The place of a comparison's operand."""
    return (*part.steps, part.operator.rstrip("_"))


def filters(flow: Flow) -> Iterator[tuple[Steps, OnEvent | WaitEvent | EventTest | Target]]:
    """Everything outside conditions that names an event and may filter it, with its place."""
    for node_id, node in flow.nodes.items():
        if isinstance(node, OnEvent | WaitEvent):
            yield ("nodes", node_id), node
        elif isinstance(node, WaitAny):
            for port, test in node.events.items():
                yield ("nodes", node_id, "events", port), test
        elif isinstance(node, ABTest):
            yield ("nodes", node_id, "target"), node.target
    if flow.settings.goal is not None:
        yield ("settings", "goal"), flow.settings.goal
    for number, rule in enumerate(flow.settings.exit):
        if rule.event is not None:
            yield ("settings", "exit", number), EventTest(event=rule.event, where=rule.where)


def _roots(flow: Flow) -> Iterator[Part]:
    for node_id, node in flow.nodes.items():
        if isinstance(node, OnSegment | OnSchedule | ConditionNode) and node.if_ is not None:
            reads: Reads = "entry" if isinstance(node, ConditionNode) else "nothing"
            yield Part.of(("nodes", node_id, "if"), node.if_, None, reads)
        elif isinstance(node, WaitCondition):
            yield Part.of(("nodes", node_id, "if"), node.if_, None, "nothing")
        elif isinstance(node, Send):
            for number, guard in enumerate(node.guards):
                place: Steps = ("nodes", node_id, "guards", number, "if")
                yield Part.of(place, guard.if_, None, "entry")
    for number, rule in enumerate(flow.settings.exit):
        if rule.if_ is not None:
            yield Part.of(("settings", "exit", number, "if"), rule.if_, None, "nothing")
    for steps, holder in filters(flow):
        if holder.where is not None:
            reads = "own" if isinstance(holder, OnEvent) else "entry"
            yield Part.of((*steps, "where"), holder.where, holder.event, reads)


def _walk(root: Part) -> Iterator[Part]:
    waiting = [root]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += reversed(_children(part))


def _children(part: Part) -> list[Part]:
    if part.operator:
        return []
    steps, model, event, entry, negated, present = part[:6]
    match model:
        case AllOf(all=parts) | FilterAllOf(all=parts):
            shown = {p.attribute for p in parts if isinstance(p, AttributeTest) and p.is_set}
            if shown and not negated:
                present |= shown
            return [
                Part.of((*steps, "all", i), child, event, entry, negated, present)
                for i, child in enumerate(parts)
            ]
        case AnyOf(any=parts) | FilterAnyOf(any=parts):
            return [
                Part.of((*steps, "any", i), child, event, entry, negated, present)
                for i, child in enumerate(parts)
            ]
        case Not(not_=child) | FilterNot(not_=child):
            return [Part.of((*steps, "not"), child, event, entry, not negated, present)]
        case DidTest(where=where, did=did) | NeverDidTest(where=where, never_did=did):
            if where is not None:
                return [Part.of((*steps, "where"), where, did, entry, False, present)]
    return []
