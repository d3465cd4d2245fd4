"""Compare the micro-benchmarks with their stored baseline, or store a new one.

    python -m bench.micro compare [--strict] [-k EXPRESSION]
    python -m bench.micro store

A comparison goes by the ratio of each benchmark to the calibration of its session, so a baseline of
another machine will do. Exit status 1 with --strict where a benchmark is flagged as slower or is
gone, 2 where nothing could be measured or compared.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from rich.console import Console
from rich.table import Table

from bench.alone import CHECKOUT
from bench.micro.baseline import (
    FILE,
    SLOWER_FLAGGED,
    Baseline,
    BaselineError,
    Row,
    compare,
    from_session,
    read,
    write,
)

LIBRARIES = ("numpy", "pyarrow", "headrace")
WIDTH_MIN = 110


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, then store or compare; return the exit status."""
    asked = _parser().parse_args(arguments)
    console = Console(highlight=False)
    if console.width < WIDTH_MIN and not console.is_terminal:
        console.width = WIDTH_MIN
    try:
        if asked.command == "store":
            return _store(asked, console)
        return _compare(asked, console)
    except BaselineError as error:
        console.print(str(error), style="bold red", markup=False, soft_wrap=True)
        return 2


def _store(asked: argparse.Namespace, console: Console) -> int:
    if asked.short and asked.baseline == FILE:
        raise BaselineError("the short form says little: store it elsewhere, with --baseline")
    now = measure(console, short=asked.short)
    write(now, asked.baseline)
    console.print(f"{len(now.timings)} timings written: {asked.baseline}", soft_wrap=True)
    return 0


def _compare(asked: argparse.Namespace, console: Console) -> int:
    then = read(asked.baseline)
    now = measure(console, short=asked.short, expression=asked.expression)
    rows = [row for row in compare(then, now) if row.now_ns is not None or asked.expression is None]
    console.print(table_of(rows, then, now))
    slower = [row for row in rows if row.slower]
    gone = [row for row in rows if row.now_ns is None]
    if slower:
        console.print(
            f"{len(slower)} slower than {SLOWER_FLAGGED} x the baseline: "
            + ", ".join(row.name for row in slower),
            style="bold red",
            markup=False,
        )
        console.print(
            "Other work on the machine moves these figures: run this again on an idle one before "
            "you believe it."
        )
    return 1 if asked.strict and (slower or gone) else 0


def measure(console: Console, *, short: bool, expression: str | None = None) -> Baseline:
    """Run the micro-benchmarks in a process of their own, those that `expression` selects.

    BaselineError with what the process printed where it fails, or selects nothing.
    """
    console.print("measuring, for " + ("seconds" if short else "about a minute") + " ...")
    with TemporaryDirectory() as folder:
        session = Path(folder, "session.json")
        command = [
            sys.executable, "-m", "pytest", "bench/micro", "-q",
            "-p", "no:cacheprovider", "-p", "no:xdist",
            "-W", "ignore::pytest_benchmark.logger.PytestBenchmarkWarning",
            "--benchmark-quiet", "--benchmark-disable-gc", f"--benchmark-json={session}",
        ]  # fmt: skip
        command += ["--micro-short"] if short else []
        command += ["-k", expression] if expression else []
        # Within a worker of pytest-xdist, pytest-benchmark would refuse to measure.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        ran = subprocess.run(
            command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False
        )
        if ran.returncode == pytest.ExitCode.NO_TESTS_COLLECTED:
            raise BaselineError(f"-k {expression!r} selects no benchmark")
        if ran.returncode:
            raise BaselineError(f"pytest ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        document = json.loads(session.read_text())
    return from_session(document, short=short, versions=_versions())


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def table_of(rows: Sequence[Row], then: Baseline, now: Baseline) -> Table:
    """The benchmarks with their times and how the ratio to the calibration changed."""
    table = Table(
        title="Micro-benchmarks against their baseline",
        caption=_caption(then, now),
        caption_justify="left",
    )
    table.add_column("benchmark", no_wrap=True)
    table.add_column("a step", no_wrap=True)
    for heading in ("baseline ns", "now ns", "change", ""):
        table.add_column(heading, justify="right")
    part = rows[0].name.partition(":")[0] if rows else ""
    for row in rows:
        if row.name.partition(":")[0] != part:
            table.add_section()
            part = row.name.partition(":")[0]
        table.add_row(
            row.name.replace("[", r"\["), row.unit, _number(row.then_ns), _number(row.now_ns),
            "" if row.change is None else f"{row.change:.2f} ×", _flag(row),
        )  # fmt: skip
    return table


def _flag(row: Row) -> str:
    if row.then_ns is None:
        return "new"
    if row.now_ns is None:
        return "[bold red]GONE[/]"
    return "[bold red]SLOWER[/]" if row.slower else ""


def _caption(then: Baseline, now: Baseline) -> str:
    sides = (
        f"{side}: {of.taken_at}, {of.machine['processor']}, {of.machine['cores']} cores, compiled "
        f"{of.machine['compiled'] or 'as it came'}, calibration {of.calibration_ns:.1f} ns."
        for side, of in (("Baseline", then), ("Now", now))
    )
    return (
        "Fastest of several rounds. The change is that of the time divided by the time of the "
        f"calibration, flagged beyond {SLOWER_FLAGGED} ×. " + " ".join(sides)
    )


def _number(value: float | None) -> str:
    """Three digits or all whole ones, empty for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m bench.micro", description=(__doc__ or "").split("\n")[0]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    comparing = commands.add_parser("compare", help="measure, and compare with the baseline")
    comparing.add_argument("--strict", action="store_true", help="exit status 1 where slower")
    comparing.add_argument(
        "-k", dest="expression", help="measure only what this expression of pytest selects"
    )
    storing = commands.add_parser("store", help="measure, and write the baseline anew")
    for command in (comparing, storing):
        command.add_argument("--short", action="store_true", help="few customers: a try")
        command.add_argument("--baseline", type=Path, default=FILE, help="the file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
