"""Declare the triggers: what lets a customer enter a flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StrictInt, field_validator, model_validator

from core.catalogue.base import Category, NodeBase
from core.conditions import AllOf, Condition, Filter, GroupTest, MomentTest, Name, Not, walk
from core.duration import DAY_MS
from core.phrases import describe_condition, listed_text, where_text
from core.wall_clock import DAY_NAMES, TimeOfDay, Weekday, time_of_day_text

if TYPE_CHECKING:
    from core.compiler import Compiler

_MEMBER_BITS = {"all": 3, "at_start": 1, "joining": 2}
_MOMENT_BIT = 4  # the condition never holds longer than its moment
_MEMBER_PHRASES = {
    "all": "Enter when",
    "at_start": "Enter at the start if",
    "joining": "Enter on coming to match:",
}


class OnEvent(NodeBase):
    """Trigger: the customer does an event that passes the filter."""

    type: Literal["on_event"]
    event: Name
    where: Filter | None = None

    category: ClassVar[Category] = "Events"
    label: ClassVar[str] = "Event"
    help: ClassVar[str] = "Customers enter when they do something."
    example: ClassVar[Mapping[str, Any]] = {"event": "signed_up"}
    trigger: ClassVar[bool] = True

    def describe(self) -> str:
        """The event and its filter."""
        return f"Enter on `{self.event}`{where_text(self.where)}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A trigger with the filter's decision graph."""
        from core.program import Op, TriggerKind

        row["op"] = Op.TRIGGER
        compiler.trigger(i, TriggerKind.EVENT, self.event, compiler.graph(self.where, 1, 0))


class OnSegment(NodeBase):
    """Trigger: the customer matches a condition at the start, or comes to match it later."""

    type: Literal["on_segment"]
    if_: Condition = Field(alias="if")
    members: Literal["all", "at_start", "joining"] = "all"

    category: ClassVar[Category] = "Events"
    label: ClassVar[str] = "Segment"
    help: ClassVar[str] = "Customers enter who match a condition, now or once they come to."
    example: ClassVar[Mapping[str, Any]] = {"if": {"did": "signed_up"}}
    trigger: ClassVar[bool] = True

    def describe(self) -> str:
        """When members enter, and what makes a member."""
        return f"{_MEMBER_PHRASES[self.members]} {describe_condition(self.if_)}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A trigger with the condition's decision graph, and what is watched to judge it again."""
        from core.program import Op, TriggerKind

        row["op"] = Op.TRIGGER
        cond = compiler.graph(self.if_, 1, 0)
        moment = any(isinstance(part, MomentTest) for part in walk(self.if_))
        bits = _MEMBER_BITS[self.members] | (_MOMENT_BIT if moment else 0)
        compiler.trigger(i, TriggerKind.SEGMENT, None, cond, bits)
        columns, events = compiler.reads(self.if_)
        compiler.segment_columns |= columns
        compiler.segment_events |= events
        compiler.touch(i, columns)


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

    category: ClassVar[Category] = "Events"
    label: ClassVar[str] = "Schedule"
    help: ClassVar[str] = "Customers enter at a fixed time, once or again and again."
    example: ClassVar[Mapping[str, Any]] = {"repeat": "daily", "at": "09:00"}
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

    def describe(self) -> str:
        """The days, the time of day, on whose clock, and for whom."""
        unit = {"daily": "day", "weekly": "week", "monthly": "month"}.get(self.repeat, "")
        if self.repeat == "once":
            when = f"on {self.date}"
        else:
            when = f"every {unit}" if self.every == 1 else f"every {self.every} {unit}s"
        if self.weekdays:
            when += f" on {listed_text(DAY_NAMES[day] for day in self.weekdays)}"
        if self.days:
            when += f" on day {listed_text(map(str, self.days))}"
        zone = "flow's" if self.zone == "flow" else "customer's"
        condition = f" if {describe_condition(self.if_)}" if self.if_ else ""
        return f"Enter {when} at {time_of_day_text(self.at)} ({zone} time){condition}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A trigger with the condition's decision graph; the binder works out its times."""
        from core.program import Op, TriggerKind

        row["op"] = Op.TRIGGER
        compiler.trigger(i, TriggerKind.SCHEDULE, None, compiler.graph(self.if_, 1, 0))
        compiler.touch(i, compiler.reads(self.if_)[0])


