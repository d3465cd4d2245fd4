"""Give every event an identity: 64 bits that a re-import or a wider export finds again.

Responses of the dry run are drawn by the identity of the event that began an entry, so it must not
depend on row numbers, on the order of columns, on dictionary codes, or on how a file was cut up.

An event with an id of its own is `words(text(event), text(id))`. Another is `words(text(event),
time_ms, sum of property words, k)`, where k counts the rows of the same customer before it that
have no id either and are the same in all of this, so that true repeats differ. A property word is
`words(text(name), tag, payload)`; missing properties add nothing, so a column that appears in a
later export changes no identity, and the sum (modulo 2**64) makes the order of columns
irrelevant. An integer and a float of equal value are one number: whether a column was read as one
or the other depends on its other rows.

`text` is `core.hashing.hash_bytes`, XXH64 with seed 0 of the UTF-8 bytes, `words` is XXH64 with
seed 0 of the words, each as eight bytes, least significant first. The vectorised twin is
`actors.event_identity`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from core.audience import Kind
from core.hashing import hash_bytes

TAG_BOOL = 1
TAG_INTEGER = 2
TAG_FLOAT = 3
TAG_STRING = 4
TAG_DATETIME = 5
TAG_DATE = 6

INTEGER_TAGS = {"bool": TAG_BOOL, "int64": TAG_INTEGER, "datetime": TAG_DATETIME, "date": TAG_DATE}
MASK = 2**64 - 1
FLOAT_EXACT_MAX = 2**53  # floats beyond it are not told from integers near them


def text(value: str) -> int:
    """The 64-bit word of a string."""
    return hash_bytes(value.encode())


def words(*parts: int) -> int:
    """The 64-bit word of several; each part is taken modulo 2**64."""
    return hash_bytes(struct.pack(f"<{len(parts)}Q", *(p & MASK for p in parts)))


def property_word(name: str, kind: Kind, value: bool | int | float | str | None) -> int:
    """The word that one property adds; 0 where it is missing.

    `value` is what `Column.value` gives: datetimes are ms UTC, dates days since 1970-01-01.
    """
    if value is None:
        return 0
    if kind == "string":
        return words(text(name), TAG_STRING, text(str(value)))
    if kind == "float64":
        number = float(value)
        if number.is_integer() and abs(number) <= FLOAT_EXACT_MAX:
            return words(text(name), TAG_INTEGER, int(number))
        return words(text(name), TAG_FLOAT, struct.unpack("<Q", struct.pack("<d", number))[0])
    return words(text(name), INTEGER_TAGS[kind], int(value))


def event_word(
    event: str,
    time_ms: int,
    properties: Mapping[str, tuple[Kind, bool | int | float | str | None]],
    repeat: int = 0,
) -> int:
    """The identity of an event without an id of its own, the `repeat`-th of its like (from 0)."""
    total = sum(property_word(name, kind, value) for name, (kind, value) in properties.items())
    return words(text(event), time_ms, total, repeat)


def event_word_of_id(event: str, event_id: str) -> int:
    """The identity of an event that carries an id."""
    return words(text(event), text(event_id))
