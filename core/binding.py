"""Bind a program to an audience: names become columns, literals codes, zones tables, and ids keys.

The result, `Bound`, is nothing but arrays; the interpreter needs no other knowledge. Binding is
linear in the customers and events held and touches no Python object per customer or event.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from core.answers import ANSWERS
from core.audience import INT64_MIN, Audience, Column
from core.binding_check import check_grants
from core.binding_columns import Columns, bind_columns
from core.binding_couplings import BoundCouplings, bind_couplings
from core.binding_inputs import Inputs, bind_inputs
from core.binding_internals import BoundInternals, bind_internals, waited_events
from core.binding_preds import bind_preds, held_bits, literal_bits
from core.binding_responses import BoundResponses, bind_responses
from core.binding_zones import Zones, bind_zones, literal_ms
from core.conditions import Scalar
from core.counters import HOUR_MS
from core.couplings import Grants
from core.duration import fixed_ms
from core.nodes import (
    WEEKDAYS,
    AddToAttribute,
    BranchAttribute,
    NodeBase,
    OnSchedule,
    RemoveFromGroup,
    RemoveTag,
    Send,
    SetAttribute,
    WaitUntil,
)
from core.options import RunOptions
from core.passage import Passage, passage_of
from core.philox import assign_key, jitter_key
from core.program import (
    EVENT,
    EVENT_EXITS,
    EVENT_SEGMENT,
    EVENT_WAITED,
    EVENT_WATCHED,
    FLAG_FLOAT,
    FLAG_LOCAL,
    FLAG_SEGMENT,
    FLAG_TOUCH,
    WATCH,
    Op,
    Pred,
    Program,
    Source,
    Store,
    TriggerKind,
)
from core.schedule import occurrences
from core.zone_tables import ZoneTables
from core.zones import ZoneTable, utc_to_local

DAY_MS = 86_400_000
POLICIES = ("once", "after_exit", "always")

VALUE_TABLE = np.dtype(
    [("store", "i4"), ("start", "i4"), ("size", "i4"), ("other", "i4")], align=True
)
"""Ports of values: of dictionary codes, else of the sorted `keys[start : start + size]`.

