"""Measure how soon the command answers: reading, judging and compiling large flows, and starting.

Flows of many nodes come in the shapes of `bench.large_flows`, each judged against an audience too.
Memory is that of processes of their own, one for each shape, so that none inherits another's heap.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import yaml

from bench.figures import Bar, Figure, interleave, spread_of
from bench.large_flows import SHAPES, audience, document, schema
from core.binding import bind
from core.compiler import compile_flow
from core.document import read_flow
from core.flow import Flow
from core.lint import lint
from core.options import RunOptions

GROUP = "start"
NODES, NODES_QUICK = 10_000, 500
SHAPES_QUICK = ("chain", "conditions", "fans")
CUSTOMERS, CUSTOMERS_QUICK = 1_000_000, 2_000
DAY_MS = 86_400_000

COMPILE_BAR = Bar("ours", "at most", 2.0)
MEMORY_BAR = Bar("ours", "at most", 200.0)
HELP_BAR = Bar("ours", "at most", 0.3)
PROGRESS_BAR = Bar("ours", "at most", 1.0)

HEADRACE = [sys.executable, "-c", "from api.main import main; main()"]
CHECKOUT = Path(__file__).resolve().parents[1]

# Linux hands a process's `ru_maxrss` down to those that it starts, so /proc is asked where it is.
# Elsewhere it is in bytes, as on macOS. The peak of the imports is taken off.
_PEAK = """
import re, sys
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from bench.large_flows import document, schema
from core.compiler import compile_flow
from core.flow import Flow
from core.lint import lint
def peak():
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\\s+([0-9]+) kB", status.read_text())[1]) / 2**10
    return getrusage(RUSAGE_SELF).ru_maxrss / 2**20
held = schema()
before = peak()
flow = Flow.model_validate(document(sys.argv[1], int(sys.argv[2])))
lint(flow, held)
compile_flow(flow)
print(peak() - before)
"""


def figures(quick: bool, runs: int) -> Iterator[Figure]:
    """Yield seconds and MiB for each shape of flow, and the seconds to a first answer."""
    nodes = NODES_QUICK if quick else NODES
    shapes = SHAPES_QUICK if quick else tuple(SHAPES)
    yield from _judging(shapes, nodes, runs)
    yield from _memory(shapes, nodes)
    yield from _reading(shapes, nodes, runs)
    yield from _starting(CUSTOMERS_QUICK if quick else CUSTOMERS, runs)


def _judging(shapes: tuple[str, ...], nodes: int, runs: int) -> Iterator[Figure]:
    """Lint against an audience and compile; binding to its people apart, without a bar."""
    held, people = schema(), audience()
    options = RunOptions(0, 30 * DAY_MS, 30 * DAY_MS)
    for shape in shapes:
        flow = Flow.model_validate(document(shape, nodes))
        program = compile_flow(flow)

        def judged(flow: Flow = flow) -> None:
            lint(flow, held)
            compile_flow(flow)

        taken = interleave({"judge": judged, "bind": partial(bind, program, people, options)}, runs)
        name = f"{shape}, {nodes:,} nodes"
        yield _seconds(f"lint and compile: {name}", taken["judge"], COMPILE_BAR)
        yield _seconds(f"bind to {people.customers} people: {name}", taken["bind"])


def _memory(shapes: tuple[str, ...], nodes: int) -> Iterator[Figure]:
    """The peak above that of the imports, with the document, its models and the program."""
    for shape in shapes:
        done = _run([sys.executable, "-c", _PEAK, shape, str(nodes)])
        name = f"read, lint and compile, peak above the imports: {shape}, {nodes:,} nodes"
        yield Figure(GROUP, name, "MiB", float(done), bar=MEMORY_BAR)


def _reading(shapes: tuple[str, ...], nodes: int, runs: int) -> Iterator[Figure]:
    for shape in shapes:
        value = document(shape, nodes)
        as_json = json.dumps(value)
        as_yaml = yaml.dump(value, Dumper=_DUMPER, sort_keys=False)
        taken = interleave(
            {
                "JSON": partial(read_flow, as_json, name="flow.json"),
                "YAML": partial(read_flow, as_yaml, name="flow.yaml"),
            },
            runs,
        )
        for form, seconds in taken.items():
            yield _seconds(f"read {form}: {shape}, {nodes:,} nodes", seconds)


_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def _starting(customers: int, runs: int) -> Iterator[Figure]:
    """Whole processes, from their start to their end or to their first line of progress."""
    with TemporaryDirectory() as folder:
        people = Path(folder, "audience")
        _run([*HEADRACE, "sample", str(people), "--customers", str(customers), "--quiet"])
        flow = CHECKOUT / "examples" / "welcome.yaml"
        simulate = [*HEADRACE, "simulate", str(flow), "--audience", str(people)]
        asked = {"help": [*HEADRACE, "--help"], "version": [*HEADRACE, "--version"]}
        taken = interleave({name: partial(_run, command) for name, command in asked.items()}, runs)
        yield _seconds("headrace --help", taken["help"], HELP_BAR)
        yield _seconds("headrace --version", taken["version"])
        name = f"headrace simulate to the first line of progress: {customers:,} customers"
        yield _seconds(name, [_first_line(simulate) for _ in range(runs)], PROGRESS_BAR)


def _first_line(command: list[str]) -> float:
    """The seconds until a process has written a line to its standard error, then it is ended."""
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        seconds = time.perf_counter() - began
        process.terminate()
        process.stderr.read()
    if not line.endswith("...\n"):
        raise RuntimeError(f"no line of progress came first, but {line!r}")
    return seconds


def _run(command: list[str]) -> str:
    return subprocess.run(
        command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def _seconds(name: str, taken: list[float], bar: Bar | None = None) -> Figure:
    return Figure(GROUP, name, "s", median(taken), spread_of(taken), bar=bar)
