"""Do a request once however often it is sent: responses are kept by the key that the client chose.

The response is stored in the write transaction that makes the change it tells of. So a crash leaves
both, and the request is answered from the store, or neither, and it is done anew. That a request is
being carried out is known in memory alone: there is one process, and what it was doing when it died
was not done.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from actors.service.errors import InvalidError, UnderWayError
from actors.service.plane import Plane, Rows
from actors.service.transactions import NUMBER_DIGITS, WriteTxn

KEPT_MS = 24 * 3_600_000
KEY_LENGTH_MAX = 255
RETRY_AFTER_MS = 1_000
SWEPT_MAX = 1_000  # in one transaction

_Id = tuple[str, str]  # tenant, and the hash of route and key


@dataclass(frozen=True, slots=True)
class Response:
    """A response as it was sent; headers are those that the route set."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Claim:
    """The right to carry a request out, until the block ends; no other request has it meanwhile.

    A block that stored no response leaves nothing behind, and the request may be sent again.
    """

    def __init__(self, home: Idempotency, identity: _Id, request: bytes, now_ms: int) -> None:
        """Made by `Idempotency.claim`."""
        self._home = home
        self._identity = identity
        self._request = request
        self._now_ms = now_ms

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._home.release(self._identity)

    def store(self, txn: WriteTxn, response: Response) -> None:
        """Keep the response in the transaction that makes the change; call it once, in the block.

        Raises TooLargeError for a response over 20 MiB.
        """
        self._home.put(txn, self._identity, self._request, response, self._now_ms)


class Idempotency:
    """The responses of all tenants. Any thread may use it."""

    def __init__(self, plane: Plane, kept_ms: int = KEPT_MS) -> None:
        """Keep responses in a plane for `kept_ms`."""
        self._plane = plane
        self._kept_ms = kept_ms
        self._lock = threading.Lock()
        self._under_way: set[_Id] = set()

    def claim(
        self, rows: Rows, route: str, key: str, request: bytes, now_ms: int
    ) -> Claim | Response:
        """The right to carry out a request of a tenant, or the response that it had.

        `route` is method and path with its ids, `request` all that a repetition has in common, such
        as the query and the body. Raises UnderWayError while the same key is carried out, and
        InvalidError for a key that was used for another request, or no key at all.
        """
        if not 1 <= len(key) <= KEY_LENGTH_MAX or not key.isprintable():
            raise InvalidError(
                f"an idempotency key has 1 to {KEY_LENGTH_MAX} printable characters",
                advice="Use a new UUID for each request, and the same one to repeat it",
                pointer="Idempotency-Key",
            )
        named = hashlib.sha256(f"{route}\0{key}".encode(errors="surrogatepass")).hexdigest()
        identity = (rows.tenant or "", named)
        digest = hashlib.sha256(request).digest()
        with self._lock:
            if identity in self._under_way:
                raise UnderWayError(
                    "a request with this idempotency key is being carried out",
                    advice="Send the same again in a second: it gets that one's response",
                    retry_after_ms=RETRY_AFTER_MS,
                )
            self._under_way.add(identity)
        # Only now: whoever had it before has stored his response, or none.
        claim = Claim(self, identity, digest, now_ms)
        try:
            found = self._stored(rows, named, digest, now_ms)
        except BaseException:
            self.release(identity)
            raise
        if found is None:
            return claim
        self.release(identity)
        return found

    def _stored(self, rows: Rows, named: str, digest: bytes, now_ms: int) -> Response | None:
        with rows.read() as txn:
            record = txn.get("idempotency", named)
        if record is None or record["expires_ms"] <= now_ms:
            return None
        if record["request"] != digest:
            raise InvalidError(
                "this idempotency key was used for another request",
                advice="Use a new key for a new request; to repeat one, send the very same",
                pointer="Idempotency-Key",
            )
        return Response(record["status"], record["body"], record["headers"])

    def put(
        self, txn: WriteTxn, identity: _Id, request: bytes, response: Response, now_ms: int
    ) -> None:
        """Store the response of a claim. Raises ValueError for the rows of another tenant."""
        tenant, named = identity
        if tenant != (txn.tenant or ""):
            raise ValueError("the response to a tenant's request belongs among his rows")
        expires_ms = now_ms + self._kept_ms
        record = {
            "request": request,
            "status": response.status,
            "headers": dict(response.headers),
            "body": response.body,
            "expires_ms": expires_ms,
        }
        txn.put("idempotency", named, record)
        due = txn.within(self._plane.operator)
        due.put(
            "idempotency_due", _due(expires_ms, named, tenant), {"tenant": tenant, "name": named}
        )

    def release(self, identity: _Id) -> None:
        """Let the next request with this key in."""
        with self._lock:
            self._under_way.discard(identity)

    def sweep(self, now_ms: int) -> int:
        """Delete up to 1,000 responses that have expired; call it again until it returns 0."""
        operator = self._plane.operator
        with operator.read() as read:
            due = [
                (key, record)
                for key, record in read.scan("idempotency_due", limit=SWEPT_MAX)
                if int(key[:NUMBER_DIGITS]) <= now_ms
            ]
        if not due:
            return 0
        with operator.write() as txn:
            for key, record in due:
                txn.delete("idempotency_due", key)
                tenant = record["tenant"]
                own = txn.within(self._plane.tenant(tenant)) if tenant else txn
                stored = own.get("idempotency", record["name"])
                # The key may have been used again since.
                if stored is not None and stored["expires_ms"] <= now_ms:
                    own.delete("idempotency", record["name"])
        return len(due)


def _due(expires_ms: int, named: str, tenant: str) -> str:
    return f"{expires_ms:0{NUMBER_DIGITS}d}/{named}/{tenant}"
