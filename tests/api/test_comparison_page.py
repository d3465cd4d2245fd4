"""The page of a comparison: all that differs, in its unit, what is luck, and nothing foreign."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from api.comparison_page import ROWS_MAX, changed, clear, render_comparison
from core.comparison import Comparison, Difference, compare
from core.flow import Flow
from core.report import Draws, Report
from core.report_build import build_report
from reports import AUDIENCE
from sample_flows import welcome, welcome_responses
from walks import OPTIONS, walk

DRAWS = Draws(seed=0, salt="s", replicate=0, replicates=6, interval=5 / 7)


def runs(flow: Flow, shift: int = 0) -> list[Report]:
    responses = welcome_responses()
    found = []
    for k in range(6):
        counters = walk(flow, people=200, responses=responses, replicate=k + shift)
        found.append(build_report(flow, counters, OPTIONS, audience=AUDIENCE, responses=responses))
    return found


@pytest.fixture(scope="module")
def differing() -> Comparison:
    return compare(runs(welcome()), runs(welcome(), shift=100), DRAWS)


class Tables(HTMLParser):
    """The rows of all tables of a page, cells as text, and what is open at its end."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br", "path", "rect", "circle"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if "td" in self.open:
            self.rows[-1][-1] += data


def test_every_difference_has_a_row_and_nothing_else_has(differing: Comparison) -> None:
    parsed = Tables(render_comparison(differing))
    assert parsed.open == []
    rows = [row for row in parsed.rows if row[0]]
    shown = [each for each in differing.differences if changed(each)]
    assert len(rows) == len(shown) > 10
    verdicts = [row[5] for row in rows]
    assert verdicts.count("no") == sum(each.difference is not None for each in shown if clear(each))
    assert verdicts.count("open") == sum(not clear(each) for each in shown)


def one(**said: object) -> Difference:
    whole = {
        "part": "totals", "name": "", "figure": "people", "first": 10.0, "second": 12.0,
        "difference": 2.0, "exact": True,
    }  # fmt: skip
    return Difference.model_validate(whole | said)


def with_rows(differing: Comparison, *rows: Difference) -> list[list[str]]:
    page = render_comparison(differing.model_copy(update={"differences": list(rows)}))
    return [[re.sub(r"\s", " ", cell) for cell in row] for row in Tables(page).rows if row[0]]


@pytest.mark.parametrize(
    ("said", "cells"),
    [
        ({}, ["people", "10", "12", "+2", "exact", "no"]),
        (
            {"exact": False, "lo": 1.0, "hi": 3.0},
            ["people", "≈ 10", "≈ 12", "+2", "+1 to +3", "no"],
        ),
        (
            {"exact": False, "lo": -1.0, "hi": 5.0},
            ["people", "≈ 10", "≈ 12", "+2", "−1 to +5", "open"],
        ),
        (
            {"exact": False},
            ["people", "≈ 10", "≈ 12", "+2", "–", "open"],
        ),
        (
            {"first": None, "difference": None, "part": "funnel", "name": "Answered"},
            ["Answered people", "–", "12", "–", "exact", "only in one draft"],
        ),
        (
            {"part": "tests", "name": "test", "figure": "a rate", "first": 0.25, "second": 0.5,
             "difference": 0.25, "exact": False, "lo": 0.2, "hi": 0.3},
            ["test a rate", "≈ 25 %", "≈ 50 %", "+25.0 pp", "+20.0 pp to +30.0 pp", "no"],
        ),
        (
            {"part": "nodes", "name": "mail", "figure": "mean_ms", "first": 3_600_000.0,
             "second": 1_800_000.0, "difference": -1_800_000.0},
            ["mail mean time since the entry", "1 h", "30 min", "−30 min", "exact", "no"],
        ),
        (
            {"part": "nodes", "name": "mail", "figure": "port next"},
            ["mail left by next", "10", "12", "+2", "exact", "no"],
        ),
        (
            {"part": "goal", "figure": "rate", "first": 0.1, "second": 0.1, "difference": 0.0,
             "exact": False, "lo": -0.01, "hi": 0.01},
             ["entries that converted", "≈ 10 %", "≈ 10 %", "0 pp", "−1.0 pp to +1.0 pp",
              "open"],
        ),
    ],
)  # fmt: skip
def test_figures_are_told_in_their_units(
    differing: Comparison, said: dict[str, object], cells: list[str]
) -> None:
    assert with_rows(differing, one(**said)) == [cells]


def test_drafts_that_differ_in_nothing_are_said_to() -> None:
    page = render_comparison(compare(runs(welcome()), runs(welcome()), DRAWS))
    assert "Nothing changes." in page
    assert "<table" not in page


def test_texts_of_drafts_are_escaped_and_nothing_is_loaded(differing: Comparison) -> None:
    bad = "<script>alert(1)</script>"
    flow = differing.first.model_copy(update={"title": bad, "id": bad, "lineage": bad})
    named = one(part="nodes", name=bad, figure="port " + bad)
    other = one(part="tests", name=bad, figure=f"{bad} rate")
    update = {"first": flow, "second": flow, "differences": [named, other]}
    page = render_comparison(differing.model_copy(update=update))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 7
    assert "http" not in page.replace("http-equiv", "")


def test_a_page_ends_before_it_cannot_be_opened(differing: Comparison) -> None:
    many = [one(part="nodes", name=f"n{i}", figure="entered") for i in range(ROWS_MAX + 10)]
    rows = with_rows(differing, *many)
    assert len(rows) == ROWS_MAX
