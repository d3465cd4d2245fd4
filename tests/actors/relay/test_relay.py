"""Tests of setting a relay up."""

from __future__ import annotations

import pytest

from actors.relay.provider import Provider
from relaying import MemoryOutbox, Scripted, Setup, effects, run_virtual


def test_providers_are_told_apart_by_name() -> None:
    with pytest.raises(ValueError, match="letters"):
        Provider("a/b", Scripted())
    with pytest.raises(ValueError, match="concurrency"):
        Provider("a", Scripted(), concurrency=0)

    async def main() -> None:
        both = {"email": Provider("one", Scripted()), "sms": Provider("one", Scripted())}
        with pytest.raises(ValueError, match="two providers are named one"):
            Setup(MemoryOutbox(), both)
        setup = Setup(MemoryOutbox(), {"email": Provider("one", Scripted())})
        with pytest.raises(KeyError, match="no provider is named two"):
            await setup.relay.parked("two")

    run_virtual(main())


def test_channels_may_share_a_provider() -> None:
    channel = Scripted(takes_s=1.0)

    async def main() -> None:
        outbox = MemoryOutbox()
        shared = Provider("gate", channel, concurrency=3)
        setup = Setup(outbox, {"sms": shared, "whatsapp": shared})
        outbox.commit([*effects(5, channel="sms"), *effects(5, channel="whatsapp", node="b")])
        await setup.run_until(lambda: setup.counts["message_sent"] == 10)

    run_virtual(main())
    assert channel.under_way_max == 3
