"""Scenario 12: one provider is dead in every way there is; the others are not delayed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import numpy as np
import pytest

from actors.relay.backoff import Backoff
from actors.relay.breaker import Breaker
from actors.relay.channels.http_provider import Gateway, HttpProvider
from actors.relay.outcomes import Ambiguous, Delivered, Outcome, Retry
from actors.relay.provider import Provider
from local_http import answer, serving
from relaying import EPOCH_MS, MemoryOutbox, Scripted, Setup, effects, run_virtual

WAYS: dict[str, Outcome] = {
    "500": Retry("http_500"),
    "timeout": Ambiguous("timeout"),
    "reset": Ambiguous("connection_lost"),
    "429": Retry("http_429", 30_000, throttled=True),
    "tls": Retry("tls_failed"),
    "dns": Retry("dns_failed"),
}


def delays(dead: Outcome | None) -> list[int]:
    """Delays in ms of 500 texts, 10 a second, by a provider that is 30% busy; e-mail is `dead`."""

    async def main() -> list[int]:
        outbox = MemoryOutbox()
        mail = Scripted(lambda m, n: dead or Delivered(), takes_s=15.0 if dead else 0.05)
        text = Scripted(takes_s=0.12)
        setup = Setup(
            outbox,
            {"email": Provider("mail", mail), "sms": Provider("sms", text, concurrency=4)},
        )

        async def commits() -> None:
            for number in range(500):
                at = EPOCH_MS + number * 100
                (send,) = effects(1, visit=number, channel="sms", committed_ms=at)
                (other,) = effects(1, visit=number, committed_ms=at)
                outbox.commit([other, send])
                await asyncio.sleep(0.1)

        writing = asyncio.ensure_future(commits())
        sent = [r for r in setup.results if r.effect.channel == "sms"]

        def done() -> bool:
            nonlocal sent
            sent = [r for r in setup.results if r.effect.channel == "sms"]
            return len(sent) == 500

        await setup.run_until(done)
        await writing
        return [r.delay_ms for r in sent]

    return run_virtual(main())


@pytest.mark.parametrize("way", WAYS)
def test_12_a_dead_provider_delays_no_other(way: str) -> None:
    alone, beside = delays(None), delays(WAYS[way])
    p50, p99 = np.percentile(beside, [50, 99]) / np.percentile(alone, [50, 99])
    print(f"\nscenario 12: mail dead by {way}: texts' p50 x {p50:.2f}, p99 x {p99:.2f}")
    assert p50 <= 1.25
    assert p99 <= 2.0


def test_12_the_breaker_opens_probes_and_closes() -> None:
    channel = Scripted(
        lambda m, n: Retry("http_500") if m.at_ms < EPOCH_MS + 600_000 else Delivered()
    )

    async def main() -> None:
        outbox = MemoryOutbox()
        breaker = Breaker(failures_max=5, open_ms=10_000, open_max_ms=80_000)
        setup = Setup(outbox, {"email": Provider("mail", channel, breaker=breaker, concurrency=5)})
        outbox.commit(effects(200))
        await setup.run_until(lambda: setup.counts["message_sent"] == 200)
        assert breaker.state(10**15) == "closed"

    run_virtual(main())
    refused = [at - EPOCH_MS for at, _ in channel.seen if at < EPOCH_MS + 600_000]
    print(f"\nscenario 12: {len(refused)} attempts in 10 minutes of failure, 200 sent after it")
    # Five that opened it, then probes after 10, 20, 40, 80, 80 ... s.
    assert len(refused) <= 5 + 11
    assert channel.seen[-1][0] <= EPOCH_MS + 600_000 + 2 * 80_000


def test_12_real_connections_that_go_wrong_end_with_the_same_key() -> None:
    wrong: list[str | bytes] = [
        *(answer(500), "reset", "close", answer(429, b"", "Retry-After: 0"), "silence", "drip"),
        answer(503),
        answer(202),
    ]

    async def main(done: Callable[[Setup], bool]) -> None:
        async with serving(*wrong) as server:
            gateway = Gateway(
                f"http://sms.example.com:{server.port}/",
                {"text": "{{ body }}"},
                headers={"Idempotency-Key": "{{ key }}"},
                keyed=True,
            )
            channel = HttpProvider(gateway, server.guard(), timeout_ms=200)
            provider = Provider(
                "sms", channel, backoff=Backoff(1, 2), breaker=Breaker(failures_max=100)
            )
            outbox = MemoryOutbox()
            setup = Setup(
                outbox, {"email": provider}, clock=lambda: EPOCH_MS + time.monotonic_ns() // 10**6
            )
            outbox.commit(effects(1, expires_ms=2 * EPOCH_MS, fresh_until_ms=2 * EPOCH_MS))
            await asyncio.wait_for(setup.run_until(lambda: done(setup)), 20)
            await channel.close()
            keys = {request.headers["idempotency-key"] for request in server.requests}
            print(f"\nscenario 12: {server.connections} connections, {len(keys)} key")
            assert server.connections == len(wrong)
            assert keys == {effects(1)[0].key}
            assert setup.counts["message_sent"] == 1

    asyncio.run(main(lambda setup: setup.counts["message_sent"] == 1))
