"""Checks that a report says what was counted, marks what is assumed, and refuses what cannot be."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from core import report_notices
from core.audience import Absence
from core.balance import UnbalancedError, check_balance
from core.counters import HOUR_MS, Counters, delay_table
from core.flow import Flow
from core.nodes import CHANNELS
from core.options import RunOptions
from core.outcomes import Outcome
from core.report import AudienceFacts, Figure, Notice, Report, RunFacts, report_schema
from core.report_build import build_report
from core.responses import Responses
from core.statistics import newcombe, quantile_interval, wilson
from core.violations import Violation
from sample_flows import EVIL, hostile, large, welcome, welcome_responses
from walks import FROM_MS, OPTIONS, walk

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "report.schema.json"
PEOPLE = AudienceFacts(
    name="people",
    customers=400,
    events=5000,
    first_ms=FROM_MS - 100 * 24 * HOUR_MS,
    last_ms=OPTIONS.horizon_ms,
    as_of_ms=FROM_MS,
)


def report(
    flow: Flow,
    counters: Counters | list[Counters] | None = None,
    options: RunOptions = OPTIONS,
    **more: Any,
) -> Report:
    if counters is None:
        counters = walk(flow, responses=more.get("responses"))
    return build_report(flow, counters, options, audience=more.pop("audience", PEOPLE), **more)


def exact(value: float) -> Figure:
    return Figure(value=value)


def codes(notices: list[Notice]) -> list[str]:
    return [notice.code for notice in notices]


# -- a flow small enough to count by hand


def small() -> Flow:
    """start -> ask -(yes)-> mail -> end, ask -(no)-> pause (idle); `other` of nothing."""
    return Flow.model_validate(
        {
            "headrace": 1,
            "flow": "small",
            "settings": {
                "goal": {"event": "purchase", "within": "1 day"},
                "funnel": [{"name": "All", "nodes": ["ask"]}, {"name": "Sent", "nodes": ["mail"]}],
            },
            "nodes": {
                "start": {"type": "on_event", "event": "signup", "next": "ask"},
                "ask": {
                    "type": "branch_attribute",
                    "attribute": "country",
                    "branches": {"de": "DE", "uk": "GB"},
                    "next": {"de": "mail", "uk": ["mail", "pause"]},
                },
                "mail": {"type": "send", "channel": "sms", "template": "t", "next": "end"},
                "pause": {"type": "wait", "for": "1 h"},
                "end": {"type": "end"},
            },
        }
    )


def counted() -> Counters:
    """Ten entries of eight people: 6 de, 3 uk, 1 other; one of the 3 pauses still waits."""
    c = Counters.zeros(small(), hours=4, outcomes=0)
    c.customers, c.people, c.steps = 20, 8, 10 + 10 + 9 + 3 + 9
    c.entered[:] = [10, 10, 9, 3, 9]
    c.unique[:] = [8, 8, 7, 3, 7]
    c.port[:] = [10, 6, 3, 0, 9, 2]
    c.outcome[1, Outcome.NO_BRANCH.column] = 1
    c.outcome[4, Outcome.END.column] = 9
    c.outcome[0, Outcome.REFUSED_INSIDE.column] = 4
    c.waiting[3], c.idle[3], c.delay_sum_ms[4] = 1, 2, 9 * HOUR_MS
    c.delays = delay_table({4: [0] * 3 + [2 * HOUR_MS] * 6})
    c.entries_by_hour[:] = [6, 0, 3, 1]
    c.sends_by_hour[CHANNELS.index("sms")] = [5, 0, 3, 1]
    c.layer_people[:] = [8, 6]
    c.watch_opened[:], c.watch_matured[:] = 10, 8
    c.watch_succeeded[:], c.watch_succeeded_ever[:] = 2, 3
    return c


HAND = RunOptions(from_ms=FROM_MS + 22 * HOUR_MS, until_ms=FROM_MS + 25 * HOUR_MS,
                  horizon_ms=FROM_MS + 26 * HOUR_MS, seed=3)  # fmt: skip


def test_nodes_ports_and_edges_are_what_was_counted() -> None:
    found = report(small(), counted(), HAND)
    ask = found.node("ask")
    assert ask.label == "Branch on `country`"
    assert (ask.entered, ask.people) == (exact(10), exact(8))
    assert [(p.port, p.count, p.share, p.targets, p.outcome) for p in ask.ports] == [
        ("de", exact(6), 0.6, ["mail"], None),
        ("uk", exact(3), 0.3, ["mail", "pause"], None),
        ("other", exact(1), 0.1, [], "no_branch"),
    ]
    assert [(o.reason, o.count) for o in ask.outcomes] == [("no_branch", exact(1))]
    pause = found.node("pause")
    assert (pause.waiting, pause.idle) == (exact(1), exact(2))
    assert [(p.count, p.outcome) for p in pause.ports] == [(exact(2), "idle")]
    assert [(e.source, e.port, e.target, e.count.value, e.share) for e in found.edges] == [
        ("start", "next", "ask", 10, 1.0),
        ("ask", "de", "mail", 6, 0.6),
        ("ask", "uk", "mail", 3, 0.3),
        ("ask", "uk", "pause", 3, 0.3),
        ("mail", "next", "end", 9, 0.9),
    ]
    start = found.node("start")
    assert [(r.reason, r.count) for r in start.refusals] == [("refused_inside", exact(4))]
    assert start.outcomes == []


def test_totals_are_sums_over_the_flow() -> None:
    totals = report(small(), counted(), HAND).totals
    assert totals.model_dump(exclude_defaults=True) == {
        "customers": 20,
        **{
            name: {"value": value}
            for name, value in {
                "people": 8, "entries": 10, "refused": 4, "steps": 41, "sends": 9, "ended": 9,
                "fell_out": 1, "waiting": 1, "idle": 2, "parked": 0,
            }.items()
        },
    }  # fmt: skip


def test_times_since_entry_are_means_and_medians() -> None:
    found = report(small(), counted(), HAND)
    assert found.node("end").mean_ms == exact(HOUR_MS)
    assert found.node("end").median_ms == exact(2 * HOUR_MS)
    assert found.node("ask").median_ms == exact(0)
    empty = report(small(), Counters.zeros(small(), 4, 0), HAND)
    assert empty.node("end").mean_ms is None
    assert empty.node("end").median_ms is None


def test_reached_the_standard_is_the_last_layer_over_all_who_entered() -> None:
    """A081."""
    funnel = report(small(), counted(), HAND).funnel
    assert funnel is not None
    assert funnel.standard == exact(6 / 8)
    assert [(x.name, x.people, x.of_entered, x.of_previous) for x in funnel.layers] == [
        ("All", exact(8), exact(1.0), exact(1.0)),
        ("Sent", exact(6), exact(0.75), exact(0.75)),
    ]


def test_messages_and_entries_fall_on_utc_days_and_hours() -> None:
    """A082, A090: the window begins at 22:00 and ends at 02:00 of the next day."""
    found = report(small(), counted(), HAND)
    [sms] = found.sends
    assert (sms.channel, sms.series.total) == ("sms", exact(9))
    assert sms.series.by_hour == [5, 0, 3, 1]
    assert [(d.day_ms, d.count.value) for d in sms.series.by_day] == [
        (FROM_MS, 5),
        (FROM_MS + 24 * HOUR_MS, 4),
    ]
    assert {h: n for h, n in enumerate(sms.series.by_hour_of_day) if n} == {22: 5, 0: 3, 1: 1}
    assert sms.series.peak is not None
    assert (sms.series.peak.hour_ms, sms.series.peak.count) == (HAND.from_ms, 5)
    assert [d.count.value for d in found.entries.by_day] == [6, 4]


def test_conversions_count_the_matured_and_show_the_others_apart() -> None:
    goal = report(small(), counted(), HAND).goal
    assert goal is not None
    s = goal.successes
    assert (s.watched, s.matured, s.immature) == (exact(10), exact(8), exact(2))
    assert (s.succeeded, s.succeeded_ever, s.modelled) == (exact(2), exact(3), exact(0))
    assert s.rate is not None
    assert (s.rate.value, s.rate.lo, s.rate.hi) == (0.25, *wilson(2, 8))


def test_dead_parts_are_nodes_nobody_reached_and_ports_nobody_took() -> None:
    c = Counters.zeros(small(), 4, 0)
    c.customers, c.people, c.steps = 5, 2, 6
    c.entered[:] = [2, 2, 2, 0, 0]
    c.unique[:] = c.entered
    c.port[:] = [2, 2, 0, 0, 0, 0]
    c.outcome[2, Outcome.PARKED_BUDGET.column] = 2
    c.entries_by_hour[0] = 2
    dead = report(small(), c, HAND).dead
    assert dead.nodes == ["pause", "end"]
    assert [(p.node, p.port, p.waiting) for p in dead.ports] == [
        ("ask", "uk", False),
        ("ask", "other", False),
        ("mail", "next", False),
    ]


# -- A/B tests


def rivals() -> Flow:
    nodes = {
        "start": {"type": "on_event", "event": "signup", "next": "mail"},
        "mail": {"type": "send", "channel": "email", "template": "t", "next": "test"},
        "test": {
            "type": "ab_test",
            "branches": {"a": "50%", "b": "30%", "c": "20%"},
            "target": {"event": "purchase", "within": "1 day"},
            "next": {"a": "end", "b": "end", "c": "end"},
        },
        "end": {"type": "end"},
    }
    return Flow.model_validate({"headrace": 1, "flow": "t", "nodes": nodes})


def test_branches_have_rates_intervals_and_differences_to_the_first() -> None:
    """A072, A074."""
    [test] = report(rivals()).tests
    c = walk(rivals())
    assert [b.port for b in test.branches] == ["a", "b", "c"]
    assert [b.weight for b in test.branches] == [0.5, 0.3, 0.2]
    first = (int(c.watch_succeeded[0]), int(c.watch_matured[0]))
    for k, branch in enumerate(test.branches):
        s, n = int(c.watch_succeeded[k]), int(c.watch_matured[k])
        rate = branch.successes.rate
        assert n > 20
        assert rate is not None
        assert (rate.value, rate.lo, rate.hi, rate.assumed) == (s / n, *wilson(s, n), False)
        if k == 0:
            assert branch.difference is None
        else:
            assert branch.difference is not None
            found = (branch.difference.value, branch.difference.lo, branch.difference.hi)
            assert found == newcombe(s, n, *first)
    assert "a difference between branches here is chance" in test.meaning
    assert test.detectable is not None
    assert 0.05 < test.detectable < 0.3


def test_rates_on_modelled_events_are_assumed_and_say_so() -> None:
    found = report(rivals(), responses=welcome_responses()).tests[0]
    rate = found.branches[0].successes.rate
    assert rate is not None
    assert rate.assumed
    assert "no evidence that one branch is better" in found.meaning
    assert found.branches[0].successes.watched == exact(int(walk(rivals()).watch_opened[0]))


def test_branches_in_which_nobody_matured_have_no_rate() -> None:
    c = walk(rivals())
    for name in ("watch_matured", "watch_succeeded"):
        getattr(c, name)[1] = 0
    found = report(rivals(), c)
    assert found.tests[0].branches[1].successes.rate is None
    assert found.tests[0].branches[1].difference is None
    assert found.tests[0].detectable is None
    assert "nobody-matured" in codes(found.notices)


# -- exact and assumed


def replicates(flow: Flow, responses: Responses, count: int) -> list[Counters]:
    return [walk(flow, responses=responses, replicate=k) for k in range(count)]


def test_assumed_figures_are_means_with_intervals_and_others_stay_exact() -> None:
    runs = replicates(welcome(), welcome_responses(), 20)
    found = report(welcome(), runs, responses=welcome_responses())
    engaged = [int(c.entered[list(welcome().nodes).index("engaged")]) for c in runs]
    lo, hi = quantile_interval(engaged)
    assert len(set(engaged)) > 5
    expected = Figure(value=sum(engaged) / 20, lo=lo, hi=hi, assumed=True)
    assert found.node("engaged").entered == expected
    assert found.node("clicked").entered == exact(int(runs[0].people))
    assert found.node("clicked").assumed
    assert not found.node("clicked").entered.assumed
    assert found.node("clicked").ports[0].count.assumed
    assert found.totals.people == exact(runs[0].people)
    assert found.totals.sends.assumed
    by_channel = {s.channel: s.series.total for s in found.sends}
    assert by_channel["email"].assumed
    assert by_channel["email"].lo is not None
    assert found.draws.replicates == 20
    assert found.draws.interval == 0.9


def test_one_replicate_gives_assumed_figures_without_interval() -> None:
    found = report(welcome(), responses=welcome_responses())
    entered = found.node("engaged").entered
    assert (entered.assumed, entered.lo, entered.hi) == (True, None, None)
    assert isinstance(entered.value, int)
    assert "one-replicate" in codes(found.notices)


def test_few_replicates_say_what_their_intervals_hold() -> None:
    runs = replicates(welcome(), welcome_responses(), 4)
    found = report(welcome(), runs, responses=welcome_responses())
    [notice] = [n for n in found.notices if n.code == "few-replicates"]
    assert "holds 60% of further replicates" in notice.text
    assert found.draws.interval == 0.6


def test_without_responses_no_figure_is_assumed() -> None:
    found = report(welcome())
    assert '"assumed": true' not in json.dumps(found.model_dump())
    assert found.basis.kind == "history"
    assert "history alone answers" in found.basis.text
    assert "a draft's messages were never sent" in found.basis.text


def test_a_flow_that_asks_for_no_behaviour_is_mechanics() -> None:
    nodes = {
        "in": {"type": "on_event", "event": "signup", "next": "out"},
        "out": {"type": "end"},
    }
    flow = Flow.model_validate({"headrace": 1, "flow": "t", "nodes": nodes})
    assert report(flow).basis.kind == "mechanics"


def test_what_is_called_exact_must_not_differ_between_replicates() -> None:
    other = walk(small(), people=400)
    mine = walk(small(), people=390)
    mine.customers = other.customers
    with pytest.raises(UnbalancedError, match="rests on no response"):
        report(small(), [other, mine])


def test_replicates_over_different_customers_are_refused() -> None:
    with pytest.raises(ValueError, match="same customers"):
        report(small(), [walk(small(), people=9), walk(small(), people=8)])


# -- what cannot be

BREAKS: dict[str, Callable[[Counters], None]] = {
    "more left than entered": lambda c: _add(c.port, 1, 1),
    "tokens vanished": lambda c: _add(c.entered, 4, 1),
    "more idle than came": lambda c: _add(c.idle, 3, 1),
    "were sent there": lambda c: (_add(c.entered, 4, 1), _add(c.outcome, (4, 0), 1)),
    "whole_flow does not account": lambda c: _add(c.outcome, (3, Outcome.WHOLE_FLOW.column), 1),
    "refusals at no trigger": lambda c: _add(c.outcome, (2, Outcome.REFUSED_GAP.column), 1),
    "tokens were made": lambda c: _add(c.entries_by_hour, 0, 1),
    "steps": lambda c: setattr(c, "steps", c.steps + 1),
    "sends by node": lambda c: _add(c.sends_by_hour, (0, 0), 1),
    "people of": lambda c: setattr(c, "customers", 7),
    "people, 10 entries": lambda c: setattr(c, "people", 11),
    "more people at a node": lambda c: _add(c.unique, 1, 1),
    "with arrivals and nobody": lambda c: c.unique.__setitem__(3, 0),
    "more people in a layer": lambda c: _add(c.layer_people, 0, 1),
    "successes beyond": lambda c: _add(c.watch_succeeded, 0, 2),
    "waiting is negative": lambda c: _add(c.waiting, 0, -1),
}  # fmt: skip


def _add(array: Any, place: Any, count: int) -> None:
    array[place] += count


@pytest.mark.parametrize("message", BREAKS)
def test_counters_that_lose_or_invent_people_make_no_report(message: str) -> None:
    counters = counted()
    check_balance(small(), counters)
    BREAKS[message](counters)
    with pytest.raises(UnbalancedError, match=message) as caught:
        report(small(), counters, HAND)
    assert caught.value.exit_code == 70


@pytest.mark.parametrize("flow", [welcome(), large(), hostile()], ids=lambda f: f.flow)
def test_walks_balance_with_ends_of_whole_entries_among_them(flow: Flow) -> None:
    check_balance(flow, walk(flow))


# -- notices


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


# -- limits


def test_limits_fit_what_was_used() -> None:
    plain = [limit.code for limit in report(small(), counted(), HAND).limits]
    assert plain == ["mechanics", "empty-start", "other-pressure", "past", "cause"]
    runs = replicates(welcome(), welcome_responses(), 2)
    full = [limit.code for limit in report(welcome(), runs, responses=welcome_responses()).limits]
    assert {"responses", "intervals", "opens", "sample", "best-of-many"} <= set(full)
    assert any("Nobody is inside at the start" in x.text for x in report(welcome()).limits)


# -- JSON


def full_report() -> Report:
    runs = replicates(welcome(), welcome_responses(), 3)
    story = {"customer": "c1", "steps": [{"time_ms": 1, "node": "signup"}]}
    facts = RunFacts(elapsed_s=1.5, workers=2)
    return report(welcome(), runs, responses=welcome_responses(), stories=[story], run=facts)


def test_a_report_survives_json_and_fits_its_schema() -> None:
    found = full_report()
    text = found.model_dump_json()
    assert Report.model_validate_json(text) == found
    validator = jsonschema.Draft202012Validator(report_schema())
    validator.validate(json.loads(text))
    broken = json.loads(text) | {"version": 2}
    assert not validator.is_valid(broken)
    assert not validator.is_valid({k: v for k, v in json.loads(text).items() if k != "basis"})


def test_the_committed_schema_is_the_report_s() -> None:
    """If this fails, write `json.dumps(report_schema(), indent=2)` and a line end into the file."""
    assert json.loads(SCHEMA.read_text("utf-8")) == report_schema()


def test_every_part_of_the_schema_is_described() -> None:
    for name, part in report_schema()["$defs"].items():
        assert part.get("description"), name


def test_the_same_counters_give_the_same_bytes_but_for_the_run() -> None:
    found = full_report()
    again = full_report().model_copy(update={"run": RunFacts(elapsed_s=9.0)})
    assert again != found
    bare = {"run": None}
    first, second = found.model_copy(update=bare), again.model_copy(update=bare)
    assert first.model_dump_json() == second.model_dump_json()


def test_a_report_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        full_report().partial = True  # type: ignore[misc]


def test_hostile_names_are_carried_as_they_are() -> None:
    assert report(hostile()).flow.title == EVIL


def test_a_node_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        report(small(), counted(), HAND).node("nowhere")


def test_the_page_about_reports_names_every_part_and_every_notice() -> None:
    """docs/report.md."""
    page = (SCHEMA.parent / "report.md").read_text("utf-8")
    for name in Report.model_fields:
        assert f"`{name}`" in page, name
    source = Path(report_notices.__file__).read_text("utf-8")
    named = set(re.findall(r'code="([a-z-]+)"', source))
    assert len(named) >= 18
    for code in named:
        assert f"`{code}`" in page, code
