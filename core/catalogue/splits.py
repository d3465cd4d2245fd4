"""Declare the splits: nodes that assign customers to branches at random, and tests of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, StrictBool, StrictInt, model_validator

from core import limits
from core.catalogue.base import Category, NodeBase, PortName, Target, Weight
from core.catalogue.record import SetAttribute
from core.conditions import Model, Scalar
from core.phrases import describe_target, weights_text

if TYPE_CHECKING:
    from core.compiler import Compiler

BEST = "best"


def _split(branches: dict[PortName, int], sticky: bool, compiler: Compiler, row: Any) -> None:
    from core.program import FLAG_STICKY, Op

    row["op"], row["a"] = Op.SPLIT, len(compiler.weights)
    row["flags"] = FLAG_STICKY if sticky else 0
    compiler.weights += np.cumsum(list(branches.values())).tolist()


def equal_weights(branches: list[str]) -> dict[str, int]:
    """Weights of 10,000ths that differ by 1 at most, the first ones being the greater."""
    each, more = divmod(limits.WEIGHT_TOTAL, len(branches))
    return {name: each + (place < more) for place, name in enumerate(branches)}


def drawn(node_id: str, attribute: str, values: Sequence[Scalar]) -> dict[str, NodeBase]:
    """Helpers that draw an attribute's value, each with the same chance, before a node."""
    places = {str(place): f"{node_id}~{place}" for place in range(len(values))}
    draw = Split.helper(places, branches=equal_weights(list(places)), sticky=False)
    changes = {
        helper: SetAttribute.helper(node_id, attribute=attribute, value=value)
        for helper, value in zip(places.values(), values, strict=True)
    }
    return {f"{node_id}~draw": draw, **changes}


class Split(NodeBase):
    """Assign customers to branches at random, by weights; sticky unless stated otherwise."""

    type: Literal["split"]
    branches: dict[PortName, Weight] = Field(min_length=1)
    sticky: StrictBool = True

    category: ClassVar[Category] = "Process control"
    label: ClassVar[str] = "Random split"
    help: ClassVar[str] = "Leads customers on at random, by shares."
    example: ClassVar[Mapping[str, Any]] = {"branches": {"a": "50%", "b": "50%"}}
    outs: ClassVar[tuple[str, ...]] = ()
    by_branch: ClassVar[bool] = True

    @property
    def ports(self) -> tuple[str, ...]:
        """The branches in declared order."""
        return tuple(self.branches)

    def describe(self) -> str:
        """The shares."""
        return f"Split {weights_text(self.branches)}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A draw that falls into one of the added-up weights."""
        _split(self.branches, self.sticky, compiler, row)


class Until(Model):
    """When a test ends: after so many people, in favour of its best branch or of a named one."""

    people: Annotated[StrictInt, Field(ge=1, le=limits.PEOPLE_MAX)]
    then: PortName = BEST
    decide: Literal["matured", "at_count"] = "matured"

    @model_validator(mode="after")
    def _only_the_best_is_decided(self) -> Self:
        if self.then != BEST and "decide" in self.model_fields_set:
            raise ValueError("'decide' is for `then: best`; a named branch is decided already")
        return self

    def describe(self) -> str:
        """After how many people which branch takes all, such as ', after 9 people all to `a`'."""
        people = f"{self.people:,} {'person' if self.people == 1 else 'people'}"
        if self.then != BEST:
            return f", after {people} all to `{self.then}`"
        when = "" if self.decide == "matured" else " so far"
        return f", after {people} all to the best branch{when}"


class ABTest(NodeBase):
    """Split customers into named branches and judge each by a target event."""

    type: Literal["ab_test"]
    branches: dict[PortName, Weight] = Field(min_length=2)
    target: Target
    sticky: StrictBool = True
    until: Until | None = None

    category: ClassVar[Category] = "Process control"
    label: ClassVar[str] = "A/B test"
    help: ClassVar[str] = "Leads customers on at random and finds out which branch works best."
    example: ClassVar[Mapping[str, Any]] = {
        "branches": {"a": "50%", "b": "50%"},
        "target": {"event": "purchase", "within": "3 days"},
    }
    outs: ClassVar[tuple[str, ...]] = ()
    by_branch: ClassVar[bool] = True

    @property
    def ports(self) -> tuple[str, ...]:
        """The branches in declared order."""
        return tuple(self.branches)

    def describe(self) -> str:
        """The shares, the target and the end."""
        until = "" if self.until is None else self.until.describe()
        shares = weights_text(self.branches)
        return f"A/B test {shares} on {describe_target(self.target)}{until}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A split that opens a watch for the target."""
        _split(self.branches, self.sticky, compiler, row)
        row["b"] = compiler.watch(self.target, len(self.branches), len(compiler.watches))


class ControlGroup(NodeBase):
    """Set a share of the customers apart, who are treated no further, to compare the others with.

    Whoever is in it stays in it.
    """

    type: Literal["control_group"]
    share: Weight = Field(description="How many are set apart.")

    category: ClassVar[Category] = "Process control"
    label: ClassVar[str] = "Comparison group"
    help: ClassVar[str] = "Sets a share of the customers apart, to compare the others with."
    example: ClassVar[Mapping[str, Any]] = {"share": "10%"}
    outs: ClassVar[tuple[str, ...]] = ("treated", "control")

    def describe(self) -> str:
        """The share."""
        return f"Set {self.share / 100:g} % apart as a comparison group"

    def lowered(self, node_id: str) -> NodeBase:
        """A sticky split into two."""
        branches = {"treated": limits.WEIGHT_TOTAL - self.share, "control": self.share}
        return self.become(Split, branches=branches, sticky=True)


def passage(node: NodeBase) -> Split:
    """The operation of a node that goes on by `next`, its helpers having done all the work."""
    return node.become(Split, branches={"next": limits.WEIGHT_TOTAL}, sticky=True)
