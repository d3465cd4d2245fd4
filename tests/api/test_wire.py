"""Tests of `api.wire`: messages, arrays and errors arrive as they were sent."""

import socket
import struct
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import msgpack
import numpy as np
import pytest

from actors.live.errors import BusyError, FlowError, FullError, GoneError, LiveError, UnknownError
from actors.store.errors import CorruptError, NoSpaceError, StoreError
from api import wire
from api.wire import FORMAT, WireError, error_map, error_of, read_message, send_message
from core.errors import HeadraceError
from core.violations import violation

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def carried(pair: Pair, message: dict[str, Any]) -> Any:
    sender = threading.Thread(target=send_message, args=(pair[0], message))
    sender.start()
    found = read_message(pair[1])
    sender.join()
    return found


def test_what_is_sent_arrives(pair: Pair) -> None:
    message = {"format": FORMAT, "rows": [{"a": "ä", "n": None, "f": 1.5}], "b": b"\0", "m": {1: 2}}
    assert carried(pair, message) == message
    assert carried(pair, {**message, "big": "x" * 5_000_000})["big"] == "x" * 5_000_000


def test_arrays_and_times_arrive(pair: Pair) -> None:
    east = timezone(timedelta(hours=2))
    found = carried(
        pair,
        {
            "format": FORMAT,
            "array": np.arange(6).reshape(2, 3),
            "empty": np.zeros((0, 3), np.int64),
            "numbers": [np.int32(5), np.float64(0.5), np.bool_(True)],
            "at": datetime(2026, 4, 1, 12, tzinfo=east),
            "day": date(2026, 4, 1),
        },
    )
    assert found["array"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["empty"].shape == (0, 3)
    assert found["numbers"] == [5, 0.5, True]
    assert found["at"] == datetime(2026, 4, 1, 10, tzinfo=UTC).isoformat()
    assert found["day"] == "2026-04-01"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "object cannot be carried"),
        (datetime(2026, 4, 1), "has no offset from UTC"),
        (2**70, "cannot be written"),
        ("\ud800", "cannot be written"),
    ],
)
def test_what_cannot_be_sent_is_told(pair: Pair, value: object, message: str) -> None:
    with pytest.raises(WireError, match=message):
        send_message(pair[0], {"format": FORMAT, "x": value})


def test_too_large_a_message_is_refused_on_both_sides(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MESSAGE_BYTES_MAX", 100)
    with pytest.raises(WireError, match="at most 100 are carried"):
        send_message(pair[0], {"format": FORMAT, "x": "y" * 100})
    pair[0].sendall(struct.pack("<I", 101))
    with pytest.raises(WireError, match="a message of 101 bytes is announced"):
        read_message(pair[1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xc1", "cannot be read"),
        (b"\x05", "cannot be read"),
        (msgpack.packb([1]), "cannot be read"),
        (msgpack.packb({"format": 2}), "format 2, expected 1"),
        (msgpack.packb({}), "format None"),
        (msgpack.packb({"a": msgpack.ExtType(9, b"")}), "extension 9 is unknown"),
        (msgpack.packb({"a": msgpack.ExtType(1, b"\x05")}), "cannot be read"),
    ],
)
def test_what_is_no_message_is_told(pair: Pair, data: bytes, message: str) -> None:
    pair[0].sendall(struct.pack("<I", len(data)) + data)
    with pytest.raises(WireError, match=message):
        read_message(pair[1])


@pytest.mark.parametrize("data", [b"", b"\x05", struct.pack("<I", 9) + b"abc"])
def test_a_connection_that_ends_is_no_message(pair: Pair, data: bytes) -> None:
    pair[0].sendall(data)
    pair[0].close()
    assert read_message(pair[1]) is None


@pytest.mark.parametrize("kind", [FullError, GoneError, UnknownError, NoSpaceError, HeadraceError])
def test_an_error_arrives_as_what_it_was(kind: type[HeadraceError]) -> None:
    error = kind("what", advice="do", file="f", pointer="p")
    found = error_of(msgpack.unpackb(msgpack.packb(error_map(error))))
    assert type(found) is kind
    assert str(found) == str(error) == "f, p: what. do"


def test_errors_keep_what_is_more_than_words() -> None:
    busy = error_of(error_map(BusyError("full", retry_after_ms=70)))
    assert isinstance(busy, BusyError)
    assert busy.retry_after_ms == 70
    wrong = [violation("no-trigger", ("nodes",), "nobody enters", "Add a trigger.", 4)]
    flow = error_of(error_map(FlowError(wrong, file="f.yaml")))
    assert isinstance(flow, FlowError)
    assert flow.violations == wrong
    assert str(flow) == "f.yaml, line 4, /nodes: nobody enters. Add a trigger"


def test_a_kind_that_is_not_known_arrives_as_the_next_above() -> None:
    assert type(error_of(error_map(CorruptError("torn")))) is StoreError

    class StrangeError(LiveError):
        pass

    assert type(error_of(error_map(StrangeError("odd")))) is LiveError
