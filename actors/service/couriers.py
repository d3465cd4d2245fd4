"""Deliver what happens in flows to who subscribed: signed, and in order for each customer.

How far a subscription got moves on only in the transaction that also keeps what could not be
delivered, so whatever ends the process, nothing is left out, and what is told twice has the same
id. While something of a customer's waits, what comes later of his waits behind it; others go on.
A receiver that fails gets nothing new until it takes what waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import numpy as np

from actors import failpoints
from actors.live.engine import Engine
from actors.relay.channels.webhook import WebhookChannel
from actors.relay.outcomes import Delivered, Disabled, Outcome, Retry
from actors.service.live_reports import LiveReports, Reporting
from actors.service.plane import Plane, Rows
from actors.service.sandbox import SandboxReceiver
from actors.service.tenants import Tenants
from actors.service.webhooks import DEAD, WAIT, Hook, Parcel, Webhooks
from core.errors import HeadraceError

LOOK_S = 1.0
WINDOW = 256  # happenings taken at a time
TOGETHER = 16  # under way at once
WAITING_MAX = 1_000  # with so many waiting nothing new is taken
FAILURES_MAX = 5  # in a row; from then on only what waits is tried
TIMEOUT_MS = 15_000
DELAYS_MS = (5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000,
             86_400_000)  # fmt: skip
"""How long to wait after each failure (Standard Webhooks 1.0.0); after one more it is given up."""
JITTER = 0.1
STOP_S = 20.0

_LOG = logging.getLogger(__name__)


@dataclass(slots=True)
class _Turn:
    """What came of a turn of one subscription, not stored yet."""

    delivered: int = 0
    failures: int = 0
    problem: str = ""
    disabled: bool = False
    done: list[Parcel] = field(default_factory=list)
    wait: list[Parcel] = field(default_factory=list)
    dead: list[Parcel] = field(default_factory=list)


class Couriers:
    """Delivers for all tenants, in a thread of its own."""

    def __init__(
        self, plane: Plane, tenants: Tenants, reporting: Reporting, now_ms: Callable[[], int]
    ) -> None:
        """Nothing is delivered before `start`."""
        self._plane = plane
        self._tenants = tenants
        self._reporting = reporting
        self._now_ms = now_ms
        self._rng = np.random.default_rng()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look every second, until `close`."""
        self._thread = threading.Thread(target=self._run, name="couriers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Deliver nothing more; what is under way then is delivered again. Again does nothing."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(STOP_S)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        while not self._stopped.is_set():
            for tenant_id, engine in self._tenants.opened().items():
                for hook in await asyncio.to_thread(self._active, tenant_id):
                    name = (tenant_id, hook.id)
                    if name not in tasks or tasks[name].done():
                        tasks[name] = asyncio.create_task(self._deliver(tenant_id, engine, hook.id))
            await asyncio.to_thread(self._stopped.wait, LOOK_S)
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)

    def _active(self, tenant_id: str) -> list[Hook]:
        rows = self._plane.tenant(tenant_id)
        with contextlib.suppress(HeadraceError), rows.read() as txn:
            found = Webhooks(self._tenants.folder(tenant_id)).every(txn)
            return [hook for hook in found if hook.status == "active"]
        return []

    async def _deliver(self, tenant_id: str, engine: Engine, hook_id: str) -> None:
        """Take turns for a subscription until there is nothing to do now."""
        try:
            while not self._stopped.is_set() and await self.step(tenant_id, engine, hook_id):
                pass
        except (HeadraceError, OSError) as error:
            # What could not be done now is tried at the next look.
            _LOG.warning("webhook %s of tenant %s: %s", hook_id, tenant_id, type(error).__name__)

    async def step(self, tenant_id: str, engine: Engine, hook_id: str) -> bool:
        """A turn of one subscription, one at a time; whether there may be more to do at once.

        Raises HeadraceError, OSError: then nothing of the turn counts.
        """
        rows, hooks = self._plane.tenant(tenant_id), Webhooks(engine.path)
        hook, waiting, known = await asyncio.to_thread(_begin, rows, hooks, hook_id)
        if hook is None:
            return False
        if not known:
            await asyncio.to_thread(_store, rows, hooks, hook, _Turn(problem="no_secret"), None)
            return False
        reports = self._reporting.of(engine)
        if hook.instance != engine.manifest.instance:
            ends = (await asyncio.to_thread(reports.following.ask, "ends"))["ends"]
            begin = [[end, 0] for end in ends]
            await asyncio.to_thread(_anew, rows, hooks, hook_id, engine.manifest.instance, begin)
            return False
        now_ms = self._now_ms()
        channel: Receiver = (
            SandboxReceiver(engine.path)
            if engine.manifest.sandbox
            else WebhookChannel(known, hook.guard(), timeout_ms=TIMEOUT_MS)
        )
        try:
            work = _Work(hook, engine, reports, channel, self._delay_ms, self._now_ms)
            turn = await work.again(waiting, now_ms)
            places = None
            more = bool(turn.delivered)
            left = len(waiting) - len(turn.done) - len(turn.dead)
            failing = left > 0 and hook.failures >= FAILURES_MAX and not turn.delivered
            if not turn.disabled and not failing and len(waiting) < WAITING_MAX:
                behind = {p.whose for p in waiting} - {p.whose for p in turn.done}
                behind |= {p.whose for p in turn.wait}
                places, taken = await work.fresh(turn, behind)
                more = more or taken
        finally:
            await channel.close()
        if failpoints.armed and turn.delivered:
            failpoints.hit("webhook_delivered_before_mark")
        await asyncio.to_thread(_store, rows, hooks, hook, turn, places)
        return more and not turn.disabled

    def _delay_ms(self, attempts: int, floor_ms: int) -> int | None:
        """How long to wait after so many attempts that failed; None to give it up."""
        if attempts > len(DELAYS_MS):
            return None
        wait_ms = DELAYS_MS[attempts - 1]
        jitter = int(wait_ms * JITTER)
        return max(floor_ms, wait_ms + int(self._rng.integers(-jitter, jitter, endpoint=True)))


