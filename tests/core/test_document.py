"""Checks that documents are read or refused with reasons: formats, limits, hostile texts, speed."""

import json
from time import process_time

import pytest

from core import limits
from core.document import located, read_flow, read_responses
from core.flow import Flow
from core.lint import lint
from core.nodes import OnEvent, Wait
from core.violations import has_errors

YAML = """
headrace: 1
flow: hello
nodes:
  start: {type: on_event, event: signup, next: pause}
  pause:
    type: wait
    for: 1 day
    next: [done, no]
  no: {type: condition, if: {tag: yes}, next: {yes: done, no: done}}
  done: {type: end}
"""


def chain(nodes: int) -> dict[str, object]:
    """A flow of so many nodes between trigger and end, one behind the other."""
    steps = {
        f"step-{i}": {
            "type": "send",
            "channel": "email",
            "template": f"mail-{i}",
            "next": f"step-{i + 1}",
        }
        for i in range(nodes)
    }
    ends = {
        "start": {"type": "on_event", "event": "signup", "next": "step-0"},
        f"step-{nodes}": {"type": "end"},
    }
    return {"headrace": 1, "flow": "chain", "nodes": {**steps, **ends}}


def as_yaml(document: dict[str, object]) -> str:
    """The document in block style, as a person writes it."""
    nodes = document["nodes"]
    assert isinstance(nodes, dict)
    lines = [f"headrace: 1\nflow: {document['flow']}\nnodes:"]
    for node_id, node in nodes.items():
        lines.append(f"  {node_id}:")
        lines += [f"    {key}: {value}" for key, value in node.items()]
    return "\n".join(lines)


def test_a_flow_is_read_from_yaml() -> None:
    flow, violations = read_flow(YAML, name="hello.yaml")
    assert violations == []
    assert flow is not None
    assert list(flow.nodes) == ["start", "pause", "no", "done"]
    start, pause = flow.nodes["start"], flow.nodes["pause"]
    assert isinstance(start, OnEvent)
    assert start.next == {"next": ["pause"]}
    assert isinstance(pause, Wait)
    assert (str(pause.for_), pause.next) == ("1 day", {"next": ["done", "no"]})
    assert flow.nodes["no"].next == {"yes": ["done"], "no": ["done"]}


def test_json_and_yaml_give_the_same_flow() -> None:
    flow, _ = read_flow(YAML, name="hello.yaml")
    assert flow is not None
    text = flow.model_dump_json(by_alias=True, exclude_none=True)
    for name in ("hello.json", "hello.yaml", "hello", "HELLO.JSON"):
        assert read_flow(text, name=name) == (flow, [])
        assert read_flow(text.encode(), name=name) == (flow, [])


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("f.json", "a: 1", "invalid-json"),
        ("f.yaml", '{"a": 1}', "missing-field"),
        ("f", "{a: 1}", "invalid-json"),
        ("f", "a: 1", "missing-field"),
        ("f.txt", "  [", "invalid-json"),
        ("f.yml", "a: [", "invalid-yaml"),
        ("json", "[", "invalid-json"),
    ],
)
def test_the_format_follows_from_the_name_or_the_first_character(
    name: str, text: str, code: str
) -> None:
    flow, violations = read_flow(text, name=name)
    assert flow is None
    assert code in {v.code for v in violations}


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert read_flow("\ufeff" + YAML, name="f.yaml")[1] == []
    assert read_flow(b"\xef\xbb\xbf" + YAML.encode(), name="f.yaml")[1] == []


@pytest.mark.parametrize(
    ("text", "line"),
    [(b"a: 1\nb: \xff", 2), (b"\xff\xfea\x00", 1), ("a: 1\n\nb: \ud800", 3)],
)
def test_text_that_is_not_utf8_is_refused(text: str | bytes, line: int) -> None:
    flow, (found,) = read_flow(text, name="f.yaml")
    assert flow is None
    assert (found.code, found.line) == ("not-utf8", line)


