"""Declare changes of the customer's record as events, and values that it comes to.

A run hears of each change that somebody or itself makes (`core.internal_events`). What compares a
value is a segment that is joined, or a condition that is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from core.catalogue.base import Category, NodeBase
from core.catalogue.listening import WaitCondition
from core.catalogue.occurrences import Occurrence
from core.catalogue.timeouts import TIMEOUT, Timed, not_negative
from core.catalogue.triggers import OnSegment
from core.catalogue.words import AtStage, Part, Whole
from core.conditions import AttributeTest, Condition, DurationField, Name
from core.internal_events import ChangeKind, Family, change_event
from core.phrases import describe_condition


class Change(Occurrence):
    """Any change of an attribute, a tag or a group."""

    attribute: Name | None = Field(None, description="The attribute.")
    tag: Name | None = Field(None, description="The tag.")
    group: Name | None = Field(None, description="The group.")
    change: ChangeKind = Field(
        "any", description="What change; a tag or group is raised when it is given."
    )

    word: ClassVar[str] = "change"
    label: ClassVar[str] = "Record changed"
    help: ClassVar[str] = "an attribute, a tag or a group of the customer changed."
    example: ClassVar[Mapping[str, Any]] = {"attribute": "city", "change": "changed"}

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if sum(name is not None for name in (self.attribute, self.tag, self.group)) != 1:
            raise ValueError("state one of 'attribute', 'tag' and 'group'")
        return self

    @property
    def event(self) -> str:
        """The internal event of the change."""
        subjects: tuple[tuple[Family, str | None], ...] = (
            ("attribute", self.attribute),
            ("tag", self.tag),
            ("group", self.group),
        )
        [found] = [change_event(f, name, self.change) for f, name in subjects if name is not None]
        return found

    @property
    def happens(self) -> str:
        """The kind of change and what changes."""
        if self.attribute is None:
            what = f"the {'tag' if self.tag else 'group'} `{self.tag or self.group}`"
            kinds = {"raised": "given", "lowered": "taken"}
            return f"{what} being {kinds.get(self.change, 'given or taken')}"
        kinds = {"first": "set first", "any": "changed in any way"}
        return f"`{self.attribute}` being {kinds.get(self.change, self.change)}"


class TagAdded(Occurrence):
    """A tag is put on the customer who did not carry it."""

    tag: Name = Field(description="The tag.")

    word: ClassVar[str] = "tag_added"
    label: ClassVar[str] = "Tag added"
    help: ClassVar[str] = "a tag was put on the customer."
    example: ClassVar[Mapping[str, Any]] = {"tag": "vip"}

    @property
    def event(self) -> str:
        """The internal event of the change."""
        return change_event("tag", self.tag, "raised")

    @property
    def happens(self) -> str:
        """The tag."""
        return f"the tag `{self.tag}` being added"


class DetailAdded(Occurrence):
    """An attribute gets its first value."""

    attribute: Name = Field(description="The attribute.")

    word: ClassVar[str] = "detail_added"
    label: ClassVar[str] = "New detail"
    help: ClassVar[str] = "an attribute of the customer got its first value."
    example: ClassVar[Mapping[str, Any]] = {"attribute": "city"}

    @property
    def event(self) -> str:
        """The internal event of the change."""
        return change_event("attribute", self.attribute, "first")

    @property
    def happens(self) -> str:
        """The attribute."""
        return f"`{self.attribute}` getting its first value"


class DetailChanged(Occurrence):
    """An attribute that had a value gets another one."""

    attribute: Name = Field(description="The attribute.")

    word: ClassVar[str] = "detail_changed"
    label: ClassVar[str] = "Detail changed"
    help: ClassVar[str] = "an attribute of the customer got another value."
    example: ClassVar[Mapping[str, Any]] = {"attribute": "city"}

    @property
    def event(self) -> str:
        """The internal event of the change."""
        return change_event("attribute", self.attribute, "changed")

    @property
    def happens(self) -> str:
        """The attribute."""
        return f"`{self.attribute}` getting another value"


class RfmChanged(Occurrence):
    """The RFM status becomes another one."""

    word: ClassVar[str] = "rfm_changed"
    label: ClassVar[str] = "RFM status changed"
    help: ClassVar[str] = "the customer's RFM status became another one."

    @property
    def event(self) -> str:
        """The internal event of the change."""
        return change_event("attribute", "rfm", "changed")

    @property
    def happens(self) -> str:
        """The status."""
        return "the RFM status changing"


class OwnerChanged(Occurrence):
    """The customer gets another main owner, or a user as co-owner."""

    co_owner: Part | None = Field(None, description="The user, for a new co-owner.")

    word: ClassVar[str] = "owner_changed"
    label: ClassVar[str] = "New owner"
    help: ClassVar[str] = "the customer got a new owner or co-owner."

    @property
    def event(self) -> str:
        """The internal event of the change."""
        if self.co_owner is not None:
            return change_event("group", f"co_owner:{self.co_owner}", "raised")
        return change_event("attribute", "owner", "any")

    @property
    def happens(self) -> str:
        """The owner, or the co-owner."""
        return f"`{self.co_owner}` becoming a co-owner" if self.co_owner else "a new owner"


class TierChanged(Occurrence):
    """The customer moves to another tier of a loyalty programme."""

    programme: Part = Field(description="The programme.")

    word: ClassVar[str] = "tier_changed"
    label: ClassVar[str] = "Loyalty tier changed"
    help: ClassVar[str] = "the customer moved to a tier of a loyalty programme."
    example: ClassVar[Mapping[str, Any]] = {"programme": "club"}

    @property
    def event(self) -> str:
        """The internal event of the change."""
        return change_event("attribute", f"tier:{self.programme}", "any")

    @property
    def happens(self) -> str:
        """The programme."""
        return f"a new tier in `{self.programme}`"


class PointsEarned(Occurrence):
    """The customer's points in a loyalty programme become more."""

    programme: Part = Field(description="The programme.")

    word: ClassVar[str] = "points_earned"
    label: ClassVar[str] = "Loyalty points earned"
    help: ClassVar[str] = "the customer earned points in a loyalty programme."
    example: ClassVar[Mapping[str, Any]] = {"programme": "club"}

    @property
    def event(self) -> str:
        """The internal event of the change."""
        return change_event("attribute", f"points:{self.programme}", "raised")

    @property
    def happens(self) -> str:
        """The programme."""
        return f"points earned in `{self.programme}`"


