"""A node that stands for others is replaced by them, and edges lead to the first of these."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from core.catalogue.base import Category, NodeBase
from core.document import read_flow
from core.duration import parse_duration
from core.flow import Flow
from core.lowering import author_of, lowered_nodes
from core.nodes import AddTag, Wait


class Late(NodeBase):
    """Add a tag after a day."""

    type: Literal["late"]
    category: ClassVar[Category] = "Actions"

    def lowered(self, node_id: str) -> Mapping[str, NodeBase]:
        # Not validated: no author may write an id with the mark in it.
        wait = Wait.model_construct(
            type="wait", for_=parse_duration("1 day"), next={"next": [node_id]}
        )
        tag = AddTag(type="add_tag", tag="late", next=self.next, title=self.title)
        return {f"{node_id}~wait": wait, node_id: tag}


class LateTwice(NodeBase):
    """Two of them, the second in the place of this node."""

    type: Literal["late_twice"]
    category: ClassVar[Category] = "Actions"

    def lowered(self, node_id: str) -> Mapping[str, NodeBase]:
        first = Late.model_construct(type="late", next={"next": [node_id]})
        return {f"{node_id}~first": first, node_id: Late(type="late", next=self.next)}


def onward(nodes: dict[str, NodeBase]) -> dict[str, dict[str, list[str]]]:
    return {node_id: dict(node.next) for node_id, node in nodes.items()}


def test_edges_lead_to_the_first_helper_and_a_loop_passes_it_again() -> None:
    nodes: dict[str, NodeBase] = {
        "a": AddTag(type="add_tag", tag="a", next={"next": ["b", "c"]}),
        "b": Late(type="late", next={"next": ["b"]}),
        "c": AddTag(type="add_tag", tag="c"),
    }
    assert onward(lowered_nodes(nodes)) == {
        "a": {"next": ["b~wait", "c"]},
        "b~wait": {"next": ["b"]},
        "b": {"next": ["b~wait"]},
        "c": {},
    }


def test_helpers_are_lowered_too() -> None:
    nodes: dict[str, NodeBase] = {
        "a": AddTag(type="add_tag", tag="a", next={"next": ["b"]}),
        "b": LateTwice(type="late_twice", next={"next": ["a"]}),
    }
    assert onward(lowered_nodes(nodes)) == {
        "a": {"next": ["b~first~wait"]},
        "b~first~wait": {"next": ["b~first"]},
        "b~first": {"next": ["b~wait"]},
        "b~wait": {"next": ["b"]},
        "b": {"next": ["a"]},
    }
    assert author_of("b~first~wait") == "b"
    assert author_of("b") == "b"


def test_a_flow_of_operations_is_its_own_core() -> None:
    text = (
        "{headrace: 1, flow: f, nodes: {in: {type: on_event, event: x, next: out}, "
        "out: {type: end}}}"
    )
    flow, violations = read_flow(text, name="f.yaml")
    assert flow is not None, violations
    assert flow.core is flow
    assert flow.authored is flow


def test_the_core_of_a_flow_is_made_once_and_knows_what_was_written() -> None:
    nodes: dict[str, NodeBase] = {"b": Late(type="late", next={"next": ["b"]})}
    flow = Flow.model_construct(headrace=1, flow="f", nodes=nodes)
    assert list(flow.core.nodes) == ["b~wait", "b"]
    assert flow.core is flow.core
    assert flow.core.core is flow.core
    assert flow.core.authored is flow
    other = flow.model_copy(update={"nodes": {"c": Late(type="late")}})
    assert list(other.core.nodes) == ["c~wait", "c"]
