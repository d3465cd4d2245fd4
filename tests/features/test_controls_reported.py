"""What a dry run's report tells of holdouts, reasons not to send and budgets."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from typing import Any

import pytest

from api.couplings_text import couplings_told
from api.holdout_text import holdout_told
from both_ways import ALWAYS, ran
from cases import Case, on, send
from core.audience import Absence
from core.report import AudienceFacts, Report
from core.report_build import build_report
from core.statistics import newcombe, wilson

IDS = [f"c{i}" for i in range(600)]
MAIL = {"go": on("go", "m"), "m": send("email", "t", "x")}


def case_of(settings: dict[str, Any], buyers: int = 0, **fields: Any) -> Case:
    events = [("05-04 10:00", "go", {}, name) for name in IDS]
    events += [("05-04 12:00", "buy", {}, name) for name in IDS[:buyers]]
    return Case(
        MAIL, events, {**ALWAYS, **settings}, [{"id": name} for name in IDS], **fields
    )  # fmt: skip


def report_of(case: Case) -> Report:
    """The report of one run."""
    people = case.people()
    names = [
        Absence("event", "message_sent"),
        Absence("attribute", "~clock:2026-06-10"),
        Absence("property", "channel"),
        Absence("attribute", "consent:email"),
    ]
    facts = AudienceFacts("people", people.customers, len(case.events), None, None, None,
                          absent=tuple(names))  # fmt: skip
    return build_report(case.flow(), ran(case).counters, case.run_options(), audience=facts)


def test_N10_the_report_sets_conversions_of_the_holdout_beside_the_flows() -> None:
    goal = {"goal": {"event": "buy", "within": "1 day"}, "holdout": {"share": "20%"}}
    case = case_of(goal, buyers=200)
    kept = {r.customer for r in ran(case).records if r.port == "refused_holdout"}
    bought = len(kept & set(IDS[:200]))
    report = report_of(case)
    assert report.goal is not None
    holdout = report.goal.holdout
    assert holdout is not None
    assert holdout.successes.watched.value == len(kept)
    assert holdout.successes.succeeded.value == bought
    rate, difference = holdout.successes.rate, holdout.difference
    assert rate is not None
    assert difference is not None
    assert (rate.lo, rate.hi) == pytest.approx(wilson(bought, len(kept)))
    inside, other = 200 - bought, 600 - len(kept)
    expected = newcombe(inside, other, bought, len(kept))
    assert (difference.value, difference.lo, difference.hi) == pytest.approx(expected)
    first, second = holdout_told(holdout)
    assert first.startswith(f"Kept out for comparison: {bought} of {len(kept)} did it anyway, ")
    assert second.endswith("the interval contains no difference at all.")


def test_N10_without_a_holdout_the_goal_stands_alone() -> None:
    report = report_of(case_of({"goal": {"event": "buy", "within": "1 day"}}))
    assert report.goal is not None
    assert report.goal.holdout is None


def test_N12_the_report_counts_the_reasons_at_the_message() -> None:
    cap = {"at_most": 1, "within": "1 day"}
    case = case_of(
        {
            "caps": [cap],
            "messages": {},
            "blackouts": [{"from": "2026-06-10", "until": "2026-06-11"}],
        }
    )
    again = [("05-04 11:00", "go", {}, name) for name in IDS[:50]]
    report = report_of(Case(case.nodes, [*case.events, *again], case.settings, case.customers))
    [node] = [node for node in report.nodes if node.id == "m"]
    assert [(p.port, p.count.value, p.targets) for p in node.ports] == [
        ("next", 600, ["x"]),
        ("capped", 50, ["x"]),
    ]
    assert sum(port.share or 0 for port in node.ports) == pytest.approx(1)
    edges = {(e.source, e.port): e.count.value for e in report.edges}
    assert edges == {("go", "next"): 650, ("m", "next"): 600, ("m", "capped"): 50}
    assert [notice.code for notice in report.notices if notice.level == "error"] == []


@pytest.mark.parametrize(("consent", "told"), [("required", True), ("unless_refused", False)])
def test_A121_an_absent_consent_is_told_of_where_nobody_is_sent_to_without(
    consent: str, told: bool
) -> None:
    report = report_of(case_of({"messages": {"consent": consent}}))
    [node] = [node for node in report.nodes if node.id == "m"]
    assert [p.port for p in node.ports] == ["next", "no_consent"][: 1 + told]
    titles = [notice.title for notice in report.notices]
    assert ("The audience has no attribute `consent:email`" in titles) == told


def test_N11_the_report_tells_what_is_left_of_a_budget() -> None:
    report = report_of(case_of({"budget": [{"amount": 25, "cost": 0.05}]}))
    assert report.couplings is not None
    assert couplings_told(report.couplings) == [
        "A budget of 500 messages: 500 used, 0 left; 100 were not sent for want of it."
    ]
