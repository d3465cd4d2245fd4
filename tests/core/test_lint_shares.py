"""Checks what is told of the people of an audience: who never matches, and who has no zone."""

from __future__ import annotations

import pytest

from core.audience import AudienceSchema
from core.audience_facts import AttributeFacts, AudienceFacts
from core.document import read_flow
from core.flow import Flow
from core.lint import lint
from core.lint_shares import wanted

FACTS = AudienceFacts(
    customers=100,
    zoneless=40,
    attributes={
        "country": AttributeFacts([("DE", 60.0), ("FR", 40.0)], 0, whole=True),
        "age": AttributeFacts([(20, 50.0), (30, 40.0)], 10, whole=True),
    },
    tags={"vip": 0, "all": 100, "some": 5},
    groups={"g": 0},
    events={"bought": 0},
)
CODES = ("never-in-audience", "always-in-audience", "missing-zone")
ASK = "a: {type: condition, if: %s, next: {yes: done, no: done}}"


def flow_of(nodes: str, settings: str = "") -> Flow:
    lines = [f"  {line}" for line in nodes.strip().splitlines()]
    head = ["headrace: 1", "flow: f", f"settings: {{{settings}}}", "nodes:"]
    start = "  start: {type: on_event, event: signup, next: a}"
    flow, violations = read_flow(
        "\n".join([*head, start, *lines, "  done: {type: end}"]), name="f.yaml"
    )
    assert flow is not None, violations
    return flow


def found(flow: Flow, facts: AudienceFacts | None = FACTS) -> list[tuple[str, str]]:
    return [(v.code, v.pointer) for v in lint(flow, facts=facts) if v.code in CODES]


@pytest.mark.parametrize(
    ("test", "code"),
    [
        ("{attribute: country, is: IT}", "never-in-audience"),
        ("{attribute: country, one_of: [DE, FR]}", "always-in-audience"),
        ("{attribute: country, is: DE}", None),
        ("{attribute: age, at_least: 20}", None),
        ("{attribute: age, above: 30}", "never-in-audience"),
        ("{tag: vip}", "never-in-audience"),
        ("{not: {group: g}}", "always-in-audience"),
        ("{did: bought}", "never-in-audience"),
        ("{all: [{tag: some}, {tag: vip}]}", "never-in-audience"),
        ("{any: [{tag: some}, {tag: vip}]}", None),
        ("{all: [{tag: vip}, {not: {tag: vip}}]}", None),
    ],
)
def test_conditions_that_are_the_same_for_everybody(test: str, code: str | None) -> None:
    expected = [] if code is None else [(code, "/nodes/a/if")]
    assert found(flow_of(ASK % test)) == expected
    assert found(flow_of(ASK % test), None) == []


def test_triggers_are_judged_too() -> None:
    nodes = "a: {type: on_segment, if: {tag: vip}, next: done}\n"
    nodes += "b: {type: on_schedule, repeat: daily, at: '9:00', if: {tag: vip}, next: done}"
    nodes = nodes.replace("a: ", "c: ") + "\na: {type: end}"
    assert found(flow_of(nodes)) == [
        ("never-in-audience", "/nodes/b/if"),
        ("never-in-audience", "/nodes/c/if"),
    ]


def test_what_the_flow_changes_is_not_judged() -> None:
    nodes = ASK % "{tag: vip}" + "\nb: {type: add_tag, tag: vip, next: a}"
    assert found(flow_of(nodes)) == []


def test_branches_that_nobody_takes() -> None:
    nodes = """
a: {type: branch_attribute, attribute: country, branches: {d: DE, i: [IT, ES]}, next: {d: b, i: b}}
b: {type: branch_tag, branches: {v: vip, s: [vip, some], x: unknown}, next: {v: done, s: done}}
"""
    assert found(flow_of(nodes)) == [
        ("never-in-audience", "/nodes/a/branches/i"),
        ("never-in-audience", "/nodes/b/branches/v"),
    ]


@pytest.mark.parametrize(
    ("node", "settings", "count"),
    [
        ("{type: wait_slot, slots: [{from: '09:00', until: '12:00'}], next: done}", "", 1),
        ("{type: wait_until, at: '2027-01-01T09:00', next: done}", "", 1),
        ("{type: wait_until, at: '2027-01-01T09:00', zone: flow, next: done}", "", 0),
        ("{type: wait_date, attribute: born, next: {next: done, missing: done}}", "", 1),
        ("{type: wait, for: 1 hour, next: done}", "", 0),
        ("{type: wait_slot, slots: [{from: '09:00', until: '12:00'}], next: done}",
         "zone: Europe/Berlin", 0),
    ],
)  # fmt: skip
def test_missing_zone_data(node: str, settings: str, count: int) -> None:
    assert found(flow_of(f"a: {node}", settings)) == [("missing-zone", "/nodes/a")] * count


def test_a_zone_of_the_audience_or_of_everybody_is_enough() -> None:
    flow = flow_of("a: {type: wait_slot, slots: [{from: '09:00', until: '12:00'}], next: done}")
    codes = {v.code for v in lint(flow, AudienceSchema(zone="Asia/Tokyo"), facts=FACTS)}
    assert "missing-zone" not in codes
    assert found(flow, AudienceFacts(100, 0)) == []
    (told,) = [v for v in lint(flow, facts=FACTS) if v.code == "missing-zone"]
    assert told.message.startswith("40 of 100 people have no time zone")


def test_what_is_asked_of_an_audience() -> None:
    nodes = ASK % "{all: [{attribute: x, is: 1}, {tag: t}, {did: e}]}"
    nodes += "\nb: {type: on_segment, if: {group: g}, next: c}\n"
    nodes += "c: {type: branch_tag, branches: {v: [u, w]}, next: {v: done}}"
    needs = wanted(flow_of(nodes))
    assert (needs.attributes, needs.tags, needs.groups) == ({"x"}, {"t", "u", "w"}, {"g"})
    assert needs.events == set()
