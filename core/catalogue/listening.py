"""Declare the waits that listen to more: one of several events, or a condition's coming true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from core import limits
from core.catalogue.base import Category, PortName
from core.catalogue.timeouts import TIMEOUT, Timed
from core.conditions import Condition, Filter, Model, Name
from core.phrases import describe_condition, listed_text, where_text

if TYPE_CHECKING:
    from core.compiler import Compiler


class EventTest(Model):
    """An event that passes the filter."""

    event: Name
    where: Filter | None = None


class WaitAny(Timed):
    """Wait for one of several events, each with its own port, and no longer than the timeout."""

    type: Literal["wait_any"]
    events: dict[PortName, EventTest] = Field(min_length=1, max_length=limits.LISTENS_MAX)

    category: ClassVar[Category] = "Events"
    label: ClassVar[str] = "Wait for one of several events"
    help: ClassVar[str] = "Waits until the first of several things happens, or a time is over."
    example: ClassVar[Mapping[str, Any]] = {"events": {"paid": {"event": "purchase"}}}
    outs: ClassVar[tuple[str, ...]] = (TIMEOUT,)
    by_branch: ClassVar[bool] = True

    @property
    def ports(self) -> tuple[str, ...]:
        """The events in declared order, then `timeout` where one is set."""
        return (*self.events, *super().ports)

    @model_validator(mode="after")
    def _no_event_is_called_timeout(self) -> Self:
        if TIMEOUT in self.events:
            raise ValueError("the port 'timeout' is that of the timeout; name the event otherwise")
        return self

    def describe(self) -> str:
        """The events, their filters and the timeout."""
        names = (f"`{each.event}`{where_text(each.where)}" for each in self.events.values())
        return f"Wait for one of {listed_text(names)}{self.at_most}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """A run of events with filters, and a timer."""
        from core.program import FLAG_SEVERAL, Op

        row["op"], row["x"], row["flags"] = Op.WAIT_EVENT, len(compiler.listens), FLAG_SEVERAL
        for each in self.events.values():
            compiler.events.add(each.event)
            compiler.listens.append((each.event, compiler.graph(each.where, 1, 0)))
        self.set_timer(row)


class WaitCondition(Timed):
    """Wait until a condition on the customer holds, and no longer than the timeout."""

    type: Literal["wait_condition"]
    if_: Condition = Field(alias="if")

    category: ClassVar[Category] = "Conditions"
    label: ClassVar[str] = "Wait until a condition holds"
    help: ClassVar[str] = "Waits until the customer is as asked for, or a time is over."
    example: ClassVar[Mapping[str, Any]] = {"if": {"tag": "vip"}}
    outs: ClassVar[tuple[str, ...]] = ("met", TIMEOUT)

    def describe(self) -> str:
        """The condition and the timeout."""
        return f"Wait until {describe_condition(self.if_)}{self.at_most}"

    def compiled(self, compiler: Compiler, i: int, row: Any) -> None:
        """An internal event that the condition's coming true is, and a timer."""
        from core.internal_events import met_event
        from core.program import FLAG_NOW, Op

        row["op"], row["flags"] = Op.WAIT_EVENT, FLAG_NOW
        row["x"] = compiler.turning(i, self.if_, met_event(compiler.node_ids[i]))
        self.set_timer(row)
        compiler.touch(i, compiler.reads(self.if_)[0])
