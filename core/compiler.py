"""Compile a flow document into a program: flat tables of nodes, ports, edges and decision graphs.

Conditions become decision graphs (the short-circuit form of binary decision diagrams): each test
names where to go when true and when false, so that AND, OR and NOT cost nothing at run time and no
stack is needed. The compiler trusts the document to be free of lint errors and knows nothing of any
audience.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components

from core.audience import Needs
from core.collection import collection_paused
from core.conditions import (
    AllOf,
    AnyOf,
    AttributeTest,
    ClockTest,
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
    Scalar,
    TagTest,
    walk,
)
from core.flow import Flow
from core.internal_events import (
    ChangeKind,
    Internal,
    change_of,
    exit_event,
    met_event,
)
from core.nodes import Send, WaitAny, WaitCondition, WaitEvent
from core.program import (
    NODE,
    PORT,
    TRIGGER,
    ColumnName,
    Op,
    PredSpec,
    Program,
    Source,
    TriggerKind,
    WatchSpec,
)
from core.responses import Responses
from core.wall_clock import Slot

T = TypeVar("T")


def compile_flow(flow: Flow, responses: Responses | None = None) -> Program:
    """Compile `flow`, with the rules of a responses file if there is one.

    The flow must be free of lint errors. Time and memory are linear in the size of the document.
    """
    with collection_paused():
        return Compiler(flow.core, responses).program()


def needs_of(program: Program, *, replaces: str | None = None) -> Needs:
    """What an audience must hold for `program`: the names it refers to."""
    named: dict[str, set[str]] = {"attribute": set(), "tag": set(), "group": set()}
    for column in program.columns:
        named[column.family].add(column.name)
    return Needs(
        attributes=named["attribute"],
        tags=named["tag"],
        groups=named["group"],
        events=set(program.events),
        properties=set(program.properties),
        replaces=replaces,
    )


class _Numbering(Generic[T]):
    """Number distinct things in order of first mention."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self._index: dict[T, int] = {}

    def __call__(self, item: T) -> int:
        number = self._index.setdefault(item, len(self.items))
        if number == len(self.items):
            self.items.append(item)
        return number


