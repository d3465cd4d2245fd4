"""Print a report on a terminal: warnings first, then the figures, then what they do not say.

Nothing rests on colour alone, lines fit 80 columns, and names from the flow are shown as they are:
they can neither style the text nor move the cursor. Where the terminal cannot show a character,
plain ASCII stands for it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from api.couplings_text import couplings_told
from api.holdout_text import holdout_told
from core.describe import CHANNEL_NAMES
from core.quantity import THIN, moment, number, percent, percents, plural, points, span
from core.report import (
    ABReport,
    ChannelSends,
    Figure,
    Funnel,
    NodeReport,
    Notice,
    Rate,
    Report,
    Successes,
)

WIDTH_MAX = 120
BAR_WIDTH = 30
NODES_MAX = 200  # beyond, the table is cut and says so
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 31
_ASCII = str.maketrans(
    {
        "≈": "~", "→": "->", "–": "-", "−": "-", "·": "*", "█": "#", "▏": "|", "…": "...",
        "▁": "_", "▂": "_", "▃": ".", "▄": "-", "▅": "=", "▆": "=", "▇": "#",
    }
)  # fmt: skip
_LEVELS = {
    "error": ("ERROR", "bold red"),
    "warning": ("WARNING", "bold yellow"),
    "note": ("note", "bold"),
}


def print_report(report: Report, console: Console) -> None:
    """Print `report` on `console`, in its width and with what characters it can show."""
    for part in _Screen(console).parts(report):
        console.print(part, width=min(console.width, WIDTH_MAX))


def clean_text(words: str, style: str = "", *, ascii_only: bool) -> Text:
    """A text in which control characters are made visible and no markup is read."""
    clean = "".join(
        "\ufffd" if unicodedata.category(c) in ("Cc", "Cs") and c != "\n" else c for c in words
    )
    # Lines are broken at any space, and a number must not be.
    clean = re.sub(f"(?<=[0-9]){THIN}(?=[0-9])", ",", clean)
    clean = clean.replace(f"{THIN}%", "%").replace(THIN, " ")
    if ascii_only:
        clean = clean.translate(_ASCII).encode("ascii", "replace").decode()
    return Text(clean, style=style)


class _Screen:
    def __init__(self, console: Console) -> None:
        self.width = min(console.width, WIDTH_MAX)
        self.ascii = console.options.ascii_only
        self.box = box.ASCII2 if self.ascii else box.SIMPLE_HEAD

    def parts(self, report: Report) -> list[RenderableType]:
        """Everything that is printed, in order."""
        parts = self._head(report)
        for notice in report.notices:
            parts.append(self._notice(notice))
        parts += [self._title("What the figures rest on"), self._prose(report.basis.text)]
        parts += [self._title("In short"), self._totals(report)]
        if report.funnel is not None:
            parts += [self._title("Funnel"), self._funnel(report.funnel, report.totals.people)]
        for test in report.tests:
            parts += [self._title(f"A/B test {test.node}: {test.target}"), self._test(test)]
            parts += [self._prose(self._detectable(test)), self._prose(test.meaning)]
        if report.goal is not None:
            parts += [
                self._title(f"Goal: {report.goal.target}"),
                self._prose(self._goal(report.goal.successes)),
            ]
            if report.goal.holdout is not None:
                parts += [self._prose(told) for told in holdout_told(report.goal.holdout)]
        if report.couplings is not None:
            parts.append(self._title("Limits and prizes"))
            parts += [self._prose(told) for told in couplings_told(report.couplings)]
        parts += [self._title("Nodes"), self._nodes(report.nodes)]
        parts.append(self._prose("After entry: half of the arrivals came within this time."))
        if len(report.nodes) > NODES_MAX:
            hidden = plural(len(report.nodes) - NODES_MAX, "further node")
            parts.append(self._prose(f"{hidden} are in the JSON and on the HTML page."))
        if report.sends:
            parts += [self._title("Messages by day (UTC)"), self._sends(report.sends)]
        if report.modelled:
            parts += [self._title("Modelled responses"), self._modelled(report)]
        parts.append(self._title("What the figures do not say"))
        parts += [self._prose(f"· {limit.text}") for limit in report.limits]
        return parts

    # -- text

    def text(self, words: str, style: str = "") -> Text:
        return clean_text(words, style, ascii_only=self.ascii)

    def _title(self, words: str) -> RenderableType:
        return Padding(self.text(words, "bold"), (1, 0, 0, 0))

    def _prose(self, words: str) -> RenderableType:
        return Padding(self.text(words), (0, 0, 0, 2))

    # -- the head

    def _head(self, report: Report) -> list[RenderableType]:
        window, draws, audience = report.window, report.draws, report.audience
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        entries = f"{moment(window.from_ms)} → {moment(window.until_ms)}"
        rows = [
            ("entries", entries),
            ("followed to", moment(window.horizon_ms)),
            (
                "audience",
                f"{audience.name}: {plural(audience.customers, 'customer')}, "
                f"{plural(audience.events, 'event')}",
            ),
            ("re-entry", report.flow.reentry),
            ("draws", f"seed {draws.seed}, {plural(draws.replicates, 'replicate')}"),
        ]
        if audience.as_of_ms is not None:
            rows.append(("attributes", f"as of {moment(audience.as_of_ms)}"))
        for name, value in rows:
            table.add_row(self.text(name), self.text(value))
        title = self.text(report.flow.title, "bold")
        title.append_text(self.text(f"  dry run of {report.flow.id}", "dim"))
        return [title, Padding(table, (0, 0, 0, 2))]

    def _notice(self, notice: Notice) -> RenderableType:
        word, style = _LEVELS[notice.level]
        line = self.text(f"{word}: ", style)
        line.append_text(self.text(notice.title, style if notice.level != "note" else ""))
        line.append_text(self.text(f"\n{notice.text}"))
        if notice.advice:
            line.append_text(self.text(f" {notice.advice}"))
        if notice.nodes:
            shown = ", ".join(notice.nodes[:8])
            more = f" and {len(notice.nodes) - 8} more" if len(notice.nodes) > 8 else ""
            line.append_text(self.text(f"\nnodes: {shown}{more}", "dim"))
        return Padding(line, (1, 0, 0, 0))

    # -- figures

    def _figure(self, figure: Figure) -> str:
        mark = f"≈{THIN}" if figure.assumed else ""
        return mark + number(figure.value)

    def _full(self, figure: Figure) -> str:
        return self._figure(figure) + _range(figure)

    def _totals(self, report: Report) -> RenderableType:
        totals = report.totals
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column()
        cells = [
            (totals.people, f"people entered, of {plural(totals.customers, 'customer')}"),
            (totals.entries, "entries"),
            (totals.sends, "messages"),
            (totals.ended, "reached an end"),
            (totals.waiting, "still wait at the horizon"),
            (totals.idle, "stand where nothing follows"),
            (totals.fell_out, "fitted no branch or date"),
            (totals.refused, "entries refused"),
        ]
        if totals.parked.value:
            cells.append((totals.parked, "stopped by an error"))
        for figure, words in cells:
            style = "bold red" if figure is totals.parked else "bold"
            table.add_row(
                self.text(self._figure(figure), style), self.text(words), self.text(_range(figure))
            )
        return Padding(table, (0, 0, 0, 2))

    def _funnel(self, funnel: Funnel, entered: Figure) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        table.add_column(overflow="fold", max_width=24)
        for justify in ("left", "right", "left", "right"):
            table.add_column(justify=justify, no_wrap=True)
        whole = entered.value or 1
        rows: list[tuple[str, Figure, Figure | None]] = [("entered", entered, None)]
        rows += [(layer.name, layer.people, layer.of_entered) for layer in funnel.layers]
        for name, people, share in rows:
            bar = "█" * round(BAR_WIDTH * min(1.0, people.value / whole)) or "▏"
            shown = "" if share is None else percent(share.value)
            table.add_row(
                self.text(name),
                self.text(bar, "cyan"),
                self.text(self._figure(people)),
                self.text(_range(people)),
                self.text(shown),
            )
        standard = "nobody entered"
        if funnel.standard is not None:
            mark = "≈ " if funnel.standard.assumed else ""
            standard = f"{mark}{percent(funnel.standard.value)}"
            if funnel.standard.lo is not None and funnel.standard.hi is not None:
                standard += f" ({percents(funnel.standard.lo, funnel.standard.hi)})"
        line = self.text("reached the standard: ")
        line.append_text(self.text(standard, "bold"))
        return Padding(Group(table, line), (0, 0, 0, 2))

    # -- success

    def _test(self, test: ABReport) -> RenderableType:
        table = self._table("branch", "people", "open", "succeeded", "rate", "minus the first")
        for branch in test.branches:
            s = branch.successes
            table.add_row(
                self.text(f"{branch.port} ({percent(branch.weight)})"),
                self.text(self._figure(s.matured)),
                self.text(self._figure(s.immature)),
                self.text(self._figure(s.succeeded)),
                self.text(_rate(s.rate)),
                self.text(
                    "first" if branch is test.branches[0] else _difference(branch.difference)
                ),
            )
        return table

    def _detectable(self, test: ABReport) -> str:
        text = "People are those whose success window has closed; open are the others. "
        text += f"In brackets: 95{THIN}% intervals for one run of this size."
        if test.detectable is not None:
            text += (
                f" A live test of this size finds a difference of {points(test.detectable)[1:]} "
                "8 times in 10; smaller ones less often."
            )
        return text

    def _goal(self, s: Successes) -> str:
        text = f"{self._full(s.succeeded)} of {self._figure(s.matured)} entries converted"
        text += f": {_rate(s.rate)}." if s.rate else "."
        if s.immature.value:
            text += f" {self._figure(s.immature)} more have their window still open."
        return text

    # -- tables

    def _table(self, *names: str) -> Table:
        table = Table(box=self.box, pad_edge=False, padding=(0, 1), header_style="bold")
        for place, name in enumerate(names):
            justify = "left" if place == 0 else "right"
            table.add_column(name, justify=justify, overflow="fold", vertical="top")  # type: ignore[arg-type]
        return table

    def _nodes(self, nodes: Sequence[NodeReport]) -> RenderableType:
        table = Table(box=self.box, pad_edge=False, header_style="bold", show_lines=False)
        table.add_column("node", overflow="fold", ratio=9)
        table.add_column("entered", justify="right", overflow="fold", min_width=9)
        table.add_column("left by", overflow="fold", ratio=9)
        table.add_column("there", overflow="fold", min_width=10)
        table.add_column("after entry", justify="right", overflow="fold", min_width=8)
        table.expand = True
        table.width = self.width
        for node in nodes[:NODES_MAX]:
            table.add_row(
                self._name(node),
                self._entered(node),
                self._ways(node),
                self._there(node),
                self.text(span(node.median_ms.value) if node.median_ms else ""),
                style="" if node.entered.value else "dim",
            )
        return table

    def _name(self, node: NodeReport) -> Text:
        name = self.text(node.id, "bold")
        label = f"{node.title}: {node.label}" if node.title else node.label
        if len(label) > 90:
            label = label[:89] + "…"
        name.append_text(self.text(f"\n{label}"))
        if not node.entered.value:
            name.append_text(self.text("\nnobody came here", "italic"))
        return name

    def _entered(self, node: NodeReport) -> Text:
        text = self.text(self._figure(node.entered), "bold")
        text.append_text(self.text(_interval(node.entered)))
        if node.people.value != node.entered.value:
            text.append_text(self.text(f"\n{self._figure(node.people)} people", "dim"))
        return text

    def _ways(self, node: NodeReport) -> Text:
        lines = []
        for port in node.ports:
            name = "" if port.port == "next" else f"{port.port} "
            onward = f"→ {', '.join(port.targets)}" if port.targets else _STOPS[port.outcome or ""]
            share = "" if port.share is None or len(node.ports) == 1 else f" {percent(port.share)}"
            lines.append(f"{name}{self._figure(port.count)}{share} {onward}")
        shown = {"no_branch", "no_date"}
        lines += [
            f"{self._figure(o.count)} {o.text}" for o in node.outcomes if o.reason not in shown
        ]
        lines += [f"{self._figure(r.count)} {r.text}" for r in node.refusals]
        return self.text("\n".join(lines))

    def _there(self, node: NodeReport) -> Text:
        lines = []
        if node.waiting.value:
            lines.append(f"{self._figure(node.waiting)} wait")
        if node.idle.value:
            lines.append(f"{self._figure(node.idle)} idle")
        return self.text("\n".join(lines))

    def _sends(self, sends: Sequence[ChannelSends]) -> RenderableType:
        table = self._table("channel", "messages", "each day", "fullest hour")
        table.columns[2].justify = "left"
        for channel in sends:
            series = channel.series
            peak = series.peak
            full = "" if peak is None else f"{number(peak.count)} on {moment(peak.hour_ms)[:-4]}"
            table.add_row(
                self.text(CHANNEL_NAMES[channel.channel]),
                self.text(self._full(series.total)),
                self.text(sparkline([day.count.value for day in series.by_day], SPARK_WIDTH)),
                self.text(full),
            )
        return table

    def _modelled(self, report: Report) -> RenderableType:
        table = self._table("event", "follows", "assumed", "happened")
        table.columns[1].justify = "left"
        for outcome in report.modelled:
            table.add_row(
                self.text(outcome.event),
                self.text(f"{outcome.after}, {outcome.scope}" if outcome.after else outcome.scope),
                self.text(percent(outcome.probability)),
                self.text(self._full(outcome.happened)),
            )
        return table


_STOPS = {"idle": "stay there", "no_branch": "fit no branch", "no_date": "have no date"}


def sparkline(values: Sequence[float], width: int) -> str:
    """`values` as a row of blocks, at most `width`; where there are more, neighbours are summed."""
    size = -(-len(values) // width) if values else 1
    sums = [sum(values[k : k + size]) for k in range(0, len(values), size)]
    top = max(sums, default=0)
    if top == 0:
        return SPARKS[0] * len(sums)
    return "".join(SPARKS[min(7, int(8 * value / top))] if value else " " for value in sums)


def _range(figure: Figure) -> str:
    """The interval in brackets, unless the replicates agree."""
    if figure.lo is None or figure.hi is None or figure.lo == figure.hi:
        return ""
    return f" ({number(figure.lo)}–{number(figure.hi)})"


def _interval(figure: Figure) -> str:
    shown = _range(figure)
    return f"\n{shown[2:-1]}" if shown else ""


def _rate(rate: Rate | None) -> str:
    if rate is None:
        return "none yet"
    mark = "≈ " if rate.assumed else ""
    return f"{mark}{percent(rate.value)} ({percents(rate.lo, rate.hi)})"


def _difference(rate: Rate | None) -> str:
    if rate is None:
        return "none yet"
    mark = "≈ " if rate.assumed else ""
    lo = points(rate.lo).removesuffix(f"{THIN}pp")
    return f"{mark}{points(rate.value)} ({lo} to {points(rate.hi)})"
