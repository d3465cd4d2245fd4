"""Write docs/performance.md from the last benchmark, with a profile and limits measured now.

    python -m bench.page

fills bench/performance.md.in: its prose is fixed, every number comes from bench/results/latest.json
or is measured here. Nothing is written where a group or a tool is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import journey_figures, results
from bench.builds import build_copy
from bench.contest import NUMBA
from bench.figures import shown
from bench.flame import draw_flame
from bench.limits import Memory, Native, measure_memory, measure_native
from bench.profile import Profile, profile_journey, require_tools

TEMPLATE = results.CHECKOUT / "bench" / "performance.md.in"
PAGE, IMAGES = "performance.md", "images"
FLAME = "performance-flame.svg"
PNG_COLORS = 64
FUNCTIONS_MAX = 20
MAIN_FIGURE = (journey_figures.GROUP, "counters", NUMBA)
RATE_UNIT = journey_figures.RATE
PLACE = re.compile(r"\{\{ ([a-z_ ]+) \}\}")
_TABLE = "table "

Row = dict[str, Any]
"""A figure as the JSON has it, see `results.as_json`."""


class PageError(Exception):
    """The page can't be written; says what is missing and what to do."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the command measures besides the benchmark."""

    profile: Profile
    memory: Memory
    native: Native


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, fill the template, write the page and its images; return the exit status."""
    parser = argparse.ArgumentParser(
        "python -m bench.page", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--results", type=Path, default=results.FOLDER, help="where `python -m bench` wrote"
    )
    parser.add_argument(
        "--docs", type=Path, default=results.CHECKOUT / "docs", help="where the page is written"
    )
    asked = parser.parse_args(arguments)
    try:
        document = read_results(asked.results)
        plots = plots_of(document, asked.results)
        require_tools()
        page = fill(TEMPLATE.read_text(), document, measured := measure(quick=document["quick"]))
    except (PageError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    images = asked.docs / IMAGES
    images.mkdir(parents=True, exist_ok=True)
    for old in images.glob("performance-by-*.png"):
        old.unlink()
    for plot in plots:
        shrink(plot, images / image_of(plot.name))
    (images / FLAME).write_text(flame(measured.profile))
    (asked.docs / PAGE).write_text(page)
    print(f"written: {asked.docs / PAGE}")
    return 0


def read_results(folder: Path) -> dict[str, Any]:
    """The benchmark's JSON; PageError where there is none, or one of another format."""
    path = folder / results.FILE
    if not path.exists():
        raise PageError(f"there is no {path}: run python -m bench first")
    document: dict[str, Any] = json.loads(path.read_text())
    if document.get("headrace_bench") != results.FORMAT:
        raise PageError(f"{path} is of another format: run python -m bench again")
    here, there = results.machine(), document["machine"]
    if (here["processor"], here["cores"]) != (there["processor"], there["cores"]):
        raise PageError(f"{path} is of another machine: run python -m bench on this one")
    return document


def measure(*, quick: bool) -> Measured:
    """Build the copies, profile one, run both by turns, read memory: a few minutes."""
    with TemporaryDirectory() as place:
        folder = Path(place).resolve()
        portable = build_copy(folder / "portable")
        native = build_copy(folder / "native", native=True)
        return Measured(
            profile_journey(portable),
            measure_memory(),
            measure_native(portable, native, quick=quick),
        )


