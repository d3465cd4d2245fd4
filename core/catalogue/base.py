"""Define what all node types share: edges, ports, texts, and the fields that several of them have.

Ports are apart from configuration: every node has one field `next`, a node id (or a list of them,
which forks) for a node with a single port, a mapping from port to ids for the others. So the
document, the compiler and an editor handle edges alike for every type.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar, cast, get_args

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from core import limits
from core.conditions import Filter, Model, Name, WindowField
from core.outcomes import Outcome

if TYPE_CHECKING:
    from core.compiler import Compiler

N = TypeVar("N", bound="NodeBase")

NodeId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
PortName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.%-]{0,63}$")]
Category = Literal["Events", "Conditions", "Actions", "Process control"]
CATEGORIES: tuple[Category, ...] = ("Events", "Conditions", "Actions", "Process control")
"""The groups of the palette, in its order."""


def _targets(value: object) -> object:
    return [value] if isinstance(value, str) else value


Targets = Annotated[list[NodeId], BeforeValidator(_targets), Field(max_length=limits.EDGES_MAX)]


def _next(value: object) -> object:
    return {"next": value} if isinstance(value, str | list) else value


Edges = Annotated[dict[str, Targets], BeforeValidator(_next)]


def _weight(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?\s*%", value.strip())
        if match is None:
            raise ValueError("a weight is a percentage such as '33.33%', or 10,000ths such as 3333")
        return int(match.group(1)) * 100 + int((match.group(2) or "").ljust(2, "0"))
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a weight is a percentage such as '33.33%', or 10,000ths such as 3333")
    return value


def _weight_text(weight: int) -> str:
    return f"{weight / 100:g}%"


Weight = Annotated[
    int,
    BeforeValidator(_weight),
    Field(ge=0, le=limits.WEIGHT_TOTAL),
    PlainSerializer(_weight_text, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "examples": ["50%"]}, {"type": "integer"}]}),
]
"""A share in 10,000ths."""


class Target(Model):
    """What counts as a success: an event within a window after the start, filter passed."""

    event: Name
    where: Filter | None = None
    within: WindowField


class NodeBase(Model):
    """What all nodes have: a type, an optional title and note for people, and edges.

    A subclass with a `type` of its own is a node type. `category`, `label` and `help` are for the
    palette. `outs` are the ports that do not depend on the configuration; with `by_branch` each
    branch is a port before them. `makes` names what a run tells of it besides its decisions: the
    effect ("message") or the part of the customer that it changes.
    """

    # Built as parts of the one union; each for itself would take as long again.
    model_config = ConfigDict(defer_build=True)

    type: str
    title: str | None = Field(None, max_length=limits.NAME_CHARS_MAX)
    note: str | None = Field(None, max_length=4096)
    next: Edges = Field(default_factory=dict)

    category: ClassVar[Category]
    label: ClassVar[str]
    help: ClassVar[str]
    example: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """What a node of the type may be configured with, besides its type and edges."""
    outs: ClassVar[tuple[str, ...]] = ("next",)
    by_branch: ClassVar[bool] = False
    falls_out: ClassVar[Mapping[str, Outcome]] = MappingProxyType({})
    """What becomes of a token at a port without an edge, where it does not stand idle."""
    makes: ClassVar[tuple[str, ...]] = ()
    trigger: ClassVar[bool] = False
    waits: ClassVar[bool] = False

    @classmethod
    def type_name(cls) -> str | None:
        """What a document writes as `type`, None for a class that is only a base of others."""
        names = get_args(cls.model_fields["type"].annotation)
        return names[0] if names else None

    @classmethod
    def helper(cls, target: str | Mapping[str, str], **fields: Any) -> Self:
        """A node that stands before another: it leads to `target`, a node id or one for each port.

        `fields` are those of the model, not checked again.
        """
        edges = {"next": target} if isinstance(target, str) else target
        lists = {port: [node_id] for port, node_id in edges.items()}
        made: Any = cls.model_construct(**{"type": cls.type_name(), "next": lists, **fields})
        return cast("Self", made)

    def become(self, model: builtins.type[N], **fields: Any) -> N:
        """A node of another type in the place of this one, with its edges and texts."""
        kept = {"title": self.title, "note": self.note, "next": self.next}
        made: Any = model.model_construct(**{"type": model.type_name(), **kept, **fields})
        return cast("N", made)

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the ports in their declared order; a port's number is its place here."""
        return self.outs

    def targets(self, port: str) -> list[str]:
        """The ids of the nodes that `port` leads to, in order; several fork."""
        return self.next.get(port, [])

    def describe(self) -> str:
        """What this node does, such as 'Wait for `clicked`, at most 1 day'; no full stop."""
        raise TypeError(f"no phrase for {type(self).__name__}")

    def lowered(self, node_id: str) -> Mapping[str, NodeBase] | NodeBase:
        """The nodes that this one stands for, itself where an interpreter knows its type.

        One of them has the id `node_id`, the same ports and this node's edges. Those before it have
        the ids `<node_id>~<what>` and lead to each other and to it only; the first one of the
        mapping is where tokens arrive.
        """
        return self

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """Write what the interpreter is to do at node number `i` into its record `row` (NODE)."""
        raise TypeError(f"{type(self).__name__} is no operation: it stands for other nodes")
