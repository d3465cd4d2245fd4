"""Draw the flow as an SVG graph, with the counts on its nodes and edges."""

from __future__ import annotations

from dataclasses import dataclass

from api.page_layout import HEAD, Layout, Link, Rect, Size, best_layout
from api.page_text import count, cut, html, plain, text_width, wrapped
from core.quantity import number, plural
from core.report import EdgeReport, NodeReport, Report

NODES_MAX = 200  # beyond, nobody could read it
BOX_WIDTH = 232.0
TEXT_LEFT = 50.0
LABEL_HEIGHT = 20.0
LINE_HEIGHT = 16.0
SCALE_MIN = 0.55  # smaller, and the text could not be read; then the drawing scrolls
PORT_CHARS = 110.0  # px for a port's name in an edge's label

KINDS = {
    "on_event": "trigger",
    "on_segment": "trigger",
    "on_schedule": "trigger",
    "condition": "choice",
    "branch_attribute": "choice",
    "branch_tag": "choice",
    "wait": "wait",
    "wait_until": "wait",
    "wait_date": "wait",
    "wait_event": "wait",
    "wait_slot": "wait",
    "split": "split",
    "ab_test": "split",
    "send": "send",
    "end": "end",
}
"""What a node's colour and sign stand for; types not listed write to the customer."""

KIND_NAMES = {
    "trigger": "entry",
    "choice": "choice",
    "wait": "wait",
    "split": "random split",
    "send": "message",
    "write": "change of the customer",
    "end": "end",
}


def kind_of(node_type: str) -> str:
    """The kind of a node type: a key of `KIND_NAMES`."""
    return KINDS.get(node_type, "write")


def badge(kind: str) -> str:
    """The sign of a kind on its colour, as an inline SVG; the signs are symbols of the page."""
    return (
        f'<svg class="badge k-{kind}" viewBox="0 0 30 30" width="22" height="22" '
        'aria-hidden="true"><rect class="tile" width="30" height="30" rx="8"/>'
        f"{_sign(kind, 5, 5)}</svg>"
    )


def _sign(kind: str, x: float, y: float) -> str:
    return f'<use class="sign" href="#s-{kind}" x="{x}" y="{y}" width="20" height="20"/>'


@dataclass(frozen=True, slots=True)
class Drawing:
    """A placed graph: the nodes' boxes and the edges' labels by number, and the markup."""

    layout: Layout
    svg: str


def draw_graph(report: Report, width: float = 1136.0) -> Drawing | None:
    """The graph of a report for a page `width` px wide; None where nobody could read it."""
    if len(report.nodes) > NODES_MAX:
        return None
    index = {node.id: i for i, node in enumerate(report.nodes)}
    names = [_lines(node) for node in report.nodes]
    sizes = [Size(BOX_WIDTH, 58 + LINE_HEIGHT * len(lines)) for lines in names]
    links = [
        Link(index[edge.source], index[edge.target], Size(_label_width(edge), LABEL_HEIGHT))
        for edge in report.edges
    ]
    layout = best_layout(sizes, links, width)
    top = max((edge.share for edge in report.edges), default=0.0) or 1.0
    most = max((node.entered.value for node in report.nodes), default=0) or 1
    assumed = {
        (node.id, port.port) for node in report.nodes for port in node.ports if port.count.assumed
    }
    lines = [
        _edge(edge, layout.paths[k], layout.heads[k], top, (edge.source, edge.port) in assumed)
        for k, edge in enumerate(report.edges)
    ]
    labels = [_label(edge, layout.labels[k]) for k, edge in enumerate(report.edges)]
    boxes = [_node(node, names[i], layout.boxes[i], most) for i, node in enumerate(report.nodes)]
    w, h = layout.size
    svg = (
        f'<svg class="graph" viewBox="0 0 {w:.0f} {h:.0f}" width="{w:.0f}" height="{h:.0f}" '
        f'style="min-width:{SCALE_MIN * w:.0f}px" role="img" '
        'aria-labelledby="graph-title graph-desc">'
        f'<title id="graph-title">{html(report.flow.title)}, drawn with its counts</title>'
        f'<desc id="graph-desc">{_description(report)}</desc>'
        f'<g class="edges">{"".join(lines)}</g><g class="labels">{"".join(labels)}</g>'
        f'<g class="nodes">{"".join(boxes)}</g></svg>'
    )
    return Drawing(layout, svg)


def _description(report: Report) -> str:
    edges = plural(len(report.edges), "edge")
    return (
        f"{plural(len(report.nodes), 'node')} and {edges}. Every count is also in the table of "
        "nodes below."
    )


def _lines(node: NodeReport) -> list[str]:
    text = (node.title or node.label).replace("`", "")
    return wrapped(text, 13, BOX_WIDTH - TEXT_LEFT - 12, 2)


def _label_parts(edge: EdgeReport) -> tuple[str, str]:
    port = "" if edge.port == "next" else cut(edge.port, 11, PORT_CHARS)
    return port, count(edge.count)


def _label_width(edge: EdgeReport) -> float:
    port, shown = _label_parts(edge)
    between = 6 if port else 0
    return 16 + text_width(port, 11) + between + text_width(shown, 11.5) * 1.06


