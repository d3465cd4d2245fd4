"""Checks which names of a flow are told to be none of the tenant's schema."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.document import read_flow
from core.flow import Flow
from core.lint_schema import undeclared
from core.tenant_schema import TenantSchema

SCHEMA = TenantSchema.of(
    {
        "attributes": {
            "plan": {"type": "string"},
            "email": {"type": "string", "personal": True},
        },
        "events": {"order": {"properties": {"amount": "float64"}}, "signup": {}},
    }
)
IF = "/nodes/n/if"
START = {"type": "on_event", "event": "signup", "next": "n"}


def flow_of(node: dict[str, Any], start: dict[str, Any] | None = None, **settings: Any) -> Flow:
    """A flow with `node` between its start and its end."""
    nodes = {"t": {**START, **(start or {})}, "n": node, "x": {"type": "end"}}
    document = {"headrace": 1, "flow": "f", "settings": settings, "nodes": nodes}
    flow, violations = read_flow(json.dumps(document), name="f.json")
    assert flow is not None, violations
    return flow


def ask(condition: dict[str, Any]) -> dict[str, Any]:
    return {"type": "condition", "if": condition, "next": {"yes": "x", "no": "x"}}


def told(flow: Flow, *others: Flow) -> list[tuple[str, str]]:
    found = undeclared(flow, SCHEMA, others)
    assert {v.severity for v in found} <= {"warning"}
    return [(v.code, v.pointer) for v in found]


def wait(**fields: Any) -> dict[str, Any]:
    ports = {"event": "x", "timeout": "x"}
    return {"type": "wait_event", "event": "order", "timeout": "1 day", "next": ports, **fields}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (wait(event="oder"), [("undeclared-event", "/nodes/n/event")]),
        (wait(where={"property": "amount", "above": 1}), []),
        (
            wait(where={"property": "amuont", "above": 1}),
            [("undeclared-property", "/nodes/n/where/property")],
        ),
        (
            ask({"any": [{"did": "order"}, {"never_did": "bought"}]}),
            [("undeclared-event", "/nodes/n/if/any/1/never_did")],
        ),
        (ask({"attribute": "plan", "is": "pro"}), []),
        (ask({"attribute": "plna", "is": "a"}), [("undeclared-attribute", f"{IF}/attribute")]),
        (ask({"attribute": "email", "is": "a@x"}), [("personal-attribute", f"{IF}/attribute")]),
        # What has a standard name, or happens by itself, needs no schema.
        (ask({"attribute": "score", "above": 1}), []),
        (ask({"opened_email": {}}), []),
        (wait(event="message_sent"), []),
        ({"type": "wait_score", "reaches": 3, "timeout": "1 day",
          "next": {"met": "x", "timeout": "x"}}, []),
        ({"type": "wait_email_clicked", "timeout": "1 day",
          "next": {"event": "x", "timeout": "x"}}, []),
    ],
)  # fmt: skip
def test_names_that_nobody_declared(node: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert told(flow_of(node)) == expected


def test_what_starts_a_flow_and_what_keys_it_is_asked_for_too() -> None:
    end = {"type": "wait", "for": "1 day", "next": "x"}
    start = {"event": "sign-up"}
    assert told(flow_of(end, start)) == [("undeclared-event", "/nodes/t/event")]
    key = {"reentry": {"policy": "always", "key": "cart"}}
    expected = [("undeclared-property", "/settings/reentry/key")]
    assert told(flow_of(end, {"event": "order"}, **key)) == expected
    goal = {"goal": {"event": "sold", "within": "1 day"}}
    assert told(flow_of(end, **goal)) == [("undeclared-event", "/settings/goal/event")]


def test_an_attribute_that_a_flow_writes_is_there() -> None:
    asks = flow_of(ask({"attribute": "mood", "is": "good"}))
    writes = flow_of({"type": "set_attribute", "attribute": "mood", "value": "good", "next": "x"})
    assert told(asks) == [("undeclared-attribute", "/nodes/n/if/attribute")]
    assert told(asks, writes) == []


def test_the_name_that_was_meant_is_advised() -> None:
    (found,) = undeclared(flow_of(wait(event="oder")), SCHEMA)
    assert "'order'" in found.advice
    (found,) = undeclared(flow_of(wait(event="zzz")), SCHEMA)
    assert found.advice == "Check the name, or add it to the schema."
