"""Measure the live, durable reference journey: a table on the screen, results as JSON.

    python -m bench.live

Exit status 1 where counts differ, 2 for a wrong command line.
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
from bench.figures import shown
from bench.live.contest import NAMED, RIVALS, Standing, contest

ENTRIES, ENTRIES_QUICK = 500_000, 200_000
BATCH = 5_000
RUNS, RUNS_QUICK = 5, 1
FORMAT = 1
FILE = "live.json"
LIBRARIES = ("lmdb", "psycopg", "bytewax", "dbos")
WIDTH_MIN = 140


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; return the exit status."""
    asked = _parser().parse_args(arguments)
    entrants = [entrant for entrant in RIVALS if not asked.only or entrant.name in asked.only]
    entries = asked.entries or (ENTRIES_QUICK if asked.quick else ENTRIES)
    runs = asked.runs or (RUNS_QUICK if asked.quick else RUNS)
    console = Console()
    if console.width < WIDTH_MIN and not console.is_terminal:
        console.width = WIDTH_MIN
    taken_at = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        standings = contest(
            entrants, entries, asked.batch, runs, lambda what: console.print(what, style="dim")
        )
    except CountsDifferError as error:
        console.print(f"{error}; nothing is written", style="bold red", highlight=False)
        return 1
    written = write_results(standings, asked.results, runs=runs, taken_at=taken_at)
    console.print(table_of(standings, runs))
    console.print(f"written: {written}", style="dim", highlight=False, soft_wrap=True)
    return 0


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


def write_results(standings: Sequence[Standing], folder: Path, *, runs: int, taken_at: str) -> Path:
    """Write `folder`/live.json and return its path; the folder is made.

    `taken_at` is when the measurement began, ISO 8601.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    document = {
        "headrace_live_bench": FORMAT,
        "taken_at": taken_at,
        "runs": runs,
        "versions": results.versions() | _versions(),
        "machine": results.machine(),
        "contenders": [as_json(standing) for standing in standings],
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
    parser.add_argument("--quick", action="store_true", help="fewer customers and runs: a try")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[entrant.name for entrant in RIVALS],
        metavar="CONTENDER",
        help="these alone: " + ", ".join(f'"{entrant.name}"' for entrant in RIVALS),
    )
    parser.add_argument("--runs", type=_positive, help=f"rounds, {RUNS} unless stated")
    parser.add_argument("--entries", type=_positive, help=f"customers, {ENTRIES:,} unless stated")
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
