"""Declare what limits the messages of a flow: caps, quiet hours, blackouts, budgets, permissions.

Each holds for all messages that it fits: those on its channels, all of them unless stated, but for
the templates that it leaves out. Tasks, notes, alerts and the like are no messages. What these
settings make of a flow is in `core.control_lowering`.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, StrictInt, StrictStr, model_validator

from core import limits
from core.catalogue.channels import Channel, Reach
from core.conditions import PERIOD_MS, Period
from core.duration import DAY_MS, fixed_ms
from core.fields import Model, Name, Number, WindowField
from core.wall_clock import LOCAL_TIME, WEEKDAYS, Slot, TimeOfDay, Weekday, time_of_day_text

WEEK_MS = 7 * DAY_MS
CONTROLS_MAX = 100
"""How many of one kind a flow may have."""

Span = tuple[int, int]
"""A half-open stretch [begin, end) of the local week, ms since Monday 00:00."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Control(Model):
    """What limits some messages."""

    channels: Annotated[list[Reach], BeforeValidator(_listed)] = Field(
        default_factory=list, description="The channels that it holds for; all unless stated."
    )
    except_: Annotated[list[Name], BeforeValidator(_listed)] = Field(
        default_factory=list,
        alias="except",
        max_length=limits.VALUES_MAX,
        description="Templates that it doesn't hold for.",
    )

    def fits(self, channel: Channel, template: str) -> bool:
        """Whether it holds for a message; it is one of the channels that reach people."""
        return (not self.channels or channel in self.channels) and template not in self.except_


class Cap(Control):
    """How many messages a customer gets at most, within any time of a length or in each period."""

    at_most: Annotated[StrictInt, Field(ge=1, le=limits.HISTORY_COUNT_MAX)] = Field(
        description="How many messages."
    )
    within: WindowField | None = Field(
        None, description="The length of the rolling window; a day is 24 hours."
    )
    per: Period | None = Field(
        None, description="Instead: in each day, week or month of the customer's calendar."
    )

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if (self.within is None) is (self.per is None):
            raise ValueError("a cap states 'within' how long, or 'per' day, week or month")
        return self

    def lasts_as_long_as(self, other: Cap) -> bool:
        """Whether what lies in the other's window always lies in this one's."""
        if self.per is None or other.per is None:
            return self.within is not None and fixed_ms(self.within) >= other.longest_ms
        return self.per == other.per or other.per == "day"

    @property
    def longest_ms(self) -> int:
        """How long the window is at most."""
        if self.per is not None:
            return PERIOD_MS[self.per]
        assert self.within is not None
        return fixed_ms(self.within)

    def describe(self) -> str:
        """How many within which time."""
        if self.per is not None:
            return f"at most {self.at_most:,} a {self.per}"
        return f"at most {self.at_most:,} within {self.within}"


class QuietHours(Control):
    """Hours of the customer's clock in which messages wait until they are over, or are left out."""

    from_: TimeOfDay = Field(alias="from", description="When they begin.")
    until: TimeOfDay = Field(description="When they are over; the next day if it is earlier.")
    days: list[Weekday] = Field(
        default_factory=lambda: list(WEEKDAYS),
        min_length=1,
        description="The weekdays on which they begin; all unless stated.",
    )
    then: Literal["wait", "skip"] = Field(
        "wait", description="Whether messages wait until they are over, or are left out."
    )
    spread: WindowField | None = Field(
        None, description="Those who waited are sent to over so long, and not all at once."
    )

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.from_ == self.until:
            raise ValueError("quiet hours end at another time than they begin")
        if self.then == "skip" and self.spread is not None:
            raise ValueError("nobody waits with 'then: skip', so there is nothing to spread")
        return self

    @property
    def spans(self) -> list[Span]:
        """The stretches of the week that are quiet; one may end in the week after."""
        length = (self.until - self.from_) % DAY_MS or DAY_MS
        begins = [WEEKDAYS.index(day) * DAY_MS + self.from_ for day in set(self.days)]
        return [(begin, begin + length) for begin in sorted(begins)]

    def describe(self) -> str:
        """The hours."""
        return f"{time_of_day_text(self.from_)}–{time_of_day_text(self.until)}"


def loud_hours(quiet: list[QuietHours]) -> list[Slot]:
    """The slots of the week that are in none of the quiet hours, in order; none if all is quiet."""
    spans = sorted(
        (max(0, begin), min(end, WEEK_MS))
        for each in quiet
        for first, last in each.spans
        for begin, end in ((first, last), (first - WEEK_MS, last - WEEK_MS))
        if end > 0
    )
    slots: list[Slot] = []
    at = 0
    for begin, end in [*spans, (WEEK_MS, WEEK_MS)]:
        while at < begin:
            day = at // DAY_MS
            until = min(begin, (day + 1) * DAY_MS)
            slots.append(_slot(day, at - day * DAY_MS, until - day * DAY_MS))
            at = until
        at = max(at, end)
    return slots


