"""Declare what controls the process itself: ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import StrictBool

from core.catalogue.base import Category, NodeBase

if TYPE_CHECKING:
    from core.compiler import Compiler


class End(NodeBase):
    """Take the token out of the flow, or with `whole_flow` all tokens of its entry."""

    type: Literal["end"]
    whole_flow: StrictBool = False

    category: ClassVar[Category] = "Process control"
    label: ClassVar[str] = "End"
    help: ClassVar[str] = "Takes the customer out of the flow."
    outs: ClassVar[tuple[str, ...]] = ()

    def describe(self) -> str:
        """Of what it is the end."""
        return "End the whole entry" if self.whole_flow else "End"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """The end of a token or of its entry."""
        from core.program import FLAG_WHOLE, Op

        row["op"], row["flags"] = Op.END, FLAG_WHOLE if self.whole_flow else 0
