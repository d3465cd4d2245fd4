"""Run a bound program over a whole audience: blocks of customers on threads, merged in order.

The interpreter holds no GIL, so threads use all cores; customers are independent, so nothing is
shared but the read-only program and audience. Neither the number of workers nor the size of blocks
changes any figure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, local
from typing import Any, Protocol

from numpy.typing import NDArray

from core.binding import Bound
from core.counters import Counters
from ext.machine import BLOCK, LANES, Machine

QUEUED_BLOCKS = 4  # for each worker: keeps it busy, stops soon, holds little of the log

Progress = Callable[[int, int], None]
"""Told (customers done, customers in all) over all replicates, after each block."""


class LogSink(Protocol):
    """Takes the decisions of one block after the other, as LOG records by (customer row, step)."""

    def write(self, records: NDArray[Any]) -> None:
        """Take the next block's decisions."""
        ...


@dataclass(slots=True)
class DryRunResult:
    """What a dry run counted: one `Counters` for each replicate that was begun.

    `partial` where it was cancelled.
    """

    counters: list[Counters]
    partial: bool
    customers_done: int


@dataclass(slots=True)
class Cancel:
    """A request to stop.

    `ask` lets running blocks end; `force` stops them too, and their customers are not counted.
    """

    asked: Event = field(default_factory=Event)
    forced: Event = field(default_factory=Event)
    machines: list[Machine] = field(default_factory=list)

    def ask(self) -> None:
        """Begin no further block."""
        self.asked.set()

    def force(self) -> None:
        """Stop what runs, soon."""
        self.asked.set()
        self.forced.set()
        for machine in self.machines:
            machine.stop()


class _Worker(local):
    """A thread's own machine, for the replicate that it was last given."""

    replicate: int = -1
    machine: Machine | None = None


def dry_run(
    bound: Bound,
    *,
    workers: int = 1,
    replicates: int = 1,
    block: int = BLOCK,
    lanes: int = LANES,
    log: LogSink | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> DryRunResult:
    """Run every customer of `bound` through the window, `replicates` times with other luck.

    `log` takes the decisions of the first replicate. Where `cancel` is asked for, or Ctrl-C comes,
    blocks under way are finished and the result is partial. MemoryError where a machine's state
    can't grow.
    """
    cancel = cancel or Cancel()
    worker = _Worker()
    total = bound.customers * replicates
    done = 0
    counters = [
        Counters.zeros(bound.program.flow, bound.hours, bound.responses.outcomes)
        for _ in range(replicates)
    ]
    bounds = [bound] + [bound.replicate(r) for r in range(1, replicates)]

    def task(replicate: int, first: int) -> tuple[int, int, Counters | None, NDArray[Any] | None]:
        last = min(first + block, bound.customers)
        keeps = log is not None and replicate == 0
        if worker.replicate != replicate or worker.machine is None:
            worker.machine = Machine(bounds[replicate], block_max=block, lanes=lanes, log=keeps)
            worker.replicate = replicate
            cancel.machines.append(worker.machine)
        machine = worker.machine
        machine.load(first, last)
        if cancel.forced.is_set() or not machine.apply(bound.options.horizon_ms):
            return replicate, 0, None, None
        machine.finish()
        return (
            replicate,
            last - first,
            machine.take_counters(),
            machine.take_log() if keeps else None,
        )

    tasks = ((r, first) for r in range(replicates) for first in range(0, bound.customers, block))
    with ThreadPoolExecutor(workers, thread_name_prefix="dry-run") as pool:
        for replicate, customers, counted, records in _in_order(pool, task, tasks, workers, cancel):
            if counted is not None:
                counters[replicate].add(counted)
                done += customers
            if records is not None and log is not None:
                log.write(records)
            if progress is not None:
                progress(done, total)
    for each in counters:
        each.invalid_zones = bound.zones.invalid
    begun = [each for each in counters if each.customers] or counters[:1]
    return DryRunResult(begun, cancel.asked.is_set() and done < total, done)


def _in_order(
    pool: ThreadPoolExecutor,
    task: Callable[[int, int], tuple[int, int, Counters | None, NDArray[Any] | None]],
    tasks: Iterator[tuple[int, int]],
    workers: int,
    cancel: Cancel,
) -> Iterator[tuple[int, int, Counters | None, NDArray[Any] | None]]:
    """Yield the tasks' results in the tasks' order, a few tasks ahead.

    Ctrl-C becomes a request to stop.
    """
    waiting: deque[Future[tuple[int, int, Counters | None, NDArray[Any] | None]]] = deque()
    more = True
    while True:
        try:
            while more and len(waiting) < QUEUED_BLOCKS * workers and not cancel.asked.is_set():
                following = next(tasks, None)
                more = following is not None
                if following is not None:
                    waiting.append(pool.submit(task, *following))
            if cancel.asked.is_set():
                while waiting and waiting[-1].cancel():
                    waiting.pop()
            if not waiting:
                return
            result = waiting[0].result()
            waiting.popleft()
        except KeyboardInterrupt:
            if cancel.asked.is_set():
                cancel.force()
            else:
                cancel.ask()
            continue
        yield result