def _begin(
    rows: Rows, hooks: Webhooks, hook_id: str
) -> tuple[Hook | None, list[Parcel], list[str]]:
    with rows.read() as txn:
        try:
            hook = hooks.find(txn, hook_id)
        except HeadraceError:
            return None, [], []
        if hook.status != "active":
            return None, [], []
        waiting = hooks.parcels(txn, WAIT, hook_id)
    return hook, waiting, hooks.secrets_of(hook)


def _anew(
    rows: Rows, hooks: Webhooks, hook_id: str, instance: str, places: list[list[int]]
) -> None:
    """Begin at the end of journals that are others: what waits names customers of the former."""
    with rows.write() as txn, contextlib.suppress(HeadraceError):
        hook = hooks.find(txn, hook_id)
        hooks.forget_parcels(txn, hook_id)
        hooks.put(txn, replace(hook, instance=instance, places=places))


def _store(
    rows: Rows, hooks: Webhooks, hook: Hook, turn: _Turn, places: list[list[int]] | None
) -> None:
    """Store all that came of a turn at once, if anything did."""
    moved = places is not None and places != hook.places
    told = turn.done or turn.wait or turn.dead or turn.disabled
    if not (moved or told or (turn.problem and turn.problem != hook.problem)):
        return
    with rows.write() as txn:
        try:
            now = hooks.find(txn, hook.id)  # somebody may have changed it meanwhile
        except HeadraceError:
            return  # or deleted it
        failures = turn.failures if turn.delivered else now.failures + turn.failures
        # What was passed over may be wanted by now; what is told again for it has the same id.
        asked = (now.kinds, now.flows) == (hook.kinds, hook.flows)
        after = replace(
            now,
            places=places if places is not None and asked else now.places,
            delivered=now.delivered + turn.delivered,
            failures=failures,
            problem=turn.problem or ("" if turn.delivered else now.problem),
            status="disabled" if turn.disabled else now.status,
        )
        hooks.put(txn, after)
        for parcel in turn.done:
            hooks.drop(txn, WAIT, hook.id, parcel)
        for parcel in turn.wait:
            hooks.keep(txn, WAIT, hook.id, parcel)
        for parcel in turn.dead:
            hooks.drop(txn, WAIT, hook.id, parcel)
            hooks.keep(txn, DEAD, hook.id, parcel)