@pytest.mark.parametrize("suffix", ["json", "yaml"])
@pytest.mark.parametrize(
    "text",
    [
        "[" * (limits.FLOW_BYTES_MAX + 1),
        "é" * (limits.FLOW_BYTES_MAX // 2 + 1),
        b"\xff" * (limits.FLOW_BYTES_MAX + 1),
    ],
)
def test_too_much_text_is_refused_before_it_is_parsed(suffix: str, text: str | bytes) -> None:
    began = process_time()
    flow, (found,) = read_flow(text, name=f"f.{suffix}")
    assert flow is None
    assert (found.code, found.pointer) == ("file-too-large", "")
    assert "16,777,216" in found.message
    assert process_time() - began < 1.0


def test_the_largest_text_is_parsed() -> None:
    text = f"# {'x' * (limits.FLOW_BYTES_MAX - len(YAML) - 2)}{YAML}"
    assert len(text) == limits.FLOW_BYTES_MAX
    assert read_flow(text, name="f.yaml")[1] == []


def test_a_text_of_ten_megabytes_is_refused_where_it_stands() -> None:
    long = "x" * 10_000_000
    document = {"headrace": 1, "flow": "f", "nodes": {"a": {"type": "add_tag", "tag": long}}}
    for text, name in ((json.dumps(document), "f.json"), (json.dumps(document), "f.yaml")):
        flow, (found,) = read_flow(text, name=name)
        assert flow is None
        assert (found.code, found.pointer) == ("out-of-range", "/nodes/a/tag")
        assert len(found.message) < 200


@pytest.mark.parametrize("name", ["f.json", "f.yaml"])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_a_hundred_thousand_levels_are_refused(name: str, text: str) -> None:
    flow, (found,) = read_flow(text, name=name)
    assert flow is None
    assert found.code == "too-deep"


def test_conditions_nested_to_the_limit_are_read() -> None:
    nested: object = {"tag": "x"}
    # The document, its nodes, the node and the innermost test are levels as well.
    for _ in range(limits.FLOW_DEPTH_MAX - 4):
        nested = {"not": nested}
    node = {"type": "condition", "if": nested}
    text = json.dumps({"headrace": 1, "flow": "f", "nodes": {"a": node}})
    for name in ("f.json", "f.yaml"):
        flow, violations = read_flow(text, name=name)
        assert violations == []
        assert flow is not None
        assert lint(flow)


def test_repeated_ids_of_nodes_name_both_lines() -> None:
    _, (found,) = read_flow(YAML + "  pause: {type: end}\n", name="f.yaml")
    assert (found.code, found.pointer, found.line) == ("duplicate-key", "/nodes/pause", 12)
    assert found.message == "the key 'pause' is on line 6 and again on line 12"


def test_violations_of_lint_get_the_lines_of_the_text() -> None:
    flow, _ = read_flow(YAML, name="f.yaml")
    assert flow is not None
    broken = YAML.replace("next: [done, no]", "next: [done, nope]")
    for text, name, line in ((broken, "f.yaml", 9), (_as_json(broken), "f.json", 8)):
        flow, violations = read_flow(text, name=name)
        assert violations == []
        assert flow is not None
        (dangling,) = (v for v in located(lint(flow), text, name=name) if v.code == "dangling-edge")
        assert (dangling.pointer, dangling.line) == ("/nodes/pause/next/1", line)


def _as_json(text: str) -> str:
    flow, _ = read_flow(text, name="f.yaml")
    assert flow is not None
    nodes = flow.model_dump(mode="json", by_alias=True, exclude_none=True)["nodes"]
    pause = {"type": "wait", "for": "1 day", "next": "NEXT"}
    whole = {"headrace": 1, "flow": "f", "nodes": {**nodes, "pause": pause}}
    lines = json.dumps(whole).replace(', "', ',\n"').replace('"NEXT"', '["done", "nope"]')
    assert lines.split("\n")[7].startswith('"next": ["done"')
    return lines


def test_a_text_that_cannot_be_read_leaves_violations_without_lines() -> None:
    flow = Flow.model_validate({"headrace": 1, "flow": "f", "nodes": {"a": {"type": "end"}}})
    found = lint(flow)
    for text, name in (("[", "f.json"), (b"\xff", "f.yaml")):
        assert located(found, text, name=name) == sorted(found)


@pytest.mark.parametrize(("suffix", "seconds_max"), [("json", 1.0), ("yaml", 3.0)])
def test_ten_thousand_nodes_are_read_quickly(suffix: str, seconds_max: float) -> None:
    document = chain(10_000)
    text = json.dumps(document) if suffix == "json" else as_yaml(document)
    began = process_time()
    flow, violations = read_flow(text, name=f"f.{suffix}")
    assert process_time() - began < seconds_max
    assert violations == []
    assert flow is not None
    assert len(flow.nodes) == 10_002


def test_a_hundred_thousand_nodes_are_refused_by_the_limit() -> None:
    nodes = {f"n{i}": {"type": "end"} for i in range(100_000)}
    text = json.dumps({"headrace": 1, "flow": "f", "nodes": nodes})
    flow, (found,) = read_flow(text, name="f.json")
    assert flow is None
    assert (found.code, found.pointer) == ("too-many-nodes", "/nodes")
    assert "100,000" in found.message
    assert "20,000" in found.message


def test_as_many_nodes_as_the_limit_are_read() -> None:
    nodes = {f"n{i}": {"type": "end"} for i in range(limits.NODES_MAX)}
    text = json.dumps({"headrace": 1, "flow": "f", "nodes": nodes})
    flow, violations = read_flow(text, name="f.json")
    assert violations == []
    assert flow is not None


def test_responses_are_read() -> None:
    text = """
headrace_responses: 1
rules:
  - for: {channel: email}
    outcomes: [{event: opened, probability: 12.5%, delay: {constant: 1 hour}}]
"""
    responses, violations = read_responses(text, name="r.yaml")
    assert violations == []
    assert responses is not None
    assert responses.outcomes[0].probability == 125_000_000
    flow, found = read_flow(text, name="r.yaml")
    assert flow is None
    assert has_errors(found)
