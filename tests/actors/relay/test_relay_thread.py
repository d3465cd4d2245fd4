"""Tests of a relay in a thread beside the one that commits."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from actors import failpoints
from actors.relay.channels.base import Message
from actors.relay.effects import encode_effect
from actors.relay.outcomes import Delivered, Outcome, Retry
from actors.relay.provider import Provider
from actors.relay.relay_thread import RelayThread
from actors.relay.results import Result
from actors.relay.services import Services, wall_ms
from actors.store.partition import Partition
from relay_work import sends
from relaying import Persons, Scripted, Templates
from waiting import PATIENCE_S, until


class Beside:
    """A partition with a relay thread, and what was reported."""

    def __init__(self, folder: Path, channel: Scripted, **options: int) -> None:
        self.partition = Partition.open(folder / "p", create=True, map_bytes=1 << 20)
        self.results: list[Result] = []
        self.changed = threading.Event()
        rng = np.random.default_rng(5)
        services = Services(Persons(), Templates(), self._note, wall_ms, rng)
        provider = Provider("gate", channel, **options)
        self.thread = RelayThread(self.partition, {"sms": provider}, services, trim_commits=4)

    async def _note(self, result: Result) -> None:
        self.results.append(result)
        self.changed.set()

    def commit(self, count: int, node: str = "n") -> None:
        self.partition.commit(b"in", [encode_effect(each) for each in sends(count, node=node)])

    def wait(self, count: int) -> None:
        until(lambda: len(self.results) >= count, lambda: self.results)

    def close(self) -> None:
        self.thread.close()
        self.partition.close()


def test_commits_made_while_it_runs_leave_at_once(tmp_path: Path) -> None:
    channel = Scripted()
    beside = Beside(tmp_path, channel)
    beside.commit(3, "before")
    beside.thread.start()
    beside.wait(3)
    for number in range(30):
        beside.commit(2, f"n{number}")
    beside.wait(63)
    assert beside.thread.stop(PATIENCE_S)
    assert beside.thread.failure is None
    beside.close()
    beside.close()
    assert channel.attempts.total() == len(channel.attempts) == 63
    with Partition.open(tmp_path / "p") as partition:
        assert partition.relay_position.commit == partition.head.outbox_last == 31
        assert partition.head.outbox_trimmed == 31
        names = {name.split(b"/")[0] for name, _ in partition.relay_rows()}
        assert names == {b"cursor", b"route"}


def test_stopping_lets_what_is_under_way_settle(tmp_path: Path) -> None:
    channel = Scripted(takes_s=0.3)
    beside = Beside(tmp_path, channel, concurrency=4)
    beside.commit(40)
    beside.thread.start()
    until(lambda: channel.under_way == 4)
    assert beside.thread.stop(PATIENCE_S)
    assert len(beside.results) == channel.attempts.total() == 4
    assert list(beside.partition.relay_rows(b"pending/")) == []
    beside.close()


def test_closing_cuts_off_what_does_not_settle(tmp_path: Path) -> None:
    channel = Scripted(takes_s=60)
    beside = Beside(tmp_path, channel, concurrency=4)
    beside.commit(4)
    beside.thread.start()
    until(lambda: channel.under_way == 4)
    assert not beside.thread.stop(0.05)
    beside.thread.close(0.05)
    assert not beside.thread.running
    assert beside.thread.failure is None
    assert len(list(beside.partition.relay_rows(b"pending/"))) == 4
    beside.partition.close()
    again = Beside(tmp_path, Scripted())
    again.thread.start()
    again.wait(4)
    again.close()


def test_it_can_be_asked_from_any_thread(tmp_path: Path) -> None:
    def answer(message: Message, attempt: int) -> Outcome:
        return Retry("http_503") if attempt == 1 else Delivered()

    beside = Beside(tmp_path, Scripted(answer), attempts_max=1)
    with pytest.raises(RuntimeError, match="does not run"):
        beside.thread.ask(lambda relay: relay.parked("gate"))
    beside.commit(1)
    beside.thread.start()
    beside.wait(1)
    # A result is told before the message is parked.
    (parked,) = until(lambda: beside.thread.ask(lambda relay: relay.parked("gate")))
    assert beside.thread.ask(lambda relay: relay.redrive("gate", parked.key))
    beside.wait(2)
    with pytest.raises(KeyError, match="no provider is named other"):
        beside.thread.ask(lambda relay: relay.parked("other"))
    assert [result.name for result in beside.results] == ["message_failed", "message_sent"]
    beside.close()


def test_an_outbox_that_fails_ends_it_and_says_why(tmp_path: Path) -> None:
    channel = Scripted()
    beside = Beside(tmp_path, channel)
    beside.thread.start()
    failpoints.arm("in_transaction", "eio", 2)
    try:
        beside.commit(1)
        beside.thread._thread.join(PATIENCE_S)
    finally:
        failpoints.disarm()
    assert not beside.thread.running
    assert isinstance(beside.thread.failure, ExceptionGroup)
    assert channel.attempts.total() == 0
    beside.close()


def test_what_is_wrong_with_its_providers_is_raised_at_the_start(tmp_path: Path) -> None:
    beside = Beside(tmp_path, Scripted())
    two = {"sms": Provider("one", Scripted()), "email": Provider("one", Scripted())}
    broken = RelayThread(beside.partition, two, beside.thread._services)
    with pytest.raises(ValueError, match="two providers are named one"):
        broken.start()
    broken.close()
    beside.close()


def test_forgetting_waits_for_attempts_that_may_know_the_erased(tmp_path: Path) -> None:
    class Keeps(Scripted):
        forgotten: tuple[int, ...] = ()
        under_way_then = -1

        async def forget(self, customers: object) -> int:
            self.under_way_then = self.under_way
            self.forgotten += tuple(customers)  # type: ignore[arg-type]
            return 5

    channel = Keeps(takes_s=0.2)
    beside = Beside(tmp_path, channel, concurrency=4)
    beside.commit(4)
    beside.thread.start()
    until(lambda: channel.under_way == 4)
    assert beside.thread.forget([1, 2]) == 5
    assert channel.under_way_then == 0
    assert len(beside.results) == 4
    assert beside.thread.stop(5)
    assert beside.thread.forget([3]) == 5
    assert channel.forgotten == (1, 2, 3)
    beside.close()
