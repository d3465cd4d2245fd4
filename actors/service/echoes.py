"""Bring back to flows what people and providers make of messages, as events of the customers.

Whoever follows a link is never kept waiting: what a link or a pixel tells goes through a queue of
bounded size, is tried again for ten minutes where it can't be stored, and is counted where it is
lost. What takes consent back is on the list of suppressions, on the disk, before it is answered.
The events carry which message they answer (`answers`, semantics D28) and nothing personal.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from actors.intake.routing import partition_of
from actors.intake.rows import decode_rows
from actors.live.engine import Engine
from actors.relay.callbacks import Report
from actors.relay.marks import Mark
from actors.relay.prefetchers import MANY_LINKS, MANY_WITHIN_MS, machine
from actors.relay.suppression import Reason
from actors.service.postmarks import Post
from actors.service.service import Service
from core.answers import ANSWERS, answer_key
from core.audience import Kind
from core.errors import HeadraceError
from core.tenant_schema import TenantEvent, TenantSchema

OPENED, CLICKED, CLICKED_ELSEWHERE = "email_opened", "email_clicked", "message_clicked"
RESIGNED, CONFIRMED = "subscription_resigned", "subscription_confirmed"
BOUNCED, COMPLAINED = "message_bounced", "message_complained"
EVENTS = (OPENED, CLICKED, CLICKED_ELSEWHERE, RESIGNED, CONFIRMED, BOUNCED, COMPLAINED)
PROPERTIES: Mapping[str, Kind] = {
    "message": "string",
    "flow": "string",
    "template": "string",
    "channel": "string",
    "entry": "int64",
    "message_key": "string",
    "link": "string",
    "machine": "bool",
    "hard": "bool",
    ANSWERS: "int64",
}
PENDING_MAX = 50_000
BATCH_MAX = 1_000
MINUTE_MS = 60_000
LOOK_S = 0.1
DEADLINE_S = 2.0
RETRY_MS = 1_000
RETRY_FOR_MS = 600_000
_HASHES = 2**64
_Key = tuple[str, str]
_OWN: tuple[Reason, ...] = ("unsubscribed",)


@dataclass(frozen=True, slots=True)
class _Hit:
    """Something that happened to a message. `id` deduplicates, `machine` is what one look said.

    `held` says that it waits for others that would make it a machine's; it is not looked at before
    `due_ms`.
    """

    tenant: str
    mark: Mark
    event: str
    at_ms: int
    id: str
    machine: bool = False
    held: bool = False
    due_ms: int = 0


class Echoes:
    """What comes back to the tenants of a service. Any thread may use it."""

    def __init__(self, service: Service) -> None:
        """Begin with an empty queue."""
        self._service = service
        self._lock = threading.Lock()
        self._pending: dict[_Key, _Hit] = {}
        self._recent: dict[tuple[str, str], deque[tuple[int, str]]] = {}
        self._schemas: dict[str, tuple[TenantSchema, TenantSchema]] = {}
        self.counts: Counter[tuple[str, str]] = Counter()
        """How many, by the event and what became of it."""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="echoes", daemon=True)
        self._started = False

    # What people do

    def hit(
        self, post: Post, mark: Mark, text: str, method: str, headers: Mapping[str, str]
    ) -> None:
        """Take note that a link was followed or a pixel fetched. Never waits, never fails.

        `text` is the mark as it came, `headers` are by names in lower case. One mark counts once
        in a minute for people, and once for machines.
        """
        now_ms = self._service.now_ms()
        clicked = CLICKED if mark.channel == "email" else CLICKED_ELSEWHERE
        event = clicked if mark.kind == "click" else OPENED
        by_machine = bool(machine(method, headers, now_ms - mark.at_ms))
        digest = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
        id_ = f"{digest}:{now_ms // MINUTE_MS}"
        due_ms = now_ms + MANY_WITHIN_MS
        self._queue(_Hit(post.tenant, mark, event, now_ms, id_, by_machine, True, due_ms))

    def resign(self, post: Post, mark: Mark, channels: Iterable[str]) -> None:
        """End a customer's subscriptions. When it returns, that will not be forgotten.

        Raises HeadraceError, OSError where it could not be stored: it has to be asked again.
        """
        self._subscribe(post, mark, channels, RESIGNED)

    def confirm(self, post: Post, mark: Mark, channels: Iterable[str]) -> None:
        """Begin subscriptions again that the customer ended himself. Raises as `resign` does."""
        self._subscribe(post, mark, channels, CONFIRMED)

    def _subscribe(self, post: Post, mark: Mark, channels: Iterable[str], event: str) -> None:
        now_ms = self._service.now_ms()
        for channel in dict.fromkeys(channels):
            own = channel == mark.channel and bool(mark.subject)
            if own and event == RESIGNED:
                post.suppressions.put(mark.subject, "unsubscribed", now_ms)
            elif own:
                post.suppressions.lift(mark.subject, now_ms, only=_OWN)
            id_ = f"{mark.message}:{event}:{channel}:{now_ms // MINUTE_MS}"
            row = {"channel": channel}
            change = {f"consent:{channel}": event == CONFIRMED}
            hit = _Hit(post.tenant, mark, event, now_ms, id_)
            try:
                self._store(post.tenant, [(hit, row, change)])
            except HeadraceError:
                if not own:
                    raise
                # The list of suppressions has it; flows will hear of it.
                self._queue(hit)

    # What providers tell

    def report(self, post: Post, channel: str, name: str, report: Report) -> None:
        """Take in what a provider reports by the callback `name`. Repeated reports count once.

        Raises HeadraceError, OSError where it could not be stored: the provider has to ask again.
        """
        now_ms = self._service.now_ms()
        mark = post.key.open(report.mark) if report.mark else None
        subject = b"" if mark is None else mark.subject
        if mark is not None:
            channel = mark.channel
        if not subject and report.address:
            subject = post.suppressions.subject(channel, report.address)
        reason, event, row, change = _meant(report, channel)
        if reason is not None and subject:
            post.suppressions.put(subject, reason, now_ms)
        if mark is None:
            self.counts[(event, "nobody")] += 1
            return
        id_ = hashlib.sha256(f"{name}\0{report.id}\0{event}".encode()).hexdigest()[:32]
        self._store(post.tenant, [(_Hit(post.tenant, mark, event, now_ms, id_), row, change)])

    # The queue

    @property
    def pending(self) -> int:
        """How many are in the queue."""
        return len(self._pending)

    def close(self) -> None:
        """Store what is in the queue, once, and end. Again does nothing."""
        if not self._stopped.is_set():
            self._stopped.set()
            if self._started:
                self._thread.join()
            self._flush(finally_=True)
            for hit in self._pending.values():
                self.counts[(hit.event, "lost")] += 1
            self._pending.clear()

    def _queue(self, hit: _Hit) -> None:
        key: _Key = (hit.tenant, f"{hit.id}:{hit.event}:{hit.machine:d}")
        with self._lock:
            if key in self._pending:
                self.counts[(hit.event, "repeated")] += 1
            elif len(self._pending) >= PENDING_MAX:
                self.counts[(hit.event, "lost")] += 1
            else:
                if not self._started:
                    self._started = True
                    self._thread.start()
                self._pending[key] = hit
                if hit.mark.kind == "click" and hit.held:
                    message = (hit.tenant, hit.mark.message)
                    self._recent.setdefault(message, deque()).append((hit.at_ms, hit.mark.target))

    def _work(self) -> None:
        while not self._stopped.wait(LOOK_S):
            self._flush()

    def _flush(self, *, finally_: bool = False) -> None:
        """Store what is due; what can't be stored now stays for later."""
        now_ms = self._service.now_ms()
        with self._lock:
            due = [
                (key, hit) for key, hit in self._pending.items() if finally_ or hit.due_ms <= now_ms
            ][:BATCH_MAX]
            for number, (key, hit) in enumerate(due):
                if hit.held:
                    # Judged once: what it counts as must not change when it is tried again.
                    judged = replace(hit, machine=self._is_machine(hit), held=False)
                    self._pending[key], due[number] = judged, (key, judged)
            self._forget_old(now_ms)
        by_tenant: dict[str, list[tuple[_Key, _Hit]]] = defaultdict(list)
        for key, hit in due:
            by_tenant[hit.tenant].append((key, hit))
        for tenant, listed in by_tenant.items():
            for part in self._parted(tenant, listed):
                try:
                    self._store(tenant, [(hit, *_of_queue(hit)) for _, hit in part])
                except Exception:
                    # Whatever it was, whoever followed a link has gone on; others are stored.
                    self._put_off(part, now_ms)
                else:
                    with self._lock:
                        for key, _ in part:
                            self._pending.pop(key, None)

    def _parted(
        self, tenant: str, listed: Sequence[tuple[_Key, _Hit]]
    ) -> Iterator[Sequence[tuple[_Key, _Hit]]]:
        """Hits by partition, so that one that is down holds up no other."""
        try:
            partitions = self._service.engine(tenant).partitions
        except Exception:
            yield listed
            return
        numbers = np.array([hit.mark.customer % _HASHES for _, hit in listed], np.uint64)
        parts = partition_of(numbers, partitions)
        for part in np.unique(parts).tolist():
            yield [listed[i] for i in np.flatnonzero(parts == part).tolist()]

    def _put_off(self, listed: Sequence[tuple[_Key, _Hit]], now_ms: int) -> None:
        with self._lock:
            for key, hit in listed:
                if now_ms - hit.at_ms < RETRY_FOR_MS:
                    self._pending[key] = replace(hit, due_ms=now_ms + RETRY_MS)
                elif self._pending.pop(key, None) is not None:
                    self.counts[(hit.event, "lost")] += 1

    def _forget_old(self, now_ms: int) -> None:
        """Drop clicks that are too old to tell anything of those that wait still."""
        for message, clicks in list(self._recent.items()):
            while clicks and now_ms - clicks[0][0] > 2 * MANY_WITHIN_MS + RETRY_MS:
                clicks.popleft()
            if not clicks:
                del self._recent[message]

    def _is_machine(self, hit: _Hit) -> bool:
        """Whether a machine did it, also since many links of the message were followed at once."""
        if hit.machine or hit.mark.kind != "click":
            return hit.machine
        clicks = self._recent.get((hit.tenant, hit.mark.message), ())
        near = {target for at_ms, target in clicks if abs(at_ms - hit.at_ms) <= MANY_WITHIN_MS}
        return len(near) >= MANY_LINKS

    # Storing

    def _store(
        self, tenant: str, hits: Sequence[tuple[_Hit, Mapping[str, Any], Mapping[str, bool]]]
    ) -> None:
        """Send hits in as rows of their customers. Raises HeadraceError."""
        engine = self._service.engine(tenant)
        numbers = np.array([hit.mark.customer % _HASHES for hit, _, _ in hits], np.uint64)
        parts = partition_of(numbers, engine.partitions)
        rows: list[dict[str, Any]] = []
        events: list[str] = []
        schema = self._schema(tenant, engine)
        now_ms = engine.now_ms()
        for part in np.unique(parts).tolist():
            mine = [hits[i] for i in np.flatnonzero(parts == part).tolist()]
            asked = [(hit.mark.customer % _HASHES, hit.mark.at_ms) for hit, _, _ in mine]
            ids = engine.job(part, "recipients", asked)
            for customer, (hit, more, change) in zip(ids, mine, strict=True):
                if customer is None:
                    self.counts[(hit.event, "erased")] += 1
                    continue
                rows += _rows(customer, hit, more, change, schema, now_ms)
                events.append(hit.event)
        if rows:
            # Events have ids of their own; to change a record twice alike does no harm.
            _send(engine, decode_rows(rows, schema, batch=os.urandom(16)))
        for event in events:
            self.counts[(event, "stored")] += 1

    def _schema(self, tenant: str, engine: Engine) -> TenantSchema:
        """What rows of ours look like, as far as that goes with the tenant's schema."""
        known = self._schemas.get(tenant)
        if known is not None and known[0] is engine.schema:
            return known[1]
        theirs = engine.schema
        types = theirs.known_properties
        kept = {n: kind for n, kind in PROPERTIES.items() if types.get(n, kind) == kind}
        made = TenantSchema(
            attributes=theirs.attributes,
            events={event: TenantEvent(properties=kept) for event in EVENTS},
            settings=theirs.settings,
        )
        self._schemas[tenant] = (theirs, made)
        return made


