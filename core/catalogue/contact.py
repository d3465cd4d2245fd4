"""Declare actions on the named parts of a customer's record: owner, stages, scores, loyalty.

Each stands for plain changes of the names that `core.record` lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, StrictBool, model_validator

from core.catalogue.actions import Action
from core.catalogue.base import NodeBase
from core.catalogue.channels import Reach
from core.catalogue.decisions import ConditionNode
from core.catalogue.record import AddToAttribute, AddToGroup, RemoveFromGroup, SetAttribute
from core.catalogue.splits import drawn, passage
from core.catalogue.words import Part, Whole
from core.conditions import AttributeTest, Name
from core.phrases import CHANNEL_NAMES


class _Change(Action):
    makes: ClassVar[tuple[str, ...]] = ("attribute",)


class SetOwner(Action):
    """Give the customer a new main owner, or a further co-owner."""

    type: Literal["set_owner"]
    user: Part = Field(description="The user.")
    co_owner: StrictBool = Field(False, description="As a co-owner, beside others.")

    label: ClassVar[str] = "Set an owner"
    help: ClassVar[str] = "Gives the customer a new owner or co-owner."
    example: ClassVar[Mapping[str, Any]] = {"user": "ann"}
    makes: ClassVar[tuple[str, ...]] = ("attribute", "group")

    def describe(self) -> str:
        """The user."""
        return f"Make `{self.user}` {'a co-owner' if self.co_owner else 'the owner'}"

    def done(self, node_id: str) -> NodeBase:
        """A change of `owner`, or membership in `co_owner:<user>`."""
        if self.co_owner:
            return self.become(AddToGroup, group=f"co_owner:{self.user}")
        return self.become(SetAttribute, attribute="owner", value=self.user)


class RemoveCoOwner(Action):
    """Take a co-owner away from the customer."""

    type: Literal["remove_co_owner"]
    user: Part = Field(description="The user.")

    label: ClassVar[str] = "Remove a co-owner"
    help: ClassVar[str] = "Takes a co-owner away from the customer."
    example: ClassVar[Mapping[str, Any]] = {"user": "ann"}
    makes: ClassVar[tuple[str, ...]] = ("group",)

    def describe(self) -> str:
        """The user."""
        return f"Make `{self.user}` no co-owner any more"

    def done(self, node_id: str) -> NodeBase:
        """An end of the membership in `co_owner:<user>`."""
        return self.become(RemoveFromGroup, group=f"co_owner:{self.user}")


class DrawOwner(_Change):
    """Draw the customer's new main owner from some users, each with the same chance."""

    type: Literal["draw_owner"]
    users: list[Part] = Field(min_length=2, max_length=1000, description="The users.")

    label: ClassVar[str] = "Draw an owner"
    help: ClassVar[str] = "Gives the customer one of some users as owner, at random."
    example: ClassVar[Mapping[str, Any]] = {"users": ["ann", "bob"]}

    @model_validator(mode="after")
    def _no_user_twice(self) -> Self:
        if len(set(self.users)) != len(self.users):
            raise ValueError("a user is listed twice, and would be drawn twice as often")
        return self

    def describe(self) -> str:
        """How many users there are."""
        return f"Draw the owner from {len(self.users)} users"

    def done(self, node_id: str) -> Mapping[str, NodeBase]:
        """A split that leads to as many changes of `owner`."""
        return {**drawn(node_id, "owner", self.users), node_id: passage(self)}


class AddToStage(_Change):
    """Put the customer at a stage of a campaign, which ends being at another stage of it."""

    type: Literal["add_to_stage"]
    campaign: Part = Field(description="The campaign.")
    stage: Name = Field(description="The stage.")

    label: ClassVar[str] = "Put at a stage"
    help: ClassVar[str] = "Puts the customer at a stage of a campaign's funnel."
    example: ClassVar[Mapping[str, Any]] = {"campaign": "autumn", "stage": "won"}

    def describe(self) -> str:
        """The stage and the campaign."""
        return f"Put at the stage `{self.stage}` of `{self.campaign}`"

    def done(self, node_id: str) -> NodeBase:
        """A change of `stage:<campaign>`."""
        name = f"stage:{self.campaign}"
        return self.become(SetAttribute, attribute=name, value=self.stage)


class RemoveFromCampaign(_Change):
    """Take the customer out of a campaign: he is at none of its stages, which is the text ''."""

    type: Literal["remove_from_campaign"]
    campaign: Part = Field(description="The campaign.")

    label: ClassVar[str] = "Take out of a campaign"
    help: ClassVar[str] = "Takes the customer out of a campaign's funnel."
    example: ClassVar[Mapping[str, Any]] = {"campaign": "autumn"}

    def describe(self) -> str:
        """The campaign."""
        return f"Take out of the campaign `{self.campaign}`"

    def done(self, node_id: str) -> NodeBase:
        """A change of `stage:<campaign>`."""
        return self.become(SetAttribute, attribute=f"stage:{self.campaign}", value="")


class OptIn(_Change):
    """Note that the customer agrees to messages on a channel."""

    type: Literal["opt_in"]
    channel: Reach = Field("email", description="The channel.")

    label: ClassVar[str] = "Opt in"
    help: ClassVar[str] = "Subscribes the customer to a channel."

    def describe(self) -> str:
        """The channel."""
        return f"Opt in to {CHANNEL_NAMES[self.channel]}"

    def done(self, node_id: str) -> NodeBase:
        """A change of `consent:<channel>`."""
        return self.become(SetAttribute, attribute=f"consent:{self.channel}", value=True)