`other` of the rest.
"""


@dataclass(slots=True)
class Values:
    """The tables of VALUE nodes.

    `tables` (VALUE_TABLE), `keys` int64[] (doubles by their bits), `ports` int32[].
    """

    tables: NDArray[np.void]
    keys: NDArray[np.int64]
    ports: NDArray[np.int32]


@dataclass(slots=True)
class Bound:
    """A program bound to an audience and a run; see `core.program` for the record layouts.

    `event_triggers` int32[]: triggers by event type. `slots` int64[s, 3]: weekday mask, from,
    until. `schedule_offsets` int64[schedules * zones + 1] into `schedule_ms`: the times of schedule
    s in zone z. `layers` uint64[l, words]: the nodes of each funnel layer as bits. `touch_offsets`
    int32[n + 1] into `touch_columns`. `entry_from_ms`, `entry_until_ms`: the entry window. `hours`:
    hours from the start to the horizon. `grants`: what claims are answered, where customers depend
    on each other. `checked`: whether `check_bound` has passed it; whoever
    changes an array after that must reset it.
    """

    program: Program
    audience: Audience
    options: RunOptions
    nodes: NDArray[np.void]
    preds: NDArray[np.void]
    pred_bytes: NDArray[np.uint8]
    sets: NDArray[np.int64]
    float_sets: NDArray[np.float64]
    values: Values
    triggers: NDArray[np.void]
    events: NDArray[np.void]
    event_triggers: NDArray[np.int32]
    watches: NDArray[np.void]
    slots: NDArray[np.int64]
    columns: Columns
    inputs: Inputs
    zones: Zones
    schedule_offsets: NDArray[np.int64]
    schedule_ms: NDArray[np.int64]
    responses: BoundResponses
    layers: NDArray[np.uint64]
    touch_offsets: NDArray[np.int32]
    touch_columns: NDArray[np.int32]
    passage: Passage
    entry_from_ms: int
    entry_until_ms: int
    as_of_ms: int
    policy: int
    gap_ms: int
    key_property: int
    answers_property: int
    hours: int
    couplings: BoundCouplings
    internals: BoundInternals
    grants: Grants | None = None
    checked: bool = field(default=False, init=False, compare=False)

    @property
    def customers(self) -> int:
        """The number of customers."""
        return self.audience.customers

    @property
    def keeps_rows(self) -> bool:
        """Whether rows of events are asked for after the moment in which they happen."""
        entered = np.any(self.preds["source"] == Source.ENTRY)
        compared = np.any(self.preds["op"] == Pred.COMPARE)
        shown = any(isinstance(n, Send) and n.of_entry for n in self.program.flow.nodes.values())
        return bool(self.program.histories or entered or compared or shown)

    def replicate(self, number: int) -> Bound:
        """The same run with the draws of replicate `number`.

        All arrays but the draws are shared.
        """
        options = replace(self.options, replicate=number)
        drawn = replace(
            self, options=options, responses=self.responses.rekeyed(self.program, options)
        )
        drawn.checked = self.checked
        return drawn

    def granted(self, grants: Grants) -> Bound:
        """The same run with what its claims are answered. ValueError for grants of another run."""
        check_grants(self, grants)
        granted = replace(self, grants=grants)
        granted.checked = self.checked
        return granted


def bind(
    program: Program, audience: Audience, options: RunOptions, tables: ZoneTables | None = None
) -> Bound:
    """Bind `program` to `audience` for a run, under the zones of `tables`, else of the package.

    HeadraceError where a literal can't be compared with a column, or where the options state
    coupons of a pool that the flow doesn't have.
    """
    settings = program.flow.settings
    couplings = bind_couplings(program, options)
    zones = bind_zones(program, audience, options, tables)
    columns = bind_columns(program, audience)
    preds = bind_preds(program, columns, zones)
    start = literal_ms(settings.start, zones.flow) if settings.start else None
    stop = literal_ms(settings.stop, zones.flow) if settings.stop else None
    entry_from = options.from_ms if start is None else max(options.from_ms, start)
    entry_until = options.until_ms if stop is None else min(options.until_ms, stop)
    nodes, values = _nodes(program, columns, zones, options)
    passage = passage_of(program)
    nodes["flags"] |= passage.flags
    inputs = bind_inputs(program, audience, columns)
    events, event_triggers = _events(program)
    offsets, times = _schedules(program, zones, start, entry_from, entry_until)
    as_of = INT64_MIN if audience.as_of_ms is None else audience.as_of_ms
    touch_offsets, touch_columns = _touches(program, audience, nodes, as_of > options.from_ms)
    key = settings.reentry.key
    return Bound(
        program=program,
        audience=audience,
        options=options,
        nodes=nodes,
        preds=preds.records,
        pred_bytes=preds.bytes,
        sets=preds.sets,
        float_sets=preds.float_sets,
        values=values,
        triggers=program.triggers,
        events=events,
        event_triggers=event_triggers,
        watches=_watches(program),
        slots=np.array(program.slots, np.int64).reshape(-1, 3),
        columns=columns,
        inputs=inputs,
        zones=zones,
        schedule_offsets=offsets,
        schedule_ms=times,
        responses=bind_responses(program, columns, zones, options, nodes),
        layers=_layers(program),
        touch_offsets=touch_offsets,
        touch_columns=touch_columns,
        passage=passage,
        entry_from_ms=entry_from,
        entry_until_ms=entry_until,
        as_of_ms=as_of,
        policy=POLICIES.index(settings.reentry.policy),
        gap_ms=-1 if settings.reentry.gap is None else fixed_ms(settings.reentry.gap),
        key_property=-1 if key is None else program.properties.index(key),
        answers_property=_answers(program, columns),
        hours=hours_of(options),
        couplings=couplings,
        internals=bind_internals(program, columns, options, events),
    )


def _answers(program: Program, columns: Columns) -> int:
    """The property that says what an event answers; -1 where no wait asks, or it can't be one."""
    if ANSWERS not in program.properties:
        return -1
    number = program.properties.index(ANSWERS)
    return number if columns.property[number].kind == "int64" else -1


