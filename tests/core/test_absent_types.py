"""Tests the types of names that an audience lacks, read off the documents that use them."""

from __future__ import annotations

from typing import Any

import pytest

from core.absent_types import absent_types
from core.audience_build import audience_from_python
from core.flow import Flow
from core.responses import Responses

PEOPLE: list[dict[str, Any]] = [{"id": "c", "attributes": {"age": 7, "code": "x"}}]
EVENTS: list[dict[str, Any]] = [
    {"customer": "c", "time": 0, "event": "go", "properties": {"at": 5, "sum": 1.5}}
]


def types_of(
    condition: Any, *nodes: dict[str, Any], carried: dict[str, Any] | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """The types of absent attributes and properties in a flow that asks this."""
    document: dict[str, Any] = {
        "ask": {"type": "condition", "if": condition},
        **{f"n{i}": node for i, node in enumerate(nodes)},
    }
    responses = None
    if carried is not None:
        delay = {"constant": "1 hour"}
        outcome = {"event": "e", "probability": 1, "delay": delay, "properties": carried}
        rules = [{"outcomes": [outcome]}]
        responses = Responses.model_validate({"headrace_responses": 1, "rules": rules})
    audience = audience_from_python(PEOPLE, EVENTS, property_types={"at": "datetime"})
    flow = Flow.model_validate({"headrace": 1, "flow": "f", "nodes": document})
    attributes, properties = absent_types(flow, responses, audience)
    return dict(attributes), dict(properties)


@pytest.mark.parametrize(
    ("test", "kind"),
    [
        ({"is": True}, "bool"),
        ({"one_of": [1, 2]}, "int64"),
        ({"one_of": [1, 2.5]}, "float64"),
        ({"above": 2.5}, "float64"),
        ({"is": "2026-01-31"}, "string"),
        ({"contains": "a"}, "string"),
        ({"is_set": True}, "string"),
        ({"is": {"entry": "nothing"}}, "string"),
        ({"after": "2026-01-31"}, "date"),
        ({"above": "2026-01-31"}, "date"),
        ({"between": ["2026-01-31", "2026-02-01T09:00"]}, "datetime"),
        ({"within_last": "3 days"}, "date"),
        ({"is": {"entry": "at"}}, "datetime"),
        ({"is": {"entry": "sum"}}, "float64"),
    ],
)
def test_one_use_tells_the_type(test: dict[str, Any], kind: str) -> None:
    assert types_of({"attribute": "new", **test})[0] == {"new": kind}


@pytest.mark.parametrize(
    ("node", "kind"),
    [
        ({"type": "set_attribute", "attribute": "new", "value": "gold"}, "string"),
        ({"type": "set_attribute", "attribute": "new", "value": False}, "bool"),
        ({"type": "add_to_attribute", "attribute": "new", "by": 3}, "int64"),
        ({"type": "add_to_attribute", "attribute": "new", "by": 3.0}, "float64"),
        ({"type": "branch_attribute", "attribute": "new", "branches": {"a": [1, 2]}}, "int64"),
        ({"type": "wait_date", "attribute": "new"}, "date"),
    ],
)
def test_nodes_tell_the_type(node: dict[str, Any], kind: str) -> None:
    assert types_of({"tag": "t"}, node)[0] == {"new": kind}


def test_all_uses_count_together() -> None:
    add = {"type": "add_to_attribute", "attribute": "new", "by": 3}
    assert types_of({"attribute": "new", "above": 2.5}, add)[0] == {"new": "float64"}
    set_time = {"type": "set_attribute", "attribute": "new", "value": "2026-01-31T09:00"}
    assert types_of({"attribute": "new", "older_than": "1 day"}, set_time)[0] == {"new": "datetime"}


def test_names_compared_with_each_other_share_a_type() -> None:
    refer = {"attribute": "new", "is": {"entry": "other"}}
    chain = {"all": [refer, {"entry": "other", "is": {"entry": "third"}}]}
    assert types_of(chain, carried={"third": 2}) == (
        {"new": "int64"},
        {"other": "int64", "third": "int64", **dict.fromkeys(RESERVED, "string")},
    )


RESERVED = ("channel", "template", "node", "flow")


def test_texts_that_are_compared_by_size_are_times() -> None:
    ordered = {"entry": "due", "below": {"entry": "limit"}}
    carried = {"due": "2026-01-31", "limit": "2026-02-01"}
    assert types_of(ordered, carried=carried)[1] == {
        "due": "date",
        "limit": "date",
        **dict.fromkeys(RESERVED, "string"),
    }


def test_names_that_the_audience_has_are_left_out() -> None:
    condition = {"any": [{"attribute": "age", "is": 1.5}, {"entry": "sum", "is": 1}]}
    assert types_of(condition) == ({}, {})
