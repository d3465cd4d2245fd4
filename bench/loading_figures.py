"""Measure how long it takes to import an export and to load an audience, and with what memory.

Each run has a process of its own. Beside an import stands pandas, which reads the events and sorts
them but checks nothing; beside a load stands pyarrow, which reads the same files into tables.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from actors.audience import load_audience, read_schema
from bench.alone import CHECKOUT, alone
from bench.figures import Bar, Figure, spread_of
from bench.loading_data import EVENTS_EACH, write_export
from core.audience import Needs

GROUP = "loading"
MODULE = "bench.loading_figures"
CUSTOMERS, CUSTOMERS_QUICK = 1_000_000, 20_000
NDJSON_SHARE = 10  # one in so many customers: lines of JSON are decoded one by one
RUNS_MAX = 3  # seconds each, not milliseconds
CSV_S, LOAD_S, FIRST_LINE_S = 60.0, 10.0, 1.0
COMMAND = "import sys; from api.main import main; sys.argv[0] = 'headrace'; main()"


@dataclass(frozen=True, slots=True)
class _Contender:
    """A function of this module, and the folder that it reads."""

    function: str
    source: Path


def figures(quick: bool, runs: int) -> Iterator[Figure]:
    """Imports of CSV, NDJSON and Parquet, a load, and the first line of progress.

    Seconds are medians of at most `RUNS_MAX` runs, and each has the peak of memory beside it.
    """
    customers = CUSTOMERS_QUICK if quick else CUSTOMERS
    fewer = customers // NDJSON_SHARE
    with TemporaryDirectory() as place:
        base = Path(place)
        for form, count in (("csv", customers), ("ndjson", fewer), ("parquet", customers)):
            write_export(base / form, count, form)
        alone(MODULE, "import_folder", source=str(base / "csv"), out=str(base / "audience"))
        ndjson = f"import NDJSON, {fewer:,} customers"
        contenders = {
            "import CSV": _Contender("import_folder", base / "csv"),
            "pandas": _Contender("read_and_sort", base / "csv"),
            ndjson: _Contender("import_folder", base / "ndjson"),
            "import Parquet": _Contender("import_folder", base / "parquet"),
            "load": _Contender("load_folder", base / "audience"),
            "pyarrow": _Contender("read_tables", base / "audience"),
        }
        taken = _measure(contenders, base / "out", min(runs, RUNS_MAX))
        _hold_counts(taken, dict.fromkeys(contenders, customers) | {ndjson: fewer})
        rivals = {"import CSV": "pandas", "load": "pyarrow"}
        bars = {"import CSV": CSV_S, "load": LOAD_S}
        for name in contenders:
            if name not in rivals.values():
                yield from _both(name, taken, rivals.get(name), bars.get(name))
        waited = [first_line(base / "csv", base / "out") for _ in range(min(runs, RUNS_MAX))]
    yield Figure(
        group=GROUP, name="first line of progress", unit="s", ours=median(waited),
        spread=spread_of(waited), bar=Bar("ours", "at most", FIRST_LINE_S),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: what it took, the peak of its memory, the events that it counted."""

    seconds: float
    peak_gib: float
    events: int


def _measure(contenders: dict[str, _Contender], out: Path, runs: int) -> dict[str, list[_Run]]:
    """Run all in turn, so that a busy machine slows all of them."""
    taken: dict[str, list[_Run]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, contender in contenders.items():
            ran = alone(MODULE, contender.function, source=str(contender.source), out=str(out))
            seconds, events = ran.result
            taken[name].append(_Run(seconds, ran.peak_gib, events))
    return taken


def _hold_counts(taken: dict[str, list[_Run]], customers: dict[str, int]) -> None:
    for name, runs in taken.items():
        if {run.events for run in runs} != {EVENTS_EACH * customers[name]}:
            raise AssertionError(f"{name}: {runs[0].events:,} events are not all of them")


def _both(
    name: str, taken: dict[str, list[_Run]], rival: str | None, bar_s: float | None
) -> Iterator[Figure]:
    """The time of a contender and the peak of its memory."""
    ours, theirs = taken[name], taken.get(rival or "", [])
    seconds, rival_seconds = [r.seconds for r in ours], [r.seconds for r in theirs]
    yield Figure(
        group=GROUP, name=name, unit="s", ours=median(seconds), spread=spread_of(seconds),
        rival=rival, theirs=median(rival_seconds) if theirs else None,
        their_spread=spread_of(rival_seconds) if theirs else 0.0,
        bar=None if bar_s is None else Bar("ours", "at most", bar_s),
    )  # fmt: skip
    peaks, rival_peaks = [r.peak_gib for r in ours], [r.peak_gib for r in theirs]
    yield Figure(
        group=GROUP, name=f"{name}: memory", unit="GiB", ours=median(peaks),
        spread=spread_of(peaks), rival=rival, theirs=median(rival_peaks) if theirs else None,
        their_spread=spread_of(rival_peaks) if theirs else 0.0,
    )  # fmt: skip


def import_folder(source: str, out: str) -> tuple[float, int]:
    """Import an export as the command does; the seconds, and the events that were kept."""
    from actors.importer import import_audience
    from api.progress import shown

    began = time.perf_counter()
    with shown(quiet=False) as progress:
        mapping = Path(source) / "mapping.json"
        summary = import_audience(mapping, out, replace=True, progress=progress)
    return time.perf_counter() - began, summary.schema.counts.events


def load_folder(source: str, out: str) -> tuple[float, int]:
    """Load all of an audience; the seconds, and its events. `out` is not written."""
    schema = read_schema(source)
    properties = {name for event in schema.events.values() for name in event.properties}
    needs = Needs(
        attributes=set(schema.attributes), events=set(schema.events), properties=properties
    )
    began = time.perf_counter()
    audience = load_audience(source, needs)
    return time.perf_counter() - began, len(audience.event_ms)


def read_tables(source: str, out: str) -> tuple[float, int]:
    """Read the Parquet files of an audience as they are. `out` is not written."""
    import pyarrow.parquet as pq

    began = time.perf_counter()
    people = pq.read_table(Path(source) / "customers.parquet")
    events = pq.read_table(Path(source) / "events.parquet")
    seconds = time.perf_counter() - began
    assert people.num_columns and events.num_columns, "both are held till the time is taken"
    return seconds, len(events)


def read_and_sort(source: str, out: str) -> tuple[float, int]:
    """Read the events of a CSV export and sort them by customer and time. `out` is not written."""
    import pandas as pd

    began = time.perf_counter()
    events = pd.read_csv(Path(source) / "events.csv", parse_dates=["time"])
    events = events.sort_values(["customer", "time"], kind="stable")
    return time.perf_counter() - began, len(events)


def first_line(source: Path, out: Path) -> float:
    """The seconds from the start of `headrace import` to the first line that it prints."""
    asked = ["import", str(source / "mapping.json"), str(out), "--replace"]
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *asked], cwd=CHECKOUT, stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL, text=True,
    ) as command:  # fmt: skip
        assert command.stderr is not None
        line = command.stderr.readline()
        seconds = time.perf_counter() - began
        command.terminate()
        command.communicate()
    if not line.startswith("reading "):
        raise AssertionError(f"no line of progress, but {line!r}")
    return seconds
