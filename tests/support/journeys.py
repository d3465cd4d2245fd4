"""Compares what a run decided with journeys that were worked out by other means, to the last one.

A journey is one entry as the decision log tells it, or one refusal: whose it is, every step as
(time in ms, node, port or reason), and the node where it still waits at the horizon. What the
counters must be follows from the journeys alone; of the engine, this module only reads the results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from actors.audience import load_audience, read_schema
from actors.dry_run import dry_run
from core import reference
from core.audience import Audience
from core.binding import bind
from core.compiler import compile_flow, needs_of
from core.counters import Counters, port_base
from core.document import read_flow
from core.flow import Flow
from core.lint import lint
from core.nodes import CHANNELS
from core.options import RunOptions
from core.outcomes import Outcome

HOUR_MS = 3_600_000
REASONS = {outcome.text for outcome in Outcome}

Step = tuple[int, str, str]
"""When a token left a node, ms UTC; the node; the port, or the reason why it ended there."""


class Journey(NamedTuple):
    """One entry or refusal of a customer; `waits` is the node where it stands at the horizon."""

    customer: str
    steps: tuple[Step, ...]
    waits: str | None = None

    @property
    def refused(self) -> bool:
        """Whether nobody entered."""
        return self.steps[0][2].startswith("refused")


@dataclass
class Goal:
    """What became of the success watches of the entries."""

    opened: int = 0
    matured: int = 0
    succeeded: int = 0
    succeeded_ever: int = 0

    def add(self, start: int, within: int, success: int, horizon: int) -> None:
        """Count one entry that began at `start`; `success` is the first one ever after."""
        matured = start + within < horizon
        reached = success <= start + within and success < horizon
        self.opened += 1
        self.matured += matured
        self.succeeded += matured and reached
        self.succeeded_ever += reached


@dataclass
class Expectation:
    """What must come out: every journey, and the fate of the success watches.

    `dated` are the nodes that read attributes known only for a later date.
    """

    journeys: list[Journey] = field(default_factory=list)
    goal: Goal = field(default_factory=Goal)
    dated: set[str] = field(default_factory=set)


class _Log:
    """Keeps the blocks of a decision log."""

    def __init__(self) -> None:
        self.blocks: list[NDArray[Any]] = []

    def room(self, records: int) -> None:
        """Ask for fresh arrays."""

    def write(self, records: NDArray[Any]) -> None:
        self.blocks.append(records)


@dataclass
class Run:
    """A dry run that is over: its flow, audience and options, the log and the counters."""

    flow: Flow
    audience: Audience
    options: RunOptions
    log: NDArray[Any]
    counters: Counters

    def rows(self) -> list[tuple[str, int, int, int, str, str]]:
        """The log as (customer, step, time in ms, entry, node, port or reason)."""
        names = list(self.flow.nodes)
        ports = [node.ports for node in self.flow.nodes.values()]
        ids = [self.audience.id_of(c) for c in range(self.audience.customers)]
        columns = (self.log[name].tolist() for name in LOG_COLUMNS)
        reasons = {int(outcome): outcome.text for outcome in Outcome}
        return [
            (ids[c], step, at, entry, names[n], ports[n][p] if p >= 0 else reasons[p])
            for c, step, at, entry, n, p in zip(*columns, strict=True)
        ]


LOG_COLUMNS = ("customer", "step", "time_ms", "entry", "node", "port")


def run_flow(
    path: Path,
    folder: Path,
    *,
    from_ms: int,
    until_ms: int,
    horizon_ms: int,
    settings: dict[str, Any] | None = None,
) -> Run:
    """Dry-run the flow of a file on an audience folder as the command line does, all log kept.

    `settings` replace those of the document. The flow must be free of errors and warnings, and the
    audience must have all attributes, events and properties that it names.
    """
    flow, violations = read_flow(path.read_bytes(), name=str(path))
    assert flow is not None, violations
    if settings is not None:
        document = flow.model_dump(mode="json", by_alias=True, exclude_none=True)
        document["settings"] |= settings
        flow = Flow.model_validate(document)
    schema = read_schema(folder)
    assert lint(flow, schema) == []
    program = compile_flow(flow)
    audience = load_audience(folder, needs_of(program))
    assert [a for a in audience.absent if a.kind not in ("tag", "group")] == []
    options = RunOptions(
        from_ms=from_ms, until_ms=until_ms, horizon_ms=horizon_ms, audience_zone=schema.zone
    )
    log = _Log()
    result = dry_run(bind(program, audience, options), workers=2, log=log)
    [counters] = result.counters
    return Run(flow, audience, options, np.concatenate(log.blocks), counters)


def check(run: Run, expected: Expectation) -> None:
    """Every journey, and every counter that follows from them, is the expected one."""
    found = Counter((j.customer, j.steps) for j in _journeys(run))
    wanted = Counter((j.customer, j.steps) for j in expected.journeys)
    if found != wanted:
        decided, missing = sorted(found - wanted)[:3], sorted(wanted - found)[:3]
        pytest.fail(f"decided, and not expected: {decided}; expected, and not so: {missing}")
    assert figures(run) == expected_figures(run, expected)


def check_reference(run: Run, customers: Iterable[int]) -> None:
    """The reference interpreter writes the same log for the customers of these rows."""
    rows = list(customers)
    result = reference.run(run.flow, run.audience, run.options, customers=rows)
    chosen = {run.audience.id_of(row) for row in rows}
    found = [row for row in run.rows() if row[0] in chosen]
    assert found == [tuple(record) for record in result.records]
    assert {row[0] for row in found} == chosen


def busiest(run: Run, count: int) -> list[int]:
    """The rows of the customers of whom the log holds most, in order."""
    records = np.bincount(run.log["customer"], minlength=run.audience.customers)
    return sorted(np.argsort(-records, kind="stable")[:count].tolist())


def spread(run: Run, count: int) -> list[int]:
    """The rows of as many customers of whom the log holds something, evenly spread."""
    rows = np.unique(run.log["customer"])
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)].tolist()


def figures_of_readme(path: Path, run: Run) -> None:
    """Every count in the table of a README is the number of arrivals at the node of that title."""
    titles = {node.title: i for i, node in enumerate(run.flow.nodes.values()) if node.title}
    cells = [
        [cell.strip() for cell in line.strip("|\n ").split("|")]
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("| ")
    ]
    told = dict(cells[2:])
    assert told == {title: f"{run.counters.entered[titles[title]]:,}" for title in told}
    assert len(told) > 5


def _journeys(run: Run) -> list[Journey]:
    steps: dict[tuple[str, int], list[Step]] = {}
    refusals: list[Journey] = []
    for customer, _, at, entry, node, port in run.rows():
        if port.startswith("refused"):
            refusals.append(Journey(customer, ((at, node, port),)))
        else:
            steps.setdefault((customer, entry), []).append((at, node, port))
    return [*refusals, *(Journey(c, tuple(s)) for (c, _), s in steps.items())]


def figures(run: Run) -> dict[str, Any]:
    """The counters of a run by names, zeros left out."""
    c, flow = run.counters, run.flow
    nodes = list(flow.nodes)
    base = port_base(flow).tolist()
    ports = [(n, p) for n, node in flow.nodes.items() for p in node.ports]
    assert len(ports) == base[-1]
    hours = c.sends_by_hour
    by_node = {
        name: _nonzero(zip(nodes, getattr(c, name).tolist(), strict=True))
        for name in ("entered", "unique", "waiting", "idle", "delay_sum_ms", "touched")
    }
    return by_node | {
        "customers": c.customers,
        "people": c.people,
        "steps": c.steps,
        "ports": _nonzero(zip(ports, c.port.tolist(), strict=True)),
        "reasons": _nonzero(
            ((n, o.text), int(c.outcome[i, o.column])) for i, n in enumerate(nodes) for o in Outcome
        ),
        "entries_by_hour": _nonzero(enumerate(c.entries_by_hour.tolist())),
        "sends_by_hour": _nonzero(
            ((channel, hour), int(hours[i, hour]))
            for i, channel in enumerate(CHANNELS)
            for hour in np.flatnonzero(hours[i]).tolist()
        ),
        "layers": {
            layer.name: count
            for layer, count in zip(flow.settings.funnel, c.layer_people.tolist(), strict=True)
        },
        "goal": Goal(
            *(
                int(each[0])
                for each in (
                    c.watch_opened,
                    c.watch_matured,
                    c.watch_succeeded,
                    c.watch_succeeded_ever,
                )
            )
        ),
    }


def expected_figures(run: Run, expected: Expectation) -> dict[str, Any]:
    """What `figures` must be for these journeys, nothing but counted up.

    Of the run, only its start, and which nodes send, and how the funnel is laid out.
    """
    channels = {n: node.channel for n, node in run.flow.nodes.items() if node.type == "send"}
    reached: dict[str, set[str]] = {}
    counts: dict[str, Counter[Any]] = {
        name: Counter()
        for name in (
            "entered", "waiting", "delay_sum_ms", "ports", "reasons",
            "entries_by_hour", "sends_by_hour",
        )
    }  # fmt: skip
    people: set[str] = set()
    for journey in expected.journeys:
        customer, steps, waits = journey
        if journey.refused:
            counts["reasons"][steps[0][1:]] += 1
            continue
        people.add(customer)
        began_ms = arrived_ms = steps[0][0]
        counts["entries_by_hour"][(began_ms - run.options.from_ms) // HOUR_MS] += 1
        for at, node, port in (*steps, *([(0, waits, "")] if waits else [])):
            counts["entered"][node] += 1
            counts["delay_sum_ms"][node] += arrived_ms - began_ms
            reached.setdefault(node, set()).add(customer)
            arrived_ms = at
            if port in REASONS:
                counts["reasons"][node, port] += 1
            elif port:
                counts["ports"][node, port] += 1
            else:
                counts["waiting"][node] += 1
            if node in channels:
                counts["sends_by_hour"][channels[node], (at - run.options.from_ms) // HOUR_MS] += 1
    return {name: _nonzero(count.items()) for name, count in counts.items()} | {
        "customers": run.audience.customers,
        "people": len(people),
        "steps": sum(counts["entered"].values()),
        "unique": {node: len(who) for node, who in reached.items()},
        "idle": {},
        "touched": {node: len(who) for node, who in reached.items() if node in expected.dated},
        "layers": {
            layer.name: len(set().union(*(reached.get(n, set()) for n in layer.nodes)))
            for layer in run.flow.settings.funnel
        },
        "goal": expected.goal,
    }


def _nonzero(items: Iterable[tuple[Any, int]]) -> dict[Any, int]:
    return {key: value for key, value in items if value}
