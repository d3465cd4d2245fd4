"""Check a bound program before a machine trusts it: every index and every length.

The compiled loops check no bounds. A program that was compiled and bound here always passes; one
that was damaged or made by hand is refused with a ValueError that names the array.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from core.binding_inputs import CHUNK_ROWS
from core.binding_internals import FIRES
from core.conditions import PERIODS
from core.counters import HOUR_MS
from core.couplings import Grants, PoolSpec, TrialSpec
from core.duration import DAY_MS, DURATION_YEARS_MAX
from core.limits import WEIGHT_TOTAL
from core.nodes import CHANNELS
from core.outcomes import Outcome
from core.passage import are_joint, routes_of
from core.program import (
    EVENT_WAITED,
    FLAG_JOINT,
    FLAG_NOW,
    FLAG_SEVERAL,
    FLAG_TIMEOUT,
    Op,
    Pred,
    Source,
    Store,
    TriggerKind,
)
from core.responses import DELAY_MS_MAX

if TYPE_CHECKING:
    from core.binding import Bound

DRAWS_MAX = 128
IDENT_BYTES_MAX = 4096
TIME_MS_MAX = 2**61  # a time and any duration make a time that fits in 64 bits
SPAN_MS_MAX = DURATION_YEARS_MAX * 366 * DAY_MS
ZONE_OFFSET_MS_MAX = 26 * 3_600_000
STEP_BUDGET_MAX = 2**31 - 1


def _within(name: str, values: Any, low: int, high: int) -> None:
    """Refuse unless low <= values < high throughout."""
    array = np.asarray(values)
    if array.size and (array.min() < low or array.max() >= high):
        raise ValueError(
            f"{name} must lie in [{low}, {high}), found {array.min()} to {array.max()}"
        )


def _offsets(name: str, values: Any, size: int, end: int) -> None:
    """Refuse unless `values` are `size` + 1 rising offsets from 0 to at most `end`."""
    array = np.asarray(values)
    if len(array) != size + 1 or array[0] != 0 or array[-1] > end or np.any(np.diff(array) < 0):
        raise ValueError(f"{name} must be {size + 1} rising offsets from 0 to at most {end}")


def _times(name: str, values: Any) -> None:
    """Refuse times to which a duration can't be added."""
    _within(name, values, -TIME_MS_MAX, TIME_MS_MAX + 1)


def _rising(name: str, values: Any, offsets: Any) -> None:
    """Refuse values that fall within one of the runs that begin at `offsets`."""
    falls = values[1:] < values[:-1]
    falls[offsets[(offsets > 0) & (offsets < len(values))] - 1] = False
    if np.any(falls):
        raise ValueError(f"{name} must not fall within a run")


def _length(name: str, array: Any, size: int) -> None:
    if len(array) != size:
        raise ValueError(f"{name} has {len(array)} rows, {size} were promised")


def check_bound(bound: Bound) -> None:
    """Refuse a bound program with an index out of range or an array too short: ValueError.

    One that has passed is not looked at again: it takes as long as a quarter of a run.
    """
    if bound.checked:
        return
    _check_run(bound)
    _check_graph(bound)
    _check_passage(bound)
    _check_preds(bound)
    _check_nodes(bound)
    _check_inputs(bound)
    _check_columns(bound)
    _check_responses(bound)
    _check_triggers(bound)
    _check_couplings(bound)
    bound.checked = True