@dataclass(slots=True)
class _Work:
    """The deliveries of one turn."""

    hook: Hook
    engine: Engine
    reports: LiveReports
    channel: Receiver
    delay_ms: Callable[[int, int], int | None]
    now_ms: Callable[[], int]

    async def again(self, waiting: Sequence[Parcel], now_ms: int) -> _Turn:
        """Try what is due of what waits: of each customer the first, and what follows if it works.

        After failures in a row only one is tried at first, so that a receiver that is down is not
        asked for everything that waits.
        """
        turn = _Turn()
        chains = [chain for chain in _chains(waiting) if chain[0].due_ms <= now_ms]
        if not chains:
            return turn
        if self.hook.failures >= FAILURES_MAX:
            await self._chains(turn, chains[:1])
            chains = chains[1:] if turn.delivered else []
        await self._chains(turn, chains)
        return turn

    async def fresh(
        self, turn: _Turn, behind: set[tuple[int, int]]
    ) -> tuple[list[list[int]], bool]:
        """Take what is new; how far that led, and whether there may be more at once.

        What is of those `behind` whom something waits already waits too.
        """
        places, more = [], False
        for partition, place in enumerate(self.hook.places):
            found = await asyncio.to_thread(
                self.reports.following.ask,
                "happened",
                partition=partition,
                after=place,
                kinds=self.hook.kinds,
                flows=self.hook.flows,
                limit=WINDOW,
            )
            places.append(found["place"])
            more = more or found["place"] != place
            parcels, names = [], {}
            for item in found["items"]:
                names[item["number"]] = item.pop("customer")
                record, index, number = (item.pop(key) for key in ("record", "index", "number"))
                parcels.append(Parcel(partition, record, index, number, item))
            turn.wait += [each for each in parcels if each.whose in behind]
            ready = [each for each in parcels if each.whose not in behind]
            await self._run(
                turn, _chains(ready), {(partition, n): name for n, name in names.items()}
            )
        return places, more

    async def _chains(self, turn: _Turn, chains: Sequence[Sequence[Parcel]]) -> None:
        """Deliver what had to wait; whose it is is asked for anew, since he may be erased."""
        parcels = [parcel for chain in chains for parcel in chain]
        if not parcels:
            return
        asked = [[p.partition, p.number, p.record] for p in parcels]
        found = await asyncio.to_thread(self.reports.following.ask, "named", asked=asked)
        names: dict[tuple[int, int], str] = {}
        gone = set()
        for parcel, name in zip(parcels, found["ids"], strict=True):
            if name is None:
                gone.add(parcel.place)
                turn.done.append(parcel)
            else:
                names[parcel.whose] = name
        left = [[parcel for parcel in chain if parcel.place not in gone] for chain in chains]
        await self._run(turn, [chain for chain in left if chain], names)

    async def _run(
        self,
        turn: _Turn,
        chains: Sequence[Sequence[Parcel]],
        names: dict[tuple[int, int], str],
    ) -> None:
        slots = asyncio.Semaphore(TOGETHER)

        async def run(chain: Sequence[Parcel]) -> None:
            async with slots:
                await self._chain(turn, chain, names)

        async with asyncio.TaskGroup() as group:
            for chain in chains:
                group.create_task(run(chain))

    async def _chain(
        self, turn: _Turn, chain: Sequence[Parcel], names: dict[tuple[int, int], str]
    ) -> None:
        """Deliver what is of one customer, one after the other, until one fails."""
        for number, parcel in enumerate(chain):
            if turn.disabled or (turn.failures >= FAILURES_MAX and not turn.delivered):
                turn.wait += chain[number:]
                return
            outcome = await self._send(parcel, names[parcel.whose])
            now_ms = self.now_ms()
            if isinstance(outcome, Delivered):
                turn.delivered += 1
                turn.failures, turn.problem = 0, ""
                turn.done.append(parcel)
                continue
            turn.failures += 1
            turn.problem = outcome.reason
            if isinstance(outcome, Disabled):
                turn.disabled = True
                turn.wait += chain[number:]
                return
            floor_ms = outcome.after_ms if isinstance(outcome, Retry) else 0
            attempts = parcel.attempts + 1
            failed = replace(
                parcel,
                attempts=attempts,
                first_ms=parcel.first_ms or now_ms,
                reason=outcome.reason,
            )
            wait_ms = self.delay_ms(attempts, floor_ms)
            if wait_ms is None:
                turn.dead.append(failed)
                continue  # Those behind it have waited long enough.
            turn.wait.append(replace(failed, due_ms=now_ms + wait_ms))
            turn.wait += chain[number + 1 :]
            return

    async def _send(self, parcel: Parcel, customer: str) -> Outcome:
        key, body = letter(self.engine.manifest.instance, parcel, customer)
        return await self.channel.post(self.hook.url, key, self.now_ms(), body)


class Receiver(Protocol):
    """Where what happened is posted to."""

    async def post(self, url: str, key: str, at_ms: int, body: str) -> Outcome:
        """Post a body of JSON once, and say what came of it."""
        ...

    async def close(self) -> None:
        """Give back connections and files."""
        ...


def letter(instance: str, parcel: Parcel, customer: str) -> tuple[str, str]:
    """The id and the body, JSON, by which a receiver is told; the same whenever it is tried."""
    said: dict[str, Any] = dict(parcel.said)
    kind, at_ms = said.pop("kind"), said.pop("at_ms")
    at = datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    body = {
        "type": f"journey.{kind}",
        "timestamp": at.replace("+00:00", "Z"),
        "data": {"customer": customer, **said},
    }
    # The time too: a journal that was restored has other records under the same numbers.
    key = f"evt_{instance[:12]}_{parcel.partition}_{parcel.record}_{parcel.index}_{at_ms:x}"
    return key, json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _chains(parcels: Sequence[Parcel]) -> list[list[Parcel]]:
    """Parcels by customer, each list in its order."""
    found: dict[tuple[int, int], list[Parcel]] = {}
    for parcel in sorted(parcels, key=lambda each: each.place):
        found.setdefault(parcel.whose, []).append(parcel)
    return list(found.values())
