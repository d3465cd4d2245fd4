"""Show the report's tables: nodes, funnel, A/B tests, the goal and the assumed responses."""

from __future__ import annotations

from api.holdout_text import holdout_told
from api.page_charts import axis, whisker
from api.page_graph import badge, kind_of
from api.page_text import count, figure, html, interval, rich, share, share_range
from core.quantity import THIN, percent, percents, plural, points, span
from core.report import (
    ABReport,
    BranchReport,
    Figure,
    GoalReport,
    ModelledOutcome,
    NodeReport,
    PortReport,
    Rate,
    Report,
)

ROWS_MAX = 2000  # nodes in the table; a page with more would not open

_STOPS = {
    "idle": "stay, nothing follows",
    "no_branch": "leave: no branch fits",
    "no_date": "leave: no date",
}


def nodes_html(report: Report) -> str:
    """Every node with its counts, ways out and times."""
    rows = "".join(map(_node, report.nodes[:ROWS_MAX]))
    more = len(report.nodes) - ROWS_MAX
    cut = (
        f'<p class="hint">{plural(more, "further node")} are in the report’s JSON.</p>'
        if more > 0
        else ""
    )
    return (
        '<p class="hint">Times run from the begin of the entry to the arrival.</p>'
        '<div class="scroll"><table class="nodes"><thead><tr><th>Node</th>'
        '<th class="num">Entered</th><th>Left by</th><th>Still there</th>'
        '<th class="num">Median time</th><th class="num">Mean time</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{cut}"
    )


def _node(node: NodeReport) -> str:
    name = f"{rich(node.title)}<br>{rich(node.label)}" if node.title else rich(node.label)
    note = f'<div class="hint">{rich(node.note)}</div>' if node.note else ""
    dead = "" if node.entered.value else ' class="dead"'
    return (
        f'<tr id="n-{html(node.id)}"{dead}><td><div class="who">{badge(kind_of(node.type))}<div>'
        f'<code class="name-id">{html(node.id)}</code><div class="label-text">{name}</div>{note}'
        f"</div></div></td>{_entered(node)}<td>{_ways(node)}</td><td>{_there(node)}</td>"
        f"{_time(node.median_ms)}{_time(node.mean_ms)}</tr>"
    )


def _entered(node: NodeReport) -> str:
    people = ""
    if node.people.value != node.entered.value:
        people = f'<span class="range">{count(node.people)} people</span>'
    return f'<td class="num">{figure(node.entered)}{interval(node.entered)}{people}</td>'


def _time(value: Figure | None) -> str:
    if value is None:
        return '<td class="num">–</td>'
    text = span(value.value)
    if value.assumed:
        text = f'<span class="approx">≈{THIN}{text}</span>'
    return f'<td class="num">{text}</td>'


def _ways(node: NodeReport) -> str:
    lines = [_way(node, port) for port in node.ports]
    shown = {"no_branch", "no_date"}
    for outcome in node.outcomes:
        if outcome.reason not in shown:
            style = ' class="stop"' if outcome.reason.startswith("parked") else ""
            lines.append(f"<li{style}>{figure(outcome.count)} {html(outcome.text)}</li>")
    lines += [
        f'<li class="share">{figure(refusal.count)} {html(refusal.text)}</li>'
        for refusal in node.refusals
    ]
    if node.touched.value:
        lines.append(
            f'<li class="share">{figure(node.touched)} judged by a value of a later date</li>'
        )
    if node.modelled_wakes.value:
        lines.append(f'<li class="share">{figure(node.modelled_wakes)} by a modelled event</li>')
    if node.modelled_entries.value:
        told = "entries by a modelled event"
        lines.append(f'<li class="share">{figure(node.modelled_entries)} {told}</li>')
    return f'<ul class="ways">{"".join(lines)}</ul>'


