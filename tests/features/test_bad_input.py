"""Every field of every node type and word: whatever is written, there are violations, no exception.

Values are drawn from the JSON Schema, so that each is nearly right: missing, of a wrong type, out
of range, or at odds with the others.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from core.catalogue.words import WORDS
from core.compiler import compile_flow
from core.document import located, read_flow
from core.json_schema import flow_schema
from core.lint import lint
from core.nodes import NODE_TYPES
from core.violations import CODES, Violation, has_errors, steps_of
from schema_values import Values
from shop import SHOP

SCHEMA = flow_schema()
VALUES = Values(SCHEMA)
ACCEPTS = {
    name: Draft202012Validator({"$ref": f"#/$defs/{model.__name__}", "$defs": SCHEMA["$defs"]})
    for name, model in NODE_TYPES.items()
}
FEW = settings(
    max_examples=8,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
WRONG: list[Any] = [
    None, True, 0, -1, 1.5, 2**63, "", "\x00", "x" * 5000, "-1 day", "99999999999 days", "24:01",
    "0001-01-01", [], [None], {}, {"": 0}, ["a", "a"],
]  # fmt: skip


def document(node: dict[str, Any]) -> dict[str, Any]:
    """A flow whose node `n` this is, after a trigger and before an end."""
    start: dict[str, Any] = {"type": "on_event", "event": "go", "next": "n"}
    nodes: dict[str, Any] = {"start": start, "n": node, "x": {"type": "end"}}
    if NODE_TYPES[node["type"]].trigger:
        start["next"] = "x"
    return {"headrace": 1, "flow": "f", "settings": {"coupons": {"a": 1}}, "nodes": nodes}


def judged(written: dict[str, Any]) -> list[Violation]:
    """All that reading and lint say of a document; what is clean also compiles."""
    text = json.dumps(written)
    flow, violations = read_flow(text, name="f.json")
    if flow is None:
        assert has_errors(violations)
        return violations
    found = [*violations, *located(lint(flow, SHOP), text, name="f.json")]
    if not has_errors(found):
        compile_flow(flow)
        for node in flow.nodes.values():
            assert node.describe()
    return found


def check(written: dict[str, Any]) -> None:
    """Reading and lint bear it, every violation has a place, and the schema is not stricter."""
    found = judged(written)
    for violation in found:
        assert violation.code in CODES
        assert violation.message
        place: Any = written
        for step in steps_of(violation.pointer):
            assert isinstance(place, dict | list), violation
            place = place[int(step)] if isinstance(place, list) else place[step]
    # An explicit null stands for an absent field, which the schema doesn't say.
    node = written["nodes"]["n"]
    if "null" not in json.dumps(node) and not ACCEPTS[node["type"]].is_valid(node):
        assert has_errors(found), written


def fields_of(name: str) -> dict[str, Any]:
    """The schemas of the fields of a node type, its edges and its name apart."""
    model = NODE_TYPES[name].__name__
    properties: dict[str, Any] = SCHEMA["$defs"][model]["properties"]
    return {field: s for field, s in properties.items() if field not in ("type", "next")}


def wired(name: str) -> dict[str, Any]:
    """The example of a type, all its ports leading to the end."""
    node = {"type": name, **NODE_TYPES[name].example}
    ports = NODE_TYPES[name].model_validate(node).ports
    return {**node, "next": dict.fromkeys(ports, "x")}


@pytest.mark.parametrize("name", NODE_TYPES)
@FEW
@given(data=st.data())
def test_any_fields_of_a_type_are_judged(name: str, data: st.DataObject) -> None:
    node = wired(name)
    for field, schema in fields_of(name).items():
        how = data.draw(st.sampled_from(["keep", "leave out", "right", "wrong"]), label=field)
        if how == "leave out":
            node.pop(field, None)
        elif how == "right":
            node[field] = data.draw(VALUES.of(schema), label=field)
        elif how == "wrong":
            node[field] = data.draw(st.sampled_from(WRONG), label=field)
    check(document(node))


CASES = [(name, field) for name in NODE_TYPES for field in fields_of(name)]


@pytest.mark.parametrize(("name", "field"), CASES, ids=[f"{n}-{f}" for n, f in CASES])
def test_each_field_alone_may_be_anything(name: str, field: str) -> None:
    for value in WRONG:
        check(document({**wired(name), field: value}))
    left = wired(name)
    left.pop(field, None)
    check(document(left))


@pytest.mark.parametrize("name", NODE_TYPES)
def test_an_unknown_field_is_told_at_its_place(name: str) -> None:
    found = judged(document({**wired(name), "no_such_field": 1}))
    assert ("unknown-field", "/nodes/n/no_such_field") in [(v.code, v.pointer) for v in found]


@pytest.mark.parametrize("name", NODE_TYPES)
def test_a_required_field_that_is_missing_is_told(name: str) -> None:
    model = NODE_TYPES[name]
    for field, info in model.model_fields.items():
        if info.is_required() and field != "type":
            key = info.alias or field
            node = {k: v for k, v in wired(name).items() if k != key}
            [found] = [v for v in judged(document(node)) if v.code == "missing-field"]
            assert found.pointer == "/nodes/n"
            assert repr(key) in found.message


@pytest.mark.parametrize("word", WORDS)
@FEW
@given(data=st.data())
def test_any_fields_of_a_word_are_judged(word: str, data: st.DataObject) -> None:
    properties = SCHEMA["$defs"][WORDS[word].__name__]["properties"]
    condition: dict[str, Any] = {}
    for field, schema in properties.items():
        wrong = st.sampled_from(WRONG)
        condition[field] = data.draw(wrong | VALUES.of(schema) | VALUES.of(schema), label=field)
        if data.draw(st.integers(0, 9), label="leave out") == 0:
            del condition[field]
    check(document({**wired("condition"), "if": condition}))
