"""Tests of webhooks: signatures, and what each answer of a receiver means."""

from __future__ import annotations

import asyncio
import base64
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook

from actors.relay.channels.base import Message
from actors.relay.channels.guard import Guard
from actors.relay.channels.webhook import WebhookChannel
from actors.relay.outcomes import Ambiguous, Dead, Delivered, Disabled, Outcome, Retry
from local_http import Server, answer, certificate, serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
PRIVATE = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
# Its public half is another's.
MISMATCHED = "whsk_" + base64.b64encode(bytes(range(64))).decode()
AT_MS = 1_614_265_330_000


def message(url: str, body: str = "hi") -> Message:
    return Message("msg_p5jXN8AQM9LWM0D4loKWxJek", url, {"body": body}, AT_MS)


async def send(server: Server, **options: Any) -> Outcome:
    channel = WebhookChannel([SECRET], server.guard(), **options)
    try:
        return await channel.send(message(server.url()))
    finally:
        await channel.close()


def test_the_official_vector() -> None:
    channel = WebhookChannel([SECRET], Guard())
    assert channel.signed("msg_p5jXN8AQM9LWM0D4loKWxJek", AT_MS, '{"test": 2432232314}') == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_vector_of_a_private_key() -> None:
    """The reference libraries' key; `openssl pkeyutl -sign -rawin` gives the same signature."""
    channel = WebhookChannel([PRIVATE], Guard())
    headers = channel.signed("msg_p5jXN8AQM9LWM0D4loKWxJek", AT_MS, '{"test": 2432232314}')
    assert headers["webhook-signature"] == (
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    )
    seed = base64.b64encode(base64.b64decode(PRIVATE.removeprefix("whsk_"))[:32]).decode()
    for form in ("whsk_" + seed, "whsk_" + seed.rstrip("=")):
        alone = WebhookChannel([form], Guard())
        again = alone.signed("msg_p5jXN8AQM9LWM0D4loKWxJek", AT_MS, '{"test": 2432232314}')
        assert again == headers


def test_a_receiver_verifies_with_the_public_half_while_secrets_are_rotated() -> None:
    channel = WebhookChannel([SECRET, PRIVATE], Guard())
    body = '{"data":"é"}'
    shared, private = channel.signed("k1", AT_MS, body)["webhook-signature"].split(" ")
    assert shared.startswith("v1,")
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(PUBLIC.removeprefix("whpk_")))
    signature = base64.b64decode(private.removeprefix("v1a,"))
    public.verify(signature, f"k1.{AT_MS // 1_000}.{body}".encode())
    with pytest.raises(InvalidSignature):
        public.verify(signature, f"k2.{AT_MS // 1_000}.{body}".encode())


def test_a_receiver_can_verify_with_either_secret() -> None:
    now_ms = int(datetime.now(UTC).timestamp() * 1_000)

    async def main() -> None:
        async with serving(answer(200)) as server:
            channel = WebhookChannel([SECRET, OTHER], server.guard())
            sent = Message("k1", server.url(), {"body": 'a "quote"\n', "title": "t"}, now_ms)
            assert await channel.send(sent) == Delivered()
            await channel.close()
            (request,) = server.requests
        for secret in (SECRET, OTHER):
            document = Webhook(secret).verify(request.body, request.headers)
            assert document["data"] == {"body": 'a "quote"\n', "title": "t"}
        assert request.headers["webhook-id"] == "k1"
        assert request.headers["host"] == f"hook.example.com:{server.port}"
        assert request.method == "POST"

    asyncio.run(main())