def _edge(
    edge: EdgeReport,
    path: str,
    head: tuple[float, float, float, float],
    top: float,
    assumed: bool,
) -> str:
    dead = not edge.count.value
    width = 1.4 if dead else 1.6 + 9.0 * edge.share / top
    style = "edge dead" if dead else "edge assumed" if assumed else "edge"
    x, y, dx, dy = head
    size = 3.6 + width * 0.45  # half its breadth
    back_x, back_y = x - dx * (HEAD + 0.5), y - dy * (HEAD + 0.5)
    arrow = (
        f"M{x:.1f},{y:.1f}L{back_x - dy * size:.1f},{back_y + dx * size:.1f}"
        f"L{back_x + dy * size:.1f},{back_y - dx * size:.1f}z"
    )
    title = (
        f"{edge.source}, port {edge.port}, to {edge.target}: {count(edge.count)}"
        f"{' (nobody)' if dead else ''}"
    )
    return (
        f'<g class="{style}"><title>{html(title)}</title>'
        f'<path class="line" d="{path}" stroke-width="{width:.1f}"/>'
        f'<path class="head" d="{arrow}"/></g>'
    )


def _label(edge: EdgeReport, rect: Rect) -> str:
    port, shown = _label_parts(edge)
    style = "label" + ("" if edge.count.value else " dead")
    value = "approx" if edge.count.assumed else "value"
    name = f'<tspan class="port">{html(port)}</tspan><tspan dx="6"> </tspan>' if port else ""
    return (
        f'<g class="{style}"><rect x="{rect.x:.1f}" y="{rect.y:.1f}" width="{rect.w:.1f}" '
        f'height="{rect.h:.1f}" rx="10"/><text x="{rect.x + rect.w / 2:.1f}" '
        f'y="{rect.y + 14:.1f}" text-anchor="middle">{name}'
        f'<tspan class="{value}">{shown}</tspan></text></g>'
    )


def _node(node: NodeReport, lines: list[str], box: Rect, most: float) -> str:
    kind = kind_of(node.type)
    dead = not node.entered.value
    style = f"node k-{kind}" + (" dead" if dead else "")
    rows = "".join(
        f'<text class="name" x="{TEXT_LEFT}" y="{36 + LINE_HEIGHT * k:.0f}">{html(line)}</text>'
        for k, line in enumerate(lines)
    )
    base = 36 + LINE_HEIGHT * len(lines) + 3
    share = node.entered.value / most
    bar = f'<rect class="bar" x="0" y="{box.h - 4:.1f}" width="{box.w * share:.1f}" height="4"/>'
    value = "approx" if node.entered.assumed else "value"
    shown = count(node.entered) if not dead else "nobody"
    return (
        f'<a href="#n-{html(node.id)}"><g class="{style}" '
        f'transform="translate({box.x:.1f} {box.y:.1f})"><title>{html(_title(node))}</title>'
        f'<clipPath id="c-{html(node.id)}"><rect width="{box.w:.0f}" height="{box.h:.0f}" rx="10"/>'
        f'</clipPath><g clip-path="url(#c-{html(node.id)})">'
        f'<rect class="box" width="{box.w:.0f}" height="{box.h:.0f}"/>{bar}</g>'
        f'<rect class="frame" x="0.5" y="0.5" width="{box.w - 1:.0f}" height="{box.h - 1:.0f}" '
        'rx="9.5"/>'
        '<rect class="tile" x="10" y="12" width="30" height="30" rx="8"/>'
        f"{_sign(kind, 15, 17)}"
        f'<text class="id" x="{TEXT_LEFT}" y="20">'
        f"{html(cut(node.id, 11, box.w - TEXT_LEFT - 12))}</text>{rows}"
        f'<text class="count {value}" x="{TEXT_LEFT}" y="{base:.0f}">{shown}</text>'
        f"{_there(node, box, base)}</g></a>"
    )


def _there(node: NodeReport, box: Rect, base: float) -> str:
    """Who is still at the node, at the right of its count."""
    parts = []
    if node.waiting.value:
        parts.append(f"{count(node.waiting)} waiting")
    if node.idle.value:
        parts.append(f"{count(node.idle)} idle")
    stopped = [o for o in node.outcomes if o.reason.startswith("parked")]
    if stopped:
        parts.append(f"{number(sum(o.count.value for o in stopped))} stopped")
    if not parts:
        return ""
    text = cut(" · ".join(parts), 11, box.w - TEXT_LEFT - 70)
    style = "there stopped" if stopped else "there"
    return (
        f'<text class="{style}" x="{box.w - 12:.0f}" y="{base:.0f}" text-anchor="end">'
        f"{plain(text)}</text>"
    )


def _title(node: NodeReport) -> str:
    """What a pointer over the node tells."""
    name = f"{node.title}: {node.label}" if node.title else node.label
    text = f"{node.id}. {name}. {count(node.entered)} entered, {count(node.people)} people"
    if node.waiting.value:
        text += f", {count(node.waiting)} wait"
    if node.idle.value:
        text += f", {count(node.idle)} idle"
    return text + "."
