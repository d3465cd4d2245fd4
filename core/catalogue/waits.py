"""Declare the waits: nodes at which a token stands still, for a time or until something happens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, field_validator, model_validator

from core import limits
from core.answers import ANSWERS, answer_salt, signed
from core.catalogue.base import Category, NodeBase, NodeId
from core.catalogue.timeouts import TIMEOUT, Timed
from core.conditions import DurationField, Filter, Name, WindowField
from core.duration import DAY_MS, Duration, fixed_ms
from core.outcomes import Outcome
from core.phrases import listed_text, where_text
from core.wall_clock import LOCAL_TIME, Slot, TimeOfDay, time_of_day_text

if TYPE_CHECKING:
    from core.compiler import Compiler


class Wait(NodeBase):
    """Wait for a duration: days and longer on the wall clock, hours and shorter elapsed."""

    type: Literal["wait"]
    for_: DurationField = Field(alias="for")

    category: ClassVar[Category] = "Process control"
    label: ClassVar[str] = "Wait"
    help: ClassVar[str] = "Waits for some time."
    example: ClassVar[Mapping[str, Any]] = {"for": "1 day"}
    waits: ClassVar[bool] = True

    @model_validator(mode="after")
    def _not_negative(self) -> Self:
        if min(self.for_.months, self.for_.days, self.for_.ms) < 0:
            raise ValueError("a wait can't be negative")
        return self

    def describe(self) -> str:
        """How long."""
        return f"Wait {self.for_}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A timer that is due so much later."""
        from core.program import Op, duration_fields

        row["op"] = Op.WAIT_FOR
        row["months"], row["days"], row["ms"] = duration_fields(self.for_)


class WaitUntil(NodeBase):
    """Wait until a date and time.

    Without an offset it is local, in the customer's or the flow's zone.
    """

    type: Literal["wait_until"]
    at: Annotated[StrictStr, Field(pattern=LOCAL_TIME)]
    zone: Literal["customer", "flow"] = "customer"

    category: ClassVar[Category] = "Process control"
    label: ClassVar[str] = "Wait until a time"
    help: ClassVar[str] = "Waits until a date and time; goes on at once where it has passed."
    example: ClassVar[Mapping[str, Any]] = {"at": "2026-06-01T09:00"}
    waits: ClassVar[bool] = True

    def describe(self) -> str:
        """The moment, and on whose clock."""
        if datetime.fromisoformat(self.at).utcoffset() is not None:
            return f"Wait until {self.at.replace('T', ' ').replace('Z', ' UTC')}"
        return f"Wait until {self.at.replace('T', ' ')} ({self.zone}'s time)"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A timer; the binder works out when it is due."""
        from core.program import Op

        row["op"] = Op.WAIT_AT


class WaitDate(NodeBase):
    """Wait until a date attribute, earlier or later by an offset, at a local time of day."""

    type: Literal["wait_date"]
    attribute: Name
    offset: DurationField | None = None
    at: TimeOfDay | None = None

    category: ClassVar[Category] = "Process control"
    label: ClassVar[str] = "Wait for a date"
    help: ClassVar[str] = "Waits until a date of the customer's own, or some days before or after."
    example: ClassVar[Mapping[str, Any]] = {"attribute": "due", "offset": "-7 days"}
    outs: ClassVar[tuple[str, ...]] = ("next", "missing")
    falls_out: ClassVar[Mapping[str, Outcome]] = {"missing": Outcome.NO_DATE}
    waits: ClassVar[bool] = True

    def describe(self) -> str:
        """The offset, the date and the time of day."""
        at = "" if self.at is None else f" at {time_of_day_text(self.at)}"
        if self.offset is None or self.offset == Duration():
            return f"Wait until `{self.attribute}`{at}"
        later = min(self.offset.months, self.offset.days, self.offset.ms) >= 0
        span = str(self.offset).removeprefix("-")
        return f"Wait until {span} {'after' if later else 'before'} `{self.attribute}`{at}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A timer that is due by the value of a column."""
        from core.program import Op, duration_fields

        row["op"], row["a"] = Op.WAIT_DATE, compiler.column("attribute", self.attribute)
        if self.offset is not None:
            row["months"], row["days"], row["ms"] = duration_fields(self.offset)
        row["x"] = -1 if self.at is None else self.at
        compiler.touch(i, {int(row["a"])})


