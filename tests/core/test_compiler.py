"""Tests compiled flows: decision graphs by truth table, and what nodes are told."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.compiler import compile_flow, needs_of
from core.flow import Flow
from core.program import FLAG_STICKY, FLAG_TIMEOUT, FLAG_WHOLE, Op, Program, TriggerKind
from core.reference_conditions import View, holds
from core.reference_people import Person
from core.reference_time import zone
from core.responses import Responses

TAGS = ("a", "b", "c", "d")
UTC = zone("UTC")


def conditions() -> st.SearchStrategy[Any]:
    """Conditions over the tags a to d, nested."""
    return st.recursive(
        st.sampled_from(TAGS).map(lambda tag: {"tag": tag}),
        lambda inner: st.one_of(
            inner.map(lambda c: {"not": c}),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        ),
        max_leaves=12,
    )


def flow_of(nodes: dict[str, Any], **settings: Any) -> Flow:
    """A flow of these nodes."""
    return Flow.model_validate({"headrace": 1, "flow": "f", "settings": settings, "nodes": nodes})


def asking(condition: Any) -> Flow:
    """A flow that asks a condition at the node `ask`."""
    return flow_of(
        {
            "in": {"type": "on_event", "event": "go", "next": "ask"},
            "ask": {"type": "condition", "if": condition},
        }
    )


def node(program: Program, name: str) -> Any:
    """The compiled node of an id."""
    return program.nodes[program.node_ids.index(name)]


def walked(program: Program, start: int, tags: set[str]) -> tuple[int, int]:
    """The result of a decision graph over tags, and how many tests were made."""
    at, tests = start, 0
    while at >= 0:
        spec = program.preds[at]
        following = spec.on_true if program.columns[spec.column].name in tags else spec.on_false
        assert following < 0 or following > at
        at, tests = following, tests + 1
    return -1 - at, tests


def leaves(condition: Any) -> int:
    """How many tests a condition has."""
    if "tag" in condition:
        return 1
    [parts] = condition.values()
    return sum(leaves(part) for part in parts) if isinstance(parts, list) else leaves(parts)


@given(conditions())
def test_a_graph_decides_as_the_reference_does_for_every_customer(condition: Any) -> None:
    flow = asking(condition)
    program = compile_flow(flow)
    assert len(program.preds) == leaves(condition)
    start = int(node(program, "ask")["cond"])
    for carried in product((False, True), repeat=len(TAGS)):
        tags = {tag for tag, there in zip(TAGS, carried, strict=True) if there}
        person = Person("c", 0, None, None, {}, frozenset(), tags, set(), [])
        expected = holds(flow.nodes["ask"].if_, View(0, person, UTC, UTC))
        result, tests = walked(program, start, tags)
        assert result == (0 if expected else 1)
        assert tests <= leaves(condition)


def test_tests_stand_in_reading_order_and_stop_early() -> None:
    program = compile_flow(asking({"all": [{"tag": "a"}, {"any": [{"tag": "b"}, {"tag": "c"}]}]}))
    assert [program.columns[spec.column].name for spec in program.preds] == ["a", "b", "c"]
    start = int(node(program, "ask")["cond"])
    assert walked(program, start, set()) == (1, 1)
    assert walked(program, start, {"a", "b"}) == (0, 2)
    assert walked(program, start, {"a"}) == (1, 3)


def test_a_filter_of_history_stands_before_the_condition_that_asks() -> None:
    where = {"all": [{"property": "x", "is": 1}, {"property": "y", "is": 2}]}
    condition = {"any": [{"tag": "a"}, {"did": "buy", "where": where, "at_most": 3}]}
    program = compile_flow(asking(condition))
    start = int(node(program, "ask")["cond"])
    look_back = program.preds[start + 1]
    assert look_back.event == "buy"
    assert look_back.bounds == (0, 3)
    assert look_back.filter < start
    tested = [program.properties[program.preds[look_back.filter + i].column] for i in (0, 1)]
    assert tested == ["x", "y"]


def test_a_branch_by_tags_takes_the_first_that_is_carried() -> None:
    branches = {"one": ["a", "b"], "two": "c", "three": ["a", "d"]}
    nodes = {
        "in": {"type": "on_event", "event": "go", "next": "ask"},
        "ask": {"type": "branch_tag", "branches": branches},
    }
    program = compile_flow(flow_of(nodes))
    start = int(node(program, "ask")["cond"])
    for carried in product((False, True), repeat=len(TAGS)):
        tags = {tag for tag, there in zip(TAGS, carried, strict=True) if there}
        expected = 0 if tags & {"a", "b"} else 1 if "c" in tags else 2 if "d" in tags else 3
        assert walked(program, start, tags)[0] == expected


def test_every_wait_listens_for_its_own_event() -> None:
    nodes = {
        "in": {"type": "on_event", "event": "go", "next": ["z", "a"]},
        "z": {"type": "wait_event", "event": "zap", "timeout": "1 month 2 days 3 hours"},
        "a": {"type": "wait_event", "event": "act"},
    }
    responses = Responses.model_validate(
        {
            "headrace_responses": 1,
            "rules": [{"for": {"if": {"did": "aaa"}}, "outcomes": []}],
        }
    )
    program = compile_flow(flow_of(nodes), responses)
    assert program.events == ["aaa", "act", "go", "zap"]
    assert [int(node(program, name)["a"]) for name in ("z", "a")] == [3, 1]
    waiting = node(program, "z")
    assert waiting["flags"] == FLAG_TIMEOUT
    assert (waiting["months"], waiting["days"], waiting["ms"]) == (1, 2, 3 * 3_600_000)
    assert node(program, "a")["flags"] == 0


@pytest.mark.parametrize(
    ("onward", "counted"),
    [
        ({"in": "mail", "mail": "draw"}, []),
        ({"in": ["mail", "draw"], "mail": "draw"}, ["mail", "draw"]),
        ({"in": "wait", "wait": "draw", "draw": {"a": "wait", "b": "mail"}}, ["draw", "mail"]),
        ({"in": "mail", "mail": "wait", "wait": ["wait", "draw"]}, ["draw"]),
    ],
)
def test_visits_are_counted_below_forks_and_cycles(onward: Any, counted: list[str]) -> None:
    nodes: dict[str, Any] = {
        "in": {"type": "on_event", "event": "go"},
        "mail": {"type": "send", "channel": "email", "template": "t"},
        "wait": {"type": "wait", "for": "1 hour"},
        "draw": {"type": "split", "branches": {"a": "50%", "b": "50%"}},
    }
    for name, targets in onward.items():
        nodes[name]["next"] = targets
    program = compile_flow(flow_of(nodes))
    slots = {name: int(node(program, name)["slot"]) for name in nodes}
    assert {name for name, slot in slots.items() if slot >= 0} == set(counted)
    assert sorted(slots[name] for name in counted) == list(range(program.visit_slots))


def test_ports_and_edges_stand_in_the_order_of_the_document() -> None:
    nodes = {
        "in": {"type": "on_event", "event": "go", "next": ["ask", "out"]},
        "ask": {"type": "branch_attribute", "attribute": "x", "branches": {"b": 1, "a": 2},
                "next": {"a": "out", "other": ["all", "out"]}},
        "out": {"type": "end"},
        "all": {"type": "end", "whole_flow": True},
    }  # fmt: skip
    program = compile_flow(flow_of(nodes))
    assert program.nodes["op"].tolist() == [Op.TRIGGER, Op.VALUE, Op.END, Op.END]
    assert program.nodes["port0"].tolist() == [0, 1, 4, 4]
    assert program.ports["edges"].tolist() == [2, 0, 1, 2]
    assert program.edges.tolist() == [1, 2, 2, 3, 2]
    assert program.ports["outcome"].tolist() == [0, 0, 0, -2]
    assert node(program, "all")["flags"] == FLAG_WHOLE


def test_weights_add_up_and_watches_are_numbered() -> None:
    target = {"event": "buy", "within": "2 days"}
    nodes = {
        "in": {"type": "on_event", "event": "go", "next": "one"},
        "one": {"type": "ab_test", "branches": {"a": "30%", "b": "70%"}, "target": target},
        "two": {"type": "split", "branches": {"a": 1, "b": 2, "c": 9997}, "sticky": False},
        "six": {"type": "ab_test", "branches": {"a": 0, "b": 1, "c": 9999}, "target": target},
    }
    program = compile_flow(flow_of(nodes, goal={"event": "win", "within": "1 hour"}))
    assert program.weights.tolist() == [3000, 10_000, 1, 3, 10_000, 0, 1, 10_000]
    assert [node(program, n)["a"] for n in ("one", "two", "six")] == [0, 2, 5]
    assert [node(program, n)["b"] for n in ("one", "two", "six")] == [0, -1, 1]
    assert [node(program, n)["flags"] for n in ("one", "two")] == [FLAG_STICKY, 0]
    assert [(w.event, w.counter0, w.test) for w in program.watches] == [
        ("buy", 0, 0),
        ("buy", 2, 1),
        ("win", 5, -1),
    ]
    assert [w.within_ms for w in program.watches] == [172_800_000, 172_800_000, 3_600_000]


def test_needs_are_all_names_and_nothing_else() -> None:
    nodes = {
        "in": {"type": "on_event", "event": "go", "where": {"property": "p", "is": {"entry": "q"}}},
        "seg": {"type": "on_segment", "if": {"all": [{"group": "g"}, {"never_did": "old"}]}},
        "tag": {"type": "add_tag", "tag": "t"},
        "add": {"type": "add_to_attribute", "attribute": "n", "by": 1},
        "day": {"type": "wait_date", "attribute": "d"},
    }
    goal = {"event": "win", "within": "1 day", "where": {"entry": "r", "is_set": True}}
    program = compile_flow(flow_of(nodes, goal=goal, reentry={"policy": "always", "key": "k"}))
    needs = needs_of(program, replaces="f")
    assert needs.attributes == {"n", "d"}
    assert (needs.tags, needs.groups) == ({"t"}, {"g"})
    assert needs.events == {"go", "old", "win"}
    assert needs.properties == {"p", "q", "r", "k"}
    assert needs.replaces == "f"
    written = {program.columns[c].name for c in program.written}
    assert written == {"t", "n"}
    assert [TriggerKind(kind) for kind in program.triggers["kind"]] == [
        TriggerKind.EVENT,
        TriggerKind.SEGMENT,
    ]
    assert np.all(program.triggers["node"] == [0, 1])
