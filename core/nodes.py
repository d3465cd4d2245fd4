"""Declare the node types: what each is configured with and through which ports a token leaves it.

Ports are apart from configuration: every node has one field `next`, a node id (or a list of them,
which forks) for a node with a single port, a mapping from port to ids for the others. So the
document, the compiler and an editor handle edges alike for every type.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    WithJsonSchema,
    model_validator,
)

from core import limits
from core.conditions import (
    Condition,
    DurationField,
    Filter,
    Model,
    Name,
    Number,
    Scalar,
    WindowField,
)

NodeId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
PortName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.%-]{0,63}$")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Channel = Literal["email", "sms", "push", "web_push", "whatsapp", "in_app", "webhook"]
CHANNELS: tuple[Channel, ...] = (
    "email",
    "sms",
    "push",
    "web_push",
    "whatsapp",
    "in_app",
    "webhook",
)
DAY_MS = 86_400_000
TIMEOUT = "timeout"


def _targets(value: object) -> object:
    return [value] if isinstance(value, str) else value


Targets = Annotated[list[NodeId], BeforeValidator(_targets), Field(max_length=limits.EDGES_MAX)]


def _next(value: object) -> object:
    return {"next": value} if isinstance(value, str | list) else value


Edges = Annotated[dict[str, Targets], BeforeValidator(_next)]


def _time_of_day(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= DAY_MS:
        return value
    match = (
        re.fullmatch(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", value)
        if isinstance(value, str)
        else None
    )
    if match is None:
        raise ValueError("a time of day is text such as '09:00'")
    hour, minute, second = (int(part or 0) for part in match.groups())
    if minute > 59 or second > 59 or hour * 3600 + minute * 60 + second > 86_400:
        raise ValueError("a time of day lies between 00:00 and 24:00")
    return ((hour * 60 + minute) * 60 + second) * 1000


def _time_of_day_text(ms: int) -> str:
    seconds = ms // 1000
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    return text if seconds % 60 == 0 else f"{text}:{seconds % 60:02d}"


TimeOfDay = Annotated[
    int,
    BeforeValidator(_time_of_day),
    PlainSerializer(_time_of_day_text, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["09:00"]}),
]
"""Milliseconds since local midnight, 0 to 86,400,000."""


def _weight(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"([0-9]{1,3})(?:\.([0-9]{1,2}))?\s*%", value.strip())
        if match is None:
            raise ValueError("a weight is a percentage such as '33.33%', or 10,000ths such as 3333")
        return int(match.group(1)) * 100 + int((match.group(2) or "").ljust(2, "0"))
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a weight is a percentage such as '33.33%', or 10,000ths such as 3333")
    return value


def _weight_text(weight: int) -> str:
    return f"{weight / 100:g}%"


Weight = Annotated[
    int,
    BeforeValidator(_weight),
    Field(ge=0, le=limits.WEIGHT_TOTAL),
    PlainSerializer(_weight_text, return_type=str),
    WithJsonSchema({"anyOf": [{"type": "string", "examples": ["50%"]}, {"type": "integer"}]}),
]
"""A share in 10,000ths."""


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


class NodeBase(Model):
    """What all nodes have: a type, an optional title and note for people, and edges."""

    type: str
    title: str | None = Field(None, max_length=limits.NAME_CHARS_MAX)
    note: str | None = Field(None, max_length=4096)
    next: Edges = Field(default_factory=dict)

    trigger: ClassVar[bool] = False
    waits: ClassVar[bool] = False

    @property
    def ports(self) -> tuple[str, ...]:
        """The names of the ports in their declared order; a port's number is its place here."""
        return ("next",)

    def targets(self, port: str) -> list[str]:
        """The ids of the nodes that `port` leads to, in order; several fork."""
        return self.next.get(port, [])


class OnEvent(NodeBase):
    """Trigger: the customer does an event that passes the filter."""

    type: Literal["on_event"]
    event: Name
    where: Filter | None = None
    trigger: ClassVar[bool] = True


class OnSegment(NodeBase):
    """Trigger: the customer matches a condition at the start, or comes to match it later."""

    type: Literal["on_segment"]
    if_: Condition = Field(alias="if")
    members: Literal["all", "at_start", "joining"] = "all"
    trigger: ClassVar[bool] = True