class OnAnniversary(NodeBase):
    """Trigger: a date of the customer's comes round, such as a birthday, each year.

    29 February comes round on the 28th in other years. Who has no such date doesn't enter.
    """

    type: Literal["on_anniversary"]
    attribute: Name = Field(description="The attribute with the date.")
    at: TimeOfDay = Field(description="The time of day on the customer's clock.")
    days_before: Annotated[StrictInt, Field(ge=0, le=366)] = Field(
        0, description="How many days before it."
    )
    if_: Condition | None = Field(None, alias="if", description="Who enters, of those.")

    category: ClassVar[Category] = "Events"
    label: ClassVar[str] = "Anniversary"
    help: ClassVar[str] = "Customers enter each year when a date such as a birthday comes round."
    example: ClassVar[Mapping[str, Any]] = {"attribute": "birth_date", "at": "09:00"}
    trigger: ClassVar[bool] = True

    @field_validator("at")
    @classmethod
    def _before_midnight(cls, value: int) -> int:
        if value >= DAY_MS:
            raise ValueError("a time of day is before 24:00")
        return value

    def describe(self) -> str:
        """How many days before which date, at what time, and for whom."""
        before = f" {self.days_before} days before" if self.days_before else " when"
        condition = f" if {describe_condition(self.if_)}" if self.if_ else ""
        at = time_of_day_text(self.at)
        return f"Enter{before} `{self.attribute}` comes round at {at} (customer's time){condition}"

    def lowered(self, node_id: str) -> NodeBase:
        """A segment that is joined at the time of day, and left a millisecond later."""
        moment: Condition = MomentTest(
            attribute=self.attribute, anniversary_in_days=self.days_before, at=self.at
        )
        test = moment if self.if_ is None else AllOf.model_construct(all=[moment, self.if_])
        return self.become(OnSegment, if_=test, members="joining")


class OnGroup(NodeBase):
    """Trigger: the customer is in a static group at the start, or is put into it later."""

    type: Literal["on_group"]
    group: Name

    category: ClassVar[Category] = "Events"
    label: ClassVar[str] = "Group or list"
    help: ClassVar[str] = "Everybody in a group or an imported list enters, and who joins it later."
    example: ClassVar[Mapping[str, Any]] = {"group": "readers"}
    trigger: ClassVar[bool] = True

    def describe(self) -> str:
        """The group."""
        return f"Enter when in the group `{self.group}`"

    def lowered(self, node_id: str) -> NodeBase:
        """A segment of those in the group."""
        return self.become(OnSegment, if_=GroupTest(group=self.group), members="all")


class OnEnterSegment(NodeBase):
    """Trigger: the customer comes to match a condition."""

    type: Literal["on_enter_segment"]
    if_: Condition = Field(alias="if")

    category: ClassVar[Category] = "Events"
    label: ClassVar[str] = "Enters a segment"
    help: ClassVar[str] = "Customers enter when they come to match a condition."
    example: ClassVar[Mapping[str, Any]] = {"if": {"tag": "vip"}}
    trigger: ClassVar[bool] = True

    def describe(self) -> str:
        """The condition."""
        return f"Enter on coming to match: {describe_condition(self.if_)}"

    def lowered(self, node_id: str) -> NodeBase:
        """A segment of those who join it."""
        return self.become(OnSegment, if_=self.if_, members="joining")


class OnExitSegment(NodeBase):
    """Trigger: the customer no longer matches a condition."""

    type: Literal["on_exit_segment"]
    if_: Condition = Field(alias="if")

    category: ClassVar[Category] = "Events"
    label: ClassVar[str] = "Leaves a segment"
    help: ClassVar[str] = "Customers enter when they no longer match a condition."
    example: ClassVar[Mapping[str, Any]] = {"if": {"tag": "vip"}}
    trigger: ClassVar[bool] = True

    def describe(self) -> str:
        """The condition."""
        return f"Enter on no longer matching: {describe_condition(self.if_)}"

    def lowered(self, node_id: str) -> NodeBase:
        """A segment of those who join the rest."""
        rest = Not.model_construct(not_=self.if_)
        return self.become(OnSegment, if_=rest, members="joining")
