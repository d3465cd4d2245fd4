"""Declare what customers do that has a standard name: each event is a trigger and a wait.

A class here says what the event is called and by which of its properties it can be chosen;
`paired` makes the two node types of it, `on_<name>` and `wait_<name>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, cast

from pydantic import Field, StrictFloat, StrictInt, create_model

from core.catalogue.base import Category, NodeBase, NodeId
from core.catalogue.channels import Reach
from core.catalogue.timeouts import TIMEOUT, Timed
from core.catalogue.triggers import OnEvent
from core.catalogue.waits import WaitEvent
from core.conditions import (
    DurationField,
    Filter,
    FilterAllOf,
    FilterNot,
    Model,
    Name,
    PropertyTest,
    Scalar,
)
from core.phrases import where_text

Money = Annotated[StrictInt | StrictFloat, Field(ge=-(2**53), le=2**53)]
Tests = list[Model]


class Occurrence(NodeBase):
    """An event with a standard name; `word` is the end of the names of its two node types."""

    where: Filter | None = Field(None, description="What else the event must be like.")

    word: ClassVar[str]
    category: ClassVar[Category] = "Events"

    @property
    def event(self) -> str:
        """The name of the event."""
        return self.word

    @property
    def happens(self) -> str:
        """What happens, in words."""
        return f"`{self.event}`"

    @property
    def told(self) -> Tests:
        """The tests of the event's properties that the fields amount to."""
        return []

    @property
    def filter(self) -> Filter | None:
        """All that the event must be like."""
        tests: list[Any] = [*self.told, *([] if self.where is None else [self.where])]
        return None if not tests else tests[0] if len(tests) == 1 else FilterAllOf(all=tests)


class _Trigger(Occurrence):
    trigger: ClassVar[bool] = True

    def describe(self) -> str:
        return f"Enter on {self.happens}{where_text(self.filter)}"

    def lowered(self, node_id: str) -> NodeBase:
        return self.become(OnEvent, event=self.event, where=self.filter)


class _Wait(Timed, Occurrence):
    message: NodeId | None = Field(None, description="A message: only answers to it count.")
    timeout: DurationField | None = Field(None, description="How long to wait at most.")

    outs: ClassVar[tuple[str, ...]] = ("event", TIMEOUT)

    def describe(self) -> str:
        message = f" on `{self.message}`" if self.message else ""
        return f"Wait for {self.happens}{message}{where_text(self.filter)}{self.at_most}"

    def lowered(self, node_id: str) -> NodeBase:
        return self._wait()

    def _wait(self) -> WaitEvent:
        return self.become(
            WaitEvent,
            event=self.event,
            where=self.filter,
            message=self.message,
            timeout=self.timeout,
        )


def paired(occurrence: type[Occurrence]) -> list[type[NodeBase]]:
    """The trigger and the wait of an event."""
    first, rest = occurrence.label[0], occurrence.label[1:]
    return [
        _made(_Trigger, "on", occurrence, first + rest, f"Customers enter when {occurrence.help}"),
        _made(_Wait, "wait", occurrence, f"Wait: {first.lower()}{rest}",
              f"Waits until {occurrence.help}"),
    ]  # fmt: skip


def _made(
    kind: type[Occurrence], prefix: str, occurrence: type[Occurrence], label: str, help_text: str
) -> type[NodeBase]:
    make: Any = create_model
    made: Any = make(
        prefix.title() + occurrence.__name__,
        __base__=(kind, occurrence),
        __module__=__name__,
        __doc__=f"{help_text}",
        type=(Literal[f"{prefix}_{occurrence.word}"], ...),
    )
    made.label, made.help = label, help_text
    return cast("type[NodeBase]", made)


def _is(**properties: Scalar | None) -> Tests:
    """Tests that properties have these values; None asks nothing."""
    return [
        PropertyTest.model_validate({"property": name, "is": value})
        for name, value in properties.items()
        if value is not None
    ]


