"""Checks that the target of an A/B test is held against what the branches do."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import json
from typing import Any

import pytest

from core.document import read_flow
from core.lint import lint

MAIL = {"type": "send", "channel": "email", "template": "m", "next": "x"}
TEXT = {"type": "send", "channel": "sms", "template": "t", "next": "x"}


def wait(event: str, then: str = "x") -> dict[str, Any]:
    return {"type": "wait_event", "event": event, "timeout": "1 day",
            "next": {"event": then, "timeout": "x"}}  # fmt: skip


def found(target: dict[str, Any], a: dict[str, Any], b: dict[str, Any], **more: Any) -> list[str]:
    """What is said of the target of a test of two branches that begin with `a` and `b`."""
    test = {
        "type": "ab_test", "branches": {"A": "50%", "B": "50%"},
        "target": {"within": "2 days", **target}, "next": {"A": "a", "B": "b"},
    }  # fmt: skip
    nodes = {"t": {"type": "on_event", "event": "go", "next": "ab"}, "ab": test, "a": a, "b": b,
             **more, "x": {"type": "end"}}  # fmt: skip
    flow, violations = read_flow(json.dumps({"headrace": 1, "flow": "f", "nodes": nodes}), name="f")
    assert flow is not None, violations
    told = [v for v in lint(flow) if v.code == "target-disagrees"]
    assert {v.pointer for v in told} <= {"/nodes/ab/target"}
    return [v.message for v in told]


CLICK = {"event": "email_clicked"}
BY_SMS = "branch 'B' sends nothing by e-mail, and the target is 'email_clicked'"


@pytest.mark.parametrize(
    ("target", "b", "told"),
    [
        (CLICK, MAIL, []),
        (CLICK, TEXT, [BY_SMS]),
        (CLICK, {**TEXT, "next": "mail"}, []),
        (CLICK, {"type": "wait", "for": "1 day", "next": "x"}, [BY_SMS]),
        ({"event": "purchase"}, TEXT, []),
        ({**CLICK, "where": {"property": "template", "is": "m"}}, MAIL, []),
        (
            {**CLICK, "where": {"property": "template", "is": "m"}},
            {**MAIL, "template": "n"},
            ["branch 'B' never sends 'm', and the target is 'email_clicked'"],
        ),
    ],
)
def test_A072_the_target_is_an_answer_to_what_each_branch_sends(
    target: dict[str, Any], b: dict[str, Any], told: list[str]
) -> None:
    assert found(target, MAIL, b, mail=MAIL) == told


def test_A072_a_click_in_any_other_message_is_no_answer_to_mail() -> None:
    target = {"event": "message_clicked"}
    told = "sends nothing whose clicks are told so, and the target is 'message_clicked'"
    assert found(target, TEXT, TEXT) == []
    assert found(target, TEXT, MAIL) == [f"branch 'B' {told}"]
    assert found(target, MAIL, {**MAIL, "next": "text"}, text=TEXT) == [f"branch 'A' {told}"]


def test_A072_branches_that_go_on_by_an_answer_go_on_by_the_target() -> None:
    bought, clicked = wait("purchase"), wait("email_clicked")
    target = {"event": "purchase"}
    assert found(target, bought, bought) == []
    told = ["branch 'B' waits for something else, and the target is 'purchase'"]
    assert found(target, bought, clicked) == told
    assert found(target, bought, wait("email_clicked", "more"), more=bought) == []
    assert found(target, bought, {"type": "wait", "for": "1 day", "next": "x"}) == []
    # Where no branch waits for the target, waits are for something beside the test.
    assert found(target, clicked, clicked) == []
    either = {"type": "wait_any", "events": {"p": {"event": "purchase"}}, "next": {"p": "x"}}
    assert found(target, bought, either) == []
