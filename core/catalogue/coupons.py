"""Declare what hands out coupons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from core.catalogue.actions import Action
from core.conditions import Name

if TYPE_CHECKING:
    from core.compiler import Compiler


class TakeCoupon(Action):
    """Take one coupon out of a pool, if there is one left."""

    type: Literal["take_coupon"]
    pool: Name

    label: ClassVar[str] = "Take a coupon"
    help: ClassVar[str] = "Takes a coupon out of a pool, as long as there are some."
    example: ClassVar[Mapping[str, Any]] = {"pool": "spring"}
    outs: ClassVar[tuple[str, ...]] = ("taken", "sold_out")
    makes: ClassVar[tuple[str, ...]] = ("coupon",)

    def describe(self) -> str:
        """The pool."""
        return f"Take a coupon of `{self.pool}`"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A claim whose answer is the port."""
        from core.program import Op

        row["op"] = Op.CLAIM
