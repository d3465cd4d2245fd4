"""Carry requests and answers between a client and an engine: msgpack, each with its length before.

A request is a map of `format`, `method` and `arguments`; an answer has `format` and `result` or
`error`. Errors travel by the name of their class with what a person needs. What carries the bytes
is the caller's business, so that another transport can take the place of the socket.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, date, datetime
from typing import Any

import msgpack
import numpy as np

from actors.intake.admission import GapError
from actors.intake.rows import RowsError
from actors.live import errors as live
from actors.store import errors as store
from core.counters import Counters
from core.errors import HeadraceError
from core.violations import Violation

FORMAT = 1
MESSAGE_BYTES_MAX = 64 << 20
_LENGTH = struct.Struct("<I")
_ARRAY = 1  # the extension type of an array of int64
_ERRORS: dict[str, type[HeadraceError]] = {
    kind.__name__: kind
    for kind in (
        *(live.BusyError, live.FullError, live.DownError, live.GoneError, live.RefusedError),
        *(live.FlowError, live.UnknownError, live.LiveError, store.NoSpaceError),
        *(store.TooLargeError, store.StoreError, GapError, RowsError),
    )
}


class WireError(HeadraceError):
    """Bytes that are no message, or one of another format."""


def send_message(connection: socket.socket, message: Mapping[str, Any]) -> None:
    """Write one message. Raises WireError if it is too large or cannot be written, OSError."""
    try:
        data = msgpack.packb(message, default=_packed)
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(f"the message cannot be written: {error}") from None
    if len(data) > MESSAGE_BYTES_MAX:
        raise WireError(
            f"the message has {len(data):,} bytes; at most {MESSAGE_BYTES_MAX:,} are carried",
            advice="Send fewer rows at a time",
        )
    connection.sendall(_LENGTH.pack(len(data)) + data)


def read_message(connection: socket.socket) -> dict[str, Any] | None:
    """The next message, None if the other side is gone. Raises WireError, OSError."""
    head = _read(connection, _LENGTH.size)
    if head is None:
        return None
    (size,) = _LENGTH.unpack(head)
    if size > MESSAGE_BYTES_MAX:
        raise WireError(f"a message of {size:,} bytes is announced; at most {MESSAGE_BYTES_MAX:,}")
    data = _read(connection, size)
    if data is None:
        return None
    try:
        message = msgpack.unpackb(data, ext_hook=_unpacked, strict_map_key=False)
        found = dict(message)
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise WireError(f"the message cannot be read: {error}") from None
    if found.get("format") != FORMAT:
        raise WireError(
            f"the message has format {found.get('format')!r}, expected {FORMAT}",
            advice="Let client and engine be of one release",
        )
    return found


def _read(connection: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = connection.recv(min(1 << 20, size - len(parts)))
        if not part:
            return None
        parts += part
    return bytes(parts)


def error_map(error: HeadraceError) -> dict[str, Any]:
    """An error as a map."""
    told: dict[str, Any] = {
        "kind": next((k.__name__ for k in type(error).__mro__ if k.__name__ in _ERRORS), ""),
        "message": error.message,
        "advice": error.advice,
        "file": error.file,
        "pointer": error.pointer,
    }
    if isinstance(error, live.BusyError):
        told["retry_after_ms"] = error.retry_after_ms
    if isinstance(error, live.FlowError):
        told["violations"] = [violation.to_json() for violation in error.violations]
    return told


def error_of(told: Mapping[str, Any]) -> HeadraceError:
    """The error that `error_map` wrote."""
    place = {"advice": told["advice"], "file": told["file"], "pointer": told["pointer"]}
    kind = _ERRORS.get(told["kind"], HeadraceError)
    if kind is live.BusyError:
        retry_ms = told["retry_after_ms"]
        return live.BusyError(told["message"], retry_after_ms=retry_ms, **place)
    if kind is live.FlowError:
        return live.FlowError([Violation(**v) for v in told["violations"]], file=told["file"])
    return kind(told["message"], **place)


def counters_map(counters: Counters) -> dict[str, Any]:
    """Counters as a map of numbers and arrays."""
    return {f.name: getattr(counters, f.name) for f in fields(counters)}


def _packed(value: object) -> object:
    if isinstance(value, np.ndarray) and value.dtype == np.int64:
        return msgpack.ExtType(_ARRAY, msgpack.packb((value.shape, value.tobytes())))
    if isinstance(value, np.integer | np.bool_):
        return value.item()
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError(f"{value!r} has no offset from UTC")
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be carried")


def _unpacked(code: int, data: bytes) -> object:
    if code != _ARRAY:
        raise ValueError(f"extension {code} is unknown")
    shape, content = msgpack.unpackb(data)
    return np.frombuffer(content, np.int64).reshape(shape).copy()
