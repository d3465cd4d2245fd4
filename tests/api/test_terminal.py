"""Checks what a report looks like on a terminal: warnings first, and always plain text."""

import io
import re

import pytest
from rich.console import Console

from api.terminal import print_report, sparkline
from core.report import Figure, Report
from reports import everyday, evil, recorded, sixty


def shown(report: Report, width: int = 80, encoding: str = "utf-8", **more: object) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    console = Console(file=stream, width=width, **more)  # type: ignore[arg-type]
    print_report(report, console)
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize(
    "report", [everyday(), recorded(), sixty(), evil()], ids=lambda r: r.flow.id
)
@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(report: Report, width: int) -> None:
    lines = shown(report, width).splitlines()
    assert len(lines) > 40
    assert max(map(len, lines)) <= width


def test_errors_come_before_any_figure() -> None:
    text = shown(everyday())
    error = text.index("ERROR: The audience has no attribute `country`")
    assert error < text.index("WARNING: 3 customers") < text.index("In short")
    assert "Did you mean" in text[error : error + 300]


def test_the_figures_of_the_report_are_there() -> None:
    report = everyday()
    text = shown(report, 120)
    sends = report.totals.sends
    assert sends.lo is not None
    assert sends.hi is not None
    assert re.search(rf"≈ {sends.value:.0f} +messages +\({sends.lo:.0f}–{sends.hi:.0f}\)", text)
    assert re.search(rf"{report.totals.people.value} +people entered, of 400 customers", text)
    assert "reached the standard: ≈ 22.5% (17.3–26.2%)" in text
    rate = report.tests[0].branches[0].successes.rate
    assert rate is not None
    assert f"≈ {100 * rate.value:.1f}%" in text
    assert "Nobody is inside at the start" in " ".join(text.split())
    for node in report.nodes:
        assert node.id in text


def test_exact_reports_have_no_mark_of_assumption() -> None:
    assert "≈" not in shown(recorded())
    assert "history alone answers" in " ".join(shown(recorded()).split())


def test_an_interval_without_width_is_left_out() -> None:
    report = everyday()
    same = Figure(value=19_482, lo=19_482, hi=19_482, assumed=True)
    totals = report.totals.model_copy(update={"ended": same})
    nodes = [report.nodes[0].model_copy(update={"entered": same}), *report.nodes[1:]]
    text = shown(report.model_copy(update={"totals": totals, "nodes": nodes}))
    assert re.search(r"^ +≈ 19,482  reached an end *$", text, re.MULTILINE)
    assert "19,482–19,482" not in text


def test_colour_is_only_an_addition() -> None:
    plain = shown(everyday())
    coloured = shown(everyday(), force_terminal=True, color_system="truecolor")
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_a_terminal_without_unicode_gets_ascii() -> None:
    text = shown(everyday(), encoding="ascii")
    assert "~ 530" in text
    assert "signup" in text
    assert "?" not in text.replace("May we send an", "").replace("SMS?", "").replace(
        "`Country`?", ""
    )


def test_names_can_neither_style_nor_move_the_cursor() -> None:
    report = recorded().model_copy(
        update={"flow": recorded().flow.model_copy(update={"title": "[red]\x1b[2J\x07bad[/red]"})}
    )
    text = shown(report, force_terminal=True, color_system="truecolor")
    assert "[red]\ufffd[2J\ufffdbad[/red]" in text
    assert "\x1b[2J" not in text
    assert "<script>" in shown(evil())


def test_sparklines_are_scaled_and_summed() -> None:
    assert sparkline([0, 1, 4, 8], 10) == " ▂▅█"
    assert sparkline([0, 0], 10) == "▁▁"
    assert sparkline([1] * 20, 10) == "█" * 10
    assert sparkline([], 10) == ""
