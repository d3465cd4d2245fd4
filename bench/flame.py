"""Draw a flame graph as SVG: a box for each function in its callers, as wide as its cost.

The outermost function is on top (Gregg, "The Flame Graph", ACM Queue 14(2), 2016, draws it below).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

WIDTH, ROW, MARGIN, GAP = 1200.0, 24.0, 12.0, 1.0
FONT_PX, CHAR_PX, PAD_PX = 12, 6.7, 5.0
HEAD = 58.0
LEAST_PX = 1.5  # narrower boxes are left out
TEXT_CHARS_MIN = 4
OTHER, OTHER_COLOR = "C library", "#d9d9d9"
COLORS = (
    "#8ecae6", "#ffb703", "#a3d9a5", "#f4a6a0", "#c8b6e2", "#ffd6a5", "#90dbd1", "#e7c6d0",
    "#cddc8b", "#b7c4d9", "#e0b589", "#d5e8a8",
)  # fmt: skip


@dataclass(slots=True)
class _Box:
    """A function with what it costs, all that it calls included."""

    cost: float = 0.0
    inner: dict[str, _Box] = field(default_factory=dict)


def draw_flame(stacks: Mapping[tuple[str, ...], float], *, unit: str, per: float) -> str:
    """SVG of stacks, the outermost function first, and what each costs: all above 0.

    `unit` and `per` are for the words in the boxes' tips: cost / per, in so many units. ValueError
    where there is nothing to draw.
    """
    root = _Box()
    for stack, cost in stacks.items():
        box = root
        box.cost += cost
        for name in stack:
            box = box.inner.setdefault(name, _Box())
            box.cost += cost
    if not root.cost:
        raise ValueError("there are no costs to draw")
    colors = _colors(stacks)
    depth = _depth(root, WIDTH / root.cost)
    width, height = WIDTH + 2 * MARGIN, HEAD + depth * ROW + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" '
            f"font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" "
            f'font-size="{FONT_PX}">',
            f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
            f'<text x="{MARGIN:g}" y="20" font-weight="bold">{root.cost / per:,.0f} '
            f"{escape(unit)}; a box is as wide as its share</text>",
            *_legend(colors),
            *_boxes(root, MARGIN, HEAD, WIDTH / root.cost, colors, (root.cost, unit, per)),
            "</svg>",
            "",
        ]
    )


def module_of(name: str) -> str:
    """What a function is coloured by: its module, or `OTHER` where it has none."""
    return name.split(".")[0] if "." in name else OTHER


def _colors(stacks: Mapping[tuple[str, ...], float]) -> dict[str, str]:
    modules = sorted({module_of(name) for stack in stacks for name in stack} - {OTHER})
    found = {module: COLORS[i % len(COLORS)] for i, module in enumerate(modules)}
    return found | {OTHER: OTHER_COLOR}


def _legend(colors: Mapping[str, str]) -> Iterator[str]:
    x = MARGIN
    for module, color in colors.items():
        yield f'<rect x="{x:.1f}" y="31" width="12" height="12" fill="{color}"/>'
        yield f'<text x="{x + 17:.1f}" y="41">{escape(module)}</text>'
        x += 17 + CHAR_PX * 1.1 * len(module) + 16


def _depth(box: _Box, scale: float) -> int:
    return max((1 + _depth(b, scale) for b in _seen(box, scale)), default=0)


def _seen(box: _Box, scale: float) -> list[_Box]:
    return [inner for inner in box.inner.values() if inner.cost * scale >= LEAST_PX]


def _boxes(
    box: _Box,
    x: float,
    y: float,
    scale: float,
    colors: Mapping[str, str],
    told: tuple[float, str, float],
) -> Iterator[str]:
    """What a function calls, the dearest first; its own cost is the blank to their right."""
    total, unit, per = told
    for name, inner in sorted(box.inner.items(), key=lambda item: (-item[1].cost, item[0])):
        width = inner.cost * scale
        if width < LEAST_PX:
            continue
        yield (
            f"<g><title>{escape(name)}: {inner.cost / per:,.1f} {escape(unit)}, "
            f"{inner.cost / total:.1%}</title>"
            f'<rect x="{x:.1f}" y="{y:g}" width="{max(width - GAP, 1):.1f}" height="{ROW - GAP:g}" '
            f'rx="2" fill="{colors[module_of(name)]}"/>'
        )
        if shown := _fitting(name, width - GAP):
            yield f'<text x="{x + PAD_PX:.1f}" y="{y + 16:g}">{escape(shown)}</text>'
        yield "</g>"
        yield from _boxes(inner, x, y + ROW, scale, colors, told)
        x += width


def _fitting(name: str, width: float) -> str:
    """As much of a name as fits: the function's own first, then its beginning, else nothing."""
    room = int((width - 2 * PAD_PX) / (CHAR_PX * 1.08))
    own = name.rsplit(".", 1)[-1]
    if len(name) <= room:
        return name
    if len(own) <= room:
        return own
    return f"{own[: room - 1]}…" if room >= TEXT_CHARS_MIN else ""
