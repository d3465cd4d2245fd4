"""Checks that a record is told from one that was damaged, moved, or never one."""

import pytest

from actors.store.errors import CorruptError, TooLargeError
from actors.store.frames import HEADER_BYTES, RECORD_BYTES_MAX, Kind, pack, printable, unpack

KEY = b"key"
RECORD = pack(Kind.JOURNAL, KEY, 7, b"payload")


def test_what_was_packed_is_unpacked() -> None:
    assert unpack(Kind.JOURNAL, KEY, RECORD, "f") == (7, b"payload")
    assert len(RECORD) == HEADER_BYTES + 7


def test_every_flipped_bit_is_noticed() -> None:
    for place in range(len(RECORD) * 8):
        damaged = bytearray(RECORD)
        damaged[place // 8] ^= 1 << place % 8
        with pytest.raises(CorruptError):
            unpack(Kind.JOURNAL, KEY, bytes(damaged), "f")


@pytest.mark.parametrize(
    ("kind", "key", "record", "message"),
    [
        (Kind.JOURNAL, b"kez", RECORD, "does not match its checksum"),
        (Kind.JOURNAL, b"longer", RECORD, "is not as long as its header says"),
        (Kind.OUTBOX, KEY, RECORD, "is of kind 2 instead of 3"),
        (Kind.JOURNAL, KEY, RECORD + b"x", "is not as long as its header says"),
        (Kind.JOURNAL, KEY, RECORD[:20], "has 20 bytes, less than a header"),
        (Kind.JOURNAL, KEY, b"HReC" + RECORD[4:], "begins with b'HReC' instead of b'HRec'"),
        (Kind.JOURNAL, KEY, b"HRec\2" + RECORD[5:], "has format version 2 instead of 1"),
    ],
)
def test_the_error_says_where_and_what(kind: Kind, key: bytes, record: bytes, message: str) -> None:
    with pytest.raises(CorruptError) as caught:
        unpack(kind, key, record, "f/data.mdb")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"f/data.mdb, {kind.name.lower()} record {key.decode()}: ")
    assert "restore it from its last backup" in caught.value.advice


def test_caps() -> None:
    assert len(pack(Kind.JOURNAL, KEY, 1, bytes(RECORD_BYTES_MAX))) == RECORD_BYTES_MAX + 28
    with pytest.raises(TooLargeError, match="1,048,577 bytes; at most 1,048,576"):
        pack(Kind.JOURNAL, KEY, 1, bytes(RECORD_BYTES_MAX + 1))
    with pytest.raises(TooLargeError, match="512 bytes; expected 1 to 511"):
        pack(Kind.CURSOR, bytes(512), 1, b"")
    with pytest.raises(TooLargeError, match="0 bytes"):
        pack(Kind.CURSOR, b"", 1, b"")


def test_keys_for_people() -> None:
    assert printable(b"shop") == "shop"
    assert printable(b"\x00\x01") == "0001"
    assert printable(b"\xff") == "ff"
