"""A lane takes the effects of one provider from one outbox, in order, and sees each to its end.

Each provider has a lane of its own with its own cursor over the same blocks, so one that is dead
holds up no other, and a backlog stays where it is: in the outbox, not in memory. A message is
claimed (cursor and row in one transaction) before its provider hears of it, and settled (row gone,
or waiting, or parked) after the answer; a result is reported before it is settled.

Messages of a channel that is switched off are held: in rows of their own, so that those of other
channels of the provider go by. Where all its channels are off it leaves everything in the outbox.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Collection

from actors import failpoints
from actors.intake.tagging import COMMITS_MAX, RELAY, log_line
from actors.relay.compose import compose
from actors.relay.delays import Delays
from actors.relay.disabled import DisabledAddresses
from actors.relay.effects import Effect
from actors.relay.feed import Feed, IsOurs, Taken
from actors.relay.ledger import Ledger
from actors.relay.outbox import START, Cursor
from actors.relay.outcomes import (
    Ambiguous,
    Dead,
    Delivered,
    Disabled,
    Retry,
    Skipped,
    Verdict,
)
from actors.relay.provider import Provider
from actors.relay.results import DELAY_TOLD_MS, Name, Result
from actors.relay.rows import Row, decode_row, encode_row
from actors.relay.services import Services
from actors.relay.switches import REASON, Mode
from actors.relay.tally import FAILED, LOOK_MAX, OUTCOMES, RETRIED, Tally

_LOG = logging.getLogger(__name__)
DELAY_LOOK_MS = 30_000
ROWS_AT_ONCE = 256
LATE_AT_ONCE = 1_000
# Another partition's relay may hold the probe of a provider that both use.
PROBE_LOOK_MS = 1_000
SWITCH_LOOK_MS = 1_000


class Lane:
    """One provider's way through one outbox."""

    def __init__(
        self,
        provider: Provider,
        ledger: Ledger,
        services: Services,
        is_ours: IsOurs,
        channels: Collection[str] = (),
        tally: Tally | None = None,
    ) -> None:
        self._tally = tally or Tally()
        self._feed: Feed
        self._commits: dict[str, int] = {}  # of messages that were taken and are not settled
        self._fed = False  # whether there is a feed yet
        self._ahead: tuple[Cursor, list[Effect | None]] = START, []  # what was seen behind a cursor
        self._provider = provider
        self._channels = channels
        self._held = True  # whether there may be rows that were held
        self._held_for: set[str] | None = None  # the channels that all of these are of, if known
        self._ledger = ledger
        self._services = services
        self._is_ours = is_ours
        self._wake = asyncio.Event()
        self._stopping = False
        self._waiting: list[tuple[int, str, Row]] = []
        self._active: dict[str, asyncio.Task[None]] = {}
        self._more_rows = False
        self._look_ms = 0
        self._disabled = DisabledAddresses(provider.name, ledger)

    def name(self, kind: str, key: str) -> str:
        """The name of a message's row: pending, parked or held."""
        return f"{kind}/{self._provider.name}/{key}"

    def stop(self) -> None:
        """Take nothing new; `run` returns when what is under way has been settled."""
        self._stopping = True
        self._wake.set()

    def enqueue(self, key: str, row: Row) -> None:
        """Take on a message whose pending row was just written."""
        if len(self._waiting) < self._provider.waiting_max:
            heapq.heappush(self._waiting, (row.due_ms, key, row))
        else:
            self._more_rows = True
        self._wake.set()

    async def settled(self) -> None:
        """Return once every attempt that is now under way has ended."""
        if self._active:
            await asyncio.wait(list(self._active.values()))

    async def backlog(self) -> tuple[int, int | None]:
        """How many messages wait, of new ones LOOK_MAX at most; since when the oldest, ms UTC."""
        if not self._fed:
            return 0, None
        cursor = self._feed.cursor
        if cursor != self._ahead[0] or len(self._ahead[1]) < LOOK_MAX:
            # Another feed from there on, so that this one goes on undisturbed.
            found = await Feed(self._ledger, cursor, self._is_ours).take(LOOK_MAX)
            self._ahead = cursor, [each.effect for each in found]
        waiting = [row.effect for _, _, row in self._waiting] + self._ahead[1]
        since = [effect.committed_ms for effect in waiting if effect is not None]
        return len(waiting) + len(self._active), min(since, default=None)

    async def enable(self, address: str) -> bool:
        """Send to an address again that asked not to be sent to; False if it had not."""
        return await self._disabled.remove(address)

    async def run(self) -> None:
        """Work until stopped. Raises what the outbox raises: then nothing more may be sent."""
        ledger, lane = self._ledger, self._provider.name
        cursor = await ledger.open(lane)
        self._feed, self._fed = Feed(ledger, cursor, self._is_ours), True
        self._delays = Delays(lane, ledger, self._services, self._is_ours)
        await self._delays.open()
        await self._disabled.load()
        self._marked = cursor
        await self._load()
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                self._wake.clear()
                await self._step(group)

    async def _step(self, group: asyncio.TaskGroup) -> None:
        """Start as many messages as may be under way, or wait for something to change."""
        breaker, now_ms = self._provider.breaker, self._services.clock()
        if now_ms >= self._look_ms:
            self._look_ms = now_ms + DELAY_LOOK_MS
            await self._delays.tell(self._feed.cursor, now_ms)
        if shut_ms := breaker.wait_ms(now_ms):
            await self._sleep(min(shut_ms, DELAY_LOOK_MS))
            return
        modes = self._services.switches.off()
        off = {each for each in modes if modes[each] == "wait" and each in self._channels}
        if off and len(off) == len(self._channels):
            await self._sleep(SWITCH_LOOK_MS)
            return
        if self._held and off != self._held_for:
            await self._release(off)
        if self._more_rows and not self._waiting:
            await self._load()
        free = await self._slots()
        # It may have been told to stop while it waited for a slot.
        now_ms = self._services.clock()
        permitted = 0 if self._stopping else breaker.permits(now_ms, free)
        batch: list[tuple[str, Row]] = []
        try:
            if not self._stopping:
                batch = await self._claim(permitted)
            for key, row in batch:
                self._start(group, key, row)
        finally:
            for _ in range(free - len(batch)):
                self._provider.slots.release()
            if permitted and not batch:
                breaker.released()
        if not batch and not self._stopping:
            await self._idle(probing=not permitted)

    def _start(self, group: asyncio.TaskGroup, key: str, row: Row) -> None:
        """Attempt a message in a task of its own, which gives back its slot however it ends."""

        def ended(task: asyncio.Task[None]) -> None:
            self._provider.slots.release()
            if task.cancelled():
                self._provider.breaker.released()
            self._active.pop(key, None)
            self._wake.set()

        self._active[key] = task = group.create_task(self._attempt(key, row))
        task.add_done_callback(ended)

    def _mode(self, channel: str) -> Mode | None:
        """What becomes of messages of a channel that is off; None for one that is on."""
        return self._services.switches.off().get(channel) if channel in self._channels else None

    async def _release(self, off: set[str]) -> None:
        """Take up what was held for channels that are not `off` any more."""
        prefix, after, left = self.name("held", ""), "", False
        while rows := await self._ledger.rows(prefix, after, ROWS_AT_ONCE):
            after = rows[-1][0]
            changes: dict[str, bytes | None] = {}
            for name, data in rows:
                row = decode_row(data)
                if _effect(row).channel in off:
                    left = True
                    continue
                changes[name] = None
                changes[self.name("pending", name.removeprefix(prefix))] = encode_row(row)
            if changes:
                await self._ledger.write(changes)
                self._more_rows = True
        self._held, self._held_for = left, off
        if self._more_rows:
            await self._load()

    async def _slots(self) -> int:
        """Acquire at least one slot, and what else is free."""
        slots = self._provider.slots
        await slots.acquire()
        count = 1
        while count < self._provider.concurrency and not slots.locked():
            await slots.acquire()
            count += 1
        return count

    async def _idle(self, probing: bool) -> None:
        """Wait for a message that is due, a new block or an attempt that ends."""
        if self._feed.cursor != self._marked:
            self._marked = self._feed.cursor
            await self._ledger.write({}, self._provider.name, self._marked)
        full = len(self._waiting) + len(self._active) >= self._provider.waiting_max
        due_ms = self._waiting[0][0] if self._waiting else None
        wait_ms = None if due_ms is None else max(1, due_ms - self._services.clock())
        if probing:
            await self._sleep(PROBE_LOOK_MS)
        elif full:
            await self._sleep(min(wait_ms or DELAY_LOOK_MS, DELAY_LOOK_MS))
        else:
            if self._held:
                wait_ms = min(wait_ms or SWITCH_LOOK_MS, SWITCH_LOOK_MS)
            await self._sleep(wait_ms, self._feed.cursor.commit)

    async def _sleep(self, wait_ms: int | None, after: int | None = None) -> None:
        """Wait until woken, for a time at most, and for a block of a commit beyond `after`."""
        tasks: list[asyncio.Future[object]] = [asyncio.ensure_future(self._wake.wait())]
        if after is not None:
            tasks.append(asyncio.ensure_future(self._ledger.wait_for_block(after)))
        try:
            done, _ = await asyncio.wait(
                tasks,
                timeout=None if wait_ms is None else wait_ms / 1_000,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for task in tasks:
                task.cancel()
        for task in done:
            task.result()

    async def _claim(self, wanted: int) -> list[tuple[str, Row]]:
        """Messages to attempt now, marked as under way: those due again first, then new ones."""
        now_ms = self._services.clock()
        batch: list[tuple[str, Row]] = []
        changes: dict[str, bytes | None] = {}
        while wanted > len(batch) and self._waiting and self._waiting[0][0] <= now_ms:
            _, key, row = heapq.heappop(self._waiting)
            await self._admit(key, row, batch, changes)
        room = self._provider.waiting_max - len(self._waiting) - len(self._active) - len(batch)
        fresh: list[Taken] = []
        if wanted > len(batch) and room > 0:
            # A backlog of messages too late to send goes by without waiting for slots.
            fresh = await self._feed.take(LATE_AT_ONCE, lambda effect: not _is_late(effect, now_ms))
            fresh = fresh or await self._feed.take(min(wanted - len(batch), room))
        for effect, raw, at, commit in fresh:
            if effect is None:
                key = f"unreadable-{at.commit}-{at.done}"
                row = Row(None, "dead", reason="unreadable", raw=raw)
                changes[self.name("parked", key)] = encode_row(row)
            else:
                self._commits[effect.key] = commit
                if len(self._commits) > COMMITS_MAX:
                    del self._commits[next(iter(self._commits))]
                await self._admit(effect.key, Row(effect, "sending"), batch, changes)
        if changes or fresh:
            self._marked = self._feed.cursor
            await self._ledger.write(changes, self._provider.name, self._marked)
        return batch

    async def _admit(
        self,
        key: str,
        row: Row,
        batch: list[tuple[str, Row]],
        changes: dict[str, bytes | None],
    ) -> None:
        """Add a message to the batch, unless its time has passed."""
        effect, now_ms = _effect(row), self._services.clock()
        if _is_late(effect, now_ms):
            expired = now_ms >= effect.expires_ms
            if row.unsure:
                await self._park(key, row, "ambiguous", row.reason, changes)
                return
            await self._report("message_expired" if expired else "message_returned", row)
            changes[self.name("pending", key)] = None
            return
        mode = self._mode(effect.channel)
        if mode == "wait":
            row.state, row.due_ms, self._held = "waiting", now_ms, True
            if self._held_for is not None and effect.channel not in self._held_for:
                self._held_for = None
            changes[self.name("pending", key)] = None
            changes[self.name("held", key)] = encode_row(row)
            return
        if mode == "drop":
            await self._drop(key, row, changes)
            return
        row.state = "sending"
        row.first_ms = row.first_ms or now_ms
        changes[self.name("pending", key)] = encode_row(row)
        batch.append((key, row))

    async def _drop(self, key: str, row: Row, changes: dict[str, bytes | None]) -> None:
        """Let a message of a channel that is off be; one that may have left waits for a person."""
        if row.unsure:
            await self._park(key, row, "ambiguous", REASON, changes)
        else:
            await self._report("message_skipped", row, REASON)
            changes[self.name("pending", key)] = None

    async def _attempt(self, key: str, row: Row) -> None:
        """One attempt, from values to the settled row."""
        changes: dict[str, bytes | None] = {self.name("pending", key): None}
        verdict = await self._send(_effect(row), changes)
        if failpoints.armed:
            failpoints.hit("relay_after_200_before_mark")
        await self._settle(key, row, verdict, changes)
        self._tell(key, row, verdict)

    def _tell(self, key: str, row: Row, verdict: Verdict) -> None:
        """Log the attempt, if a request made the message leave."""
        commit = self._commits.get(key, 0)
        if row.state != "waiting":
            self._commits.pop(key, None)
        tag = self._services.request_of(commit) if commit else ""
        if tag:
            told = {"message": key, "channel": _effect(row).channel, "attempts": row.attempts}
            log_line(RELAY, "delivery", tag, outcome=type(verdict).__name__.lower(), **told)

    async def _send(self, effect: Effect, changes: dict[str, bytes | None]) -> Verdict:
        provider, services = self._provider, self._services
        message = await compose(
            effect,
            provider.channel,
            services.people,
            services.contents,
            services.clock(),
            services.tracker,
        )
        if isinstance(message, Dead | Retry | Skipped):
            provider.breaker.released()
            return message
        if message.address in self._disabled:
            provider.breaker.released()
            return Disabled("address_disabled")
        # It may have been switched off while the message was composed.
        if self._mode(effect.channel) is not None:
            provider.breaker.released()
            return Retry(REASON, throttled=True)
        if failpoints.armed:
            failpoints.hit("relay_before_http")
        try:
            outcome = await provider.channel.send(message)
        except Exception as error:
            # Its text may repeat what was sent.
            _LOG.error("%s: %s failed: %s", effect.key, provider.name, type(error).__name__)
            outcome = Ambiguous(f"error_{type(error).__name__}")
        now_ms = services.clock()
        if isinstance(outcome, Disabled):
            changes.update(self._disabled.added(message.address))
        match outcome:
            case Retry(throttled=True):
                provider.breaker.released()
                provider.breaker.pause(now_ms + outcome.after_ms)
            case Ambiguous() | Retry(fault=True):
                provider.breaker.failed(now_ms)
            case Retry():
                provider.breaker.released()
            case _:
                provider.breaker.succeeded()
        return outcome

    async def _settle(
        self, key: str, row: Row, verdict: Verdict, changes: dict[str, bytes | None]
    ) -> None:
        """Write what came of an attempt, with the changes that it brought."""
        if not (isinstance(verdict, Retry) and verdict.throttled):
            row.attempts += 1
        match verdict:
            case Delivered():
                await self._report("message_sent", row, message_id=verdict.message_id)
            case Skipped():
                await self._report("message_skipped", row, verdict.reason)
            case Dead() | Disabled():
                await self._park(key, row, "dead", verdict.reason, changes)
            case Ambiguous():
                row.unsure = True
                await self._again(key, row, verdict.reason, 0, changes)
            case Retry():
                await self._again(key, row, verdict.reason, verdict.after_ms, changes)
        await self._ledger.write(changes)
        if row.state == "waiting":
            self.enqueue(key, row)

    async def _again(
        self, key: str, row: Row, reason: str, after_ms: int, changes: dict[str, bytes | None]
    ) -> None:
        """Let a message wait for its next attempt, if there may be one."""
        effect, provider, services = _effect(row), self._provider, self._services
        now_ms = services.clock()
        self._tally.add(effect.channel, FAILED)
        row.reason = reason
        row.due_ms = now_ms + provider.backoff.delay_ms(
            max(1, row.attempts), services.rng, after_ms
        )
        if row.unsure and (
            row.due_ms >= effect.expires_ms or not provider.may_repeat(row.first_ms, row.due_ms)
        ):
            await self._park(key, row, "ambiguous", reason, changes)
        elif row.due_ms >= effect.expires_ms:
            await self._report("message_expired", row, reason)
        elif row.attempts >= provider.attempts_max:
            await self._park(key, row, "ambiguous" if row.unsure else "dead", reason, changes)
        else:
            row.state = "waiting"
            self._tally.add(effect.channel, RETRIED)
            if not row.told and row.due_ms - effect.committed_ms >= DELAY_TOLD_MS:
                row.told = True
                await self._report("message_delayed", row, reason)
            changes[self.name("pending", key)] = encode_row(row)

    async def _park(
        self, key: str, row: Row, state: str, reason: str, changes: dict[str, bytes | None]
    ) -> None:
        row.state = "ambiguous" if state == "ambiguous" else "dead"
        row.reason = reason
        await self._report(
            "message_ambiguous" if row.state == "ambiguous" else "message_failed", row, reason
        )
        changes[self.name("pending", key)] = None
        changes[self.name("parked", key)] = encode_row(row)

    async def _report(self, name: Name, row: Row, reason: str = "", message_id: str = "") -> None:
        now_ms = self._services.clock()
        if name in OUTCOMES:
            self._tally.add(_effect(row).channel, OUTCOMES[name])
        result = Result(name, _effect(row), now_ms, reason, row.attempts, message_id)
        await self._services.report(result)

    async def _load(self) -> None:
        """Take up the pending rows: those under way at a crash are of unknown fate."""
        self._more_rows = False
        prefix, after = self.name("pending", ""), ""
        waiting = {key for _, key, _ in self._waiting}
        while rows := await self._ledger.rows(prefix, after, ROWS_AT_ONCE):
            after = rows[-1][0]
            changes: dict[str, bytes | None] = {}
            for name, data in rows:
                key = name.removeprefix(prefix)
                if key in self._active or key in waiting:
                    continue
                if len(self._waiting) >= self._provider.waiting_max:
                    self._more_rows = True
                    break
                row = decode_row(data)
                if row.state == "sending":
                    await self._recover(key, row, changes)
                if row.state == "waiting":
                    heapq.heappush(self._waiting, (row.due_ms, key, row))
            if changes:
                await self._ledger.write(changes)
            if self._more_rows:
                return

    async def _recover(self, key: str, row: Row, changes: dict[str, bytes | None]) -> None:
        now_ms = self._services.clock()
        row.unsure = True
        if self._provider.may_repeat(row.first_ms, now_ms):
            row.state, row.due_ms = "waiting", now_ms
        else:
            await self._park(key, row, "ambiguous", "relay_stopped", changes)


def _is_late(effect: Effect | None, now_ms: int) -> bool:
    """Whether an effect has expired or must be decided anew; one that cannot be read is not."""
    return effect is not None and now_ms >= min(effect.expires_ms, effect.fresh_until_ms)


def _effect(row: Row) -> Effect:
    if row.effect is None:
        raise ValueError("an unreadable effect cannot be sent")
    return row.effect
