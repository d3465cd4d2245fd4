"""Checks what a report tells of the line, of pools and ends of tests, against counts by hand."""

from __future__ import annotations

from typing import Any

import pytest

from actors.coupled_dry_run import coupled_dry_run
from api.couplings_text import couplings_told
from core.audience_build import audience_from_python
from core.binding import bind
from core.compiler import compile_flow
from core.flow import Flow
from core.options import RunOptions
from core.report import AudienceFacts, Report
from core.report_build import build_report
from core.responses import Responses

SECOND = 1000


def flow_of(settings: dict[str, Any], nodes: dict[str, Any]) -> Flow:
    return Flow.model_validate(
        {
            "headrace": 1,
            "flow": "f",
            "settings": settings,
            "nodes": {"t": {"type": "on_event", "event": "go", "next": "n"}, **nodes},
        }
    )


def report_of(
    flow: Flow,
    events: list[tuple[str, int, str]],
    options: RunOptions,
    responses: Responses | None = None,
    replicates: int = 1,
) -> Report:
    people = sorted({who for who, _, _ in events})
    audience = audience_from_python(
        [{"id": who} for who in people],
        [{"customer": who, "time": at, "event": event} for who, at, event in events],
    )
    bound = bind(compile_flow(flow, responses), audience, options)
    ran = coupled_dry_run(bound, replicates=replicates, block=2, workers=2)
    return build_report(
        flow,
        ran.result.counters,
        options,
        audience=AudienceFacts("a", len(people)),
        responses=responses,
        endings=ran.endings(bound.couplings.specs),
    )


END = {"n": {"type": "end"}}


def test_the_line_is_told_with_its_time_and_who_is_still_in_it() -> None:
    flow = flow_of({"entry_rate": {"per_second": 1}}, END)
    events = [(f"c{i}", 0, "go") for i in range(5)]
    # Let in at 0, 1, 2 and 3 s; the last but one too late, the last is in line at the horizon.
    found = report_of(flow, events, RunOptions(0, 3 * SECOND, 4 * SECOND))
    assert found.couplings is not None
    gate = found.couplings.gate
    assert gate is not None
    assert (gate.per_second, gate.people_max) == (1, None)
    assert (gate.queued.value, gate.in_line.value, gate.refused_late.value) == (4, 1, 1)
    assert gate.mean_line_ms == (1 + 2 + 3 + 4) * SECOND / 4
    assert [(r.reason, r.count.value) for r in found.refusals] == [("refused_late", 1)]
    assert found.node("t").refusals == found.refusals
    assert found.totals.refused.value == 1
    assert couplings_told(found.couplings) == [
        "At most 1 entry a second: 4 had to wait in line, 2\u202fs on the average; 1 still wait at "
        "the horizon, and 1 were let out after the time of entries and refused."
    ]


def test_the_cap_and_the_coupons_are_told() -> None:
    nodes = {
        "n": {"type": "take_coupon", "pool": "p", "next": {"taken": "x", "sold_out": "x"}},
        "x": {"type": "end"},
    }
    flow = flow_of({"entry_cap": 3, "coupons": {"p": 2, "spare": 9}}, nodes)
    events = [(f"c{i}", i, "go") for i in range(5)]
    found = report_of(flow, events, RunOptions(0, SECOND, SECOND))
    assert found.couplings is not None
    assert couplings_told(found.couplings) == [
        "At most 3 people in all: 2 entries of others were refused.",
        "Coupons of p: 2 of 2 taken, 0 left.",
    ]
    assert found.totals.refused.value == 2
    rich = report_of(flow, events, RunOptions(0, SECOND, SECOND, coupons={"p": 10}))
    assert rich.couplings is not None
    assert [(p.stock, p.taken.value, p.left.value) for p in rich.couplings.pools] == [(10, 3, 7)]


def trial(**until: Any) -> Flow:
    return flow_of(
        {},
        {
            "n": {
                "type": "ab_test",
                "branches": {"a": "50%", "b": "50%"},
                "target": {"event": "win", "within": "1 second"},
                "until": {"people": 4, **until},
                "next": {"a": "x", "b": "x"},
            },
            "x": {"type": "end"},
        },
    )


@pytest.mark.parametrize(
    ("until", "rule", "decided_ms"),
    [
        ({"then": "best"}, "matured", 3 + SECOND + 1),
        ({"then": "best", "decide": "at_count"}, "at_count", 4),
        ({"then": "b"}, "named", 4),
    ],
)
def test_the_end_of_a_test_is_told(until: dict[str, Any], rule: str, decided_ms: int) -> None:
    events = [(f"c{i}", i, "go") for i in range(8)]
    found = report_of(trial(**until), events, RunOptions(0, SECOND, 9 * SECOND))
    assert found.couplings is not None
    (end,) = found.couplings.ends
    assert (end.rule, end.people, end.decided_ms) == (rule, 4, decided_ms)
    assert end.branch == ("b" if rule == "named" else "a")
    assert sum(end.decided_in.values()) == end.decided_in[end.branch] == 1
    assert (end.chance_right is None) == (rule == "named")
    if end.chance_right is not None:
        assert 0 < end.chance_right < 1


def test_a_test_that_too_few_come_to_is_not_decided() -> None:
    found = report_of(trial(), [("c", 0, "go")], RunOptions(0, SECOND, 9 * SECOND))
    assert found.couplings is not None
    assert couplings_told(found.couplings) == [
        "Test n, after 4 visits for the best, when all of them had had their time: not decided by "
        "the horizon."
    ]


def test_a_decision_beyond_the_horizon_is_none() -> None:
    events = [(f"c{i}", i, "go") for i in range(4)]
    found = report_of(trial(), events, RunOptions(0, SECOND, SECOND + 4))
    assert found.couplings is not None
    assert found.couplings.ends[0].decided_ms is None
    later = report_of(trial(), events, RunOptions(0, SECOND, SECOND + 5))
    assert later.couplings is not None
    assert later.couplings.ends[0].decided_ms == SECOND + 4


def test_each_replicate_is_granted_its_own() -> None:
    flow = flow_of(
        {"coupons": {"p": 3}},
        {
            "n": {"type": "send", "channel": "email", "template": "m", "next": "w"},
            "w": {
                "type": "wait_event",
                "event": "click",
                "timeout": "1 hour",
                "next": {"event": "c", "timeout": "x"},
            },
            "c": {"type": "take_coupon", "pool": "p", "next": {"taken": "x", "sold_out": "x"}},
            "x": {"type": "end"},
        },
    )
    responses = Responses.model_validate(
        {
            "headrace_responses": 1,
            "rules": [
                {
                    "for": {"channel": "email"},
                    "outcomes": [
                        {
                            "event": "click",
                            "probability": "20%",
                            "delay": {"lognormal": {"median": "1 minute", "sigma": 1}},
                        }
                    ],
                }
            ],
        }
    )
    events = [(f"c{i}", i, "go") for i in range(20)]
    found = report_of(flow, events, RunOptions(0, SECOND, 9_000_000), responses, replicates=5)
    assert found.couplings is not None
    (pool,) = found.couplings.pools
    assert pool.taken.assumed
    assert 0 < pool.taken.value <= 3
    assert pool.taken.value + pool.left.value == 3


def test_independent_customers_compete_for_nothing() -> None:
    found = report_of(flow_of({}, END), [("c", 0, "go")], RunOptions(0, SECOND, SECOND))
    assert found.couplings is None
