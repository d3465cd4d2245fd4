"""Tests that new providers take over where the former ones ended: nothing twice, nothing lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from actors.relay.effects import Effect
from actors.relay.outbox import Cursor
from actors.relay.outcomes import Dead, Retry
from actors.relay.provider import Provider
from actors.relay.routes import Routes
from actors.relay.rows import decode_row, encode_row
from relaying import EFFECT, MemoryOutbox, Scripted, Setup, effects, run_virtual

AT = Cursor(3, 1)


def mail(node: str) -> list[Effect]:
    return effects(5, node=node)


def sms(node: str) -> list[Effect]:
    return effects(5, node=f"sms {node}", channel="sms")


async def run(outbox: MemoryOutbox, lanes: dict[str, Provider], until: int) -> Counter[str]:
    setup = Setup(outbox, lanes)
    await setup.run_until(lambda: len(setup.results) >= until)
    return setup.counts


def test_every_change_of_providers_sends_each_message_once() -> None:
    """Lanes end and begin, channels part and meet again, while another lane is stuck."""
    a, b, c = Scripted(), Scripted(), Scripted()
    stuck = Scripted(lambda message, attempt: Retry("http_503"))
    outbox = MemoryOutbox()

    def dead() -> Provider:
        return Provider("stuck", stuck, waiting_max=1, concurrency=1)

    async def main() -> None:
        outbox.commit([*mail("one"), *effects(3, channel="push", node="p")])
        one = Provider("a", a)
        assert (await run(outbox, {"email": one, "push": dead()}, 5))["message_sent"] == 5
        outbox.commit([*mail("two"), *sms("two")])
        two = Provider("b", b)
        assert (await run(outbox, {"email": two, "sms": two, "push": dead()}, 10)).total() == 10
        outbox.commit([*mail("three"), *sms("three")])
        lanes = {"email": Provider("a", a), "sms": Provider("b", b), "push": dead()}
        assert (await run(outbox, lanes, 10)).total() == 10
        outbox.commit([*mail("four"), *sms("four")])
        lanes = {"email": Provider("c", c), "push": dead()}
        assert await run(outbox, lanes, 10) == {"message_sent": 5, "message_failed": 5}
        outbox.commit([*mail("five"), *sms("five")])
        both = Provider("c", c)
        assert (await run(outbox, {"email": both, "sms": both, "push": dead()}, 10)).total() == 10

    run_virtual(main())
    sent = a.attempts + b.attempts + c.attempts
    wanted = {
        effect.key
        for node in ("one", "two", "three", "four", "five")
        for effect in (*mail(node), *sms(node))
    }
    wanted -= {effect.key for effect in (*sms("one"), *sms("four"))}
    assert sent == dict.fromkeys(wanted, 1)
    assert outbox.blocks != {}


@pytest.mark.parametrize(("resend", "attempts"), [(False, 0), (True, 1)])
def test_messages_out_of_line_move_to_the_lane_that_has_their_channel(
    resend: bool, attempts: int
) -> None:
    outbox = MemoryOutbox()
    lost, waits = replace(EFFECT, node="lost"), replace(EFFECT, node="waits")
    old = Scripted(lambda message, attempt: Retry("http_503"))
    new = Scripted(keyed=True)

    async def main() -> Setup:
        outbox.commit([lost, waits])
        await run_briefly(outbox, old)
        for name in outbox.names("pending"):
            row = decode_row(outbox.stored[name])
            if row.effect == lost:
                row.state = "sending"
                outbox.stored[name] = encode_row(row)
        setup = Setup(outbox, {"email": Provider("new", new, resend_ambiguous=resend)})
        await setup.run_until(lambda: len(setup.results) == 2)
        return setup

    setup = run_virtual(main())
    assert new.attempts[waits.key] == 1
    # The new provider never heard of the key, so that it knows keys is no reason to try again.
    assert new.attempts[lost.key] == attempts
    assert setup.counts == {"message_sent": 1 + attempts} | (
        {} if resend else {"message_ambiguous": 1}
    )
    assert not any("/old/" in name for name in outbox.stored)


async def run_briefly(outbox: MemoryOutbox, channel: Scripted) -> None:
    """Let the lane "old" try both messages once."""
    setup = Setup(outbox, {"email": Provider("old", channel)})
    running = asyncio.ensure_future(setup.relay.run())
    while len(channel.attempts) < 2:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    setup.relay.stop()
    await running
    assert len(outbox.names("pending")) == 2


def test_parked_messages_move_as_well_and_can_be_redriven() -> None:
    outbox = MemoryOutbox()

    async def main() -> None:
        outbox.commit([EFFECT, b"not an effect"])
        refusing = Scripted(lambda message, attempt: Dead("http_400"))
        old = Setup(outbox, {"email": Provider("old", refusing)})
        await old.run_until(lambda: bool(old.results))
        new = Setup(outbox, {"email": Provider("new", Scripted())})
        await new.run_until(lambda: True)
        assert [each.reason for each in await new.relay.parked("new")] == ["http_400"]
        assert [each.reason for each in await new.relay.parked("unrouted")] == ["unreadable"]
        assert await new.relay.redrive("new", EFFECT.key)
        assert await run(outbox, {"email": Provider("new", Scripted())}, 1) == {"message_sent": 1}

    run_virtual(main())


def test_what_cannot_be_read_belongs_to_the_rest() -> None:
    routes = Routes({"email": "mail"})
    assert routes.is_for("unrouted")(None, AT)
    assert routes.is_for("mail")(EFFECT, AT)
    assert not routes.is_for("unrouted")(EFFECT, AT)
    assert routes.is_for("unrouted")(replace(EFFECT, channel="fax"), AT)
