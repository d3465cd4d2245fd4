"""Checks what is told to be done twice, against a slow search for two ways to it."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from itertools import combinations
from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.content import Content
from core.document import read_content, read_flow
from core.flow import Flow
from core.lint import lint
from core.lint_repeats import repeats
from core.lint_view import View
from core.nodes import Send

CODES = ("repeated-template", "action-twice")
SAY = "{type: send, channel: %s, template: %s, next: %s}"
ASK = "{type: condition, if: {tag: t}, next: {yes: %s, no: %s}}"
WAIT = "{type: wait, for: 1 day, next: %s}"


def flow_of(nodes: str) -> Flow:
    lines = [f"  {line}" for line in nodes.strip().splitlines()]
    start = "  start: {type: on_event, event: signup, next: a}"
    head = ["headrace: 1", "flow: f", "settings: {coupons: {p: 5}}", "nodes:", start]
    flow, violations = read_flow("\n".join([*head, *lines, "  done: {type: end}"]), name="f.yaml")
    assert flow is not None, violations
    return flow


def found(flow: Flow, content: Content | None = None) -> list[tuple[str, str]]:
    return [(v.code, v.pointer) for v in lint(flow, content=content) if v.code in CODES]


CASES = [
    (f"a: {ASK % ('b', 'c')}\nb: {SAY % ('sms', 'x', 'done')}\nc: {SAY % ('sms', 'x', 'done')}",
     [("repeated-template", "/nodes/c/template")]),
    (f"a: {ASK % ('b', 'c')}\nb: {SAY % ('sms', 'x', 'done')}\nc: {SAY % ('push', 'x', 'done')}",
     []),
    (f"a: {ASK % ('b', 'c')}\nb: {SAY % ('sms', 'x', 'c')}\nc: {SAY % ('sms', 'x', 'done')}",
     [("action-twice", "/nodes/c/template")]),
    (f"a: {WAIT % '[b, c]'}\nb: {SAY % ('sms', 'x', 'done')}\nc: {SAY % ('sms', 'x', 'done')}",
     [("action-twice", "/nodes/b/template")]),
    (f"a: {WAIT % '[b, c]'}\nb: {WAIT % 's'}\nc: {WAIT % 's'}\ns: {SAY % ('sms', 'x', 'done')}",
     [("action-twice", "/nodes/s/template")]),
    (f"a: {WAIT % '[b, c]'}\nb: {SAY % ('sms', 'x', 'done')}\nc: {SAY % ('sms', 'y', 'done')}",
     []),
    (f"a: {SAY % ('sms', 'x', 'w')}\nw: {WAIT % 'c'}\nc: {ASK % ('a', 'done')}", []),
    (f"a: {SAY % ('sms', 'x', 'w')}\nw: {WAIT % 'b'}\nb: {SAY % ('sms', 'x', 'c')}\n"
     f"c: {ASK % ('a', 'done')}",
     [("action-twice", "/nodes/a/template"), ("action-twice", "/nodes/b/template")]),
    ("a: {type: take_coupon, pool: p, next: {taken: b, sold_out: done}}\n"
     "b: {type: take_coupon, pool: p, next: {taken: done, sold_out: done}}",
     [("action-twice", "/nodes/b/pool")]),
    ("a: {type: add_tag, tag: t, next: b}\nb: {type: add_tag, tag: t, next: done}", []),
    ("a: {type: add_to_attribute, attribute: score, by: 1, next: b}\n"
     "b: {type: add_to_attribute, attribute: score, by: 1, next: done}", []),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "expected"), CASES)
def test_A045_what_is_done_twice(nodes: str, expected: list[tuple[str, str]]) -> None:
    assert found(flow_of(nodes)) == expected


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("variables: {a: 1, b: 2}", "variables: {b: 2, a: 1}", True),
        ("variables: {a: 1}", "variables: {a: 2}", False),
        ("to: phone", "to: phone", True),
        ("to: phone", "to: mobile", False),
        ("title: One", "title: Two", True),
    ],
)
def test_A045_messages_are_the_same_by_what_they_say(first: str, second: str, same: bool) -> None:
    nodes = f"a: {ASK % ('b', 'c')}\n"
    for node, more in (("b", first), ("c", second)):
        nodes += f"{node}: {{type: send, channel: sms, template: x, {more}, next: done}}\n"
    assert found(flow_of(nodes)) == [("repeated-template", "/nodes/c/template")] * same


def test_A045_content_that_says_the_same_is_the_same_message() -> None:
    nodes = f"a: {ASK % ('b', 'c')}\nb: {SAY % ('sms', 'x', 'done')}\n"
    flow = flow_of(nodes + f"c: {SAY % ('sms', 'y', 'done')}")
    text = "headrace_content: 1\nitems:\n"
    for name, body in (("x", "Hello"), ("y", "%s")):
        text += f"  {name}: {{channel: sms, state: ready, body: {body}}}\n"
    for body, expected in (("Hello", [("repeated-template", "/nodes/c/template")]), ("Hi", [])):
        content, violations = read_content(text % body, name="c.yaml")
        assert content is not None, violations
        assert found(flow, content) == expected
    content, _ = read_content(text % "Hello", name="c.yaml")
    (told,) = [v for v in lint(flow, content=content) if v.code in CODES]
    assert told.message == "'b' sends 'x' by sms too, which says the same"


def test_the_message_tells_where() -> None:
    nodes = f"a: {WAIT % '[b, c]'}\nb: {SAY % ('sms', 'x', 'done')}\n"
    found = lint(flow_of(nodes + f"c: {SAY % ('sms', 'x', 'done')}"))
    (told,) = [v for v in found if v.code in CODES]
    assert told.message == (
        "one person can get 'x' twice: the paths that fork at 'a' both give it, 'c' on the other"
    )


@st.composite
def _flows(draw: st.DrawFn) -> Flow:
    count = draw(st.integers(2, 8))
    nodes: dict[str, Any] = {"start": {"type": "on_event", "event": "e", "next": "n0"}}
    for i in range(count):
        ahead = [f"n{j}" for j in range(i + 1, count)]
        targets = (
            st.lists(st.sampled_from(ahead), max_size=3, unique=True) if ahead else st.just([])
        )
        if draw(st.booleans()):
            template = draw(st.sampled_from("xy"))
            node: dict[str, Any] = {"type": "send", "channel": "sms", "template": template}
            node["next"] = draw(targets)
        else:
            onward = {"yes": draw(targets), "no": draw(targets)}
            node = {"type": "condition", "if": {"tag": "t"}, "next": onward}
        nodes[f"n{i}"] = node
    return Flow.model_validate({"headrace": 1, "flow": "f", "nodes": nodes})


def _twice(flow: Flow) -> dict[str, set[str]]:
    """By template, the nodes that some person comes to besides another of them, by trying all."""
    view = View(flow)
    reach = {i: {view.graph.ids[j] for j in view.graph.reached([view.graph.number[i]])}
             for i in flow.nodes}  # fmt: skip
    sends = {i: n.template for i, n in flow.nodes.items() if isinstance(n, Send)}
    found: dict[str, set[str]] = {}
    for i, template in sends.items():
        for j in (j for j, other in sends.items() if other == template):
            if i != j and i in reach[j]:
                found.setdefault(template, set()).add(i)
            for node in flow.nodes.values():
                for targets in node.next.values():
                    for a, b in combinations(targets, 2):
                        if (i in reach[a] and j in reach[b]) or (i in reach[b] and j in reach[a]):
                            found.setdefault(template, set()).add(i)
    return found


@given(_flows())
def test_a_slow_search_finds_the_same(flow: Flow) -> None:
    told = [v.pointer.split("/")[2] for v in repeats(View(flow)) if v.code == "action-twice"]
    templates = {i: n.template for i, n in flow.nodes.items() if isinstance(n, Send)}
    expected = _twice(flow)
    assert {templates[i] for i in told} == set(expected)
    assert all(i in expected[templates[i]] for i in told)


def test_ten_thousand_messages_each_sent_twice_take_a_second() -> None:
    nodes: dict[str, Any] = {"start": {"type": "on_event", "event": "e", "next": "n0"}}
    for i in range(10_000):
        onward = [f"n{j}" for j in (i + 1, i + 2) if j < 10_000] or ["done"]
        nodes[f"n{i}"] = {"type": "send", "channel": "sms", "template": f"t{i % 5_000}",
                          "next": onward}  # fmt: skip
    nodes["done"] = {"type": "end"}
    view = View(Flow.model_validate({"headrace": 1, "flow": "f", "nodes": nodes}))
    began = process_time()
    assert len(list(repeats(view))) == 9_998
    assert process_time() - began < 1.5