@pytest.mark.parametrize(
    "secret",
    ["", "abc", "whsec_", "whsec_x", "whsec_é", "whsk_", "whsk_x", "whsk_é", "whsk_!!", MISMATCHED],
)
def test_what_is_no_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook") as raised:
        WebhookChannel([secret], Guard())
    assert secret in ("", "whsec_", "whsk_") or secret not in str(raised.value)


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (answer(200), Delivered()),
        (answer(202, b"queued"), Delivered()),
        (answer(204), Delivered()),
        (answer(302, b"", "Location: http://127.0.0.1/"), Dead("http_302")),
        (answer(400), Dead("http_400")),
        (answer(410), Disabled("http_410")),
        (answer(408), Retry("http_408")),
        (answer(429, b"", "Retry-After: 7"), Retry("http_429", 7_000, throttled=True)),
        (
            answer(429, b"", "Retry-After: Thu, 25 Feb 2021 15:02:20 GMT"),
            Retry("http_429", 10_000, throttled=True),
        ),
        (answer(429, b"", "Retry-After: soon"), Retry("http_429", 0, throttled=True)),
        (answer(503, b"", "Retry-After: 7"), Retry("http_503", 7_000, throttled=True)),
        (answer(500), Retry("http_500")),
        (answer(502), Ambiguous("http_502")),
        (answer(504), Ambiguous("http_504")),
        ("reset", Ambiguous("connection_lost")),
        ("close", Ambiguous("connection_lost")),
        (b"NONSENSE\r\n\r\n", Ambiguous("connection_lost")),
    ],
)
def test_what_an_answer_means(said: str | bytes, outcome: Outcome) -> None:
    async def main() -> None:
        async with serving(said) as server:
            assert await send(server) == outcome
            assert server.connections == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("silence", Ambiguous("timeout")),
        ("drip", Ambiguous("timeout")),
        ("drip body", Delivered()),
    ],
)
def test_slow_answers_end(said: str, outcome: Outcome) -> None:
    async def main() -> None:
        async with serving(said) as server:
            assert await send(server, timeout_ms=300) == outcome

    asyncio.run(main())


def test_nobody_there_is_certainly_not_sent() -> None:
    async def main() -> None:
        async with serving(answer(200)) as server:
            pass
        assert await send(server) == Retry("connect_failed")

        async def nowhere(host: str, port: int) -> list[str]:
            raise OSError("no such name")

        channel = WebhookChannel([SECRET], Guard(resolve=nowhere))
        assert await channel.send(message("https://hook.example.com/")) == Retry("dns_failed")
        await channel.close()

    asyncio.run(main())


def test_tls_is_checked_against_the_name_not_the_address(tmp_path: Path) -> None:
    async def main() -> None:
        theirs, ours = certificate(tmp_path, "hook.example.com")
        async with serving(answer(200), tls=theirs) as server:
            channel = WebhookChannel([SECRET], server.guard(), tls=ours)
            right = message(server.url("hook.example.com", "https"))
            wrong = message(server.url("other.example.com", "https"))
            assert await channel.send(right) == Delivered()
            assert await channel.send(wrong) == Retry("tls_failed")
            await channel.close()
            unknown = WebhookChannel([SECRET], server.guard())
            assert await unknown.send(right) == Retry("tls_failed")
            await unknown.close()
            assert len(server.requests) == 1

    asyncio.run(main())


def test_large_answers_are_cut_and_large_bodies_refused() -> None:
    async def main() -> None:
        async with serving(answer(200, b"x" * 5_000_000)) as server:
            channel = WebhookChannel([SECRET], server.guard())
            reply = await channel._exchange.ask("POST", server.url(), {}, b"")
            assert not isinstance(reply, Outcome)
            assert (len(reply.body), reply.whole) == (65_536, False)
            large = message(server.url(), "x" * 20_000)
            assert await channel.send(large) == Dead("body_too_large")
            await channel.close()

    asyncio.run(main())


def test_no_cookie_proxy_or_coding_is_taken_along(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    async def main() -> None:
        async with serving(answer(200, b"", "Set-Cookie: a=b")) as server:
            channel = WebhookChannel([SECRET], server.guard())
            for _ in range(2):
                assert await channel.send(message(server.url())) == Delivered()
            await channel.close()
            assert "cookie" not in server.requests[1].headers
            assert server.requests[0].headers["accept-encoding"] == "identity"

    asyncio.run(main())


def test_logs_and_reprs_show_no_text(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with serving(answer(500, b"canary-reply")) as server:
            channel = WebhookChannel([SECRET], server.guard())
            sent = message(server.url("canary-host.example.com"), "canary-body")
            with caplog.at_level(logging.INFO):
                outcome = await channel.send(sent)
            await channel.close()
            assert "canary" not in repr(sent) + repr(outcome) + caplog.text

    asyncio.run(main())
