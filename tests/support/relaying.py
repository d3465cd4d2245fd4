"""A relay for tests: an outbox in memory, a loop in virtual time, providers that do as told."""

from __future__ import annotations

import asyncio
import selectors
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from actors.relay.channels.base import Message
from actors.relay.channels.render import Encoding, Source
from actors.relay.compose import Content
from actors.relay.effects import Effect, encode_effect
from actors.relay.outbox import START, Cursor
from actors.relay.outcomes import Delivered, Outcome
from actors.relay.provider import Provider
from actors.relay.relay import Relay
from actors.relay.results import Result
from actors.relay.services import Services
from actors.relay.switches import AllOn, Switches

T = TypeVar("T")
DAY_MS = 86_400_000
EPOCH_MS = 1_700_000_000_000

EFFECT = Effect(
    tenant="shop",
    flow="welcome",
    version=3,
    customer=7,
    entry=11,
    node="greeting",
    visit=1,
    channel="email",
    template="hello",
    to="",
    variables=("name",),
    committed_ms=EPOCH_MS,
    expires_ms=EPOCH_MS + 3 * DAY_MS,
    fresh_until_ms=EPOCH_MS + 3 * DAY_MS,
)


def effects(count: int, **changed: Any) -> list[Effect]:
    """Sends to customers 0, 1, 2, ..."""
    return [replace(EFFECT, customer=number, **changed) for number in range(count)]


class MemoryOutbox:
    """The outbox protocol on dicts; counts transactions, and can count what is listed."""

    def __init__(self) -> None:
        self.blocks: dict[int, list[bytes]] = {}
        self.stored: dict[str, bytes] = {}
        self.position = START
        self.transactions = 0
        self._changed = asyncio.Event()

    def commit(self, sends: Sequence[Effect | bytes]) -> None:
        """Add a block."""
        last = max(self.blocks, default=self.position.commit)
        self.blocks[last + 1] = [
            send if isinstance(send, bytes) else encode_effect(send) for send in sends
        ]
        self._changed.set()

    async def blocks_after(self, commit: int, limit: int) -> list[tuple[int, Sequence[bytes]]]:
        assert commit >= self.position.commit, "asks for what may be trimmed"
        numbers = range(commit + 1, max(self.blocks, default=0) + 1)
        return [(n, self.blocks[n]) for n in numbers if n in self.blocks][:limit]

    async def wait_for_block(self, after: int) -> None:
        while max(self.blocks, default=0) <= after:
            self._changed.clear()
            await self._changed.wait()

    async def mark(
        self, position: Cursor | None, put: Mapping[str, bytes], delete: Collection[str]
    ) -> None:
        assert not put.keys() & set(delete)
        if position is not None:
            assert position >= self.position
            self.position = position
            for number in [n for n in self.blocks if n <= position.commit]:
                del self.blocks[number]
        self.stored.update(put)
        for name in delete:
            self.stored.pop(name, None)
        self.transactions += 1

    async def rows(self, prefix: str, after: str, limit: int) -> list[tuple[str, bytes]]:
        names = sorted(n for n in self.stored if n.startswith(prefix) and n > after)
        return [(name, self.stored[name]) for name in names[:limit]]

    def names(self, kind: str) -> list[str]:
        """The names of its rows of a kind: pending or parked."""
        return sorted(name for name in self.stored if name.startswith(f"{kind}/"))


class Scripted:
    """A channel that notes each attempt and answers as `answer(message, attempt)` says."""

    parts: Mapping[str, Encoding] = {"body": "text"}
    optional: frozenset[str] = frozenset()

    def __init__(
        self,
        answer: Callable[[Message, int], Outcome] | None = None,
        *,
        keyed: bool = True,
        key_ttl_ms: int = DAY_MS,
        takes_s: float = 0.0,
    ) -> None:
        self.keyed, self.key_ttl_ms, self._takes_s = keyed, key_ttl_ms, takes_s
        self._answer = answer or (lambda message, attempt: Delivered())
        self.attempts: Counter[str] = Counter()
        self.seen: list[tuple[int, str]] = []
        self.under_way = self.under_way_max = 0

    async def send(self, message: Message) -> Outcome:
        self.attempts[message.key] += 1
        self.seen.append((message.at_ms, message.key))
        self.under_way += 1
        self.under_way_max = max(self.under_way, self.under_way_max)
        try:
            if self._takes_s:
                await asyncio.sleep(self._takes_s)
            return self._answer(message, self.attempts[message.key])
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        return None


class Persons:
    """Personal values of everybody: an address and a name."""

    def __init__(self) -> None:
        self.erased: set[int] = set()
        self.asked = 0

    async def values(
        self, tenant: str, customer: int, names: Collection[str], committed_ms: int = 0
    ) -> Mapping[str, object] | None:
        self.asked += 1
        known = {"email": f"c{customer}@example.com", "name": f"Secret{customer}"}
        if customer in self.erased:
            return None
        return {name: known[name] for name in names if name in known}


class Templates:
    """One content for every effect."""

    def __init__(self, content: Content | None = None) -> None:
        self.used = content or Content({"body": Source("Hello {{ name }}")}, "email")

    async def content(self, effect: Effect) -> Content | None:
        return None if effect.template == "none" else self.used


class Setup:
    """A relay over an outbox, and what it reported."""

    def __init__(
        self,
        outbox: MemoryOutbox,
        providers: Mapping[str, Provider],
        *,
        content: Content | None = None,
        clock: Callable[[], int] | None = None,
        switches: Switches | None = None,
    ) -> None:
        self.outbox = outbox
        self.results: list[Result] = []
        self.persons = Persons()
        loop = asyncio.get_running_loop()
        services = Services(
            self.persons,
            Templates(content),
            self._note,
            clock or (lambda: EPOCH_MS + int(loop.time() * 1_000)),
            np.random.default_rng(5),
            switches or AllOn(),
        )
        self.relay = Relay(outbox, providers, services)
        self._changed = asyncio.Event()

    async def _note(self, result: Result) -> None:
        self.results.append(result)
        self._changed.set()

    @property
    def counts(self) -> Counter[str]:
        """How often each result was reported."""
        return Counter(result.name for result in self.results)

    async def run_until(self, done: Callable[[], bool]) -> None:
        """Run the relay until a report makes `done` true, then stop it and let it settle."""
        running = asyncio.ensure_future(self.relay.run())
        while not done():
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait({running, changed}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            if running.done():
                break
        self.relay.stop()
        await running


class _Selector(selectors.DefaultSelector):  # type: ignore[misc,valid-type]
    """Instead of waiting for a time it moves the loop's clock there."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits for somebody else"
            self.loop.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while all tasks wait, and then at once."""

    def __init__(self) -> None:
        self.now_s = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run in virtual time, which begins at EPOCH_MS."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
