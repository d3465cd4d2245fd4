"""Checks that a flow is told what others do on the same trigger already."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from core.document import read_flow
from core.flow import Flow
from core.lint import lint

SEND = "{type: send, channel: email, template: thanks, next: done}"


def flow_of(trigger: str, action: str = SEND, name: str = "mine", more: str = "") -> Flow:
    lines = ["headrace: 1", f"flow: {name}", "nodes:", f"  t: {trigger}", f"  a: {action}"]
    lines += [f"  {line}" for line in more.splitlines()]
    flow, violations = read_flow("\n".join([*lines, "  done: {type: end}"]), name="f.yaml")
    assert flow is not None, violations
    return flow


def found(mine: Flow, *others: Flow) -> list[tuple[str, str, str]]:
    told = [v for v in lint(mine, others=others) if v.code == "done-elsewhere"]
    return [(v.pointer, v.severity, v.message) for v in told]


BOUGHT = "{type: on_event, event: purchase, next: a}"
OVER = "{type: on_event, event: purchase, where: {property: amount, above: %s}, next: a}"
UNDER = "{type: on_event, event: purchase, where: {property: amount, below: %s}, next: a}"
VIP = "{type: on_segment, if: {tag: vip}, next: a}"
NIGHTLY = "{type: on_schedule, repeat: daily, at: '%s', next: a}"


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        (BOUGHT, BOUGHT, True),
        (BOUGHT, OVER % 100, True),
        (OVER % 50, OVER % 100, True),
        (OVER % 100, UNDER % 50, False),
        (OVER % 50, UNDER % 100, True),
        (BOUGHT, "{type: on_event, event: signup, next: a}", False),
        (BOUGHT, "{type: wait_event, event: purchase, entry: true, next: {event: a}}", True),
        (VIP, VIP, True),
        (VIP, "{type: on_segment, if: {tag: gold}, next: a}", False),
        (VIP, "{type: on_segment, title: Very important, if: {tag: vip}, next: a}", True),
        (NIGHTLY % "22:00", NIGHTLY % "22:00:00", True),
        (NIGHTLY % "22:00", NIGHTLY % "21:00", False),
    ],
)
def test_A176_the_same_trigger_and_the_same_action(mine: str, theirs: str, same: bool) -> None:
    told = found(flow_of(mine), flow_of(theirs, name="theirs"))
    on = "the event 'purchase'" if "purchase" in mine else "the same trigger"
    message = f"the flow 'theirs' does the same on {on}"
    assert told == [("/nodes/a", "warning", message)] * same


@pytest.mark.parametrize(
    ("mine", "theirs", "same"),
    [
        (SEND, SEND, True),
        (SEND, SEND.replace("thanks", "hello"), False),
        (SEND, SEND.replace("email", "sms"), False),
        (SEND, SEND.replace("next:", "title: Thank them, next:"), True),
        ("{type: add_tag, tag: b, next: done}", "{type: add_tag, tag: b, next: done}", True),
        ("{type: add_tag, tag: b, next: done}", "{type: add_tag, tag: c, next: done}", False),
        ("{type: add_to_attribute, attribute: n, by: 1, next: done}",
         "{type: add_to_attribute, attribute: n, by: 1.0, next: done}", False),
    ],
)  # fmt: skip
def test_A176_actions_are_the_same_by_what_they_do(mine: str, theirs: str, same: bool) -> None:
    told = found(flow_of(BOUGHT, mine), flow_of(BOUGHT, theirs, name="theirs"))
    assert [place for place, _, _ in told] == ["/nodes/a"] * same


def test_A176_an_action_behind_another_trigger_is_another() -> None:
    more = "u: {type: on_event, event: signup, next: b}\nb: " + SEND
    theirs = flow_of(BOUGHT, "{type: add_tag, tag: x, next: done}", "theirs", more)
    assert found(flow_of(BOUGHT), theirs) == []
    mine = flow_of(BOUGHT, more="u: {type: on_event, event: signup, next: a}")
    assert [place for place, _, _ in found(mine, theirs)] == ["/nodes/a"]


def test_A176_a_flow_is_no_rival_of_its_own_versions() -> None:
    assert found(flow_of(BOUGHT), flow_of(BOUGHT)) == []
    other = flow_of(BOUGHT, name="draft-2").model_copy(update={"lineage": "mine"})
    assert found(flow_of(BOUGHT), other) == []


def test_a_hundred_flows_beside_a_large_one_take_seconds() -> None:
    def large(name: str, count: int) -> Flow:
        nodes: dict[str, Any] = {}
        for i in range(count // 2):
            nodes[f"t{i}"] = {"type": "on_event", "event": f"e{i}", "next": f"a{i}"}
            nodes[f"a{i}"] = {"type": "add_tag", "tag": f"x{i}",
                              "next": f"a{i + 1}" if i + 1 < count // 2 else "done"}  # fmt: skip
        nodes["done"] = {"type": "end"}
        return Flow.model_validate({"headrace": 1, "flow": name, "nodes": nodes})

    mine = large("mine", 10_000)
    others = [large(f"other-{i}", 100) for i in range(100)]
    began = process_time()
    told = [v for v in lint(mine, others=others) if v.code == "done-elsewhere"]
    assert process_time() - began < 5
    assert [v.pointer for v in told[:2]] == ["/nodes/a0", "/nodes/a1"]
    assert len(told) == 50
