"""Checks that the examples and every flow shown in docs/flow-format.md are read and lint clean."""

import re
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.conditions import COMPARISONS, Kinds
from core.document import located, read_flow, read_responses
from core.duration import parse_duration
from core.flow import Flow, Reentry, Settings
from core.lint import lint
from core.nodes import CHANNELS, OPERATIONS
from core.taint import modelled_events
from house import CHECKOUT
from shop import EXAMPLES, SHOP

PAGE = CHECKOUT / "docs" / "flow-format.md"


@cache
def _blocks() -> list[tuple[str, str]]:
    return re.findall(r"```(yaml|json)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def _whole() -> list[Flow]:
    flows = []
    for suffix, text in _blocks():
        flow, violations = read_flow(text, name=f"block.{suffix}")
        assert violations == []
        assert flow is not None
        flows.append(flow)
    return flows


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_lint_clean(name: str) -> None:
    text = (CHECKOUT / "examples" / f"{name}.yaml").read_bytes()
    flow, violations = read_flow(text, name=f"{name}.yaml")
    assert violations == []
    assert flow is not None
    assert flow.flow == name
    assert located(lint(flow, SHOP), text, name=f"{name}.yaml") == []


def test_there_are_no_other_examples() -> None:
    found = {path.stem for path in (CHECKOUT / "examples").glob("*.yaml")}
    assert found == {*EXAMPLES, "responses"}


def test_example_responses_fit_the_example_flows() -> None:
    text = (CHECKOUT / "examples" / "responses.yaml").read_bytes()
    responses, violations = read_responses(text, name="responses.yaml")
    assert violations == []
    assert responses is not None
    events = {outcome.event for outcome in responses.outcomes}
    assert events <= set(SHOP.events)
    for name in EXAMPLES:
        example = (CHECKOUT / "examples" / f"{name}.yaml").read_bytes()
        flow, _ = read_flow(example, name="x.yaml")
        assert flow is not None
        assert "email_clicked" in modelled_events(flow, responses)


def test_every_flow_on_the_page_lints_clean() -> None:
    assert len(_blocks()) >= 8
    for flow in _whole():
        assert lint(flow, SHOP) == [], flow.flow


def test_the_page_shows_every_type_of_node() -> None:
    shown = {node.type for flow in _whole() for node in flow.nodes.values()}
    assert shown == set(OPERATIONS)
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in OPERATIONS if f"`{name}`" not in text] == []


def test_the_page_names_every_test_comparison_setting_and_channel() -> None:
    text = PAGE.read_text(encoding="utf-8")
    words = set(re.findall(r"[a-z_]+", text))
    settings = {*Settings.model_fields, *Reentry.model_fields}
    named = {*Kinds.condition, *Kinds.filter, *settings, *CHANNELS}
    named |= {name.rstrip("_") for name in COMPARISONS}
    assert named - words == set()


@pytest.mark.parametrize(
    "text", re.findall(r"`(\d[^`]*(?:days?|hours?|minutes|\dm))`", PAGE.read_text("utf-8"))
)
def test_durations_on_the_page_can_be_read(text: str) -> None:
    assert str(parse_duration(text))


@given(st.sampled_from(EXAMPLES), st.data())
def test_an_example_without_any_one_node_is_never_clean(name: str, data: st.DataObject) -> None:
    text = (CHECKOUT / "examples" / f"{name}.yaml").read_bytes()
    flow, _ = read_flow(text, name=f"{name}.yaml")
    assert flow is not None
    left_out = data.draw(st.sampled_from(list(flow.nodes)))
    nodes = {node_id: node for node_id, node in flow.nodes.items() if node_id != left_out}
    assert lint(flow.model_copy(update={"nodes": nodes}), SHOP)
