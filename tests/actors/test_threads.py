"""Checks that work in threads keeps its order, hands errors on, and has ended when it should."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from actors.threads import in_threads, read_ahead
from waiting import PATIENCE_S


def test_results_come_in_the_order_of_their_inputs() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item * item

    assert in_threads(slow_first, range(20)) == [item * item for item in range(20)]
    assert in_threads(slow_first, []) == []


def test_the_first_error_in_order_is_raised() -> None:
    def work(item: int) -> int:
        time.sleep(0.02 if item == 1 else 0)
        if item:
            raise ValueError(item)
        return item

    with pytest.raises(ValueError, match="1"):
        in_threads(work, range(4))


def test_an_item_is_made_while_the_one_before_it_is_used() -> None:
    made = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        made.set()
        yield 2

    with read_ahead(items()) as ahead:
        assert next(ahead) == 1
        assert made.wait(PATIENCE_S)
        assert list(ahead) == [2]


def test_what_making_an_item_raises_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("two")

    with read_ahead(items()) as ahead:
        assert next(ahead) == 1
        with pytest.raises(KeyError, match="two"):
            next(ahead)


def test_the_thread_has_ended_when_the_block_ends() -> None:
    ended = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        time.sleep(0.05)
        ended.set()
        yield 2

    with read_ahead(items()) as ahead:
        next(ahead)
    assert ended.is_set()