def _check_run(bound: Bound) -> None:
    options = bound.options
    for name, ms in (
        ("options.from_ms", options.from_ms),
        ("options.horizon_ms", options.horizon_ms),
        ("entry_from_ms", bound.entry_from_ms),
        ("entry_until_ms", bound.entry_until_ms),
    ):
        _times(name, ms)
    if options.horizon_ms < options.from_ms:
        raise ValueError("the horizon lies before the window")
    if bound.hours != -(-(options.horizon_ms - options.from_ms) // HOUR_MS):
        raise ValueError("hours must be those from the start to the horizon")
    if bound.entry_until_ms > options.horizon_ms or bound.entry_from_ms < options.from_ms:
        raise ValueError("the entry window must lie within [from, horizon)")
    _within("step_budget", options.step_budget, 0, STEP_BUDGET_MAX + 1)
    _within("gap_ms", bound.gap_ms, -1, SPAN_MS_MAX + 1)
    _within("policy", bound.policy, 0, 3)
    _within("key_property", bound.key_property, -1, len(bound.program.properties))


def _check_graph(bound: Bound) -> None:
    nodes, program = bound.nodes, bound.program
    if len(nodes) == 0:
        raise ValueError("a program needs at least one node")
    _length("nodes", nodes, len(program.node_ids))
    _within("nodes.op", nodes["op"], 0, len(Op))
    _within("nodes.ports", nodes["ports"], 0, len(program.ports) + 1)
    _within(
        "nodes.port0", nodes["port0"].astype(np.int64) + nodes["ports"], 0, len(program.ports) + 1
    )
    _within("nodes.port0", nodes["port0"], 0, len(program.ports) + 1)
    ports = program.ports
    _within("ports.edges", ports["edges"], 0, len(program.edges) + 1)
    _within("ports.edge0", ports["edge0"], 0, len(program.edges) + 1)
    _within(
        "ports.edge0", ports["edge0"].astype(np.int64) + ports["edges"], 0, len(program.edges) + 1
    )
    _within("ports.outcome", ports["outcome"], min(Outcome), 1)
    _within("edges", program.edges, 0, len(nodes))
    if np.any(nodes["op"][program.edges] == Op.TRIGGER):
        raise ValueError("an edge leads to a trigger")
    base = np.cumsum(nodes["ports"]) - nodes["ports"]
    if np.any(base != nodes["port0"]) or int(nodes["ports"].sum()) != len(ports):
        raise ValueError("ports must stand in the order of their nodes")
    expected = np.array([len(n.ports) for n in program.flow.nodes.values()])
    if np.any(expected != nodes["ports"]):
        raise ValueError("a node's number of ports differs from its document's")


def _check_passage(bound: Bound) -> None:
    passage, nodes, ports = bound.passage, bound.nodes, bound.program.ports
    if not np.array_equal(np.sort(passage.order), np.arange(len(nodes))):
        raise ValueError("passage.order must name each node once")
    if not np.array_equal(passage.routes, routes_of(ports, bound.program.edges)):
        raise ValueError("passage.routes must be the ports' only edges")
    joint = nodes[(nodes["flags"] & FLAG_JOINT) != 0]
    for port0, count in zip(joint["port0"].tolist(), joint["ports"].tolist(), strict=True):
        if not are_joint(passage.routes[port0 : port0 + count]):
            raise ValueError("a node whose ports part is marked as joint")


def _check_preds(bound: Bound) -> None:
    preds, program = bound.preds, bound.program
    n = len(preds)
    _within("preds.op", preds["op"], 0, len(Pred))
    _within("preds.source", preds["source"], 0, len(Source))
    result_min = -1 - max(1, len(program.ports))
    for name in ("on_true", "on_false"):
        _within(f"preds.{name}", preds[name], result_min, n)
        forward = (preds[name] < 0) | (preds[name] > np.arange(n))
        if not np.all(forward):
            raise ValueError(f"preds.{name} must lead forward, so that every graph ends")
    history = preds["op"] == Pred.HISTORY
    spans = preds["lo"][history & (preds["lo"] != np.iinfo(np.int64).max)]
    _within("preds.lo of HISTORY", spans, 1, SPAN_MS_MAX + 1)
    _within("preds.hi of HISTORY", preds["hi"][history], 0, len(PERIODS) + 1)
    moving = np.isin(preds["op"], (Pred.LAST, Pred.NEXT, Pred.OLDER))
    _within("preds.lo of a time", preds["lo"][moving], 0, SPAN_MS_MAX + 1)
    yearly = preds[preds["op"] == Pred.ANNIVERSARY]
    _within("preds.lo of ANNIVERSARY", yearly["lo"], -366, 367)
    _within("preds.hi of ANNIVERSARY", yearly["hi"], -1, DAY_MS)
    clock = preds[preds["op"] == Pred.CLOCK]
    _within("preds.lo of CLOCK", clock["lo"], 0, len(bound.slots) + 1)
    _within("preds.hi of CLOCK", clock["hi"], 1, len(bound.slots) + 1)
    _within("preds.lo of CLOCK", clock["lo"] + clock["hi"], 0, len(bound.slots) + 1)
    _within("preds.col2 of HISTORY", preds["col2"][history], 0, len(program.histories))
    _within("preds.source2 of HISTORY", preds["source2"][history], -1, n)
    _check_filter(bound, preds["source2"][history])
    plain = preds[~history & (preds["op"] != Pred.CLOCK)]
    mine = plain["source"] == Source.CUSTOMER
    _within("preds.col", plain["col"][mine], 0, len(program.columns))
    _within("preds.col", plain["col"][~mine], 0, len(program.properties))
    held = [*bound.columns.customer], [*bound.columns.property]
    typed = (Pred.TABLE, Pred.RANGE, Pred.IN, Pred.RANGE_FLOAT, Pred.IN_FLOAT, Pred.COMPARE)
    for pred in plain[np.isin(plain["op"], typed)]:
        column = held[0 if pred["source"] == Source.CUSTOMER else 1][pred["col"]]
        if pred["store"] != bound.columns.store(column):
            raise ValueError("preds.store differs from its column's")
    if np.any(plain["store"][plain["op"] == Pred.TABLE] != Store.INT32):
        raise ValueError("a table of texts needs a column of texts")
    compare = plain[plain["op"] == Pred.COMPARE]
    _within("preds.col2 of COMPARE", compare["col2"], 0, len(program.properties))
    _within("preds.source2 of COMPARE", compare["source2"], Source.EVENT, Source.ENTRY + 1)
    for op, pool in (
        (Pred.TABLE, bound.pred_bytes),
        (Pred.IN, bound.sets),
        (Pred.IN_FLOAT, bound.float_sets),
    ):
        runs = plain[plain["op"] == op]
        _within(f"preds.lo of {op.name}", runs["lo"], 0, len(pool) + 1)
        _within(f"preds.hi of {op.name}", runs["hi"], 0, len(pool) + 1)
        _within(f"preds.lo of {op.name}", runs["lo"] + runs["hi"], 0, len(pool) + 1)


def _reached(bound: Bound, starts: Any) -> Any:
    """The predicates that graphs beginning at `starts` may walk."""
    preds = bound.preds
    seen: set[int] = set()
    stack = [int(s) for s in starts if s >= 0]
    while stack:
        at = stack.pop()
        if at not in seen:
            seen.add(at)
            stack += [
                int(preds[at][name]) for name in ("on_true", "on_false") if preds[at][name] >= 0
            ]
    return np.array(sorted(seen), np.int64)


def _check_filter(bound: Bound, starts: Any) -> None:
    """Refuse filters of events that look back at history or at the clock; only conditions may."""
    if np.any(bound.preds["op"][_reached(bound, starts)] >= Pred.HISTORY):
        raise ValueError("a filter must not look back at history, nor at the clock")


def _results(bound: Bound, starts: Any, size: int, name: str) -> None:
    """Refuse a graph with a result beyond `size`."""
    reached = _reached(bound, starts)
    for field in ("on_true", "on_false"):
        results = -1 - bound.preds[field][reached]
        _within(f"results of {name}", results[results >= 0], 0, size)


def _check_nodes(bound: Bound) -> None:
    nodes, program = bound.nodes, bound.program
    op = nodes["op"]
    columns = len(program.columns)
    _within("nodes.cond", nodes["cond"], -1, len(bound.preds))
    for i in np.flatnonzero(op == Op.DECIDE):
        _results(bound, [nodes[i]["cond"]], int(nodes[i]["ports"]), f"node {i}")
        if nodes[i]["cond"] < 0:
            raise ValueError(f"node {i} decides by no condition")
    for i in np.flatnonzero(np.isin(op, (Op.WAIT_FOR, Op.WAIT_AT, Op.WAIT_SLOT, Op.SET, Op.ADD))):
        if nodes[i]["ports"] != 1:
            raise ValueError(f"node {i} needs exactly one port")
    single = (op == Op.WAIT_EVENT) & (nodes["flags"] & FLAG_SEVERAL == 0)
    two = (op == Op.WAIT_DATE) | (single & (nodes["flags"] & FLAG_TIMEOUT != 0))
    _within("nodes.ports of a wait with a way out", nodes["ports"][two], 2, 3)
    _within("nodes.ports of a wait", nodes["ports"][single], 1, 3)
    _check_internals(bound)
    months_max = DURATION_YEARS_MAX * 12
    _within("nodes.months", nodes["months"], -months_max, months_max + 1)
    _within("nodes.days", nodes["days"], -months_max * 31, months_max * 31 + 1)
    _within("nodes.ms", nodes["ms"], -SPAN_MS_MAX, SPAN_MS_MAX + 1)
    _times("nodes.x (instant)", nodes["x"][op == Op.WAIT_AT])
    _within("nodes.x (time of day)", nodes["x"][op == Op.WAIT_DATE], -1, DAY_MS + 1)
    for kinds in (Op.VALUE, Op.WAIT_DATE, Op.SET, Op.ADD):
        _within("nodes.a (column)", nodes["a"][op == kinds], 0, columns)
    for i in np.flatnonzero(np.isin(op, (Op.SET, Op.ADD))):
        if not bound.columns.written[int(nodes[i]["a"])]:
            raise ValueError(f"node {i} writes a column that is not copied for each block")
    values = bound.values
    _within("nodes.b (values)", nodes["b"][op == Op.VALUE], 0, len(values.tables))
    tables = values.tables
    _within(
        "values.start", tables["start"].astype(np.int64) + tables["size"], 0, len(values.ports) + 1
    )
    _within("values.start", tables["start"], 0, len(values.ports) + 1)
    _within("values.size", tables["size"], 0, len(values.ports) + 1)
    _length("values.keys", values.keys, len(values.ports))
    for node in nodes[op == Op.VALUE]:
        table = tables[node["b"]]
        run = values.ports[table["start"] : table["start"] + table["size"]]
        _within("values.ports", run, 0, int(node["ports"]))
        _within("values.other", table["other"], 0, int(node["ports"]))
        if table["store"] != bound.columns.store(bound.columns.customer[int(node["a"])]):
            raise ValueError("values.store differs from its column's")
    _within("nodes.a (event)", nodes["a"][op == Op.WAIT_EVENT], 0, len(program.events))
    _within("nodes.b (message)", nodes["b"][op == Op.WAIT_EVENT], -1, len(nodes))
    _check_filter(bound, nodes["cond"][op == Op.WAIT_EVENT])
    if bound.slots.ndim != 2 or bound.slots.shape[1] != 3:
        raise ValueError("slots must be rows of weekdays, from and until")
    _within("slots.days", bound.slots[:, 0], 0, 128)
    _within("slots", bound.slots[:, 1:], 0, DAY_MS + 1)
    _within("nodes.a (slots)", nodes["a"][op == Op.WAIT_SLOT], 0, len(bound.slots) + 1)
    slots = nodes[op == Op.WAIT_SLOT]
    _within("nodes.b (slots)", slots["b"], 1, len(bound.slots) + 1)
    _within("nodes.a (slots)", slots["a"] + slots["b"], 0, len(bound.slots) + 1)
    _within("nodes.a (channel)", nodes["a"][op == Op.SEND], 0, len(CHANNELS))
    _within("nodes.b (send)", nodes["b"][op == Op.SEND], 0, len(bound.responses.sends) - 1)
    _within("visit_slots", program.visit_slots, 0, len(nodes) + 1)
    _within("nodes.slot", nodes["slot"], -1, program.visit_slots)
    _check_splits(bound)


def _check_internals(bound: Bound) -> None:
    """Refuse what a program makes happen, waits for in groups or is guarded by out of range."""
    nodes, program, own = bound.nodes, bound.program, bound.internals
    events, preds = len(program.events), len(bound.preds)
    _within("internals.events", own.events["event"], 0, events)
    _within("nodes.fires", nodes["fires"], -1, len(own.events))
    _within("triggers.fires", bound.triggers["fires"], -1, len(own.events))
    if own.column_fires.shape != (len(program.columns), FIRES):
        raise ValueError("internals.column_fires must have a row for each column")
    _within("internals.column_fires", own.column_fires, -1, max(2, len(own.events)))
    _within("internals.column_fires", own.column_fires[:, :-1], -1, len(own.events))
    _length("internals.column_watched", own.column_watched, len(program.columns))
    for name, rows in (("listens", own.listens), ("exits", own.exits)):
        _within(f"internals.{name}.event", rows["event"], 0, events)
        _within(f"internals.{name}.cond", rows["cond"], -1, preds)
        _check_filter(bound, rows["cond"])
    _within("internals.guards", own.guards, 0, preds)
    for guard in own.guards:
        _results(bound, [guard], 2, "a guard")
    if len(bound.responses.constants) != len(bound.responses.draws) + len(own.events):
        raise ValueError("responses.constants must have a row for each draw and internal event")
    _length("internals.listeners", own.listeners, events)
    _within("internals.listeners", own.listeners, -1, own.lists)
    waited = own.listeners[bound.events["flags"] & EVENT_WAITED != 0]
    _within("internals.listeners", waited, 0, own.lists)
    sends = nodes[nodes["op"] == Op.SEND]
    _within("nodes.ports of a send", sends["ports"], 1, len(program.ports) + 1)
    _within("nodes.x (guards)", sends["x"], 0, len(own.guards) + 1)
    _within("nodes.x (guards)", sends["x"] + sends["ports"] - 1, 0, len(own.guards) + 1)
    waits = nodes[nodes["op"] == Op.WAIT_EVENT]
    several = waits[waits["flags"] & FLAG_SEVERAL != 0]
    own_ports = several["ports"] - (several["flags"] & FLAG_TIMEOUT != 0)
    _within("nodes.x (listens)", several["x"], 0, len(own.listens))
    _within("nodes.x (listens)", several["x"] + own_ports, 1, len(own.listens) + 1)
    _within("nodes.ports of a wait for several", own_ports, 1, 256)
    for row in several:
        heard = own.listens["event"][row["x"] : row["x"] + row["ports"]]
        if np.any(own.listeners[[row["a"], heard[0]]] != own.listeners[heard[0]]):
            raise ValueError("those that wait for several events are in one list")
    now = waits[waits["flags"] & FLAG_NOW != 0]
    _within("nodes.x (condition)", now["x"], 0, preds)
    for row in now:
        _results(bound, [row["x"]], 2, "a wait's condition")
    _within("holdout_points", own.holdout_points, 0, WEIGHT_TOTAL + 1)


def _check_splits(bound: Bound) -> None:
    splits, program = bound.nodes[bound.nodes["op"] == Op.SPLIT], bound.program
    weights = program.weights
    _within("nodes.b (watch)", splits["b"], -1, len(bound.watches))
    _within("nodes.a (weights)", splits["a"], 0, len(weights) + 1)
    _within("nodes.a (weights)", splits["a"] + splits["ports"], 1, len(weights) + 1)
    for split in splits:
        run = weights[split["a"] : split["a"] + split["ports"]]
        if len(run) == 0 or run[-1] != WEIGHT_TOTAL or np.any(np.diff(run) < 0) or run[0] < 0:
            raise ValueError("the weights of a split must rise to 10,000")
    watching = splits[splits["b"] >= 0]
    watches = bound.watches[watching["b"]]
    _within("watches.test of a split", watches["test"], 0, max(1, len(program.flow.tests)))
    ends = watches["counter0"].astype(np.int64) + watching["ports"]
    _within("watches.counter0 of a split", ends, 0, _watch_counters(bound) + 1)


def _watch_counters(bound: Bound) -> int:
    """How many counters the success watches have."""
    return bound.program.flow.watches


def _check_inputs(bound: Bound) -> None:
    inputs, audience, zones = bound.inputs, bound.audience, bound.zones
    n, m = audience.customers, len(inputs.type)
    _offsets("inputs.offsets", inputs.offsets, n, m)
    if inputs.offsets[-1] != m:
        raise ValueError("inputs.offsets must end at the number of rows")
    columns = len(bound.program.columns)
    _within("inputs.type", inputs.type, -columns, max(1, len(bound.program.events)))
    if np.any(inputs.type < 0):
        _length("inputs.value", inputs.value, m)
        changed = np.unique(-1 - inputs.type[inputs.type < 0])
        if not all(bound.columns.written[int(c)] for c in changed):
            raise ValueError("a changed column is not copied for each block")
    for name, array in (("ms", inputs.ms), ("hash", inputs.hash)):
        _length(f"inputs.{name}", array, m)
    if bound.program.histories:
        _length("inputs.previous", inputs.previous, m)
        for first in range(0, m, CHUNK_ROWS):
            rows = inputs.previous[first : first + CHUNK_ROWS]
            if np.any(rows >= np.arange(first, first + len(rows))) or np.any(rows < -1):
                raise ValueError("inputs.previous must lead backward")
    _rising("inputs.ms", inputs.ms, inputs.offsets)
    _times("inputs.ms", inputs.ms)
    _length("id_hash", audience.id_hash, n)
    _length("created_ms", audience.created_ms, n)
    _length("zones.of_customer", zones.of_customer, n)
    _within("zones.of_customer", zones.of_customer, 0, len(zones.tables))
    _offsets("zones.offsets", zones.offsets, len(zones.tables), len(zones.utc_ms))
    if np.any(np.diff(zones.offsets) < 1):
        raise ValueError("a zone needs at least one row")
    _length("zones.offset_ms", zones.offset_ms, len(zones.utc_ms))
    _within("zones.offset_ms", zones.offset_ms, -ZONE_OFFSET_MS_MAX, ZONE_OFFSET_MS_MAX + 1)
    _within("zones.utc_ms", zones.utc_ms, -(2**62), 2**62 + 1)


def _check_columns(bound: Bound) -> None:
    columns, program = bound.columns, bound.program
    _length("columns.customer", columns.customer, len(program.columns))
    _length("columns.property", columns.property, len(program.properties))
    for column in columns.customer:
        _length("a customer column", column.values, bound.customers)
    for column in columns.property:
        _length("a property column", column.values, len(bound.inputs.type))
    for changed in columns.changed:
        if changed is not None:
            _length("columns.changed", changed, bound.customers)
    _offsets("touch_offsets", bound.touch_offsets, len(bound.nodes), len(bound.touch_columns))
    _within("touch_columns", bound.touch_columns, 0, len(program.columns))
    words = (len(bound.nodes) + 63) // 64
    if bound.layers.shape != (len(program.layers), words):
        raise ValueError("layers must have a bit for each node")


def _check_responses(bound: Bound) -> None:
    r, program = bound.responses, bound.program
    _offsets("responses.sends", r.sends, len(r.sends) - 1, len(r.rules))
    _within("rules.cond", r.rules["cond"], -1, len(bound.preds))
    _within("rules.draws", r.rules["draws"], 0, DRAWS_MAX)
    _within("rules.draw0", r.rules["draw0"], 0, len(r.draws) + 1)
    _within(
        "rules.draw0", r.rules["draw0"].astype(np.int64) + r.rules["draws"], 0, len(r.draws) + 1
    )
    for rule in r.rules:
        parents = r.draws["parent"][rule["draw0"] : rule["draw0"] + rule["draws"]]
        if np.any(parents >= np.arange(len(parents))):
            raise ValueError("draws.parent must be earlier in its rule")
    _within("draws.parent", r.draws["parent"], -1, DRAWS_MAX)
    _within("draws.outcome", r.draws["outcome"], 0, r.outcomes)
    _within("draws.event", r.draws["event"], -1, len(program.events))
    _within("draws.table", r.draws["table"], 0, len(r.delays))
    _within("draws.constants", r.draws["constants"], 0, len(r.constants))
    _within("draws.ident", r.draws["ident"], 0, len(r.ident_offsets) - 1)
    _offsets("responses.ident_offsets", r.ident_offsets, len(r.ident_offsets) - 1, len(r.idents))
    _within("identities", np.diff(r.ident_offsets), 36, IDENT_BYTES_MAX + 1)
    if r.constants.shape != r.known.shape or r.constants.shape[1] != len(program.properties):
        raise ValueError("responses.constants must have a column for each property")
    if r.delays.shape[1:] != (2, 4097):
        raise ValueError("responses.delays must be [t, 2, 4097]")
    _within("responses.delays", r.delays, 1, DELAY_MS_MAX + 1)


def _check_couplings(bound: Bound) -> None:
    couplings, nodes = bound.couplings, bound.nodes
    specs = couplings.specs
    _within("couplings.gate", couplings.gate, -1, len(specs))
    _length("couplings.resources", couplings.resources, len(nodes))
    _length("couplings.trials", couplings.trials, len(bound.watches))
    _within("couplings.resources", couplings.resources, -1, len(specs))
    _within("couplings.trials", couplings.trials, -1, len(specs))
    for node, resource in zip(nodes, couplings.resources.tolist(), strict=True):
        spec = specs[resource] if resource >= 0 else None
        if (node["op"] == Op.CLAIM) != isinstance(spec, PoolSpec):
            raise ValueError("a coupon needs a pool, and nothing else has one")
        if node["op"] == Op.CLAIM and node["ports"] != 2:
            raise ValueError("a coupon is taken or sold out")
        if isinstance(spec, TrialSpec) and (
            node["op"] != Op.SPLIT or node["ports"] != spec.branches
        ):
            raise ValueError("a trial is of a test with as many branches")
    if bound.grants is not None:
        check_grants(bound, bound.grants)


def check_grants(bound: Bound, grants: Grants) -> None:
    """Refuse grants that are not of this run's customers, resources and branches: ValueError."""
    specs = bound.couplings.specs
    _offsets("grants.offsets", grants.offsets, bound.customers, len(grants.answers))
    _within("grants.answers", grants.answers["result"], 0, 2)
    _within("grants.decisions", grants.decisions["resource"], 0, len(specs))
    for decision in grants.decisions:
        spec = specs[decision["resource"]]
        if not isinstance(spec, TrialSpec):
            raise ValueError("a decision is about a test that ends")
        _within("grants.decisions", decision["branch"], 0, spec.branches)


def _check_triggers(bound: Bound) -> None:
    triggers, program = bound.triggers, bound.program
    _within("triggers.node", triggers["node"], 0, len(bound.nodes))
    _within("triggers.kind", triggers["kind"], 0, len(TriggerKind))
    _within("triggers.cond", triggers["cond"], -1, len(bound.preds))
    _within("triggers.cond_end", triggers["cond_end"], 0, len(bound.preds) + 1)
    entering = triggers["node"][triggers["fires"] < 0]
    if np.any(bound.nodes["ports"][entering] < 1):
        raise ValueError("a trigger's node needs a port")
    segment = triggers[triggers["kind"] == TriggerKind.SEGMENT]
    if np.any(segment["cond"] < 0):
        raise ValueError("a segment trigger needs a condition")
    _length("events", bound.events, len(program.events))
    _within("events.history", bound.events["history"], -1, len(program.histories))
    _within("events.trigger0", bound.events["trigger0"], 0, len(bound.event_triggers) + 1)
    _within("events.triggers", bound.events["triggers"], 0, len(bound.event_triggers) + 1)
    ends = bound.events["trigger0"] + bound.events["triggers"]
    _within("events.trigger0", ends, 0, len(bound.event_triggers) + 1)
    _within("event_triggers", bound.event_triggers, 0, len(triggers))
    if np.any(triggers["kind"][bound.event_triggers] != TriggerKind.EVENT):
        raise ValueError("event_triggers name triggers that no event fires")
    _check_filter(bound, triggers["cond"][bound.event_triggers])
    _check_filter(bound, bound.watches["cond"])
    _length("watches", bound.watches, len(program.watches))
    _within("watches.event", bound.watches["event"], 0, max(1, len(program.events)))
    _within("watches.cond", bound.watches["cond"], -1, len(bound.preds))
    _within("watches.within_ms", bound.watches["within_ms"], 0, SPAN_MS_MAX + 1)
    _within("watches.counter0", bound.watches["counter0"], 0, max(1, _watch_counters(bound)))
    _within("watches.test", bound.watches["test"], -1, max(1, len(program.flow.tests)))
    for start in [
        *bound.watches["cond"],
        *triggers["cond"],
        *bound.nodes["cond"][bound.nodes["op"] == Op.WAIT_EVENT],
    ]:
        _results(bound, [start], 2, "a condition")
    schedules = int(np.count_nonzero(triggers["kind"] == TriggerKind.SCHEDULE))
    _offsets(
        "schedule_offsets",
        bound.schedule_offsets,
        schedules * len(bound.zones.tables),
        len(bound.schedule_ms),
    )
    _rising("schedule_ms", bound.schedule_ms, bound.schedule_offsets)
    _within("schedule_ms", bound.schedule_ms, bound.options.from_ms, bound.options.horizon_ms + 1)
