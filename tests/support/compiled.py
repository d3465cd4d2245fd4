"""Runs the compiled interpreter as tests want it: any block size, lanes and number of calls."""

from __future__ import annotations

from collections.abc import Sequence

from actors.coupled_dry_run import MachineRunner
from actors.coupled_run import coupled_run
from core.audience import Audience
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.counters import Counters
from core.flow import Flow
from core.options import RunOptions
from core.outcomes import outcome_text
from core.reference import Record
from core.responses import Responses
from ext.machine import Machine


def records_of(bound: Bound, machine: Machine) -> list[Record]:
    """The log that the machine holds, as the reference interpreter writes it."""
    flow, audience = bound.program.flow, bound.audience
    ids = bound.program.node_ids
    return [
        Record(
            audience.id_of(int(r["customer"])),
            int(r["step"]),
            int(r["time_ms"]),
            int(r["entry"]),
            ids[r["node"]],
            flow.nodes[ids[r["node"]]].ports[r["port"]]
            if r["port"] >= 0
            else outcome_text(int(r["port"])),
        )
        for r in machine.take_log()
    ]


def granted(bound: Bound, block: int = 4096, lanes: int = 64, workers: int = 1) -> Bound:
    """The run with what claims are answered, where customers depend on each other."""
    if not bound.couplings.specs:
        return bound
    runner = MachineRunner(bound, workers, block, lanes)
    return bound.granted(coupled_run(runner, bound.couplings.specs).grants)


def run_compiled(
    flow: Flow,
    audience: Audience,
    options: RunOptions,
    responses: Responses | None,
    *,
    block: int = 4096,
    lanes: int = 64,
    stops: Sequence[int] = (),
) -> tuple[list[Record], Counters]:
    """Run the compiled interpreter in blocks, applying up to each of `stops`, then the horizon."""
    bound = granted(bind(compile_flow(flow, responses), audience, options), block, lanes)
    machine = Machine(bound, block_max=block, lanes=lanes, log=True)
    for first in range(0, audience.customers, block):
        machine.load(first, min(first + block, audience.customers))
        for until in (*stops, options.horizon_ms):
            machine.apply(until)
        machine.finish()
    counters = machine.take_counters()
    counters.invalid_zones = bound.zones.invalid
    return records_of(bound, machine), counters