def _send(engine: Engine, decoded: Any) -> None:
    reply = engine.send_decoded(decoded, deadline_s=DEADLINE_S)
    for _, _, code, message in reply.rejects[:1]:
        raise HeadraceError(f"what came back of a message is refused: {code}: {message}")


def _rows(
    customer: str,
    hit: _Hit,
    more: Mapping[str, Any],
    change: Mapping[str, bool],
    schema: TenantSchema,
    now_ms: int,
) -> Iterable[dict[str, Any]]:
    """The event of a hit, and before it the change of the record that goes with it."""
    mark = hit.mark
    known = schema.events[hit.event].properties
    told = {
        "message": mark.node,
        "flow": mark.flow,
        "template": mark.template,
        "channel": mark.channel,
        "entry": mark.entry,
        "message_key": mark.message,
        "machine": hit.machine,
        ANSWERS: answer_key(mark.flow, mark.node, mark.entry % _HASHES),
        **more,
    }
    kept = {n: value for n, value in change.items() if schema.attribute_kind(n) == "bool"}
    occurred = min(hit.at_ms, now_ms)
    if kept:
        yield {"customer": customer, "set": kept}
    yield {
        "customer": customer,
        "event": hit.event,
        "occurred": occurred,
        "message_id": f"{hit.id}:{hit.machine:d}",
        "properties": {name: value for name, value in told.items() if name in known},
    }


def _of_queue(hit: _Hit) -> tuple[dict[str, Any], dict[str, bool]]:
    """What a hit from the queue tells beside what all tell, and the change that goes with it."""
    if hit.event in (RESIGNED, CONFIRMED):
        return {}, {f"consent:{hit.mark.channel}": hit.event == CONFIRMED}
    return ({"link": hit.mark.link} if hit.mark.kind == "click" else {}), {}


def _meant(
    report: Report, channel: str
) -> tuple[Reason | None, str, dict[str, Any], dict[str, bool]]:
    """What a report comes to: a reason to suppress, an event, its properties, a change."""
    clicked = CLICKED if channel == "email" else CLICKED_ELSEWHERE
    no_consent = {f"consent:{channel}": False}
    match report.meaning:
        case "bounce":
            return "bounce", BOUNCED, {"hard": True}, {f"reachable:{channel}": False}
        case "soft_bounce":
            return None, BOUNCED, {"hard": False}, {}
        case "complaint":
            return "complaint", COMPLAINED, {}, no_consent
        case "unsubscribed":
            return "unsubscribed", RESIGNED, {}, no_consent
        case "clicked":
            return None, clicked, {}, {}
        case _:
            return None, OPENED, {}, {}
