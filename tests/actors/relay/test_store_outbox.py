"""Tests of a partition as an outbox: woken by commits, marked under load, trimmed when done."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from actors import failpoints
from actors.relay.effect_block import COLUMN, SendText, decode_effects, encode_effects
from actors.relay.effects import decode_effect
from actors.relay.outbox import START, Cursor
from actors.relay.store_outbox import StoreOutbox, _Packed
from actors.store.errors import NoSpaceError
from actors.store.partition import Partition
from actors.store.relay_marks import Position
from actors.store.verify import verify
from waiting import PATIENCE_S


@pytest.fixture
def partition(tmp_path: Path) -> Partition:
    return Partition.open(tmp_path / "p", create=True, map_bytes=1 << 20)


@asynccontextmanager
async def opened(partition: Partition, trim_commits: int = 256) -> AsyncIterator[StoreOutbox]:
    outbox = StoreOutbox(partition, trim_commits=trim_commits)
    try:
        yield outbox
    finally:
        await outbox.close()


def test_blocks_rows_and_marks(partition: Partition) -> None:
    async def main() -> None:
        async with opened(partition) as outbox:
            assert await outbox.blocks_after(0, 4) == []
            for number in range(1, 7):
                partition.commit(b"in", [] if number % 2 else [b"e%d" % number, b"f"])
            found = await outbox.blocks_after(0, 2)
            assert [(n, list(effects)) for n, effects in found] == [
                (2, [b"e2", b"f"]),
                (4, [b"e4", b"f"]),
            ]
            assert [commit for commit, _ in await outbox.blocks_after(4, 9)] == [6]
            await outbox.mark(None, {"a/1": b"x", "a/2": b"y", "b/1": b"z"}, [])
            await outbox.mark(Cursor(2), {"a/3": b"w"}, ["a/1", "never"])
            assert await outbox.rows("a/", "", 9) == [("a/2", b"y"), ("a/3", b"w")]
            assert await outbox.rows("a/", "a/2", 9) == [("a/3", b"w")]
            assert await outbox.rows("", "", 1) == [("a/2", b"y")]
            assert partition.relay_position == (2, 0)
        assert partition.head.outbox_trimmed == 2

    asyncio.run(main())


def test_what_is_done_is_trimmed_many_at_a_time(partition: Partition) -> None:
    async def main() -> None:
        async with opened(partition, trim_commits=10) as outbox:
            for _ in range(25):
                partition.commit(b"in", [b"e"])
            for number in range(1, 26):
                await outbox.mark(Cursor(number), {}, [])
                assert number - partition.head.outbox_trimmed < 10
            assert partition.head.outbox_trimmed == 20
        assert partition.head.outbox_trimmed == 25

    asyncio.run(main())


def test_the_committing_thread_wakes_who_waits_at_once(partition: Partition) -> None:
    delays: list[float] = []

    async def main() -> None:
        async with opened(partition) as outbox:
            for number in range(1, 40):
                committed = 0.0

                def commit() -> None:
                    nonlocal committed
                    time.sleep(0.002)
                    partition.commit(b"in", [b"e"])
                    committed = time.perf_counter()

                thread = threading.Thread(target=commit)
                waiting = [
                    asyncio.ensure_future(outbox.wait_for_block(number - 1)) for _ in range(3)
                ]
                cancelled = asyncio.ensure_future(outbox.wait_for_block(number - 1))
                await asyncio.sleep(0)
                cancelled.cancel()
                thread.start()
                await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE_S)
                now = time.perf_counter()
                thread.join()
                delays.append(now - committed)
            await asyncio.wait_for(outbox.wait_for_block(0), PATIENCE_S)

    asyncio.run(main())
    # The machine may be loaded, but a quarter of them were woken at once.
    assert sorted(delays)[len(delays) // 4] < 0.02


def test_no_commit_is_missed_however_it_falls(partition: Partition) -> None:
    total = 600

    async def main() -> None:
        async with opened(partition, trim_commits=50) as outbox:
            writer = threading.Thread(
                target=lambda: [partition.commit(b"in", [b"%d" % n]) for n in range(total)]
            )
            writer.start()
            at = 0
            found: list[bytes] = []
            while len(found) < total:
                await asyncio.wait_for(outbox.wait_for_block(at), 10)
                for commit, effects in await outbox.blocks_after(at, 4):
                    found += effects
                    at = commit
                if at % 7 == 0:
                    await outbox.mark(Cursor(at), {}, [])
            writer.join()
            assert found == [b"%d" % n for n in range(total)]

    asyncio.run(main())


def test_marks_and_commits_from_several_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    """The writer commits, a second thread marks and trims, a third reads rows: all at once."""
    folder = tmp_path / "p"
    commits, marks = 200, 200
    with Partition.open(folder, create=True, map_bytes=1 << 20) as partition:
        begun = time.perf_counter()
        failures: list[BaseException] = []

        def guarded(work: Callable[[], None]) -> threading.Thread:
            def run() -> None:
                try:
                    work()
                except BaseException as error:
                    failures.append(error)

            return threading.Thread(target=run)

        def write() -> None:
            for number in range(1, commits + 1):
                partition.commit(b"in %d" % number, [b"e" * 3_000], {b"shop": number})

        def mark(of: int) -> None:
            for number in range(marks):
                last = partition.head.outbox_last
                position = partition.relay_position
                if of == 0 and last > position.commit:
                    partition.mark_relay(Position(last), put={b"cursor": b"%d" % last})
                    partition.trim_outbox(last)
                name, old = b"row/%d/%d" % (of, number), b"row/%d/%d" % (of, number - 2)
                partition.mark_relay(put={name: b"x" * 200}, delete=[old])

        def read() -> None:
            while threads[0].is_alive() or threads[1].is_alive():
                names = [name for name, _ in partition.relay_rows(b"row/")]
                assert names == sorted(names)
                list(partition.journal(max(0, partition.head.journal_last - 5)))

        threads = [guarded(work) for work in (write, lambda: mark(0), lambda: mark(1), read)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took_s = time.perf_counter() - begun
        assert failures == []
        assert partition.head.journal_last == commits
        assert partition.cursors == {b"shop": commits}
        assert len(list(partition.relay_rows(b"row/"))) == 4
        transactions = partition.head.transactions
    assert verify(folder).first_problem == ""
    print(f"\n{transactions:,} transactions of three threads in {took_s:.1f} s, none disturbed")


def test_a_full_disk_makes_a_mark_wait(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.relay.store_outbox.SPACE_LOOK_S", 0.01)
    refusals = 0
    mark_relay = partition.mark_relay

    def refusing(*arguments: object, **options: object) -> None:
        nonlocal refusals
        refusals += 1
        if refusals <= 3:
            raise NoSpaceError("no room")
        mark_relay(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(partition, "mark_relay", refusing)

    async def main() -> None:
        async with opened(partition) as outbox:
            await outbox.mark(None, {"a": b"x"}, [])
            assert refusals == 4
        assert dict(partition.relay_rows()) == {b"a": b"x"}

    asyncio.run(main())


def test_who_waits_for_room_gives_up_when_it_ends(
    partition: Partition, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*arguments: object, **options: object) -> None:
        raise NoSpaceError("no room")

    monkeypatch.setattr(partition, "mark_relay", refusing)

    async def main() -> None:
        async with opened(partition) as outbox:
            marking = asyncio.ensure_future(outbox.mark(None, {"a": b"x"}, []))
            await asyncio.sleep(0.05)
            assert not marking.done()
            outbox.give_up()
            with pytest.raises(NoSpaceError):
                await marking

    asyncio.run(main())


def test_a_failed_mark_passes_through(partition: Partition) -> None:
    async def main() -> None:
        async with opened(partition) as outbox:
            failpoints.arm("in_transaction", "eio")
            try:
                with pytest.raises(Exception, match="committing failed"):
                    await outbox.mark(START, {"a": b"x"}, [])
            finally:
                failpoints.disarm()

    asyncio.run(main())


def test_blocks_hold_what_their_effects_say_and_fit_into_records() -> None:
    says = (("sender", '"' + "x" * 1_000 + '"'),)
    sends = [
        SendText("f", 1, f"n{i}", "email", "t", "", ("a",), 10, 10, says) for i in range(5_000)
    ]
    columns = np.zeros(20_000, COLUMN)
    columns["customer"] = np.arange(20_000)
    columns["send"] = np.arange(20_000) % 5_000
    blocks = encode_effects("shop", sends, columns)
    assert max(map(len, blocks)) <= 1 << 20
    found = [effect for block in blocks for effect in decode_effects(block)]
    assert [effect.customer for effect in found] == list(range(20_000))
    assert [effect.node for effect in found] == [f"n{i % 5_000}" for i in range(20_000)]
    assert {(effect.variables, effect.stated) for effect in found} == {(("a",), says)}
    [small] = encode_effects("shop", sends, columns[:1])
    assert len(small) < 1_400


def test_packed_effects_are_taken_apart_one_block_at_a_time(partition: Partition) -> None:
    sends = [SendText("f", 1, "n", "email", "t", "", (), 10, 10)]
    columns = np.zeros(1_000, COLUMN)
    columns["customer"] = np.arange(1_000)
    stored = [encode_effects("shop", sends, part)[0] for part in np.split(columns, 10)]
    packed = _Packed([*stored, b"odd"])
    assert len(packed) == 1_001
    wanted = list(range(1_000))
    assert [decode_effect(packed[number]).customer for number in wanted] == wanted
    assert [decode_effect(data).customer for data in packed[95:105]] == wanted[95:105]
    assert (packed[-1], packed[1_000]) == (b"odd", b"odd")
    with pytest.raises(IndexError):
        packed[1_001]

    async def main() -> None:
        async with opened(partition) as outbox:
            partition.commit(b"in", stored)
            ((commit, effects),) = await outbox.blocks_after(0, 4)
            assert (commit, len(effects)) == (1, 1_000)
            partition.commit(b"in", stored[:1])
            ((commit, effects),) = await outbox.blocks_after(1, 4)
            assert [decode_effect(data).customer for data in effects] == list(range(100))

    asyncio.run(main())
