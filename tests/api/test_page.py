"""Checks the HTML page: complete, self-contained, safe, and true to the report."""

import re
from collections import Counter
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pytest

from api.page import render_html
from api.page_charts import Stack, axis, bars
from api.page_graph import NODES_MAX, draw_graph
from api.page_text import cut, html, rich, text_width, wrapped
from core.quantity import THIN, moment, number, percent
from core.report import Report
from core.report_build import build_report
from reports import AUDIENCE, everyday, evil, recorded, sixty, told
from sample_flows import EVIL, large, welcome
from walks import FROM_MS, HOUR_MS, OPTIONS, walk

VOID = {"meta", "br", "path", "rect", "circle", "line", "use"}
REPORTS = [everyday(), recorded(), sixty(), evil(), told()]


class Page(HTMLParser):
    """A page taken apart: its tags, texts and attributes; tags that aren't closed in order fail."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.markup = render_html(report)
        self.feed(self.markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        """All that a reader sees, spaces made one."""
        return re.sub(r"[ \n]+", " ", "".join(self.texts))

    def values(self, attribute: str) -> list[str]:
        """The values of an attribute."""
        return [value for _, name, value in self.attributes if name == attribute]


@cache
def page(place: int) -> Page:
    """One of the reports as a page."""
    return Page(REPORTS[place])


PAGES = pytest.mark.parametrize("place", range(len(REPORTS)), ids=lambda k: REPORTS[k].flow.id)


# -- self-contained and safe


@PAGES
def test_a_page_asks_nothing_of_the_network(place: int) -> None:
    found = page(place)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & set(
        found.tags
    )
    for tag, name, value in found.attributes:
        if name in ("href", "src", "xlink:href", "action", "data", "srcset"):
            assert value.startswith("#"), (tag, name, value)
        assert not name.startswith("on"), (tag, name)
    assert not re.search(r"https?:|@import|url\((?!#)", found.markup)
    assert "default-src 'none'" in found.markup


@PAGES
def test_links_and_labels_lead_somewhere(place: int) -> None:
    found = page(place)
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    for value in found.values("href"):
        assert value[1:] in ids
    for value in found.values("aria-labelledby"):
        assert set(value.split()) <= set(ids)


def test_names_are_text_and_never_markup() -> None:
    found = page(3)
    assert "script" not in found.tags
    assert found.text.count("<script>alert(") >= 10
    assert "<script" not in found.markup.split("</style>")[1]
    assert 'alert("x")' not in " ".join(found.values("title"))
    title = re.search(r"<title>(.*?)</title>", found.markup)
    assert title is not None
    assert title[1].startswith("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;amp;")


def test_control_characters_do_not_reach_the_page() -> None:
    flow = recorded().flow.model_copy(update={"title": "a\x00b\x1b[31m\ud800c"})
    markup = render_html(recorded().model_copy(update={"flow": flow}))
    assert "a\ufffdb\ufffd[31m\ufffdc" in markup
    markup.encode("utf-8")


@PAGES
def test_a_page_is_the_same_each_time(place: int) -> None:
    assert render_html(REPORTS[place]) == page(place).markup


# -- readable by all


@PAGES
def test_a_page_has_one_title_and_sections_with_headings(place: int) -> None:
    found = page(place)
    assert found.tags["h1"] == 1
    assert found.markup.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert '<meta charset="utf-8">' in found.markup
    assert found.tags["section"] == len(
        re.findall(r'<section id="[a-z]+" aria-labelledby', found.markup)
    )


@PAGES
def test_drawings_are_described_and_given_as_tables(place: int) -> None:
    found = page(place)
    drawings = re.findall(r'<svg class="(?:graph|chart)"[^>]*>.*?</svg>', found.markup, re.S)
    assert len(drawings) >= 3
    for drawing in drawings:
        assert re.search(r'role="img"\s+aria-labelledby', drawing)
        assert "<title id=" in drawing
        assert "<desc id=" in drawing
    for drawing in re.findall(r'<svg class="whisker".*?</svg>', found.markup):
        assert 'role="img" aria-label="' in drawing
    assert found.text.count("as a table") == 2 * (1 + bool(REPORTS[place].sends))


def test_light_dark_and_print_have_their_styles() -> None:
    markup = page(0).markup
    assert "@media (prefers-color-scheme: dark)" in markup
    assert "@media print" in markup
    assert '<meta name="color-scheme" content="light dark">' in markup


def test_every_colour_of_the_light_style_has_a_dark_twin() -> None:
    style = page(0).markup.split("<style>")[1].split("</style>")[0]
    light, dark = re.findall(r":root \{(.*?)\}", style, re.S)[:2]

    def names(block: str) -> set[str]:
        return set(re.findall(r"(--[a-z_-]+):", block))

    assert names(light) == names(dark)
    used = set(re.findall(r"var\((--[a-z_-]+)\)", page(0).markup))
    assert used - names(light) == {"--kind"}


# -- true to the report


def test_warnings_stand_before_any_figure() -> None:
    text = page(0).text
    error = text.index("The audience has no attribute country")
    assert error < text.index("3 customers without a valid zone") < text.index("People entered")
    assert "Did you mean Country?" in text


@PAGES
def test_every_node_is_in_the_drawing_and_in_the_table(place: int) -> None:
    report, found = REPORTS[place], page(place)
    ids = set(found.values("id"))
    drawing = draw_graph(report)
    assert drawing is not None
    assert len(drawing.layout.boxes) == len(report.nodes)
    for node in report.nodes:
        assert f"n-{node.id}" in ids
        assert f'<a href="#n-{node.id}">' in drawing.svg


def test_counts_are_on_nodes_and_edges() -> None:
    report = everyday(replicates=2, people=4000)
    drawing = draw_graph(report)
    assert drawing is not None
    labels = re.findall(r'<g class="label">.*?<tspan class="(value|approx)">([^<]*)<', drawing.svg)
    expected = [
        ("approx" if e.count.assumed else "value",
         f"{'≈' + THIN if e.count.assumed else ''}{number(e.count.value)}")
        for e in report.edges
    ]  # fmt: skip
    assert labels == expected
    assert ("value", f"3{THIN}600") in labels
    counts = re.findall(r'<text class="count (?:value|approx)"[^>]*>([^<]*)<', drawing.svg)
    assert len(counts) == len(report.nodes)
    assert counts[0] == f"3{THIN}600"


def test_lines_are_as_wide_as_their_share() -> None:
    report = recorded()
    drawing = draw_graph(report)
    assert drawing is not None
    widths = [
        float(w) for w in re.findall(r'class="line"[^>]*stroke-width="([\d.]+)"', drawing.svg)
    ]
    pairs = sorted(zip((e.count.value for e in report.edges), widths, strict=True))
    assert [w for _, w in pairs] == sorted(widths)
    assert max(widths) == pytest.approx(10.6)


def test_what_nobody_took_is_dashed_and_named() -> None:
    report = sixty()
    drawing = draw_graph(report)
    assert drawing is not None
    dead = sum(not node.entered.value for node in report.nodes)
    assert dead > 3
    assert len(re.findall(r'<g class="node k-\w+ dead"', drawing.svg)) == dead
    unused = sum(not edge.count.value for edge in report.edges)
    assert drawing.svg.count('<g class="edge dead">') == unused
    assert drawing.svg.count('<g class="label dead">') == unused
    assert f"{dead} nodes that nobody reached" in page(2).text


def test_assumed_figures_are_marked_and_exact_ones_are_not() -> None:
    assert f"≈{THIN}" in page(0).text
    assert "rests on assumed responses" in page(0).text
    assert "≈" not in page(1).text
    engaged = re.search(r'<tr id="n-engaged">.*?</tr>', page(0).markup, re.S)
    clicked = re.search(r'<tr id="n-clicked">.*?</tr>', page(0).markup, re.S)
    assert engaged is not None
    assert clicked is not None
    entered = everyday().node("engaged").entered
    assert entered.lo is not None
    assert entered.hi is not None
    assert f"≈{THIN}{number(entered.value)}" in engaged[0]
    assert f"{number(entered.lo)}–{number(entered.hi)}" in engaged[0]
    assert f'<td class="num"><span class="n">{everyday().totals.people.value}</span>' in clicked[0]


def test_the_funnel_and_the_standard_are_shown() -> None:
    funnel = everyday().funnel
    assert funnel is not None
    assert funnel.standard is not None
    assert f"Reached the standard: ≈{THIN}{percent(funnel.standard.value)}" in page(0).text
    bars_ = re.findall(r'style="width:([\d.]+)%"', page(0).markup)
    assert [float(b) for b in bars_[:2]] == [100.0, 100.0]
    assert float(bars_[3]) == pytest.approx(100 * funnel.standard.value, abs=0.01)


def test_a_b_tests_show_rates_differences_and_what_they_mean() -> None:
    test = everyday().tests[0]
    text = page(0).text
    for branch in test.branches:
        assert branch.successes.rate is not None
        assert percent(branch.successes.rate.value) in text
    assert test.meaning in text
    assert page(0).markup.count('class="whisker"') == len(test.branches) * 2 - 1 + 1


def test_times_are_said_to_be_utc() -> None:
    assert moment(OPTIONS.from_ms) in page(0).text
    assert "All days and hours are UTC." in page(0).text
    assert "By hour of the day, UTC" in page(0).text


def test_the_limits_and_the_run_are_told() -> None:
    assert "Nobody is inside at the start" in page(0).text
    assert f"in 1.25{THIN}s by 2 workers" in page(0).text
    assert "history alone answers" in page(1).text


def test_stories_are_told_at_the_end() -> None:
    text = page(4).text
    assert text.rindex("Customers’ ways") > text.index("Mechanics are exact, people are not")
    assert "refused once" in text
    assert "Never entered:" in text
    assert "<i>cy" in text
    assert "i" not in page(4).tags
    assert "2026-01-01 13:00" in text


def test_a_flow_too_large_to_read_has_its_table_only() -> None:
    flow = large(NODES_MAX // 10)
    report = build_report(flow, walk(flow, people=5), OPTIONS, audience=AUDIENCE)
    assert draw_graph(report) is None
    text = Page(report).text
    assert f"The flow has {len(flow.nodes)} nodes" in text
    assert "c19-again" in text


def test_long_windows_are_shown_by_week() -> None:
    options = replace(OPTIONS, horizon_ms=FROM_MS + 200 * 24 * HOUR_MS)
    counters = walk(welcome(), options=options)
    report = build_report(welcome(), counters, options, audience=AUDIENCE)
    text = Page(report).text
    assert "By week" in text
    assert "7 days from 2026-01-01: e-mail" in text


def test_an_empty_run_has_a_page() -> None:
    report = build_report(welcome(), walk(welcome(), people=0), OPTIONS, audience=AUDIENCE)
    text = Page(report).text
    assert "Nobody entered." in text


# -- pieces


def test_axes_are_round_and_cover_what_they_show() -> None:
    assert axis(0) == [0, 1]
    assert axis(3) == [0, 1, 2, 3]
    assert axis(11) == [0, 5, 10, 15]
    assert axis(12345)[-1] == 12500
    for most in (0.03, 0.7, 1, 9, 10, 26, 99, 101, 5001):
        steps = axis(most)
        assert most <= steps[-1] + 1e-12
        assert steps[-1] <= 2.5 * most
        assert 2 <= len(steps) <= 7


def test_bars_are_stacked_to_their_sum() -> None:
    drawing = bars(
        "x",
        "t",
        [Stack("a", "c-a", [30, 0]), Stack("b", "c-b", [20, 0])],
        ["1", "2"],
        ["d1", "d2"],
        400,
    )
    rects = re.findall(
        r'<rect class="c-(\w)" x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', drawing
    )
    (name_a, y_a, h_a), (name_b, y_b, h_b) = rects
    assert (name_a, name_b) == ("a", "b")
    assert float(y_a) == pytest.approx(float(y_b) + float(h_b))
    assert float(h_a) / float(h_b) == pytest.approx(1.5, abs=0.01)
    assert "d1: a 30; b 20" in drawing
    assert "d2:" not in drawing


def test_texts_are_escaped_measured_and_cut() -> None:
    assert html(EVIL) == "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;amp;&#x27; `&quot;"
    assert rich("a `<b>` c") == "a <code>&lt;b&gt;</code> c"
    assert text_width("iiii", 10) < text_width("mmmm", 10)
    assert text_width("日本", 10) > text_width("ab", 10)
    assert cut("short", 12, 500) == "short"
    shortened = cut("a rather long name of a node", 12, 80)
    assert shortened.endswith("…")
    assert text_width(shortened, 12) <= 80
    lines = wrapped("one two three four five six seven eight", 12, 90, 2)
    assert len(lines) == 2
    assert all(text_width(line, 12) <= 90 for line in lines)
    assert lines[0].startswith("one two")
    assert wrapped("", 12, 90, 2) == [""]
