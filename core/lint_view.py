"""Show a flow to the rules of lint: its graph, and every condition part and name with its place.

Rules are functions from a `View` to violations. What several of them need is worked out once here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from core.audience import AudienceSchema
from core.conditions import (
    AllOf,
    AnyOf,
    AttributeTest,
    Comparison,
    DidTest,
    EntryRef,
    FilterAllOf,
    FilterAnyOf,
    FilterNot,
    Model,
    NeverDidTest,
    Not,
)
from core.flow import Flow
from core.graph import Edge, Graph, components, edges_of
from core.nodes import (
    ABTest,
    ConditionNode,
    OnEvent,
    OnSchedule,
    OnSegment,
    Target,
    WaitEvent,
)
from core.violations import Violation, close_to

Steps = tuple[str | int, ...]
Reads = Literal["own", "entry", "nothing"]
"""What `entry` reads: the event at hand, the one with which the entry began, or nothing at all."""

_COMPARISONS_MAX = 200_000  # of names with names, which bounds the time that close matches take


class Part(NamedTuple):
    """A test, or a combination of tests, in a condition or filter.

    `event` is the one whose properties are read (None in a condition), `entry` what an `entry`
    test reads, `negated` whether an odd number of `not` stands above, and `present` the attributes
    that an `is_set: true` beside it has shown to be there.
    """

    steps: Steps
    model: Model
    event: str | None
    entry: Reads
    negated: bool
    present: frozenset[str]


@dataclass
class View:
    """What a rule may read: the flow, the schema of an audience if known, and derived facts."""

    flow: Flow
    schema: AudienceSchema | None = None
    _left: int = field(default=_COMPARISONS_MAX, repr=False)

    @cached_property
    def graph(self) -> Graph:
        """The edges that can be taken."""
        return Graph.of(self.flow)

    @cached_property
    def component(self) -> list[int]:
        """The strongly connected component of each node, numbered as in `core.graph`."""
        return components(self.graph.onward, [True] * len(self.graph.ids))

    @cached_property
    def edges(self) -> list[Edge]:
        """All edges as stated."""
        return edges_of(self.flow)

    @cached_property
    def parts(self) -> list[Part]:
        """Every part of every condition and filter, in document order, parents before children."""
        return [p for root in _roots(self.flow) for p in _walk(root)]

    @cached_property
    def entry_events(self) -> list[str]:
        """The events with which entries begin, without repetition, in document order."""
        nodes = self.flow.nodes.values()
        events = [n.event for n in nodes if isinstance(n, OnEvent | WaitEvent) and enters(n)]
        return list(dict.fromkeys(events))

    @cached_property
    def other_triggers(self) -> list[str]:
        """The ids of the triggers that are no events."""
        return [i for i, n in self.flow.triggers.items() if not isinstance(n, OnEvent)]

    def close_to(self, name: str, known: Collection[str], otherwise: str) -> str:
        """Advice with names of `known` like `name`, or `otherwise`; it too after much searching."""
        if len(known) > self._left:
            return otherwise
        self._left -= len(known)
        return close_to(name, known, otherwise)


Rule = Callable[[View], Iterator[Violation]]


def enters(node: Model) -> bool:
    """Whether entries begin at the node."""
    return getattr(node, "trigger", False) or (isinstance(node, WaitEvent) and node.entry)


def entry_names(part: Part) -> Iterator[tuple[Steps, str]]:
    """The properties of the entering event that a part names, with their places."""
    name = getattr(part.model, "entry", None)
    if isinstance(name, str):
        yield (*part.steps, "entry"), name
    if isinstance(part.model, Comparison) and isinstance(part.model.operand, EntryRef):
        yield operand_steps(part), part.model.operand.entry


def operand_steps(part: Part) -> Steps:
    """The place of a comparison's operand."""
    assert isinstance(part.model, Comparison)
    return (*part.steps, part.model.operator.rstrip("_"))


def filters(flow: Flow) -> Iterator[tuple[Steps, OnEvent | WaitEvent | Target]]:
    """Everything outside conditions that names an event and may filter it, with its place."""
    for node_id, node in flow.nodes.items():
        if isinstance(node, OnEvent | WaitEvent):
            yield ("nodes", node_id), node
        elif isinstance(node, ABTest):
            yield ("nodes", node_id, "target"), node.target
    if flow.settings.goal is not None:
        yield ("settings", "goal"), flow.settings.goal


def _roots(flow: Flow) -> Iterator[Part]:
    none: frozenset[str] = frozenset()
    for node_id, node in flow.nodes.items():
        if isinstance(node, OnSegment | OnSchedule | ConditionNode) and node.if_ is not None:
            reads: Reads = "entry" if isinstance(node, ConditionNode) else "nothing"
            yield Part(("nodes", node_id, "if"), node.if_, None, reads, False, none)
    for steps, holder in filters(flow):
        if holder.where is not None:
            reads = "own" if isinstance(holder, OnEvent) else "entry"
            yield Part((*steps, "where"), holder.where, holder.event, reads, False, none)


def _walk(root: Part) -> Iterator[Part]:
    waiting = [root]
    while waiting:
        part = waiting.pop()
        yield part
        waiting += reversed(list(_children(part)))


def _children(part: Part) -> Iterator[Part]:
    match part.model:
        case AllOf(all=parts) | FilterAllOf(all=parts):
            shown = {p.attribute for p in parts if isinstance(p, AttributeTest) and p.is_set}
            present = part.present if part.negated else part.present | shown
            for i, child in enumerate(parts):
                yield part._replace(steps=(*part.steps, "all", i), model=child, present=present)
        case AnyOf(any=parts) | FilterAnyOf(any=parts):
            for i, child in enumerate(parts):
                yield part._replace(steps=(*part.steps, "any", i), model=child)
        case Not(not_=child) | FilterNot(not_=child):
            steps = (*part.steps, "not")
            yield part._replace(steps=steps, model=child, negated=not part.negated)
        case DidTest(where=child, did=event) | NeverDidTest(where=child, never_did=event):
            if child is not None:
                steps = (*part.steps, "where")
                yield part._replace(steps=steps, model=child, event=event, negated=False)
        case _:
            return
