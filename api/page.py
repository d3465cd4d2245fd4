"""Render a report as one self-contained HTML page.

The page asks nothing of the network, needs no script and carries its own style; its security policy
forbids both. Every text that stems from the flow, the audience or a file goes through
`api.page_text`, which escapes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from string import Template

from api.couplings_text import couplings_told
from api.page_graph import KIND_NAMES, NODES_MAX, badge, draw_graph
from api.page_series import entries_html, sends_html
from api.page_stories import stories_html
from api.page_tables import funnel_html, goal_html, modelled_html, nodes_html, test_html
from api.page_text import count, figure, html, interval, rich, share, share_range
from core.quantity import THIN, moment, number, percent, percents, plural
from core.report import Figure, Notice, Report

NODES_NAMED = 12  # nodes that a notice names before it counts the rest
_WORDS = {"error": "ERROR", "warning": "CHECK", "note": "NOTE"}


def render_html(report: Report) -> str:
    """The report as an HTML page, UTF-8 text, complete in itself."""
    sections = list(_sections(report))
    contents = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in sections)
    body = "".join(
        f'<section id="{anchor}" aria-labelledby="{anchor}-h"><h2 id="{anchor}-h">{title}</h2>'
        f"{inner}</section>"
        for anchor, title, inner in sections
    )
    return Template(_resource("page.html")).substitute(
        title=html(report.flow.title),
        css=_resource("page.css"),
        lede=_lede(report),
        contents=contents,
        notices=_notices(report.notices),
        sections=body,
        footer=_footer(report),
    )


def _resource(name: str) -> str:
    return files("api").joinpath(name).read_text("utf-8")


def _sections(report: Report) -> Iterator[tuple[str, str, str]]:
    """The sections in reading order: anchor, heading, content."""
    yield "summary", "In short", _summary(report)
    yield "flow", "The flow", _graph(report)
    if report.funnel is not None:
        yield "funnel", "Funnel", funnel_html(report)
    if report.goal is not None:
        yield "goal", "Goal", goal_html(report.goal)
    if report.tests:
        tests = "".join(test_html(test) for test in report.tests)
        yield "tests", "A/B tests", tests
    if report.couplings is not None:
        told = "".join(f"<p>{html(line)}</p>" for line in couplings_told(report.couplings))
        yield "couplings", "Limits and prizes", told
    if report.sends:
        yield "messages", "Messages", sends_html(report)
    yield "entries", "Entries", entries_html(report)
    if report.modelled:
        yield "responses", "Assumed responses", modelled_html(report)
    yield "nodes", "Nodes", nodes_html(report)
    limits = "".join(f"<li>{rich(limit.text)}</li>" for limit in report.limits)
    yield "limits", "What the figures do not say", f'<ul class="limits">{limits}</ul>'
    if report.stories:
        yield "stories", "Customers’ ways", stories_html(report)


# -- the head


def _lede(report: Report) -> str:
    window, audience = report.window, report.audience
    description = (
        f'<p class="lede">{rich(report.flow.description)}</p>' if report.flow.description else ""
    )
    return (
        f'{description}<p class="lede">Entries from <b>{moment(window.from_ms)}</b> to '
        f"<b>{moment(window.until_ms)}</b>, followed to <b>{moment(window.horizon_ms)}</b>. "
        f"{plural(audience.customers, 'customer')} of <b>{html(audience.name)}</b>. "
        f"{rich(report.flow.reentry)}.</p>"
    )


def _notices(notices: Sequence[Notice]) -> str:
    if not notices:
        return ""
    return f'<ul class="notices">{"".join(map(_notice, notices))}</ul>'


def _notice(notice: Notice) -> str:
    advice = f" {rich(notice.advice)}" if notice.advice else ""
    nodes = ""
    if notice.nodes:
        shown = ", ".join(
            f'<a href="#n-{html(node)}">{html(node)}</a>' for node in notice.nodes[:NODES_NAMED]
        )
        more = len(notice.nodes) - NODES_NAMED
        nodes = f"<p>Nodes: {shown}{f' and {number(more)} more' if more > 0 else ''}</p>"
    return (
        f'<li class="notice {notice.level}"><h2><span class="word">{_WORDS[notice.level]}</span>'
        f"{rich(notice.title)}</h2> <p>{rich(notice.text)}{advice}</p>{nodes}</li>"
    )


def _footer(report: Report) -> str:
    draws, run, audience = report.draws, report.run, report.audience
    parts = [
        f"Flow <code>{html(report.flow.id)}</code>",
        f"draws keyed by <code>{html(report.flow.lineage)}</code>",
        f"seed {draws.seed}, {plural(draws.replicates, 'replicate')}",
        f"salt <code>{html(draws.salt)}</code>",
    ]
    parts.append(f"{plural(audience.events, 'event row')} read")
    if audience.first_ms is not None and audience.last_ms is not None:
        parts.append(f"events from {moment(audience.first_ms)} to {moment(audience.last_ms)}")
    if audience.as_of_ms is not None:
        parts.append(f"attributes as of {moment(audience.as_of_ms)}")
    lines = [f"<p>{'; '.join(parts)}.</p>", "<p>All days and hours are UTC.</p>"]
    if run is not None:
        told = [f"Headrace {html(run.headrace)}" if run.headrace else "Headrace"]
        if run.made:
            told.append(f"made {html(run.made)}")
        if run.elapsed_s is not None:
            told.append(f"in {run.elapsed_s:g}{THIN}s")
        if run.workers is not None:
            told.append(f"by {plural(run.workers, 'worker')}")
        lines.append(f"<p>{' '.join(told)}.</p>")
    return "".join(lines)


# -- the summary


def _summary(report: Report) -> str:
    totals = report.totals
    inside = sum((totals.waiting.value, totals.idle.value))
    tiles = [
        _tile("People entered", figure(totals.people), interval(totals.people) or _of(report)),
        _tile("Entries", figure(totals.entries), interval(totals.entries) or _refused(report)),
    ]
    if report.sends:
        tiles.append(_tile("Messages", figure(totals.sends), interval(totals.sends)))
    if report.funnel is not None and report.funnel.standard is not None:
        standard = report.funnel.standard
        tiles.append(_tile("Reached the standard", share(standard), share_range(standard)))
    if report.goal is not None and report.goal.successes.rate is not None:
        rate = report.goal.successes.rate
        mark = f'<span class="approx">≈{THIN}{percent(rate.value)}</span>'
        tiles.append(
            _tile(
                "Entries that converted",
                mark if rate.assumed else percent(rate.value),
                f'<span class="range">95{THIN}%: {percents(rate.lo, rate.hi)}</span>',
            )
        )
    assumed = totals.waiting.assumed or totals.idle.assumed
    tiles.append(
        _tile(
            "Still inside at the end",
            figure(Figure(value=inside, assumed=assumed)),
            f"{count(totals.waiting)} waiting, {count(totals.idle)} idle",
        )
    )
    return (
        f'<p>{rich(report.basis.text)}</p>{_keys(report)}<div class="tiles">{"".join(tiles)}</div>'
    )


def _keys(report: Report) -> str:
    """What the marks mean, where any figure is marked."""
    if not report.basis.events:
        return ""
    keys = [
        ('<span class="n">1234</span>', "exact"),
        (f'<span class="n approx">≈{THIN}1234</span>', "rests on assumed responses"),
    ]
    if report.draws.replicates > 1:
        held = percent(report.draws.interval)
        keys.append(
            ('<span class="range">1200–1270</span>', f"where {held} of further replicates fall")
        )
    spans = "".join(f'<span class="key">{mark} {text}</span>' for mark, text in keys)
    return f"<p>{spans}</p>"


def _tile(what: str, value: str, below: str) -> str:
    return (
        f'<div class="tile-box"><div class="what">{what}</div><div class="value">{value}</div>'
        f'<div class="sub">{below}</div></div>'
    )


def _of(report: Report) -> str:
    customers = report.totals.customers
    if not customers:
        return ""
    return f"{percent(report.totals.people.value / customers)} of {plural(customers, 'customer')}"


def _refused(report: Report) -> str:
    refused = report.totals.refused
    return f"{count(refused)} refused" if refused.value else ""


# -- the graph


def _graph(report: Report) -> str:
    drawing = draw_graph(report)
    if drawing is None:
        return (
            f"<p>The flow has {plural(len(report.nodes), 'node')}. Beyond {NODES_MAX} a drawing "
            'could not be read; <a href="#nodes">the table of nodes</a> has every count.</p>'
        )
    kinds = "".join(
        f"<span>{badge(kind)}{name}</span>"
        for kind, name in KIND_NAMES.items()
        if f"k-{kind}" in drawing.svg
    )
    keys = [("", "width: share of entries"), ("assumed", "assumed"), ("dead", "nobody")]
    legend = "".join(
        f'<span><svg class="edge {style}" width="34" height="12" aria-hidden="true">'
        f'<path class="line" d="M4,6H30" stroke-width="{1.5 if style == "dead" else 7}"/></svg>'
        f"{words}</span>"
        for style, words in keys
        if style != "assumed" or report.basis.events
    )
    return (
        '<p class="hint">People move along the lines. A node’s number counts arrivals, a line’s '
        "those who took it; choose a node for its details.</p>"
        f'<div class="scroll" tabindex="0">{drawing.svg}</div>'
        f'<div class="legend">{kinds}{legend}</div>'
    )
