"""Find all declared node types and make them one: a node is any of them, told apart by `type`."""

from __future__ import annotations

import importlib
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Discriminator, Tag

from core.catalogue.base import NodeBase
from core.catalogue.occurrences import Occurrence, paired

FAMILIES = (
    "triggers", "occurrences", "changes", "decisions", "waits", "listening", "splits", "coupons",
    "messages", "duties", "record", "contact", "control",
)  # fmt: skip
"""The modules of this package that declare types, in the order in which types are listed."""


def _declared() -> dict[str, type[NodeBase]]:
    found: dict[str, type[NodeBase]] = {}
    for family in FAMILIES:
        module = importlib.import_module(f"core.catalogue.{family}")
        for value in list(vars(module).values()):
            if not isinstance(value, type) or value.__module__ != module.__name__:
                continue
            for model in _types_of(value):
                name = model.type_name()
                if name in found:
                    raise TypeError(f"two classes declare the node type {name!r}")
                if name is not None:
                    found[name] = model
    return found


def _types_of(value: type[Any]) -> list[type[NodeBase]]:
    """The node types that a class of a family declares."""
    if issubclass(value, Occurrence) and hasattr(value, "word"):
        return paired(value)
    return [value] if issubclass(value, NodeBase) else []


NODE_TYPES: dict[str, type[NodeBase]] = _declared()
"""Every node type by its name in documents, in the order of the palette."""


OPERATIONS: dict[str, type[NodeBase]] = {
    name: model for name, model in NODE_TYPES.items() if model.compiled is not NodeBase.compiled
}
"""The types that the interpreters carry out; every other one stands for some of these."""


def _node_tag(value: object) -> str | None:
    name = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"#{name}" if isinstance(name, str) and name in NODE_TYPES else None


def _union() -> Any:
    members = [Annotated[model, Tag(f"#{name}")] for name, model in NODE_TYPES.items()]
    return Annotated[
        reduce(or_, members),
        Discriminator(
            _node_tag,
            custom_error_type="node_type",
            custom_error_message="unknown node type; the types are: " + ", ".join(NODE_TYPES),
        ),
    ]


if TYPE_CHECKING:
    Node = NodeBase
else:
    Node = _union()
