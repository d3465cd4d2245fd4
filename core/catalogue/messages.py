"""Declare what reaches people: messages on the channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from core import limits
from core.catalogue.actions import Action
from core.catalogue.base import NodeBase, PortName
from core.catalogue.channels import CHANNELS, Channel, Reach
from core.catalogue.splits import drawn
from core.conditions import Condition, Model, Name
from core.internal_events import MESSAGE_SENT, NOTE_ADDED
from core.phrases import CHANNEL_NAMES

if TYPE_CHECKING:
    from core.compiler import Compiler


class Guard(Model):
    """A reason not to send, and when it holds."""

    reason: PortName
    if_: Condition = Field(alias="if")


class Send(Action):
    """Send a message on a channel, unless a guard holds: the first that does is the way out.

    Where a reason's port leads nowhere, the customer goes on as though the message had been sent.
    """

    type: Literal["send"]
    channel: Channel
    template: Name
    variables: dict[Name, Any] = Field(default_factory=dict)
    to: Name | None = None
    guards: list[Guard] = Field(default_factory=list, max_length=limits.GUARDS_MAX)

    label: ClassVar[str] = "Send a message"
    help: ClassVar[str] = "Sends an e-mail, an SMS, a push message and the like."
    example: ClassVar[Mapping[str, Any]] = {"channel": "email", "template": "hello"}
    makes: ClassVar[tuple[str, ...]] = ("message",)

    @property
    def of_entry(self) -> dict[str, str]:
        """Variables that are properties of the entering event, `{entry: property}`, by name."""
        return {
            name: said["entry"]
            for name, said in self.variables.items()
            if isinstance(said, dict)
            and said.keys() == {"entry"}
            and isinstance(said["entry"], str)
        }

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

    def makes_happen(self, flow_id: str, node_id: str) -> tuple[str, dict[str, str]]:
        """The event that happens when the message leaves (D47), and its properties."""
        if self.channel == "note":
            return NOTE_ADDED, {"note": self.template, "node": node_id, "flow": flow_id}
        return MESSAGE_SENT, self.carried(flow_id, node_id)

    def describe(self) -> str:
        """The channel and the template."""
        return f"Send {CHANNEL_NAMES[self.channel]} `{self.template}`"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """An effect, and conditions under which there is none; the channel is counted."""
        from core.program import Op

        for name in self.of_entry.values():
            compiler.properties(name)
        row["op"], row["a"] = Op.SEND, CHANNELS.index(self.channel)
        row["x"] = len(compiler.guards)
        compiler.guards += [compiler.graph(guard.if_, 1, 0) for guard in self.guards]
        read = {column for guard in self.guards for column in compiler.reads(guard.if_)[0]}
        compiler.touch(i, read)


class Message(Action):
    """A message on one channel; every subclass is a `send` with the channel stated."""

    template: Name = Field(description="The name of the message.")
    variables: dict[Name, Any] = Field(default_factory=dict)
    to: Name | None = Field(None, description="The attribute with the address.")
    guards: list[Guard] = Field(
        default_factory=list,
        max_length=limits.GUARDS_MAX - 1,
        description="Reasons not to send; each is a port.",
    )

    example: ClassVar[Mapping[str, Any]] = {"template": "hello"}
    channel: ClassVar[Channel]
    rule: ClassVar[tuple[str, Mapping[str, Any]] | None] = None
    """The reason not to send that the channel always has, and when it holds."""
    makes: ClassVar[tuple[str, ...]] = ("message",)

    @property
    def all_guards(self) -> list[Guard]:
        """The channel's own reason not to send, then those that are stated."""
        if self.rule is None:
            return self.guards
        reason, condition = self.rule
        return [Guard.model_validate({"reason": reason, "if": condition}), *self.guards]

    @property
    def ports(self) -> tuple[str, ...]:
        """`next`, then the reasons not to send."""
        return ("next", *(guard.reason for guard in self.all_guards))

    def targets(self, port: str) -> list[str]:
        """The ids of the nodes that `port` leads to: where `next` does unless stated otherwise."""
        return self.next.get(port) or self.next.get("next", [])

    @model_validator(mode="after")
    def _reasons_differ(self) -> Self:
        if len(set(self.ports)) < len(self.ports):
            raise ValueError("each guard needs a reason of its own, and none is called 'next'")
        return self

    def describe(self) -> str:
        """The channel and the template."""
        return f"Send {CHANNEL_NAMES[self.channel]} `{self.template}`"

    def done(self, node_id: str) -> Mapping[str, NodeBase] | NodeBase:
        """The send."""
        return self.sent()

    def sent(self, **more: Any) -> Send:
        """The send that this message is, with more of its fields."""
        variables = self.variables | more.pop("variables", {})
        return self.become(
            Send,
            channel=self.channel,
            template=self.template,
            variables=variables,
            to=self.to,
            guards=self.all_guards,
            **more,
        )


class SendEmail(Message):
    """Send an e-mail."""

    type: Literal["send_email"]

    label: ClassVar[str] = "E-mail"
    help: ClassVar[str] = "Sends an e-mail."
    channel: ClassVar[Channel] = "email"


class SendSms(Message):
    """Send an SMS."""

    type: Literal["send_sms"]

    label: ClassVar[str] = "SMS"
    help: ClassVar[str] = "Sends an SMS."
    channel: ClassVar[Channel] = "sms"


