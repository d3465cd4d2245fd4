"""Checks that frames survive as bytes, and that whatever is no frame is refused as one."""

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgpack
import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.intake.frame import Frame, FrameError, Sparse, decode, encode
from intake_frames import FRAMES, NOW_MS, frame_of, told

SAMPLE = [
    {"customer": "a", "event": "order", "message_id": "1", "properties": {"sku": "x", "total": 2}},
    {"customer": "ß", "set": {"plan": "gold", "vip": None, "score": 0.5}, "tags": {"add": ["t"]}},
    {"customer": "a", "event": "visit", "message_id": "2", "properties": {"mobile": True}},
    {"customer": "a", "set": {"plan": None}, "zone": "Asia/Tokyo", "created": NOW_MS},
]


@given(FRAMES)
def test_a_frame_comes_back(frame: Frame) -> None:
    again = decode(encode(frame))
    assert told(again) == told(frame)
    assert (again.source, again.sequence) == (frame.source, frame.sequence)
    assert encode(again) == encode(frame)


def test_the_arrays_of_a_decoded_frame_lie_in_its_bytes() -> None:
    data = encode(frame_of(SAMPLE, source=b"x", sequence=7))
    frame = decode(data)
    assert (frame.source, frame.sequence) == (b"x", 7)
    inside = np.frombuffer(data, np.uint8)
    for array in (frame.id_offsets, frame.hash, frame.message, frame.properties["sku"].values):
        assert np.shares_memory(array, inside)
        assert not array.flags.writeable
        assert array.flags.aligned


def test_the_bytes_are_msgpack_with_a_format_number() -> None:
    envelope = msgpack.unpackb(encode(frame_of(SAMPLE)))
    assert list(envelope) == ["headrace_frame", "sum", "head", "pad", "data"]
    assert envelope["headrace_frame"] == 1
    assert envelope["sum"] == xxhash.xxh3_64_intdigest(envelope["head"] + envelope["data"])


@given(st.data())
@settings(max_examples=300)
def test_a_flipped_bit_is_noticed(data: st.DataObject) -> None:
    frame = frame_of(SAMPLE)
    written = encode(frame)
    at = data.draw(st.integers(0, 8 * len(written) - 1))
    damaged = bytearray(written)
    damaged[at // 8] ^= 1 << at % 8
    try:
        again = decode(bytes(damaged))
    except FrameError:
        return
    assert told(again) == told(frame), "only what fills a gap may change without notice"


def test_every_truncation_is_noticed() -> None:
    written = encode(frame_of(SAMPLE))
    for size in range(len(written)):
        with pytest.raises(FrameError):
            decode(written[:size])
    with pytest.raises(FrameError):
        decode(written + b"\0")


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(FrameError):
        decode(data)


def test_another_type_than_bytes_is_refused() -> None:
    with pytest.raises(FrameError, match="not str"):
        decode("text")  # type: ignore[arg-type]


def _sealed(head: Any, data: bytes, version: int = 1) -> bytes:
    packed = head if isinstance(head, bytes) else msgpack.packb(head)
    checksum = xxhash.xxh3_64_intdigest(packed + data)
    fields = {"headrace_frame": version, "sum": checksum, "head": packed, "pad": b"", "data": data}
    return bytes(msgpack.packb(fields))


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 2**64 - 1)
    | st.text(max_size=5)
    | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=8),
    max_leaves=20,
)


@given(JUNK, st.binary(max_size=100))
def test_a_frame_with_a_true_checksum_and_a_wrong_head_is_refused(head: Any, data: bytes) -> None:
    with pytest.raises(FrameError):
        decode(_sealed(head, data))


@given(st.data())
@settings(max_examples=400)
def test_a_changed_head_with_a_true_checksum_does_no_harm(data: st.DataObject) -> None:
    envelope = msgpack.unpackb(encode(frame_of(SAMPLE)))
    head = msgpack.unpackb(envelope["head"])
    holder: Any = head
    while True:
        place = data.draw(st.integers(0, len(holder) - 1))
        if not isinstance(holder[place], list) or not holder[place] or data.draw(st.booleans()):
            break
        holder = holder[place]
    holder[place] = data.draw(JUNK)
    _refused_or_sound(_sealed(head, envelope["data"]))


