"""Checks what lint says of limits of messages that contradict each other or limit nothing."""

from __future__ import annotations

import pytest

from core.audience import AudienceSchema
from core.document import read_flow
from core.lint import lint

FLOW = """
headrace: 1
flow: f
settings: {%s}
nodes:
  t: {type: on_event, event: go, next: m}
  m: {type: send_email, template: hello, next: x}
  x: {type: end}
"""
NIGHT = 'from: "22:00", until: "08:00"'


@pytest.mark.parametrize(
    ("settings", "code", "place"),
    [
        ("caps: [{at_most: 1, within: 1 day, channels: sms}]", "idle-control", "caps/0"),
        (f"quiet_hours: [{{{NIGHT}, except: hello}}]", "idle-control", "quiet_hours/0"),
        ("caps: [{at_most: 2, within: 1 day}, {at_most: 2, within: 7 days}]", "idle-cap", "caps/0"),
        ("caps: [{at_most: 2, within: 1 day}, {at_most: 2, within: 1 day}]", "idle-cap", "caps/1"),
        (
            "caps: [{at_most: 2, within: 2 days}, {at_most: 3, within: 1 day, channels: email}]",
            "idle-cap",
            "caps/1",
        ),
        (
            'quiet_hours: [{from: "20:00", until: "08:00"}, {from: "08:00", until: "20:00"}]',
            "always-quiet",
            "quiet_hours/1",
        ),
        (
            'quiet_hours: [{from: "20:00", until: "10:00", spread: 5 hours 1 minute}]',
            "spread-too-long",
            "quiet_hours/0/spread",
        ),
        (
            "blackouts: [{from: 2026-12-24, until: 2026-12-24}]",
            "blackout-reversed",
            "blackouts/0/until",
        ),
        (
            "blackouts: [{from: 2026-12-24, until: 2026-13-01}]",
            "invalid-time",
            "blackouts/0/until",
        ),
        ("budget: [{sends: 0}]", "empty-budget", "budget/0"),
        ("budget: [{amount: 0.04, cost: 0.05}]", "empty-budget", "budget/0"),
    ],
)
def test_a_limit_that_makes_no_sense_is_told_of(settings: str, code: str, place: str) -> None:
    flow, violations = read_flow(FLOW % settings, name="f.yaml")
    assert flow is not None, violations
    found = [(v.code, v.pointer) for v in lint(flow) if v.code != "surge"]
    assert found == [(code, f"/settings/{place}")]


@pytest.mark.parametrize(
    "settings",
    [
        "caps: [{at_most: 1, within: 1 day}, {at_most: 3, within: 7 days}]",
        "caps: [{at_most: 1, within: 1 day, except: hello}, {at_most: 2, within: 1 day}]"
        ", budget: [{sends: 1}]",
        f"quiet_hours: [{{{NIGHT}, spread: 7 hours}}]",
        'quiet_hours: [{from: "00:00", until: "23:00", days: [sat, sun], spread: 30 minutes}]',
        "blackouts: [{from: 2026-12-24, until: 2026-12-25, then: skip}]",
        "budget: [{amount: 0.15, cost: 0.05}]",
        "messages: {consent: required, addresses: {email: address}}",
    ],
)
def test_a_sensible_limit_passes(settings: str) -> None:
    flow, violations = read_flow(FLOW % settings, name="f.yaml")
    assert flow is not None, violations
    assert {v.code for v in lint(flow)} <= {"idle-control"}
    assert ("except" in settings) == bool(lint(flow))


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ("budget: [{}]", "budget/0"),
        ("budget: [{sends: 3, amount: 1, cost: 1}]", "budget/0"),
        ("budget: [{amount: 1}]", "budget/0"),
        ("budget: [{amount: 1000000000000, cost: 0.001}]", "budget/0"),
        ("budget: [{amount: 1, cost: 0}]", "budget/0/cost"),
        ("caps: [{at_most: 0, within: 1 day}]", "caps/0/at_most"),
        ("caps: [{at_most: 1, within: 1 month}]", "caps/0/within"),
        ("caps: [{at_most: 1, within: 1 day, channels: task}]", "caps/0/channels"),
        ('quiet_hours: [{from: "08:00", until: "08:00"}]', "quiet_hours/0"),
        ('quiet_hours: [{from: "08:00", until: "25:00"}]', "quiet_hours/0/until"),
        ("messages: {consent: sometimes}", "messages/consent"),
        ("messages: {consent: {note: required}}", "messages/consent"),
    ],
)
def test_a_limit_that_cannot_be_understood_is_refused_at_its_place(
    settings: str, place: str
) -> None:
    flow, violations = read_flow(FLOW % settings, name="f.yaml")
    assert flow is None
    assert {v.pointer for v in violations} <= {f"/settings/{place}", f"/settings/{place}/note"}


@pytest.mark.parametrize(
    ("spreads", "places"),
    [
        (("", ""), [0, 1]),
        ((", spread: 1 hour", ""), []),
        ((", channels: sms, spread: 1 hour", ""), [1]),
    ],
)
def test_an_end_of_quiet_hours_that_is_not_smoothed_is_a_surge(
    spreads: tuple[str, str], places: list[int]
) -> None:
    first, second = spreads
    settings = f'quiet_hours: [{{{NIGHT}{first}}}, {{from: "12:00", until: "13:00"{second}}}]'
    flow, violations = read_flow(FLOW % settings, name="f.yaml")
    assert flow is not None, violations
    found = [v.pointer for v in lint(flow) if v.code == "surge"]
    assert found == [f"/settings/quiet_hours/{place}" for place in places]
    assert [v.pointer for v in lint(flow, AudienceSchema()) if v.code == "surge"] == []
