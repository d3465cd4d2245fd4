"""Say what a shard asks of a partition that it hosts.

`actors.live.partition.LivePartition` is the one that counts; tests host simpler ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from actors.intake.frame import Frame
from core.counters import Counters


class Receipt(Protocol):
    """What became of a frame that was committed."""

    @property
    def accepted(self) -> int:
        """Rows taken in."""
        ...

    @property
    def duplicates(self) -> int:
        """Rows that had been taken in before, and count no second time."""
        ...

    @property
    def known(self) -> Sequence[int]:
        """The rows of the frame that had been taken in before, ascending."""
        ...

    @property
    def rejects(self) -> Sequence[tuple[int, str]]:
        """Rows of the frame that were not taken in, each with its reason."""
        ...

    @property
    def commit(self) -> int:
        """The number of the commit."""
        ...


class Surroundings(Protocol):
    """What a shard offers to what works beside its partitions. Any thread but its own may call."""

    def submit(self, partition: int, frame: Frame | bytes, control: int = 0) -> Future[Receipt]:
        """Queue a frame; see `Shard.submit`."""
        ...

    def ask(self, run: Callable[[], Any]) -> Any:
        """Have the shard's thread do something between batches."""
        ...


class HostedPartition(Protocol):
    """One partition, open. One thread uses it at a time."""

    @property
    def next_due_ms(self) -> int | None:
        """When its next timer is due, None without any."""
        ...

    @property
    def clock_ms(self) -> int:
        """Its time as of the last commit."""
        ...

    @property
    def control_sequence(self) -> int:
        """The number of the last command that it applied."""
        ...

    @property
    def cursors(self) -> Mapping[bytes, int]:
        """The last sequence of every source."""
        ...

    def take(self, frames: Sequence[Frame], now_ms: int) -> Sequence[Receipt]:
        """Commit frames at a time, all or nothing; when it returns, the disk has them."""
        ...

    def tick(self, now_ms: int) -> object:
        """Fire what is due by `now_ms`, or a part of it."""
        ...

    def prepare(self, command: Mapping[str, Any]) -> None:
        """Raise what `command` would raise, and change nothing."""
        ...

    def command(self, sequence: int, command: Mapping[str, Any]) -> None:
        """Apply a command of the control log, once."""
        ...

    def put_people(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Store personal values by customer's id, None to remove one. Any thread may call it."""
        ...

    def forget_messages(self, id_hashes: Sequence[int]) -> None:
        """Remove what channels keep of customers that were erased. Any thread may call it."""
        ...

    def counts(self, flow: str, version: int | None = None, now_ms: int = 0) -> Counters:
        """What a version of a flow counted here by now, the newest unless stated."""
        ...

    def state_of(self, customer: str) -> Mapping[str, Any] | None:
        """What is known of a customer, and where in which flows they are; None if unknown."""
        ...

    @property
    def companions(self) -> str:
        """What is wrong with what works beside it, such as its relay; "" for nothing."""
        ...

    def begin(self, surroundings: Surroundings) -> None:
        """Start what works beside it, now that all commands are applied. Called once."""
        ...

    def snapshot(self, now: bool = False) -> bool:
        """Do a slice of work on a snapshot, if one is due; True while one is unfinished."""
        ...

    def tend(self) -> None:
        """Do what must be done every minute."""
        ...

    def wind_down(self) -> None:
        """End what works beside it; it may still hand in what it has.

        Another thread than the partition's calls it, and it may take seconds.
        """
        ...

    def settle(self) -> None:
        """Save the state before a close, so that the next opening replays nothing."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class Opener(Protocol):
    """Opens partitions by their number."""

    def __call__(self, number: int) -> HostedPartition:
        """Open partition `number`, made if it is not there."""
        ...