class OnSchedule(NodeBase):
    """Trigger: a fixed time comes round, for every customer who matches the condition then."""

    type: Literal["on_schedule"]
    repeat: Literal["once", "daily", "weekly", "monthly"]
    at: TimeOfDay
    date: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None = None
    weekdays: list[Weekday] | None = Field(None, min_length=1)
    days: list[Annotated[StrictInt, Field(ge=1, le=31)]] | None = Field(None, min_length=1)
    every: Annotated[StrictInt, Field(ge=1, le=1000)] = 1
    zone: Literal["flow", "customer"] = "flow"
    if_: Condition | None = Field(None, alias="if")
    trigger: ClassVar[bool] = True

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        needs = {"once": "date", "weekly": "weekdays", "monthly": "days"}.get(self.repeat)
        stated = [n for n in ("date", "weekdays", "days") if getattr(self, n) is not None]
        if stated != ([needs] if needs else []):
            wanted = f"needs '{needs}' and nothing else of" if needs else "takes none of"
            raise ValueError(f"a schedule that repeats {self.repeat} {wanted} date, weekdays, days")
        if self.at == DAY_MS:
            raise ValueError("a schedule's time of day is before 24:00")
        return self


class ConditionNode(NodeBase):
    """Ask a yes / no question."""

    type: Literal["condition"]
    if_: Condition = Field(alias="if")

    @property
    def ports(self) -> tuple[str, ...]:
        """`yes` and `no`."""
        return ("yes", "no")


class BranchAttribute(NodeBase):
    """Branch on the value of one attribute; the first branch that lists it is taken."""

    type: Literal["branch_attribute"]
    attribute: Name
    branches: dict[
        PortName,
        Annotated[
            list[Scalar],
            BeforeValidator(_listed),
            Field(min_length=1, max_length=limits.VALUES_MAX),
        ],
    ] = Field(min_length=1)

    @property
    def ports(self) -> tuple[str, ...]:
        """The branches in declared order, then `other`."""
        return (*self.branches, "other")


class BranchTag(NodeBase):
    """Branch on the tags of the customer; the first branch of which any tag is carried is taken."""

    type: Literal["branch_tag"]
    branches: dict[
        PortName,
        Annotated[
            list[Name], BeforeValidator(_listed), Field(min_length=1, max_length=limits.VALUES_MAX)
        ],
    ] = Field(min_length=1)

    @property
    def ports(self) -> tuple[str, ...]:
        """The branches in declared order, then `other`."""
        return (*self.branches, "other")


class Wait(NodeBase):
    """Wait for a duration: days and longer on the wall clock, hours and shorter elapsed."""

    type: Literal["wait"]
    for_: DurationField = Field(alias="for")
    waits: ClassVar[bool] = True

    @model_validator(mode="after")
    def _not_negative(self) -> Self:
        if min(self.for_.months, self.for_.days, self.for_.ms) < 0:
            raise ValueError("a wait can't be negative")
        return self


LOCAL_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,3})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?$"
)


class WaitUntil(NodeBase):
    """Wait until a date and time.

    Without an offset it is local, in the customer's or the flow's zone.
    """

    type: Literal["wait_until"]
    at: Annotated[StrictStr, Field(pattern=LOCAL_TIME)]
    zone: Literal["customer", "flow"] = "customer"
    waits: ClassVar[bool] = True


class WaitDate(NodeBase):
    """Wait until a date attribute, earlier or later by an offset, at a local time of day."""

    type: Literal["wait_date"]
    attribute: Name
    offset: DurationField | None = None
    at: TimeOfDay | None = None
    waits: ClassVar[bool] = True

    @property
    def ports(self) -> tuple[str, ...]:
        """`next`, and `missing` for those without the date."""
        return ("next", "missing")


