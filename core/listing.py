"""Write a compiled program as text that an engineer can read and diff.

The listing shows what the interpreter really runs: columns, event types, nodes with their operation
and edges, and the predicates of every decision graph with where each answer leads.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.describe import describe, describe_condition
from core.nodes import NodeBase
from core.outcomes import Outcome
from core.program import Op, PredSpec, Program, Source, TriggerKind


def listing(program: Program) -> str:
    """The program as text, a line for each record, references as `@` and a number."""
    return "\n".join(_lines(program)) + "\n"


def _lines(program: Program) -> Iterator[str]:
    flow = program.flow
    yield f"flow {flow.flow}  draws as {flow.draws_as}  program format {program.format_version}"
    yield (
        f"{len(program.node_ids)} nodes, {len(program.edges)} edges, "
        f"{len(program.preds)} predicates, "
        f"{program.visit_slots} visit counters"
    )
    yield from _section("columns", [
        f"{c.family} {c.name}" + ("  written" if i in program.written else "")
        for i, c in enumerate(program.columns)
    ])  # fmt: skip
    yield from _section("event properties", program.properties)
    yield from _section("event types", [
        name + _look_back(program, name)
        for name in program.events
    ])  # fmt: skip
    yield from _section("triggers", [_trigger(program, t) for t in range(len(program.triggers))])
    yield from _section("nodes", list(_nodes(program)))
    yield from _section("predicates", [_pred(program, p) for p in program.preds])
    yield from _section("watches", [
        f"{w.event} within {w.within_ms / 86_400_000:g} days, filter {_ref(w.cond)}, "
        + ("goal" if w.test < 0 else f"A/B test {w.test}") + f", counters from {w.counter0}"
        for w in program.watches
    ])  # fmt: skip


def _section(title: str, rows: list[str]) -> Iterator[str]:
    if rows:
        yield ""
        yield title
        width = len(str(len(rows) - 1))
        yield from (f"  @{i:<{width}}  {row}" for i, row in enumerate(rows))


def _ref(index: int) -> str:
    return "none" if index < 0 else f"@{index}"


def _look_back(program: Program, event: str) -> str:
    if event not in program.look_back_ms:
        return ""
    ms = program.look_back_ms[event]
    return "  looked back at " + ("for ever" if ms is None else f"{ms / 86_400_000:g} days")


def _trigger(program: Program, t: int) -> str:
    row = program.triggers[t]
    event = program.trigger_events[t]
    kind = TriggerKind(int(row["kind"])).name.lower()
    return (
        f"{program.node_ids[row['node']]}  {kind}"
        + (f" {event}" if event else "")
        + f"  if {_ref(int(row['cond']))}"
    )


def _nodes(program: Program) -> Iterator[str]:
    width = max(len(i) for i in program.node_ids)
    for i, (node_id, node) in enumerate(program.flow.nodes.items()):
        row = program.nodes[i]
        cond = f"  graph {_ref(int(row['cond']))}" if row["cond"] >= 0 else ""
        slot = f"  visits {_ref(int(row['slot']))}" if row["slot"] >= 0 else ""
        what = f"{node_id:<{width}}  {Op(int(row['op'])).name:<10}  {describe(node)}"
        yield what + cond + slot + _ports(program, i, node)


def _ports(program: Program, i: int, node: NodeBase) -> str:
    parts = []
    for place, port in enumerate(node.ports):
        row = program.ports[program.nodes[i]["port0"] + place]
        targets = program.edges[row["edge0"] : row["edge0"] + row["edges"]]
        if len(targets):
            leads = " + ".join(program.node_ids[t] for t in targets)
        else:
            leads = Outcome(int(row["outcome"])).text if row["outcome"] else "idle"
        parts.append(f"{port} -> {leads}")
    return "  [" + ", ".join(parts) + "]" if parts else ""


def _pred(program: Program, spec: PredSpec) -> str:
    if spec.event is not None:
        least, most = spec.bounds
        count = f"at least {least}" if most is None else f"{least} to {most}"
        window = "ever" if spec.window_ms is None else f"in {spec.window_ms / 86_400_000:g} days"
        if spec.since is not None:
            window = f"this {spec.since}"
        asks = f"did {spec.event} {count} {window}, filter {_ref(spec.filter)}"
    elif spec.slots is not None:
        asks = f"clock in {spec.slots[1]} slots from {spec.slots[0]}"
    elif spec.test is None:
        column = program.columns[spec.column]
        asks = f"{column.family} {column.name}"
    else:
        held = "event at hand: " if spec.source is Source.EVENT else ""
        asks = held + describe_condition(spec.test)
    return f"{asks}  ? {_target(spec.on_true)} : {_target(spec.on_false)}"


def _target(index: int) -> str:
    return f"result {-1 - index}" if index < 0 else f"@{index}"
