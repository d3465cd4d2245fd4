"""Do a request once however often it is sent: responses are kept by the key that the client chose.

The response is stored in the write transaction that makes the change it tells of. So a crash leaves
both, and the request is answered from the store, or neither, and it is done anew. That a request is
being carried out is known in memory alone: there is one process, and what it was doing when it died
was not done.

A response may show a secret or a customer. It is encrypted under the idempotency key, of which only
a hash is stored: who sends the key again can read it, and who has the file, or what is left of it
in the file's free pages, can not.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import msgpack
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from actors.service.errors import InvalidError, UnderWayError
from actors.service.plane import Plane, Rows
from actors.service.transactions import NUMBER_DIGITS, WriteTxn

KEPT_MS = 24 * 3_600_000
KEY_LENGTH_MAX = 255
RETRY_AFTER_MS = 1_000
SWEPT_MAX = 1_000  # in one transaction

NONCE_BYTES = 12  # as AES-GCM wants it

_Id = tuple[str, str]  # tenant, and the hash of route and key


@dataclass(frozen=True, slots=True)
class _Request:
    """What a request is known by, and what its response is encrypted under."""

    identity: _Id
    secret: bytes = field(repr=False)
    digest: bytes


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

    def __init__(self, home: Idempotency, request: _Request, now_ms: int) -> None:
        """Made by `Idempotency.claim`."""
        self._home = home
        self._request = request
        self._now_ms = now_ms

    @property
    def name(self) -> str:
        """What the request and its repetitions have in common, and no other request has."""
        return f"{self._request.identity[1]}{self._request.digest.hex()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *args: object) -> None:
        self._home.release(self._request.identity)

    def store(self, txn: WriteTxn, response: Response) -> None:
        """Keep the response in the transaction that makes the change; call it once, in the block.

        Raises TooLargeError for a response over 20 MiB.
        """
        self._home.put(txn, self._request, response, self._now_ms)


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
        asked = _request(rows.tenant or "", route, key, request)
        identity = asked.identity
        with self._lock:
            if identity in self._under_way:
                raise UnderWayError(
                    "a request with this idempotency key is being carried out",
                    advice="Send the same again in a second: it gets that one's response",
                    retry_after_ms=RETRY_AFTER_MS,
                )
            self._under_way.add(identity)
        # Only now: whoever had it before has stored his response, or none.
        claim = Claim(self, asked, now_ms)
        try:
            found = self._stored(rows, asked, now_ms)
        except BaseException:
            self.release(identity)
            raise
        if found is None:
            return claim
        self.release(identity)
        return found

    def _stored(self, rows: Rows, asked: _Request, now_ms: int) -> Response | None:
        with rows.read() as txn:
            record = txn.get("idempotency", asked.identity[1])
        if record is None or record["expires_ms"] <= now_ms:
            return None
        if record["request"] != asked.digest:
            raise InvalidError(
                "this idempotency key was used for another request",
                advice="Use a new key for a new request; to repeat one, send the very same",
                pointer="Idempotency-Key",
            )
        sealed = record["response"]
        opened = AESGCM(asked.secret).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
        return Response(*msgpack.unpackb(opened))

    def put(self, txn: WriteTxn, asked: _Request, response: Response, now_ms: int) -> None:
        """Store the response of a claim. Raises ValueError for the rows of another tenant."""
        tenant, named = asked.identity
        if tenant != (txn.tenant or ""):
            raise ValueError("the response to a tenant's request belongs among his rows")
        expires_ms = now_ms + self._kept_ms
        nonce = secrets.token_bytes(NONCE_BYTES)
        plain = msgpack.packb([response.status, response.body, dict(response.headers)])
        sealed = nonce + AESGCM(asked.secret).encrypt(nonce, plain, None)
        txn.put(
            "idempotency",
            named,
            {"request": asked.digest, "response": sealed, "expires_ms": expires_ms},
        )
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


def _request(tenant: str, route: str, key: str, request: bytes) -> _Request:
    whole = f"{route}\0{key}".encode(errors="surrogatepass")
    # Two hashes of the same, of which one is stored and tells nothing of the other.
    named = hashlib.sha256(b"name\0" + whole).hexdigest()
    secret = hashlib.sha256(b"secret\0" + whole).digest()
    return _Request((tenant, named), secret, hmac.digest(secret, request, "sha256"))


def _due(expires_ms: int, named: str, tenant: str) -> str:
    return f"{expires_ms:0{NUMBER_DIGITS}d}/{named}/{tenant}"
