"""Do what all formats have in common: find the key, read, translate, store, count, answer.

The answer goes out when the engine has stored the rows. What it costs is paid in a pool of threads
of its own, so that a busy intake leaves the event loop and other routes free; when too much waits
for these, it is told at once.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from fastapi import Request
from starlette.responses import Response

from actors.live.replies import Reply
from actors.service.access import Caller
from actors.service.refusals import Refusals
from actors.service.service import Service
from api.http.ingest.gathering import Gathering, Together, Waiting
from api.http.ingest.translation import Places, Translation
from api.http.limits import GZIP_MAGIC, Sizes, check_charset, decompressed, read_body
from api.http.observing import Metrics, log, request_id, where
from api.http.problems import Problem, problem_of, refuse, respond
from api.http.routing import json_text
from api.http.security import caller_of, caller_of_secret, secrets_in, spend
from core.tenant_schema import TenantSchema

SCOPE = "events:write"
THREADS = 8
WAITING_MAX = 256  # requests under way; one more is told to come back
DEADLINE_S = 5.0  # so long the engine is asked again while it is busy
BUSY_MS = 1_000
TURN_ROWS = 10_000  # of columns that are read in turn; nobody waits for larger ones
SMALL_BYTES = 4 << 10
RESET = "X-RateLimit-Reset"

Read = Callable[[bytes, Places, int], Translation]
Answer = Callable[[Translation, Reply], Any]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How clients of one product send, and what they understand.

    `key_of` finds a key in a body, where the product has it there. `told` is the body of an error;
    None stands for our own. `status_of` changes the statuses that clients would misunderstand.
    """

    name: str
    sizes: Sizes
    key_of: Callable[[bytes], str] | None = None
    told: Callable[[Problem], Any] | None = None
    status_of: Callable[[int], int] = int
    magic: bool = False  # whether compressed bodies may come without Content-Encoding


