"""Checks what a report says before its figures: what is missing, misspelt, cut short or unsafe."""

import json
from dataclasses import replace

import pytest

from core.audience import Absence
from core.counters import Counters
from core.flow import Flow
from core.responses import Responses
from core.violations import Violation
from sample_flows import welcome, welcome_responses
from small_runs import HAND, PEOPLE, codes, counted, exact, report, small
from walks import FROM_MS, HOUR_MS, OPTIONS, walk


def test_a_misspelt_attribute_comes_first_and_names_its_nodes() -> None:
    absent = (Absence("attribute", "country", ("Country", "county")),)
    found = report(welcome(), audience=replace(PEOPLE, absent=absent))
    assert found.notices[0].model_dump() == {
        "level": "error",
        "code": "absent-attribute",
        "title": "The audience has no attribute `country`",
        "text": "It is missing for everybody, so every comparison with it failed.",
        "advice": "Did you mean `Country` or `county`?",
        "nodes": ["country"],
    }


@pytest.mark.parametrize(
    ("absence", "level", "text"),
    [
        (Absence("event", "signup"), "error", "its trigger never fired"),
        (Absence("event", "clicked"), "error", "everybody who waited for it waited in vain"),
        (Absence("event", "purchase"), "error", "The goal needs it"),
        (Absence("property", "source"), "error", "missing for everybody"),
        (Absence("attribute", "points"), "note", "Only this flow sets it"),
        (Absence("tag", "engaged"), "note", "Only this flow sets it"),
        (Absence("group", "elsewhere"), "warning", "every test for this group failed"),
        (Absence("tag", "vip", ("VIP",)), "error", "every test for this tag failed"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_the_audience_lacks_is_told(absence: Absence, level: str, text: str) -> None:
    found = report(welcome(), audience=replace(PEOPLE, absent=(absence,)))
    [notice] = [n for n in found.notices if n.code == f"absent-{absence.kind}"]
    assert notice.level == level
    assert text in notice.text


def test_an_absent_event_that_is_modelled_is_only_noted() -> None:
    audience = replace(PEOPLE, absent=(Absence("event", "clicked"),))
    found = report(welcome(), audience=audience, responses=welcome_responses())
    [notice] = [n for n in found.notices if n.code == "absent-event"]
    assert (notice.level, notice.title) == ("note", "All `clicked` events are modelled")


def test_a_run_cut_short_says_so_first() -> None:
    found = report(small(), counted(), HAND, partial=True)
    assert found.partial
    assert found.notices[0].code == "partial"
    assert "20 of the audience's 400 customers" in found.notices[0].text.replace("\u202f", " ")


def test_an_empty_run_says_that_nobody_entered() -> None:
    empty = Counters.zeros(small(), 4, 0)
    empty.customers = 5
    found = report(small(), empty, HAND)
    assert found.notices[0].code == "nobody-entered"
    assert found.funnel is not None
    assert found.funnel.standard is None
    assert found.edges[0].share == 0.0


def test_a_wait_for_an_answer_that_nobody_can_give_is_an_error() -> None:
    document = json.loads(welcome().model_dump_json(by_alias=True, exclude_none=True))
    document["nodes"]["clicked"]["message"] = "welcome-en"
    flow = Flow.model_validate(document)
    [notice] = [n for n in report(flow).notices if n.code == "no-answer"]
    assert (notice.level, notice.nodes) == ("error", ["clicked"])
    answered = report(flow, responses=welcome_responses())
    assert "no-answer" not in codes(answered.notices)


def test_rules_that_fit_no_message_are_told() -> None:
    document = welcome_responses().model_dump(mode="json", by_alias=True, exclude_none=True)
    document["rules"][0]["for"] = {"template": "welcome-fr"}
    found = report(welcome(), responses=Responses.model_validate(document))
    [notice] = [n for n in found.notices if n.code == "unused-rule"]
    assert "It is for `welcome-fr`" in notice.text
    assert found.basis.kind == "history"
    assert "no rule that fits" in found.basis.text


def test_lint_findings_come_with_their_node() -> None:
    lint = [
        Violation("same-message", "warning", "/nodes/mail-a/template", "sent twice", "Keep one."),
        Violation("note", "info", "", "nothing", "Nothing."),
    ]
    found = report(welcome(), lint=lint)
    [notice] = [n for n in found.notices if n.code.startswith("lint")]
    assert (notice.level, notice.title, notice.nodes) == ("warning", "Sent twice", ["mail-a"])
    assert [v["code"] for v in found.lint] == ["same-message", "note"]


def test_values_of_a_later_date_are_told_with_the_people_they_touched() -> None:
    c = walk(welcome())
    c.touched[list(welcome().nodes).index("country")] = 17
    found = report(welcome(), c)
    [place] = found.dated
    assert (place.node, place.attributes, place.people) == ("country", ["country"], exact(17))
    [notice] = [n for n in found.notices if n.code == "later-values"]
    assert notice.nodes == ["country"]
    undated = report(welcome(), audience=replace(PEOPLE, as_of_ms=None))
    assert "undated-values" in codes(undated.notices)


@pytest.mark.parametrize(
    ("first", "last", "code"),
    [
        (FROM_MS - HOUR_MS, FROM_MS + 48 * HOUR_MS, "events-end-early"),
        (FROM_MS - 900 * HOUR_MS, FROM_MS - HOUR_MS, "no-events-in-window"),
        (OPTIONS.horizon_ms, OPTIONS.horizon_ms, "no-events-in-window"),
    ],
)
def test_events_that_do_not_reach_over_the_window_are_told(
    first: int, last: int, code: str
) -> None:
    audience = replace(PEOPLE, first_ms=first, last_ms=last)
    assert code in codes(report(welcome(), audience=audience).notices)
    assert code not in codes(report(welcome()).notices)


def test_a_look_back_beyond_the_first_event_is_told() -> None:
    document = json.loads(welcome().model_dump_json(by_alias=True, exclude_none=True))
    document["nodes"]["consent"]["if"] = {"never_did": "purchase", "within": "101 days"}
    found = report(Flow.model_validate(document))
    [notice] = [n for n in found.notices if n.code == "look-back-uncovered"]
    assert "`purchase`" in notice.text
    document["nodes"]["consent"]["if"] = {"never_did": "purchase", "within": "100 days"}
    assert "look-back-uncovered" not in codes(report(Flow.model_validate(document)).notices)


def test_invalid_zones_and_replaced_events_are_told() -> None:
    audience = replace(PEOPLE, invalid_zones=3, replaced=12)
    found = report(welcome(), audience=audience)
    assert {"invalid-zones", "replaced"} <= set(codes(found.notices))
    assert found.audience.invalid_zones == 3
    assert found.audience.replaced == 12


def test_notices_come_loudest_first() -> None:
    audience = replace(PEOPLE, absent=(Absence("attribute", "x"),), invalid_zones=1, replaced=1)
    levels = [n.level for n in report(welcome(), audience=audience).notices]
    assert levels == sorted(levels, key=["error", "warning", "note"].index)
    assert set(levels) == {"error", "warning", "note"}
