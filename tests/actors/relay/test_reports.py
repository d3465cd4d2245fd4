"""Tests that results reach the callback as rows, in batches, before anybody is told they did."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from actors.relay.provider import Provider
from actors.relay.reports import BatchedReport, BusyError, Row, row_of
from actors.relay.results import Result
from relaying import EFFECT, EPOCH_MS, MemoryOutbox, Scripted, Setup, effects
from waiting import PATIENCE_S

RESULT = Result("message_sent", EFFECT, EPOCH_MS + 250, "", 2, "gw-1")


def results(count: int) -> list[Result]:
    return [replace(RESULT, effect=replace(EFFECT, customer=number)) for number in range(count)]


def test_a_row() -> None:
    assert row_of(RESULT) == {
        "customer": 7,
        "event": "message_sent",
        "occurred": EPOCH_MS + 250,
        "message_id": f"{EFFECT.key}:message_sent",
        "properties": {
            "flow": "welcome",
            "version": 3,
            "entry": 11,
            "node": "greeting",
            "visit": 1,
            "channel": "email",
            "template": "hello",
            "reason": "",
            "attempts": 2,
            "delay_ms": 250,
            "provider_id": "gw-1",
        },
    }


def test_what_comes_meanwhile_goes_in_the_next_batch() -> None:
    batches: list[Sequence[Row]] = []
    first = threading.Event()

    def take(rows: Sequence[Row]) -> None:
        batches.append(rows)
        first.wait(PATIENCE_S)

    async def main() -> None:
        report = BatchedReport(take, rows_max=4)
        early = asyncio.ensure_future(report(results(1)[0]))
        while not batches:
            await asyncio.sleep(0.001)
        late = [asyncio.ensure_future(report(each)) for each in results(10)[1:]]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in (early, *late))
        first.set()
        await asyncio.gather(early, *late)

    asyncio.run(main())
    assert [len(batch) for batch in batches] == [1, 4, 4, 1]
    assert [row["customer"] for batch in batches for row in batch] == list(range(10))


def test_a_busy_callback_is_asked_again_with_the_same_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.relay.reports.RETRY_S", 0.001)
    seen: list[Sequence[Row]] = []

    def take(rows: Sequence[Row]) -> None:
        seen.append(rows)
        if len(seen) < 4:
            raise BusyError("no room")

    async def main() -> None:
        await BatchedReport(take)(RESULT)

    asyncio.run(main())
    assert seen == [[row_of(RESULT)]] * 4


def test_a_callback_that_fails_ends_the_relay_and_the_rows_come_again() -> None:
    outbox = MemoryOutbox()
    channel = Scripted()
    taken: list[str] = []
    failing = True

    def take(rows: Sequence[Row]) -> None:
        taken.extend(row["message_id"] for row in rows)
        if failing and len(taken) > 3:
            raise RuntimeError("the partition is gone")

    async def main() -> None:
        nonlocal failing
        outbox.commit(effects(10))

        def made() -> Setup:
            provider = Provider("mail", channel, concurrency=2)
            setup = Setup(outbox, {"email": provider}, clock=lambda: EPOCH_MS)
            report = BatchedReport(take)

            async def note(result: Result) -> None:
                await report(result)
                await setup._note(result)

            object.__setattr__(setup.relay._services, "report", note)
            return setup

        with pytest.raises(ExceptionGroup):
            await made().run_until(lambda: False)
        failing = False
        setup = made()
        await setup.run_until(lambda: len(set(taken)) == 10)

    asyncio.run(main())
    assert set(taken) == {f"{effect.key}:message_sent" for effect in effects(10)}
    assert len(taken) > 10
    assert set(channel.attempts.values()) <= {1, 2}


def test_a_cancelled_report_does_not_lose_the_others() -> None:
    taken: list[int] = []

    async def main() -> None:
        report = BatchedReport(lambda rows: taken.extend(row["customer"] for row in rows))
        tasks = [asyncio.ensure_future(report(each)) for each in results(6)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in done].count(asyncio.CancelledError) == 1

    asyncio.run(main())
    assert sorted(taken) == list(range(6))
