"""Show chosen customers' ways through the flow, step by step.

A story is plain data, as `dataclasses.asdict` makes it of `core.story.Story`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.page_graph import badge, kind_of
from api.page_text import html, rich
from core.report import NodeReport, Report

_STATUS = {
    "waiting": "still waits at the horizon",
    "idle": "stays there: nothing follows",
    "parked": "stopped by an error",
}
STEPS_MAX = 500  # of one customer; a story beyond that is no reading


def stories_html(report: Report) -> str:
    """All stories of the report."""
    nodes = {node.id: node for node in report.nodes}
    hint = (
        '<p class="hint">Times are on the customer’s own clock. '
        "≈ marks what a modelled event caused.</p>"
    )
    return hint + "".join(_story(story, nodes) for story in report.stories)


def _story(story: Mapping[str, Any], nodes: Mapping[str, NodeReport]) -> str:
    zone = f' <span class="hint">{html(story["zone"])}</span>' if story.get("zone") else ""
    parts = [f"<h3>{html(str(story.get('customer', '')))}{zone}</h3>"]
    kept_out = story.get("never_entered") or []
    if kept_out:
        reasons = "".join(f"<li>{rich(reason)}</li>" for reason in kept_out)
        parts.append(f'<p class="entry">Never entered:</p><ul class="limits">{reasons}</ul>')
    steps = story.get("steps") or []
    lines = list(_lines(story, nodes))
    if lines:
        parts.append(f'<ol class="steps">{"".join(lines)}</ol>')
    if len(steps) > STEPS_MAX:
        parts.append(f'<p class="hint">{len(steps) - STEPS_MAX:,} more steps are in the JSON.</p>')
    return f'<article class="story">{"".join(parts)}</article>'


def _lines(story: Mapping[str, Any], nodes: Mapping[str, NodeReport]) -> Iterator[str]:
    """The steps in order of time, then where the customer is at the horizon."""
    several = len({step.get("entry") for step in story.get("steps") or []} - {None}) > 1
    for step in (story.get("steps") or [])[:STEPS_MAX]:
        yield _line(step, nodes, step["at"], _taken(step), several)
    for place in story.get("places") or []:
        status = _STATUS.get(place["status"], place["status"])
        due = f", until <time>{_clock(place['due'])}</time>" if place.get("due") else ""
        taken = f'<span class="chip">{html(status)}</span>{due}'
        yield _line(place, nodes, place["since"], taken, several)


def _taken(step: Mapping[str, Any]) -> str:
    """The port or the reason by which a step ended, unless it is the only way."""
    port = str(step["port"])
    shown = "" if port in ("next", "end") else html(port.replace("_", " "))
    mark = ' <span class="approx">≈</span>' if step.get("modelled") else ""
    return f'<span class="chip">{shown}</span>{mark}' if shown else mark


def _line(
    step: Mapping[str, Any],
    nodes: Mapping[str, NodeReport],
    at: Mapping[str, Any],
    taken: str,
    several: bool,
) -> str:
    node = nodes.get(step["node"])
    kind = kind_of(node.type) if node else "write"
    label = rich(node.title or node.label) if node else html(step["node"])
    reason = str(step.get("reason", "")).replace(" -> ", " → ")
    why = ""
    if node is None or reason not in (node.label, ""):
        why = f'<div class="why">{rich(reason)}</div>'
    entry = ""
    if several and step.get("entry") is not None:
        entry = f' <span class="hint">entry {step["entry"] + 1}</span>'
    return (
        f'<li><time datetime="{html(str(at["utc"]))}">{_clock(at)}</time>{badge(kind)}<div>'
        f'<a href="#n-{html(step["node"])}">{label}</a>{entry} {taken}'
        f"{why}</div></li>"
    )


def _clock(at: Mapping[str, Any]) -> str:
    """The customer's wall time, to the minute, and the second where there is one."""
    text = str(at["local"])
    return html(f"{text[:10]} {text[11:16] if text[17:19] == '00' else text[11:19]}")
