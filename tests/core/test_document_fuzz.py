"""Throws texts and mutated flows at reading and lint: they never raise, and never say nothing."""

import json
from copy import deepcopy
from typing import Any

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.conditions import Kinds
from core.document import located, read_flow, read_responses
from core.flow import Flow
from core.lint import lint
from core.marks import line_of
from core.nodes import NODE_TYPES
from core.violations import CODES, Violation, steps_of
from core.yaml_text import read_yaml
from house import CHECKOUT
from random_tests import CONDITIONS, FILTERS, TESTS
from shop import EXAMPLES, SHOP

SLOW = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

TEXTS = (
    *(
        "type",
        "next",
        "if",
        "where",
        "event",
        "within",
        "timeout",
        "branches",
        "yes",
        "no",
        "other",
    ),
    *("target", "settings", "zone", "reentry", "start", "stop", "goal", "funnel", "nodes", "50%"),
    *("2026-01-31", "2026-02-30", "Europe/Berlin", "1 day", "-1 day", "0 days", "09:00", "(", ""),
)
WORDS = sorted({*NODE_TYPES, *Kinds.condition, *Flow.model_fields, *TESTS, *TEXTS})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(WORDS),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
YAML_PIECES = st.sampled_from(
    [
        *WORDS,
        *(": ", ":", "- ", "\n", "\n  ", "\n    ", "[", "]", "{", "}", ",", "'", '"', "&a ", "*a"),
        *("!!str ", "|", ">", "#", "---", "...", "%YAML 1.1", "? ", "<<", "~", ".nan", "0x1F"),
        *(
            "1e999",
            "\t",
            "\0",
            "\u2028",
            "\ud800",
            "é",
            "😀",
            "\ufeff",
            "\\",
            "9" * 30,
            "@",
            "`",
            "\r",
        ),
    ]
)


def judged(text: str | bytes, name: str) -> None:
    """The text gives a flow, which can be linted, or violations; both are well-formed."""
    flow, violations = read_flow(text, name=name)
    assert (flow is None) == bool(violations)
    if flow is not None:
        for schema in (None, SHOP):
            violations = located(lint(flow, schema), text, name=name)
            _check(violations)
            assert all(v.line is not None for v in violations)
    _check(violations)


def _check(violations: list[Violation]) -> None:
    for violation in violations:
        assert violation.severity == CODES[violation.code].severity
        assert violation.pointer == "" or violation.pointer.startswith("/")
        assert violation.message
        assert violation.advice
        assert len(violation.message) < 2000
        json.dumps(violation.to_json(), ensure_ascii=False).encode()
    assert violations == sorted(violations)


@given(st.text() | st.binary(), st.sampled_from(["f.yaml", "f.json", "f"]))
def test_any_text(text: str | bytes, name: str) -> None:
    judged(text, name)
    read_responses(text, name=name)


@given(st.lists(YAML_PIECES, max_size=30).map("".join))
def test_text_that_looks_like_yaml(text: str) -> None:
    judged(text, "f.yaml")
    judged(f"headrace: 1\nflow: f\nnodes:\n  a:\n    {text}", "f.yaml")


@given(st.lists(YAML_PIECES, max_size=30).map("".join))
def test_text_that_looks_like_json(text: str) -> None:
    judged('{"headrace": 1, "flow": "f", "nodes": {' + text, "f.json")


@SLOW
@given(VALUES)
def test_any_value_as_document_and_as_node(value: Any) -> None:
    for document in (value, {"headrace": 1, "flow": "f", "nodes": {"a": value}}):
        text = json.dumps(document)
        judged(text, "f.json")
        judged(text, "f.yaml")
        read_responses(text, name="f.json")


@SLOW
@given(
    st.lists(CONDITIONS, min_size=1, max_size=3),
    FILTERS,
    st.sampled_from(["on_event", "on_segment"]),
)
def test_any_conditions(found: list[Any], where: Any, trigger: str) -> None:
    nodes: dict[str, Any] = {
        "start": {"type": "on_event", "event": "purchase", "where": where, "next": "n0"},
        "wait": {"type": "wait_event", "event": "purchase", "where": where, "entry": True},
        f"n{len(found)}": {"type": "end"},
    }
    for i, condition in enumerate(found):
        onward = {"yes": f"n{i + 1}", "no": f"n{i + 1}"}
        nodes[f"n{i}"] = {"type": "condition", "if": condition, "next": onward}
    if trigger == "on_segment":
        nodes["segment"] = {"type": "on_segment", "if": found[0], "next": "n0"}
    text = json.dumps({"headrace": 1, "flow": "f", "nodes": nodes})
    flow, violations = read_flow(text, name="f.json")
    assert violations == []
    assert flow is not None
    judged(text, "f.json")


def _examples() -> list[Any]:
    paths = [CHECKOUT / "examples" / f"{name}.yaml" for name in EXAMPLES]
    return [read_yaml(path.read_text(encoding="utf-8")).value for path in paths]


def _places(value: Any) -> list[tuple[Any, str | int]]:
    found: list[tuple[Any, str | int]] = []
    stack = [value]
    while stack:
        held = stack.pop()
        items = held.items() if isinstance(held, dict) else enumerate(held)
        for key, part in items:
            found.append((held, key))
            if isinstance(part, dict | list):
                stack.append(part)
    return found


@st.composite
def mutants(draw: st.DrawFn) -> Any:
    """An example flow after a few changes: parts removed, replaced, moved or renamed."""
    document = deepcopy(draw(st.sampled_from(_examples())))
    for _ in range(draw(st.integers(1, 4))):
        places = _places(document)
        if not places:
            break
        held, key = draw(st.sampled_from(places))
        change = draw(st.sampled_from(["remove", "replace", "copy", "rename", "swap", "swap"]))
        if change == "remove":
            del held[key]
        elif change == "replace":
            held[key] = draw(VALUES)
        elif change == "copy":
            other, place = draw(st.sampled_from(places))
            held[key] = (
                deepcopy(other[place]) if place in other or isinstance(other, list) else None
            )
        elif change == "swap":
            # Of one type, so that most of these are still read, and lint judges them.
            alike = [(o, k) for o, k in places if type(o[k]) is type(held[key])]
            other, place = draw(st.sampled_from(alike))
            held[key], other[place] = deepcopy(other[place]), deepcopy(held[key])
        elif isinstance(held, dict):
            held[draw(st.sampled_from(WORDS))] = held.pop(key)
    return document


@SLOW
@given(mutants())
def test_mutated_examples(document: Any) -> None:
    judged(json.dumps(document), "f.json")
    judged(yaml.safe_dump(document, sort_keys=False), "f.yaml")


@SLOW
@given(VALUES)
def test_values_survive_both_formats(value: Any) -> None:
    text = json.dumps(value)
    assume("NaN" not in text and "Infinity" not in text)
    plain = read_yaml(text)
    if not plain.violations:
        assert plain.value == json.loads(text)


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.lists(st.none(), max_size=3), max_size=4)
)
def test_pointers_lead_to_their_lines(document: dict[str, Any]) -> None:
    text = "".join(f"{json.dumps(key)}: {json.dumps(part)}\n" for key, part in document.items())
    read = read_yaml(text)
    if not read.violations and document:
        for number, key in enumerate(document, 1):
            pointer = "/" + key.replace("~", "~0").replace("/", "~1")
            assert steps_of(pointer) == [key]
            assert line_of(read.marks, pointer) == number