class Intake:
    """The threads that take events in, and what is known of each tenant's schema."""

    def __init__(self, service: Service, metrics: Metrics) -> None:
        """Take in for the engines of `service`."""
        self._service = service
        self._metrics = metrics
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="intake")
        self._places: dict[str, tuple[TenantSchema, Places]] = {}
        self._lock = threading.Lock()
        self._waiting = 0
        self._reading = threading.Lock()
        self._gathering = Gathering(service.engine, self.places, DEADLINE_S)

    async def take(
        self,
        request: Request,
        dialect: Dialect,
        read: Read,
        answer: Answer,
        together: Together | None = None,
    ) -> Response:
        """Take the events of a request in, and answer. Nothing is raised.

        With `together` that may happen along with those of other requests.
        """
        try:
            body = await self._stored(request, dialect, read, answer, together)
            return Response(json_text(body), 200, media_type="application/json")
        except Exception as error:
            return told(error, dialect)

    def close(self) -> None:
        """Let what is under way end."""
        self._gathering.close()
        self._pool.shutdown()

    async def _stored(
        self,
        request: Request,
        dialect: Dialect,
        read: Read,
        answer: Answer,
        together: Together | None,
    ) -> Any:
        caller: Caller | None = None
        authorization = request.headers.get("authorization", "")
        if dialect.key_of is None or next(secrets_in(authorization), ""):
            caller = caller_of(request)
            caller.need(SCOPE)
            self._check_waited(request, caller)
        check_charset(request.headers.get("content-type", ""))
        tenant = "" if caller is None else caller.tenant
        body = await read_body(request, dialect.sizes.body_bytes_max, tenant=tenant)
        encoding = request.headers.get("content-encoding", "")
        if dialect.magic and not encoding and body.startswith(GZIP_MAGIC):
            encoding = "gzip"

        purse = _Purse(request)

        def unpacked() -> bytes:
            return decompressed(body, encoding, dialect.sizes.decoded_bytes_max)

        def work() -> Any:
            plain = unpacked()
            known = caller
            if known is None:
                assert dialect.key_of is not None
                secret = dialect.key_of(plain)
                known = caller_of_secret(request, secret) if secret else caller_of(request)
                known.need(SCOPE)
            purse.caller = known
            return self._take_in(purse, known, dialect, plain, read, answer)

        loop = asyncio.get_running_loop()
        # Only now: who sends slowly must not keep the others out.
        with self._room():
            if together is not None and caller is not None:
                purse.caller = caller
                if encoding:
                    body, encoding = await loop.run_in_executor(self._pool, unpacked), ""
                waiting = Waiting(body, purse.spend)
                reply = await self._gathering.take(caller.tenant, together, waiting)
                if reply is not None:
                    self._metrics.took(dialect.name, reply, ())
                    if reply.rejects:
                        keep = partial(self._keep, caller.tenant, dialect, body, read, reply)
                        await loop.run_in_executor(self._pool, keep)
                    return answer(Translation(count=purse.spent), reply)
            return await loop.run_in_executor(self._pool, contextvars.copy_context().run, work)

    def _check_waited(self, request: Request, caller: Caller) -> None:
        """Raise LimitedError for a large body of who was told to wait and does not.

        It is neither read nor unpacked, so a loud tenant costs the others next to nothing. A small
        one may be within what is left.
        """
        stated = request.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) <= SMALL_BYTES:
            return
        rates, now_ms = self._service.rates, self._service.now_ms()
        refused = rates.refused(caller.tenant, caller.key_id, "events", now_ms)
        if refused is not None:
            request.state.rate = refused.headers
            refused.check()

    def _take_in(
        self,
        purse: _Purse,
        caller: Caller,
        dialect: Dialect,
        body: bytes,
        read: Read,
        answer: Answer,
    ) -> Any:
        engine = self._service.engine(caller.tenant)
        found = read(body, self.places(caller.tenant, engine.schema), engine.now_ms())
        purse.spend(max(found.count, len(found.rows)))
        if found.merges:
            merged = engine.merge([(each.previous, each.customer) for each in found.merges])
            for number, why in merged.refused:
                found.refuse_merge(number, why)
        for change, names in found.once:
            _keep_first(engine.state_of, change, names)
        if found.decode is not None:
            # Threads that read at the same time only keep each other waiting for the interpreter.
            with self._reading if found.count <= TURN_ROWS else nullcontext():
                decoded = found.decode(engine.schema)
            reply = engine.send_decoded(decoded, deadline_s=DEADLINE_S)
        elif found.rows:
            reply = engine.send(found.rows, deadline_s=DEADLINE_S)
        else:
            reply = Reply(0, 0)
        self._metrics.took(dialect.name, reply, found.left_out.items())
        if reply.strange:
            settings, now_ms = engine.schema.settings, engine.now_ms()
            self._service.findings.note(caller.tenant, reply.strange, settings, now_ms)
        if reply.rejects:
            Refusals(engine.path).keep(engine.now_ms(), dialect.name, found.row, reply)
        return answer(found, reply)

    def _keep(self, tenant: str, dialect: Dialect, body: bytes, read: Read, reply: Reply) -> None:
        """Keep what was refused of a body that was taken in together with others."""
        engine = self._service.engine(tenant)
        now_ms = engine.now_ms()
        found = read(body, self.places(tenant, engine.schema), now_ms)
        Refusals(engine.path).keep(now_ms, dialect.name, found.row, reply)

    def places(self, tenant: str, schema: TenantSchema) -> Places:
        """What a tenant's schema has places for."""
        known = self._places.get(tenant)
        if known is None or known[0] is not schema:
            self._places[tenant] = known = (schema, Places.of(schema))
        return known[1]

    def _room(self) -> _Room:
        return _Room(self)


class _Purse:
    """What a request costs its caller, which is asked for once."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.caller: Caller | None = None
        self.spent = 0

    def spend(self, rows: int) -> None:
        """Take so many rows out of the budget of events. Raises LimitedError."""
        if not self.spent:
            assert self.caller is not None
            spend(self._request, self.caller, "events", rows)
            self.spent = rows


class _Room:
    """A place among the requests under way, for as long as the block takes."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def __enter__(self) -> None:
        with self._intake._lock:
            if self._intake._waiting >= WAITING_MAX:
                raise refuse(
                    429,
                    "busy",
                    f"{WAITING_MAX} requests are being taken in already",
                    "Send it again a little later",
                    retry_after_ms=BUSY_MS,
                )
            self._intake._waiting += 1

    def __exit__(self, *args: object) -> None:
        with self._intake._lock:
            self._intake._waiting -= 1


def _keep_first(
    state_of: Callable[[str], Any], change: dict[str, Any], names: frozenset[str]
) -> None:
    """Take out of a change what counts only where there is no value yet, and there is one."""
    state = state_of(change["customer"]) or {}
    there = {*state.get("attributes", ()), *state.get("personal", ())}
    for name in names & there:
        del change["set"][name]


def told(error: Exception, dialect: Dialect) -> Response:
    """What a client of the dialect is told of an error."""
    problem = problem_of(error)
    if problem.status == 500:
        failure = {"error": type(error).__name__, "at": where(error)}
        log().error("intake failed", request_id=request_id(), format=dialect.name, **failure)
    if dialect.told is None:
        return respond(problem, request_id())
    headers = problem.all_headers()
    if problem.retry_after_ms:
        headers[RESET] = str(int(time.time()) + problem.retry_after_s)
    status = dialect.status_of(problem.status)
    return Response(json_text(dialect.told(problem)), status, headers, "application/json")