def _way(node: NodeReport, port: PortReport) -> str:
    name = "" if port.port == "next" else f'<span class="port">{html(port.port)}</span> '
    part = ""
    if len(node.ports) > 1 and port.share is not None:
        part = f' <span class="share">({percent(port.share)})</span>'
    if port.targets:
        onward = ", ".join(f'<a href="#n-{html(t)}">{html(t)}</a>' for t in port.targets)
        onward = f" → {onward}"
    else:
        onward = f', <span class="share">{_STOPS[port.outcome or "idle"]}</span>'
    return f"<li>{name}{figure(port.count)}{part}{onward}</li>"


def _there(node: NodeReport) -> str:
    parts = []
    if node.waiting.value:
        parts.append(f"{figure(node.waiting)} waiting")
    if node.idle.value:
        parts.append(f"{figure(node.idle)} idle")
    return "<br>".join(parts) or "–"


def funnel_html(report: Report) -> str:
    """The funnel as bars, each layer with its share of the first and of the one before."""
    funnel, entered = report.funnel, report.totals.people
    assert funnel is not None
    rows = [_layer("Entered", entered, None, None, 1.0 if entered.value else 0.0)]
    for layer in funnel.layers:
        width = min(1.0, layer.people.value / entered.value) if entered.value else 0.0
        rows.append(_layer(layer.name, layer.people, layer.of_entered, layer.of_previous, width))
    standard = "Nobody entered."
    if funnel.standard is not None:
        last = html(funnel.layers[-1].name)
        standard = (
            f"Reached the standard: <b>{share(funnel.standard)}</b> "
            f"{share_range(funnel.standard)} "
            f'<span class="hint">(people of “{last}” / all who entered)</span>'
        )
    return (
        '<div class="scroll"><table class="funnel"><thead><tr><th>Layer</th><th></th>'
        '<th class="num">People</th><th></th><th class="num">Of all</th>'
        '<th class="num">Of the layer before</th></tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table></div><p class="standard">{standard}</p>'
    )


def _layer(
    name: str, people: Figure, of_all: Figure | None, of_previous: Figure | None, width: float
) -> str:
    style = "fill assumed" if people.assumed else "fill"
    return (
        f'<tr><td>{html(name)}</td><td class="track"><span class="{style}" '
        f'style="width:{100 * width:.2f}%"></span></td>'
        f'<td class="num">{figure(people)}</td><td>{interval(people)}</td>'
        f'<td class="num">{share(of_all) if of_all else ""}</td>'
        f'<td class="num">{share(of_previous) if of_previous else ""}</td></tr>'
    )


def test_html(test: ABReport) -> str:
    """One A/B test: each branch's rate and its difference to the first, drawn and in figures."""
    rates = [b.successes.rate for b in test.branches if b.successes.rate is not None]
    top = min(1.0, axis(max((r.hi for r in rates), default=1.0))[-1])
    gaps = [b.difference for b in test.branches if b.difference is not None]
    far = min(1.0, axis(max((max(-d.lo, d.hi) for d in gaps), default=1.0))[-1])
    first = test.branches[0].port
    rows = "".join(_branch(branch, top, far) for branch in test.branches)
    found = ""
    if test.detectable is not None:
        found = (
            f"A live test of this size finds a difference of {points(test.detectable)[1:]} "
            "eight times in ten, and smaller ones less often. "
        )
    return (
        f"<h3>{rich(test.label)}</h3>"
        f'<p class="hint">Node <a href="#n-{html(test.node)}">{html(test.node)}</a>. Success: '
        f"{rich(test.target)}.</p>"
        '<div class="scroll"><table><thead><tr><th>Branch</th><th class="num">People</th>'
        f'<th class="num">Still open</th><th class="num">Succeeded</th>'
        f"<th>Rate, on {percents(0.0, top)}</th><th>Minus “{html(first)}”, on "
        f"±{100 * far:g}{THIN}pp</th></tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="hint">People are those whose success window has closed; rates count these '
        f"alone. Lines are 95{THIN}% intervals for one run of this size (Wilson; for differences "
        f"Newcombe), broad bands 90{THIN}% of replicates. {found}</p>"
        f"<p>{rich(test.meaning)}</p>"
    )


