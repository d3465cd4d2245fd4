"""Lists the interpreters that every vector and scenario runs on, all behind one signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from compiled import run_compiled
from core.audience import Audience
from core.counters import Counters
from core.flow import Flow
from core.options import RunOptions
from core.reference import Record, run
from core.responses import Responses


class Ran(NamedTuple):
    """What an interpreter decided: the log, each customer's lines in order, and the counters."""

    records: list[Record]
    counters: Counters


Interpreter = Callable[[Flow, Audience, RunOptions, Responses | None], Ran]


def run_reference(
    flow: Flow, audience: Audience, options: RunOptions, responses: Responses | None
) -> Ran:
    """Run the reference interpreter."""
    result = run(flow, audience, options, responses)
    return Ran(result.records, result.counters)


def run_machine(
    flow: Flow, audience: Audience, options: RunOptions, responses: Responses | None
) -> Ran:
    """Run the compiled interpreter, all customers in one block."""
    return Ran(*run_compiled(flow, audience, options, responses))


INTERPRETERS: dict[str, Interpreter] = {"reference": run_reference, "compiled": run_machine}