def hours_of(options: RunOptions) -> int:
    """The hours from the window's start to the horizon, the last begun one included."""
    return max(0, -(-(options.horizon_ms - options.from_ms) // HOUR_MS))


def _nodes(
    program: Program, columns: Columns, zones: Zones, options: RunOptions
) -> tuple[NDArray[np.void], Values]:
    nodes = program.nodes.copy()
    flow = program.flow
    tables: list[tuple[int, int, int, int]] = []
    keys: list[int] = []
    ports: list[int] = []
    for i, (node_id, node) in enumerate(flow.nodes.items()):
        row = nodes[i]
        op = int(row["op"])
        if op == Op.WAIT_SLOT:
            row["x"] = np.uint64(jitter_key(options.salt, flow.draws_as, node_id)).astype(np.int64)
        elif op == Op.SPLIT:
            row["x"] = np.uint64(assign_key(options.salt, flow.draws_as, node_id)).astype(np.int64)
        elif isinstance(node, WaitUntil):
            local, ms = _until(node, zones)
            row["flags"] |= FLAG_LOCAL if local else 0
            row["x"] = ms
        elif op == Op.WAIT_DATE:
            if columns.customer[int(row["a"])].kind == "date":
                row["flags"] |= FLAG_LOCAL
        elif isinstance(node, BranchAttribute):
            row["b"] = len(tables)
            tables.append(_value_table(node, columns.customer[int(row["a"])], zones, keys, ports))
        elif op in (Op.SET, Op.ADD):
            column = columns.customer[int(row["a"])]
            row["x"] = held_bits(column, _written(node), zones, f"node {node_id!r}")
            row["flags"] |= FLAG_FLOAT if column.kind == "float64" else 0
            row["flags"] |= FLAG_SEGMENT if int(row["a"]) in program.segment_columns else 0
    return nodes, Values(
        np.array(tables, VALUE_TABLE), np.array(keys, np.int64), np.array(ports, np.int32)
    )


def _written(node: NodeBase) -> Scalar:
    """The value that an action writes, or adds."""
    if isinstance(node, SetAttribute):
        return node.value
    if isinstance(node, AddToAttribute):
        return node.by
    return not isinstance(node, RemoveTag | RemoveFromGroup)


def _until(node: WaitUntil, zones: Zones) -> tuple[bool, int]:
    """Whether a wait's literal is local to the customer, and its ms (local, or UTC)."""
    text = node.at
    absolute = "T" in text and (text.endswith("Z") or text[-6] in "+-")
    if absolute or node.zone == "flow":
        return False, literal_ms(text, zones.flow)
    return True, literal_ms(text, None)


def _value_table(
    node: BranchAttribute, column: Column, zones: Zones, keys: list[int], ports: list[int]
) -> tuple[int, int, int, int]:
    other = len(node.branches)
    start = len(keys)
    port_of: dict[int, int] = {}
    for port, values in enumerate(node.branches.values()):
        for value in values:
            bits = literal_bits(column, value, zones, f"/nodes/*/branches ({node.attribute})")
            if bits is not None:
                port_of.setdefault(bits, port)
    if column.kind == "string":
        assert column.dictionary is not None
        table = [port_of.get(code, other) for code in range(len(column.dictionary))]
        keys += [0] * len(table)
        ports += table
        return Store.INT32, start, len(table), other
    by_key = sorted(
        port_of, key=(lambda b: np.int64(b).view(np.float64)) if column.kind == "float64" else None
    )
    keys += by_key
    ports += [port_of[k] for k in by_key]
    stores = {"bool": Store.INT8, "float64": Store.FLOAT64}
    return stores.get(column.kind, Store.INT64), start, len(by_key), other


def _events(program: Program) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    events = np.zeros(len(program.events), EVENT)
    number = {name: i for i, name in enumerate(program.events)}
    events["history"] = -1
    for h, name in enumerate(program.histories):
        events[number[name]]["history"] = h
    listed: list[int] = []
    of_event: dict[str | None, list[int]] = {}
    for t, event in enumerate(program.trigger_events):
        of_event.setdefault(event, []).append(t)
    for i, name in enumerate(program.events):
        mine = of_event.get(name, [])
        events[i]["trigger0"], events[i]["triggers"] = len(listed), len(mine)
        listed += mine
    for node_id, node in program.flow.nodes.items():
        for name in waited_events(node_id, node):
            events[number[name]]["flags"] |= EVENT_WAITED
    for name, _ in program.exits:
        events[number[name]]["flags"] |= EVENT_EXITS
    for watch in program.watches:
        events[number[watch.event]]["flags"] |= EVENT_WATCHED
    for name in program.segment_events:
        events[number[name]]["flags"] |= EVENT_SEGMENT
    return events, np.array(listed, np.int32)


def _watches(program: Program) -> NDArray[np.void]:
    watches = np.zeros(len(program.watches), WATCH)
    number = {name: i for i, name in enumerate(program.events)}
    for row, spec in zip(watches, program.watches, strict=True):
        row["event"] = number[spec.event]
        row["cond"], row["counter0"], row["test"] = spec.cond, spec.counter0, spec.test
        row["within_ms"] = spec.within_ms
    return watches


def _schedules(
    program: Program, zones: Zones, anchor_ms: int | None, from_ms: int, until_ms: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The times of each schedule trigger in each zone.

    A schedule on the flow's clock is alike in all zones.
    """
    runs: list[NDArray[np.int64]] = []
    for trigger in program.triggers:
        if trigger["kind"] != TriggerKind.SCHEDULE:
            continue
        node = program.flow.nodes[program.node_ids[int(trigger["node"])]]
        assert isinstance(node, OnSchedule)
        of_flow = (
            _times(node, zones.flow, anchor_ms, from_ms, until_ms) if node.zone == "flow" else None
        )
        for table in zones.tables:
            runs.append(
                _times(node, table, anchor_ms, from_ms, until_ms) if of_flow is None else of_flow
            )
    offsets = np.cumsum([0] + [len(run) for run in runs], dtype=np.int64)
    return offsets, np.concatenate(runs) if runs else np.zeros(0, np.int64)


def _times(
    node: OnSchedule, table: ZoneTable, anchor_ms: int | None, from_ms: int, until_ms: int
) -> NDArray[np.int64]:
    if until_ms <= from_ms:
        return np.zeros(0, np.int64)
    return occurrences(
        node.repeat,
        table=table,
        at_ms=node.at,
        date=None if node.date is None else int(np.datetime64(node.date, "D").astype(np.int64)),
        weekdays=sum(1 << WEEKDAYS.index(day) for day in set(node.weekdays or ())),
        month_days=tuple(node.days or ()),
        every=node.every,
        anchor_day=0 if anchor_ms is None else utc_to_local(table, anchor_ms) // DAY_MS,
        from_ms=from_ms,
        until_ms=until_ms,
    )


def _layers(program: Program) -> NDArray[np.uint64]:
    words = (len(program.node_ids) + 63) // 64
    layers = np.zeros((len(program.layers), words), np.uint64)
    for row, members in zip(layers, program.layers, strict=True):
        for node in members:
            row[node // 64] |= np.uint64(1 << (node % 64))
    return layers


def _touches(
    program: Program, audience: Audience, nodes: NDArray[np.void], dated_later: bool
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """For each node the columns whose exported value may be of a later date than its reading."""
    listed: dict[int, list[int]] = {}
    if dated_later:
        for node, columns in program.touches:
            mutable = [
                c
                for c in columns
                if program.columns[c].name in audience.attributes
                and program.columns[c].name not in audience.constants
            ]
            if mutable:
                listed[node] = mutable
                nodes[node]["flags"] |= FLAG_TOUCH
    offsets = np.zeros(len(nodes) + 1, np.int32)
    for node, mutable in listed.items():
        offsets[node + 1] = len(mutable)
    flat = [c for node in sorted(listed) for c in listed[node]]
    return np.cumsum(offsets, dtype=np.int32), np.array(flat, np.int32)