def _branch(branch: BranchReport, top: float, far: float) -> str:
    s = branch.successes
    difference = '<span class="hint">the others’ reference</span>'
    if branch.difference is not None:
        difference = _drawn(branch.difference, -far, far, zero=True)
    return (
        f"<tr><td><b>{html(branch.port)}</b><br>"
        f'<span class="hint">{percent(branch.weight)} of people</span></td>'
        f'<td class="num">{figure(s.matured)}</td><td class="num">{figure(s.immature)}</td>'
        f'<td class="num">{figure(s.succeeded)}</td>'
        f"<td>{_drawn(s.rate, 0.0, top) if s.rate else 'none yet'}</td><td>{difference}</td></tr>"
    )


def _drawn(rate: Rate, lo: float, hi: float, *, zero: bool = False) -> str:
    style = "assumed" if rate.assumed else ""
    value = points(rate.value) if zero else percent(rate.value)
    if rate.assumed:
        value = f'<span class="approx">≈{THIN}{value}</span>'
    if zero:
        around = f"{points(rate.lo).removesuffix(f'{THIN}pp')} to {points(rate.hi)}"
    else:
        around = percents(rate.lo, rate.hi)
    drawing = whisker(rate, lo, hi, style, zero=zero)
    return f'{drawing}{value} <span class="range" style="display:inline">{around}</span>'


def goal_html(goal: GoalReport) -> str:
    """The goal's conversions."""
    s = goal.successes
    text = f"{figure(s.succeeded)} of {figure(s.matured)} entries converted"
    drawing = ""
    if s.rate is not None:
        top = min(1.0, axis(s.rate.hi)[-1])
        rate = f"≈{THIN}{percent(s.rate.value)}" if s.rate.assumed else percent(s.rate.value)
        style = "approx" if s.rate.assumed else ""
        text += f', <b class="{style}">{rate}</b>'
        drawing = (
            f"{whisker(s.rate, 0.0, top, 'assumed' if s.rate.assumed else '')}"
            f'<p class="hint">On an axis of {percents(0.0, top)}: {percents(s.rate.lo, s.rate.hi)} '
            f"is the 95{THIN}% interval for one run of this size.</p>"
        )
    open_ = ""
    if s.immature.value:
        value = s.succeeded_ever.value - s.succeeded.value
        late = Figure(value=value, assumed=s.succeeded_ever.assumed)
        open_ = (
            f"<p>{figure(s.immature)} more entries have their window still open; "
            f"{figure(late)} of them have converted so far and are not in the rate.</p>"
        )
    modelled = ""
    if s.modelled.value:
        modelled = f"<p>{count(s.modelled)} of all conversions so far are modelled events.</p>"
    told = [] if goal.holdout is None else holdout_told(goal.holdout)
    kept_out = "".join(f"<p>{html(line)}</p>" for line in told)
    return (
        f"<p>Conversion: {rich(goal.target)}.</p><p>{text}.</p>{drawing}{open_}{modelled}{kept_out}"
    )


def modelled_html(report: Report) -> str:
    """What the responses file assumes, and how often it came about."""
    rows = "".join(
        f"<tr><td><code>{html(outcome.event)}</code></td><td>{_after(outcome)}</td>"
        f'<td class="num">{percent(outcome.probability)}</td>'
        f'<td class="num">{figure(outcome.happened)}{interval(outcome.happened)}</td></tr>'
        for outcome in report.modelled
    )
    return (
        '<table><thead><tr><th>Event</th><th>Follows</th><th class="num">Assumed probability</th>'
        f'<th class="num">Happened</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _after(outcome: ModelledOutcome) -> str:
    """What an outcome follows: a message, or another outcome of it."""
    if outcome.after is None:
        return rich(outcome.scope)
    return f"<code>{html(outcome.after)}</code> after {rich(outcome.scope)}"
