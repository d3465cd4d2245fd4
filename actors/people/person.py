"""Write one customer's personal values as a record, and check them; no error repeats a value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgpack

from actors.store.errors import CorruptError
from actors.store.frames import RECORD_BYTES_MAX, RESTORE
from core.errors import HeadraceError

FORMAT = 1
ID_BYTES_MAX = 511
NAME_BYTES_MAX = 256
NAMES_MAX = 256
TEXT_BYTES_MAX = 64 << 10
_INT_MIN, _INT_END = -(2**63), 2**63

Value = str | int | float | bool


class PersonError(HeadraceError):
    """A personal value that cannot be kept. Its text names the attribute, never the value."""


@dataclass(frozen=True, slots=True)
class Person:
    """A customer's id (UTF-8) and personal values by attribute; shows neither in its repr.

    `erasures` is how many erasures the ledger had when it was written: those did not mean it.
    """

    id: bytes = field(repr=False)
    values: Mapping[str, Value] = field(repr=False)
    erasures: int = 0


def check_id(id: bytes) -> None:
    """Raise PersonError unless it is 1 to 511 bytes of UTF-8."""
    try:
        id.decode()
    except UnicodeDecodeError:
        raise PersonError("an id is not UTF-8 text", advice="Send ids as UTF-8") from None
    if not 1 <= len(id) <= ID_BYTES_MAX:
        raise PersonError(f"an id has {len(id):,} bytes; expected 1 to {ID_BYTES_MAX}")


def merged(person: Person, values: Mapping[str, Value | None], erasures: int) -> Person:
    """The person with these values put over the old ones; None removes one. Raises PersonError."""
    kept = dict(person.values)
    for name, value in values.items():
        if value is None:
            kept.pop(name, None)
        else:
            _check(name, value)
            kept[name] = value
    if len(kept) > NAMES_MAX:
        raise PersonError(f"a customer has {len(kept)} personal values; at most {NAMES_MAX}")
    return Person(person.id, kept, erasures)


def _check(name: str, value: object) -> None:
    try:
        if not 1 <= len(name.encode()) <= NAME_BYTES_MAX:
            raise PersonError(f"an attribute's name has more than {NAME_BYTES_MAX} bytes, or none")
        length = len(value.encode()) if isinstance(value, str) else 0
    except UnicodeEncodeError:
        raise PersonError("a name or value holds half a character") from None
    if length > TEXT_BYTES_MAX:
        raise PersonError(f"attribute {name!r} has {length:,} bytes; at most {TEXT_BYTES_MAX:,}")
    if type(value) not in (str, int, float, bool):
        kind = type(value).__name__
        raise PersonError(f"attribute {name!r} is a {kind}; expected text, a number or true/false")
    if type(value) is int and not _INT_MIN <= value < _INT_END:
        raise PersonError(f"attribute {name!r} is a number beyond 64 bits")
    if type(value) is float and not math.isfinite(value):
        raise PersonError(f"attribute {name!r} is no finite number")


def encode_person(person: Person) -> bytes:
    """The record's payload. Raises PersonError if it exceeds 1 MiB."""
    values = dict(sorted(person.values.items()))
    data: bytes = msgpack.packb((FORMAT, person.erasures, person.id, values))
    if len(data) > RECORD_BYTES_MAX:
        raise PersonError(
            f"a customer's personal values take {len(data):,} bytes; at most {RECORD_BYTES_MAX:,}"
        )
    return data


def decode_person(data: bytes, file: str) -> Person:
    """The person that `encode_person` wrote. Raises CorruptError, which names `file`."""
    try:
        parts = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException, RecursionError):
        parts = None
    match parts:
        case [int(version), int(erasures), bytes(id), dict(values)] if version == FORMAT:
            return Person(id, values, erasures)
        case _:
            raise CorruptError("a person's record cannot be read", advice=RESTORE, file=file)
