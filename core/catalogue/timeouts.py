"""Define what waits with a timeout share: its port, its check, its words and its timer."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import model_validator

from core.catalogue.base import NodeBase
from core.conditions import DurationField
from core.duration import Duration

TIMEOUT = "timeout"


def not_negative(timeout: Duration | None) -> Duration | None:
    """The timeout; ValueError where it is less than nothing."""
    if timeout and min(timeout.months, timeout.days, timeout.ms) < 0:
        raise ValueError("a timeout can't be negative")
    return timeout


class Timed(NodeBase):
    """A wait that may last no longer than its `timeout`; the last of `outs` is the port of that."""

    timeout: DurationField | None = None

    waits: ClassVar[bool] = True

    @property
    def ports(self) -> tuple[str, ...]:
        """Those of `outs`; the one for the timeout only where one is set."""
        return self.outs if self.timeout is not None else self.outs[:-1]

    @model_validator(mode="after")
    def _timeout_is_not_negative(self) -> Self:
        not_negative(self.timeout)
        return self

    @property
    def at_most(self) -> str:
        """The timeout behind what is waited for, such as ', at most 3 days'."""
        return "" if self.timeout is None else f", at most {self.timeout}"

    def set_timer(self, row: Any) -> None:
        """Write the timeout into the node's record (NODE)."""
        from core.program import FLAG_TIMEOUT, duration_fields

        if self.timeout is not None:
            row["flags"] |= FLAG_TIMEOUT
            row["months"], row["days"], row["ms"] = duration_fields(self.timeout)
