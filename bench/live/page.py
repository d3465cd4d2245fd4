"""Write docs/performance-live.md from the last benchmark of the live engine.

    python -m bench.live.page

fills bench/performance-live.md.in: its prose is fixed, every number comes from
bench/results/live.json. Nothing is written where a group is missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bench import results
from bench.figures import shown
from bench.journey import HORIZON_DAYS
from bench.live.__main__ import FILE, FORMAT
from bench.live.contest import NAMED, OURS
from bench.live.figures_contest import RATE_BAR
from bench.live.figures_http import GROUP as HTTP
from bench.live.figures_latency import ONE
from bench.live.figures_runs import GROUP as RUNS
from bench.live.groups import GROUPS, LATENCY
from bench.live.plots import draw_entries, draw_latencies
from bench.page import IMAGES, PLACE, PageError, figures_table, markdown, memory_gib, shrink

TEMPLATE = results.CHECKOUT / "bench" / "performance-live.md.in"
PAGE = "performance-live.md"
TOLD = [group for group in GROUPS if group not in (HTTP, RUNS)]
"""The groups that the page is about: the engine without what HTTP adds."""
MET = {None: "", True: "met", False: "**missed**"}

Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the template, write the page and its images; return the exit status."""
    parser = argparse.ArgumentParser(
        "python -m bench.live.page", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--results", type=Path, default=results.FOLDER, help="where `python -m bench.live` wrote"
    )
    parser.add_argument(
        "--docs", type=Path, default=results.CHECKOUT / "docs", help="where the page is written"
    )
    asked = parser.parse_args(arguments)
    try:
        document = read_results(asked.results)
        page = fill(TEMPLATE.read_text(), document)
    except PageError as error:
        print(error, file=sys.stderr)
        return 1
    images = asked.docs / IMAGES
    images.mkdir(parents=True, exist_ok=True)
    for plot in (
        draw_entries(document["contenders"], RATE_BAR.value, asked.results),
        draw_latencies(singles(document), asked.results),
    ):
        shrink(plot, images / plot.name)
    (asked.docs / PAGE).write_text(page)
    print(f"written: {asked.docs / PAGE}")
    return 0


def read_results(folder: Path) -> Row:
    """The benchmark's JSON; PageError where there is none, or it lacks a group."""
    path = folder / FILE
    if not path.exists():
        raise PageError(f"there is no {path}: run python -m bench.live first")
    document: Row = json.loads(path.read_text())
    if document.get("headrace_live_bench") != FORMAT:
        raise PageError(f"{path} is of another format: run python -m bench.live again")
    there = {figure["group"] for figure in document["figures"]}
    if document["latencies"]:
        there.add(LATENCY)
    if missing := [group for group in TOLD if group not in there]:
        raise PageError(f"{path} lacks {', '.join(missing)}: run python -m bench.live for all")
    ran = {c["name"] for c in document["contenders"] if c["skipped"] is None}
    if missing := [name for name in (OURS, NAMED) if name not in ran]:
        raise PageError(f"{path} lacks {', '.join(missing)}: run python -m bench.live for all")
    return document


def fill(template: str, document: Row) -> str:
    """The page."""
    ours = next(c for c in document["contenders"] if c["name"] == OURS)
    values = {
        "banner": _banner(document),
        "batch": f"{ours['batch_max']:,}",
        "runs": str(document["runs"]),
        "journey_days": str(HORIZON_DAYS),
        "machine": _machine(document),
        "contest": _figures(document, "contest"),
        "contenders": _contenders(document["contenders"]),
        "skipped": _skipped(document["contenders"]),
        "stages": _stages(document["contenders"]),
        "latencies": _latencies(document["latencies"]),
        "surge": _figures(document, "surge"),
        "recovery": _figures(document, "recovery"),
        "memory": _figures(document, "memory"),
        "failpoints": _figures(document, "failpoints"),
    }
    return PLACE.sub(lambda match: values[match[1]], template)


def singles(document: Row) -> list[Row]:
    """The latencies of single events."""
    return [latency for latency in document["latencies"] if latency["what"] == ONE]


def _banner(document: Row) -> str:
    if document["form"] == "long":
        return "The figures below are of one machine; ratios travel, times do not."
    return (
        f"The figures below were taken in the {document['form']} form, in small sizes: they show "
        "that all is measured, not whether the bars are met in the sizes that they were set for."
    )


def _machine(document: Row) -> str:
    machine, versions = document["machine"], document["versions"]
    rows = [
        (
            "processor",
            f"{machine['processor']}, {machine['cores']} cores, {machine['architecture']}",
        ),
        ("memory", f"{memory_gib():.0f} GiB"),
        ("system", machine["system"]),
        ("built", machine["compiled"] or "as it came"),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
    ]
    return markdown({"": False, "of the figures": False}, rows)


def _figures(document: Row, group: str) -> str:
    """The figures of a group that have a bar or no rival: the others are the contenders'."""
    rows = [row for row in document["figures"] if row["group"] == group]
    return figures_table([row for row in rows if row["bar"] is not None or row["rival"] is None])


def _contenders(contenders: Iterable[Row]) -> str:
    ran = [c for c in contenders if c["skipped"] is None]
    named = next(c["entries_per_second"] for c in ran if c["name"] == NAMED)
    rows = [
        (
            c["name"],
            shown(c["entries_per_second"]),
            f"{shown(c['entries_per_second'] / named)} ×",
            f"{c['spread']:.0%}",
            f"{c['entries']:,}",
            f"{c['batch_max']:,}",
        )
        for c in ran
    ]
    headings = ("entries/s", f"to {NAMED}", "spread", "entries", "events in a batch")
    return markdown({"contender": False, **dict.fromkeys(headings, True)}, rows)


def _skipped(contenders: Iterable[Row]) -> str:
    left_out = [f"{c['name']} ({c['skipped']})" for c in contenders if c["skipped"] is not None]
    if not left_out:
        return "Whoever runs fewer entries has fewer waiting tokens, to his advantage."
    return f"Not here to take part: {', '.join(left_out)}."


def _stages(contenders: Iterable[Row]) -> str:
    ran = [c for c in contenders if c["skipped"] is None]
    names = list(dict.fromkeys(name for c in ran for name in c["stages_us"]))
    rows = [
        (
            c["name"],
            *(shown(c["stages_us"].get(name)) for name in names),
            shown(1e6 / c["entries_per_second"]),
        )
        for c in ran
    ]
    return markdown({"contender": False, **dict.fromkeys([*names, "an entry"], True)}, rows)


def _latencies(latencies: Sequence[Row]) -> str:
    percentiles = latencies[0]["percentiles_ms"]
    rows = [
        (
            each["what"],
            each["load"],
            f"{each['requests']:,}",
            *(shown(ms) for ms in each["percentiles_ms"].values()),
            "" if each["bar_p99_ms"] is None else f"≤ {shown(each['bar_p99_ms'])}",
            MET[each["met"]],
        )
        for each in latencies
    ]
    right = ("requests", *("max" if p == "100" else f"p{p}" for p in percentiles), "bar")
    headings = {"of": False, "beside": False, **dict.fromkeys(right, True), "": False}
    return markdown(headings, rows)


if __name__ == "__main__":
    sys.exit(main())
