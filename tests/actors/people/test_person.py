"""Tests of one customer's record as bytes."""

from __future__ import annotations

import msgpack
import pytest

from actors.people.person import Person, decode_person, encode_person
from actors.store.errors import CorruptError

PERSON = Person(b"ann", {"name": "Ann", "age": 41, "score": 0.5, "vip": True}, 7)


def test_what_was_encoded_is_decoded_in_one_way_only() -> None:
    data = encode_person(PERSON)
    assert decode_person(data, "f") == PERSON
    turned = Person(PERSON.id, dict(reversed(PERSON.values.items())), 7)
    assert encode_person(turned) == data
    assert "Ann" not in repr(PERSON)
    assert "ann" not in repr(PERSON)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x94",
        msgpack.packb([2, 0, b"a", {}]),
        msgpack.packb([1, 0, "a", {}]),
        msgpack.packb([1, 0, b"a"]),
        msgpack.packb({"a": 1}),
    ],
)
def test_anything_else_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptError, match=r"^f: a person's record"):
        decode_person(data, "f")
