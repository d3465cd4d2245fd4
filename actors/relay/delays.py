"""Delays are told while they last: effects that stand in the outbox for long are reported once.

A wait that starts at hand-over must learn that there was none. This is a reader of its own that
runs ahead of the lane, and remembers in the outbox how far it came.
"""

from __future__ import annotations

from actors.relay.effects import Effect
from actors.relay.feed import Feed, IsOurs
from actors.relay.ledger import Ledger
from actors.relay.outbox import START, Cursor
from actors.relay.results import DELAY_TOLD_MS, Result
from actors.relay.rows import encode_cursor
from actors.relay.services import Services

DELAYS_AT_ONCE = 1_000


class Delays:
    """The delays of one lane's backlog."""

    def __init__(
        self,
        lane: str,
        ledger: Ledger,
        services: Services,
        is_ours: IsOurs,
    ) -> None:
        self._name = f"delay/{lane}"
        self._ledger = ledger
        self._services = services
        self._is_ours = is_ours
        self._feed = Feed(ledger, START, is_ours)

    async def open(self) -> None:
        """Go on where the last reader stopped."""
        self._feed = Feed(self._ledger, await self._ledger.saved(self._name), self._is_ours)

    async def tell(self, taken: Cursor, now_ms: int) -> None:
        """Report effects beyond `taken` that were committed DELAY_TOLD_MS before `now_ms`, UTC."""
        if self._feed.cursor < taken:
            self._feed = Feed(self._ledger, taken, self._is_ours)

        def is_recent(effect: Effect | None) -> bool:
            return effect is not None and now_ms - effect.committed_ms < DELAY_TOLD_MS

        while late := await self._feed.take(DELAYS_AT_ONCE, is_recent):
            for effect, _, _, _ in late:
                if effect is not None:
                    result = Result("message_delayed", effect, now_ms, "backlog")
                    await self._services.report(result)
            await self._ledger.write({self._name: encode_cursor(self._feed.cursor)})
