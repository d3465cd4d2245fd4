"""Count what becomes of a relay's messages by channel, and what waits, for whoever watches it.

Counts begin anew with each relay, as counters of Prometheus may. What waits is looked at every few
seconds, up to a bound for each provider: beyond it the depth is at least that.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

LOOK_S = 5.0
LOOK_MAX = 2_000  # effects of one provider that are counted one by one

OUTCOMES = {
    # What a relay reports of a message, in words of numbers.
    "message_sent": "sent",
    "message_failed": "dead",
    "message_ambiguous": "ambiguous",
    "message_expired": "expired",
    "message_returned": "returned",
    "message_skipped": "skipped",
}
FAILED, RETRIED = "failed", "retried"  # an attempt that failed; one that another follows


class Tally:
    """The numbers of one relay. Its thread writes them, any thread may read them."""

    def __init__(self) -> None:
        """Begin with none."""
        self._counts: Counter[tuple[str, str]] = Counter()
        self.depth = 0
        self.oldest_ms: int | None = None

    def add(self, channel: str, outcome: str) -> None:
        """Count a message of a channel, or an attempt for one."""
        self._counts[channel, outcome] += 1

    def looked(self, depth: int, oldest_ms: int | None) -> None:
        """Keep how many messages wait, and since when the oldest does, ms UTC."""
        self.depth, self.oldest_ms = depth, oldest_ms

    def told(self, now_ms: int) -> dict[str, Any]:
        """`depth`, `oldest_age_ms` (0 where nothing waits), `counts` by channel and outcome."""
        counts: dict[str, dict[str, int]] = {}
        for (channel, outcome), count in self._counts.copy().items():
            counts.setdefault(channel, {})[outcome] = count
        age_ms = 0 if self.oldest_ms is None else max(0, now_ms - self.oldest_ms)
        return {"depth": self.depth, "oldest_age_ms": age_ms, "counts": counts}
