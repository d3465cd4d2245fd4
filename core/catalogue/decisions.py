"""Declare the decisions: nodes that let a token on by one of several ports, at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from core import limits
from core.catalogue.base import Category, NodeBase, PortName
from core.conditions import Condition, Name, Scalar
from core.outcomes import Outcome
from core.phrases import describe_condition, listed_text

if TYPE_CHECKING:
    from core.compiler import Compiler


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


class ConditionNode(NodeBase):
    """Ask a yes / no question."""

    type: Literal["condition"]
    if_: Condition = Field(alias="if")

    category: ClassVar[Category] = "Conditions"
    label: ClassVar[str] = "Condition"
    help: ClassVar[str] = "Asks about the customer: yes or no."
    example: ClassVar[Mapping[str, Any]] = {"if": {"tag": "vip"}}
    outs: ClassVar[tuple[str, ...]] = ("yes", "no")

    def describe(self) -> str:
        """The question."""
        return f"If {describe_condition(self.if_)}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A decision graph whose result is the port."""
        from core.program import Op

        row["op"], row["cond"] = Op.DECIDE, compiler.graph(self.if_, 0, 1)
        compiler.touch(i, compiler.reads(self.if_)[0])


class BranchAttribute(NodeBase):
    """Branch on the value of one attribute; the first branch that lists it is taken."""

    type: Literal["branch_attribute"]
    attribute: Name
    branches: dict[
        PortName,
        Annotated[
            list[Scalar],
            BeforeValidator(_listed),
            Field(min_length=1, max_length=limits.VALUES_MAX),
        ],
    ] = Field(min_length=1)

    category: ClassVar[Category] = "Conditions"
    label: ClassVar[str] = "Branch on an attribute"
    help: ClassVar[str] = "Leads on by the value of an attribute; `other` takes the rest."
    example: ClassVar[Mapping[str, Any]] = {"attribute": "language", "branches": {"german": "de"}}
    outs: ClassVar[tuple[str, ...]] = ("other",)
    by_branch: ClassVar[bool] = True
    falls_out: ClassVar[Mapping[str, Outcome]] = {"other": Outcome.NO_BRANCH}

    @property
    def ports(self) -> tuple[str, ...]:
        """The branches in declared order, then `other`."""
        return (*self.branches, "other")

    def describe(self) -> str:
        """The attribute."""
        return f"Branch on `{self.attribute}`"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A look-up of the value in a table of ports."""
        from core.program import Op

        row["op"], row["a"] = Op.VALUE, compiler.column("attribute", self.attribute)
        compiler.touch(i, {int(row["a"])})


class BranchTag(NodeBase):
    """Branch on the tags of the customer; the first branch of which any tag is carried is taken."""

    type: Literal["branch_tag"]
    branches: dict[
        PortName,
        Annotated[
            list[Name], BeforeValidator(_listed), Field(min_length=1, max_length=limits.VALUES_MAX)
        ],
    ] = Field(min_length=1)

    category: ClassVar[Category] = "Conditions"
    label: ClassVar[str] = "Branch on tags"
    help: ClassVar[str] = "Leads on by the tags that the customer carries; `other` takes the rest."
    example: ClassVar[Mapping[str, Any]] = {"branches": {"important": "vip"}}
    outs: ClassVar[tuple[str, ...]] = ("other",)
    by_branch: ClassVar[bool] = True
    falls_out: ClassVar[Mapping[str, Outcome]] = {"other": Outcome.NO_BRANCH}

    @property
    def ports(self) -> tuple[str, ...]:
        """The branches in declared order, then `other`."""
        return (*self.branches, "other")

    def describe(self) -> str:
        """The tags."""
        tags = (f"`{tag}`" for tags in self.branches.values() for tag in tags)
        return f"Branch on the tags {listed_text(tags)}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A chain of tests, one for each tag, whose result is the port."""
        from core.program import Op, PredSpec, Source

        row["op"] = Op.DECIDE
        tests = [
            (compiler.column("tag", tag), port)
            for port, tags in enumerate(self.branches.values())
            for tag in tags
        ]
        other = -1 - len(self.branches)  # the result `other`
        row["cond"] = begin = len(compiler.preds)
        for place, (column, port) in enumerate(tests):
            following = begin + place + 1 if place + 1 < len(tests) else other
            compiler.preds.append(PredSpec(Source.CUSTOMER, column, None, -1 - port, following))
