"""Scenario 11: the relay dies between the provider's 200 and the mark.

The provider sees a key at most twice; one that knows keys delivers once; without keys the message
is of unknown fate, and the policy decides.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from actors import failpoints
from actors.relay.provider import Provider
from relaying import MemoryOutbox, Scripted, Setup, effects, run_virtual

CRASHES = 25


@pytest.mark.parametrize("point", ["relay_before_http", "relay_after_200_before_mark"])
@pytest.mark.parametrize(("keyed", "resend"), [(True, False), (False, False), (False, True)])
def test_11_a_killed_relay(point: str, keyed: bool, resend: bool) -> None:
    sends = effects(60)
    channel = Scripted(keyed=keyed)
    results: Counter[str] = Counter()

    async def main() -> MemoryOutbox:
        outbox = MemoryOutbox()
        outbox.commit(sends)
        for number in range(CRASHES):
            provider = Provider("mail", channel, resend_ambiguous=resend, concurrency=1)
            setup = Setup(outbox, {"email": provider})
            failpoints.arm(point, "eio", 1 + number % 3)
            try:
                with pytest.raises(ExceptionGroup):
                    await setup.run_until(lambda: False)
            finally:
                failpoints.disarm()
            results.update(setup.counts)
        provider = Provider("mail", channel, resend_ambiguous=resend)
        setup = Setup(outbox, {"email": provider})
        await setup.run_until(lambda: (results + setup.counts).total() == 60)
        results.update(setup.counts)
        return outbox

    outbox = run_virtual(main())
    parked = len(outbox.names("parked"))
    most = max(channel.attempts.values())
    print(
        f"\nscenario 11: {point}, keys known: {keyed}, resend: {resend}: {CRASHES} crashes, "
        f"{sum(channel.attempts.values())} attempts for 60 sends, {most} at most for one key, "
        f"{parked} held as ambiguous"
    )
    assert set(channel.attempts) <= {send.key for send in sends}
    if keyed or resend:
        # A repeated message is the first to be tried again, so a second crash can hit it as well.
        assert len(channel.attempts) == 60
        assert parked == 0
        assert results["message_sent"] == 60
    else:
        assert most == 1
        assert parked == results["message_ambiguous"] == CRASHES
        assert results["message_sent"] == 60 - CRASHES


def test_11_one_crash_means_two_attempts_at_most() -> None:
    sends = effects(20)
    channel = Scripted()
    seen: list[int] = []

    async def main(hit: int) -> None:
        outbox = MemoryOutbox()
        outbox.commit(sends)
        failpoints.arm("relay_after_200_before_mark", "eio", hit)
        first = Setup(outbox, {"email": Provider("mail", channel)})
        try:
            with pytest.raises(ExceptionGroup):
                await first.run_until(lambda: False)
        finally:
            failpoints.disarm()
        second = Setup(outbox, {"email": Provider("mail", channel)})
        running = asyncio.ensure_future(second.relay.run())
        await asyncio.sleep(60)
        second.relay.stop()
        await running
        assert len({result.id for result in first.results + second.results}) == 20
        assert outbox.names("pending") == []
        assert outbox.names("parked") == []

    for hit in range(1, 21):
        channel.attempts.clear()
        run_virtual(main(hit))
        assert len(channel.attempts) == 20
        seen.append(max(channel.attempts.values()))
    print(f"\nscenario 11: 20 places to die, a key seen {max(seen)} times at most")
    assert max(seen) == 2
