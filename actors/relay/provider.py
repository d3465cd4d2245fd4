"""A provider: a channel, how much it may be asked at once, and how patient to be with it.

One provider object may serve the relays of many partitions: its breaker and its slots are what
they share.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from actors.relay.backoff import Backoff
from actors.relay.breaker import Breaker
from actors.relay.channels.base import Channel

HOUR_MS = 3_600_000


@dataclass(slots=True)
class Provider:
    """One way out under a name, which is also the name of its lane: letters, digits, - and _.

    `resend_ambiguous` is the policy for messages whose fate is unknown: False holds them for a
    person (marketing), True sends them again (transactional). `concurrency` is how many messages
    may be under way at once over all partitions, `waiting_max` how many of one partition may wait
    for another attempt before it takes no new ones, `attempts_max` how often one is tried.
    """

    name: str
    channel: Channel
    resend_ambiguous: bool = False
    concurrency: int = 16
    waiting_max: int = 1_000
    attempts_max: int = 30
    backoff: Backoff = field(default_factory=Backoff)
    breaker: Breaker = field(default_factory=Breaker)
    slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        if not self.name.replace("-", "").replace("_", "").isalnum() or not self.name.isascii():
            raise ValueError(f"provider {self.name!r}: expected letters, digits, - and _")
        for name in ("concurrency", "waiting_max", "attempts_max"):
            if getattr(self, name) < 1:
                raise ValueError(f"provider {self.name}: {name} is below 1")
        self.slots = asyncio.Semaphore(self.concurrency)

    def may_repeat(self, first_ms: int, at_ms: int) -> bool:
        """Whether a send of unknown fate may be repeated at `at_ms`: by policy, or by its key."""
        if self.resend_ambiguous:
            return True
        return self.channel.keyed and at_ms - first_ms <= self.channel.key_ttl_ms
