"""Declare the actions that change the customer's record: attributes, tags and groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from core.catalogue.actions import Action
from core.conditions import Name, Number, Scalar
from core.phrases import value_text

if TYPE_CHECKING:
    from core.compiler import Compiler


def _set(compiler: Compiler, row: Any, family: str, name: str) -> None:
    """Write a constant to a column; the binder takes its value from the type of the node."""
    from core.program import Op

    row["op"], row["a"] = Op.SET, compiler.column(family, name)
    compiler.written.add(int(row["a"]))


class AddTag(Action):
    """Put a tag on the customer."""

    type: Literal["add_tag"]
    tag: Name

    label: ClassVar[str] = "Add a tag"
    help: ClassVar[str] = "Puts a tag on the customer."
    example: ClassVar[Mapping[str, Any]] = {"tag": "vip"}
    makes: ClassVar[tuple[str, ...]] = ("tag",)

    def describe(self) -> str:
        """The tag."""
        return f"Add the tag `{self.tag}`"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A constant written to the tag's column."""
        _set(compiler, row, "tag", self.tag)


class RemoveTag(Action):
    """Take a tag from the customer."""

    type: Literal["remove_tag"]
    tag: Name

    label: ClassVar[str] = "Remove a tag"
    help: ClassVar[str] = "Takes a tag from the customer."
    example: ClassVar[Mapping[str, Any]] = {"tag": "vip"}
    makes: ClassVar[tuple[str, ...]] = ("tag",)

    def describe(self) -> str:
        """The tag."""
        return f"Remove the tag `{self.tag}`"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A constant written to the tag's column."""
        _set(compiler, row, "tag", self.tag)


class SetAttribute(Action):
    """Set an attribute to a value."""

    type: Literal["set_attribute"]
    attribute: Name
    value: Scalar

    label: ClassVar[str] = "Set an attribute"
    help: ClassVar[str] = "Sets an attribute of the customer to a value."
    example: ClassVar[Mapping[str, Any]] = {"attribute": "status", "value": "new"}
    makes: ClassVar[tuple[str, ...]] = ("attribute",)

    def describe(self) -> str:
        """The attribute and its value."""
        return f"Set `{self.attribute}` to {value_text(self.value)}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A constant written to the attribute's column."""
        _set(compiler, row, "attribute", self.attribute)


class AddToAttribute(Action):
    """Add a number to an attribute; a missing one counts as 0."""

    type: Literal["add_to_attribute"]
    attribute: Name
    by: Number

    label: ClassVar[str] = "Add to an attribute"
    help: ClassVar[str] = "Adds a number to an attribute of the customer, or subtracts one."
    example: ClassVar[Mapping[str, Any]] = {"attribute": "visits", "by": 1}
    makes: ClassVar[tuple[str, ...]] = ("attribute",)

    def describe(self) -> str:
        """The number and the attribute."""
        sign = "Subtract" if self.by < 0 else "Add"
        return f"{sign} {abs(self.by)} {'from' if self.by < 0 else 'to'} `{self.attribute}`"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A sum written to the attribute's column."""
        from core.program import Op

        row["op"], row["a"] = Op.ADD, compiler.column("attribute", self.attribute)
        compiler.written.add(int(row["a"]))


class AddToGroup(Action):
    """Put the customer into a group."""

    type: Literal["add_to_group"]
    group: Name

    label: ClassVar[str] = "Put into a group"
    help: ClassVar[str] = "Puts the customer into a static group."
    example: ClassVar[Mapping[str, Any]] = {"group": "readers"}
    makes: ClassVar[tuple[str, ...]] = ("group",)

    def describe(self) -> str:
        """The group."""
        return f"Put into the group `{self.group}`"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A constant written to the group's column."""
        _set(compiler, row, "group", self.group)


class RemoveFromGroup(Action):
    """Take the customer out of a group."""

    type: Literal["remove_from_group"]
    group: Name

    label: ClassVar[str] = "Take out of a group"
    help: ClassVar[str] = "Takes the customer out of a static group."
    example: ClassVar[Mapping[str, Any]] = {"group": "readers"}
    makes: ClassVar[tuple[str, ...]] = ("group",)

    def describe(self) -> str:
        """The group."""
        return f"Take out of the group `{self.group}`"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A constant written to the group's column."""
        _set(compiler, row, "group", self.group)