class WaitEvent(Timed):
    """Wait for an event that passes the filter, and no longer than the timeout."""

    type: Literal["wait_event"]
    event: Name
    where: Filter | None = None
    message: NodeId | None = None
    entry: StrictBool = False

    category: ClassVar[Category] = "Events"
    label: ClassVar[str] = "Wait for an event"
    help: ClassVar[str] = "Waits until the customer does something, or a time is over."
    example: ClassVar[Mapping[str, Any]] = {"event": "purchase", "timeout": "1 day"}
    outs: ClassVar[tuple[str, ...]] = ("event", TIMEOUT)

    def describe(self) -> str:
        """The event, its filter and the timeout."""
        message = f" on `{self.message}`" if self.message else ""
        start = "Enter on, or wait for," if self.entry else "Wait for"
        return f"{start} `{self.event}`{message}{where_text(self.where)}{self.at_most}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A filter and a timer, and a trigger where entries begin here too."""
        from core.program import Op, TriggerKind

        row["op"], row["cond"] = Op.WAIT_EVENT, compiler.graph(self.where, 1, 0)
        compiler.events.add(self.event)
        self.set_timer(row)
        if self.message is not None:
            row["b"] = compiler.index[self.message]
            row["x"] = signed(answer_salt(compiler.flow.flow, self.message))
            compiler.properties(ANSWERS)
        if self.entry:
            compiler.trigger(i, TriggerKind.EVENT, self.event, int(row["cond"]))


class WaitSlot(NodeBase):
    """Wait for the next slot of the customer's local week; inside one, go on at once.

    Those who waited for a slot to begin go on spread over `spread`, so that not all do at once.
    """

    type: Literal["wait_slot"]
    slots: list[Slot] = Field(min_length=1, max_length=limits.SLOTS_MAX)
    spread: WindowField | None = None

    category: ClassVar[Category] = "Process control"
    label: ClassVar[str] = "Wait for a time slot"
    help: ClassVar[str] = "Waits for the next good hours of the customer's week."
    example: ClassVar[Mapping[str, Any]] = {"slots": [{"from": "09:00", "until": "18:00"}]}
    waits: ClassVar[bool] = True

    def describe(self) -> str:
        """The slots."""
        apart = f", spread over {self.spread}" if self.spread else ""
        return f"Wait for {listed_text(slot.describe() for slot in self.slots)}{apart}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A timer that is due by a run of the slots."""
        from core.program import Op

        row["op"] = Op.WAIT_SLOT
        row["a"], row["b"] = compiler.slot_run(self.slots)
        row["ms"] = 0 if self.spread is None else fixed_ms(self.spread)


class WaitForDate(NodeBase):
    """Wait until a fixed date, or some time before it, such as 7 days before a sale."""

    type: Literal["wait_for_date"]
    date: Annotated[StrictStr, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] = Field(
        description="The date."
    )
    days_before: Annotated[StrictInt, Field(ge=0, le=3660)] = Field(
        0, description="How many days before it."
    )
    at: TimeOfDay = Field(0, description="The time of day.")
    zone: Literal["customer", "flow"] = "customer"

    category: ClassVar[Category] = "Process control"
    label: ClassVar[str] = "Wait for a fixed date"
    help: ClassVar[str] = "Waits until a date, or some days before it."
    example: ClassVar[Mapping[str, Any]] = {"date": "2026-11-27", "days_before": 7}
    waits: ClassVar[bool] = True

    @field_validator("date")
    @classmethod
    def _is_a_date(cls, value: str) -> str:
        if date.fromisoformat(value).year < 1900:
            raise ValueError("the date is too long ago")
        return value

    @field_validator("at")
    @classmethod
    def _before_midnight(cls, value: int) -> int:
        if value >= DAY_MS:
            raise ValueError("a time of day is before 24:00")
        return value

    def describe(self) -> str:
        """How many days before which date, at what time."""
        before = f"{self.days_before} days before " if self.days_before else ""
        return f"Wait until {before}{self.date} {time_of_day_text(self.at)} ({self.zone}'s time)"

    def lowered(self, node_id: str) -> NodeBase:
        """A wait until the date that comes of it."""
        day = date.fromisoformat(self.date) - timedelta(days=self.days_before)
        moment = f"{day.isoformat()}T{time_of_day_text(self.at)}"
        return self.become(WaitUntil, at=moment, zone=self.zone)
