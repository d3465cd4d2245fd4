"""Checks what is found to be settled on the way, and what nobody comes to so."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from core.audience import AttributeSchema, AudienceSchema
from core.document import read_flow
from core.flow import Flow
from core.lint import lint

ASK = "{type: condition, if: %s, next: {yes: %s, no: %s}}"
GERMAN = "{attribute: country, is: DE}"
FOUND = ("settled-condition", "dead-branch", "dead-node")


def flow_of(nodes: str, where: str = "null") -> Flow:
    lines = [f"  {line}" for line in nodes.strip().splitlines()]
    start = f"  start: {{type: on_event, event: signup, where: {where}, next: a}}"
    text = "\n".join(["headrace: 1", "flow: f", "nodes:", start, *lines, "  done: {type: end}"])
    flow, violations = read_flow(text, name="f.yaml")
    assert flow is not None, violations
    return flow


def found(flow: Flow, schema: AudienceSchema | None = None) -> list[tuple[str, str]]:
    return [(v.code, v.pointer) for v in lint(flow, schema) if v.code in FOUND]


SETTLED = [
    (f"a: {ASK % (GERMAN, 'b', 'done')}\nb: {ASK % (GERMAN, 'done', 'done')}",
     [("settled-condition", "/nodes/b/if")]),
    (f"a: {ASK % (GERMAN, 'done', 'b')}\nb: {ASK % (GERMAN, 'done', 'done')}",
     [("settled-condition", "/nodes/b/if")]),
    (f"a: {ASK % (GERMAN, 'b', 'b')}\nb: {ASK % (GERMAN, 'done', 'done')}", []),
    (f"a: {ASK % (GERMAN, 'b', 'c')}\nc: {{type: add_tag, tag: t, next: b}}\n"
     f"b: {ASK % (GERMAN, 'done', 'done')}", []),
    (f"a: {ASK % (GERMAN, '[b, c]', 'done')}\nc: {{type: add_tag, tag: t, next: b}}\n"
     f"b: {ASK % (GERMAN, 'done', 'done')}", [("settled-condition", "/nodes/b/if")]),
    (f"a: {ASK % (GERMAN, 'w', 'done')}\nw: {{type: wait, for: 1 day, next: b}}\n"
     f"b: {ASK % (GERMAN, 'done', 'done')}", []),
    (f"a: {ASK % (GERMAN, '[w, b]', 'done')}\nw: {{type: wait, for: 1 day, next: b}}\n"
     f"b: {ASK % (GERMAN, 'done', 'done')}", []),
    (f"a: {ASK % (GERMAN, 'w', 'done')}\n"
     "w: {type: take_coupon, pool: p, next: {taken: b, sold_out: done}}\n"
     f"b: {ASK % (GERMAN, 'done', 'done')}", []),
    (f"a: {ASK % (GERMAN, 'w', 'done')}\n"
     "w: {type: set_attribute, attribute: country, value: FR, next: b}\n"
     f"b: {ASK % (GERMAN, 'done', 'done')}", []),
    (f"a: {ASK % ('{attribute: age, at_least: 18}', 'b', 'done')}\n"
     f"b: {ASK % ('{attribute: age, below: 16}', 'c', 'done')}\nc: {{type: end}}",
     [("settled-condition", "/nodes/b/if"), ("dead-node", "/nodes/c")]),
    (f"a: {ASK % ('{attribute: age, below: 18}', 'done', 'b')}\n"
     f"b: {ASK % ('{attribute: age, at_least: 18}', 'done', 'done')}", []),
    (f"a: {ASK % ('{did: buy, at_least: 2}', 'b', 'done')}\n"
     f"b: {ASK % ('{never_did: buy, within: 9 days}', 'done', 'done')}", []),
    (f"a: {ASK % ('{did: buy, within: 9 days}', 'b', 'done')}\n"
     f"b: {ASK % ('{did: buy}', 'done', 'done')}", [("settled-condition", "/nodes/b/if")]),
    ("a: {type: branch_attribute, attribute: country, branches: {d: DE, r: [FR, IT]}, "
     "next: {d: done, r: b, other: done}}\n"
     "b: {type: branch_attribute, attribute: country, branches: {d: DE, f: FR}, "
     "next: {d: done, f: done, other: done}}", [("dead-branch", "/nodes/b/branches/d")]),
    ("a: {type: branch_attribute, attribute: country, branches: {d: DE, r: [FR, IT]}, "
     "next: {d: done, r: done, other: b}}\n"
     f"b: {ASK % ('{attribute: country, one_of: [FR, DE]}', 'done', 'done')}",
     [("settled-condition", "/nodes/b/if")]),
    (f"a: {ASK % ('{tag: t}', 'b', 'done')}\n"
     "b: {type: branch_tag, branches: {x: [t, u], y: v}, next: {x: done, y: c, other: done}}\n"
     "c: {type: wait, for: 1 day, next: done}",
     [("dead-branch", "/nodes/b/branches/y"), ("dead-node", "/nodes/c")]),
    (f"a: {ASK % ('{tag: t}', 'done', 'b')}\n"
     "b: {type: branch_tag, branches: {x: t, y: [t, v]}, next: {x: done, y: done, other: done}}",
     [("dead-branch", "/nodes/b/branches/x")]),
    ("a: {type: branch_tag, branches: {x: t, y: u}, next: {x: done, y: done, other: b}}\n"
     f"b: {ASK % ('{tag: u}', 'done', 'done')}", [("settled-condition", "/nodes/b/if")]),
    ("a: {type: split, branches: {x: 100%, y: 0%}, next: {x: done, y: b}}\n"
     "b: {type: wait, for: 1 day, next: c}\nc: {type: wait, for: 1 day, next: done}",
     [("dead-node", "/nodes/b")]),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "expected"), SETTLED)
def test_what_is_settled_on_the_way(nodes: str, expected: list[tuple[str, str]]) -> None:
    settings = {"coupons": {"p": 5}}
    flow = flow_of(nodes)
    flow = flow.model_copy(update={"settings": flow.settings.model_copy(update=settings)})
    assert found(flow) == expected


@pytest.mark.parametrize("wait", ["", "w: {type: wait, for: 1 day, next: b}"])
def test_the_event_that_began_the_entry_never_changes(wait: str) -> None:
    nodes = f"a: {ASK % ('{entry: amount, at_least: 50}', 'w' if wait else 'b', 'done')}\n{wait}\n"
    nodes += f"b: {ASK % ('{entry: amount, below: 10}', 'done', 'done')}"
    assert found(flow_of(nodes)) == [("settled-condition", "/nodes/b/if")]


def test_the_filter_of_a_trigger_settles_questions_of_its_event() -> None:
    flow = flow_of(f"a: {ASK % ('{entry: amount, above: 90}', 'done', 'done')}",
                   where="{property: amount, at_least: 100}")  # fmt: skip
    (violation,) = [v for v in lint(flow) if v.severity != "info"]
    assert violation.message.startswith("it is always true here: 'start' has asked for the entry's")
    other = "c: {type: on_event, event: visit, next: a}"
    nodes = f"a: {ASK % ('{entry: amount, above: 90}', 'done', 'done')}\n{other}"
    assert found(flow_of(nodes, where="{property: amount, at_least: 100}")) == []


def test_a_segment_is_known_at_once_and_not_after_a_wait() -> None:
    nodes = "s: {type: on_segment, if: {tag: vip}, next: %s}\na: {type: end}\n"
    nodes += f"w: {{type: wait, for: 1 hour, next: b}}\nb: {ASK % ('{tag: vip}', 'done', 'done')}"
    assert ("settled-condition", "/nodes/b/if") in found(flow_of(nodes % "b"))[-1:]
    assert found(flow_of(nodes % "w")) == []


def test_attributes_that_never_change_are_known_after_a_wait() -> None:
    nodes = f"a: {ASK % (GERMAN, 'w', 'done')}\nw: {{type: wait, for: 1 day, next: b}}\n"
    flow = flow_of(nodes + f"b: {ASK % (GERMAN, 'done', 'done')}")
    for constant, expected in ((False, []), (True, [("settled-condition", "/nodes/b/if")])):
        attribute = AttributeSchema(type="string", constant=constant)
        schema = AudienceSchema(attributes={"country": attribute}, events={})
        assert [f for f in found(flow, schema) if f[0] in FOUND] == expected


def test_what_is_constant_by_itself_is_told_once() -> None:
    never = "{all: [{tag: t}, {not: {tag: t}}]}"
    flow = flow_of(f"a: {ASK % ('{tag: t}', 'b', 'done')}\nb: {ASK % (never, 'done', 'done')}")
    assert [(v.code, v.pointer) for v in lint(flow)] == [("constant-condition", "/nodes/b/if/all")]


@pytest.mark.parametrize("port", ["yes", "no"])
def test_ten_thousand_questions_about_one_attribute_take_seconds(port: str) -> None:
    nodes: dict[str, Any] = {"start": {"type": "on_event", "event": "e", "next": "n0"}}
    for i in range(10_000):
        onward = {"yes": "done", "no": "done", port: f"n{i + 1}"}
        test = {"attribute": "a", "is_not" if port == "yes" else "is": i}
        nodes[f"n{i}"] = {"type": "condition", "if": test, "next": onward}
    nodes |= {"n10000": {"type": "end"}, "done": {"type": "end"}}
    flow = Flow.model_validate({"headrace": 1, "flow": "f", "nodes": nodes})
    began = process_time()
    assert found(flow) == []
    assert process_time() - began < 2
