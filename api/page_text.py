"""Put text into markup: escaped, with `names` as code, and measured where a drawing must fit it."""

from __future__ import annotations

import re
import unicodedata
from html import escape

from core.quantity import THIN, number, percent, percents
from core.report import Figure

# Advance widths of Arial in thousandths of the size, by groups; other fonts are near.
_WIDTHS = {
    **dict.fromkeys("iIjl|.,:;'!`" + THIN, 260),
    **dict.fromkeys("ftr()[]-/ \\", 320),
    **dict.fromkeys("mwMW@%≈", 860),
    **dict.fromkeys("ABCDEFGHJKLNOPQRSTUVXYZ&", 690),
    **dict.fromkeys("abcdeghknopqsuvxyz0123456789", 550),
}
_SAFETY = 1.08


def html(text: str) -> str:
    """`text` as HTML or SVG text, control characters made visible, quotes escaped too."""
    shown = "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t" else c for c in text
    )
    return escape(shown, quote=True)


def rich(text: str) -> str:
    """`text` as HTML, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html(text))


def plain(text: str) -> str:
    """`text` without the backticks, escaped: for drawings, where code has no style."""
    return html(text.replace("`", ""))


def text_width(text: str, size: float) -> float:
    """About how wide `text` is at a font size, px; rather too wide than too narrow."""
    total = 0
    for char in text:
        wide = unicodedata.east_asian_width(char) in "WF"
        total += 1000 if wide else _WIDTHS.get(char, 620)
    return total * size / 1000 * _SAFETY


def cut(text: str, size: float, width: float) -> str:
    """`text`, cut with an ellipsis where it is wider than `width` px."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def wrapped(text: str, size: float, width: float, lines_max: int) -> list[str]:
    """`text` broken at spaces into at most `lines_max` lines of `width` px; the last one is cut."""
    lines: list[str] = []
    words = text.split(" ")
    while words and len(lines) < lines_max - 1:
        line = words.pop(0)
        while words and text_width(f"{line} {words[0]}", size) <= width:
            line += " " + words.pop(0)
        lines.append(cut(line, size, width))
    if words:
        lines.append(cut(" ".join(words), size, width))
    return lines


def figure(value: Figure) -> str:
    """A figure as HTML: assumed ones are marked and styled, with their interval as a title."""
    if not value.assumed:
        return f'<span class="n">{number(value.value)}</span>'
    title = "Rests on modelled responses"
    if value.lo is not None and value.hi is not None:
        title += f"; 90{THIN}% of replicates: {number(value.lo)} to {number(value.hi)}"
    return f'<span class="n approx" title="{title}">≈{THIN}{number(value.value)}</span>'


def interval(value: Figure) -> str:
    """The interval of a figure as HTML; empty where it has none."""
    if value.lo is None or value.hi is None:
        return ""
    return f'<span class="range">{number(value.lo)}–{number(value.hi)}</span>'


def count(value: Figure) -> str:
    """A figure as plain text, marked where assumed."""
    return f"≈{THIN}{number(value.value)}" if value.assumed else number(value.value)


def share(value: Figure) -> str:
    """A figure that is a share, as HTML."""
    if value.assumed:
        return f'<span class="approx">≈{THIN}{percent(value.value)}</span>'
    return percent(value.value)


def share_range(value: Figure) -> str:
    """The interval of a share, as HTML; empty where it has none."""
    if value.lo is None or value.hi is None:
        return ""
    return f'<span class="range">{percents(value.lo, value.hi)}</span>'
