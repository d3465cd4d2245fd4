"""Time a token-step at each type of node, beside a flow of nothing but its trigger and its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from bench.micro.crowd import ENTRY_DAYS, make_crowd
from bench.micro.flows import LINKS, ON_GO, Made, chain, entering, fork, lattice
from bench.micro.stopwatch import Stopwatch
from core.flow import Flow
from core.nodes import NODE_TYPES
from ext.machine import BLOCK

QUARTERS = dict.fromkeys("abcd", "25%")


@dataclass(frozen=True, slots=True)
class _Case:
    flow: Flow
    steps_each: int = LINKS + 2
    entries: int = 1
    clicks: int = 0
    blocks: int = 8


def _row(made: Made, **keywords: int) -> _Case:
    return _Case(lattice(made), **keywords)


def _row_of(node: Mapping[str, Any], **keywords: int) -> _Case:
    return _row(lambda i: node, **keywords)


CASES = {
    "on_event": _Case(entering(ON_GO), steps_each=2 * LINKS, entries=LINKS),
    "on_segment": _Case(
        entering({
            "type": "on_segment",
            "if": {"did": "go", "within": "12 hours"},
            "members": "joining",
        }),
        steps_each=2 * LINKS, entries=LINKS, blocks=2,
    ),
    "on_schedule": _Case(
        entering({"type": "on_schedule", "repeat": "daily", "at": "10:00"}),
        steps_each=2 * ENTRY_DAYS,
    ),
    "condition": _row_of({"type": "condition", "if": {"attribute": "consent", "is": True}}),
    "branch_attribute": _row_of({
        "type": "branch_attribute",
        "attribute": "country",
        "branches": {"a": "DE", "b": "FR", "c": "IT"},
    }),
    "branch_tag": _row_of({"type": "branch_tag", "branches": {"a": "vip", "b": "newsletter"}}),
    "wait": _row_of({"type": "wait", "for": "24 hours"}, blocks=4),
    "wait_until": _row(lambda i: {"type": "wait_until", "at": f"2026-02-{i + 1:02}"}, blocks=4),
    "wait_date": _row(
        lambda i: {
            "type": "wait_date", "attribute": "renewal", "offset": f"{i} days", "at": "08:00",
        },
        blocks=4,
    ),
    "wait_event": _row_of(
        {"type": "wait_event", "event": "click", "timeout": "5 days"}, clicks=LINKS, blocks=4,
    ),
    "wait_slot": _row(
        lambda i: {"type": "wait_slot", "slots": [{"from": f"{i}:00", "until": f"{i + 1}:00"}]},
        blocks=4,
    ),
    "wait_any": _row_of(
        {"type": "wait_any", "events": {"a": {"event": "click"}}, "timeout": "5 days"},
        clicks=LINKS, blocks=4,
    ),
    "wait_condition": _row_of(
        {"type": "wait_condition", "if": {"tag": "keen"}, "timeout": "24 hours"}, blocks=4,
    ),
    "split": _row_of({"type": "split", "branches": QUARTERS}),
    "ab_test": _row_of(
        {
            "type": "ab_test",
            "branches": QUARTERS,
            "target": {"event": "click", "within": "7 days"},
        },
        clicks=1, blocks=4,
    ),
    "take_coupon": _Case(
        lattice(lambda i: {"type": "take_coupon", "pool": "p"}, coupons={"p": 10**6}), blocks=4,
    ),
    "send": _row_of({"type": "send", "channel": "email", "template": "hello"}),
    "add_tag": _row_of({"type": "add_tag", "tag": "keen"}),
    "remove_tag": _row_of({"type": "remove_tag", "tag": "vip"}),
    "set_attribute": _row_of({"type": "set_attribute", "attribute": "plan", "value": "plus"}),
    "add_to_attribute": _row_of({"type": "add_to_attribute", "attribute": "points", "by": 10}),
    "add_to_group": _row_of({"type": "add_to_group", "group": "beta"}),
    "remove_from_group": _row_of({"type": "remove_from_group", "group": "beta"}),
    "end": _Case(fork(lambda i: {"type": "end"}), steps_each=LINKS + 1),
}  # fmt: skip


@pytest.mark.parametrize("node_type", [name for name in NODE_TYPES if name in CASES])
def test_node(node_type: str, stopwatch: Stopwatch) -> None:
    """Time a flow dominated by nodes of one type."""
    case = CASES[node_type]
    people = make_crowd(
        stopwatch.size(case.blocks * BLOCK), entries=case.entries, clicks=case.clicks
    )
    stopwatch.time_flow(case.flow, people, steps_each=case.steps_each)


def test_scaffold(stopwatch: Stopwatch) -> None:
    """Time the bare scaffold of the chains: a trigger and an end, with its loading."""
    people = make_crowd(stopwatch.size(16 * BLOCK))
    stopwatch.time_flow(chain(lambda i: {}, links=0), people, steps_each=2)
