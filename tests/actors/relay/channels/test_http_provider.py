"""Tests of gateways: requests made from a template, answers read by it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from actors.relay.channels.base import Message
from actors.relay.channels.guard import Guard
from actors.relay.channels.http_provider import Gateway, HttpProvider
from actors.relay.outcomes import Ambiguous, Dead, Delivered, Disabled, Outcome, Retry
from local_http import Server, answer, serving

BODY = {
    "to": "{{ to }}",
    "messages": [{"text": "{{ body }}", "ref": "{{ key }}"}],
    "flash": False,
    "ttl": 60,
}


def message(body: str = "Hi", to: str = "+4912345") -> Message:
    return Message("k1", to, {"body": body}, 1_700_000_000_000)


async def send(server: Server, sent: Message, **options: Any) -> Outcome:
    url = f"http://sms.example.com:{server.port}/v1/{{{{ to }}}}?from={{{{ sender }}}}"
    gateway = Gateway(
        url,
        BODY,
        headers={"Authorization": "Bearer {{ secret }}", "Idempotency-Key": "{{ key }}"},
        secrets={"secret": "s3cr3t", "sender": "a b&c"},
        **options,
    )
    assert "s3cr3t" not in repr(gateway)
    provider = HttpProvider(gateway, server.guard())
    try:
        return await provider.send(sent)
    finally:
        await provider.close()


def test_the_request_is_what_the_template_says() -> None:
    awkward = 'Say "hi"\\ {{ 7 | times: 7 }}\n\u20ac\x00'

    async def main() -> None:
        async with serving(answer(200)) as server:
            assert await send(server, message(awkward, "../x?y=1&z")) == Delivered()
            (request,) = server.requests
        assert request.path == "/v1/..%2Fx%3Fy%3D1%26z?from=a%20b%26c"
        assert request.headers["authorization"] == "Bearer s3cr3t"
        assert request.headers["idempotency-key"] == "k1"
        assert json.loads(request.body) == {
            "to": "../x?y=1&z",
            "messages": [{"text": awkward, "ref": "k1"}],
            "flash": False,
            "ttl": 60,
        }

    asyncio.run(main())


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (answer(200, b'{"data": [{"id": "m-1"}], "err": null}'), Delivered("m-1")),
        (answer(200, b'{"data": [{"id": 77}], "err": 0}'), Delivered("77")),
        (answer(200, b'{"data": []}'), Delivered("")),
        (answer(200, b'{"err": "E1"}'), Retry("provider_error_E1")),
        (answer(200, b'{"err": "E2"}'), Retry("provider_error_E2", throttled=True)),
        (answer(200, b'{"err": 45009}'), Disabled("provider_error_45009")),
        (answer(200, b'{"err": "bad number +4912345"}'), Dead("provider_error")),
        (answer(200, b"<html>"), Ambiguous("reply_unreadable")),
        (answer(200, b"[" * 50_000), Ambiguous("reply_unreadable")),
        (answer(409), Delivered()),
        (answer(402), Retry("http_402")),
        (answer(401), Dead("http_401")),
        (answer(429, b"", "Retry-After: 3"), Retry("http_429", 3_000, throttled=True)),
        (answer(410), Disabled("http_410")),
        (answer(500), Retry("http_500")),
    ],
)
def test_the_answer_means_what_the_template_says(said: bytes, outcome: Outcome) -> None:
    async def main() -> None:
        async with serving(said) as server:
            found = await send(
                server,
                message(),
                id_path="data.0.id",
                error_path="err",
                errors={"E1": "retry", "E2": "throttled", "45009": "disabled", "0": "sent"},
                statuses={409: "sent", 402: "retry"},
            )
            assert found == outcome

    asyncio.run(main())


def test_a_header_cannot_be_split() -> None:
    async def main() -> None:
        async with serving(answer(200)) as server:
            gateway = Gateway(
                f"http://sms.example.com:{server.port}/", {}, headers={"X-To": "{{ to }}"}
            )
            provider = HttpProvider(gateway, server.guard())
            split = message(to="1\r\nX-Evil: 1")
            assert await provider.send(split) == Dead("gateway_template_failed")
            await provider.close()
            assert server.connections == 0

    asyncio.run(main())


def test_a_template_that_cannot_be_compiled_is_refused_at_once() -> None:
    for gateway in (
        Gateway("https://a.example.com/{{ to", {}),
        Gateway("https://a.example.com/", {"a": ["{% include 'x' %}"]}),
        Gateway("https://a.example.com/", {}, headers={"X": "{{ ''.__class__ }}"}),
    ):
        with pytest.raises(ValueError, match="template_invalid"):
            HttpProvider(gateway, Guard())
