"""Checks which dates, slots and schedules are told to be surges, and for how many people."""

from __future__ import annotations

import pytest

from core.audience import AudienceCounts, AudienceSchema, EventSchema
from core.audience_facts import AudienceFacts
from core.document import read_flow
from core.flow import Flow
from core.lint import lint

SLOT = "{type: wait_slot, slots: [{from: '09:00', until: '21:00'}], next: %s}"
UNTIL = "{type: wait_until, at: '2027-01-01T09:00', next: %s}"
DAILY = "{type: on_schedule, repeat: daily, at: '10:00', next: %s}"
SEND = "s: {type: send, channel: sms, template: hi, next: done}"


def flow_of(nodes: str, settings: str = "") -> Flow:
    lines = [f"  {line}" for line in nodes.strip().splitlines()]
    head = ["headrace: 1", "flow: f", f"settings: {{{settings}}}", "nodes:"]
    start = "  start: {type: on_event, event: signup, next: a}"
    flow, violations = read_flow(
        "\n".join([*head, start, *lines, "  done: {type: end}"]), name="f.yaml"
    )
    assert flow is not None, violations
    return flow


def found(flow: Flow, customers: int | None = None, events: int = 10**9) -> list[tuple[str, str]]:
    schema = None
    if customers is not None:
        schema = AudienceSchema(
            events={"signup": EventSchema(count=events)},
            counts=AudienceCounts(customers=customers),
        )
    told = lint(flow, schema, now_ms=0)
    return [(v.code, v.pointer) for v in told if v.code in ("surge", "large-surge")]


@pytest.mark.parametrize(
    ("nodes", "places"),
    [
        (f"a: {SLOT % 's'}\n{SEND}", ["/nodes/a"]),
        (f"a: {UNTIL % 's'}\n{SEND}", ["/nodes/a"]),
        (f"a: {{type: end}}\nb: {DAILY % 's'}\n{SEND}", ["/nodes/b"]),
        (f"a: {UNTIL % 'b'}\nb: {{type: add_tag, tag: t, next: s}}\n{SEND}", ["/nodes/a"]),
        (f"a: {UNTIL % 'b'}\nb: {{type: wait, for: 1 hour, next: s}}\n{SEND}", []),
        (f"a: {UNTIL % 'b'}\nb: {SLOT % 's'}\n{SEND}", ["/nodes/b"]),
        (f"a: {UNTIL % 'done'}", []),
        (f"a: {{type: wait, for: 1 day, next: s}}\n{SEND}", []),
    ],
)
def test_everybody_is_sent_something_at_one_instant(nodes: str, places: list[str]) -> None:
    assert found(flow_of(nodes)) == [("surge", place) for place in places]


def test_a_rate_of_entries_spreads_a_schedule_and_nothing_else() -> None:
    nodes = f"a: {UNTIL % 's'}\nb: {DAILY % 's'}\n{SEND}"
    assert found(flow_of(nodes)) == [("surge", "/nodes/a"), ("surge", "/nodes/b")]
    rated = flow_of(nodes, "entry_rate: {per_second: 100}")
    assert found(rated) == [("surge", "/nodes/a")]


@pytest.mark.parametrize(
    ("customers", "events", "code"),
    [(999, 10**6, None), (1_000, 10**6, "surge"), (10**6, 500, None), (10**6, 99_999, "surge"),
     (10**6, 100_000, "large-surge")],
)  # fmt: skip
def test_with_an_audience_the_number_of_people_counts(
    customers: int, events: int, code: str | None
) -> None:
    expected = [] if code is None else [(code, "/nodes/a")]
    assert found(flow_of(f"a: {UNTIL % 's'}\n{SEND}"), customers, events) == expected


def test_the_number_is_estimated_by_conditions_and_chance() -> None:
    nodes = f"""
g: {{type: on_segment, if: {{group: g}}, next: b}}
a: {{type: end}}
b: {{type: condition, if: {{tag: t}}, next: {{yes: c, no: done}}}}
c: {{type: split, branches: {{x: 25%, y: 75%}}, next: {{x: u, y: done}}}}
u: {UNTIL % "s"}
{SEND}
"""
    facts = AudienceFacts(1_000_000, tags={"t": 500_000}, groups={"g": 100_000})
    (told,) = [v for v in lint(flow_of(nodes), facts=facts, now_ms=0) if v.code == "surge"]
    assert told.message == (
        "everybody who waits here is sent a message at one instant: up to about 12,000 people"
    )
    large = AudienceFacts(100_000_000, tags={"t": 50_000_000}, groups={"g": 10_000_000})
    (told,) = [v for v in lint(flow_of(nodes), facts=large, now_ms=0) if "surge" in v.code]
    assert (told.code, told.severity) == ("large-surge", "warning")
    assert "1,200,000" in told.message
