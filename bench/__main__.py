"""Measure Headrace beside its rivals: a table on the screen, results as JSON, plots.

Exit status 1 where a bar is missed, a rival is worse than it should be, or counts differ.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import (
    growth_figures,
    journey_figures,
    loading_figures,
    plots,
    results,
    scenario_figures,
    start_figures,
)
from bench.contest import HEAP, SIMPY, CountsDifferError
from bench.figures import Bar, Figure, shown

Group = Callable[[bool, int], Iterator[Figure]]

RUNS, RUNS_QUICK = 7, 3
WIDTH_MIN = 160


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; return the exit status."""
    asked = _parser().parse_args(arguments)
    runs = asked.runs or (RUNS_QUICK if asked.quick else RUNS)
    groups = _groups(asked.customers)
    console = Console()
    if console.width < WIDTH_MIN and not console.is_terminal:
        console.width = WIDTH_MIN
    taken_at = datetime.now(UTC).isoformat(timespec="seconds")
    figures: list[Figure] = []
    for name in asked.only or groups:
        console.print(f"measuring {name} ...", style="dim")
        try:
            figures += groups[name](asked.quick, runs)
        except CountsDifferError as error:
            console.print(f"{error}; nothing is written", style="bold red", highlight=False)
            return 1
    written = results.write_results(
        figures, asked.results, runs=runs, quick=asked.quick, taken_at=taken_at
    )
    drawn = plots.draw(figures, asked.results)
    console.print(table_of(figures, runs))
    for path in (written, *drawn):
        console.print(f"written: {path}", style="dim", highlight=False, soft_wrap=True)
    complaints = verdict(figures)
    for line in complaints:
        console.print(line, style="bold red", highlight=False)
    if complaints:
        console.print(
            "Other work on the machine moves these figures, as the spread shows: before you "
            "believe a miss, run this again on an idle one."
        )
    return 1 if complaints else 0


def verdict(figures: Sequence[Figure]) -> list[str]:
    """What fails the benchmark, a line for each: rivals below their gates, bars missed."""
    found = []
    for figure in figures:
        if figure.meets is False:
            assert figure.bar is not None
            what = "rival too slow to compare with" if figure.gate else "bar missed"
            rival = "" if figure.rival is None else f" to {figure.rival}"
            value = figure.ours if figure.bar.of == "ours" else figure.ratio
            found.append(
                f"{what}: {figure.name}, {figure.bar.of}{rival} {shown(value)}, wanted "
                f"{_bar(figure.bar)}; spread {figure.spread:.0%}"
            )
    return found


def table_of(figures: Sequence[Figure], runs: int) -> Table:
    """The figures in their groups, and the rivals' gates as a group of their own."""
    table = Table(
        title="Headrace and its rivals", caption=_caption(figures, runs), caption_justify="left"
    )
    table.add_column("")
    table.add_column("figure", min_width=24)
    for heading in ("ours", "unit", "ns a step", "rival", "theirs", "ratio", "spread", "bar", ""):
        words = heading in ("unit", "rival")
        table.add_column(heading, justify="left" if words else "right", no_wrap=not words)
    sections: dict[str, list[Figure]] = {}
    for figure in figures:
        sections.setdefault("rivals" if figure.gate else figure.group, []).append(figure)
    for section, rows in sections.items():
        for i, figure in enumerate(rows):
            table.add_row(section if i == 0 else "", *_cells(figure))
        table.add_section()
    return table


def _caption(figures: Sequence[Figure], runs: int) -> str:
    machine, versions = results.machine(), results.versions()
    said = [
        f"Medians of {runs} interleaved runs, of fewer where one takes seconds; spread is "
        "(slowest - fastest) / median, of ours and of theirs."
    ]
    if any(figure.rival in (HEAP, SIMPY) for figure in figures):
        said.append(
            f"The {HEAP} and {SIMPY} run fewer customers and are compared by entries a second."
        )
    said.append(
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; compiled "
        f"{machine['compiled'] or 'as it came'}; "
        + ", ".join(f"{name} {number}" for name, number in versions.items())
    )
    return " ".join(said)


def _cells(figure: Figure) -> list[str]:
    spread = f"{figure.spread:.0%}"
    met = {None: "", True: "[green]met[/]", False: "[bold red]MISSED[/]"}[figure.meets]
    return [
        figure.name,
        shown(figure.ours),
        figure.unit,
        shown(figure.step_ns),
        figure.rival or "",
        shown(figure.theirs),
        shown(figure.ratio),
        spread if figure.rival is None else f"{spread}, {figure.their_spread:.0%}",
        "" if figure.bar is None else _bar(figure.bar),
        met,
    ]


def _bar(bar: Bar) -> str:
    sign = "≥" if bar.relation == "at least" else "≤"
    return f"{sign} {shown(bar.value)}{' ×' if bar.of == 'ratio' else ''}"


def _groups(customers: int | None) -> dict[str, Group]:
    return {
        "journey": partial(journey_figures.figures, customers=customers),
        "growth": growth_figures.figures,
        "scenario": scenario_figures.figures,
        "loading": loading_figures.figures,
        "start": start_figures.figures,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer customers and runs: a try")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=list(_groups(None)),
        metavar="GROUP",
        help=f"measure these groups alone: {', '.join(_groups(None))}",
    )
    parser.add_argument(
        "--runs", type=_positive, help=f"rounds, {RUNS} unless stated, {RUNS_QUICK} if quick"
    )
    parser.add_argument("--customers", type=_positive, help="of the reference journey")
    parser.add_argument(
        "--results", type=Path, default=results.FOLDER, help="where JSON and plots are written"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"{number} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
