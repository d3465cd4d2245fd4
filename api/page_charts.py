"""Draw the report's charts as inline SVG: counts over time, and rates with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from api.page_text import html, text_width
from core.quantity import day, number, percent, percents, points
from core.report import Rate

BARS_MAX = 120  # beyond, days are summed into weeks
HEIGHT = 190.0
TOP, BOTTOM, LEFT = 12.0, 24.0, 48.0


@dataclass(frozen=True, slots=True)
class Stack:
    """One series of a stacked chart: its name for people, its colour class, its counts."""

    name: str
    style: str
    counts: Sequence[float]


def bars(
    chart_id: str,
    title: str,
    stacks: Sequence[Stack],
    ticks: Sequence[str],
    spans: Sequence[str],
    width: float,
) -> str:
    """Stacked bars. `ticks` are the labels on the axis, `spans` name each bar in its tooltip.

    Ticks that would collide are left out.
    """
    n = len(ticks)
    totals = [sum(stack.counts[k] for stack in stacks) for k in range(n)]
    steps = axis(max(totals, default=0.0))
    top = steps[-1]
    inner, plot = width - LEFT - 8, HEIGHT - TOP - BOTTOM
    pitch = inner / max(n, 1)
    bar = max(1.0, min(pitch - 1.5, pitch * 0.78, 34.0))
    parts = [_grid(steps, width, plot)]
    for k in range(n):
        y, x = HEIGHT - BOTTOM, LEFT + pitch * k + (pitch - bar) / 2
        rects = []
        for stack in stacks:
            h = plot * stack.counts[k] / top
            if h > 0:
                y -= h
                rects.append(
                    f'<rect class="{stack.style}" x="{x:.1f}" y="{y:.2f}" width="{bar:.1f}" '
                    f'height="{max(h, 0.75):.2f}"/>'
                )
        if rects:
            told = "; ".join(f"{s.name} {number(s.counts[k])}" for s in stacks if s.counts[k])
            parts.append(f"<g><title>{html(f'{spans[k]}: {told}')}</title>{''.join(rects)}</g>")
    parts.append(_ticks(ticks, pitch))
    return (
        f'<svg class="chart" viewBox="0 0 {width:.0f} {HEIGHT:.0f}" role="img" '
        f'aria-labelledby="{chart_id}-t {chart_id}-d"><title id="{chart_id}-t">{html(title)}'
        f'</title><desc id="{chart_id}-d">Bars of {n} spans of time; a table follows.</desc>'
        f"{''.join(parts)}</svg>"
    )


def axis(most: float) -> list[float]:
    """Round values from 0 to `most` or beyond, three to six of them."""
    if most <= 0:
        return [0.0, 1.0]
    size = 10.0 ** floor(log10(most))
    steps = [size * f for f in (0.2, 0.25, 0.5, 1.0, 2.0)]
    whole = [step for step in steps if most < 1 or step == int(step)]
    step = next(step for step in whole if most <= 5 * step)
    return [step * k for k in range(ceil(most / step - 1e-9) + 1)]


def _grid(steps: Sequence[float], width: float, plot: float) -> str:
    lines = []
    for value in steps:
        y = TOP + plot * (1 - value / steps[-1])
        style = "base" if value == 0 else "grid"
        lines.append(
            f'<line class="{style}" x1="{LEFT}" x2="{width - 8:.0f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{y + 3.5:.1f}" text-anchor="end">'
            f"{number(value)}</text>"
        )
    return "".join(lines)


def _ticks(ticks: Sequence[str], pitch: float) -> str:
    room = max((text_width(tick, 11) for tick in ticks), default=0.0) + 10
    every = max(1, ceil(room / pitch))
    return "".join(
        f'<text class="tick" x="{LEFT + pitch * (k + 0.5):.1f}" y="{HEIGHT - 7:.0f}" '
        f'text-anchor="middle">{html(ticks[k])}</text>'
        for k in range(0, len(ticks), every)
    )


def day_ticks(days: Sequence[int]) -> tuple[list[str], list[str]]:
    """The axis labels and full names of UTC days, ms."""
    names = [day(ms) for ms in days]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    ticks = [f"{int(name[8:10])} {months[int(name[5:7]) - 1]}" for name in names]
    return ticks, names


def whisker(rate: Rate, lo: float, hi: float, style: str, *, zero: bool = False) -> str:
    """A rate as a dot on its 95 % interval, on an axis from `lo` to `hi`; `zero` marks 0.

    The 90 % interval over replicates, where there is one, is the thicker inner line.
    """
    width, pad = 260.0, 8.0

    def at(value: float) -> float:
        share = (min(max(value, lo), hi) - lo) / (hi - lo)
        return pad + (width - 2 * pad) * share

    told = _told(rate, zero)
    parts = [f'<line class="axis" x1="{pad}" x2="{width - pad}" y1="13" y2="13"/>']
    if zero:
        parts.append(f'<line class="zero" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="2" y2="24"/>')
    for begin, end, up in ((rate.lo, rate.hi, 0), (rate.lo, rate.lo, 5), (rate.hi, rate.hi, 5)):
        parts.append(
            f'<line class="wide {style}" x1="{at(begin):.1f}" x2="{at(end):.1f}" '
            f'y1="{13 - up}" y2="{13 + up}"/>'
        )
    if rate.replicates_lo is not None and rate.replicates_hi is not None:
        parts.append(
            f'<line class="thick {style}" x1="{at(rate.replicates_lo):.1f}" '
            f'x2="{at(rate.replicates_hi):.1f}" y1="13" y2="13"/>'
        )
    parts.append(f'<circle class="dot {style}" cx="{at(rate.value):.1f}" cy="13" r="5"/>')
    return (
        f'<svg class="whisker" viewBox="0 0 {width:.0f} 26" role="img" aria-label="{html(told)}">'
        f"<title>{html(told)}</title>{''.join(parts)}</svg>"
    )


def _told(rate: Rate, difference: bool) -> str:
    if difference:
        return f"{points(rate.value)}, 95 % interval {points(rate.lo)} to {points(rate.hi)}"
    return f"{percent(rate.value)}, 95 % interval {percents(rate.lo, rate.hi)}"


def weeks(counts: Sequence[float], size: int = 7) -> list[float]:
    """Sums of `size` neighbours each; the last sum may cover fewer."""
    return [sum(counts[k : k + size]) for k in range(0, len(counts), size)]
