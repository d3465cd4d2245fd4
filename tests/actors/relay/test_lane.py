"""Tests that each message is seen to its end, in virtual time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest

from actors import failpoints
from actors.relay.backoff import Backoff
from actors.relay.breaker import Breaker
from actors.relay.channels.base import Message
from actors.relay.channels.render import Source
from actors.relay.compose import Content
from actors.relay.outcomes import Ambiguous, Dead, Delivered, Outcome, Retry
from actors.relay.provider import Provider
from relaying import (
    DAY_MS,
    EFFECT,
    EPOCH_MS,
    MemoryOutbox,
    Scripted,
    Setup,
    effects,
    run_virtual,
)


def provider(channel: Scripted, **options: Any) -> Provider:
    return Provider("mail", channel, **options)


def run_one(
    channel: Scripted,
    *,
    outbox: MemoryOutbox | None = None,
    until: int = 1,
    content: Content | None = None,
    send: Any = EFFECT,
    **options: Any,
) -> tuple[Setup, MemoryOutbox]:
    """Sends one effect and stops at the `until`-th report."""
    kept = outbox or MemoryOutbox()

    async def main() -> Setup:
        setup = Setup(kept, {"email": provider(channel, **options)}, content=content)
        kept.commit([send])
        await setup.run_until(lambda: len(setup.results) >= until)
        return setup

    return run_virtual(main()), kept


def test_a_message_leaves_and_nothing_stays() -> None:
    channel = Scripted(lambda message, attempt: Delivered("m-1"))
    setup, outbox = run_one(channel)
    (result,) = setup.results
    assert (result.name, result.message_id, result.attempts) == ("message_sent", "m-1", 1)
    assert result.effect == EFFECT
    assert channel.attempts == {EFFECT.key: 1}
    assert outbox.names("pending") == outbox.names("parked") == []
    routes = {"route/", "route/email"}
    assert outbox.stored.keys() <= {"cursor/mail", "cursor/unrouted", *routes}


def test_every_retry_has_the_same_key_and_a_growing_wait() -> None:
    channel = Scripted(lambda message, attempt: Retry("http_500") if attempt < 6 else Delivered())
    setup, _ = run_one(channel, breaker=Breaker(failures_max=100))
    assert setup.counts == {"message_sent": 1}
    assert setup.results[0].attempts == 6
    assert channel.attempts == {EFFECT.key: 6}
    waits = [b[0] - a[0] for a, b in zip(channel.seen, channel.seen[1:], strict=False)]
    assert all(0 <= wait <= 1_000 << i for i, wait in enumerate(waits)), waits


def test_retry_after_is_a_floor_and_pauses_everybody() -> None:
    channel = Scripted(
        lambda message, attempt: (
            Retry("http_429", 90_000, throttled=True)
            if message.at_ms < EPOCH_MS + 90_000
            else Delivered()
        )
    )

    async def main() -> Setup:
        outbox = MemoryOutbox()
        setup = Setup(outbox, {"email": provider(channel, concurrency=2)})
        outbox.commit(effects(10))
        await setup.run_until(lambda: setup.counts["message_sent"] == 10)
        return setup

    setup = run_virtual(main())
    early = [at for at, _ in channel.seen if at < EPOCH_MS + 90_000]
    assert len(early) == 2
    # Being throttled is no failed attempt.
    assert {result.attempts for result in setup.results} == {1}


@pytest.mark.parametrize(("outcome", "reason"), [(Dead("http_400"), "http_400")])
def test_what_can_never_leave_is_parked_and_redriven(outcome: Outcome, reason: str) -> None:
    answers: list[Outcome] = [outcome, Delivered()]
    channel = Scripted(lambda message, attempt: answers[attempt - 1])

    async def main() -> None:
        outbox = MemoryOutbox()
        setup = Setup(outbox, {"email": provider(channel)})
        outbox.commit([EFFECT])
        await setup.run_until(lambda: bool(setup.results))
        assert (setup.results[0].name, setup.results[0].reason) == ("message_failed", reason)
        (parked,) = await setup.relay.parked("mail")
        assert (parked.key, parked.state, parked.reason) == (EFFECT.key, "dead", reason)
        assert parked.effect == EFFECT
        again = Setup(outbox, {"email": provider(channel)})
        assert await again.relay.redrive("mail", EFFECT.key)
        assert not await again.relay.redrive("mail", EFFECT.key)
        await again.run_until(lambda: bool(again.results))
        assert again.counts == {"message_sent": 1}
        assert channel.attempts == {EFFECT.key: 2}
        assert await again.relay.parked("mail") == []
        assert outbox.names("pending") == []

    run_virtual(main())


def test_a_running_relay_takes_up_what_is_redriven() -> None:
    channel = Scripted(lambda m, attempt: Dead("http_400") if attempt == 1 else Delivered())

    async def main() -> None:
        outbox = MemoryOutbox()
        setup = Setup(outbox, {"email": provider(channel)})
        outbox.commit(effects(5))
        running = asyncio.ensure_future(setup.relay.run())
        while len(await setup.relay.parked("mail")) < 5:
            await asyncio.sleep(1)
        assert [p.key for p in await setup.relay.parked("mail", limit=2)] == sorted(
            e.key for e in effects(5)
        )[:2]
        for parked in await setup.relay.parked("mail"):
            await setup.relay.redrive("mail", parked.key)
        assert not await setup.relay.discard("mail", EFFECT.key)
        while setup.counts["message_sent"] < 5:
            await asyncio.sleep(1)
        setup.relay.stop()
        await running

    run_virtual(main())


def test_an_unkeyed_send_of_unknown_fate_is_held_for_marketing() -> None:
    channel = Scripted(lambda m, attempt: Ambiguous("timeout"), keyed=False)
    setup, outbox = run_one(channel)
    assert setup.counts == {"message_ambiguous": 1}
    assert channel.attempts[EFFECT.key] == 1
    assert outbox.names("parked") == [f"parked/mail/{EFFECT.key}"]


def test_an_unkeyed_send_of_unknown_fate_is_repeated_for_transactions() -> None:
    channel = Scripted(
        lambda m, attempt: Ambiguous("timeout") if attempt == 1 else Delivered(), keyed=False
    )
    setup, outbox = run_one(channel, resend_ambiguous=True)
    assert setup.counts == {"message_sent": 1}
    assert channel.attempts[EFFECT.key] == 2
    assert outbox.names("parked") == []


def test_a_key_protects_only_while_the_provider_remembers_it() -> None:
    channel = Scripted(lambda m, attempt: Ambiguous("timeout"), key_ttl_ms=60_000)
    backoff = Backoff(base_ms=20_000, cap_ms=20_000)
    setup, _ = run_one(channel, backoff=backoff, breaker=Breaker(failures_max=100))
    assert setup.counts == {"message_ambiguous": 1}
    assert 1 < channel.attempts[EFFECT.key] < 30
    assert channel.seen[-1][0] - channel.seen[0][0] <= 60_000


def test_attempts_have_an_end() -> None:
    channel = Scripted(lambda m, attempt: Retry("http_500"))
    setup, _ = run_one(channel, attempts_max=4, breaker=Breaker(failures_max=100))
    assert [(r.name, r.attempts) for r in setup.results] == [("message_failed", 4)]


def test_what_has_expired_or_gone_stale_is_not_sent() -> None:
    channel = Scripted()

    async def main() -> Setup:
        outbox = MemoryOutbox()
        setup = Setup(outbox, {"email": provider(channel)})
        outbox.commit(
            [
                *effects(3, expires_ms=EPOCH_MS),
                *effects(2, node="b", fresh_until_ms=EPOCH_MS),
                *effects(1, node="c"),
            ]
        )
        await setup.run_until(lambda: len(setup.results) == 6)
        return setup

    setup = run_virtual(main())
    assert setup.counts == {"message_expired": 3, "message_returned": 2, "message_sent": 1}
    assert len(channel.seen) == 1


def test_what_expires_between_attempts_is_dropped_and_counted() -> None:
    channel = Scripted(lambda m, attempt: Retry("http_503"))
    short = replace(EFFECT, expires_ms=EPOCH_MS + 30_000)
    setup, outbox = run_one(channel, send=short, breaker=Breaker(failures_max=100))
    assert setup.counts == {"message_expired": 1}
    assert channel.seen[-1][0] < short.expires_ms
    assert outbox.names("pending") == outbox.names("parked") == []


def test_a_delay_is_told_once() -> None:
    channel = Scripted(
        lambda m, attempt: Retry("x") if m.at_ms < EPOCH_MS + 1_800_000 else Delivered()
    )
    setup, _ = run_one(channel, until=2, breaker=Breaker(failures_max=1_000))
    assert setup.counts == {"message_delayed": 1, "message_sent": 1}
    assert setup.results[1].delay_ms >= 1_800_000


@pytest.mark.parametrize(
    ("missing", "name"),
    [("fail", "message_failed"), ("skip", "message_skipped"), ("empty", "message_sent")],
)
def test_a_missing_value_does_what_the_template_says(missing: Any, name: str) -> None:
    content = Content({"body": Source("Hello {{ nickname }}", missing)}, "email")
    setup, _ = run_one(Scripted(), content=content)
    assert setup.counts == {name: 1}
    assert setup.results[0].reason == ("" if missing == "empty" else "missing_variable")


def test_no_provider_no_template_no_customer_no_sense() -> None:
    channel = Scripted()

    async def main() -> None:
        outbox = MemoryOutbox()
        setup = Setup(outbox, {"email": provider(channel)})
        setup.persons.erased = {1}
        outbox.commit(
            [
                replace(EFFECT, channel="pigeon"),
                b"\xff\xfe",
                replace(EFFECT, template="none"),
                replace(EFFECT, customer=1),
                replace(EFFECT, to="fax"),
                replace(EFFECT, customer=2),
            ]
        )
        await setup.run_until(lambda: len(setup.results) == 5)
        found = {(r.name, r.reason) for r in setup.results}
        assert found == {
            ("message_failed", "no_provider"),
            ("message_failed", "no_template"),
            ("message_failed", "erased"),
            ("message_failed", "no_address"),
            ("message_sent", ""),
        }
        unrouted = await setup.relay.parked("unrouted")
        assert {p.reason for p in unrouted} == {"no_provider", "unreadable"}
        (unreadable,) = [p for p in unrouted if p.effect is None]
        with pytest.raises(ValueError, match="only discarded"):
            await setup.relay.redrive("unrouted", unreadable.key)
        assert await setup.relay.discard("unrouted", unreadable.key)

    run_virtual(main())


def test_concurrency_is_bounded_and_used() -> None:
    channel = Scripted(takes_s=1.0)

    async def main() -> int:
        outbox = MemoryOutbox()
        setup = Setup(outbox, {"email": provider(channel, concurrency=7)})
        outbox.commit(effects(70))
        await setup.run_until(lambda: len(setup.results) == 70)
        return outbox.transactions

    transactions = run_virtual(main())
    assert channel.under_way_max == 7
    assert channel.seen[-1][0] == EPOCH_MS + 9_000
    assert [key for _, key in channel.seen] == [e.key for e in effects(70)]
    assert transactions < 70


def test_a_channel_that_raises_is_of_unknown_fate_and_its_words_are_not_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(message: Message, attempt: int) -> Outcome:
        raise RuntimeError(f"{message.address} {message.parts['body']}")

    with caplog.at_level(logging.DEBUG):
        setup, outbox = run_one(Scripted(fail, keyed=False))
    assert setup.results[0].reason == "error_RuntimeError"
    kept = caplog.text + repr(setup.results) + repr(outbox.stored)
    assert "example.com" not in kept
    assert "Secret7" not in kept


def test_a_relay_that_stops_is_taken_over_where_it_was() -> None:
    channel = Scripted(takes_s=10.0)

    async def main() -> None:
        outbox = MemoryOutbox()
        first = Setup(outbox, {"email": provider(channel, concurrency=4)})
        outbox.commit(effects(20))
        running = asyncio.ensure_future(first.relay.run())
        await asyncio.sleep(15)
        running.cancel()
        await asyncio.wait({running})
        assert first.counts == {"message_sent": 4}
        assert len(outbox.names("pending")) == 4
        second = Setup(outbox, {"email": provider(channel, concurrency=4)})
        await second.run_until(lambda: len(second.results) == 16)
        assert outbox.names("pending") == []

    run_virtual(main())
    assert sorted(channel.attempts.values()) == [1] * 16 + [2] * 4


def test_an_outbox_that_fails_stops_the_relay() -> None:
    class Failing(MemoryOutbox):
        async def mark(self, *arguments: Any) -> None:
            raise OSError(5, "fsync")

    channel = Scripted()

    async def main() -> None:
        outbox = Failing()
        setup = Setup(outbox, {"email": provider(channel)})
        outbox.commit([EFFECT])
        with pytest.raises(ExceptionGroup) as raised:
            await setup.run_until(lambda: False)
        assert raised.group_contains(OSError)

    run_virtual(main())
    assert channel.seen == []


def test_waiting_messages_are_bounded_in_memory() -> None:
    channel = Scripted(lambda m, attempt: Retry("not_now", 3_600_000, fault=False))

    async def main() -> int:
        outbox = MemoryOutbox()
        setup = Setup(outbox, {"email": provider(channel, waiting_max=50, concurrency=8)})
        outbox.commit(effects(1_000, expires_ms=EPOCH_MS + DAY_MS))
        running = asyncio.ensure_future(setup.relay.run())
        await asyncio.sleep(1_800)
        count = len(outbox.names("pending"))
        setup.relay.stop()
        await running
        return count

    assert run_virtual(main()) == 50


@pytest.fixture(autouse=True)
def _disarmed() -> Any:
    yield
    failpoints.disarm()
