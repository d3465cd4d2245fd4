"""Find out who asks, and keep browsers from what is not for them.

The key is what a client puts where its own product has it: `Authorization: Bearer`, or Basic as the
user or the password. The tenant is the key's, never anything in the request.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import unquote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actors.service.access import Caller
from actors.service.errors import UnauthenticatedError
from actors.service.rate import address_key
from actors.service.service import Service

PREFIX = "hr_"  # what every key begins with
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
PREFLIGHT = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding, X-Retry-Count",
    "Access-Control-Max-Age": "600",
}
FAILURES = "failures"
SLASH = "\0"  # stands for an encoded slash until the routes are told apart
_TEXT_MAX = 4096


def secrets_in(authorization: str) -> Iterator[str]:
    """What may be a key in the header `Authorization`, the likeliest first.

    Basic has the key as its user, or with Customer.io's Track API as its password. Where a password
    is no key it counts for nothing.
    """
    scheme, _, rest = authorization[:_TEXT_MAX].partition(" ")
    if scheme.lower() == "bearer":
        yield rest.strip()
    elif scheme.lower() == "basic":
        try:
            text = base64.b64decode(rest.strip(), validate=True).decode()
        except (binascii.Error, ValueError):
            return
        parts = [part.strip() for part in text.split(":", 1)]
        yield from sorted(filter(None, parts), key=lambda part: not part.startswith(PREFIX))


def service_of(connection: HTTPConnection) -> Service:
    """The service behind the application."""
    service: Service = connection.app.state.service
    return service


def address_of(connection: HTTPConnection) -> str:
    """The client's IP address, "" if nobody knows it."""
    return connection.client.host if connection.client else ""


def caller_of_secret(request: Request, secret: str) -> Caller:
    """Whose key it is. Raises ServiceError."""
    service = service_of(request)
    now_ms = service.now_ms()
    address = address_key(address_of(request))
    service.rates.look("", address, FAILURES, now_ms).check()
    try:
        caller = service.keys.authenticate(secret, address_of(request), now_ms)
    except UnauthenticatedError:
        service.rates.take("", address, FAILURES, now_ms)
        raise
    service.tenants.check(caller.tenant)
    request.state.caller = caller
    return caller


def spend(connection: HTTPConnection, caller: Caller, budget: str, cost: float) -> None:
    """Take what a request costs out of its caller's budget, and tell what is left of it.

    Raises LimitedError.
    """
    service = service_of(connection)
    decision = service.rates.take(caller.tenant, caller.key_id, budget, service.now_ms(), cost)
    connection.state.rate = decision.headers
    decision.check()


def caller_of(request: Request) -> Caller:
    """Who asks, by the header. Raises ServiceError."""
    known = getattr(request.state, "caller", None)
    if known is not None:
        found: Caller = known
        return found
    secret = next(secrets_in(request.headers.get("authorization", "")), "")
    if not secret:
        raise UnauthenticatedError(
            "the request has no key", advice="Send it as Authorization: Bearer <key>"
        )
    return caller_of_secret(request, secret)


def is_local(connection: HTTPConnection) -> bool:
    """Whether the other end is this machine."""
    return address_of(connection) in ("127.0.0.1", "::1")


def parts_kept(raw_path: bytes) -> str:
    """A path, decoded part by part: an encoded slash within an id stays apart from the others."""
    parts = raw_path.partition(b"?")[0].split(b"/")
    return "/".join(unquote(part.decode("latin-1")).replace("/", SLASH) for part in parts)


def restored(part: str) -> str:
    """A part of a path with the slashes that were encoded in it."""
    return part.replace(SLASH, "/")


class Guard:
    """What surrounds every response: headers for browsers, and one spelling of each path.

    `open_paths` are what pages of any origin may call, all below one that ends with a slash; no
    other path answers CORS.
    """

    def __init__(self, app: ASGIApp, open_paths: Collection[str]) -> None:
        """Surround `app`."""
        self._app = app
        self._open = frozenset(open_paths)
        self._below = tuple(path for path in open_paths if path.endswith("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or let the application answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        raw_path: bytes = scope.get("raw_path") or b""
        if b"%2f" in raw_path.lower():
            scope["path"] = parts_kept(raw_path)
        path: str = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            # Clients differ in the slash, and not all send a body again when they are redirected.
            scope["path"] = path = path.rstrip("/") or "/"
        added: dict[str, str] = dict(HEADERS)
        if path in self._open or path.startswith(self._below):
            added["Access-Control-Allow-Origin"] = "*"
            added["Access-Control-Expose-Headers"] = "Retry-After, X-RateLimit-Reset, X-Request-Id"
            added["Cross-Origin-Resource-Policy"] = "cross-origin"
            if scope["method"] == "OPTIONS":
                await _empty(send, {**added, **PREFLIGHT})
                return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in added.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sending)


async def _empty(send: Send, headers: dict[str, str]) -> None:
    raw: list[Any] = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 204, "headers": raw})
    await send({"type": "http.response.body", "body": b""})
