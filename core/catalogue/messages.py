"""Declare what reaches people: messages on the channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from core import limits
from core.catalogue.base import CHANNELS, Category, Channel, NodeBase, PortName
from core.conditions import Condition, Model, Name
from core.phrases import CHANNEL_NAMES

if TYPE_CHECKING:
    from core.compiler import Compiler


class Guard(Model):
    """A reason not to send, and when it holds."""

    reason: PortName
    if_: Condition = Field(alias="if")


class Send(NodeBase):
    """Send a message on a channel, unless a guard holds: the first that does is the way out.

    Where a reason's port leads nowhere, the customer goes on as though the message had been sent.
    """

    type: Literal["send"]
    channel: Channel
    template: Name
    variables: dict[Name, Any] = Field(default_factory=dict)
    to: Name | None = None
    guards: list[Guard] = Field(default_factory=list, max_length=limits.GUARDS_MAX)

    category: ClassVar[Category] = "Actions"
    label: ClassVar[str] = "Send a message"
    help: ClassVar[str] = "Sends an e-mail, an SMS, a push message and the like."
    makes: ClassVar[tuple[str, ...]] = ("message",)

    @property
    def ports(self) -> tuple[str, ...]:
        """`next`, then the guards' reasons in declared order."""
        return ("next", *(guard.reason for guard in self.guards))

    def targets(self, port: str) -> list[str]:
        """The ids of the nodes that `port` leads to."""
        return self.next.get(port) or self.next.get("next", [])

    @model_validator(mode="after")
    def _reasons_differ(self) -> Self:
        if len(set(self.ports)) < len(self.ports):
            raise ValueError("each guard needs a reason of its own, and none is called 'next'")
        return self

    def carried(self, flow_id: str, node_id: str) -> dict[str, str]:
        """The properties by which an event that answers this message tells of it."""
        return {
            "channel": self.channel,
            "template": self.template,
            "node": node_id,
            "flow": flow_id,
        }

    def describe(self) -> str:
        """The channel and the template."""
        return f"Send {CHANNEL_NAMES[self.channel]} `{self.template}`"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """An effect, and conditions under which there is none; the channel is counted."""
        from core.program import Op

        row["op"], row["a"] = Op.SEND, CHANNELS.index(self.channel)
        row["x"] = len(compiler.guards)
        compiler.guards += [compiler.graph(guard.if_, 1, 0) for guard in self.guards]
        read = {column for guard in self.guards for column in compiler.reads(guard.if_)[0]}
        compiler.touch(i, read)
