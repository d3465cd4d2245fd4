"""Runs small flows in both interpreters and live, which must agree, to test what nodes mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cases import END, Case, ask, log_of, on
from core.nodes import CHANNELS
from differential import Loaded
from interpreters import Ran, run_machine, run_reference
from live_side import counted_otherwise, live_differs, no_live_side

GO = ("05-04 10:00", "go")
"""The event that begins the flows of `after` and `answer`."""
ALWAYS = {"reentry": {"policy": "always"}}
_last: list[tuple[Case, Ran]] = []
"""The case that ran last, for tests that ask for more than one thing of it."""


def ran(case: Case) -> Ran:
    """What the reference, the compiled interpreter and a live partition decide, all alike."""
    if not _last or _last[0][0] is not case:
        options, responses = case.run_options(), case.model()
        assert (reason := no_live_side(options, responses)) is None, f"{reason}: use `modelled`"
        decided = _interpreted(case)
        found = live_differs(Loaded(case.flow(), case.people(), options, None), decided)
        assert found is None, f"live differs: {found}"
        _last[:] = [(case, decided)]
    return _last[0][1]


def modelled(case: Case) -> Ran:
    """What both interpreters decide in a case that has no live side."""
    assert no_live_side(case.run_options(), case.model()), "it has a live side: use `ran`"
    return _interpreted(case)


def _interpreted(case: Case) -> Ran:
    reference, machine = case.run(run_reference), case.run(run_machine)
    assert machine.records == reference.records
    assert (found := counted_otherwise(reference.counters, machine.counters)) is None, found
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
