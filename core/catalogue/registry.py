"""Find all declared node types and make them one: a node is any of them, told apart by `type`."""

from __future__ import annotations

import importlib
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import Discriminator, Tag

from core.catalogue.base import NodeBase

FAMILIES = (
    "triggers", "decisions", "waits", "listening", "splits", "coupons", "messages", "record",
    "control",
)  # fmt: skip
"""The modules of this package that declare types, in the order in which types are listed."""


def type_of(model: type[NodeBase]) -> str | None:
    """What a document writes as `type` for this class, None for one that is only a base."""
    names = get_args(model.model_fields["type"].annotation)
    return names[0] if names else None


def _declared() -> dict[str, type[NodeBase]]:
    found: dict[str, type[NodeBase]] = {}
    for family in FAMILIES:
        module = importlib.import_module(f"core.catalogue.{family}")
        for value in vars(module).values():
            own = isinstance(value, type) and value.__module__ == module.__name__
            if own and issubclass(value, NodeBase) and (name := type_of(value)) is not None:
                if name in found:
                    raise TypeError(f"two classes declare the node type {name!r}")
                found[name] = value
    return found


NODE_TYPES: dict[str, type[NodeBase]] = _declared()
"""Every node type by its name in documents, in the order of the palette."""


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
