"""Declare words for what is often asked about a customer; each is read as the plain test it means.

The names in the customer record that they stand for are those of `core.record`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import ConfigDict, Field, StrictFloat, StrictInt, model_validator

from core import limits
from core.catalogue.channels import Reach
from core.fields import Model, Name, WindowField

if TYPE_CHECKING:
    from core.conditions import Condition

Whole = Annotated[StrictInt, Field(ge=-(2**53), le=2**53)]
Probability = Annotated[StrictInt | StrictFloat, Field(ge=0, le=1)]
Times = Annotated[StrictInt, Field(ge=1, le=limits.HISTORY_COUNT_MAX)]
Part = Annotated[str, Field(min_length=1, max_length=200)]
"""A name that another stands before, such as the programme in `points:<programme>`."""


class ConditionWord(Model):
    """A condition that means a plain one; its first own field is the word that tells it.

    `label` and `help` are for the palette.
    """

    # Built as parts of the one union of conditions.
    model_config = ConfigDict(defer_build=True)

    label: ClassVar[str]
    help: ClassVar[str]

    def meant(self) -> Condition:
        """The plain condition."""
        raise TypeError(f"no condition for {type(self).__name__}")


def _attribute(name: str, **comparison: Any) -> Condition:
    from core.conditions import AttributeTest

    return AttributeTest.model_validate({"attribute": name, **comparison})


def _did(
    event: str, properties: dict[str, str | None], within: Any = None, **count: Any
) -> Condition:
    from core.conditions import DidTest, FilterAllOf, PropertyTest

    tests = [
        PropertyTest.model_validate({"property": name, "is": value})
        for name, value in properties.items()
        if value is not None
    ]
    where = None if not tests else tests[0] if len(tests) == 1 else FilterAllOf(all=tests)
    return DidTest(did=event, where=where, within=within, **count)


class _Mail(Model):
    template: Name | None = None
    within: WindowField | None = None


class OpenedEmail(ConditionWord):
    """True where the customer opened an e-mail."""

    opened_email: _Mail = Field(description="Which one, and how long ago at most; {} for any.")

    label: ClassVar[str] = "Opened an e-mail"
    help: ClassVar[str] = "Whether the customer opened an e-mail."

    def meant(self) -> Condition:
        """An `email_opened` in the history."""
        asked = self.opened_email
        return _did("email_opened", {"template": asked.template}, asked.within)


class _Click(_Mail):
    link: Name | None = None


class ClickedEmail(ConditionWord):
    """True where the customer clicked a link in an e-mail."""

    clicked_email: _Click = Field(description="Which link of which e-mail; {} for any.")

    label: ClassVar[str] = "Clicked a link in an e-mail"
    help: ClassVar[str] = "Whether the customer clicked a link in an e-mail."

    def meant(self) -> Condition:
        """An `email_clicked` in the history."""
        asked = self.clicked_email
        told = {"template": asked.template, "link": asked.link}
        return _did("email_clicked", told, asked.within)


class WasSentEmail(ConditionWord):
    """True where an e-mail was sent to the customer."""

    was_sent_email: _Mail = Field(description="Which one, and how long ago at most; {} for any.")

    label: ClassVar[str] = "Was sent an e-mail"
    help: ClassVar[str] = "Whether an e-mail was sent to the customer."

    def meant(self) -> Condition:
        """A `message_sent` by e-mail in the history."""
        asked = self.was_sent_email
        return _did("message_sent", {"channel": "email", "template": asked.template}, asked.within)


class _Received(Model):
    channel: Reach = "email"
    at_least: Times | None = None
    at_most: Annotated[StrictInt, Field(ge=0, le=limits.HISTORY_COUNT_MAX)] | None = None
    exactly: Annotated[StrictInt, Field(ge=0, le=limits.HISTORY_COUNT_MAX)] | None = None
    within: WindowField | None = None

    @model_validator(mode="after")
    def _one_count(self) -> Self:
        if sum(v is not None for v in (self.at_least, self.at_most, self.exactly)) != 1:
            raise ValueError("state one of 'at_least', 'at_most' and 'exactly'")
        return self


class ReceivedMessages(ConditionWord):
    """True where the customer was sent so many messages on a channel."""

    received_messages: _Received = Field(description="How many, on which channel, since when.")

    label: ClassVar[str] = "Received so many messages"
    help: ClassVar[str] = "Whether the customer was sent so many messages, e-mails unless stated."

    def meant(self) -> Condition:
        """So many `message_sent` on the channel in the history."""
        asked = self.received_messages
        counts = {n: getattr(asked, n) for n in ("at_least", "at_most", "exactly")}
        count = {n: v for n, v in counts.items() if v is not None}
        return _did("message_sent", {"channel": asked.channel}, asked.within, **count)


class AtStage(ConditionWord):
    """True where the customer is at a stage of a campaign."""

    at_stage: Name = Field(description="The stage.")
    campaign: Part = Field(description="The campaign that has the stage.")

    label: ClassVar[str] = "Is at a stage of a campaign"
    help: ClassVar[str] = "Whether the customer is at a stage of a campaign's funnel."

    def meant(self) -> Condition:
        """A test of `stage:<campaign>`."""
        return _attribute(f"stage:{self.campaign}", **{"is": self.at_stage})


class OwnedBy(ConditionWord):
    """True where the customer's main owner is one of these users."""

    owner_in: list[Name] = Field(
        min_length=1, max_length=limits.VALUES_MAX, description="The users."
    )

    label: ClassVar[str] = "Main owner is one of"
    help: ClassVar[str] = "Whether one of some users is the customer's main owner."

    def meant(self) -> Condition:
        """A test of `owner`."""
        return _attribute("owner", one_of=self.owner_in)


