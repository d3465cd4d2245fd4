"""Replace nodes that stand for others by these, until only operations are left."""

from __future__ import annotations

from collections.abc import Mapping

from core.catalogue.base import NodeBase

HELPER_MARK = "~"
"""In the id of every node that no author wrote; no id in a document has it."""


def lowered_nodes(nodes: dict[str, NodeBase]) -> dict[str, NodeBase]:
    """The nodes by id with every one lowered, each after its helpers.

    It is `nodes` itself if all are operations already. Edges to a node lead to the first of its
    helpers. Time is linear in the number of nodes.
    """
    kinds = {type(node) for node in nodes.values()}
    if all(kind.lowered is NodeBase.lowered for kind in kinds):
        return nodes
    groups = {node_id: _operations(node_id, node) for node_id, node in nodes.items()}
    if all(groups[node_id].get(node_id) is node for node_id, node in nodes.items()):
        return nodes
    begins = {node_id: next(iter(group)) for node_id, group in groups.items()}
    moved = {node_id: first for node_id, first in begins.items() if first != node_id}
    result: dict[str, NodeBase] = {}
    for node_id, group in groups.items():
        for each_id, each in group.items():
            result[each_id] = _led(each, moved) if each_id == node_id and moved else each
    return result


def author_of(node_id: str) -> str:
    """The id of the written node that a node of the core flow comes from."""
    return node_id.partition(HELPER_MARK)[0]


def _operations(node_id: str, node: NodeBase) -> Mapping[str, NodeBase]:
    found = node.lowered(node_id)
    if found is node:
        return {node_id: node}
    if isinstance(found, NodeBase):
        return _operations(node_id, found)
    groups = {each_id: _operations(each_id, each) for each_id, each in found.items()}
    moved = {each_id: next(iter(group)) for each_id, group in groups.items()}
    result: dict[str, NodeBase] = {}
    for each_id, group in groups.items():
        result.update(group)
        if each_id != node_id:  # a helper leads to others of this group; the node itself does not
            result[each_id] = _led(group[each_id], moved)
    return result


def _led(node: NodeBase, moved: dict[str, str]) -> NodeBase:
    """The node with its edges to the first helpers of where they led."""
    if not any(target in moved for targets in node.next.values() for target in targets):
        return node
    edges = {p: [moved.get(t, t) for t in targets] for p, targets in node.next.items()}
    return node.model_copy(update={"next": edges})
