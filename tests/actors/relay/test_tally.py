"""The numbers of a relay: what became of messages by channel, and what waits since when."""

from __future__ import annotations

import asyncio

from actors.relay.channels.base import Message
from actors.relay.outcomes import Ambiguous, Dead, Delivered, Outcome, Retry
from actors.relay.provider import Provider
from actors.relay.tally import LOOK_MAX, Tally
from relaying import EPOCH_MS, MemoryOutbox, Scripted, Setup, effects, run_virtual


def test_counts_are_told_by_channel_and_outcome() -> None:
    tally = Tally()
    assert tally.told(7) == {"depth": 0, "oldest_age_ms": 0, "counts": {}}
    for outcome in ("sent", "sent", "failed"):
        tally.add("email", outcome)
    tally.add("sms", "dead")
    tally.looked(3, 1_000)
    assert tally.told(6_000) == {
        "depth": 3,
        "oldest_age_ms": 5_000,
        "counts": {"email": {"sent": 2, "failed": 1}, "sms": {"dead": 1}},
    }
    # A clock that was set back makes no message of the future.
    assert tally.told(0)["oldest_age_ms"] == 0
    assert LOOK_MAX >= 1_000


def test_a_relay_counts_its_messages_and_sees_what_waits() -> None:
    async def main() -> tuple[dict[str, int], int, int | None, int]:
        outcomes = [
            Retry("http_500"),
            Retry("http_500"),
            Delivered(),
            Dead("no"),
            Ambiguous("lost"),
        ]
        outbox = MemoryOutbox()
        sends = effects(4)
        order = {effect.key: place for place, effect in enumerate(sends)}

        def answer(message: Message, attempt: int) -> Outcome:
            place = order[message.key]
            if place == 0:
                return outcomes[min(attempt, 3) - 1]
            if place == 3:
                return Retry("later", 3_600_000)
            return outcomes[2 + place]

        provider = Provider("mail", Scripted(answer, keyed=False), concurrency=1)
        setup = Setup(outbox, {"email": provider})
        outbox.commit(sends)
        tally, loop = setup.relay.tally, asyncio.get_running_loop()
        running = asyncio.ensure_future(setup.relay.run())
        await asyncio.sleep(120)
        told = tally.told(EPOCH_MS + int(loop.time() * 1_000))
        setup.relay.stop()
        await running
        return told["counts"]["email"], told["depth"], tally.oldest_ms, sends[3].committed_ms

    counts, depth, oldest_ms, committed_ms = run_virtual(main())
    assert counts == {"sent": 1, "dead": 1, "ambiguous": 1, "failed": 4, "retried": 3}
    assert (depth, oldest_ms) == (1, committed_ms)
