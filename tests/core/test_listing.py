"""Checks that a listing shows the whole program, line by line, the same every time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cases import END, ask, on, send, sure, wait
from core.compiler import compile_flow
from core.document import read_flow
from core.flow import Flow
from core.listing import listing
from core.responses import Responses
from house import CHECKOUT

EVERYTHING = """\
headrace: 1
flow: everything
lineage: old
settings:
  reentry: {policy: always, gap: 1 hour}
  goal: {event: purchase, within: 2 days, where: {property: amount, above: 5}}
nodes:
  t: {type: on_event, event: signup, where: {property: source, is: ad}, next: [c, s]}
  lapsed:
    type: on_segment
    if: {all: [{did: purchase, at_least: 2, within: 30 days}, {tag: vip}]}
    next: v
  daily: {type: on_schedule, repeat: daily, at: "09:00", if: {group: beta}, next: v}
  c:
    type: condition
    if:
      any:
        - {attribute: age, between: [18, 30]}
        - {not: {attribute: plan, one_of: [gold, red]}}
        - {never_did: visit}
    next: {yes: v, no: w}
  v:
    type: branch_attribute
    attribute: country
    branches: {a: DE, b: [FR, IT]}
    next: {a: s, b: w}
  w:
    type: wait_event
    event: purchase
    where: {property: amount, at_least: {entry: amount}}
    timeout: 3 days
    next: {event: a, timeout: x}
  a:
    type: ab_test
    branches: {p: 50%, q: 50%}
    target: {event: visit, within: 1 day}
    next: {p: m, q: d}
  m: {type: send, channel: email, template: hi, next: x}
  s: {type: wait_slot, slots: [{from: "09:00", until: "17:00", days: [mon]}], next: sa}
  sa: {type: set_attribute, attribute: plan, value: gold, next: d}
  d: {type: wait_date, attribute: birthday, offset: -2 days, next: {next: x}}
  x: {type: end}
"""
LISTED = """\
flow everything  draws as old  program format 1
12 nodes, 16 edges, 9 predicates, 2 visit counters

columns
  @0  tag vip
  @1  group beta
  @2  attribute plan  written
  @3  attribute age
  @4  attribute country
  @5  attribute birthday

event properties
  @0  source
  @1  amount

event types
  @0  purchase  looked back at 30 days
  @1  signup
  @2  visit  looked back at for ever

triggers
  @0  t  event signup  if @0
  @1  lapsed  segment  if @1
  @2  daily  schedule  if @3

nodes
  @0   t       TRIGGER     Enter on `signup` where `source` is "ad"  [next -> c + s]
  @1   lapsed  TRIGGER     Enter when `purchase` happened at least 2 times in the last 30 days \
and tagged `vip`  [next -> v]
  @2   daily   TRIGGER     Enter every day at 09:00 (flow's time) if in the group `beta`  \
[next -> v]
  @3   c       DECIDE      If `age` is between 18 and 30 or not (`plan` is one of "gold" and \
"red") or `visit` never happened  graph @4  [yes -> v, no -> w]
  @4   v       VALUE       Branch on `country`  [a -> s, b -> w, other -> no_branch]
  @5   w       WAIT_EVENT  Wait for `purchase` where `amount` is at least the entry's `amount`, \
at most 3 days  graph @7  [event -> a, timeout -> x]
  @6   a       SPLIT       A/B test 50/50 % on `visit` within 1 day  visits @0  [p -> m, q -> d]
  @7   m       SEND        Send e-mail `hi`  visits @1  [next -> x]
  @8   s       WAIT_SLOT   Wait for Mon 09:00–17:00  [next -> sa]
  @9   sa      SET         Set `plan` to "gold"  [next -> d]
  @10  d       WAIT_DATE   Wait until 2 days before `birthday`  [next -> x, missing -> no_date]
  @11  x       END         End

predicates
  @0  event at hand: `source` is "ad"  ? result 1 : result 0
  @1  did purchase at least 2 in 30 days, filter none  ? @2 : result 0
  @2  tag vip  ? result 1 : result 0
  @3  group beta  ? result 1 : result 0
  @4  `age` is between 18 and 30  ? result 0 : @5
  @5  `plan` is one of "gold" and "red"  ? @6 : result 0
  @6  did visit 0 to 0 ever, filter none  ? result 0 : result 1
  @7  event at hand: `amount` is at least the entry's `amount`  ? result 1 : result 0
  @8  event at hand: `amount` is above 5  ? result 1 : result 0

watches
  @0  visit within 1 days, filter none, A/B test 0, counters from 0
  @1  purchase within 2 days, filter @8, goal, counters from 2
"""


def flow_of(nodes: dict[str, Any]) -> Flow:
    return Flow.model_validate({"headrace": 1, "flow": "f", "nodes": {**nodes, "x": END}})


def listed(text: str) -> str:
    flow, violations = read_flow(text, name="flow.yaml")
    assert flow is not None, violations
    return listing(compile_flow(flow))


def test_everything_is_listed() -> None:
    assert listed(EVERYTHING) == LISTED


def test_a_small_flow_has_a_small_listing() -> None:
    assert listing(compile_flow(flow_of({"t": on("go", "w"), "w": wait("1 day", "x")}))) == (
        "flow f  draws as f  program format 1\n"
        "3 nodes, 2 edges, 0 predicates, 0 visit counters\n\n"
        "event types\n  @0  go\n\n"
        "triggers\n  @0  t  event go  if none\n\n"
        "nodes\n"
        "  @0  t  TRIGGER     Enter on `go`  [next -> w]\n"
        "  @1  w  WAIT_FOR    Wait 1 day  [next -> x]\n"
        "  @2  x  END         End\n"
    )


def test_a_port_that_leads_nowhere_is_idle() -> None:
    nodes = {"t": on("go", "a"), "a": {"type": "add_tag", "tag": "q"}}
    assert "SET         Add the tag `q`  [next -> idle]" in listing(compile_flow(flow_of(nodes)))


def test_a_responses_file_adds_what_it_asks_for() -> None:
    flow = flow_of({"t": on("go", "m"), "m": send("email", "hi", "x")})
    rule = {"for": {"channel": "email", "if": {"tag": "fan"}}, "outcomes": [sure("click")]}
    responses = Responses.model_validate({"headrace_responses": 1, "rules": [rule]})
    with_them = listing(compile_flow(flow, responses))
    assert "tag fan" in with_them
    assert "tag fan" not in listing(compile_flow(flow))


def test_a_change_of_the_flow_is_a_change_of_its_lines_only() -> None:
    def lines(age: int) -> set[str]:
        nodes = {"t": on("go", "c"), "c": ask({"attribute": "age", "above": age})}
        return set(listing(compile_flow(flow_of(nodes))).splitlines())

    assert len(lines(18) - lines(21)) == 2, "the node and its predicate"


FLOWS = [
    path for path in (CHECKOUT / "examples").rglob("*.yaml") if "headrace: 1" in path.read_text()
]


@pytest.mark.parametrize("path", sorted(FLOWS), ids=lambda path: path.stem)
def test_every_reference_leads_to_a_line(path: Path) -> None:
    text = path.read_text()
    sections: dict[str, list[str]] = {}
    for part in listed(text).split("\n\n")[1:]:
        title, *rows = part.splitlines()
        sections[title] = rows
        assert [int(row.split()[0][1:]) for row in rows] == list(range(len(rows)))
    predicates = range(len(sections.get("predicates", ())))
    for rows in sections.values():
        for row in rows:
            for found in re.findall(r"(?:graph|if|filter|\?|:) @(\d+)", row):
                assert int(found) in predicates
