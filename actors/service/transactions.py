"""Read and write rows of the control plane within one transaction, bound to one owner's rows.

Everything is read from one snapshot of LMDB. What is put or deleted is kept aside until the block
ends and is seen by the transaction's own reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import lmdb
import msgpack
import xxhash

from actors.service.row_keys import bound, checked_key, described, past, usable_key
from actors.service.tables import SEQUENCES, TABLES
from actors.store.environment import Environment
from actors.store.errors import CorruptError, MisuseError, StoreError
from actors.store.frames import Kind, check_size, unpack

WHAT = "control plane"
META, ROWS = "meta", "rows"
COUNT_KEY = b"count"
NUMBER_DIGITS = 16
RESTORE = "Stop the service, and restore the control plane from its last backup"
_MODULUS = 2**64

Record = dict[str, Any]
"""What a row holds: texts to what msgpack can carry."""


class Owned(Protocol):
    """A capability for one owner's rows."""

    @property
    def tenant(self) -> str | None:
        """Whose they are: a tenant's, or the operator's if None."""
        ...

    @property
    def space(self) -> bytes:
        """What stands before the owner's keys."""
        ...

    @property
    def home(self) -> object:
        """The store that they are in."""
        ...


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows there are, and the sum of the XXH3-64 of their keys modulo 2**64."""

    rows: int = 0
    keys: int = 0

    def changed(self, key: bytes, by: int) -> Count:
        """The count with that key added (1) or taken away (-1)."""
        return Count(self.rows + by, (self.keys + by * xxhash.xxh3_64_intdigest(key)) % _MODULUS)


class Snapshot:
    """The rows at one moment; `puts` holds what a write will put, and None for what it deletes.

    `stored_then` is called when all of that is stored.
    """

    def __init__(self, environment: Environment, txn: Any) -> None:
        """Read with `txn`, an LMDB transaction, until `end`."""
        self.puts: dict[bytes, bytes | None] = {}
        self.stored_then: list[Callable[[], None]] = []
        self._environment = environment
        self._txn = txn
        self._ended = False

    def end(self) -> None:
        """Let nobody use it any more."""
        self._ended = True

    def check(self) -> None:
        """Raise MisuseError if its block is over."""
        if self._ended:
            raise MisuseError(
                f"a transaction of the {WHAT} was used after its block",
                advice="Begin another",
                file=self._environment.file,
            )

    def stored(self, key: bytes) -> bytes | None:
        """The payload that the disk has under a whole key. Raises CorruptError."""
        self.check()
        try:
            record = self._environment.get(self._txn, ROWS, key)
        except lmdb.Error as error:
            raise self._halt(damaged(str(error), key, self._environment.file)) from error
        return None if record is None else self._payload(key, record)

    def get(self, key: bytes) -> bytes | None:
        """The payload that this transaction sees."""
        self.check()
        return self.puts[key] if key in self.puts else self.stored(key)

    def entries(self, low: bytes, high: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        """Keys from `low` on and below `high` with payloads, as they are when their turn comes.

        A key that is put for the first time while this goes on does not show up.
        """
        self.check()
        added = sorted((key for key in self.puts if low <= key < high), reverse=reverse)
        stored = self._stored(low, high, reverse)
        following = next(stored, None)
        for key in added:
            while following is not None and _precedes(following[0], key, reverse):
                yield from self._current(*following)
                following = next(stored, None)
            if following is not None and following[0] == key:
                following = next(stored, None)
            payload = self.get(key)
            if payload is not None:
                yield key, payload
        while following is not None:
            yield from self._current(*following)
            following = next(stored, None)

    def _current(self, key: bytes, record: bytes) -> Iterator[tuple[bytes, bytes]]:
        self.check()
        payload = self.puts[key] if key in self.puts else self._payload(key, record)
        if payload is not None:
            yield key, payload

    def _stored(self, low: bytes, high: bytes, reverse: bool) -> Iterator[tuple[bytes, bytes]]:
        environment = self._environment
        try:
            rows = (
                environment.rows_before(self._txn, ROWS, high)
                if reverse
                else environment.rows(self._txn, ROWS, low)
            )
            for key, record in rows:
                if not low <= key < high:
                    return
                yield key, record
                self.check()
        except lmdb.Error as error:
            raise self._halt(damaged(str(error), low, environment.file)) from error

    def _payload(self, key: bytes, record: bytes) -> bytes:
        try:
            return payload_of(key, record, self._environment.file)
        except CorruptError as error:
            raise self._halt(error) from None

    def record(self, key: bytes, payload: bytes) -> Record:
        """A payload as the map that it is. Raises CorruptError."""
        try:
            return record_of(key, payload, self._environment.file)
        except CorruptError as error:
            raise self._halt(error) from None

    def _halt(self, error: StoreError) -> StoreError:
        return self._environment.halt(error)


class ReadTxn:
    """Reads one owner's rows. Made by `Rows.read`."""

    def __init__(self, snapshot: Snapshot, owner: Owned) -> None:
        """Bind a snapshot to an owner."""
        self._snapshot = snapshot
        self._owner = owner

    @property
    def tenant(self) -> str | None:
        """Whose rows it is bound to: a tenant's, or the operator's if None."""
        return self._owner.tenant

    def get(self, table: str, key: str) -> Record | None:
        """The record, a new map each time, or None; also for a key that nothing can have.

        Raises CorruptError, which names table and key, after which the store is halted.
        """
        space, usable = self._space(table), usable_key(key)
        if usable is None:
            return None
        payload = self._snapshot.get(space + usable)
        return None if payload is None else self._snapshot.record(space + usable, payload)

    def scan(
        self,
        table: str,
        prefix: str = "",
        after: str = "",
        limit: int | None = None,
        *,
        reverse: bool = False,
    ) -> Iterator[tuple[str, Record]]:
        """Keys that begin with `prefix` with their records, in the order of their code points.

        It goes on behind the key `after`, which need not exist, and ends after `limit` rows. With
        `reverse` the greatest key comes first, and `after` is the key to go on below. Rows may be
        put and deleted meanwhile; keys that are new then do not show up. Raises CorruptError.
        """
        space = self._space(table)
        low = space + bound(prefix)
        high = past(low)
        if after:
            if reverse:
                high = min(high, space + bound(after))
            else:
                low = max(low, space + bound(after) + b"\0")
        if limit is not None and limit <= 0:
            return
        left = limit
        for key, payload in self._snapshot.entries(low, high, reverse):
            yield key[len(space) :].decode(), self._snapshot.record(key, payload)
            if left is not None:
                left -= 1
                if not left:
                    return

    def within(self, owner: Owned) -> Self:
        """This same transaction on the rows of another owner, whose capability the caller has.

        Raises MisuseError for rows of another store.
        """
        if owner.home is not self._owner.home:
            raise MisuseError(
                "a transaction can not reach the rows of another store",
                advice="Begin a transaction there",
            )
        return type(self)(self._snapshot, owner)

    def _space(self, table: str) -> bytes:
        return self._owner.space + bytes((TABLES[table],))


