"""Send a message as a webhook, signed as Standard Webhooks 1.0.0 says.

The body is JSON made from the template's parts by an encoder, never by pasting text together.
`webhook-id` is the idempotency key; each secret adds a signature, so that secrets can be rotated:
HMAC-SHA256 (v1) for a shared one, Ed25519 (v1a) for a private key, whose public half verifies.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook

from actors.relay.channels.base import Message
from actors.relay.channels.exchange import Exchange, refusal
from actors.relay.channels.guard import Guard
from actors.relay.channels.render import Encoding
from actors.relay.outcomes import Dead, Delivered, Disabled, Outcome

BODY_MAX = 20_000
SEED_BYTES = 32
# From the message's id, its time in seconds and its body to a signature.
Signer = Callable[[str, int, str], str]


class WebhookChannel:
    """Posts to the URL that is the message's address; 410 disables that URL.

    A receiver is asked to take a repeated `webhook-id` for the same message, for `key_ttl_ms`.
    """

    keyed = True
    parts: Mapping[str, Encoding] = {"body": "text", "title": "text"}
    optional = frozenset({"title"})

    def __init__(
        self,
        secrets: Sequence[str],
        guard: Guard,
        *,
        key_ttl_ms: int = 86_400_000,
        timeout_ms: int = 20_000,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Shared `secrets` are `whsec_` and base64 of 24 to 64 bytes; private keys are `whsk_` and
        base64 of an Ed25519 seed, or of seed and public key. Raises ValueError for others.
        """
        self._signers = [_signer(secret) for secret in secrets]
        if not self._signers:
            raise ValueError("a webhook needs at least one secret")
        self.key_ttl_ms = key_ttl_ms
        self._exchange = Exchange(guard, timeout_ms, tls)

    async def send(self, message: Message) -> Outcome:
        """Post it once. 2xx is success, 410 the end, 3xx a failure: redirects are not followed."""
        body = json.dumps(
            {
                "type": "message",
                "timestamp": datetime.fromtimestamp(message.at_ms / 1_000, UTC).isoformat(),
                "data": dict(message.parts),
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )
        return await self.post(message.address, message.key, message.at_ms, body)

    async def post(self, url: str, key: str, at_ms: int, body: str) -> Outcome:
        """Post a body of JSON once, signed as sent at `at_ms`, UTC; what comes of it as `send`."""
        try:
            data = body.encode()
        except UnicodeEncodeError:
            return Dead("body_not_utf8")
        if len(data) > BODY_MAX:
            return Dead("body_too_large")
        headers = {"content-type": "application/json", **self.signed(key, at_ms, body)}
        reply = await self._exchange.ask("POST", url, headers, data)
        if isinstance(reply, Outcome):
            return reply
        if 200 <= reply.status < 300:
            return Delivered()
        if reply.status == 410:
            return Disabled("http_410")
        return refusal(reply, at_ms)

    def signed(self, key: str, at_ms: int, body: str) -> dict[str, str]:
        """Return the three headers of Standard Webhooks for a body sent at `at_ms`, UTC."""
        at_s = at_ms // 1_000
        return {
            "webhook-id": key,
            "webhook-timestamp": str(at_s),
            "webhook-signature": " ".join(sign(key, at_s, body) for sign in self._signers),
        }

    async def close(self) -> None:
        """Give back connections."""
        await self._exchange.close()


def _signer(secret: str) -> Signer:
    if secret.startswith("whsec_"):
        return _shared(secret)
    if secret.startswith("whsk_"):
        return _private(secret.removeprefix("whsk_"))
    raise ValueError("a webhook's secret starts with whsec_ (shared) or whsk_ (a private key)")


def _shared(secret: str) -> Signer:
    try:
        webhook = Webhook(secret)
    except Exception:
        # What the library says could repeat the secret.
        raise ValueError("a webhook's secret is base64 behind whsec_") from None

    def sign(key: str, at_s: int, body: str) -> str:
        at = datetime.fromtimestamp(at_s, UTC)
        return webhook.sign(msg_id=key, timestamp=at, data=body)

    return sign


def _private(text: str) -> Signer:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if len(data) not in (SEED_BYTES, 2 * SEED_BYTES):
        raise ValueError("a webhook's private key is base64 of 32 or 64 bytes behind whsk_")
    private = Ed25519PrivateKey.from_private_bytes(data[:SEED_BYTES])
    if data[SEED_BYTES:] not in (b"", private.public_key().public_bytes_raw()):
        raise ValueError("a webhook's private key does not belong to the public key beside it")

    def sign(key: str, at_s: int, body: str) -> str:
        signature = private.sign(f"{key}.{at_s}.{body}".encode())
        return "v1a," + base64.b64encode(signature).decode()

    return sign
