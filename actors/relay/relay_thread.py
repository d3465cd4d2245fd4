"""A relay thread runs one partition's relay beside the thread that commits to it.

It has an event loop of its own. If the outbox fails the relay ends, and `failure` says why: what
cannot be marked must not be sent.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from actors.relay.channels.base import Keeping
from actors.relay.provider import Provider
from actors.relay.relay import Relay
from actors.relay.services import Services
from actors.relay.store_outbox import TRIM_COMMITS, StoreOutbox
from actors.store.partition import Partition

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class RelayThread:
    """The relay of one open partition, in a thread. The providers are its own, and it closes them.

    A provider works in one event loop only, so each relay thread gets providers made for it. Close
    the relay thread before the partition.
    """

    def __init__(
        self,
        partition: Partition,
        providers: Mapping[str, Provider],
        services: Services,
        *,
        trim_commits: int = TRIM_COMMITS,
    ) -> None:
        """`providers` has the provider of each channel. Raises ValueError as `Relay` does."""
        self._partition = partition
        self._providers = dict(providers)
        self._services = services
        self._trim_commits = trim_commits
        self._ready: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._relay: Relay | None = None
        self._outbox: StoreOutbox | None = None
        self._stopping = False
        self._thread = threading.Thread(
            target=self._work, name=f"relay {partition.folder.name}", daemon=True
        )
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Start it; returns once the relay can be asked. Raises what kept it from starting."""
        self._thread.start()
        self._ready.result()

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self._thread.is_alive()

    def numbers(self) -> dict[str, Any]:
        """What became of messages, and what waits; see `Tally.told`. {} before it began."""
        relay = self._relay
        return {} if relay is None else relay.tally.told(self._services.clock())

    def ask(self, question: Callable[[Relay], Awaitable[T]], timeout_s: float | None = 30) -> T:
        """Ask the relay from any other thread, such as `ask(lambda relay: relay.parked("mail"))`.

        Raises what the relay raises, RuntimeError if it does not run, TimeoutError.
        """
        relay, loop = self._relay, self._loop
        if relay is None or loop is None or not self.running:
            raise RuntimeError("the relay does not run")

        async def answer() -> T:
            return await question(relay)

        return asyncio.run_coroutine_threadsafe(answer(), loop).result(timeout_s)

    def forget(self, customers: Collection[int], timeout_s: float = 120) -> int:
        """Remove what channels keep of customers that were erased; returns how many messages.

        Call it once their values are gone: it waits for attempts that may have read them before.
        It works whether the relay runs or not. Raises OSError, TimeoutError.
        """

        async def forget() -> int:
            channels = {id(each): each.channel for each in self._providers.values()}.values()
            keeping = [channel for channel in channels if isinstance(channel, Keeping)]
            return sum([await channel.forget(customers) for channel in keeping])

        async def settle_and_forget(relay: Relay) -> int:
            await relay.settled()
            return await forget()

        if self.running:
            return self.ask(settle_and_forget, timeout_s)
        return asyncio.run(forget())

    def stop(self, timeout_s: float | None = None) -> bool:
        """Take nothing new and let what is under way settle; whether it ended in time.

        Stopping again is allowed. What does not settle in time goes on; `close` cuts it off.
        """
        self._stopping = True
        self._in_loop(self._stop)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self.running

    def close(self, timeout_s: float = 30) -> None:
        """Stop it, after `timeout_s` by force: what is under way then is of unknown fate.

        Closing again does nothing. `failure` keeps what had ended it.
        """
        if not self.stop(timeout_s):
            self._in_loop(self._cancel)
            self._thread.join()

    def _in_loop(self, work: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None and self.running:
            try:
                loop.call_soon_threadsafe(work)
            except RuntimeError:
                # It ended meanwhile.
                return

    def _stop(self) -> None:
        if self._relay is not None:
            self._relay.stop()
        if self._outbox is not None:
            self._outbox.give_up()

    def _cancel(self) -> None:
        self._running_task.cancel()

    def _work(self) -> None:
        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            _LOG.warning("%s: cut off while messages were under way", self._thread.name)
        except BaseException as error:
            self.failure = error
            # An exception's text may hold what a store or a provider said; its kind is enough.
            _LOG.error("%s: ended by %s", self._thread.name, _kinds(error))
            if not self._ready.done():
                self._ready.set_exception(error)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        self._running_task = task
        self._outbox = StoreOutbox(self._partition, trim_commits=self._trim_commits)
        try:
            self._relay = Relay(self._outbox, self._providers, self._services)
            self._ready.set_result(None)
            if self._stopping:
                return
            await self._relay.run()
        finally:
            for provider in {id(each): each for each in self._providers.values()}.values():
                await provider.channel.close()
            await self._outbox.close()


def _kinds(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return ", ".join(_kinds(each) for each in error.exceptions)
    return type(error).__name__