class OptOut(_Change):
    """Note that the customer no longer agrees to messages on a channel."""

    type: Literal["opt_out"]
    channel: Reach = Field("email", description="The channel.")

    label: ClassVar[str] = "Opt out"
    help: ClassVar[str] = "Unsubscribes the customer from a channel."

    def describe(self) -> str:
        """The channel."""
        return f"Opt out of {CHANNEL_NAMES[self.channel]}"

    def done(self, node_id: str) -> NodeBase:
        """A change of `consent:<channel>`."""
        return self.become(SetAttribute, attribute=f"consent:{self.channel}", value=False)


class SetScore(_Change):
    """Set the contact score."""

    type: Literal["set_score"]
    score: Whole = Field(description="The score.")

    label: ClassVar[str] = "Set the score"
    help: ClassVar[str] = "Sets the contact score."
    example: ClassVar[Mapping[str, Any]] = {"score": 10}

    def describe(self) -> str:
        """The score."""
        return f"Set the score to {self.score}"

    def done(self, node_id: str) -> NodeBase:
        """A change of `score`."""
        return self.become(SetAttribute, attribute="score", value=self.score)


class AddScore(_Change):
    """Add to the contact score, or to that of a tag; a score that nobody gave counts as 0."""

    type: Literal["add_score"]
    by: Whole = Field(description="How much; less than 0 subtracts.")

    label: ClassVar[str] = "Add to the score"
    help: ClassVar[str] = "Adds to the contact score, or subtracts."
    example: ClassVar[Mapping[str, Any]] = {"by": 5}

    def describe(self) -> str:
        """How much."""
        return f"Add {self.by} to the score"

    def done(self, node_id: str) -> NodeBase:
        """A sum in `score`."""
        return self.become(AddToAttribute, attribute="score", by=self.by)


class AddTagScore(_Change):
    """Add to the score of a tag; a score that nobody gave counts as 0."""

    type: Literal["add_tag_score"]
    tag: Part = Field(description="The tag.")
    by: Whole = Field(description="How much; less than 0 subtracts.")

    label: ClassVar[str] = "Add to a tag's score"
    help: ClassVar[str] = "Adds to the score of a tag, or subtracts."
    example: ClassVar[Mapping[str, Any]] = {"tag": "vip", "by": 5}

    def describe(self) -> str:
        """How much, to which tag."""
        return f"Add {self.by} to the score of the tag `{self.tag}`"

    def done(self, node_id: str) -> NodeBase:
        """A sum in `score:<tag>`."""
        return self.become(AddToAttribute, attribute=f"score:{self.tag}", by=self.by)


class AddPoints(_Change):
    """Add points in a loyalty programme, or take some; `tiers` says what tier so many are.

    Whoever then has the points of a tier, and not those of a higher one, is in it.
    """

    type: Literal["add_points"]
    programme: Part = Field(description="The programme.")
    points: Whole = Field(description="How many; less than 0 takes them away.")
    tiers: dict[Name, Whole] = Field(
        default_factory=dict, max_length=100, description="The points that each tier needs."
    )

    label: ClassVar[str] = "Loyalty points"
    help: ClassVar[str] = "Adds points in a loyalty programme, or takes some away."
    example: ClassVar[Mapping[str, Any]] = {"programme": "club", "points": 30}

    @model_validator(mode="after")
    def _tiers_differ(self) -> Self:
        if len(set(self.tiers.values())) != len(self.tiers):
            raise ValueError("two tiers need the same points")
        return self

    def describe(self) -> str:
        """How many points."""
        verb, word = ("Take", "from") if self.points < 0 else ("Add", "in")
        return f"{verb} {abs(self.points):,} points {word} `{self.programme}`"

    def done(self, node_id: str) -> Mapping[str, NodeBase] | NodeBase:
        """A sum in `points:<programme>`, then a change of `tier:<programme>` where it is another.

        A tier that the customer is in already is not set again, so that nobody hears of a change.
        """
        name, tier = f"points:{self.programme}", f"tier:{self.programme}"
        if not self.tiers:
            return self.become(AddToAttribute, attribute=name, by=self.points)
        ranked = sorted(self.tiers, key=lambda each: -self.tiers[each])
        asks = [f"{node_id}~at{place}" for place in range(len(ranked))]
        group: dict[str, NodeBase] = {
            f"{node_id}~add": AddToAttribute.helper(asks[0], attribute=name, by=self.points)
        }
        for place, each in enumerate(ranked):
            change, held = f"{node_id}~to{place}", f"{node_id}~in{place}"
            onward = asks[place + 1] if place + 1 < len(ranked) else node_id
            enough = AttributeTest.model_validate({"attribute": name, "at_least": self.tiers[each]})
            same = AttributeTest.model_validate({"attribute": tier, "is": each})
            group[asks[place]] = ConditionNode.helper({"yes": held, "no": onward}, if_=enough)
            group[held] = ConditionNode.helper({"yes": node_id, "no": change}, if_=same)
            group[change] = SetAttribute.helper(node_id, attribute=tier, value=each)
        return {**group, node_id: passage(self)}


class SetTier(_Change):
    """Put the customer into a tier of a loyalty programme."""

    type: Literal["set_tier"]
    programme: Part = Field(description="The programme.")
    tier: Name = Field(description="The tier.")

    label: ClassVar[str] = "Loyalty tier"
    help: ClassVar[str] = "Puts the customer into a tier of a loyalty programme."
    example: ClassVar[Mapping[str, Any]] = {"programme": "club", "tier": "gold"}

    def describe(self) -> str:
        """The tier."""
        return f"Put into the tier `{self.tier}` of `{self.programme}`"

    def done(self, node_id: str) -> NodeBase:
        """A change of `tier:<programme>`."""
        return self.become(SetAttribute, attribute=f"tier:{self.programme}", value=self.tier)
