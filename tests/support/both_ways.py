"""Runs small flows on both interpreters, which must agree, for tests of what node types mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cases import END, Case, ask, log_of, on
from core.nodes import CHANNELS
from interpreters import Ran, run_machine, run_reference

GO = ("05-04 10:00", "go")
"""The event that begins the flows of `after` and `answer`."""
ALWAYS = {"reentry": {"policy": "always"}}


def ran(case: Case) -> Ran:
    """What both interpreters decide, lines and counters alike."""
    reference, machine = case.run(run_reference), case.run(run_machine)
    assert machine.records == reference.records
    for name in ("entered", "port", "outcome", "waiting", "idle", "sends_by_hour"):
        found, expected = getattr(machine.counters, name), getattr(reference.counters, name)
        assert np.array_equal(found, expected), name
    return reference


def told(case: Case, customer: str = "c") -> list[str]:
    """A customer's log, lines such as "05-04 10:00 start next"."""
    return log_of(ran(case), customer)


def sent(case: Case) -> dict[str, int]:
    """How many effects there were on each channel that had any."""
    counts = ran(case).counters.sends_by_hour.sum(axis=1)
    return {channel: int(n) for channel, n in zip(CHANNELS, counts, strict=True) if n}


def entered(case: Case, customers: list[str], node: str) -> list[str]:
    """Which of these customers begin an entry at a node."""
    records = ran(case).records
    return [c for c in customers
            if any(r.customer == c and r.node == node and r.port in ("next", "event")
                   for r in records)]  # fmt: skip


def after(nodes: Mapping[str, Any], **fields: Any) -> list[str]:
    """The log of whoever does `go` at 10:00 and comes to the node `a`."""
    return told(Case({"go": on("go", "a"), **nodes}, [GO], **fields))


def answer(condition: Mapping[str, Any], *actions: Mapping[str, Any], **fields: Any) -> str:
    """The port by which a condition is left, after these actions: 'yes' or 'no'."""
    nodes: dict[str, Any] = {"go": on("go", "a0" if actions else "q")}
    for place, action in enumerate(actions):
        following = f"a{place + 1}" if place + 1 < len(actions) else "q"
        nodes[f"a{place}"] = {**action, "next": following}
    events = [GO, *fields.pop("events", ())]
    case = Case({**nodes, "q": ask(condition), "x": END}, sorted(events, key=_when), **fields)
    [line] = [line for line in told(case) if " q " in line]
    return line.rpartition(" ")[2]


def _when(event: Any) -> str:
    return str(event[0])
