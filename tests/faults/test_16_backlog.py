"""Scenario 16: a provider is down for a virtual day while messages queue; memory stays flat."""

from __future__ import annotations

import tracemalloc

import pytest

from actors.relay.effects import decode_effect
from actors.relay.outcomes import Delivered, Retry
from actors.relay.provider import Provider
from relaying import DAY_MS, EPOCH_MS, MemoryOutbox, Scripted, Setup, effects, run_virtual

UP_MS = EPOCH_MS + DAY_MS


def queued_through_a_day(count: int) -> None:
    channel = Scripted(lambda m, n: Retry("http_503") if m.at_ms < UP_MS else Delivered())
    outbox = MemoryOutbox()
    half = count // 2
    for start in range(0, count, 1_000):
        several = effects(
            1_000, visit=start, expires_ms=UP_MS if start < half else UP_MS + DAY_MS,
            fresh_until_ms=UP_MS + DAY_MS,
        )  # fmt: skip
        outbox.commit(several)
    expected = [entry for block in outbox.blocks.values() for entry in block][half:]
    peaks: list[int] = []
    counts = {"message_delayed": 0, "message_expired": 0, "message_sent": 0}

    async def main() -> list[str]:
        setup = Setup(outbox, {"email": Provider("mail", channel, attempts_max=10_000)})
        order: list[str] = []

        async def note(result: object) -> None:
            name = result.name  # type: ignore[attr-defined]
            counts[name] += 1
            if name == "message_sent":
                order.append(result.effect.key)  # type: ignore[attr-defined]
            if sum(counts.values()) % 1_000 == 0:
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.reset_peak()
            setup._changed.set()

        object.__setattr__(setup.relay._services, "report", note)
        await setup.run_until(lambda: counts["message_sent"] == count - half)
        return order

    tracemalloc.start()
    began = tracemalloc.get_traced_memory()[0]
    order = run_virtual(main())
    tracemalloc.stop()
    grown = (max(peaks) - began) / 2**20
    early = sum(at < UP_MS for at, _ in channel.seen)
    print(
        f"\nscenario 16: {count:,} queued through a day of outage: {early} attempts while down, "
        f"{counts['message_expired']:,} expired, {counts['message_sent']:,} sent, "
        f"{grown:.1f} MiB more memory at the peak, {outbox.transactions:,} transactions"
    )
    assert counts["message_expired"] == half
    # One report each: those that were tried before the outage lasted five minutes have theirs too.
    assert count <= counts["message_delayed"] <= count + 16
    wanted = [decode_effect(entry).key for entry in expected]
    # In order but for the few that were under way or waiting when it went down or came up.
    misplaced = sum(
        1
        for at, key in enumerate(order)
        if abs(wanted.index(key, max(0, at - 40), at + 40) - at) > 32
    )
    assert sorted(order) == sorted(wanted)
    assert misplaced == 0
    assert early < 400
    assert outbox.names("pending") == outbox.names("parked") == []
    # What is kept to count and to compare grows with the messages; the relay does not.
    assert grown < 8 + count * 400 / 2**20


def test_16_a_day_of_backlog_in_flat_memory() -> None:
    queued_through_a_day(20_000)


@pytest.mark.soak
def test_16_a_million_in_flat_memory() -> None:
    queued_through_a_day(1_000_000)