class Compiler:
    """What grows while the nodes of a flow are compiled; node types write into it.

    `index` are the numbers of the nodes by id, `preds` the tests of all decision graphs, `events`
    the event types referred to, `written` the columns that actions write.
    """

    def __init__(self, flow: Flow, responses: Responses | None) -> None:
        self.flow = flow
        self.responses = responses
        self.node_ids = list(flow.nodes)
        self.index = {node_id: i for i, node_id in enumerate(flow.nodes)}
        self.columns: _Numbering[ColumnName] = _Numbering()
        self.properties: _Numbering[str] = _Numbering()
        self.preds: list[PredSpec] = []
        self.written: set[int] = set()
        self.events: set[str] = set()
        self.histories: dict[str, int | None] = {}
        self.watches: list[WatchSpec] = []
        self.weights: list[int] = []
        self.slots: list[tuple[int, int, int]] = []
        self.touches: list[tuple[int, tuple[int, ...]]] = []
        self.triggers: list[tuple[int, int, int, int, int, int]] = []
        self.trigger_events: list[str | None] = []
        self.segment_columns: set[int] = set()
        self.segment_events: set[str] = set()
        self.watch_counters = 0
        self.internals: list[Internal] = []
        self.column_fires: dict[tuple[int, ChangeKind], int] = {}
        self.listens: list[tuple[str, int]] = []
        self.exits: list[tuple[str, int]] = []
        self.guards: list[int] = []

    def program(self) -> Program:
        """Compile all nodes in document order, then what needs all of them."""
        flow = self.flow
        nodes = np.zeros(len(flow.nodes), NODE)
        nodes["cond"] = nodes["b"] = nodes["slot"] = nodes["fires"] = -1
        edges, ports = self._edges(nodes)
        for i, node in enumerate(flow.nodes.values()):
            node.compiled(self, i, nodes[i])
        self._exits()
        self._goal()
        visit_slots = self._visit_slots(nodes)
        rule_conds = self._responses()
        self._internals(nodes)
        self._number_waited_events(nodes)
        if flow.settings.reentry.key is not None:
            self.properties(flow.settings.reentry.key)
        return Program(
            flow=flow,
            responses=self.responses,
            node_ids=list(flow.nodes),
            nodes=nodes,
            ports=ports,
            edges=edges,
            preds=self.preds,
            triggers=np.array(self.triggers, TRIGGER),
            trigger_events=self.trigger_events,
            columns=self.columns.items,
            written=frozenset(self.written),
            properties=self.properties.items,
            events=sorted(self.events),
            histories=sorted(self.histories),
            watches=self.watches,
            weights=np.array(self.weights, np.int64),
            slots=self.slots,
            visit_slots=visit_slots,
            layers=[[self.index[n] for n in layer.nodes] for layer in flow.settings.funnel],
            segment_columns=frozenset(self.segment_columns),
            segment_events=frozenset(self.segment_events),
            touches=self.touches,
            rule_conds=rule_conds,
            look_back_ms=dict(self.histories),
            internals=self.internals,
            column_fires=self.column_fires,
            listens=self.listens,
            exits=self.exits,
            guards=self.guards,
        )

    # -- the graph

    def _edges(self, nodes: Any) -> tuple[Any, Any]:
        edges: list[int] = []
        ports: list[tuple[int, int, int, int]] = []
        for i, node in enumerate(self.flow.nodes.values()):
            nodes[i]["port0"], nodes[i]["ports"] = len(ports), len(node.ports)
            for port in node.ports:
                targets = [self.index[t] for t in node.targets(port)]
                ports.append((len(edges), len(targets), node.falls_out.get(port, 0), 0))
                edges += targets
        return np.array(edges, np.int32), np.array(ports, PORT)

    def _number_waited_events(self, nodes: Any) -> None:
        """Tell each WAIT_EVENT the number of its event, now that all events are known."""
        number = {name: i for i, name in enumerate(sorted(self.events))}
        for i, node in enumerate(self.flow.nodes.values()):
            if isinstance(node, WaitEvent):
                nodes[i]["a"] = number[node.event]
            elif isinstance(node, WaitAny):
                nodes[i]["a"] = number[next(iter(node.events.values())).event]
            elif isinstance(node, WaitCondition):
                nodes[i]["a"] = number[met_event(self.node_ids[i])]

    def _visit_slots(self, nodes: Any) -> int:
        """Give a visit counter to each drawing node that one entry may reach more than once.

        Only below a cycle or a fork can that be; everywhere else the first visit is the only one.
        """
        n = len(nodes)
        rows, cols, roots = [], [], set()
        for i, node in enumerate(self.flow.nodes.values()):
            for port in node.ports:
                targets = node.targets(port)
                if len(targets) > 1:
                    roots.add(i)
                for target in targets:
                    rows.append(i)
                    cols.append(self.index[target])
                    if self.index[target] == i:
                        roots.add(i)
        graph = coo_matrix((np.ones(len(rows), np.int8), (rows, cols)), shape=(n, n)).tocsr()
        _, label = connected_components(graph, directed=True, connection="strong")
        roots |= set(np.flatnonzero(np.bincount(label)[label] > 1).tolist())
        if not roots:
            return 0
        above = coo_matrix(
            (
                np.ones(len(rows) + len(roots), np.int8),
                (rows + [n] * len(roots), cols + sorted(roots)),
            ),
            shape=(n + 1, n + 1),
        ).tocsr()
        slots = 0
        for i in sorted(breadth_first_order(above, n, return_predecessors=False)):
            if i < n and nodes[i]["op"] in (Op.SPLIT, Op.SEND):
                nodes[i]["slot"] = slots
                slots += 1
        return slots

    # -- decision graphs

    def column(self, family: str, name: str) -> int:
        """The number of a column of the customer; `family` is attribute, tag or group."""
        return self.columns(ColumnName(family, name))

    def graph(self, condition: Model | None, if_true: int, if_false: int) -> int:
        """Compile a condition to a decision graph that ends in results.

        Return its first test, -1 for none.

        Its tests stand together at the end of `preds`, in reading order, after those of its history
        filters.
        """
        if condition is None:
            return -1
        filters = {
            id(part): self.graph(part.where, 1, 0)
            for part in walk(condition)
            if isinstance(part, DidTest | NeverDidTest)
        }
        begin = len(self.preds)
        entry = self._emit(condition, -1 - if_true, -1 - if_false, filters)
        last = len(self.preds) - 1
        block = self.preds[begin:][::-1]
        for spec in block:
            if spec.on_true >= 0:
                spec.on_true = begin + last - spec.on_true
            if spec.on_false >= 0:
                spec.on_false = begin + last - spec.on_false
        self.preds[begin:] = block
        return begin + last - entry

    def _emit(self, part: Model, if_true: int, if_false: int, filters: dict[int, int]) -> int:
        match part:
            case AllOf(all=parts) | FilterAllOf(all=parts):
                for each in reversed(parts):
                    if_true = self._emit(each, if_true, if_false, filters)
                return if_true
            case AnyOf(any=parts) | FilterAnyOf(any=parts):
                for each in reversed(parts):
                    if_false = self._emit(each, if_true, if_false, filters)
                return if_false
            case Not(not_=inner) | FilterNot(not_=inner):
                return self._emit(inner, if_false, if_true, filters)
        spec = self._spec(part, filters)
        spec.on_true, spec.on_false = if_true, if_false
        self.preds.append(spec)
        return len(self.preds) - 1

    def _spec(self, part: Model, filters: dict[int, int]) -> PredSpec:
        match part:
            case AttributeTest(attribute=name):
                spec = PredSpec(Source.CUSTOMER, self.column("attribute", name), part, 0, 0)
            case TagTest(tag=name):
                spec = PredSpec(Source.CUSTOMER, self.column("tag", name), None, 0, 0)
            case GroupTest(group=name):
                spec = PredSpec(Source.CUSTOMER, self.column("group", name), None, 0, 0)
            case PropertyTest(property=name):
                spec = PredSpec(Source.EVENT, self.properties(name), part, 0, 0)
            case EntryTest(entry=name):
                spec = PredSpec(Source.ENTRY, self.properties(name), part, 0, 0)
            case DidTest(did=event) | NeverDidTest(never_did=event):
                self.history(event, part.window_ms)
                spec = PredSpec(
                    Source.EVENT, -1, None, 0, 0,
                    event=event, bounds=part.bounds, window_ms=part.window_ms,
                    since=part.since, filter=filters[id(part)],
                )  # fmt: skip
            case ClockTest(clock=slots):
                spec = PredSpec(Source.CUSTOMER, -1, None, 0, 0, slots=self.slot_run(slots))
            case _:
                raise TypeError(f"no test is compiled from {type(part).__name__}")
        if isinstance(part, Comparison) and isinstance(part.operand, EntryRef):
            self.properties(part.operand.entry)
        return spec

    def slot_run(self, slots: Sequence[Slot]) -> tuple[int, int]:
        """Note slots of the week; returns the first of them and how many."""
        first = len(self.slots)
        self.slots += [(slot.weekday_mask, slot.from_, slot.until) for slot in slots]
        return first, len(slots)

    def history(self, event: str, window_ms: int | None) -> None:
        """Note that a condition looks back at `event`; the longest look-back counts."""
        self.events.add(event)
        known = self.histories.get(event, 0)
        self.histories[event] = (
            None if window_ms is None or known is None else max(known, window_ms)
        )

    def reads(self, condition: Model | None) -> tuple[set[int], set[str]]:
        """The columns and the event types that a condition reads."""
        columns, events = set(), set()
        for part in walk(condition):
            match part:
                case AttributeTest(attribute=name):
                    columns.add(self.column("attribute", name))
                case TagTest(tag=name):
                    columns.add(self.column("tag", name))
                case GroupTest(group=name):
                    columns.add(self.column("group", name))
                case DidTest(did=event) | NeverDidTest(never_did=event):
                    events.add(event)
        return columns, events

    def touch(self, i: int, columns: set[int]) -> None:
        """Note that node `i` judges customers by these columns' attributes."""
        attributes = tuple(
            sorted(c for c in columns if self.columns.items[c].family == "attribute")
        )
        if attributes:
            self.touches.append((i, attributes))

    def trigger(
        self,
        i: int,
        kind: TriggerKind,
        event: str | None,
        cond: int,
        members: int = 0,
        fires: int = -1,
    ) -> None:
        """Add a trigger at node `i`, by which people enter, or an internal event happens."""
        end = len(self.preds) if kind is TriggerKind.SEGMENT else 0
        self.triggers.append((i, kind, cond, end, members, fires))
        self.trigger_events.append(event)
        if event is not None:
            self.events.add(event)

    def watch(self, target: Any, counters: int, test: int) -> int:
        """Add a success watch with `counters` counters; return its number."""
        self.events.add(target.event)
        cond = self.graph(target.where, 1, 0)
        self.watches.append(
            WatchSpec(target.event, cond, _window_ms(target.within), self.watch_counters, test)
        )
        self.watch_counters += counters
        return len(self.watches) - 1

    def internal(self, event: str, carried: Mapping[str, Scalar] | None = None) -> int:
        """Add an internal event; return its number."""
        self.events.add(event)
        self.internals.append(Internal(event, carried or {}))
        return len(self.internals) - 1

    def turning(self, i: int, condition: Model, event: str) -> int:
        """Let an internal event happen when a condition comes true; return its first test."""
        cond = self.graph(condition, 1, 0)
        self.trigger(i, TriggerKind.SEGMENT, None, cond, fires=self.internal(event))
        columns, events = self.reads(condition)
        self.segment_columns |= columns
        self.segment_events |= events
        return cond

    def _exits(self) -> None:
        for number, rule in enumerate(self.flow.settings.exit):
            event = rule.event
            if rule.if_ is not None:
                event = exit_event(number)
                self.turning(0, rule.if_, event)
            assert event is not None
            self.events.add(event)
            self.exits.append((event, self.graph(rule.where, 1, 0)))

    def _internals(self, nodes: Any) -> None:
        """Find what makes the internal events that somebody asks for, now that all are known."""
        for event in sorted(self.events):
            change = change_of(event)
            if change is not None:
                column = self.column(change[0], change[1])
                self.column_fires[column, change[2]] = self.internal(event)
        for i, (node_id, node) in enumerate(self.flow.nodes.items()):
            if isinstance(node, Send):
                event, carried = node.makes_happen(self.flow.flow, node_id)
                if event in self.events:
                    nodes[i]["fires"] = self.internal(event, carried)

    def _goal(self) -> None:
        if self.flow.settings.goal is not None:
            self.watch(self.flow.settings.goal, 1 + (self.flow.settings.holdout is not None), -1)

    def _responses(self) -> dict[int, int]:
        if self.responses is None:
            return {}
        rules = enumerate(self.responses.rules)
        return {number: self.graph(rule.for_.if_, 1, 0) for number, rule in rules}


def _window_ms(duration: Any) -> int:
    ms: int = duration.days * 86_400_000 + duration.ms
    return ms
