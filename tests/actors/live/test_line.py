"""Tests of `actors.live.line`: frames and receipts between two processes, here two threads."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from actors.live.errors import BusyError, DownError
from actors.live.hosted import Receipt
from actors.live.line import Line, Parcel, listen
from tests.support.hosting import Taken
from waiting import until

WAIT_S = 20


class Shard:
    """Keeps what it is given, and answers when it is told to."""

    def __init__(self) -> None:
        self.given: list[tuple[int, bytes, int, Future[Receipt]]] = []
        self.came = threading.Semaphore(0)
        self.checks = 0

    def submit(self, partition: int, frame: bytes, control: int) -> Future[Receipt]:
        if frame == b"full":
            raise BusyError("full", retry_after_ms=70)
        future: Future[Receipt] = Future()
        self.given.append((partition, frame, control, future))
        self.came.release()
        return future

    def check(self) -> None:
        self.checks += 1


def parcel(partition: int, frame: bytes, control: int = 0) -> Parcel:
    return Parcel(partition, frame, control, Future())


def receipt(accepted: int) -> Taken:
    return Taken(accepted, 0, (), 1)


def test_parcels_arrive_whole_and_answers_find_their_parcels() -> None:
    shard = Shard()
    path = listen(shard.submit, shard.check)
    line = Line(path)
    until(lambda: not Path(path).parent.exists())  # for nobody else to find
    sent = [parcel(3, b"a" * 3_000_000, 7), parcel(2**40, b"", 0), parcel(5, b"full")]
    for each in sent:
        line.send(each)
    for _ in range(2):
        assert shard.came.acquire(timeout=WAIT_S)
    assert [given[:3] for given in shard.given] == [(3, b"a" * 3_000_000, 7), (2**40, b"", 0)]
    shard.given[1][3].set_exception(KeyError("odd"))
    shard.given[0][3].set_result(receipt(4))
    assert sent[0].future.result(WAIT_S).accepted == 4
    with pytest.raises(Exception, match=r"KeyError: 'odd'\. Please"):
        sent[1].future.result(WAIT_S)
    with pytest.raises(BusyError) as busy:
        sent[2].future.result(WAIT_S)
    assert busy.value.retry_after_ms == 70
    line.close()
    assert shard.checks >= 1


def test_closing_waits_for_the_answers_that_are_due() -> None:
    shard = Shard()
    line = Line(listen(shard.submit, shard.check))
    last = parcel(0, b"last")
    line.send(last)
    assert shard.came.acquire(timeout=WAIT_S)
    threading.Timer(0.05, lambda: shard.given[0][3].set_result(receipt(1))).start()
    line.close()
    assert last.future.done()
    assert last.future.result().accepted == 1


def test_what_was_sent_to_a_shard_that_died_is_not_known() -> None:
    shard = Shard()
    line = Line(listen(shard.submit, shard.check))
    lost = parcel(0, b"lost")
    line.send(lost)
    assert shard.came.acquire(timeout=WAIT_S)
    line._end()  # as when the process at the other end is gone
    with pytest.raises(DownError):
        lost.future.result(WAIT_S)
    assert not line.open
    late = parcel(0, b"late")
    line.send(late)
    with pytest.raises(DownError):
        late.future.result(WAIT_S)
    shard.given[0][3].set_result(receipt(1))
    line.close()
