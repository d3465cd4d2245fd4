"""Holds a flow small enough to count by hand, its counts, and short ways to a report."""

from __future__ import annotations

from typing import Any

from core.counters import Counters, delay_table
from core.flow import Flow
from core.nodes import CHANNELS
from core.options import RunOptions
from core.outcomes import Outcome
from core.report import AudienceFacts, Figure, Notice, Report
from core.report_build import build_report
from walks import FROM_MS, HOUR_MS, OPTIONS, walk

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
    """The report of a run of `flow`, by default of a random walk over it."""
    if counters is None:
        counters = walk(flow, responses=more.get("responses"))
    return build_report(flow, counters, options, audience=more.pop("audience", PEOPLE), **more)


def exact(value: float) -> Figure:
    """A figure that rests on no response."""
    return Figure(value=value)


def codes(notices: list[Notice]) -> list[str]:
    """What the notices are about."""
    return [notice.code for notice in notices]


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