class _Joined(NodeBase):
    trigger: ClassVar[bool] = True

    @property
    def condition(self) -> Condition:
        raise TypeError(f"{type(self).__name__} says nothing of whom it is for")

    def lowered(self, node_id: str) -> NodeBase:
        """A segment of those for whom it holds, who join it."""
        return self.become(OnSegment, if_=self.condition, members="joining")


class _Awaited(Timed):
    timeout: Annotated[
        DurationField | None,
        AfterValidator(not_negative),
        Field(description="How long to wait at most."),
    ] = None

    outs: ClassVar[tuple[str, ...]] = ("met", TIMEOUT)

    @property
    def condition(self) -> Condition:
        raise TypeError(f"{type(self).__name__} says nothing of what it waits for")

    def lowered(self, node_id: str) -> NodeBase:
        """A wait for the condition."""
        return self.become(WaitCondition, if_=self.condition, timeout=self.timeout)


class _Stage(NodeBase):
    campaign: Part = Field(description="The campaign.")
    stage: Name = Field(description="The stage.")

    category: ClassVar[Category] = "Events"
    example: ClassVar[Mapping[str, Any]] = {"campaign": "autumn", "stage": "won"}

    @property
    def condition(self) -> Condition:
        return AtStage(at_stage=self.stage, campaign=self.campaign).meant()


class _Score(NodeBase):
    reaches: Whole | None = Field(None, description="It comes to this or more.")
    exceeds: Whole | None = Field(None, description="It comes to more than this.")
    falls_to: Whole | None = Field(None, description="It comes to this or less.")
    tag: Part | None = Field(None, description="The tag of which it is the score.")

    category: ClassVar[Category] = "Events"
    example: ClassVar[Mapping[str, Any]] = {"reaches": 100}

    @model_validator(mode="after")
    def _one_value(self) -> Self:
        if sum(v is not None for v in (self.reaches, self.exceeds, self.falls_to)) != 1:
            raise ValueError("state one of 'reaches', 'exceeds' and 'falls_to'")
        return self

    @property
    def condition(self) -> Condition:
        name = "score" if self.tag is None else f"score:{self.tag}"
        return AttributeTest(
            attribute=name, at_least=self.reaches, above=self.exceeds, at_most=self.falls_to
        )


class OnStage(_Stage, _Joined):
    """Trigger: the customer comes to a stage of a campaign."""

    type: Literal["on_stage"]

    label: ClassVar[str] = "Comes to a stage"
    help: ClassVar[str] = "Customers enter when they come to a stage of a campaign's funnel."

    def describe(self) -> str:
        """The stage."""
        return f"Enter on coming to the stage `{self.stage}` of `{self.campaign}`"


class WaitStage(_Stage, _Awaited):
    """Wait until the customer is at a stage of a campaign."""

    type: Literal["wait_stage"]

    label: ClassVar[str] = "Wait: comes to a stage"
    help: ClassVar[str] = "Waits until the customer is at a stage of a campaign's funnel."

    def describe(self) -> str:
        """The stage."""
        return f"Wait until at the stage `{self.stage}` of `{self.campaign}`"


class OnScore(_Score, _Joined):
    """Trigger: a score comes to a value."""

    type: Literal["on_score"]

    label: ClassVar[str] = "Score comes to a value"
    help: ClassVar[str] = "Customers enter when a score rises or falls to a value."

    def describe(self) -> str:
        """The score and the value."""
        return f"Enter on coming to match: {describe_condition(self.condition)}"


class WaitScore(_Score, _Awaited):
    """Wait until a score is at a value."""

    type: Literal["wait_score"]

    label: ClassVar[str] = "Wait: score comes to a value"
    help: ClassVar[str] = "Waits until a score has risen or fallen to a value."

    def describe(self) -> str:
        """The score and the value."""
        return f"Wait until {describe_condition(self.condition)}"
