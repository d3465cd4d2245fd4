"""Tests that decisions share transactions, keep their order and are never taken for durable."""

from __future__ import annotations

import asyncio

import pytest

from actors.relay.ledger import Ledger
from actors.relay.outbox import START, Cursor
from relaying import MemoryOutbox, run_virtual


def test_what_meets_shares_a_transaction_and_the_last_word_counts() -> None:
    async def main() -> None:
        outbox = MemoryOutbox()
        ledger = Ledger(outbox)
        await asyncio.gather(*(ledger.write({f"pending/a/{n}": b"x"}) for n in range(100)))
        assert outbox.transactions <= 2
        assert len(outbox.stored) == 100
        await asyncio.gather(ledger.write({"pending/b": b"1"}), ledger.write({"pending/b": None}))
        assert "pending/b" not in outbox.stored

    run_virtual(main())


def test_blocks_are_kept_until_the_slowest_lane_has_taken_them() -> None:
    async def main() -> None:
        outbox = MemoryOutbox()
        ledger = Ledger(outbox)
        assert await ledger.open("fast") == await ledger.open("slow") == START
        await ledger.write({}, "fast", Cursor(9, 2))
        assert outbox.position == START
        await ledger.write({}, "slow", Cursor(4, 1))
        assert outbox.position == Cursor(4)
        assert await Ledger(outbox).open("fast") == Cursor(9, 2)

    run_virtual(main())


def test_after_a_failure_nothing_is_durable() -> None:
    class Failing(MemoryOutbox):
        async def mark(self, *arguments: object) -> None:
            raise OSError(5, "fsync")

    async def main() -> None:
        ledger = Ledger(Failing())
        first, second = await asyncio.gather(
            ledger.write({"a": b""}), ledger.write({"b": b""}), return_exceptions=True
        )
        assert isinstance(first, OSError)
        assert isinstance(second, RuntimeError)
        with pytest.raises(RuntimeError, match="failed before"):
            await ledger.write({"c": b""})

    run_virtual(main())
