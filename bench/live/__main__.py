"""Measure the live engine: the contest, latency, recovery, memory; tables, results as JSON.

    python -m bench.live

Exit status 1 where a bar is missed or counts differ, 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import results
from bench.contest import CountsDifferError
from bench.figures import Figure, shown
from bench.live import figures_contest
from bench.live.contest import NAMED, RIVALS, Standing, contest
from bench.live.figures import FORMS, PERCENTILES, Form, Latency, Measured
from bench.live.groups import CONTEST, GROUPS, measure

BATCH = 5_000
FORMAT = 2
FILE = "live.json"
LIBRARIES = ("ray", "lmdb", "psycopg", "bytewax", "dbos")
WIDTH_MIN = 140
MET = {None: "", True: "[green]met[/]", False: "[bold red]MISSED[/]"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; return the exit status."""
    asked = _parser().parse_args(arguments)
    form = FORMS["quick" if asked.quick else "long" if asked.long else "usual"]
    groups = asked.groups or GROUPS
    runs = asked.runs or form.runs
    console = Console()
    if console.width < WIDTH_MIN and not console.is_terminal:
        console.width = WIDTH_MIN
    taken_at = datetime.now(UTC).isoformat(timespec="seconds")

    def tell(what: str) -> None:
        console.print(what, style="dim")

    standings: list[Standing] = []
    try:
        if CONTEST in groups:
            entrants = [e for e in RIVALS if not asked.only or e.name in asked.only]
            standings = contest(entrants, asked.entries or form.entries, asked.batch, runs, tell)
        measured = measure(groups, form, standings, asked.batch, tell)
    except CountsDifferError as error:
        console.print(f"{error}; nothing is written", style="bold red", highlight=False)
        return 1
    measured.figures[:0] = figures_contest.figures(standings)
    written = write_results(standings, measured, asked.results, form, runs=runs, taken_at=taken_at)
    for table in (
        table_of(standings, runs),
        latency_table(measured.latencies),
        figure_table(measured.figures),
    ):
        if table.row_count:
            console.print(table)
    console.print(f"written: {written}", style="dim", highlight=False, soft_wrap=True)
    missed = verdict(measured)
    for line in missed:
        console.print(line, style="bold red", highlight=False)
    return 1 if missed else 0


def verdict(measured: Measured) -> list[str]:
    """The bars that were missed, a line for each."""
    return [
        f"bar missed: {each.name}, {shown(each.ours)} {each.unit}"
        + (f", {shown(each.ratio)} × {each.rival}" if each.rival else "")
        for each in measured.figures
        if each.meets is False
    ] + [
        f"bar missed: {each.what} at {each.load}, p99 {shown(each.percentile_ms(99))} ms"
        for each in measured.latencies
        if each.meets is False
    ]