class WaitEvent(NodeBase):
    """Wait for an event that passes the filter, and no longer than the timeout."""

    type: Literal["wait_event"]
    event: Name
    where: Filter | None = None
    message: NodeId | None = None
    timeout: DurationField | None = None
    entry: StrictBool = False
    waits: ClassVar[bool] = True

    @property
    def ports(self) -> tuple[str, ...]:
        """`event`, and `timeout` where one is set."""
        return ("event",) if self.timeout is None else ("event", "timeout")

    @model_validator(mode="after")
    def _not_negative(self) -> Self:
        if self.timeout and min(self.timeout.months, self.timeout.days, self.timeout.ms) < 0:
            raise ValueError("a timeout can't be negative")
        return self


class EventTest(Model):
    """An event that passes the filter."""

    event: Name
    where: Filter | None = None


class WaitAny(NodeBase):
    """Wait for one of several events, each with its own port, and no longer than the timeout."""

    type: Literal["wait_any"]
    events: dict[PortName, EventTest] = Field(min_length=1, max_length=limits.VALUES_MAX)
    timeout: DurationField | None = None
    waits: ClassVar[bool] = True

    @property
    def ports(self) -> tuple[str, ...]:
        """The events in declared order, then `timeout` where one is set."""
        return tuple(self.events) if self.timeout is None else (*self.events, TIMEOUT)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.timeout and min(self.timeout.months, self.timeout.days, self.timeout.ms) < 0:
            raise ValueError("a timeout can't be negative")
        if TIMEOUT in self.events:
            raise ValueError("the port 'timeout' is that of the timeout; name the event otherwise")
        return self


class WaitCondition(NodeBase):
    """Wait until a condition on the customer holds, and no longer than the timeout."""

    type: Literal["wait_condition"]
    if_: Condition = Field(alias="if")
    timeout: DurationField | None = None
    waits: ClassVar[bool] = True

    @property
    def ports(self) -> tuple[str, ...]:
        """`met`, and `timeout` where one is set."""
        return ("met",) if self.timeout is None else ("met", TIMEOUT)

    @model_validator(mode="after")
    def _not_negative(self) -> Self:
        if self.timeout and min(self.timeout.months, self.timeout.days, self.timeout.ms) < 0:
            raise ValueError("a timeout can't be negative")
        return self


