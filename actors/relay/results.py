"""Results tell a flow what became of its sends, as events under fixed names and fields.

A result is reported before it is marked, so one may be reported twice: `id` is the same both times.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from actors.relay.effects import Effect

Name = Literal[
    "message_sent",
    "message_delayed",
    "message_failed",
    "message_ambiguous",
    "message_expired",
    "message_skipped",
    "message_returned",
]
# A wait that starts at hand-over is told of delays beyond this.
DELAY_TOLD_MS = 300_000


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one effect at `at_ms`, UTC.

    `message_failed` has a reason and can be queued again by hand, `message_ambiguous` as well.
    `message_skipped`: a variable is missing and the template says not to send then.
    `message_returned`: the machine's answer about caps and quiet hours is stale; it decides anew.
    `delay_ms` is the time since the machine decided.
    """

    name: Name
    effect: Effect
    at_ms: int
    reason: str = ""
    attempts: int = 0
    message_id: str = ""

    @property
    def id(self) -> str:
        """What to deduplicate by: the send's key and the result's name."""
        return f"{self.effect.key}:{self.name}"

    @property
    def delay_ms(self) -> int:
        """Milliseconds since the machine decided to send."""
        return self.at_ms - self.effect.committed_ms

    def event(self) -> dict[str, str | int]:
        """Return the event's fields; none is personal."""
        effect = self.effect
        return {
            "id": self.id,
            "event": self.name,
            "customer": effect.customer,
            "time_ms": self.at_ms,
            "flow": effect.flow,
            "version": effect.version,
            "entry": effect.entry,
            "node": effect.node,
            "visit": effect.visit,
            "channel": effect.channel,
            "template": effect.template,
            "reason": self.reason,
            "attempts": self.attempts,
            "message_id": self.message_id,
            "delay_ms": self.delay_ms,
        }


Report = Callable[[Result], Awaitable[None]]
