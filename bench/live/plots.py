"""Draw the live figures: contenders by entries a second, and the latencies' percentiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench.figures import shown
from bench.plots import DPI, GREY, OURS, THEIRS

ENTRIES, LATENCIES = "live-entries.png", "live-latency.png"
BAR_INCHES, HEAD_INCHES, WIDTH_INCHES = 0.42, 1.2, 8.0
LATENCY_INCHES = (8.0, 5.0)
COLORS = (OURS, "#3b8a4f", THEIRS, "#7a4fa3")
ROOM = 6.0
"""How far the axis of entries goes beyond the longest bar, for its number."""

Row = Mapping[str, Any]


def draw_entries(contenders: Sequence[Row], bar: float, folder: Path) -> Path:
    """Entries a second of each contender that ran, fastest first, on a logarithmic axis."""
    ran = sorted(
        (c for c in contenders if c["skipped"] is None), key=lambda c: c["entries_per_second"]
    )
    page, axes = plt.subplots(
        figsize=(WIDTH_INCHES, HEAD_INCHES + BAR_INCHES * len(ran)), layout="constrained"
    )
    rates = [c["entries_per_second"] for c in ran]
    names = [c["name"] for c in ran]
    colors = [OURS if name.startswith("Headrace") else THEIRS for name in names]
    axes.barh(names, rates, color=colors, height=0.62)
    for place, rate in enumerate(rates):
        axes.annotate(
            shown(rate), (rate, place), (6, 0), textcoords="offset points", va="center",
            color=GREY, fontsize=9,
        )  # fmt: skip
    axes.axvline(bar, color=GREY, linewidth=1, linestyle=":")
    axes.annotate(
        f"bar {bar:,.0f}", (bar, 1), (3, 2), xycoords=("data", "axes fraction"),
        textcoords="offset points", color=GREY, fontsize=8,
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(min(rates) / 2, max(*rates, bar) * ROOM)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("entries a second, each batch durable before it is acknowledged")
    return _saved(page, axes, folder / ENTRIES)


def draw_latencies(latencies: Sequence[Row], folder: Path) -> Path:
    """Percentiles of every run of one kind of request: time on a logarithmic axis."""
    page, axes = plt.subplots(figsize=LATENCY_INCHES, layout="constrained")
    for color, latency in zip(COLORS, latencies, strict=False):
        told = latency["percentiles_ms"]
        axes.plot(
            range(len(told)), list(told.values()), color=color, marker="o", markersize=4,
            linewidth=1.8, label=f"beside {latency['load']}",
        )  # fmt: skip
    labels = ["max" if name == "100" else f"p{name}" for name in latencies[0]["percentiles_ms"]]
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    bars = [latency["bar_p99_ms"] for latency in latencies if latency["bar_p99_ms"] is not None]
    for bar in bars:
        axes.axhline(bar, color=GREY, linewidth=1, linestyle=":")
        axes.annotate(
            f"bar on p99: {bar:g} ms", (0, bar), (0, 3), textcoords="offset points", color=GREY,
            fontsize=8,
        )  # fmt: skip
    axes.set_ylabel(f"ms until {latencies[0]['what']} is acknowledged")
    page.legend(frameon=False, fontsize=9, loc="outside upper left", ncols=2)
    return _saved(page, axes, folder / LATENCIES)


def _saved(page: Any, axes: Axes, path: Path) -> Path:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=GREY)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.savefig(path, dpi=DPI)
    plt.close(page)
    return path