class WriteTxn(ReadTxn):
    """Reads and changes one owner's rows; nothing is stored before its block has ended well."""

    def put(self, table: str, key: str, record: Record) -> None:
        """Store a record under a key of 1 to 400 bytes, in the place of the former one if any.

        Raises TooLargeError for another key or a record over 20 MiB, MisuseError for a record that
        msgpack has no form for.
        """
        self._put(self._space(table) + checked_key(key), record)

    def _put(self, key: bytes, record: Record) -> None:
        self._snapshot.check()
        payload = packed(record)
        check_size(Kind.ROW, payload)
        self._snapshot.puts[key] = payload

    def delete(self, table: str, key: str) -> bool:
        """Delete a record; returns whether there was one. Raises CorruptError."""
        space, usable = self._space(table), usable_key(key)
        if usable is None or self._snapshot.get(space + usable) is None:
            return False
        self._snapshot.puts[space + usable] = None
        return True

    def append(self, table: str, record: Record) -> int:
        """Store a record under the table's next number, from 1 on; returns the number.

        A number is never given twice, not even if its record was deleted. `number_key` makes the
        key of it. Raises as `put` does.
        """
        space = self._owner.space
        key = space + bytes((SEQUENCES, TABLES[table]))
        payload = self._snapshot.get(key)
        number = 1 if payload is None else self._snapshot.record(key, payload)["last"] + 1
        self._put(self._space(table) + number_key(number).encode(), record)
        self._put(key, {"last": number})
        return number

    def when_stored(self, call: Callable[[], None]) -> None:
        """Call this in the same thread once everything is stored, and never if it is not.

        It must be quick, must not raise, and begins no write.
        """
        self._snapshot.check()
        self._snapshot.stored_then.append(call)

    def clear(self, table: str) -> int:
        """Delete all records of a table; returns how many. Its numbers go on."""
        keys = [key for key, _ in self.scan(table)]
        for key in keys:
            self.delete(table, key)
        return len(keys)


def number_key(number: int) -> str:
    """The key of a record that was appended: 16 digits, so that order is that of numbers."""
    return f"{number:0{NUMBER_DIGITS}d}"


def packed(record: object) -> bytes:
    """A record as msgpack. Raises MisuseError for what could not be read back."""
    if not isinstance(record, dict) or not all(isinstance(name, str) for name in record):
        raise _unfit("it is no map with texts as its keys")
    try:
        payload = bytes(msgpack.packb(record))
        msgpack.unpackb(payload)
    except (OverflowError, TypeError, ValueError) as error:
        raise _unfit(str(error)) from None
    return payload


def _unfit(why: str) -> MisuseError:
    return MisuseError(
        f"the record can not be stored: {why}",
        advice="Use maps with texts as keys, whole numbers of 64 bits, UTF-8, at most 1,000 levels",
    )


def payload_of(key: bytes, record: bytes, file: str) -> bytes:
    """The payload of a stored record. Raises CorruptError, which names table and key."""
    try:
        return unpack(Kind.ROW, key, record, file)[1]
    except CorruptError as error:
        raise damaged(error.message, key, file) from None


def record_of(key: bytes, payload: bytes, file: str) -> Record:
    """The map in a payload. Raises CorruptError, which names table and key."""
    try:
        record = msgpack.unpackb(payload)
    except (ValueError, msgpack.UnpackException):
        record = None
    if not isinstance(record, dict):
        raise damaged("the record is no map", key, file)
    return record


def damaged(what: str, key: bytes, file: str) -> CorruptError:
    """The error for a row that can not be true."""
    return CorruptError(what, advice=RESTORE, file=file, pointer=described(key))


def _precedes(key: bytes, other: bytes, reverse: bool) -> bool:
    return key > other if reverse else key < other
