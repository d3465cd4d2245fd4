"""Remember to whom nothing may be sent any more, as keyed hashes in a file that only grows.

An address that bounced or complained must be left alone even when its customer was erased and comes
anew, so it is kept as a hash under the tenant's key, which tells nobody who does not ask for that
very address. The file is shared by the processes of a tenant: one record of 32 bytes for each
change, of which the last counts.

    16 bytes  BLAKE2b of channel and address under the key
    8 bytes   time, ms UTC, i64 little-endian
    1 byte    reason, as its place in REASONS; then 3 zero bytes
    4 bytes   CRC-32 of all before, little-endian
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import threading
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Literal, NamedTuple

from actors.relay.marks import MarkKey
from actors.store.errors import CorruptError

Reason = Literal["bounce", "complaint", "asked", "unsubscribed"]
REASONS: tuple[Reason | Literal["lifted"], ...] = (
    "lifted",
    "bounce",
    "complaint",
    "asked",
    "unsubscribed",
)
FILE = "suppressions"
SUBJECT_BYTES = 16
_BODY = struct.Struct(f"<{SUBJECT_BYTES}sqB3x")
_CRC = struct.Struct("<I")
RECORD_BYTES = _BODY.size + _CRC.size


class Suppressed(NamedTuple):
    """Why nothing is sent to somebody, and since when, ms UTC."""

    reason: Reason
    at_ms: int

    @property
    def stops_all(self) -> bool:
        """Whether not even a transactional message may be sent."""
        return self.reason != "unsubscribed"


class Suppressions:
    """The list of one tenant. Any thread may use it, and each process has one of its own."""

    def __init__(self, folder: Path, key: MarkKey) -> None:
        """The list in the data directory `folder`, which may have none yet."""
        self.path = folder / FILE
        self._key = key.derived("suppressions")
        self._lock = threading.Lock()
        self._known: dict[bytes, Suppressed] = {}
        self._read_bytes = 0

    def subject(self, channel: str, address: str) -> bytes:
        """The keyed hash of an address on a channel, 16 bytes; of e-mail in lower case."""
        written = address.strip()
        written = written.lower() if channel == "email" else written
        data = f"{channel}\0{written}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, digest_size=SUBJECT_BYTES, key=self._key).digest()

    def find(self, subject: bytes) -> Suppressed | None:
        """Why nothing is sent to somebody, None if something may be.

        Raises OSError, CorruptError for a damaged file: then nothing may be sent to anybody.
        """
        with self._lock:
            self._catch_up()
            return self._known.get(subject)

    def put(self, subject: bytes, reason: Reason, at_ms: int) -> bool:
        """Send nothing to somebody from now on; False where that is so for as good a reason.

        When it returns, the disk has it. Raises OSError, CorruptError.
        """

        def is_news(now: Suppressed | None) -> bool:
            return now is None or (reason != "unsubscribed" and not now.stops_all)

        return self._append(subject, reason, at_ms, is_news)

    def lift(self, subject: bytes, at_ms: int, only: Collection[Reason] = ()) -> bool:
        """Send again; with `only` if the reason is one of these. False if nothing was lifted."""

        def is_news(now: Suppressed | None) -> bool:
            return now is not None and (not only or now.reason in only)

        return self._append(subject, "lifted", at_ms, is_news)

    def count(self) -> int:
        """How many are suppressed. Raises as `find` does."""
        with self._lock:
            self._catch_up()
            return len(self._known)

    def _append(
        self,
        subject: bytes,
        reason: Reason | Literal["lifted"],
        at_ms: int,
        is_news: Callable[[Suppressed | None], bool],
    ) -> bool:
        if len(subject) != SUBJECT_BYTES:
            raise ValueError(f"a subject has {SUBJECT_BYTES} bytes, not {len(subject)}")
        body = _BODY.pack(subject, at_ms, REASONS.index(reason))
        with self._lock:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._catch_up()
                if not is_news(self._known.get(subject)):
                    return False
                end = self._read_bytes
                # What a crash left half written was never told to anybody.
                os.ftruncate(file, end)
                try:
                    os.write(file, body + _CRC.pack(zlib.crc32(body)))
                    os.fsync(file)
                except OSError:
                    os.ftruncate(file, end)
                    raise
            finally:
                os.close(file)
            self._catch_up()
        return True

    def _catch_up(self) -> None:
        """Read what was written since the last look."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        whole = size - size % RECORD_BYTES
        if whole < self._read_bytes:
            # Another file stands in its place, from a backup.
            self._known, self._read_bytes = {}, 0
        if whole == self._read_bytes:
            return
        with self.path.open("rb") as file:
            file.seek(self._read_bytes)
            data = file.read(whole - self._read_bytes)
        for start in range(0, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
            record = data[start : start + RECORD_BYTES]
            self._take(record, self._read_bytes + start)
        self._read_bytes += len(data) - len(data) % RECORD_BYTES

    def _take(self, record: bytes, place: int) -> None:
        body, (crc,) = record[: _BODY.size], _CRC.unpack(record[_BODY.size :])
        subject, at_ms, number = _BODY.unpack(body)
        if zlib.crc32(body) != crc or number >= len(REASONS):
            raise CorruptError(
                f"the record at byte {place:,} is damaged",
                advice="Put the file back from a backup",
                file=str(self.path),
            )
        reason = REASONS[number]
        if reason == "lifted":
            self._known.pop(subject, None)
        else:
            self._known[subject] = Suppressed(reason, at_ms)