def loud_shortest_ms(quiet: list[QuietHours]) -> int:
    """The shortest time between quiet hours, in ms of the wall clock; 0 if all is quiet."""
    slots = loud_hours(quiet)
    stretches: list[list[int]] = []
    for slot in slots:
        begin = WEEKDAYS.index(slot.days[0]) * DAY_MS
        first, last = begin + slot.from_, begin + slot.until
        if stretches and stretches[-1][1] == first:
            stretches[-1][1] = last
        else:
            stretches.append([first, last])
    if len(stretches) > 1 and stretches[0][0] == 0 and stretches[-1][1] == WEEK_MS:
        stretches[0][0] -= stretches[-1][1] - stretches[-1][0]
        stretches.pop()
    return min((last - first for first, last in stretches), default=0)


def _slot(day: int, from_ms: int, until_ms: int) -> Slot:
    return Slot.model_validate({"from": from_ms, "until": until_ms, "days": [WEEKDAYS[day]]})


class Blackout(Control):
    """A time in which nothing is sent: messages wait until it is over, or are left out.

    A date begins at midnight of the customer's clock, or with `zone: flow` of the flow's. A time
    of day without an offset is on the flow's clock.
    """

    from_: Annotated[StrictStr, Field(pattern=LOCAL_TIME)] = Field(
        alias="from", description="When it begins."
    )
    until: Annotated[StrictStr, Field(pattern=LOCAL_TIME)] = Field(
        description="When it is over; it does not hold any more at that time."
    )
    then: Literal["wait", "skip"] = Field(
        "wait", description="Whether messages wait until it is over, or are left out."
    )
    zone: Literal["customer", "flow"] = Field("customer", description="On whose clock dates begin.")

    def moment(self, text: str) -> str:
        """A date or time as it is compared: a date alone is one on the customer's clock."""
        return f"{text}T00:00" if self.zone == "flow" and "T" not in text else text

    def describe(self) -> str:
        """From when to when."""
        return f"{self.from_} to {self.until}".replace("T", " ")


class Budget(Control):
    """How many messages may be sent in all, or for how much money at a cost for each."""

    sends: Annotated[StrictInt, Field(ge=0, le=limits.PEOPLE_MAX)] | None = Field(
        None, description="How many messages."
    )
    amount: Annotated[Number, Field(ge=0, le=1e15)] | None = Field(
        None, description="How much money."
    )
    cost: Annotated[Number, Field(gt=0, le=1e15)] | None = Field(
        None, description="What one message costs, in the same money."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.sends is None) is (self.amount is None) or (self.cost is None) is not (
            self.amount is None
        ):
            raise ValueError("a budget states 'sends', or an 'amount' of money and a 'cost'")
        if self.messages > limits.PEOPLE_MAX:
            raise ValueError(f"a budget is for at most {limits.PEOPLE_MAX:,} messages")
        return self

    @property
    def messages(self) -> int:
        """For how many messages it is enough."""
        if self.sends is not None:
            return self.sends
        share = Decimal(str(self.amount)) / Decimal(str(self.cost))
        return int(share.to_integral_value(ROUND_FLOOR))

    def describe(self) -> str:
        """How many messages, or how much money."""
        if self.sends is not None:
            return f"{self.sends:,} messages"
        return f"{self.amount:,} at {self.cost:,} a message"


Consent = Literal["required", "unless_refused", "ignore"]
Reached = Literal["required", "unless_unreachable", "ignore"]


class MessageRules(Model):
    """What must be known of a customer before a message is sent.

    Where the settings have them, web push needs permission, a reply on WeChat an interaction within
    48 hours, and an attribute that a message is sent to a value, however the message is declared.
    """

    consent: Consent | dict[Reach, Consent] = Field(
        "unless_refused",
        description="Whether consent to the channel is required, or that it isn't refused.",
    )
    reachable: Reached | dict[Reach, Reached] = Field(
        "unless_unreachable",
        description="Whether the channel must be known to work, or not known to fail.",
    )
    addresses: dict[Reach, Name] = Field(
        default_factory=dict,
        description="By channel, the attribute with the address, for messages without `to`.",
    )

    def consent_to(self, channel: Reach) -> Consent:
        """What is asked of `consent:<channel>`."""
        if isinstance(self.consent, dict):
            return self.consent.get(channel, "unless_refused")
        return self.consent

    def reach_by(self, channel: Reach) -> Reached:
        """What is asked of `reachable:<channel>`."""
        if isinstance(self.reachable, dict):
            return self.reachable.get(channel, "unless_unreachable")
        return self.reachable

    def needs(self, name: str) -> bool:
        """Whether whoever lacks the attribute isn't sent to on some channel."""
        wanted = {*self.addresses.values()}
        for channel in get_args(Reach):
            if self.consent_to(channel) == "required":
                wanted.add(f"consent:{channel}")
            if self.reach_by(channel) == "required":
                wanted.add(f"reachable:{channel}")
        return name in wanted
