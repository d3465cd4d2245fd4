"""Reports, stories and listings of flows whose nodes stand for others speak of what was written."""

from __future__ import annotations

from both_ways import ALWAYS, ran
from cases import Case, on
from core.compiler import compile_flow
from core.listing import listing
from core.report import AudienceFacts
from core.report_build import build_report
from core.story import tell

CASE = Case(
    {
        "go": on("go", "a"),
        "a": {
            "type": "draw_owner",
            "users": ["ann", "bob"],
            "delay": "1 hour",
            "title": "Choose",
            "next": "w",
        },
        "w": {"type": "wait_purchase", "timeout": "1 day", "next": {"event": "x", "timeout": "x"}},
    },
    [("05-04 10:00", "go"), ("05-05 10:00", "go")],
    settings=ALWAYS,
)


def test_a_report_has_the_nodes_that_were_written_with_their_counts() -> None:
    flow, options = CASE.flow(), CASE.run_options()
    facts = AudienceFacts(name="a", customers=1, events=2, first_ms=None, last_ms=None)
    report = build_report(flow, ran(CASE).counters, options, audience=facts)
    assert [(n.id, n.type, n.title, n.entered.value) for n in report.nodes] == [
        ("go", "on_event", None, 2),
        ("a", "draw_owner", "Choose", 2),
        ("w", "wait_purchase", None, 2),
        ("x", "end", None, 2),
    ]
    assert report.nodes[1].label == "Draw the owner from 2 users"
    assert [(e.source, e.port, e.target, e.count.value) for e in report.edges] == [
        ("go", "next", "a", 2),
        ("a", "next", "w", 2),
        ("w", "event", "x", 0),
        ("w", "timeout", "x", 2),
    ]
    assert report.flow.nodes == 4
    assert [(dead.node, dead.port) for dead in report.dead.ports] == [("w", "event")]


def test_a_report_counts_who_waits_at_a_helper() -> None:
    case = Case(CASE.nodes, [("05-31 23:30", "go")])
    facts = AudienceFacts(name="a", customers=1, events=1, first_ms=None, last_ms=None)
    report = build_report(case.flow(), ran(case).counters, case.run_options(), audience=facts)
    assert report.totals.waiting.value == 1


def test_a_story_tells_each_step() -> None:
    story = tell(CASE.flow(), CASE.people(), 0, CASE.run_options())
    assert [step.node for step in story.steps][:4] == [
        "go",
        "a~delay",
        "a~draw",
        story.steps[3].node,
    ]
    assert story.steps[3].node in ("a~0", "a~1")
    assert story.steps[4].node == "a"


def test_a_listing_shows_what_runs() -> None:
    text = listing(compile_flow(CASE.flow()))
    assert "a~delay" in text
    assert "w  " in text
