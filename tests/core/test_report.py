"""Checks that a report says what was counted, marks what is assumed, and refuses what cannot be."""

# ruff: noqa: N802 - the ids of features are in capitals

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from core import report_notices
from core.balance import UnbalancedError, check_balance
from core.counters import HOUR_MS, Counters
from core.flow import Flow
from core.outcomes import Outcome
from core.report import Figure, Report, RunFacts, report_schema
from core.responses import Responses
from core.statistics import newcombe, quantile_interval, wilson
from sample_flows import EVIL, hostile, large, welcome, welcome_responses
from small_runs import HAND, codes, counted, exact, report, small
from walks import FROM_MS, walk

SCHEMA = Path(__file__).resolve().parents[2] / "docs" / "report.schema.json"


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


def test_A078_totals_are_sums_over_the_flow() -> None:
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


def test_A080_times_since_entry_are_means_and_medians() -> None:
    found = report(small(), counted(), HAND)
    assert found.node("end").mean_ms == exact(HOUR_MS)
    assert found.node("end").median_ms == exact(2 * HOUR_MS)
    assert found.node("ask").median_ms == exact(0)
    empty = report(small(), Counters.zeros(small(), 4, 0), HAND)
    assert empty.node("end").mean_ms is None
    assert empty.node("end").median_ms is None


def test_A081_reached_the_standard_is_the_last_layer_over_all_who_entered() -> None:
    funnel = report(small(), counted(), HAND).funnel
    assert funnel is not None
    assert funnel.standard == exact(6 / 8)
    assert [(x.name, x.people, x.of_entered, x.of_previous) for x in funnel.layers] == [
        ("All", exact(8), exact(1.0), exact(1.0)),
        ("Sent", exact(6), exact(0.75), exact(0.75)),
    ]


def test_A090_messages_and_entries_fall_on_utc_days_and_hours() -> None:
    """The window begins at 22:00 and ends at 02:00 of the next day."""
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


def test_A074_branches_have_rates_intervals_and_differences_to_the_first() -> None:
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
