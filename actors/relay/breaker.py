"""A circuit breaker: stops asking a provider that keeps failing, then tries it with one message.

Closed, everything passes. After `failures_max` failures without a success between them it opens for
`open_ms`; then it is half open and lets a single probe pass. A probe that succeeds closes it, one
that fails opens it for twice as long, up to `open_max_ms`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "half_open"]


@dataclass(slots=True)
class Breaker:
    """The breaker of one provider; all times are UTC milliseconds, given by the caller."""

    failures_max: int = 5
    open_ms: int = 10_000
    open_max_ms: int = 300_000
    _failures: int = 0
    _opened: int = 0
    _until_ms: int = 0
    _paused_until_ms: int = 0
    _probing: bool = False

    def state(self, now_ms: int) -> State:
        """Return what it is at `now_ms`; a pause for Retry-After does not count as open."""
        if not self._opened:
            return "closed"
        return "open" if now_ms < self._until_ms else "half_open"

    def wait_ms(self, now_ms: int) -> int:
        """Return how long until something may pass, 0 if now (or once the probe has returned)."""
        until_ms = max(self._until_ms if self._opened else 0, self._paused_until_ms)
        return max(0, until_ms - now_ms)

    def permits(self, now_ms: int, wanted: int) -> int:
        """Return how many of `wanted` messages may be sent now, 0 to wanted; claims the probe."""
        if self.wait_ms(now_ms):
            return 0
        if not self._opened:
            return wanted
        if self._probing or not wanted:
            return 0
        self._probing = True
        return 1

    def succeeded(self) -> None:
        """Note that the provider answered as it should: the breaker closes."""
        self._failures = self._opened = 0
        self._probing = False

    def failed(self, now_ms: int) -> None:
        """Note a failure that is the provider's; the breaker opens when there are too many."""
        self._failures += 1
        # Messages that were under way when it opened say nothing new when they fail as well.
        if self._opened and not self._probing:
            return
        if self._probing or self._failures >= self.failures_max:
            self._until_ms = now_ms + min(self.open_max_ms, self.open_ms << min(self._opened, 20))
            self._opened += 1
            self._probing = False

    def released(self) -> None:
        """Give back a probe that came to no provider, such as a message that had expired."""
        self._probing = False

    def pause(self, until_ms: int) -> None:
        """Let nothing pass before `until_ms`, as the provider asked."""
        self._paused_until_ms = max(self._paused_until_ms, until_ms)