class SendMobileText(Message):
    """Send a text message by the provider of mobile marketing."""

    type: Literal["send_mobile_text"]

    label: ClassVar[str] = "Mobile text"
    help: ClassVar[str] = "Sends a text by the provider of mobile marketing, apart from SMS."
    channel: ClassVar[Channel] = "mobile_text"


class SendPush(Message):
    """Send a push message to the app."""

    type: Literal["send_push"]

    label: ClassVar[str] = "Push message"
    help: ClassVar[str] = "Sends a push message to those who have the app."
    channel: ClassVar[Channel] = "push"


class SendWebPush(Message):
    """Send a push message to the browser, to those who permitted it."""

    type: Literal["send_web_push"]

    label: ClassVar[str] = "Web push"
    help: ClassVar[str] = "Sends a push message to the browsers of those who permitted it."
    channel: ClassVar[Channel] = "web_push"
    rule: ClassVar[tuple[str, Mapping[str, Any]] | None] = (
        "no_permission", {"not": {"subscribed": "web_push"}},
    )  # fmt: skip
    outs: ClassVar[tuple[str, ...]] = ("next", "no_permission")


class SendWhatsapp(Message):
    """Send a WhatsApp message, which is for transactions and alerts only."""

    type: Literal["send_whatsapp"]
    purpose: Literal["transactional", "alert"] = Field(
        description="What it is for; promotion is not allowed."
    )

    label: ClassVar[str] = "WhatsApp"
    help: ClassVar[str] = "Sends a WhatsApp message about a transaction, or an alert."
    example: ClassVar[Mapping[str, Any]] = {"template": "hello", "purpose": "alert"}
    channel: ClassVar[Channel] = "whatsapp"


class SendInApp(Message):
    """Show a message inside the app."""

    type: Literal["send_in_app"]

    label: ClassVar[str] = "In-app message"
    help: ClassVar[str] = "Shows a message inside the app."
    channel: ClassVar[Channel] = "in_app"


class ShowOverlay(Message):
    """Lay a message over the web page, after a while or when the visitor is about to leave."""

    type: Literal["show_overlay"]
    show: Literal["after", "on_exit"] = Field(
        "after", description="After a while, or when the visitor is about to leave."
    )

    label: ClassVar[str] = "Web overlay"
    help: ClassVar[str] = "Lays a message over the web page."
    channel: ClassVar[Channel] = "overlay"


class SendSurvey(Action):
    """Ask for feedback."""

    type: Literal["send_survey"]
    survey: Literal["nps", "csat", "effort", "happiness"] = Field(description="What is asked.")
    channel: Reach = Field("email", description="How it is sent.")
    template: Name = Field(description="The name of the message.")
    variables: dict[Name, Any] = Field(default_factory=dict)
    to: Name | None = Field(None, description="The attribute with the address.")

    label: ClassVar[str] = "Survey"
    help: ClassVar[str] = "Asks how likely one is to recommend, how content, and the like."
    example: ClassVar[Mapping[str, Any]] = {"survey": "nps", "template": "how-likely"}
    makes: ClassVar[tuple[str, ...]] = ("message",)

    def describe(self) -> str:
        """What is asked, the channel and the template."""
        asked = {"nps": "NPS", "csat": "CSAT", "effort": "effort", "happiness": "happiness"}
        how = CHANNEL_NAMES[self.channel]
        return f"Ask for {asked[self.survey]} by {how} `{self.template}`"

    def done(self, node_id: str) -> NodeBase:
        """The send."""
        return self.become(
            Send,
            channel=self.channel,
            template=self.template,
            variables=self.variables,
            to=self.to,
        )


class WechatReply(Message):
    """Reply on WeChat: a text, a menu, pictures, a coupon, a page or a Mini Program.

    With `pictures`, each arrival gets one of them, each with the same chance; the attribute
    `picture:<node>` tells the message, and whoever asks later, which one it was.
    """

    type: Literal["wechat_reply"]
    kind: Literal["text", "menu", "picture", "coupon", "page", "mini_program"] = Field(
        "text", description="What the content is."
    )
    pictures: list[Name] | None = Field(
        None, min_length=2, max_length=1000, description="A rolling gallery."
    )

    label: ClassVar[str] = "WeChat reply"
    help: ClassVar[str] = "Replies on WeChat, within 48 hours of what the customer did there."
    channel: ClassVar[Channel] = "wechat"
    rule: ClassVar[tuple[str, Mapping[str, Any]] | None] = (
        "window_closed", {"never_did": "wechat_interacted", "within": "48 hours"},
    )  # fmt: skip
    outs: ClassVar[tuple[str, ...]] = ("next", "window_closed")

    @model_validator(mode="after")
    def _gallery_of_pictures(self) -> Self:
        if self.pictures is not None:
            if self.kind != "picture":
                raise ValueError("'pictures' are for the kind 'picture'")
            if len(set(self.pictures)) != len(self.pictures):
                raise ValueError("a picture is in the gallery twice, and would come twice as often")
        return self

    def describe(self) -> str:
        """The kind and the content."""
        what = self.kind.replace("_", " ").replace("mini program", "Mini Program")
        gallery = "" if self.pictures is None else f", one of {len(self.pictures)} pictures"
        return f"Reply on WeChat with the {what} `{self.template}`{gallery}"

    def done(self, node_id: str) -> Mapping[str, NodeBase] | NodeBase:
        """The send, after a draw of the picture where there are several."""
        if self.pictures is None:
            return self.sent()
        name = f"picture:{node_id}"
        return {**drawn(node_id, name, self.pictures), node_id: self.sent(variables={name: {}})}
