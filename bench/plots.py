"""Draw throughput against what was varied, one PNG for each sweep.

Both axes are logarithmic where the sweep spans decades, so that what grows linearly is a straight
line, and what does not depend on the variable a level one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")  # no window is opened, wherever this runs

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from bench.figures import Figure

OURS, THEIRS, GREY = "#0b5fa5", "#b3541e", "#666666"
OUR_NAME = "Headrace"
SIZE_INCHES = (8.0, 5.6)
DPI = 150
DECADES = 20  # from the least to the greatest x: beyond this the axis is logarithmic


def draw(figures: Sequence[Figure], folder: Path) -> list[Path]:
    """Draw the sweeps among `figures`; return the files written to `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    sweeps: dict[str, list[Figure]] = {}
    for figure in figures:
        if figure.place is not None:
            sweeps.setdefault(figure.place.sweep, []).append(figure)
    return [_draw_one(sweep, points, folder) for sweep, points in sweeps.items()]


def _draw_one(sweep: str, points: list[Figure], folder: Path) -> Path:
    path = folder / f"throughput-by-{sweep.replace(' ', '-')}.png"
    xs = [point.place.x for point in points if point.place is not None]
    page, (upper, lower) = plt.subplots(
        2, 1, sharex=True, figsize=SIZE_INCHES, height_ratios=(3, 2), layout="constrained"
    )
    note = next((point.place.note for point in points if point.place is not None), "")
    upper.set_title(f"Throughput by {sweep}", loc="left", fontsize=13, fontweight="bold", pad=24)
    upper.annotate(
        note, (0, 1), (0, 10), xycoords="axes fraction", textcoords="offset points", color=GREY,
        fontsize=9,
    )  # fmt: skip
    _line(upper, xs, [point.ours for point in points], OURS, OUR_NAME)
    beside = [
        (x, point.theirs) for x, point in zip(xs, points, strict=True) if point.theirs is not None
    ]
    if beside:
        theirs_x, theirs = zip(*beside, strict=True)
        rival = next(point.rival for point in points if point.rival is not None)
        _line(upper, list(theirs_x), list(theirs), THEIRS, rival)
    upper.set_ylabel(points[0].unit.replace("M ", "million "))
    _log_y(upper)
    steps = [(x, p.step_ns) for x, p in zip(xs, points, strict=True) if p.step_ns is not None]
    _line(lower, [x for x, _ in steps], [ns for _, ns in steps], OURS, OUR_NAME)
    lower.set_ylabel("ns for a token-step")
    lower.set_ylim(bottom=0, top=1.3 * max(ns for _, ns in steps))
    lower.set_xlabel(sweep)
    if max(xs) >= DECADES * min(xs):
        lower.set_xscale("log")
    lower.set_xticks(xs, [f"{x:,.0f}" for x in xs])
    lower.xaxis.set_minor_locator(NullLocator())
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=GREY)
        axes.margins(x=0.08)
    page.savefig(path, dpi=DPI)
    plt.close(page)
    return path


def _line(axes: Axes, xs: Sequence[float], ys: Sequence[float], color: str, name: str) -> None:
    """Draw one contender: a marked line, its values at the points, its name at its end."""
    axes.plot(xs, ys, color=color, marker="o", markersize=4, linewidth=1.8)
    for x, y in zip(xs, ys, strict=True):
        axes.annotate(
            f"{y:.3g}", (x, y), (0, 6), textcoords="offset points", ha="center", color=GREY,
            fontsize=8,
        )  # fmt: skip
    axes.annotate(
        name, (xs[-1], ys[-1]), (14, 0), textcoords="offset points", va="center", color=color,
        fontsize=10, fontweight="bold",
    )  # fmt: skip


def _log_y(axes: Axes) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.set_ylim(low / 1.8, high * 1.6)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
