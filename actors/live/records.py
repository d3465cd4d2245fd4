"""Write what changes a partition as journal records, and read them back.

A record is a msgpack list: the format, the kind, and what the kind says. All that decides anything
is in one of them, so that replaying them in order ends in the same state.

    rows     until_ms, whether they were judged late (bytes, a bit for each row, or empty), frame,
             rows by what became of them, since the last such record
    tick     until_ms, first and last + 1 of the customers whose timers fired
    grant    the version, through which of its claims, the answers, the tests decided, until_ms
    command  its number in the control log, the command (compressed: a flow may be long)
    basis    the engine's version, and tables of zones, if they are others than before
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from actors.intake.frame import Frame, FrameError, decode, encode
from actors.live.control import COMMAND_BYTES_MAX
from actors.live.inbox import frame_bytes
from actors.store.errors import CorruptError
from actors.store.frames import RESTORE
from core.couplings import ANSWER, DECISION

FORMAT = 1
PART_BYTES = 800 << 10  # of a frame in a record, which must stay below a megabyte


@dataclass(frozen=True, slots=True)
class RowsRecord:
    """Rows that were taken in; all work before `until_ms` of their customers was carried out."""

    frame: Frame
    historical: NDArray[np.bool_]
    until_ms: int
    counts: Mapping[str, int] = field(default_factory=dict)

    def encode(self) -> bytes:
        """As bytes."""
        late = np.packbits(self.historical).tobytes() if self.historical.any() else b""
        said = [FORMAT, "rows", self.until_ms, late, encode(self.frame), dict(self.counts)]
        return bytes(msgpack.packb(said))


def fitting(
    frame: Frame, historical: NDArray[np.bool_]
) -> Iterator[tuple[Frame, NDArray[np.bool_]]]:
    """The frame in parts that fit into a record each, with what `historical` says of their rows.

    Parts have different customers, whose order is of no account; only the rows of one customer who
    alone fills a record are parted by their order.
    """
    texts = sum(sum(map(len, part.dictionary or ())) for _, _, part in frame.parts())
    if frame_bytes(frame) + 2 * texts <= PART_BYTES or frame.rows < 2:
        yield frame, historical
        return
    first = frame.customer < (frame.customers + 1) // 2
    if first.all():
        first = np.arange(frame.rows) < frame.rows // 2
    for mask in (first, ~first):
        rows = np.flatnonzero(mask)
        yield from fitting(frame.take(rows), historical[rows])


@dataclass(frozen=True, slots=True)
class TickRecord:
    """Timers due before `until_ms` fired, of the customers numbered [first, last)."""

    until_ms: int
    first: int
    last: int

    def encode(self) -> bytes:
        """As bytes."""
        return bytes(msgpack.packb([FORMAT, "tick", self.until_ms, self.first, self.last]))


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """A command of the control log was applied."""

    sequence: int
    command: Mapping[str, Any]

    def encode(self) -> bytes:
        """As bytes."""
        packed = zlib.compress(msgpack.packb(dict(self.command)), 1)
        return bytes(msgpack.packb([FORMAT, "command", self.sequence, packed]))


@dataclass(frozen=True, slots=True)
class GrantRecord:
    """Claims of version `serial` were answered up to number `through`, from where that left off.

    `answers` ANSWER[k] (core.couplings) are those of the next k claims and reports, `decisions`
    DECISION[j] all tests that were decided so far. `until_ms` is the partition's clock.
    """

    serial: int
    through: int
    answers: NDArray[Any]
    decisions: NDArray[Any]
    until_ms: int

    def encode(self) -> bytes:
        """As bytes."""
        said = self.serial, self.through, self.answers.tobytes(), self.decisions.tobytes()
        return bytes(msgpack.packb([FORMAT, "grant", *said, self.until_ms]))


@dataclass(frozen=True, slots=True)
class BasisRecord:
    """What follows was carried out by a version of the engine, and under tables of zones.

    `tables` are as `actors.live.basis` packs them, b"" where they are those from before.
    """

    engine: str
    tables: bytes

    def encode(self) -> bytes:
        """As bytes."""
        return bytes(msgpack.packb([FORMAT, "basis", self.engine, self.tables]))


Record = RowsRecord | TickRecord | CommandRecord | GrantRecord | BasisRecord


def decode_record(number: int, data: bytes, file: str) -> Record:
    """The record that was encoded. CorruptError for anything else, naming its number and `file`."""
    try:
        format_, kind, *said = msgpack.unpackb(data)
        if format_ == FORMAT and kind == "rows":
            until_ms, late, packed, counts = said
            frame = decode(packed)
            historical = np.zeros(frame.rows, np.bool_)
            if late:
                bits = np.unpackbits(np.frombuffer(late, np.uint8), count=frame.rows)
                historical = bits.astype(np.bool_)
            return RowsRecord(
                frame, historical, int(until_ms), {str(k): int(counts[k]) for k in counts}
            )
        if format_ == FORMAT and kind == "tick":
            return TickRecord(*said)
        if format_ == FORMAT and kind == "command":
            sequence, packed = said
            command = zlib.decompressobj().decompress(packed, COMMAND_BYTES_MAX)
            return CommandRecord(sequence, msgpack.unpackb(command))
        if format_ == FORMAT and kind == "grant":
            serial, through, answers, decisions, until_ms = said
            return GrantRecord(
                serial,
                through,
                np.frombuffer(answers, ANSWER),
                np.frombuffer(decisions, DECISION),
                int(until_ms),
            )
        if format_ == FORMAT and kind == "basis":
            engine, tables = said
            return BasisRecord(str(engine), bytes(tables))
        problem = f"it is of format {format_!r} and kind {kind!r}"
    except FrameError as error:
        problem = str(error)
    except (ValueError, TypeError, zlib.error, msgpack.UnpackException) as error:
        problem = f"it cannot be read: {error}"
    raise CorruptError(
        f"the record makes no sense: {problem}",
        advice=RESTORE,
        file=file,
        pointer=f"journal record {number}",
    )
