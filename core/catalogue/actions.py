"""Define what all actions share: each may be delayed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import Field, model_validator

from core.catalogue.base import Category, NodeBase
from core.catalogue.waits import Wait
from core.conditions import DurationField


class Action(NodeBase):
    """A node that does something at once, or after its `delay`."""

    delay: DurationField | None = Field(None, description="How long to wait before it.")

    category: ClassVar[Category] = "Actions"

    @model_validator(mode="after")
    def _not_negative(self) -> Self:
        if self.delay and min(self.delay.months, self.delay.days, self.delay.ms) < 0:
            raise ValueError("a delay can't be negative")
        return self

    def done(self, node_id: str) -> Mapping[str, NodeBase] | NodeBase:
        """What it stands for apart from its delay, as `lowered` says."""
        return self if self.delay is None else self.model_copy(update={"delay": None})

    def lowered(self, node_id: str) -> Mapping[str, NodeBase] | NodeBase:
        """A wait before what is done, where there is a delay."""
        done = self.done(node_id)
        if self.delay is None:
            return done
        group = {node_id: done} if isinstance(done, NodeBase) else done
        first = Wait.helper(next(iter(group)), for_=self.delay)
        return {f"{node_id}~delay": first, **group}