def fill(template: str, document: dict[str, Any], measured: Measured) -> str:
    """The page. PageError where the template lacks a group of the results, or they one of its."""
    rows: list[Row] = document["figures"]
    groups = {row["group"] for row in rows if not row["gate"]}
    wanted = {name.removeprefix(_TABLE) for name in PLACE.findall(template) if _TABLE in name}
    if groups != wanted:
        missing, unknown = sorted(wanted - groups), sorted(groups - wanted)
        raise PageError(
            f"the results lack {', '.join(missing)}: run python -m bench for all groups"
            if missing
            else f"bench/performance.md.in has no table for {', '.join(unknown)}"
        )
    profile = measured.profile
    values: dict[str, str] = {
        "banner": _banner(document),
        "steps_a_customer": f"{profile.steps / profile.customers:.2f}",
        "machine": _machine(document, profile),
        "runs_line": f"Medians of {document['runs']} runs, of fewer where one takes seconds.",
        "gates": figures_table([row for row in rows if row["gate"]]),
        "plots": "\n\n".join(
            f"![Throughput by {sweep}]({IMAGES}/{image_of(plot_name(sweep))})"
            for sweep in sweeps_of(rows)
        ),
        "profile_customers": f"{profile.customers:,}",
        "compiler": profile.compiler,
        "functions": functions_table(profile),
        "limits": _limits(rows, measured),
        "native": _native(measured.native),
    }
    for group in groups:
        chosen = [row for row in rows if row["group"] == group and not row["gate"]]
        values[_TABLE + group] = figures_table(chosen)
    return PLACE.sub(lambda match: values[match[1]], template)


def figures_table(rows: Iterable[Row]) -> str:
    """Figures as a table; columns that none of them fills are left out."""
    columns: dict[str, tuple[bool, Callable[[Row], str]]] = {
        "figure": (False, lambda row: str(row["name"])),
        "ours": (True, lambda row: shown(row["ours"])),
        "unit": (False, lambda row: str(row["unit"])),
        "ns a step": (True, lambda row: shown(row["step_ns"])),
        "rival": (False, lambda row: row["rival"] or ""),
        "theirs": (True, lambda row: shown(row["theirs"])),
        "ratio": (True, lambda row: shown(row["ratio"])),
        "spread": (True, _spread),
        "bar": (True, _bar),
        "": (False, lambda row: {None: "", True: "met", False: "**missed**"}[row["met"]]),
    }
    cells = {
        heading: (right, [cell(row) for row in rows]) for heading, (right, cell) in columns.items()
    }
    kept = {heading: column for heading, column in cells.items() if any(column[1])}
    lines = zip(*(texts for _, texts in kept.values()), strict=True)
    return markdown({heading: right for heading, (right, _) in kept.items()}, lines)


def functions_table(profile: Profile) -> str:
    """The dearest functions by their own instructions, and what is left as one."""
    own = profile.by_function()
    rest = own[FUNCTIONS_MAX:]
    named = [(f"`{name}`", cost) for name, cost in own[:FUNCTIONS_MAX]]
    if rest:
        named.append((f"{len(rest)} others", sum(cost for _, cost in rest)))
    named.append(("**all**", profile.instructions))
    return markdown(
        {"function": False, "a customer": True, "a token-step": True, "share": True},
        [
            (
                name,
                f"{cost / profile.customers:,.1f}",
                f"{cost / profile.steps:,.2f}",
                f"{cost / profile.instructions:.1%}",
            )
            for name, cost in named
        ],
    )


def flame(profile: Profile) -> str:
    """The flame graph of a profile as SVG, in instructions a customer."""
    return draw_flame(profile.stacks, unit="instructions a customer", per=profile.customers)


def plot_name(sweep: str) -> str:
    """The file that `bench.plots` draws a sweep to."""
    return f"throughput-by-{sweep.replace(' ', '-')}.png"


def image_of(plot: str) -> str:
    """The name of a plot beside the page."""
    return plot.replace("throughput-", "performance-")


def sweeps_of(rows: Iterable[Row]) -> list[str]:
    """The sweeps among figures, in order."""
    return list(dict.fromkeys(row["sweep"] for row in rows if row["sweep"] is not None))


def plots_of(document: dict[str, Any], folder: Path) -> list[Path]:
    """The plots of a benchmark; PageError where one is not there."""
    plots = [folder / plot_name(sweep) for sweep in sweeps_of(document["figures"])]
    for plot in plots:
        if not plot.exists():
            raise PageError(f"there is no {plot}: run python -m bench again")
    return plots


