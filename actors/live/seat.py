"""Give each hosted partition a seat: open, or halted with its reason and the time of the next try.

A partition that fails in a way that leaves doubt is closed, and opened again by a thread of its
own, because recovery takes seconds and the others go on meanwhile. What cannot get better by itself
is not tried again.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from actors.intake.admission import GapError
from actors.intake.frame import FrameError
from actors.live.control import Command
from actors.live.errors import DownError, EngineError, GoneError, MovedError
from actors.live.hosted import HostedPartition, Opener, Surroundings
from actors.store.errors import (
    CorruptError,
    FencedError,
    FormatError,
    NoSpaceError,
    QuarantinedError,
    TooLargeError,
)
from core.errors import HeadraceError

# Nothing was applied, and the partition is as it was.
REFUSALS = (NoSpaceError, TooLargeError, FrameError, GapError, MovedError)
FINAL = (CorruptError, EngineError, FencedError, FormatError, QuarantinedError)
RETRY_S = (1.0, 5.0, 30.0)
REST_S = 0.25
REST_SHARE = 4.0  # of the time that the attempt took: what failed is undone by a recovery
REST_MAX_S = 15.0

_LOG = logging.getLogger(__name__)

Run = Callable[[Callable[[], Any]], Future[Any]]


class Seat:
    """One partition of a shard. All but the opening happens in the shard's thread."""

    def __init__(self, number: int, opener: Opener) -> None:
        """Open partition `number`; if that fails, the seat is halted from the start."""
        self.number = number
        self.partition: HostedPartition | None = None
        self.error: HeadraceError | None = None
        self.commits = 0
        self.rows = 0
        self._opener = opener
        self._failures = 0
        self._retry_at_s: float | None = None
        self._rest_until_s = 0.0
        self._closer: threading.Thread | None = None
        self._reopener: threading.Thread | None = None
        self._begun: HostedPartition | None = None
        try:
            self.partition = opener(number)
        except Exception as error:
            self.halt(error)

    @property
    def state(self) -> str:
        """`open`, `opening`, or `halted` where nothing more is tried."""
        if self.partition is not None:
            return "open"
        return "halted" if self._retry_at_s is None else "opening"

    @property
    def companions(self) -> str:
        """What is wrong with what works beside the partition, "" for nothing."""
        partition = self.partition
        return "" if partition is None else partition.companions

    @property
    def outbox(self) -> dict[str, Any]:
        """What became of the partition's messages, in numbers; {} where nobody sends them."""
        told = getattr(self.partition, "outbox", None)
        return {} if told is None else dict(told())

    def opened(self) -> HostedPartition:
        """The partition. Raises DownError while it is halted."""
        if self.partition is None:
            raise self.down()
        return self.partition

    def down(self) -> DownError:
        """The error for whoever asks while it is halted."""
        message, pointer = f"the partition halted: {self.error}", f"partition {self.number}"
        if self._retry_at_s is None:
            advice = "Put right what is told, then start the engine again"
            return GoneError(message, advice=advice, pointer=pointer)
        advice = "Others go on; this one is opened again by itself"
        return DownError(message, advice=advice, pointer=pointer)

    def halt(self, error: Exception) -> None:
        """Close the partition, whose state is in doubt, and plan when to open it again."""
        told = error if isinstance(error, HeadraceError) else _told(error)
        self.error = told
        partition, self.partition = self.partition, None
        if partition is not None:
            # What works beside it may take seconds to end, and the others must not wait for that.
            name = f"closing-{self.number:03}"
            self._closer = threading.Thread(target=_give_up, args=(partition,), name=name)
            self._closer.start()
        if isinstance(error, FINAL):
            self._retry_at_s = None
            return
        wait_s = RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        self._failures += 1
        self._retry_at_s = time.monotonic() + wait_s

    def rest(self, error: HeadraceError, took_s: float) -> None:
        """Leave the partition alone for a moment: it is sound, but has no room for what it does.

        `took_s` is how long it tried.
        """
        self.error = error
        rest_s = min(REST_MAX_S, max(REST_S, REST_SHARE * took_s))
        self._rest_until_s = time.monotonic() + rest_s

    @property
    def resting(self) -> bool:
        """Whether it is left alone just now."""
        return time.monotonic() < self._rest_until_s

    def retry(self, commands: Sequence[tuple[int, Command]], run: Run) -> None:
        """Begin to open it again if it is time; `run` has something done in the shard's thread."""
        if self.partition is not None or self._retry_at_s is None:
            return
        if time.monotonic() < self._retry_at_s:
            return
        self._retry_at_s = time.monotonic() + 3600
        name = f"opening-{self.number:03}"
        self._reopener = threading.Thread(
            target=self._open, args=(commands, run), name=name, daemon=True
        )
        self._reopener.start()

    def follow(self, commands: Sequence[tuple[int, Command]]) -> None:
        """Apply the commands that the partition lacks; it halts if one fails."""
        if self.partition is None:
            return
        try:
            for sequence, command in commands:
                if sequence <= self.partition.control_sequence:
                    continue
                if sequence != self.partition.control_sequence + 1:
                    raise DownError(
                        f"it applied {self.partition.control_sequence} commands, and the next "
                        f"that is known has number {sequence}",
                        advice="Start the engine again",
                    )
                self.partition.command(sequence, command)
        except Exception as error:
            # What is decided cannot be skipped.
            self.halt(error)

    def tend(self) -> None:
        """Do what must be done every minute."""
        if self.partition is None:
            return
        try:
            self.partition.tend()
            self._failures = 0
        except Exception as error:
            self.halt(error)

    def wind_down(self) -> None:
        """End what works beside the partition. Any thread but the shard's may call it."""
        if (partition := self.partition) is not None:
            partition.wind_down()

    def close(self) -> None:
        """Close the partition and try nothing more; its state is saved, if there is room.

        Nothing of it is open any more when this returns.
        """
        self._retry_at_s = None
        if self._reopener is not None:
            self._reopener.join()
        self._await_closing()
        if self.partition is not None:
            partition, self.partition = self.partition, None
            try:
                partition.settle()
            except Exception as error:
                # The journal has everything: this only makes the next opening longer.
                _LOG.warning("partition %d: its state is not saved: %s", self.number, error)
            finally:
                partition.close()

    def begin(self, surroundings: Surroundings) -> None:
        """Start what works beside the partition, unless that was done; it halts if that fails."""
        if self.partition is None or self._begun is self.partition:
            return
        self._begun = self.partition
        try:
            self.partition.begin(surroundings)
        except Exception as error:
            self.halt(error)

    def _await_closing(self) -> None:
        if self._closer is not None:
            self._closer.join()

    def _open(self, commands: Sequence[tuple[int, Command]], run: Run) -> None:
        self._await_closing()
        try:
            partition = self._opener(self.number)
        except Exception as error:
            failed = error
            with contextlib.suppress(DownError):  # the shard has stopped meanwhile
                run(lambda: self.halt(failed))
            return
        try:
            run(lambda: self._adopt(partition, commands)).result()
        except DownError:
            partition.close()

    def _adopt(self, partition: HostedPartition, commands: Sequence[tuple[int, Command]]) -> None:
        self.partition = partition
        self.error = None
        self._retry_at_s = None
        self.follow(commands)


def _give_up(partition: HostedPartition) -> None:
    # Why it is given up is known already.
    with contextlib.suppress(Exception):
        partition.close()


def _told(error: Exception) -> HeadraceError:
    return HeadraceError(f"{type(error).__name__}: {error}", advice="Please report it")