@given(st.data())
@settings(max_examples=400)
def test_changed_columns_with_a_true_checksum_do_no_harm(data: st.DataObject) -> None:
    envelope = msgpack.unpackb(encode(frame_of(SAMPLE)))
    words = bytearray(envelope["data"])
    at = data.draw(st.integers(0, len(words) // 4 - 1))
    value = data.draw(st.sampled_from([-(2**31), -2, -1, 0, 1, 2, 3, 4, 99, 2**31 - 1]))
    struct.pack_into("<i", words, 4 * at, value)
    _refused_or_sound(_sealed(envelope["head"], bytes(words)))


def _refused_or_sound(data: bytes) -> None:
    """A decoded frame can be read at every place that its numbers name."""
    try:
        frame = decode(data)
    except FrameError:
        return
    told(frame)
    for _, _, part in frame.parts():
        assert part.rows.tolist() == sorted(set(part.rows.tolist()))


def test_another_version_is_refused() -> None:
    envelope = msgpack.unpackb(encode(frame_of(SAMPLE)))
    with pytest.raises(FrameError, match="format 2, expected 1"):
        decode(_sealed(envelope["head"], envelope["data"], version=2))


def _part(frame: Frame, **changes: Any) -> Frame:
    return replace(frame, attributes={"plan": replace(frame.attributes["plan"], **changes)})


I4 = np.int32
WRONG: list[tuple[str, Callable[[Frame], Frame]]] = [
    ("customer of a frame is int64", lambda f: replace(f, customer=f.customer.astype(np.int64))),
    ("expected <?int64.4|occurred_ms", lambda f: replace(f, occurred_ms=f.occurred_ms[:3])),
    ("belongs to no customer", lambda f: replace(f, customer=f.customer + I4(1))),
    ("belongs to no customer", lambda f: replace(f, customer=f.customer - I4(1))),
    ("has no event of it", lambda f: replace(f, event_names=["order"])),
    ("has no event of it", lambda f: replace(f, type=f.type - I4(1))),
    ("empty, too long, or repeat", lambda f: replace(f, event_names=["order", "order"])),
    ("empty, too long, or repeat", lambda f: replace(f, event_names=["order", ""])),
    ("not those of its ids", lambda f: replace(f, id_hash=f.id_hash + np.uint64(1))),
    ("do not fill", lambda f: replace(f, id_offsets=f.id_offsets + 1)),
    ("1 to 511 bytes", lambda f: replace(f, id_offsets=np.array([0, 0, 3]))),
    ("1 to 511 bytes", lambda f: replace(f, id_offsets=np.array([0, 4, 3]))),
    ("inside a character", lambda f: replace(f, id_offsets=np.array([0, 2, 3]))),
    ("not UTF-8", lambda f: replace(f, id_data=np.array([97, 97, 200], np.uint8))),
    ("sequence", lambda f: replace(f, source=b"", sequence=4)),
    ("sequence", lambda f: replace(f, source=b"x", sequence=-1)),
    ("at most 64 bytes", lambda f: replace(f, source=b"x" * 65)),
    ("the year 1", lambda f: replace(f, occurred_ms=f.occurred_ms + 1)),
    ("before 1970", lambda f: replace(f, received_ms=f.received_ms - 1)),
    ("do not ascend", lambda f: _part(f, rows=np.array([3, 1], I4))),
    ("do not ascend", lambda f: _part(f, rows=np.array([1, 1], I4))),
    ("do not ascend", lambda f: _part(f, rows=np.array([-1, 1], I4))),
    ("do not ascend", lambda f: _part(f, rows=np.array([1, 4], I4))),
    ("rows of the other kind", lambda f: _part(f, rows=np.array([0, 1], I4))),
    ("beyond its dictionary", lambda f: _part(f, values=np.array([0, 1], I4))),
    ("beyond its dictionary", lambda f: _part(f, values=np.array([0, -2], I4))),
    ("repeats itself", lambda f: _part(f, dictionary=["a", "a"])),
    ("lacks a dictionary", lambda f: _part(f, dictionary=None)),
    ("another type", lambda f: _part(f, values=np.array([0.5, 1.0]))),
    ("another type", lambda f: _part(f, values=np.array([0], I4))),
    ("too long a", lambda f: replace(f, tags={"x" * 257: f.tags["t"]})),
    (
        "truth value that is none",
        lambda f: replace(f, tags={"t": Sparse("bool", np.array([1], I4), np.array([-1], "i1"))}),
    ),
    ("is of kind string", lambda f: replace(f, tags={"t": f.attributes["plan"]})),
]


@pytest.mark.parametrize(("message", "change"), WRONG)
def test_what_contradicts_itself_is_refused(message: str, change: Callable[[Frame], Frame]) -> None:
    frame = frame_of(SAMPLE)
    frame.check()
    with pytest.raises(FrameError, match=message):
        change(frame).check()


def test_half_a_character_cannot_be_written() -> None:
    frame = replace(frame_of(SAMPLE), event_names=["order", "\ud800"])
    with pytest.raises(FrameError, match="cannot be written"):
        encode(frame)


@given(FRAMES, st.data())
def test_rows_taken_say_what_they_said(frame: Frame, data: st.DataObject) -> None:
    rows = sorted(
        data.draw(st.sets(st.integers(0, frame.rows - 1)) if frame.rows else st.just(set()))
    )
    part = frame.take(np.array(rows, np.int64))
    part.check()
    said = told(frame)
    assert told(part) == [said[row] for row in rows]
    assert part.customers == len({said[row]["customer"] for row in rows})
