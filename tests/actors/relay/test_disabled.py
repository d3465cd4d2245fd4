"""Tests that an address which asked to be left alone is, also after a restart."""

from __future__ import annotations

from dataclasses import replace

from actors.relay.outcomes import Delivered, Disabled
from actors.relay.provider import Provider
from relaying import EFFECT, MemoryOutbox, Scripted, Setup, run_virtual

TO_ANN = "c7@example.com"


def test_a_gone_address_is_left_alone_across_restarts_until_enabled() -> None:
    channel = Scripted(
        lambda message, attempt: (
            Disabled("http_410") if message.address == TO_ANN and attempt == 1 else Delivered()
        )
    )
    outbox = MemoryOutbox()

    async def run(until: int) -> Setup:
        setup = Setup(outbox, {"email": Provider("mail", channel)})
        await setup.run_until(lambda: len(setup.results) >= until)
        return setup

    async def main() -> None:
        outbox.commit([EFFECT])
        (result,) = (await run(1)).results
        assert (result.name, result.reason) == ("message_failed", "http_410")
        outbox.commit([replace(EFFECT, visit=2), replace(EFFECT, customer=8)])
        second = await run(2)
        reasons = {result.effect.customer: result.reason for result in second.results}
        assert reasons == {7: "address_disabled", 8: ""}
        assert channel.attempts.total() == 2
        names = outbox.names("disabled")
        assert len(names) == 1
        assert TO_ANN not in repr(outbox.stored)
        third = Setup(outbox, {"email": Provider("mail", channel)})
        await third.run_until(lambda: True)
        assert not await third.relay.enable("mail", "other@example.com")
        assert await third.relay.enable("mail", TO_ANN)
        assert outbox.names("disabled") == []
        assert await third.relay.redrive("mail", EFFECT.key)
        (result,) = (await run(1)).results
        assert result.name == "message_sent"

    run_virtual(main())


def test_two_relays_hash_an_address_differently() -> None:
    async def hashed() -> str:
        outbox = MemoryOutbox()
        outbox.commit([EFFECT])
        channel = Scripted(lambda message, attempt: Disabled("http_410"))
        setup = Setup(outbox, {"email": Provider("mail", channel)})
        await setup.run_until(lambda: bool(setup.results))
        (name,) = outbox.names("disabled")
        return name

    assert run_virtual(hashed()) != run_virtual(hashed())
