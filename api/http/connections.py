"""Bound what connections may hold: how long a head takes, how large it is, how many are open.

The server keeps a connection that says nothing for ever, and a head of any size. Here a head has a
few seconds and a few kilobytes. When all places are taken, the connection that has been idle for
longest makes room, so whoever opens thousands of them hinders himself; one with a request under way
stays. Requests beyond what can be worked at once are told to come back.
"""

from __future__ import annotations

import asyncio
import resource
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from api.http.problems import Problem, respond

HEAD_BYTES_MAX = 64 << 10  # of a request's first line and headers
HEAD_S = 15.0  # so long may these take, and the first byte of a connection
CONNECTIONS_MAX = 16_000
REQUESTS_MAX = 1_000  # that have arrived and are not answered
UNREAD_BYTES_MAX = 32 << 20  # that are let come after the answer, so that it is read
SPARE_FILES = 1_024  # that are left to everything else
BUSY_MS = 1_000

_HEAVY = Problem(
    431,
    "head-too-large",
    f"the request's first line and headers have more than {HEAD_BYTES_MAX:,} bytes",
    "Send shorter headers",
    headers={"Connection": "close"},
)
_BUSY = Problem(
    503,
    "busy",
    f"{REQUESTS_MAX:,} requests are being answered already",
    "Send it again a little later",
    retry_after_ms=BUSY_MS,
)


def places_for_connections(wanted: int = CONNECTIONS_MAX) -> int:
    """How many connections may be open, once as many files may be as the system lets us open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and (hard == unlimited or soft < hard):
        more = wanted + SPARE_FILES if hard == unlimited else min(hard, wanted + SPARE_FILES)
        if more > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
            soft = more
    if soft == unlimited:
        return wanted
    return min(wanted, max(soft - SPARE_FILES, soft // 2))


@dataclass(slots=True)
class Places:
    """The places of a server's connections.

    `idle` are those without a request, the longest idle first; `working` those whose request has
    arrived as a whole and is not answered.
    """

    most: int
    idle: dict[Connection, None] = field(default_factory=dict)
    working: set[Connection] = field(default_factory=set)


class Connection(HttpToolsProtocol):
    """One connection, bounded."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        places: Places,
    ) -> None:
        """One of a server that has `places`."""
        super().__init__(config, server_state, app_state, _loop)
        self._places = places
        self._head_bytes = 0  # of the head that is arriving
        self._in_head = False
        self._unread_bytes = 0  # of a body whose request was answered before it was whole
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, from the one that has been idle for longest if there is none."""
        super().connection_made(transport)
        places = self._places
        if len(self.connections) > places.most and places.idle:
            next(iter(places.idle))._drop()
        places.idle[self] = None
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._places.idle.pop(self, None)
        self._places.working.discard(self)
        self._expect_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes, of a head no more than it may have."""
        if self._in_head:
            # What the parser keeps of a header that goes on and on is seen by nobody else.
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self._refuse_head()
                return
        super().data_received(data)
        if self._in_head and self._timer is None:
            self._head_bytes = len(data)
            self._expect()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True
        self._unread_bytes = 0

    def on_headers_complete(self) -> None:
        """The head is there: the request is worked, unless that is too much."""
        self._in_head = False
        self._expect_no_more()
        self._places.idle.pop(self, None)
        app, size = self.app, len(self.url) + sum(len(n) + len(v) + 4 for n, v in self.headers)
        if size > HEAD_BYTES_MAX:
            self.app = _refusing(_HEAVY)
        elif len(self._places.working) >= REQUESTS_MAX:
            self.app = _refusing(_BUSY)
        try:
            super().on_headers_complete()
        finally:
            self.app = app

    def on_body(self, body: bytes) -> None:
        """A part of the body; of one that was answered already only a little more is let come."""
        if not self.cycle.response_complete:
            super().on_body(body)
            return
        self._unread_bytes += len(body)
        if self._unread_bytes > UNREAD_BYTES_MAX:
            self._drop()
        else:
            self._expect()

    def on_message_complete(self) -> None:
        """The request has arrived as a whole."""
        self._expect_no_more()
        super().on_message_complete()
        if not self.cycle.response_complete:
            self._places.working.add(self)

    def on_response_complete(self) -> None:
        """The connection is idle again, unless another request is waiting in it."""
        self._places.working.discard(self)
        super().on_response_complete()
        if self.cycle.response_complete and self in self.connections:
            self._places.idle[self] = None

    def _expect(self) -> None:
        """Wait for a head no longer than it may take."""
        if self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self._drop)

    def _expect_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse_head(self) -> None:
        """Tell that the head is too large, and close: more of it is not looked at."""
        found = respond(_HEAVY)
        lines = [b"HTTP/1.1 431 Request Header Fields Too Large"]
        lines += [name + b": " + value for name, value in found.raw_headers]
        self._in_head = False
        self._expect_no_more()
        self.transport.write(b"\r\n".join([*lines, b"", bytes(found.body)]))
        self.transport.close()

    def _drop(self) -> None:
        """Close it: nobody waits for an answer to what did not come."""
        self._places.idle.pop(self, None)
        self._expect_no_more()
        self._unset_keepalive_if_required()
        if self.transport is not None:
            self.transport.abort()


def _refusing(problem: Problem) -> ASGIApp:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await respond(problem)(scope, receive, send)

    return refuse