class Slot(Model):
    """A half-open time of day [from, until) on some weekdays, all of them unless stated."""

    from_: TimeOfDay = Field(alias="from")
    until: TimeOfDay
    days: list[Weekday] = Field(default_factory=lambda: list(WEEKDAYS), min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ >= self.until:
            raise ValueError("a slot ends after it begins; write two slots for one across midnight")
        return self

    @property
    def weekday_mask(self) -> int:
        """Bit 0 is Monday."""
        return sum(1 << WEEKDAYS.index(day) for day in set(self.days))


class WaitSlot(NodeBase):
    """Wait for the next slot of the customer's local week; inside one, go on at once.

    Those who waited for a slot to begin go on spread over `spread`, so that not all do at once.
    """

    type: Literal["wait_slot"]
    slots: list[Slot] = Field(min_length=1, max_length=168)
    spread: WindowField | None = None
    waits: ClassVar[bool] = True


class Split(NodeBase):
    """Assign customers to branches at random, by weights; sticky unless stated otherwise."""

    type: Literal["split"]
    branches: dict[PortName, Weight] = Field(min_length=1)
    sticky: StrictBool = True

    @property
    def ports(self) -> tuple[str, ...]:
        """The branches in declared order."""
        return tuple(self.branches)


class Target(Model):
    """What counts as a success: an event within a window after the start, filter passed."""

    event: Name
    where: Filter | None = None
    within: WindowField


BEST = "best"


class Until(Model):
    """When a test ends: after so many people, in favour of its best branch or of a named one."""

    people: Annotated[StrictInt, Field(ge=1, le=limits.PEOPLE_MAX)]
    then: PortName = BEST
    decide: Literal["matured", "at_count"] = "matured"

    @model_validator(mode="after")
    def _only_the_best_is_decided(self) -> Self:
        if self.then != BEST and "decide" in self.model_fields_set:
            raise ValueError("'decide' is for `then: best`; a named branch is decided already")
        return self


class ABTest(NodeBase):
    """Split customers into named branches and judge each by a target event."""

    type: Literal["ab_test"]
    branches: dict[PortName, Weight] = Field(min_length=2)
    target: Target
    sticky: StrictBool = True
    until: Until | None = None

    @property
    def ports(self) -> tuple[str, ...]:
        """The branches in declared order."""
        return tuple(self.branches)


class TakeCoupon(NodeBase):
    """Take one coupon out of a pool, if there is one left."""

    type: Literal["take_coupon"]
    pool: Name

    @property
    def ports(self) -> tuple[str, ...]:
        """`taken`, and `sold_out` for those who come too late."""
        return ("taken", "sold_out")


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


class AddTag(NodeBase):
    """Put a tag on the customer."""

    type: Literal["add_tag"]
    tag: Name


class RemoveTag(NodeBase):
    """Take a tag from the customer."""

    type: Literal["remove_tag"]
    tag: Name


class SetAttribute(NodeBase):
    """Set an attribute to a value."""

    type: Literal["set_attribute"]
    attribute: Name
    value: Scalar


class AddToAttribute(NodeBase):
    """Add a number to an attribute; a missing one counts as 0."""

    type: Literal["add_to_attribute"]
    attribute: Name
    by: Number


class AddToGroup(NodeBase):
    """Put the customer into a group."""

    type: Literal["add_to_group"]
    group: Name


class RemoveFromGroup(NodeBase):
    """Take the customer out of a group."""

    type: Literal["remove_from_group"]
    group: Name


class End(NodeBase):
    """Take the token out of the flow, or with `whole_flow` all tokens of its entry."""

    type: Literal["end"]
    whole_flow: StrictBool = False

    @property
    def ports(self) -> tuple[str, ...]:
        """None: nothing follows an end."""
        return ()


NODE_TYPES: dict[str, type[NodeBase]] = {
    model.model_fields["type"].annotation.__args__[0]: model  # type: ignore[union-attr]
    for model in (
        OnEvent, OnSegment, OnSchedule, ConditionNode, BranchAttribute, BranchTag, Wait, WaitUntil,
        WaitDate, WaitEvent, WaitAny, WaitCondition, WaitSlot, Split, ABTest, TakeCoupon, Send,
        AddTag, RemoveTag, SetAttribute, AddToAttribute, AddToGroup, RemoveFromGroup, End,
    )
}  # fmt: skip


def _node_tag(value: object) -> str | None:
    name = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"#{name}" if isinstance(name, str) and name in NODE_TYPES else None


Node = Annotated[
    Annotated[OnEvent, Tag("#on_event")]
    | Annotated[OnSegment, Tag("#on_segment")]
    | Annotated[OnSchedule, Tag("#on_schedule")]
    | Annotated[ConditionNode, Tag("#condition")]
    | Annotated[BranchAttribute, Tag("#branch_attribute")]
    | Annotated[BranchTag, Tag("#branch_tag")]
    | Annotated[Wait, Tag("#wait")]
    | Annotated[WaitUntil, Tag("#wait_until")]
    | Annotated[WaitDate, Tag("#wait_date")]
    | Annotated[WaitEvent, Tag("#wait_event")]
    | Annotated[WaitAny, Tag("#wait_any")]
    | Annotated[WaitCondition, Tag("#wait_condition")]
    | Annotated[WaitSlot, Tag("#wait_slot")]
    | Annotated[Split, Tag("#split")]
    | Annotated[ABTest, Tag("#ab_test")]
    | Annotated[TakeCoupon, Tag("#take_coupon")]
    | Annotated[Send, Tag("#send")]
    | Annotated[AddTag, Tag("#add_tag")]
    | Annotated[RemoveTag, Tag("#remove_tag")]
    | Annotated[SetAttribute, Tag("#set_attribute")]
    | Annotated[AddToAttribute, Tag("#add_to_attribute")]
    | Annotated[AddToGroup, Tag("#add_to_group")]
    | Annotated[RemoveFromGroup, Tag("#remove_from_group")]
    | Annotated[End, Tag("#end")],
    Discriminator(
        _node_tag,
        custom_error_type="node_type",
        custom_error_message="unknown node type; the types are: " + ", ".join(NODE_TYPES),
    ),
]
