"""Time a token at a node of every type, beside the plain attribute condition: `make bench` ends so.

    python -m bench.micro.catalogue [--short] [--page]

prints a table, and with --page writes docs/catalogue-speed.md. Exit status 1 where a type takes
more than 100 times what the condition does, or more than 20 times without a sentence that says why,
or a flow of every type once takes too long to compile. --short runs everything on few customers and
judges no time.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from actors.coupled_dry_run import MachineRunner
from actors.coupled_run import coupled_run
from bench import results
from bench.micro.catalogue_cases import (
    OPTIONS,
    PLAIN,
    Case,
    case_of_node,
    cases_of,
    example_of,
    flow_of_all,
)
from bench.micro.flows import LINKS
from bench.micro.stopwatch import Runs
from core.audience import Audience
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.flow import Flow
from core.internal_events import is_internal
from core.lowering import lowered_nodes
from core.nodes import NODE_TYPES, OnEvent, WaitCondition
from ext.machine import BLOCK

TIMES_TOLD = 20
TIMES_MAX = 100
COMPILE_BAR_MS = 100.0

BLOCKS, CUSTOMERS_SHORT = 4, 64
ROUNDS = 16
ROUND_S = 0.004
COMPILES = 15
WIDTH_MIN = 150
TEMPLATE = results.CHECKOUT / "bench" / "micro" / "catalogue-speed.md.in"
PAGE = results.CHECKOUT / "docs" / "catalogue-speed.md"

CHANGED = (
    "The change that an action makes becomes an event of the run's own, worked at the same instant "
    "after all that the action leads to; then an entry is begun, and ended."
)
JUDGED = (
    "The condition is judged at arrival, and the token is put to rest with a listener for the "
    "condition's coming true, so the wait is not passed like a node."
)
WOKEN = (
    "The token is put to rest with a timer and what it listens to; the event is worked at its own "
    "instant, compared with that, and wakes it, and the timer is taken back."
)
SENTENCES = {
    "on_event": (
        "Each event's properties are read and compared with what the filter asks of them; then an "
        "entry is begun, and ended."
    ),
    "on_segment": (
        "The condition of every customer is judged when the run begins, and again after whatever "
        "it depends on; whoever has joined is entered, and the entry ended."
    ),
    "wait": (
        "Days are counted on the customer's clock: the end is turned into local time and back, "
        "and both look up the offset of the zone."
    ),
    "wait_slot": (
        "The slots' starts on ten days around are each turned from the customer's local time into "
        "an instant, for which the offset of the zone is looked up, and the next of them is taken."
    ),
}
"""Why an operation takes long, by its type."""

CAPTION = (
    "Fastest of several rounds, without the time of the same flow that lacks the node; × plain: "
    "divided by a condition on an attribute, timed in the same rounds. A trigger's time has the "
    "end of its entry in it, a wait's the arrival and what ends it."
)


@dataclass(frozen=True, slots=True)
class Row:
    """A type with what a token at it took, `times` the plain condition in the same rounds.

    `ended_by` is what its waits end by, "" for a type that doesn't wait.
    """

    name: str
    category: str
    ended_by: str
    ns: float
    times: float
    why: str

    @property
    def sentence(self) -> str:
        """Why it takes long, empty for one that doesn't."""
        return self.why if self.times > TIMES_TOLD else ""


def why_slow(name: str, ended_by: str) -> str:
    """The sentence for a type that takes more than `TIMES_TOLD`, empty where none is known."""
    node = NODE_TYPES[name].model_validate(example_of(name))
    operation = lowered_nodes({"n": node})["n"]
    if isinstance(operation, OnEvent) and is_internal(operation.event):
        return CHANGED
    if isinstance(operation, WaitCondition):
        return JUDGED
    return WOKEN if ended_by == "event" else SENTENCES.get(operation.type, "")


def measure(*, short: bool) -> Iterator[Row]:
    """Time every type, in the order of the palette."""
    customers = CUSTOMERS_SHORT if short else BLOCKS * BLOCK
    plain = _Pair(case_of_node(PLAIN), customers)
    for name, model in NODE_TYPES.items():
        rows = []
        for ended_by, case in cases_of(name).items():
            pair = _Pair(case, customers)
            plain.forget()
            for _ in range(1 if short else ROUNDS):
                pair.time()
                plain.time()
            why = why_slow(name, ended_by)
            times = round(pair.ns / plain.ns, 1)
            rows.append(Row(name, model.category, ended_by, pair.ns, times, why))
        yield max(rows, key=lambda row: row.times)


class _Pair:
    """The two flows of a case; `ns` is what a token at a tested node takes beyond the rest."""

    def __init__(self, case: Case, customers: int) -> None:
        audience = case.crowd(customers)
        bounds = [_bound(flow, audience) for flow in (case.flow, case.without)]
        self.flows = [Runs(bound) for bound in bounds]
        self.tokens = _tokens(bounds[0], self.flows[0], case)
        self.repeats = []
        for runs in self.flows:
            began = time.perf_counter()
            runs.run()
            taken_s = time.perf_counter() - began
            self.repeats.append(max(1, min(round(ROUND_S / taken_s), 64)))
        self.forget()

    def forget(self) -> None:
        self.fastest_s = [np.inf, np.inf]

    def time(self) -> None:
        for side, (runs, repeats) in enumerate(zip(self.flows, self.repeats, strict=True)):
            began = time.perf_counter()
            for _ in range(repeats):
                runs.run()
            taken_s = (time.perf_counter() - began) / repeats
            self.fastest_s[side] = min(self.fastest_s[side], taken_s)

    @property
    def ns(self) -> float:
        more, less = self.fastest_s
        return (more - less) * 1e9 / self.tokens