class HasOwner(ConditionWord):
    """True where a user is the customer's owner or a co-owner."""

    has_owner: Part = Field(description="The user.")

    label: ClassVar[str] = "Has an owner or co-owner"
    help: ClassVar[str] = "Whether a user is the customer's owner or a co-owner."

    def meant(self) -> Condition:
        """A test of `owner`, or membership in `co_owner:<user>`."""
        from core.conditions import AnyOf, GroupTest

        main = _attribute("owner", **{"is": self.has_owner})
        return AnyOf(any=[main, GroupTest(group=f"co_owner:{self.has_owner}")])


class InRfm(ConditionWord):
    """True where the customer has one of these RFM statuses."""

    rfm_in: list[Name] = Field(
        min_length=1, max_length=limits.VALUES_MAX, description="The statuses."
    )

    label: ClassVar[str] = "Is in an RFM segment"
    help: ClassVar[str] = "Whether the customer has one of some RFM statuses."

    def meant(self) -> Condition:
        """A test of `rfm`."""
        return _attribute("rfm", one_of=self.rfm_in)


class Subscribed(ConditionWord):
    """True where the customer agreed to messages on a channel."""

    subscribed: Reach = Field(description="The channel.")

    label: ClassVar[str] = "Is subscribed"
    help: ClassVar[str] = "Whether the customer agreed to a channel, such as the newsletter's."

    def meant(self) -> Condition:
        """A test of `consent:<channel>`."""
        return _attribute(f"consent:{self.subscribed}", **{"is": True})


class Resigned(ConditionWord):
    """True where the customer ended a subscription; never having had one is something else."""

    resigned: Reach = Field(description="The channel.")

    label: ClassVar[str] = "Resigned from a subscription"
    help: ClassVar[str] = "Whether the customer ended the subscription of a channel."

    def meant(self) -> Condition:
        """A test of `consent:<channel>`."""
        return _attribute(f"consent:{self.resigned}", **{"is": False})


class Reachable(ConditionWord):
    """True where messages on a channel are known to arrive."""

    reachable: Reach = Field(description="The channel.")

    label: ClassVar[str] = "Is reachable"
    help: ClassVar[str] = "Whether messages on a channel are known to arrive."

    def meant(self) -> Condition:
        """A test of `reachable:<channel>`."""
        return _attribute(f"reachable:{self.reachable}", **{"is": True})


class ScoreReached(ConditionWord):
    """True where the contact score is at least so high."""

    score_reached: Whole = Field(description="The score.")

    label: ClassVar[str] = "Score reached"
    help: ClassVar[str] = "Whether the contact score is so high, or higher."

    def meant(self) -> Condition:
        """A test of `score`."""
        return _attribute("score", at_least=self.score_reached)


