"""Tests of rows and cursors as bytes."""

import pytest

from actors.relay.effects import UnreadableError
from actors.relay.outbox import Cursor
from actors.relay.rows import Row, decode_cursor, decode_row, encode_cursor, encode_row
from relaying import EFFECT


def test_rows_and_cursors_come_back() -> None:
    for row in (
        Row(EFFECT, "waiting", 3, 5, 7, "http_503", True, True),
        Row(None, "dead", reason="unreadable", raw=b"\xff\x00"),
    ):
        assert decode_row(encode_row(row)) == row
    assert decode_cursor(encode_cursor(Cursor(2**62, 9))) == Cursor(2**62, 9)


@pytest.mark.parametrize("data", [b"", b"\x91\x01", b"\x93\x02\x01\x01", b"\x93\x01\xff\x01"])
def test_other_bytes_are_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        decode_row(data)
    with pytest.raises(UnreadableError):
        decode_cursor(data)


def test_a_row_holds_nothing_personal() -> None:
    assert b"example.com" not in encode_row(Row(EFFECT, "sending"))
