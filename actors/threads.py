"""Spread work over threads while Arrow and NumPy compute without Python's lock.

Results come in the order of their inputs, so that nothing depends on how threads were scheduled.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS_MAX = 8  # more would hold more pieces in memory than they save time


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """`work` of each item, in order; the first error that it raises in that order is raised."""
    held = list(items)
    workers = min(len(held), os.cpu_count() or 1, WORKERS_MAX)
    if workers < 2:
        return [work(item) for item in held]
    with ThreadPoolExecutor(workers, thread_name_prefix="pieces") as pool:
        return list(pool.map(work, held))


@contextmanager
def read_ahead(items: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """Give the items, each of them made in a thread while the one before it is used.

    The thread has ended when the block ends, however it does, so what the items are read from can
    be closed then. What making an item raises is raised where it is asked for.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:

        def given() -> Iterator[Item]:
            pending = pool.submit(_next, items)
            while held := pending.result():
                pending = pool.submit(_next, items)
                yield held[0]

        yield given()


def _next(items: Iterator[Item]) -> tuple[Item] | None:
    for item in items:
        return (item,)
    return None