def shrink(source: Path, target: Path) -> None:
    """Copy a PNG of few colours as one with a palette, a third as large."""
    from PIL import Image  # comes with Matplotlib, which draws the plots

    with Image.open(source) as image:
        image.convert("RGB").quantize(PNG_COLORS).save(target, optimize=True)


def _banner(document: dict[str, Any]) -> str:
    day = str(document["taken_at"])[:10]
    if document["quick"]:
        return (
            f"The figures below are of {day} and were taken in the quick form, on small audiences "
            "and in few runs: they show that all is measured, not how fast it is."
        )
    return f"The figures below are of {day}. They are of one machine; ratios travel, times do not."


def _machine(document: dict[str, Any], profile: Profile) -> str:
    machine, versions = document["machine"], document["versions"]
    rows = [
        (
            "processor",
            f"{machine['processor']}, {machine['cores']} cores, {machine['architecture']}",
        ),
        ("memory", f"{memory_gib():.0f} GiB"),
        ("system", machine["system"]),
        ("built", f"{machine['compiled'] or 'as it came'}, {profile.compiler}"),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
    ]
    return markdown({"": False, "of the figures": False}, rows)


def memory_gib() -> float:
    """How much memory the machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30


def _limits(rows: Sequence[Row], measured: Measured) -> str:
    """What bounds the engine, from the profile, the figures and how fast memory is read."""
    profile, memory = measured.profile, measured.memory
    main_row = next(row for row in rows if (row["group"], row["name"], row["rival"]) == MAIN_FIGURE)
    ours, theirs = main_row["ours"], main_row["theirs"]
    instructions = profile.instructions / profile.customers
    lines = [
        ("instructions a customer", f"{instructions:,.0f}"),
        ("instructions a token-step", f"{profile.instructions / profile.steps:,.1f}"),
        ("time a customer", f"{1e3 / ours:.1f} ns"),
        (f"time a customer, {main_row['rival']}", f"{1e3 / theirs:.1f} ns"),
        # Of the very build that was profiled, which may be newer than the benchmark's.
        ("instructions in a nanosecond", f"{instructions / measured.native.portable_ns:.2f}"),
        ("columns of the journey", f"{memory.bytes_a_customer:.1f} bytes a customer"),
        ("read by one core", f"{memory.read_gb_s:.1f} GB/s"),
        ("copied by one core, both ways counted", f"{memory.copy_gb_s:.1f} GB/s"),
        ("physical limit: columns ÷ read", f"{memory.limit_m_s:,.0f} {RATE_UNIT}"),
        ("reached by Headrace", f"{ours:,.1f} {RATE_UNIT}, {ours / memory.limit_m_s:.1%}"),
        (
            f"reached by {main_row['rival']}",
            f"{theirs:,.1f} {RATE_UNIT}, {theirs / memory.limit_m_s:.1%}",
        ),
    ]
    return markdown({"one worker, counters without a log": False, "": True}, lines)


def _native(native: Native) -> str:
    return markdown(
        {"build": False, "ns a customer": True, "spread": True, "times as fast": True},
        [
            ("portable", f"{native.portable_ns:.1f}", f"{native.portable_spread:.0%}", "1"),
            (
                "for the local processor",
                f"{native.native_ns:.1f}",
                f"{native.native_spread:.0%}",
                f"{native.gain:.2f}",
            ),
        ],
    )


def _spread(row: Row) -> str:
    ours = f"{row['spread']:.0%}"
    if row["rival"] is None:
        return ours if row["spread"] else ""
    return f"{ours}, {row['their_spread']:.0%}"


def _bar(row: Row) -> str:
    if row["bar"] is None:
        return ""
    relation = "at least" if "at least" in row["bar"] else "at most"
    times = " ×" if row["bar"]["of"] == "ratio" else ""
    return f"{'≥' if relation == 'at least' else '≤'} {shown(row['bar'][relation])}{times}"


def markdown(headings: dict[str, bool], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; headings with whether their columns are set to the right."""
    rows = [
        list(headings),
        ["---:" if right else "---" for right in headings.values()],
        *(list(line) for line in lines),
    ]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
