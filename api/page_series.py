"""Show messages and entries over time: charts, and the same as tables."""

from __future__ import annotations

from collections.abc import Sequence

from api.page_charts import BARS_MAX, Stack, bars, day_ticks, weeks
from api.page_text import figure, html, interval
from core.describe import CHANNEL_NAMES
from core.quantity import THIN, day, moment, number
from core.report import ChannelSends, Day, Figure, Report, Series

_HOURS = [f"{hour:02d}" for hour in range(24)]


def sends_html(report: Report) -> str:
    """The messages of every channel."""
    sends = report.sends
    rows = "".join(
        f"<tr><td>{_swatch(s.channel)}{_name(s)}</td>"
        f'<td class="num">{figure(s.series.total)}{interval(s.series.total)}</td>'
        f"<td>{_peak(s.series)}</td></tr>"
        for s in sends
    )
    table = (
        '<table><thead><tr><th>Channel</th><th class="num">Messages</th><th>Fullest hour (UTC)</th>'
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )
    named = [(_name(s), f"c-{s.channel}", s.series) for s in sends]
    return table + _charts("sends", "Messages", named)


def entries_html(report: Report) -> str:
    """The entries."""
    series = report.entries
    peak = _peak(series)
    hint = f'<p class="hint">Fullest hour: {peak}.</p>' if peak else "<p>Nobody entered.</p>"
    return hint + (
        _charts("entries", "Entries", [("entries", "c-entries", series)]) if peak else ""
    )


def _charts(chart_id: str, what: str, named: Sequence[tuple[str, str, Series]]) -> str:
    """Counts by day and by hour of the day, with their tables."""
    days = [d.day_ms for d in named[0][2].by_day]
    ticks, names = day_ticks(days)
    counts = [[d.count.value for d in series.by_day] for _, _, series in named]
    unit = "day"
    if len(days) > BARS_MAX:
        unit = "week"
        counts = [weeks(values) for values in counts]
        ticks = ticks[::7]
        names = [f"7 days from {name}" for name in names[::7]]
    stacks = [
        Stack(name, style, values) for (name, style, _), values in zip(named, counts, strict=True)
    ]
    hours = [Stack(name, style, series.by_hour_of_day) for name, style, series in named]
    spans = [f"{hour}:00–{hour}:59 UTC" for hour in _HOURS]
    by_day = bars(f"{chart_id}-day", f"{what} by {unit}", stacks, ticks, names, 720)
    by_hour = bars(f"{chart_id}-hour", f"{what} by hour of the day", hours, _HOURS, spans, 350)
    return (
        f'<div class="charts"><div><h3>By {unit}</h3>{by_day}</div>'
        f"<div><h3>By hour of the day, UTC</h3>{by_hour}</div></div>"
        f"{_tables(what, named)}"
    )


def _tables(what: str, named: Sequence[tuple[str, str, Series]]) -> str:
    """The charts' figures as tables, closed until asked for."""
    head = "".join(f'<th class="num">{html(name)}</th>' for name, _, _ in named)
    dates: list[Sequence[Day]] = [series.by_day for _, _, series in named]
    rows = "".join(
        f"<tr><td>{day(each[0].day_ms)}</td>{''.join(_cell(d.count) for d in each)}</tr>"
        for each in zip(*dates, strict=True)
    )
    hours = "".join(
        f"<tr><td>{_HOURS[h]}:00</td>"
        + "".join(f'<td class="num">{number(s.by_hour_of_day[h])}</td>' for _, _, s in named)
        + "</tr>"
        for h in range(24)
    )
    return (
        f"<details><summary>{html(what)} by day, as a table</summary>"
        f'<div class="scroll"><table><thead><tr><th>Day (UTC)</th>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></details>"
        f"<details><summary>{html(what)} by hour of the day, as a table</summary>"
        f'<div class="scroll"><table><thead><tr><th>Hour (UTC)</th>{head}</tr></thead>'
        f"<tbody>{hours}</tbody></table></div></details>"
    )


def _cell(value: Figure) -> str:
    return f'<td class="num">{figure(value)}{interval(value)}</td>'


def _peak(series: Series) -> str:
    if series.peak is None:
        return ""
    mark = f"≈{THIN}" if series.total.assumed else ""
    hour = moment(series.peak.hour_ms).removesuffix(" UTC")
    return f"{mark}{number(series.peak.count)} on {hour}"


def _name(sends: ChannelSends) -> str:
    return CHANNEL_NAMES[sends.channel]


def _swatch(channel: str) -> str:
    return (
        '<svg width="12" height="12" aria-hidden="true" style="margin-right:8px">'
        f'<rect class="c-{channel}" width="12" height="12" rx="3"/></svg>'
    )
