"""Checks the JSON Schema of flows: valid, right about sound flows and about typical mistakes."""

import re
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from core.document import read_flow
from core.json_schema import flow_schema
from core.lint import lint
from core.nodes import NODE_TYPES
from core.yaml_text import read_yaml
from house import CHECKOUT
from shop import EXAMPLES


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(flow_schema())


def _mistakes(document: Any) -> list[str]:
    return ["/".join(map(str, e.absolute_path)) for e in _validator().iter_errors(document)]


def _with_node(node: str) -> Any:
    text = f"headrace: 1\nflow: f\nnodes:\n  a: {node}\n"
    read = read_yaml(text)
    assert read.violations == []
    return read.value


def test_the_schema_is_a_schema() -> None:
    schema = flow_schema()
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"]
    assert flow_schema() == schema
    assert flow_schema() is not schema


def test_every_reference_leads_somewhere() -> None:
    schema = flow_schema()
    found = set(re.findall(r"'\$ref': '#/\$defs/(\w+)'", str(schema)))
    assert found <= set(schema["$defs"])
    assert set(schema["$defs"]) - found == set()


def test_every_type_of_node_is_told_by_its_type() -> None:
    schema = flow_schema()
    node = schema["$defs"]["Node"]
    assert node["discriminator"]["propertyName"] == "type"
    assert set(node["discriminator"]["mapping"]) == set(NODE_TYPES)
    for name, reference in node["discriminator"]["mapping"].items():
        assert {"$ref": reference} in node["oneOf"]
        definition = schema["$defs"][reference.removeprefix("#/$defs/")]
        assert definition["properties"]["type"]["const"] == name
        assert definition["description"]
        assert definition["properties"]["next"]["description"]


def test_fields_are_described() -> None:
    schema = flow_schema()
    lacking = {
        f"{name}.{field}"
        for name, definition in schema["$defs"].items()
        for field, part in definition.get("properties", {}).items()
        if "description" not in part and name in {m.__name__ for m in NODE_TYPES.values()}
    }
    assert lacking == set()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_valid(name: str) -> None:
    text = (CHECKOUT / "examples" / f"{name}.yaml").read_text(encoding="utf-8")
    document = read_yaml(text).value
    assert _mistakes(document) == []
    flow, _ = read_flow(text, name=f"{name}.yaml")
    assert flow is not None
    dumped = flow.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    assert _mistakes(dumped) == []


@pytest.mark.parametrize(
    "node",
    [
        "{type: end}",
        "{type: wait, for: 5h 30m, next: [b, c]}",
        "{type: wait, for: 1 day, next: {next: b}}",
        "{type: wait_date, attribute: born, offset: -7 days, at: '9:00', next: b}",
        "{type: wait_date, attribute: born, next: {next: b, missing: [c, d]}}",
        "{type: split, branches: {a: 33.33%, b: 6667}, next: {a: b}}",
        "{type: branch_tag, branches: {a: x, b: [y, z]}, next: {a: b, other: c}}",
        "{type: branch_attribute, attribute: x, branches: {a: true, b: [1, 2.5, z]}}",
        "{type: condition, if: {any: [{attribute: x, is: {entry: y}}, {not: {tag: z}}]}}",
        "{type: condition, if: {did: e, exactly: 3, where: {property: p, between: [1, 2]}}}",
        "{type: on_schedule, repeat: monthly, days: [1, 31], at: '24:00:00'}",
        "{type: send, channel: sms, template: t, variables: {a: [1, {b: c}]}}",
    ],
)
def test_sound_nodes_are_valid(node: str) -> None:
    document = _with_node(node)
    assert _mistakes(document) == []


@pytest.mark.parametrize(
    "node",
    [
        "{type: snd}",
        "{}",
        "[]",
        "{type: end, next: b}",
        "{type: end, extra: 1}",
        "{type: wait}",
        "{type: wait, for: 5}",
        "{type: wait, for: soon}",
        "{type: wait, for: 1 day, next: a b}",
        "{type: wait, for: 1 day, next: {yes: b}}",
        "{type: condition, if: {tag: x}, next: b}",
        "{type: condition, if: {tag: x}, next: {yes: b, maybe: b}}",
        "{type: condition, if: {}}",
        "{type: condition, if: {all: []}}",
        "{type: condition, if: {tag: x, group: y}}",
        "{type: condition, if: {attribute: x}}",
        "{type: condition, if: {attribute: x, is: 1, above: 0}}",
        "{type: condition, if: {attribute: x, is: [1]}}",
        "{type: condition, if: {attribute: x, between: [1]}}",
        "{type: condition, if: {did: x, at_least: 1, at_most: 2}}",
        "{type: on_event, event: e, where: {did: x}}",
        "{type: on_event, event: ''}",
        "{type: on_schedule, repeat: weekly, at: '9:00'}",
        "{type: on_schedule, repeat: daily, at: '9:00', days: [1]}",
        "{type: on_schedule, repeat: daily, at: '25:00'}",
        "{type: send, channel: emial, template: t}",
        "{type: send, channel: email, template: 5}",
        "{type: split, branches: {a: 0.5}}",
        "{type: split, branches: {a/b: 100%}}",
        "{type: add_to_attribute, attribute: x, by: '5'}",
        "{type: wait_slot, slots: []}",
        "{type: wait_slot, slots: [{from: '9:00', until: '10:00', days: [mo]}]}",
        "{type: wait_until, at: tomorrow}",
    ],
)
def test_typical_mistakes_are_refused_by_schema_and_reading(node: str) -> None:
    document = _with_node(node)
    assert "nodes/a" in {m[:7] for m in _mistakes(document)}
    flow, violations = read_flow(f"headrace: 1\nflow: f\nnodes:\n  a: {node}\n", name="f.yaml")
    if flow is None:
        assert violations
    else:  # ports are the business of lint
        assert "unknown-port" in {v.code for v in lint(flow)}


@pytest.mark.parametrize(
    "head",
    [
        "headrace: 2\nflow: f",
        "flow: f",
        "headrace: 1",
        "headrace: 1\nflow: a b",
        "headrace: 1\nflow: f\nextra: 1",
        "headrace: 1\nflow: f\nsettings: {start: 2026-01-01}",
        "headrace: 1\nflow: f\nsettings: {reentry: {policy: never}}",
    ],
)
def test_mistakes_in_the_head_are_refused(head: str) -> None:
    text = f"{head}\nnodes: {{a: {{type: end}}}}"
    assert _mistakes(read_yaml(text).value)
    assert read_flow(text, name="f.yaml")[0] is None


def test_ids_of_nodes_are_checked() -> None:
    document = {"headrace": 1, "flow": "f", "nodes": {"a b": {"type": "end"}}}
    assert _mistakes(document) == ["nodes"]
