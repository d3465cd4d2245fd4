"""Compile a flow document into a program: flat tables of nodes, ports, edges and decision graphs.

Conditions become decision graphs (the short-circuit form of binary decision diagrams): each test
names where to go when true and when false, so that AND, OR and NOT cost nothing at run time and no
stack is needed. The compiler trusts the document to be free of lint errors and knows nothing of any
audience.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from core.duration import fixed_ms
from core.flow import Flow
from core.internal_events import (
    MESSAGE_SENT,
    ChangeKind,
    Internal,
    change_of,
    exit_event,
    met_event,
)
from core.nodes import (
    CHANNELS,
    ABTest,
    AddTag,
    AddToAttribute,
    AddToGroup,
    BranchAttribute,
    BranchTag,
    ConditionNode,
    End,
    NodeBase,
    OnEvent,
    OnSchedule,
    OnSegment,
    RemoveFromGroup,
    RemoveTag,
    Send,
    SetAttribute,
    Split,
    TakeCoupon,
    Wait,
    WaitAny,
    WaitCondition,
    WaitDate,
    WaitEvent,
    WaitSlot,
    WaitUntil,
)
from core.outcomes import Outcome
from core.program import (
    FLAG_NOW,
    FLAG_SEVERAL,
    FLAG_STICKY,
    FLAG_TIMEOUT,
    FLAG_WHOLE,
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
    duration_fields,
)
from core.responses import Responses

T = TypeVar("T")

MEMBERS = {"all": 3, "at_start": 1, "joining": 2}


def compile_flow(flow: Flow, responses: Responses | None = None) -> Program:
    """Compile `flow`, with the rules of a responses file if there is one.

    The flow must be free of lint errors. Time and memory are linear in the size of the document.
    """
    with collection_paused():
        return _Compiler(flow, responses).program()


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


class _Compiler:
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
        flow = self.flow
        nodes = np.zeros(len(flow.nodes), NODE)
        nodes["cond"] = nodes["b"] = nodes["slot"] = nodes["fires"] = -1
        edges, ports = self._edges(nodes)
        for i, node in enumerate(flow.nodes.values()):
            _LOWER[type(node)](self, i, node, nodes[i])
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
                ports.append((len(edges), len(targets), _unconnected(node, port), 0))
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
                nodes[i]["a"] = number[met_event(self.flow_id(i))]

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
                    filter=filters[id(part)],
                )  # fmt: skip
            case _:
                raise TypeError(f"no test is compiled from {type(part).__name__}")
        if isinstance(part, Comparison) and isinstance(part.operand, EntryRef):
            self.properties(part.operand.entry)
        return spec

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

    def flow_id(self, i: int) -> str:
        """The id of node `i`."""
        return self.node_ids[i]

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
        if MESSAGE_SENT in self.events:
            for i, (node_id, node) in enumerate(self.flow.nodes.items()):
                if isinstance(node, Send):
                    carried = node.carried(self.flow.flow, node_id)
                    nodes[i]["fires"] = self.internal(MESSAGE_SENT, carried)

    def _goal(self) -> None:
        if self.flow.settings.goal is not None:
            self.watch(self.flow.settings.goal, 1 + (self.flow.settings.holdout is not None), -1)

    def _responses(self) -> dict[int, int]:
        if self.responses is None:
            return {}
        rules = enumerate(self.responses.rules)
        return {number: self.graph(rule.for_.if_, 1, 0) for number, rule in rules}


def _unconnected(node: NodeBase, port: str) -> int:
    """What becomes of a token at a port without an edge: 0 to stand idle, else an outcome."""
    if isinstance(node, BranchAttribute | BranchTag) and port == "other":
        return Outcome.NO_BRANCH
    if isinstance(node, WaitDate) and port == "missing":
        return Outcome.NO_DATE
    return 0


def _window_ms(duration: Any) -> int:
    ms: int = duration.days * 86_400_000 + duration.ms
    return ms


def _on_event(c: _Compiler, i: int, node: OnEvent, row: Any) -> None:
    row["op"] = Op.TRIGGER
    c.trigger(i, TriggerKind.EVENT, node.event, c.graph(node.where, 1, 0))


def _on_segment(c: _Compiler, i: int, node: OnSegment, row: Any) -> None:
    row["op"] = Op.TRIGGER
    c.trigger(i, TriggerKind.SEGMENT, None, c.graph(node.if_, 1, 0), MEMBERS[node.members])
    columns, events = c.reads(node.if_)
    c.segment_columns |= columns
    c.segment_events |= events
    c.touch(i, columns)


def _on_schedule(c: _Compiler, i: int, node: OnSchedule, row: Any) -> None:
    row["op"] = Op.TRIGGER
    c.trigger(i, TriggerKind.SCHEDULE, None, c.graph(node.if_, 1, 0))
    c.touch(i, c.reads(node.if_)[0])


def _condition(c: _Compiler, i: int, node: ConditionNode, row: Any) -> None:
    row["op"], row["cond"] = Op.DECIDE, c.graph(node.if_, 0, 1)
    c.touch(i, c.reads(node.if_)[0])


def _branch_tag(c: _Compiler, i: int, node: BranchTag, row: Any) -> None:
    row["op"] = Op.DECIDE
    start = -1 - len(node.branches)  # the result `other`
    blocks = []
    for port, tags in reversed(list(enumerate(node.branches.values()))):
        for tag in reversed(tags):
            blocks.append((c.column("tag", tag), port))
    begin = len(c.preds)
    for place, (column, port) in enumerate(reversed(blocks)):
        following = begin + place + 1 if place + 1 < len(blocks) else start
        c.preds.append(PredSpec(Source.CUSTOMER, column, None, -1 - port, following))
    row["cond"] = begin


def _branch_attribute(c: _Compiler, i: int, node: BranchAttribute, row: Any) -> None:
    row["op"], row["a"] = Op.VALUE, c.column("attribute", node.attribute)
    c.touch(i, {int(row["a"])})


def _wait(c: _Compiler, i: int, node: Wait, row: Any) -> None:
    row["op"] = Op.WAIT_FOR
    row["months"], row["days"], row["ms"] = duration_fields(node.for_)


def _wait_until(c: _Compiler, i: int, node: WaitUntil, row: Any) -> None:
    row["op"] = Op.WAIT_AT


def _wait_date(c: _Compiler, i: int, node: WaitDate, row: Any) -> None:
    row["op"], row["a"] = Op.WAIT_DATE, c.column("attribute", node.attribute)
    if node.offset is not None:
        row["months"], row["days"], row["ms"] = duration_fields(node.offset)
    row["x"] = -1 if node.at is None else node.at
    c.touch(i, {int(row["a"])})


def _wait_event(c: _Compiler, i: int, node: WaitEvent, row: Any) -> None:
    row["op"], row["cond"] = Op.WAIT_EVENT, c.graph(node.where, 1, 0)
    c.events.add(node.event)
    if node.timeout is not None:
        row["flags"] = FLAG_TIMEOUT
        row["months"], row["days"], row["ms"] = duration_fields(node.timeout)
    if node.message is not None:
        row["b"] = c.index[node.message]
    if node.entry:
        c.trigger(i, TriggerKind.EVENT, node.event, int(row["cond"]))


def _wait_any(c: _Compiler, i: int, node: WaitAny, row: Any) -> None:
    row["op"], row["x"], row["flags"] = Op.WAIT_EVENT, len(c.listens), FLAG_SEVERAL
    for each in node.events.values():
        c.events.add(each.event)
        c.listens.append((each.event, c.graph(each.where, 1, 0)))
    _timeout(node, row)


def _wait_condition(c: _Compiler, i: int, node: WaitCondition, row: Any) -> None:
    row["op"], row["flags"] = Op.WAIT_EVENT, FLAG_NOW
    row["x"] = c.turning(i, node.if_, met_event(c.flow_id(i)))
    _timeout(node, row)
    c.touch(i, c.reads(node.if_)[0])


def _timeout(node: WaitAny | WaitCondition, row: Any) -> None:
    if node.timeout is not None:
        row["flags"] |= FLAG_TIMEOUT
        row["months"], row["days"], row["ms"] = duration_fields(node.timeout)


def _wait_slot(c: _Compiler, i: int, node: WaitSlot, row: Any) -> None:
    row["op"], row["a"], row["b"] = Op.WAIT_SLOT, len(c.slots), len(node.slots)
    c.slots += [(s.weekday_mask, s.from_, s.until) for s in node.slots]
    row["ms"] = 0 if node.spread is None else fixed_ms(node.spread)


def _split(c: _Compiler, i: int, node: Split | ABTest, row: Any) -> None:
    row["op"], row["a"] = Op.SPLIT, len(c.weights)
    row["flags"] = FLAG_STICKY if node.sticky else 0
    c.weights += np.cumsum(list(node.branches.values())).tolist()


def _ab_test(c: _Compiler, i: int, node: ABTest, row: Any) -> None:
    _split(c, i, node, row)
    row["b"] = c.watch(node.target, len(node.branches), len(c.watches))


def _take_coupon(c: _Compiler, i: int, node: TakeCoupon, row: Any) -> None:
    row["op"] = Op.CLAIM


def _send(c: _Compiler, i: int, node: Send, row: Any) -> None:
    row["op"], row["a"] = Op.SEND, CHANNELS.index(node.channel)
    row["x"] = len(c.guards)
    c.guards += [c.graph(guard.if_, 1, 0) for guard in node.guards]
    c.touch(i, {column for guard in node.guards for column in c.reads(guard.if_)[0]})


def _write(family: str, attribute: str, op: Op) -> Callable[[_Compiler, int, Any, Any], None]:
    def lower(c: _Compiler, i: int, node: Any, row: Any) -> None:
        row["op"], row["a"] = op, c.column(family, getattr(node, attribute))
        c.written.add(int(row["a"]))

    return lower


def _end(c: _Compiler, i: int, node: End, row: Any) -> None:
    row["op"], row["flags"] = Op.END, FLAG_WHOLE if node.whole_flow else 0


_LOWER: dict[type[NodeBase], Callable[[_Compiler, int, Any, Any], None]] = {
    OnEvent: _on_event,
    OnSegment: _on_segment,
    OnSchedule: _on_schedule,
    ConditionNode: _condition,
    BranchAttribute: _branch_attribute,
    BranchTag: _branch_tag,
    Wait: _wait,
    WaitUntil: _wait_until,
    WaitDate: _wait_date,
    WaitEvent: _wait_event,
    WaitAny: _wait_any,
    WaitCondition: _wait_condition,
    WaitSlot: _wait_slot,
    Split: _split,
    ABTest: _ab_test,
    TakeCoupon: _take_coupon,
    Send: _send,
    AddTag: _write("tag", "tag", Op.SET),
    RemoveTag: _write("tag", "tag", Op.SET),
    SetAttribute: _write("attribute", "attribute", Op.SET),
    AddToAttribute: _write("attribute", "attribute", Op.ADD),
    AddToGroup: _write("group", "group", Op.SET),
    RemoveFromGroup: _write("group", "group", Op.SET),
    End: _end,
}
