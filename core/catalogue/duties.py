"""Declare what others are told to do about a customer: users, web sites, advertising networks.

Each is an effect on a channel that does not reach the customer; what to do is its template.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from core.catalogue.actions import Action
from core.catalogue.base import NodeBase
from core.catalogue.channels import Duty
from core.catalogue.messages import Send
from core.catalogue.record import AddToAttribute, AddToGroup, RemoveFromGroup
from core.catalogue.words import Part
from core.conditions import Name


class _Duty(Action):
    channel: ClassVar[Duty]
    makes: ClassVar[tuple[str, ...]] = ("duty",)

    def told(self, what: str, variables: Mapping[str, Any] | None = None) -> Send:
        return self.become(
            Send, channel=self.channel, template=what, variables=dict(variables or {}), to=None
        )


class AddTask(_Duty):
    """Give a user something to do about the customer."""

    type: Literal["add_task"]
    user: Part = Field(description="The user.")
    task: Part = Field(description="The name of the task.")
    variables: dict[Name, Any] = Field(default_factory=dict)

    label: ClassVar[str] = "Task for a user"
    help: ClassVar[str] = "Gives a user something to do."
    example: ClassVar[Mapping[str, Any]] = {"user": "ann", "task": "call"}
    channel: ClassVar[Duty] = "task"

    def describe(self) -> str:
        """The task and the user."""
        return f"Give `{self.user}` the task `{self.task}`"

    def done(self, node_id: str) -> NodeBase:
        """An effect whose template is <user>/<task>."""
        return self.told(f"{self.user}/{self.task}", self.variables)


class SendAlert(_Duty):
    """Tell a user about the customer."""

    type: Literal["send_alert"]
    user: Part = Field(description="The user.")
    alert: Part = Field(description="The name of the alert.")
    variables: dict[Name, Any] = Field(default_factory=dict)

    label: ClassVar[str] = "Alert to a user"
    help: ClassVar[str] = "Tells a user that something happened."
    example: ClassVar[Mapping[str, Any]] = {"user": "ann", "alert": "big-order"}
    channel: ClassVar[Duty] = "alert"

    def describe(self) -> str:
        """The alert and the user."""
        return f"Alert `{self.user}` of `{self.alert}`"

    def done(self, node_id: str) -> NodeBase:
        """An effect whose template is <user>/<alert>."""
        return self.told(f"{self.user}/{self.alert}", self.variables)


class ShowBanner(_Duty):
    """Have a banner shown to the customer on the web site."""

    type: Literal["show_banner"]
    banner: Name = Field(description="The banner.")

    label: ClassVar[str] = "Banner"
    help: ClassVar[str] = "Shows a banner on the web site."
    example: ClassVar[Mapping[str, Any]] = {"banner": "spring"}
    channel: ClassVar[Duty] = "banner"

    def describe(self) -> str:
        """The banner."""
        return f"Show the banner `{self.banner}`"

    def done(self, node_id: str) -> NodeBase:
        """An effect whose template is the banner."""
        return self.told(self.banner)


class RunAutomationRule(_Duty):
    """Have an automation rule run for the customer; it knows nothing of this flow."""

    type: Literal["run_automation_rule"]
    rule: Name = Field(description="The rule.")

    label: ClassVar[str] = "Automation rule"
    help: ClassVar[str] = "Runs an automation rule for the customer."
    example: ClassVar[Mapping[str, Any]] = {"rule": "clean-up"}
    channel: ClassVar[Duty] = "automation_rule"

    def describe(self) -> str:
        """The rule."""
        return f"Run the automation rule `{self.rule}`"

    def done(self, node_id: str) -> NodeBase:
        """An effect whose template is the rule."""
        return self.told(self.rule)


class RunWebsiteRule(_Duty):
    """Have a rule of the web site run for the customer."""

    type: Literal["run_website_rule"]
    rule: Name = Field(description="The rule.")

    label: ClassVar[str] = "Web site rule"
    help: ClassVar[str] = "Runs a rule of the web site for the customer."
    example: ClassVar[Mapping[str, Any]] = {"rule": "greet"}
    channel: ClassVar[Duty] = "website_rule"

    def describe(self) -> str:
        """The rule."""
        return f"Run the web site rule `{self.rule}`"

    def done(self, node_id: str) -> NodeBase:
        """An effect whose template is the rule."""
        return self.told(self.rule)


class _Audience(_Duty):
    audience: Part = Field(description="The audience in the network.")
    change: Literal["add", "remove"] = Field("add", description="Put into it, or take out of it.")

    example: ClassVar[Mapping[str, Any]] = {"audience": "buyers"}
    makes: ClassVar[tuple[str, ...]] = ("duty", "group")

    def describe(self) -> str:
        verb = "Put into" if self.change == "add" else "Take out of"
        return f"{verb} the {self.network} audience `{self.audience}`"

    @property
    def network(self) -> str:
        return {"facebook": "Facebook", "google": "Google Ads", "adform": "Adform"}[self.channel]

    def done(self, node_id: str) -> Mapping[str, NodeBase]:
        group = f"audience:{self.channel}:{self.audience}"
        model = AddToGroup if self.change == "add" else RemoveFromGroup
        return {
            f"{node_id}~group": model.helper(node_id, group=group),
            node_id: self.told(f"{self.change}/{self.audience}"),
        }


class FacebookAudience(_Audience):
    """Put the customer into a custom audience of Facebook, or take him out of it."""

    type: Literal["facebook_audience"]

    label: ClassVar[str] = "Facebook audience"
    help: ClassVar[str] = "Puts the customer into a custom audience, or takes him out."
    channel: ClassVar[Duty] = "facebook"


class GoogleAudience(_Audience):
    """Put the customer into a customer list of Google Ads, or take him out of it."""

    type: Literal["google_audience"]

    label: ClassVar[str] = "Google Ads audience"
    help: ClassVar[str] = "Puts the customer into a customer list, or takes him out."
    channel: ClassVar[Duty] = "google"


class AdformAudience(_Audience):
    """Put the customer into an audience of Adform, or take him out of it."""

    type: Literal["adform_audience"]

    label: ClassVar[str] = "Adform audience"
    help: ClassVar[str] = "Puts the customer into an audience of Adform, or takes him out."
    channel: ClassVar[Duty] = "adform"


class AddNote(_Duty):
    """Write a note about the customer, which is the event `note_added` for flows and waits.

    The attribute `notes` counts those that flows wrote.
    """

    type: Literal["add_note"]
    note_text: Name = Field(description="What the note says.")

    label: ClassVar[str] = "Add a note"
    help: ClassVar[str] = "Writes a note about the customer."
    example: ClassVar[Mapping[str, Any]] = {"note_text": "Wants a loan"}
    channel: ClassVar[Duty] = "note"
    makes: ClassVar[tuple[str, ...]] = ("duty", "attribute")

    def describe(self) -> str:
        """What the note says."""
        return f'Add the note "{self.note_text}"'

    def done(self, node_id: str) -> Mapping[str, NodeBase]:
        """The count, then an effect whose template is the text."""
        count = AddToAttribute.helper(node_id, attribute="notes", by=1)
        return {f"{node_id}~count": count, node_id: self.told(self.note_text)}
