"""Run a bound program over a whole audience: blocks of customers on threads, merged in order.

The interpreter holds no GIL, so threads use all cores; customers are independent, so nothing is
shared but the read-only program and audience. Neither the number of workers nor the size of blocks
changes any figure.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from core.binding import Bound
from core.counters import Counters
from core.errors import HeadraceError
from ext.machine import BLOCK, LANES, Machine

QUEUED_BLOCKS = 4  # for each worker: keeps it busy, stops soon, holds little of the log
BLOCK_CELLS = 1 << 22  # customers times nodes of a block; bounds a machine's state and log
BLOCK_MIN = 64
STRETCH = 8  # blocks that a worker takes at a time: fewer handovers, and still some in a second

Progress = Callable[[int, int], None]
"""Told (customers done, customers in all) over all replicates: at first, after each stretch."""


class AbortedError(HeadraceError):
    """A dry run was stopped in the midst of its blocks, and has no result."""

    exit_code = 130


class LogSink(Protocol):
    """Takes the decisions of one block after the other, as LOG records by (customer row, step)."""

    def room(self, records: int) -> NDArray[Any] | None:
        """An array for so many LOG records of some block, None for a fresh one.

        Workers ask for it, several at a time and in any order.
        """
        ...

    def write(self, records: NDArray[Any]) -> None:
        """Take the next block's decisions."""
        ...


@dataclass(slots=True)
class DryRunResult:
    """What a dry run counted: one `Counters` for each replicate.

    `partial` where it was cancelled: `counters` are then those of the complete replicates, or where
    there is none, of the customers that the first one came to. `customers_done` counts over all
    replicates.
    """

    counters: list[Counters]
    partial: bool
    customers_done: int


@dataclass(slots=True)
class Cancel:
    """A request to stop, of another thread or a signal handler.

    `ask` lets the blocks end that have begun; `force` does not.
    """

    asked: Event = field(default_factory=Event)
    forced: Event = field(default_factory=Event)
    machines: set[Machine] = field(default_factory=set)

    def ask(self) -> None:
        """Begin no further block."""
        self.asked.set()

    def force(self) -> None:
        """Stop what runs, soon; the dry run ends with AbortedError."""
        self.asked.set()
        self.forced.set()
        for machine in tuple(self.machines):
            machine.stop()


class _Stretch(NamedTuple):
    replicate: int
    bound: Bound
    first: int
    last: int


Records = list[NDArray[Any]]  # of each block of a stretch, where they are logged
Running = Future[Records]


def block_customers(nodes: int, customers: int, workers: int) -> int:
    """How many customers a block has, unless stated: of a flow of so many nodes.

    Few where there are few, so that all workers have work and the run can soon be stopped.
    """
    share = -(-customers // (QUEUED_BLOCKS * workers))
    return max(BLOCK_MIN, min(BLOCK, BLOCK_CELLS // nodes, share))


def stretch_customers(customers: int, size: int, workers: int) -> int:
    """How many customers a worker takes at a time, in blocks of `size`."""
    share = customers // (QUEUED_BLOCKS * workers * size)
    return size * max(1, min(STRETCH, share))


def dry_run(
    bound: Bound,
    *,
    workers: int = 1,
    replicates: int = 1,
    block: int | None = None,
    lanes: int = LANES,
    log: LogSink | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> DryRunResult:
    """Run every customer of `bound` through the window, `replicates` times with other luck.

    `log` takes the decisions of the first replicate. MemoryError where a machine's state can't
    grow, AbortedError where `cancel` was forced; what else a worker or `log` raises is raised here.
    """
    cancel = cancel or Cancel()
    size = block or block_customers(len(bound.program.node_ids), bound.customers, workers)
    total = bound.customers * replicates
    machines: dict[int, list[Machine]] = defaultdict(list)  # idle ones, by replicate
    counters: list[Counters] = []
    done = 0

    def work(part: _Stretch) -> Records:
        keeps = log is not None and part.replicate == 0
        try:
            machine = machines[part.replicate].pop()
        except IndexError:
            machine = Machine(part.bound, block_max=size, lanes=lanes, log=keeps)
            cancel.machines.add(machine)
        records: Records = []
        for first in range(part.first, part.last, size):
            machine.load(first, min(first + size, part.last))
            if cancel.forced.is_set() or not machine.apply(bound.options.horizon_ms):
                raise AbortedError("aborted; nothing was written")
            machine.finish()
            if keeps and log is not None:
                records.append(machine.take_log(log.room(machine.logged())))
        machines[part.replicate].append(machine)
        return records

    def collect(replicate: int) -> None:
        """Take what a replicate counted; all its blocks have come in."""
        mine = Counters.zeros(bound.program.flow, bound.hours, bound.responses.outcomes)
        for machine in machines.pop(replicate, ()):
            mine.add(machine.take_counters())
            cancel.machines.discard(machine)
        mine.invalid_zones = bound.zones.invalid
        counters.append(mine)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="dry-run")
    try:
        if progress is not None:
            progress(0, total)
        stretch = size if block else stretch_customers(bound.customers, size, workers)
        blocks = _stretches(bound, replicates, stretch)
        for part, records in _in_order(pool, work, blocks, cancel, QUEUED_BLOCKS * workers):
            for block_records in records:
                assert log is not None
                log.write(block_records)
            done += part.last - part.first
            if part.last == bound.customers:
                collect(part.replicate)
            if progress is not None:
                progress(done, total)
        if cancel.forced.is_set():
            raise AbortedError("aborted; nothing was written")
        if not counters:
            collect(0)
    except BaseException:
        cancel.force()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return DryRunResult(counters, done < total, done)


def _stretches(bound: Bound, replicates: int, size: int) -> Iterator[_Stretch]:
    first_replicate = bound.options.replicate
    for replicate in range(replicates):
        drawn = bound.replicate(first_replicate + replicate) if replicate else bound
        for first in range(0, bound.customers, size):
            yield _Stretch(replicate, drawn, first, min(first + size, bound.customers))


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[_Stretch], Records],
    blocks: Iterator[_Stretch],
    cancel: Cancel,
    ahead: int,
) -> Iterator[tuple[_Stretch, Records]]:
    """Yield the stretches with their records in their order, `ahead` of them given out."""
    waiting: deque[tuple[_Stretch, Running]] = deque()
    while True:
        while len(waiting) < ahead and not cancel.asked.is_set():
            part = next(blocks, None)
            if part is None:
                break
            waiting.append((part, pool.submit(work, part)))
        if cancel.asked.is_set():
            while waiting and waiting[-1][1].cancel():
                waiting.pop()
        if not waiting:
            return
        part, running = waiting[0]
        records = running.result()
        waiting.popleft()
        yield part, records