class ContactAdded(Occurrence):
    """The customer is known for the first time."""

    word: ClassVar[str] = "contact_added"
    label: ClassVar[str] = "Contact added"
    help: ClassVar[str] = "the customer was added."


class ContactReadded(Occurrence):
    """A known customer is added again."""

    word: ClassVar[str] = "contact_readded"
    label: ClassVar[str] = "Contact added again"
    help: ClassVar[str] = "a known customer was added again."


class BannerClicked(Occurrence):
    """A banner is clicked."""

    banner: Name | None = Field(None, description="The banner; any unless stated.")

    word: ClassVar[str] = "banner_clicked"
    label: ClassVar[str] = "Banner clicked"
    help: ClassVar[str] = "the customer clicked a banner."

    @property
    def told(self) -> Tests:
        """The banner."""
        return _is(banner=self.banner)


class EmailOpened(Occurrence):
    """An e-mail is opened."""

    template: Name | None = Field(None, description="The e-mail; any unless stated.")

    word: ClassVar[str] = "email_opened"
    label: ClassVar[str] = "E-mail opened"
    help: ClassVar[str] = "the customer opened an e-mail."

    @property
    def told(self) -> Tests:
        """The e-mail."""
        return _is(template=self.template)


class EmailClicked(Occurrence):
    """A link in an e-mail is clicked."""

    template: Name | None = Field(None, description="The e-mail; any unless stated.")
    link: Name | None = Field(None, description="The link; any unless stated.")

    word: ClassVar[str] = "email_clicked"
    label: ClassVar[str] = "Link in an e-mail clicked"
    help: ClassVar[str] = "the customer clicked a link in an e-mail."

    @property
    def told(self) -> Tests:
        """The e-mail and the link."""
        return _is(template=self.template, link=self.link)


class PageVisited(Occurrence):
    """A page is visited."""

    url: Name | None = Field(None, description="The whole address.")
    containing: Name | None = Field(None, description="A part of the address.")

    word: ClassVar[str] = "page_visited"
    label: ClassVar[str] = "Page visited"
    help: ClassVar[str] = "the customer visited a page."

    @property
    def told(self) -> Tests:
        """The address, or a part of it."""
        part = PropertyTest(property="url", contains=self.containing) if self.containing else None
        return [*_is(url=self.url), *([part] if part else [])]


class NoteAdded(Occurrence):
    """Somebody writes a note about the customer."""

    containing: Name | None = Field(None, description="A part of the note.")

    word: ClassVar[str] = "note_added"
    label: ClassVar[str] = "Note added"
    help: ClassVar[str] = "somebody wrote a note about the customer."

    @property
    def told(self) -> Tests:
        """A part of the note."""
        if self.containing is None:
            return []
        return [PropertyTest(property="note", contains=self.containing)]


class SubscriptionConfirmed(Occurrence):
    """A double opt-in is confirmed."""

    channel: Reach | None = Field(None, description="The channel; any unless stated.")

    word: ClassVar[str] = "subscription_confirmed"
    label: ClassVar[str] = "Subscription confirmed"
    help: ClassVar[str] = "the customer confirmed a subscription."

    @property
    def told(self) -> Tests:
        """The channel."""
        return _is(channel=self.channel)


class SubscriptionResigned(Occurrence):
    """A subscription is ended."""

    channel: Reach | None = Field(None, description="The channel; any unless stated.")

    word: ClassVar[str] = "subscription_resigned"
    label: ClassVar[str] = "Subscription ended"
    help: ClassVar[str] = "the customer ended a subscription."

    @property
    def told(self) -> Tests:
        """The channel."""
        return _is(channel=self.channel)


