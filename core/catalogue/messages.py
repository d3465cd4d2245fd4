"""Declare what reaches people: messages on the channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from core.catalogue.base import CHANNELS, Category, Channel, NodeBase
from core.conditions import Name
from core.phrases import CHANNEL_NAMES

if TYPE_CHECKING:
    from core.compiler import Compiler


class Send(NodeBase):
    """Send a message on a channel."""

    type: Literal["send"]
    channel: Channel
    template: Name
    variables: dict[Name, Any] = Field(default_factory=dict)
    to: Name | None = None

    category: ClassVar[Category] = "Actions"
    label: ClassVar[str] = "Send a message"
    help: ClassVar[str] = "Sends an e-mail, an SMS, a push message and the like."
    makes: ClassVar[tuple[str, ...]] = ("message",)

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
        """An effect; the channel is counted."""
        from core.program import Op

        row["op"], row["a"] = Op.SEND, CHANNELS.index(self.channel)
