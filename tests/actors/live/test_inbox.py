"""Tests of `actors.live.inbox`: batches, waiting under load, and bounds."""

import threading
import time
from concurrent.futures import Future

import pytest

from actors.live import inbox as inbox_module
from actors.live.errors import BusyError, DownError
from actors.live.inbox import Delivery, Inbox, deadline_s, frame_bytes
from hosting import frame_of
from waiting import PATIENCE_S


def delivery(rows: int = 1, size_bytes: int = 10) -> Delivery:
    return Delivery(0, frame_of(*["a"] * rows), size_bytes, Future())


@pytest.fixture
def long_linger(monkeypatch: pytest.MonkeyPatch) -> float:
    """So long that who lingers is known by it on a loaded machine too."""
    monkeypatch.setattr(inbox_module, "LINGER_S", PATIENCE_S)
    return PATIENCE_S


def test_what_comes_when_idle_is_taken_at_once(long_linger: float) -> None:
    inbox = Inbox(100, 1000)
    threading.Timer(0.05, lambda: inbox.put(delivery())).start()
    begun = time.monotonic()
    assert len(inbox.collect(PATIENCE_S)) == 1
    assert time.monotonic() - begun < long_linger / 2


def test_under_load_as_many_as_before_are_waited_for(
    long_linger: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = Inbox(100, 1000)
    for _ in range(3):
        inbox.put(delivery())
    assert len(inbox.collect(5)) == 3
    inbox.put(delivery())
    for delay_s in (0.03, 0.06):
        threading.Timer(delay_s, lambda: inbox.put(delivery())).start()
    begun = time.monotonic()
    assert len(inbox.collect(5)) == 3
    assert time.monotonic() - begun < long_linger / 2
    brief = 0.2
    monkeypatch.setattr(inbox_module, "LINGER_S", brief)
    inbox.put(delivery())
    begun = time.monotonic()
    assert len(inbox.collect(5)) == 1
    assert time.monotonic() - begun >= brief * 0.9


def test_an_errand_ends_the_waiting(long_linger: float) -> None:
    inbox = Inbox(100, 1000)
    for _ in range(2):
        inbox.put(delivery())
    inbox.collect(0)
    inbox.put(delivery())
    future = inbox.put_errand(lambda: 5)
    begun = time.monotonic()
    assert len(inbox.collect(5)) == 1
    assert time.monotonic() - begun < long_linger / 2
    errand = inbox.errand()
    assert errand is not None
    errand.carry_out()
    assert future.result(0) == 5
    assert inbox.errand() is None


def test_a_batch_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox_module, "BATCH_ROWS", 4)
    inbox = Inbox(100, 1000)
    for rows in (3, 1, 2, 9):
        inbox.put(delivery(rows))
    assert [[d.frame.rows for d in inbox.collect(0)] for _ in range(4)] == [[3, 1], [2], [9], []]
    assert (inbox.rows, inbox.bytes) == (0, 0)
    monkeypatch.setattr(inbox_module, "BATCH_BYTES", 15)
    for _ in range(2):
        inbox.put(delivery())
    assert [len(inbox.collect(0)) for _ in range(2)] == [1, 1]


def test_bounds_are_kept_and_given_back() -> None:
    inbox = Inbox(2, 1000)
    inbox.put(delivery(2))
    with pytest.raises(BusyError, match="2 rows wait already, in 0 KiB"):
        inbox.put(delivery())
    inbox.collect(0)
    inbox.put(delivery(5))
    with pytest.raises(BusyError):
        inbox.put(delivery())


def test_a_closed_one_hands_out_what_it_has() -> None:
    inbox = Inbox(10, 1000)
    inbox.put(delivery())
    inbox.close()
    for refused in (lambda: inbox.put(delivery()), lambda: inbox.put_errand(int)):
        with pytest.raises(DownError, match="stopping"):
            refused()
    assert not inbox.closed
    assert len(inbox.collect(5)) == 1
    assert inbox.closed
    assert inbox.collect(5) == []


def test_an_errand_that_fails_or_was_given_up_harms_nobody() -> None:
    inbox = Inbox(10, 1000)
    failing = inbox.put_errand(lambda: 1 // 0)
    given_up = inbox.put_errand(lambda: 5)
    given_up.cancel()
    for _ in range(2):
        errand = inbox.errand()
        assert errand is not None
        errand.carry_out()
    with pytest.raises(ZeroDivisionError):
        failing.result(0)
    assert given_up.cancelled()


@pytest.mark.parametrize(
    ("due_ms", "expected"), [(None, 1.0), (1_500, 0.5), (900, 0.0), (9_000, 1.0)]
)
def test_the_wait_for_what_is_due(due_ms: int | None, expected: float) -> None:
    assert deadline_s(due_ms, 1_000, 1.0) == expected


def test_the_size_of_a_frame_grows_with_its_rows() -> None:
    assert frame_bytes(frame_of(*["a"] * 1000)) - frame_bytes(frame_of("a")) == 999 * 48
