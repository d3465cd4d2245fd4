"""Host partitions: one thread takes frames, commits them together, and fires timers.

Any thread may call a `Shard`; its own thread alone touches the partitions. A promise of a receipt
is kept after the commit, never before. Between two batches it does what else there is: commands,
reads of a few milliseconds, a slice of a snapshot, housekeeping.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actors import failpoints
from actors.intake.frame import Frame, decode
from actors.live.clock import Clock, DrivenClock, WallClock
from actors.live.control import Command
from actors.live.errors import BehindError, DownError, RefusedError
from actors.live.hosted import HostedPartition, Opener, Receipt
from actors.live.inbox import Delivery, Inbox, deadline_s, frame_bytes, stopping, timed_out
from actors.live.jobs import Jobs
from actors.live.seat import REFUSALS, Seat
from actors.live.watermarks import Marks, Watermarks

READS_S = 0.005  # of errands between two batches
LOOK_S = 1.0  # at most between two looks at the clock, even where nothing is due
TEND_S = 60.0


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """How much a shard queues, when it is full, and whether its clock is driven by commands."""

    queue_rows: int = 1 << 19
    queue_bytes: int = 256 << 20
    marks: Marks = field(default_factory=Marks)
    driven: bool = False


class Shard:
    """Several partitions and the thread that works them."""

    def __init__(
        self,
        folder: Path,
        numbers: Sequence[int],
        opener: Opener,
        options: ShardOptions | None = None,
        *,
        clock: Callable[[int], Clock] | None = None,
    ) -> None:
        """Open the partitions `numbers` by `opener` and start the thread.

        `folder` is the data directory, for the watermarks; `clock` makes the clock from the
        partitions' latest time, ms. Nothing is taken in, and no timer fires, before `follow` has
        brought the commands that the partitions lack. A partition that cannot be opened is halted,
        and told by `status`.
        """
        self.numbers = tuple(numbers)
        self.options = options or ShardOptions()
        self._stopping = False
        self._inbox = Inbox(self.options.queue_rows, self.options.queue_bytes)
        self._jobs = Jobs()
        self._marks = Watermarks(folder, self.options.marks)
        self._seats = {n: Seat(n, opener) for n in self.numbers}
        make = clock or (DrivenClock if self.options.driven else WallClock)
        self._clock = make(max((p.clock_ms for _, p in self._open()), default=0))
        self._now_ms = self._clock.now_ms()
        self._late_ms = 0  # how long the timer that is due longest has waited
        self._commands: list[tuple[int, Command]] = []
        self._control: int | None = None  # commands that all open partitions have
        self._snapshots = 0
        self._next_tick_s = 0.0
        self._next_tend_s = time.monotonic() + TEND_S
        name = f"shard-{self.numbers[0]:03}" if self.numbers else "shard"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    # What callers ask

    def submit(self, partition: int, frame: Frame | bytes, control: int = 0) -> Future[Receipt]:
        """Queue a frame for a partition; the receipt comes after its commit.

        `control` is the number of the last command that the partition must have before. Raises
        BehindError if it lacks one, BusyError, FullError, DownError, FrameError: nothing was taken
        in. The receipt may raise these too, and what the store raises with nothing stored; after
        DownError it is not known, and the same frame may be sent again.
        """
        if self._stopping:
            raise stopping()
        return self._queue(partition, frame, control)

    def _queue(self, partition: int, frame: Frame | bytes, control: int) -> Future[Receipt]:
        if self._control is None or self._control < control:
            raise BehindError(f"the shard has {self._control or 0} commands of {control}")
        if partition not in self._seats:
            raise RefusedError(f"partition {partition} is not in this shard {self.numbers}")
        refusal = self._marks.refusal()
        if refusal is not None:
            raise refusal
        if self._seats[partition].partition is None:
            raise self._seats[partition].down()
        if isinstance(frame, bytes):
            frame = decode(frame)
        future: Future[Receipt] = Future()
        self._inbox.put(Delivery(partition, frame, frame_bytes(frame), future))
        return future

    def control_sequence(self) -> int:
        """The number of the last command that every open partition has."""
        return int(self.ask(lambda: min((p.control_sequence for _, p in self._open()), default=0)))

    def follow(self, commands: Sequence[tuple[int, Command]], last: int) -> None:
        """Apply commands of the control log, and be ready if command `last` is among them.

        `commands` go on from `control_sequence` at the latest; those that a partition has are
        skipped. A partition that fails to apply one is halted.
        """
        self.ask(lambda: self._follow(commands, last))

    def prepare(self, command: Command) -> None:
        """Raise what would keep any partition from applying a command. Raises DownError."""

        def prepare() -> None:
            for seat in self._seats.values():
                seat.opened().prepare(command)

        self.ask(prepare)

    def read(self, partition: int, name: str, *arguments: Any) -> Any:
        """The answer of a partition's method or attribute `name`, between two batches.

        Raises DownError if it is halted, RefusedError, and what the method raises.
        """
        if partition not in self._seats:
            raise RefusedError(f"partition {partition} is not in this shard {self.numbers}")

        def read() -> Any:
            hosted = self._seats[partition].opened()
            if not hasattr(hosted, name):
                raise RefusedError(f"a partition has no {name!r}")
            found = getattr(hosted, name)
            return found(*arguments) if callable(found) else found

        return self.ask(read)

    def begin(self, job: str, partition: int, name: str, *arguments: Any) -> None:
        """Begin a partition's method `name`, one that any thread may call, in a thread of its own.

        `ended` tells how it went. Raises DownError if the partition is halted, RefusedError.
        """
        if partition not in self._seats:
            raise RefusedError(f"partition {partition} is not in this shard {self.numbers}")
        hosted = self._seats[partition].opened()
        self._jobs.begin(job, lambda: getattr(hosted, name)(*arguments))

    def ended(self, job: str) -> tuple[bool, Any]:
        """Whether what `begin` began has ended, and what it returned; raises what it raised."""
        return self._jobs.ended(job)

    def put_people(self, partition: int, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Store personal values by customer's id, in the caller's thread.

        Raises DownError, and what the people's store raises, with nothing stored.
        """
        if partition not in self._seats:
            raise RefusedError(f"partition {partition} is not in this shard {self.numbers}")
        self._seats[partition].opened().put_people(values)

    def forget_messages(self, partition: int, id_hashes: Sequence[int]) -> None:
        """Remove what channels keep of customers that were erased, in the caller's thread.

        Raises DownError, OSError, TimeoutError.
        """
        if partition not in self._seats:
            raise RefusedError(f"partition {partition} is not in this shard {self.numbers}")
        self._seats[partition].opened().forget_messages(id_hashes)

    def advance(self, to_ms: int) -> None:
        """Set a driven clock, and fire all that is due by then. Raises RefusedError for another."""
        self.ask(lambda: self._advance(to_ms))

    @property
    def alive(self) -> bool:
        """Whether its thread works."""
        return self._thread.is_alive()

    def status(self) -> dict[str, Any]:
        """What the shard and its partitions do, for people and for the engine."""
        self._marks.look()
        return {
            "numbers": self.numbers,
            "alive": self.alive,
            "ready": self._control is not None,
            "control": self._control or 0,
            "queue_rows": self._inbox.rows,
            "queue_bytes": self._inbox.bytes,
            "disk": self._marks.disk_state,
            "disk_used": self._marks.disk_used,
            "memory_bytes": self._marks.memory_bytes,
            "now_ms": self._now_ms,
            "late_ms": self._late_ms,
            "clock_difference_ms": self._clock.difference_ms,
            "partitions": {
                number: {
                    "state": seat.state,
                    "error": str(seat.error) if seat.error else "",
                    "companions": seat.companions,
                    "outbox": seat.outbox,
                    "commits": seat.commits,
                    "rows": seat.rows,
                }
                for number, seat in self._seats.items()
            },
        }

    def ask(self, run: Callable[[], Any]) -> Any:
        """Have the shard's thread do something between batches. Raises what that raises."""
        return self._inbox.put_errand(run).result()

    def close(self) -> None:
        """Take nothing more from callers, commit what is queued, and close the partitions.

        What works beside them hands in the last it has before their states are saved.
        """
        self._stopping = True
        with suppress(DownError):  # the thread ended by itself
            self.ask(lambda: None)  # what a turn might begin has begun
        if self._seats:
            with ThreadPoolExecutor(len(self._seats), "stopping") as pool:
                for done in [pool.submit(seat.wind_down) for seat in self._seats.values()]:
                    done.exception()
        self._inbox.close()
        self._thread.join()

    # The thread

    def _run(self) -> None:
        try:
            while not self._inbox.closed:
                self._turn()
        finally:
            self._inbox.close()
            self._abandon()
            with ExitStack() as stack:
                for seat in self._seats.values():
                    stack.callback(seat.close)

    def _turn(self) -> None:
        batch = self._inbox.collect(self._wait_s())
        self._errands()
        if batch:
            self._take(batch)
        if self._control is not None:
            if not self._stopping:
                for seat in self._seats.values():
                    seat.begin(_Beside(self))
            self._tick()
        self._snapshot()
        if self._stopping:
            return
        if time.monotonic() >= self._next_tend_s:
            self._next_tend_s = time.monotonic() + TEND_S
            for seat in self._seats.values():
                seat.tend()
        for seat in self._seats.values():
            seat.retry(self._commands, self._inbox.put_errand)

    def _wait_s(self) -> float:
        if self._control is None or self.options.driven:
            return LOOK_S
        if self._snapshots:
            return 0.0
        due_ms, now_ms = self._next_due_ms(), self._look()
        self._late_ms = 0 if due_ms is None else max(0, now_ms - due_ms)
        return deadline_s(due_ms, now_ms, LOOK_S)

    def _look(self) -> int:
        """The time; only the shard's thread looks at its clock."""
        self._now_ms = self._clock.now_ms()
        return self._now_ms

    def _next_due_ms(self) -> int | None:
        dues = (p.next_due_ms for seat, p in self._open() if not seat.resting)
        return min((due for due in dues if due is not None), default=None)

    def _errands(self) -> None:
        started = time.monotonic()
        while not timed_out(started, READS_S) and (errand := self._inbox.errand()) is not None:
            errand.carry_out()

    def _take(self, batch: Iterable[Delivery]) -> None:
        by_partition: dict[int, list[Delivery]] = {}
        for delivery in batch:
            by_partition.setdefault(delivery.partition, []).append(delivery)
        now = self._look()
        for number, deliveries in by_partition.items():
            self._commit(self._seats[number], deliveries, now)
        if isinstance(self._clock, DrivenClock):
            # Arrival times that rows state drive it too; more rows of the last may be to come.
            stated = [
                d.frame.received_ms[-1] for ds in by_partition.values() for d in ds if d.frame.rows
            ]
            self._clock.advance(int(max(stated, default=0)) - 1)

    def _commit(self, seat: Seat, deliveries: Sequence[Delivery], now_ms: int) -> None:
        try:
            receipts = seat.opened().take([delivery.frame for delivery in deliveries], now_ms)
        except REFUSALS as error:
            if len(deliveries) > 1:
                # One frame may be at fault, or all together too large: the others need not suffer.
                for delivery in deliveries:
                    self._commit(seat, [delivery], now_ms)
            else:
                deliveries[0].future.set_exception(error)
            return
        except Exception as error:
            if seat.partition is not None:
                seat.halt(error)
            for delivery in deliveries:
                delivery.future.set_exception(seat.down())
            return
        if failpoints.armed:
            failpoints.hit("committed")
        seat.commits += 1
        for delivery, receipt in zip(deliveries, receipts, strict=True):
            seat.rows += delivery.frame.rows
            delivery.future.set_result(receipt)

    def _tick(self) -> None:
        """Give every partition the time once if something is due, and once a second anyway."""
        now = self._look()
        all_of_them = time.monotonic() >= self._next_tick_s
        if all_of_them:
            self._next_tick_s = time.monotonic() + LOOK_S
        for seat, partition in self._open():
            if (all_of_them or _is_due(partition, now)) and not seat.resting:
                self._guarded(seat, partition.tick, now)

    def _snapshot(self) -> None:
        """Do one slice of one snapshot."""
        self._snapshots = 0
        for seat, partition in self._open():
            if not seat.resting and self._guarded(seat, partition.snapshot):
                self._snapshots = 1
                return

    def _guarded(self, seat: Seat, run: Callable[..., Any], *arguments: Any) -> Any:
        began = time.monotonic()
        try:
            return run(*arguments)
        except REFUSALS as error:
            seat.rest(error, time.monotonic() - began)
        except Exception as error:
            seat.halt(error)
        return None

    def _follow(self, commands: Sequence[tuple[int, Command]], last: int) -> None:
        known = self._commands[-1][0] if self._commands else None
        self._commands += [(n, c) for n, c in commands if known is None or n > known]
        for seat in self._seats.values():
            seat.follow(self._commands)
        if all(partition.control_sequence >= last for _, partition in self._open()):
            self._control = max(last, self._control or 0)

    def _advance(self, to_ms: int) -> None:
        if not isinstance(self._clock, DrivenClock):
            raise RefusedError("the clock of this shard is the machine's, and cannot be set")
        self._clock.advance(to_ms)
        self._look()
        for seat, partition in self._open():
            self._guarded(seat, partition.tick, to_ms)
            while seat.partition is partition and _is_due(partition, to_ms):
                if seat.resting:
                    raise seat.error or seat.down()
                self._guarded(seat, partition.tick, to_ms)

    def _open(self) -> list[tuple[Seat, HostedPartition]]:
        seats = self._seats.values()
        return [(seat, seat.partition) for seat in seats if seat.partition is not None]

    def _abandon(self) -> None:
        """Tell those who still wait that nothing will come."""
        error = stopping()
        for delivery in self._inbox.collect(0):
            delivery.future.set_exception(error)
        while (errand := self._inbox.errand()) is not None:
            errand.future.set_exception(error)


class _Beside:
    """What works beside partitions reaches their shard by this, also while it is stopping."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    def submit(self, partition: int, frame: Frame | bytes, control: int = 0) -> Future[Receipt]:
        return self._shard._queue(partition, frame, control)

    def ask(self, run: Callable[[], Any]) -> Any:
        return self._shard.ask(run)


def _is_due(partition: HostedPartition, now_ms: int) -> bool:
    return partition.next_due_ms is not None and partition.next_due_ms <= now_ms


def describe(status: Mapping[str, Any]) -> str:
    """A shard's status in a line."""
    states = [partition["state"] for partition in status["partitions"].values()]
    return ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
