"""Render a comparison of two drafts as one self-contained HTML page.

It is made as the page of a report is (`api.page`): no script, nothing from the network, every text
escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files
from itertools import groupby
from string import Template

from api.page_text import html, rich
from core.comparison import Comparison, Difference, Part
from core.quantity import THIN, moment, number, percent, plural, points, span

ROWS_MAX = 2000  # differences in the tables; a page with more would not open
HEADINGS: dict[Part, str] = {
    "totals": "In all",
    "sends": "Messages",
    "nodes": "Nodes",
    "funnel": "Funnel",
    "tests": "A/B tests",
    "goal": "Goal",
}
FIGURES = {
    "people": "people",
    "entries": "entries",
    "refused": "refused",
    "steps": "steps",
    "sends": "messages",
    "ended": "ended",
    "fell_out": "left by an error",
    "waiting": "waiting at the end",
    "idle": "idle at the end",
    "parked": "parked",
    "entered": "arrivals",
    "mean_ms": "mean time since the entry",
}
CHANGES_FIRST: tuple[Part, ...] = ("goal", "tests", "totals", "sends", "funnel", "nodes")
"""What a draft is judged by comes before what it is made of."""


def render_comparison(found: Comparison) -> str:
    """The comparison as an HTML page, UTF-8 text, complete in itself."""
    sections = list(_sections(found))
    body = "".join(
        f'<section id="{anchor}" aria-labelledby="{anchor}-h"><h2 id="{anchor}-h">{title}</h2>'
        f"{inner}</section>"
        for anchor, title, inner in sections
    )
    return Template(_resource("page.html")).substitute(
        title=html(f"{found.first.title} → {found.second.title}"),
        css=_resource("page.css"),
        lede=_lede(found),
        contents="".join(f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in sections),
        notices="",
        sections=body,
        footer=_footer(found),
    )


def changed(each: Difference) -> bool:
    """Whether a figure differs, or only one draft has it."""
    if each.difference is None:
        return each.first != each.second
    return each.difference != 0 or (each.lo, each.hi) not in ((None, None), (0, 0))


def clear(each: Difference) -> bool:
    """Whether luck alone does not explain the difference: exact, or an interval without 0."""
    if not changed(each):
        return False
    if each.exact or each.difference is None:
        return True
    return each.lo is not None and each.hi is not None and (each.lo > 0 or each.hi < 0)


def _sections(found: Comparison) -> Iterator[tuple[str, str, str]]:
    yield "summary", "In short", _summary(found)
    shown = [each for each in found.differences if changed(each)]
    left = ROWS_MAX
    for part in CHANGES_FIRST:
        rows = [each for each in shown if each.part == part][:left]
        left -= len(rows)
        if rows:
            yield part, HEADINGS[part], _table(rows)
    if len(shown) > ROWS_MAX:
        more = plural(len(shown) - ROWS_MAX, "further difference")
        yield "more", "More", f'<p class="hint">{more} are in the comparison’s JSON.</p>'
    same = [each for each in found.differences if not changed(each)]
    if same:
        yield "same", "What stays the same", _same(same)
    limits = "".join(f"<li>{rich(limit)}</li>" for limit in found.limits)
    yield "limits", "What the figures do not say", f'<ul class="limits">{limits}</ul>'


def _resource(name: str) -> str:
    return files("api").joinpath(name).read_text("utf-8")


def _lede(found: Comparison) -> str:
    window = found.window
    return (
        f'<p class="lede">What changes from <b>{html(found.first.title)}</b> to '
        f"<b>{html(found.second.title)}</b>, for the same {plural(found.customers, 'customer')} "
        f"with the same luck. Entries from <b>{moment(window.from_ms)}</b> to "
        f"<b>{moment(window.until_ms)}</b>, followed to <b>{moment(window.horizon_ms)}</b>.</p>"
    )


def _footer(found: Comparison) -> str:
    draws = found.draws
    return (
        f"<p>Flows <code>{html(found.first.id)}</code> and <code>{html(found.second.id)}</code>; "
        f"draws keyed by <code>{html(found.first.lineage)}</code>; seed {draws.seed}, "
        f"{plural(draws.replicates, 'replicate')}; salt <code>{html(draws.salt)}</code>.</p>"
        "<p>All days and hours are UTC.</p>"
    )


def _summary(found: Comparison) -> str:
    if found.same:
        return (
            "<p><b>Nothing changes.</b> Every figure of both drafts is the same in every "
            "replicate.</p>"
        )
    differences = found.differences
    shown = [each for each in differences if changed(each)]
    sure = sum(map(clear, shown))
    said = (
        f"<p>{plural(len(shown), 'figure')} of {number(len(differences))} differ; {number(sure)} "
        "of them beyond what luck explains: exactly, or with a 95 % interval that leaves out 0. "
        "The others are marked as open.</p>"
    )
    heads = [e for e in differences if e.figure.endswith("rate")]
    heads += [e for e in differences if e.part == "totals" and e.figure in ("people", "sends")]
    return f'{said}<div class="tiles">{"".join(map(_tile, heads[:6]))}</div>'


def _tile(each: Difference) -> str:
    between = f"{_value(each, each.first)} → {_value(each, each.second)}"
    return (
        f'<div class="tile-box"><div class="what">{_name(each)}</div>'
        f'<div class="value">{_signed(each)}</div><div class="sub">{between}</div></div>'
    )


def _table(rows: Iterable[Difference]) -> str:
    body = "".join(map(_row, rows))
    return (
        '<div class="scroll"><table><thead><tr><th>Figure</th><th class="num">First draft</th>'
        '<th class="num">Second draft</th><th class="num">Difference</th>'
        '<th class="num">95 % interval</th><th>Is it luck?</th></tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(each: Difference) -> str:
    interval = "–"
    if each.exact:
        interval = "exact"
    elif each.lo is not None and each.hi is not None:
        interval = f"{_change(each, each.lo)} to {_change(each, each.hi)}"
    verdict = "only in one draft" if each.difference is None else "no" if clear(each) else "open"
    return (
        f"<tr><td>{_name(each)}</td>"
        f'<td class="num">{_value(each, each.first)}</td>'
        f'<td class="num">{_value(each, each.second)}</td>'
        f'<td class="num">{_signed(each)}</td><td class="num">{interval}</td>'
        f"<td>{verdict}</td></tr>"
    )


def _same(same: Iterable[Difference]) -> str:
    told = [
        f"{HEADINGS[part].lower()}: {number(len(list(each)))}"
        for part, each in groupby(same, lambda d: d.part)
    ]
    return f"<p>Figures that are equal in every replicate, by part: {'; '.join(told)}.</p>"


def _name(each: Difference) -> str:
    """The figure in words, with its node, channel or layer."""
    branch, _, last = each.figure.rpartition(" ")
    if each.figure.startswith("port "):
        words = f"left by <code>{html(each.figure.removeprefix('port '))}</code>"
    elif each.part == "tests":
        words = f"<code>{html(branch)}</code> {html(last)}"
    elif each.part == "goal":
        words = {"rate": "entries that converted", "succeeded": "conversions"}.get(
            each.figure, f"entries {each.figure}"
        )
    else:
        words = html(FIGURES.get(each.figure, each.figure.replace("_", " ")))
    return f"<code>{html(each.name)}</code> {words}" if each.name else words


def _is_rate(each: Difference) -> bool:
    return each.part in ("tests", "goal") and each.figure.rpartition(" ")[2] == "rate"


def _value(each: Difference, value: float | None) -> str:
    """A figure in its own unit, marked where it rests on a model."""
    if value is None:
        return "–"
    if _is_rate(each):
        text = percent(value)
    else:
        text = span(value) if each.figure == "mean_ms" else number(value)
    return text if each.exact else f'<span class="approx">≈{THIN}{text}</span>'


def _signed(each: Difference) -> str:
    return "–" if each.difference is None else _change(each, each.difference)


def _change(each: Difference, value: float) -> str:
    """A difference in its unit, with its sign."""
    if _is_rate(each):
        return points(value) if value else f"0{THIN}pp"
    sign = "+" if value > 0 else "−" if value < 0 else ""
    size = abs(value)
    return sign + (span(size) if each.figure == "mean_ms" else number(size))