def _bound(flow: Flow, audience: Audience) -> Bound:
    bound = bind(compile_flow(flow), audience, OPTIONS)
    if not bound.couplings.specs:
        return bound
    found = coupled_run(MachineRunner(bound), bound.couplings.specs, rounds_max=10 * LINKS)
    return bound.granted(found.grants)


def _tokens(bound: Bound, runs: Runs, case: Case) -> int:
    """How many tokens came to the tested nodes. AssertionError where they did not as they should.

    Every customer's comes to them all, and where it is to wait, it leaves later than it came.
    """
    runs.run()
    counters = runs.machine.take_counters()
    number = {node_id: i for i, node_id in enumerate(bound.program.flow.nodes)}
    tested = [number[node_id] for node_id in case.tested]
    found = int(counters.entered[tested].sum())
    assert found >= bound.customers, f"{found:,} tokens came of {bound.customers:,} customers"
    if case.waits:
        came, left = counters.delay_sum_ms[tested].sum(), counters.delay_sum_ms[number["end"]]
        assert left - came >= bound.customers, f"in all they waited for {left - came:,} ms"
        assert not counters.waiting.any(), "some wait at the horizon"
    return found


def compile_ms() -> list[float]:
    """The milliseconds of reading a document of every type once as a flow, and compiling it."""
    document = flow_of_all().model_dump(mode="json", by_alias=True, exclude_none=True)
    taken = []
    for _ in range(COMPILES):
        began = time.perf_counter()
        compile_flow(Flow.model_validate(document))
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def complaints(rows: Iterable[Row], compiled_ms: float) -> list[str]:
    """What must not be, a line for each."""
    found = []
    for row in rows:
        if row.times > TIMES_MAX:
            found.append(f"{row.name}: {row.times:.0f} x the plain condition, beyond {TIMES_MAX}")
        elif row.times > TIMES_TOLD and not row.sentence:
            found.append(f"{row.name}: {row.times:.0f} x the plain condition, and no word of why")
    if compiled_ms > COMPILE_BAR_MS:
        found.append(f"every type once: compiled in {compiled_ms:.0f} ms, bar {COMPILE_BAR_MS:.0f}")
    return found


def table_of(rows: Sequence[Row]) -> Table:
    """The types with their times."""
    table = Table(title="A token at a node of each type", caption=CAPTION, caption_justify="left")
    table.add_column("type", no_wrap=True)
    table.add_column("category", no_wrap=True)
    table.add_column("ended by", no_wrap=True)
    table.add_column("ns a token", justify="right", no_wrap=True)
    table.add_column("× plain", justify="right", no_wrap=True)
    table.add_column(f"why, beyond {TIMES_TOLD} ×")
    for row in rows:
        table.add_row(
            row.name, row.category, row.ended_by, f"{row.ns:.1f}", f"{row.times:.1f}", row.sentence
        )
    return table


def page_of(rows: Sequence[Row], compiled_ms: float) -> str:
    """docs/catalogue-speed.md."""
    machine: Any = results.machine()
    lines = [
        f"| `{row.name}` | {row.category} | {row.ended_by} "
        f"| {row.ns:.1f} | {row.times:.1f} | {row.sentence} |"
        for row in rows
    ]
    head = TEMPLATE.read_text(encoding="utf-8").format(
        processor=machine["processor"],
        cores=machine["cores"],
        types=len(rows),
        slowest=max(row.times for row in rows),
        compiled_ms=compiled_ms,
    )
    return head + "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write the page where asked to; return the exit status."""
    parser = argparse.ArgumentParser(
        "python -m bench.micro.catalogue", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--short", action="store_true", help="few customers, no verdict: a try")
    parser.add_argument("--page", action="store_true", help="write docs/catalogue-speed.md")
    asked = parser.parse_args(arguments)
    if asked.short and asked.page:
        parser.error("the short form says nothing of speed, which the page would tell")
    console = Console(highlight=False)
    if console.width < WIDTH_MIN and not console.is_terminal:
        console.width = WIDTH_MIN
    rows, compiled_ms = list(measure(short=asked.short)), median(compile_ms())
    console.print(table_of(rows))
    console.print(
        f"A flow of every type once, {len(rows)} nodes: read and compiled in {compiled_ms:.1f} ms "
        f"(median of {COMPILES}; bar {COMPILE_BAR_MS:.0f} ms)."
    )
    if asked.page:
        PAGE.write_text(page_of(rows, compiled_ms), encoding="utf-8")
        console.print(f"written: {PAGE}", style="dim", soft_wrap=True)
    found = [] if asked.short else complaints(rows, compiled_ms)
    for line in found:
        console.print(line, style="bold red", soft_wrap=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