def table_of(standings: Sequence[Standing], runs: int) -> Table:
    """The contenders with their speeds beside the named rival's, or why they were skipped."""
    named = next((s.rate for s in standings if s.entrant.name == NAMED), 0.0)
    machine = results.machine()
    table = Table(
        title="The reference journey live, each batch durable before it is acknowledged",
        caption=f"Medians of {runs} runs in turn; spread is (slowest - fastest) / median. Making "
        "the load is part of the time. Who takes fewer entries has fewer waiting tokens, to his "
        f"advantage. {machine['processor']}, {machine['cores']} cores, {machine['system']}",
        caption_justify="left",
    )
    table.add_column("contender")
    for heading in ("entries/s", f"to {NAMED}", "spread", "entries", "batch"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("µs an entry, by stage")
    for standing in standings:
        if standing.skipped is not None:
            table.add_row(standing.entrant.name, "skipped", "", "", "", "", standing.skipped)
            continue
        table.add_row(
            standing.entrant.name,
            shown(standing.rate),
            f"{shown(standing.rate / named)} ×" if named else "",
            f"{standing.spread:.0%}",
            f"{standing.entries:,}",
            f"{standing.batch_max:,}",
            ", ".join(f"{name} {shown(us)}" for name, us in standing.stages.items()),
        )
    return table


def latency_table(latencies: Sequence[Latency]) -> Table:
    """Percentiles of acknowledgements."""
    table = Table(
        title="Acknowledgements, from when each request was due", caption_justify="left",
        caption="Milliseconds; the bar is on the 99th percentile.",
    )  # fmt: skip
    table.add_column("of")
    table.add_column("beside a load of")
    for heading in ("requests", *(f"p{p:g}" for p in PERCENTILES[:-1]), "max", "bar", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in latencies:
        table.add_row(
            each.what,
            each.load,
            f"{len(each.seconds):,}",
            *(shown(each.percentile_ms(p)) for p in PERCENTILES),
            "" if each.bar_ms is None else f"≤ {shown(each.bar_ms)}",
            MET[each.meets],
        )
    return table


def figure_table(figures: Sequence[Figure]) -> Table:
    """All other figures with their bars."""
    table = Table(title="Figures of the live engine")
    table.add_column("figure")
    table.add_column("ours", justify="right", no_wrap=True)
    table.add_column("unit")
    table.add_column("rival")
    for heading in ("ratio", "bar", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in figures:
        sign = "" if each.bar is None else "≥" if each.bar.relation == "at least" else "≤"
        table.add_row(
            each.name,
            shown(each.ours),
            each.unit,
            each.rival or "",
            shown(each.ratio),
            "" if each.bar is None else f"{sign} {shown(each.bar.value)}",
            MET[each.meets],
        )
    return table


def write_results(
    standings: Sequence[Standing],
    measured: Measured,
    folder: Path,
    form: Form,
    *,
    runs: int,
    taken_at: str,
) -> Path:
    """Write `folder`/live.json and return its path; the folder is made.

    `taken_at` is when the measurement began, ISO 8601.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    document = {
        "headrace_live_bench": FORMAT,
        "taken_at": taken_at,
        "form": form.name,
        "runs": runs,
        "versions": results.versions() | _versions(),
        "machine": results.machine(),
        "contenders": [as_json(standing) for standing in standings],
        "latencies": [latency.as_json() for latency in measured.latencies],
        "figures": [results.as_json(figure) for figure in measured.figures],
    }
    path.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
    return path


def as_json(standing: Standing) -> dict[str, Any]:
    """One contender: speed in entries a second, stages in microseconds an entry."""
    ran = standing.skipped is None
    return {
        "name": standing.entrant.name,
        "skipped": standing.skipped,
        "entries": standing.entries,
        "batch_max": standing.batch_max,
        "entries_per_second": standing.rate if ran else None,
        "spread": standing.spread if ran else None,
        "seconds": [outcome.seconds for outcome in standing.outcomes],
        "stages_us": standing.stages,
    }


def _versions() -> dict[str, str]:
    """Versions of the rivals' libraries that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m bench.live", description=(__doc__ or "").split("\n")[0]
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--quick", action="store_true", help="small sizes and one run: a try")
    form.add_argument("--long", action="store_true", help="all sizes that the bars were set for")
    parser.add_argument(
        "--groups",
        nargs="+",
        choices=GROUPS,
        metavar="GROUP",
        help=f"measure these alone: {', '.join(GROUPS)}",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[entrant.name for entrant in RIVALS],
        metavar="CONTENDER",
        help="let these alone take part in the contest: "
        + ", ".join(f'"{entrant.name}"' for entrant in RIVALS),
    )
    parser.add_argument("--runs", type=_positive, help="rounds of the contest")
    parser.add_argument("--entries", type=_positive, help="customers in the contest")
    parser.add_argument("--batch", type=_positive, default=BATCH, help="events in a batch")
    parser.add_argument(
        "--results", type=Path, default=results.FOLDER, help="where the JSON is written"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
