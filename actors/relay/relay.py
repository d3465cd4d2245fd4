"""The relay empties one partition's outbox: a lane for each provider, and the parked messages.

Everything is sent at least once under a key that never changes. What could not be sent, and what
may have been, is parked with its reason until somebody sends it again or lets it be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from actors.relay.channels.base import Message
from actors.relay.channels.render import Encoding
from actors.relay.effects import Effect
from actors.relay.lane import Lane
from actors.relay.ledger import Ledger
from actors.relay.outbox import Outbox
from actors.relay.outcomes import Dead, Outcome
from actors.relay.provider import Provider
from actors.relay.routes import UNROUTED, Routes
from actors.relay.rows import Row, decode_row, encode_row
from actors.relay.services import Services
from actors.relay.tally import LOOK_S, Tally
from core.errors import HeadraceError


class _NoProvider:
    """Takes what has no provider, so that it is counted rather than stuck."""

    keyed = True
    key_ttl_ms = 0
    parts: Mapping[str, Encoding] = {}
    optional: frozenset[str] = frozenset()

    async def send(self, message: Message) -> Outcome:
        return Dead("no_provider")

    async def close(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Parked:
    """A message that waits for a person, as a list shows it: nothing personal."""

    provider: str
    key: str
    state: str
    reason: str
    attempts: int
    effect: Effect | None


class Relay:
    """Sends what one outbox holds. One relay at a time may work on an outbox."""

    def __init__(
        self, outbox: Outbox, providers: Mapping[str, Provider], services: Services
    ) -> None:
        """`providers` has the provider of each channel; several channels may share one.

        Raises ValueError if two providers have one name.
        """
        self.tally = Tally()
        """What became of messages, and what waits."""
        self._ledger = Ledger(outbox)
        lanes = {channel: provider.name for channel, provider in providers.items()}
        self._routes = Routes(lanes)
        by_name: dict[str, Provider] = {UNROUTED: Provider(UNROUTED, _NoProvider())}
        for provider in providers.values():
            if by_name.setdefault(provider.name, provider) is not provider:
                raise ValueError(f"two providers are named {provider.name}")
        self._lanes = {
            name: Lane(
                provider,
                self._ledger,
                services,
                self._routes.is_for(name),
                [channel for channel, lane in lanes.items() if lane == name],
                self.tally,
            )
            for name, provider in by_name.items()
        }
        self._services = services
        # Two who decide on one message at a time must not both send it.
        self._deciding = asyncio.Lock()

    async def run(self) -> None:
        """Work until `stop`. Raises an ExceptionGroup with what the outbox raised."""
        try:
            await self._routes.settle(self._ledger)
            # Every lane's cursor must be known before any lane lets blocks be trimmed.
            for name in self._lanes:
                await self._ledger.open(name)
        except Exception as error:
            raise ExceptionGroup("the relay cannot start", [error]) from None
        looking = asyncio.create_task(self._look())
        try:
            async with asyncio.TaskGroup() as group:
                for lane in self._lanes.values():
                    group.create_task(lane.run())
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def _look(self) -> None:
        """Keep looking at what waits, until cancelled; what fails is told by the lanes."""
        while True:
            with suppress(HeadraceError):
                found = [await lane.backlog() for lane in self._lanes.values()]
                since = [oldest for _, oldest in found if oldest is not None]
                self.tally.looked(sum(depth for depth, _ in found), min(since, default=None))
            await asyncio.sleep(LOOK_S)

    def stop(self) -> None:
        """Take nothing new; `run` returns once what is under way is settled."""
        for lane in self._lanes.values():
            lane.stop()

    async def parked(self, provider: str, after: str = "", limit: int = 100) -> list[Parked]:
        """Up to `limit` parked messages of a provider with keys above `after`, ascending."""
        prefix = self._lane(provider).name("parked", "")
        found = await self._ledger.rows(prefix, prefix + after, limit)
        listed = []
        for name, data in found:
            row = decode_row(data)
            key = name.removeprefix(prefix)
            listed.append(Parked(provider, key, row.state, row.reason, row.attempts, row.effect))
        return listed

    async def redrive(self, provider: str, key: str, expires_ms: int | None = None) -> bool:
        """Send a parked message again under its old key; False if it is not (or no longer) parked.

        With `expires_ms` (UTC) it is wanted until then, whatever the machine had said about its
        expiry, caps and quiet hours. Raises ValueError for one that cannot be read.
        """
        self._lane(provider)
        return await self.redrive_all([(provider, key)], expires_ms, unreadable="raise") == 1

    async def redrive_all(
        self,
        parked: Sequence[tuple[str, str]],
        expires_ms: int | None = None,
        *,
        unreadable: Literal["raise", "skip"] = "skip",
    ) -> int:
        """Send parked messages, each a provider's name and a key, again; returns how many were.

        A message goes by the provider that its channel has now: it may have had none before. All
        are taken up in one transaction. `expires_ms` as in `redrive`.
        """
        changes: dict[str, bytes | None] = {}
        taken: list[tuple[Lane, str, Row]] = []
        async with self._deciding:
            for provider, key in dict.fromkeys(parked):
                lane = self._lanes.get(provider)
                row = None if lane is None else await self._parked_row(lane, key)
                if lane is None or row is None:
                    continue
                if row.effect is None:
                    if unreadable == "skip":
                        continue
                    raise ValueError(f"{key} cannot be read as a message, only discarded")
                effect = row.effect
                if expires_ms is not None:
                    effect = replace(effect, expires_ms=expires_ms, fresh_until_ms=expires_ms)
                row = Row(effect, "waiting", due_ms=self._services.clock())
                target = self._lanes[self._routes.lane_of(effect.channel)]
                changes[lane.name("parked", key)] = None
                changes[target.name("pending", key)] = encode_row(row)
                taken.append((target, key, row))
            if changes:
                await self._ledger.write(changes)
        for target, key, row in taken:
            target.enqueue(key, row)
        return len(taken)

    async def discard(self, provider: str, key: str) -> bool:
        """Forget a parked message; False if it is not (or no longer) parked."""
        self._lane(provider)
        return await self.discard_all([(provider, key)]) == 1

    async def discard_all(self, parked: Sequence[tuple[str, str]]) -> int:
        """Forget parked messages, each a provider's name and a key; returns how many there were."""
        changes: dict[str, bytes | None] = {}
        async with self._deciding:
            for provider, key in dict.fromkeys(parked):
                lane = self._lanes.get(provider)
                if lane is not None and await self._parked_row(lane, key) is not None:
                    changes[lane.name("parked", key)] = None
            if changes:
                await self._ledger.write(changes)
        return len(changes)

    async def settled(self) -> None:
        """Return once every attempt that is now under way has ended: what it knew is forgotten."""
        await asyncio.gather(*(lane.settled() for lane in self._lanes.values()))

    async def enable(self, provider: str, address: str) -> bool:
        """Send to an address again that asked not to be sent to; False if it had not.

        Messages to it that are parked stay so until they are redriven.
        """
        return await self._lane(provider).enable(address)

    def _lane(self, provider: str) -> Lane:
        if provider not in self._lanes:
            raise KeyError(f"no provider is named {provider}")
        return self._lanes[provider]

    async def _parked_row(self, lane: Lane, key: str) -> Row | None:
        wanted = lane.name("parked", key)
        for name, data in await self._ledger.rows(wanted, "", 1):
            if name == wanted:
                return decode_row(data)
        return None