class SmsUnsubscribed(Occurrence):
    """The subscription of SMS is ended."""

    word: ClassVar[str] = "sms_unsubscribed"
    label: ClassVar[str] = "Unsubscribed from SMS"
    help: ClassVar[str] = "the customer ended the subscription of SMS."

    @property
    def event(self) -> str:
        """The end of any subscription."""
        return "subscription_resigned"

    @property
    def told(self) -> Tests:
        """The channel."""
        return _is(channel="sms")


class ExternalEvent(Occurrence):
    """An event of the tenant's own happens."""

    name: Name = Field(description="The name of the event.")

    word: ClassVar[str] = "external_event"
    label: ClassVar[str] = "External event"
    help: ClassVar[str] = "an event of one's own happened, such as a full cart."
    example: ClassVar[Mapping[str, Any]] = {"name": "cart_filled"}

    @property
    def event(self) -> str:
        """Its own name."""
        return self.name


class ExternalEventModified(Occurrence):
    """An event that happened before is corrected, such as a cart."""

    name: Name | None = Field(None, description="The name of the event; any unless stated.")

    word: ClassVar[str] = "external_event_modified"
    label: ClassVar[str] = "External event modified"
    help: ClassVar[str] = "an earlier event was corrected."

    @property
    def told(self) -> Tests:
        """The name of the event."""
        return _is(event=self.name)


class Purchase(Occurrence):
    """Something is bought."""

    at_least: Money | None = Field(None, description="The least amount.")

    word: ClassVar[str] = "purchase"
    label: ClassVar[str] = "Purchase"
    help: ClassVar[str] = "the customer bought something."

    @property
    def told(self) -> Tests:
        """The amount."""
        if self.at_least is None:
            return []
        return [PropertyTest(property="amount", at_least=self.at_least)]


class ProductChanged(Occurrence):
    """An attribute of an item that the customer is interested in changes."""

    attribute: Name = Field(description="The attribute of the item, such as price.")
    product: Name | None = Field(None, description="The item; any unless stated.")
    falls_below: Money | None = Field(None, description="It comes from this or above to below.")
    rises_above: Money | None = Field(None, description="It comes from this or below to above.")
    becomes: Name | None = Field(None, description="The text that it becomes.")

    word: ClassVar[str] = "product_changed"
    label: ClassVar[str] = "Product changed"
    help: ClassVar[str] = "an item that the customer is interested in changed."
    example: ClassVar[Mapping[str, Any]] = {"attribute": "price", "falls_below": 100}

    @property
    def told(self) -> Tests:
        """The item, the attribute and where it comes from and goes to."""
        tests = _is(attribute=self.attribute, product=self.product, after_text=self.becomes)
        if self.falls_below is not None:
            tests += [
                PropertyTest(property="before", at_least=self.falls_below),
                PropertyTest(property="after", below=self.falls_below),
            ]
        if self.rises_above is not None:
            tests += [
                PropertyTest(property="before", at_most=self.rises_above),
                PropertyTest(property="after", above=self.rises_above),
            ]
        if self.becomes is not None:
            same = PropertyTest.model_validate({"property": "before_text", "is": self.becomes})
            tests.append(FilterNot.model_validate({"not": same}))
        return tests


class GeoEntered(Occurrence):
    """The customer comes into a fence."""

    fence: Name | None = Field(None, description="The fence; any unless stated.")

    word: ClassVar[str] = "geo_entered"
    label: ClassVar[str] = "Came into a fence"
    help: ClassVar[str] = "the customer came near, such as to a shop."

    @property
    def told(self) -> Tests:
        """The fence."""
        return _is(fence=self.fence)


class GeoExited(Occurrence):
    """The customer leaves a fence."""

    fence: Name | None = Field(None, description="The fence; any unless stated.")

    word: ClassVar[str] = "geo_exited"
    label: ClassVar[str] = "Left a fence"
    help: ClassVar[str] = "the customer went away, such as from a shop."

    @property
    def told(self) -> Tests:
        """The fence."""
        return _is(fence=self.fence)