class ScoreExceeded(ConditionWord):
    """True where the contact score is higher."""

    score_exceeded: Whole = Field(description="The score.")

    label: ClassVar[str] = "Score exceeded"
    help: ClassVar[str] = "Whether the contact score is higher than this."

    def meant(self) -> Condition:
        """A test of `score`."""
        return _attribute("score", above=self.score_exceeded)


class TagScore(ConditionWord):
    """True where the score of a tag is at least so high."""

    tag_score: Part = Field(description="The tag.")
    reaches: Whole = Field(description="The score.")

    label: ClassVar[str] = "Tag score"
    help: ClassVar[str] = "Whether the score of a tag is so high, or higher."

    def meant(self) -> Condition:
        """A test of `score:<tag>`."""
        return _attribute(f"score:{self.tag_score}", at_least=self.reaches)


class HasNote(ConditionWord):
    """True where somebody wrote a note about the customer."""

    has_note: _Note = Field(description="What it says; {} for any.")

    label: ClassVar[str] = "Has a note"
    help: ClassVar[str] = "Whether somebody wrote a note about the customer, a flow included."

    def meant(self) -> Condition:
        """A `note_added` in the history, or a note that a flow wrote."""
        from core.conditions import AnyOf, DidTest, PropertyTest

        asked = self.has_note
        if asked.contains is None and asked.within is None:
            return AnyOf(any=[_did("note_added", {}), _attribute("notes", at_least=1)])
        where = None if asked.contains is None else PropertyTest(
            property="note", contains=asked.contains
        )  # fmt: skip
        return DidTest(did="note_added", where=where, within=asked.within)


class _Note(Model):
    contains: Name | None = None
    within: WindowField | None = None


class ChurnPredicted(ConditionWord):
    """True where the customer is likely to buy no more."""

    churn_at_least: Probability = Field(description="The chance, 0 to 1.")

    label: ClassVar[str] = "Churn predicted"
    help: ClassVar[str] = "Whether the predicted chance of losing the customer is so high."

    def meant(self) -> Condition:
        """A test of `churn`."""
        return _attribute("churn", at_least=float(self.churn_at_least))


class PurchasePredicted(ConditionWord):
    """True where the customer is likely to buy."""

    purchase_at_least: Probability = Field(description="The chance, 0 to 1.")

    label: ClassVar[str] = "Purchase predicted"
    help: ClassVar[str] = "Whether the predicted chance of a purchase is so high."

    def meant(self) -> Condition:
        """A test of `purchase_score`."""
        return _attribute("purchase_score", at_least=float(self.purchase_at_least))


class InTier(ConditionWord):
    """True where the customer is in a tier of a loyalty programme."""

    in_tier: Name = Field(description="The tier.")
    programme: Part = Field(description="The programme.")

    label: ClassVar[str] = "Is in a loyalty tier"
    help: ClassVar[str] = "Whether the customer is in a tier of a loyalty programme."

    def meant(self) -> Condition:
        """A test of `tier:<programme>`."""
        return _attribute(f"tier:{self.programme}", **{"is": self.in_tier})


class HasPoints(ConditionWord):
    """True where the customer has so many points in a loyalty programme."""

    has_points: Whole = Field(description="How many, or more.")
    programme: Part = Field(description="The programme.")

    label: ClassVar[str] = "Has loyalty points"
    help: ClassVar[str] = "Whether the customer has so many points in a loyalty programme."

    def meant(self) -> Condition:
        """A test of `points:<programme>`."""
        return _attribute(f"points:{self.programme}", at_least=self.has_points)


HasNote.model_rebuild()

WORDS: dict[str, type[ConditionWord]] = {
    next(iter(word.model_fields)): word
    for word in (
        AtStage, OpenedEmail, ClickedEmail, WasSentEmail, ReceivedMessages, OwnedBy, HasOwner,
        InRfm, Subscribed, Resigned, Reachable, ScoreReached, ScoreExceeded, TagScore, HasNote,
        ChurnPredicted, PurchasePredicted, InTier, HasPoints,
    )
}  # fmt: skip
"""The words by the field that tells them."""
