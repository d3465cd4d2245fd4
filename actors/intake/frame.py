"""Carry a batch of rows as columns: the frame that travels from a gateway to a partition.

A row is an event of a customer or a change of a customer's record. A frame as bytes is a msgpack
map: `headrace_frame` (the format, 1), `sum` (XXH3-64 of the next two), `head` (names, counts and
dictionaries, msgpack), `pad`, and `data`: the columns one after the other, each at a multiple of
eight bytes. `decode` trusts nothing: whoever holds a decoded frame may use its numbers as places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from actors.intake.tagging import TAG_CHARS_MAX
from core import limits
from core.audience import INT64_MIN, Kind
from core.errors import HeadraceError
from core.violations import quoted
from ext.hashing import hash_strings
from ext.idmap import take_strings

FORMAT = 1
SOURCE_BYTES_MAX = 64
COLUMNS_MAX = 4096  # of one frame
ROWS_MAX = 1 << 24
UPSERT = -1  # in `Frame.type`: the row changes the customer's record
INSTANT_MIN_MS = -62_135_596_800_000  # 0001-01-01, the first that ISO text can name
INSTANT_MAX_MS = 253_402_300_799_999  # the end of 9999
NOT_STATED_MS = INT64_MIN  # in `Frame.occurred_ms`: when the row arrives

Family = Literal["properties", "attributes", "tags", "groups", "zone", "created_ms"]
DTYPES: dict[Kind, np.dtype[Any]] = {
    "bool": np.dtype("i1"),
    "int64": np.dtype("<i8"),
    "datetime": np.dtype("<i8"),
    "date": np.dtype("<i8"),
    "float64": np.dtype("<f8"),
    "string": np.dtype("<i4"),
}
_I4, _I8, _U8 = np.dtype("<i4"), np.dtype("<i8"), np.dtype("<u8")
_BYTE = np.dtype("u1")
_FAMILY_KIND: dict[Family, Kind] = {
    "tags": "bool",
    "groups": "bool",
    "zone": "string",
    "created_ms": "datetime",
}


class FrameError(HeadraceError):
    """Bytes that are no frame, or a frame whose parts contradict each other."""


@dataclass(slots=True, eq=False)
class Sparse:
    """Values of some rows of a frame.

    `rows` int32[j], strictly ascending; `values` [j] with the type and the missing value of
    `core.audience.Column` of this `kind`; `dictionary` the distinct texts of a string, else None.
    A missing value says that the row sets it to null.
    """

    kind: Kind
    rows: NDArray[np.int32]
    values: NDArray[Any]
    dictionary: list[str] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: NDArray[np.int32]) -> Sparse | None:
        """The values of rows that go on, None for none; `places` int32[n]: new row, or -1."""
        moved = places[self.rows]
        kept = moved >= 0
        if not kept.any():
            return None
        if kept.all():
            return Sparse(self.kind, moved, self.values, self.dictionary)
        values = self.values[kept]
        if self.dictionary is None:
            return Sparse(self.kind, moved[kept], values)
        used = np.zeros(len(self.dictionary) + 1, np.bool_)
        used[values] = True  # -1, missing, is the last
        codes = np.cumsum(used, dtype=np.int32) - 1
        codes[-1] = -1
        texts = [self.dictionary[code] for code in np.flatnonzero(used[:-1])]
        return Sparse(self.kind, moved[kept], codes[values], texts)


@dataclass(slots=True, eq=False)
class Frame:
    """n rows in order of arrival, of k distinct customers; arrays of a decoded one are read-only.

    `source`: who sent it (at most 64 bytes), b"" where nobody says; `sequence`: the number that the
    source gave it, from 1 without a gap, 0 where it is not numbered. `id_offsets` int64[k + 1] and
    `id_data` uint8[]: the ids' UTF-8 bytes, 1 to 511 each; `id_hash` uint64[k]: XXH64 of those.
    `customer` int32[n] into the k; `type` int32[n] into `event_names`, -1 for a change of the
    customer's record. `occurred_ms` int64[n], NOT_STATED_MS for "when it arrived"; `received_ms`
    int64[n], 0 where the partition is to say it. `message` uint64[n, 2]: XXH3-128 of the message's
    id, low word first, zeros where the row has none and is never a duplicate. `hash` uint64[n]: the
    event's identity (`core.identity`), 0 for a change.

    `tag` names the requests that brought it; it travels, and no journal has it.

    `properties` belong to events, all other columns to changes. A tag or group is 1 (put in) or 0
    (taken out). Personal attributes never stand in a frame.
    """

    id_offsets: NDArray[np.int64]
    id_data: NDArray[np.uint8]
    id_hash: NDArray[np.uint64]
    customer: NDArray[np.int32]
    type: NDArray[np.int32]
    event_names: list[str]
    occurred_ms: NDArray[np.int64]
    received_ms: NDArray[np.int64]
    message: NDArray[np.uint64]
    hash: NDArray[np.uint64]
    source: bytes = b""
    sequence: int = 0
    properties: dict[str, Sparse] = field(default_factory=dict)
    attributes: dict[str, Sparse] = field(default_factory=dict)
    tags: dict[str, Sparse] = field(default_factory=dict)
    groups: dict[str, Sparse] = field(default_factory=dict)
    zone: Sparse | None = None
    created_ms: Sparse | None = None
    tag: str = ""

    @property
    def rows(self) -> int:
        """The number of rows, n."""
        return len(self.customer)

    @property
    def customers(self) -> int:
        """The number of distinct customers, k."""
        return len(self.id_hash)

    def id_of(self, customer: int) -> str:
        """The id of customer 0 <= `customer` < k."""
        start, end = self.id_offsets[customer : customer + 2]
        return self.id_data[start:end].tobytes().decode()

    def take_ids(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Offsets int64[m + 1] and bytes of the ids of customers `places`, int64[m] ascending."""
        if len(places) == self.customers:
            return self.id_offsets, self.id_data
        return take_strings(self.id_offsets, self.id_data, places)

    def parts(self) -> Iterator[tuple[Family, str, Sparse]]:
        """Every sparse column with its family and name, in the order in which it is written."""
        for name, part in self.properties.items():
            yield "properties", name, part
        for name, part in self.attributes.items():
            yield "attributes", name, part
        for name, part in self.tags.items():
            yield "tags", name, part
        for name, part in self.groups.items():
            yield "groups", name, part
        if self.zone is not None:
            yield "zone", "", self.zone
        if self.created_ms is not None:
            yield "created_ms", "", self.created_ms

    def put(self, family: Family, name: str, part: Sparse) -> None:
        """Add a sparse column; the name of a zone or a time of creation is ""."""
        if family == "zone":
            self.zone = part
        elif family == "created_ms":
            self.created_ms = part
        else:
            columns: dict[str, Sparse] = getattr(self, family)
            columns[name] = part

    def take(self, rows: NDArray[np.int64]) -> Frame:
        """A frame of some rows, int64[m], strictly ascending, with only their customers.

        Event names stay as they are, so that `type` keeps its meaning.
        """
        places = np.full(self.rows, -1, np.int32)
        places[rows] = np.arange(len(rows), dtype=np.int32)
        customer = self.customer[rows]
        used = np.zeros(self.customers, np.bool_)
        used[customer] = True
        numbers = np.cumsum(used, dtype=np.int32) - 1
        kept = np.flatnonzero(used)
        offsets, data = self.take_ids(kept)
        taken = Frame(
            id_offsets=offsets,
            id_data=data,
            id_hash=self.id_hash[kept],
            customer=numbers[customer],
            type=self.type[rows],
            event_names=self.event_names,
            occurred_ms=self.occurred_ms[rows],
            received_ms=self.received_ms[rows],
            message=self.message[rows],
            hash=self.hash[rows],
            source=self.source,
            sequence=self.sequence,
            tag=self.tag,
        )
        for family, name, part in self.parts():
            if (moved := part.take(places)) is not None:
                taken.put(family, name, moved)
        return taken

    def check(self) -> None:
        """Raise FrameError unless everything said of a frame holds."""
        _check_shapes(self)
        _check_customers(self)
        _check_rows(self)
        if sum(1 for _ in self.parts()) > COLUMNS_MAX:
            raise FrameError(f"a frame has at most {COLUMNS_MAX:,} columns")
        for family, name, part in self.parts():
            _check_part(self, family, name, part)


def encode(frame: Frame, *, tagged: bool = False) -> bytes:
    """The frame as bytes, with its tag if `tagged`; FrameError if it could not be decoded again."""
    _check_shapes(frame)
    parts = list(frame.parts())
    blocks = [array for _, _, array in _main_arrays(frame)]
    for _, _, part in parts:
        blocks += (part.rows, part.values)
    head = _Head(
        source=frame.source,
        sequence=frame.sequence,
        rows=frame.rows,
        customers=frame.customers,
        id_bytes=len(frame.id_data),
        event_names=frame.event_names,
        parts=[_Part(f, n, p.kind, len(p.rows), p.dictionary) for f, n, p in parts],
    )
    if tagged and frame.tag:
        head = _TaggedHead(**msgspec.structs.asdict(head), tag=frame.tag)
    try:
        packed = _ENCODER.encode(head)
    except (UnicodeError, OverflowError, TypeError, ValueError, RecursionError) as error:
        raise FrameError(f"the names in a frame cannot be written: {error}") from None
    written: list[bytes | memoryview] = []
    data_bytes = 0
    for block in blocks:
        raw = np.ascontiguousarray(block).data
        gap = -raw.nbytes % 8
        written += (raw, bytes(gap))
        data_bytes += raw.nbytes + gap
    pad = bytes(-(_FIXED_BYTES + len(packed)) % 8)
    checksum = _sum(packed, *written)
    return b"".join(
        (
            *(b"\x85", _key("headrace_frame"), bytes((FORMAT,))),
            *(_key("sum"), b"\xcf", checksum.to_bytes(8, "big")),
            *(_key("head"), b"\xc6", len(packed).to_bytes(4, "big"), packed),
            *(_key("pad"), b"\xc4", bytes((len(pad),)), pad),
            *(_key("data"), b"\xc6", data_bytes.to_bytes(4, "big"), *written),
        )
    )


def decode(data: bytes) -> Frame:
    """The frame that `encode` wrote; its arrays lie in `data` where that is aligned.

    Raises FrameError for anything else.
    """
    envelope = _envelope(data)
    try:
        head = _HEAD.decode(envelope.head)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"the head of a frame cannot be read: {error}") from None
    cursor = _Cursor(envelope.data)
    arrays = {name: cursor.next(dtype, count) for name, dtype, count in _main_sizes(head)}
    frame = Frame(
        id_offsets=arrays["id_offsets"],
        id_data=arrays["id_data"],
        id_hash=arrays["id_hash"],
        customer=arrays["customer"],
        type=arrays["type"],
        event_names=head.event_names,
        occurred_ms=arrays["occurred_ms"],
        received_ms=arrays["received_ms"],
        message=arrays["message"].reshape(-1, 2),
        hash=arrays["hash"],
        source=head.source,
        sequence=head.sequence,
        tag=head.tag,
    )
    seen: set[tuple[Family, str]] = set()
    for part in head.parts:
        if (part.family, part.name) in seen:
            raise FrameError(f"a frame has the column {part.family} {quoted(part.name)} twice")
        seen.add((part.family, part.name))
        rows = cursor.next(_I4, part.rows)
        values = cursor.next(DTYPES[part.kind], part.rows)
        frame.put(part.family, part.name, Sparse(part.kind, rows, values, part.dictionary))
    cursor.end()
    frame.check()
    return frame


# As bytes


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    headrace_frame: int
    sum: int
    head: memoryview
    pad: memoryview
    data: memoryview


_Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class _Part(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    family: Family
    name: str
    kind: Kind
    rows: _Count
    dictionary: list[str] | None


class _Head(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    source: bytes
    sequence: int
    rows: _Count
    customers: _Count
    id_bytes: _Count
    event_names: list[str]
    parts: list[_Part]


class _TaggedHead(_Head, array_like=True, forbid_unknown_fields=True):
    tag: Annotated[str, msgspec.Meta(max_length=TAG_CHARS_MAX)] = ""


_ENCODER = msgspec.msgpack.Encoder()
_ENVELOPE = msgspec.msgpack.Decoder(_Envelope)
_HEAD = msgspec.msgpack.Decoder(_TaggedHead)


def _key(name: str) -> bytes:
    return bytes((0xA0 | len(name),)) + name.encode()


# Everything before the bytes of `data` but the head and the pad themselves.
_FIXED_BYTES = 1 + sum(len(_key(key)) for key in ("headrace_frame", "sum", "head", "pad", "data"))
_FIXED_BYTES += 1 + 9 + 5 + 2 + 5


def _envelope(data: bytes) -> _Envelope:
    if not isinstance(data, bytes):
        raise FrameError(f"a frame is bytes, not {type(data).__name__}")
    try:
        envelope = _ENVELOPE.decode(data)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"these {len(data):,} bytes are no frame: {error}") from None
    if envelope.headrace_frame != FORMAT:
        raise FrameError(
            f"the frame has format {envelope.headrace_frame}, expected {FORMAT}",
            advice="Let the gateway and the partition run one release",
        )
    if _sum(envelope.head, envelope.data) != envelope.sum:
        raise FrameError("a frame does not match its checksum: it was damaged under way")
    return envelope


def _sum(*parts: bytes | memoryview) -> int:
    hasher = xxhash.xxh3_64()
    for part in parts:
        hasher.update(part)
    return hasher.intdigest()


class _Cursor:
    """Reads the columns in `data` one after the other."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0

    def next(self, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        size = dtype.itemsize * count
        if size > len(self._data) - self._at:
            raise FrameError("a frame ends before its last column")
        array = np.frombuffer(self._data, dtype, count, self._at) if count else np.zeros(0, dtype)
        self._at += size + -size % 8
        return array if array.flags.aligned else array.copy()

    def end(self) -> None:
        if self._at != len(self._data):
            raise FrameError("a frame goes on after its last column")


_MAIN: tuple[tuple[str, np.dtype[Any]], ...] = (
    ("id_offsets", _I8),
    ("id_hash", _U8),
    ("occurred_ms", _I8),
    ("received_ms", _I8),
    ("message", _U8),
    ("hash", _U8),
    ("customer", _I4),
    ("type", _I4),
    ("id_data", _BYTE),
)


def _main_arrays(frame: Frame) -> Iterator[tuple[str, np.dtype[Any], NDArray[Any]]]:
    for name, dtype in _MAIN:
        yield name, dtype, getattr(frame, name)


def _main_sizes(head: _Head) -> Iterator[tuple[str, np.dtype[Any], int]]:
    counts = {
        "id_offsets": head.customers + 1,
        "id_hash": head.customers,
        "id_data": head.id_bytes,
        "message": 2 * head.rows,
    }
    for name, dtype in _MAIN:
        yield name, dtype, counts.get(name, head.rows)


# What must hold


def _check_shapes(frame: Frame) -> None:
    n, k = frame.rows, frame.customers
    shapes = {"id_offsets": (k + 1,), "id_hash": (k,), "message": (n, 2)}
    for name, dtype, array in _main_arrays(frame):
        expected = shapes.get(name, (n,)) if name != "id_data" else (array.size,)
        if array.dtype != dtype or array.shape != expected:
            raise FrameError(
                f"{name} of a frame is {array.dtype}{list(array.shape)}, "
                f"expected {dtype}{list(expected)}"
            )
    if n > ROWS_MAX:
        raise FrameError(f"a frame has at most {ROWS_MAX:,} rows, and this one has {n:,}")
    if len(frame.source) > SOURCE_BYTES_MAX:
        raise FrameError(f"the source of a frame has at most {SOURCE_BYTES_MAX} bytes")
    if not 0 <= frame.sequence < 2**63 or (frame.sequence and not frame.source):
        raise FrameError(
            "a numbered frame has a source and a sequence from 1 to 2**63 - 1; "
            f"found {frame.source!r} and {frame.sequence}"
        )
    for family, name, part in frame.parts():
        dtype, count = DTYPES[part.kind], len(part.rows)
        if part.rows.dtype != _I4 or part.values.dtype != dtype or part.values.shape != (count,):
            raise FrameError(f"the {part.kind} column {family} {quoted(name)} has another type")


def _check_customers(frame: Frame) -> None:
    offsets, data = frame.id_offsets, frame.id_data
    if offsets[0] != 0 or offsets[-1] != len(data):
        raise FrameError("the ids of a frame do not fill their bytes")
    if not frame.customers:
        return
    sizes = np.diff(offsets)
    if sizes.min() < 1 or sizes.max() > limits.ID_BYTES_MAX:
        raise FrameError(f"an id has 1 to {limits.ID_BYTES_MAX} bytes")
    try:
        data.tobytes().decode()
    except UnicodeDecodeError:
        raise FrameError("an id is not UTF-8") from None
    if np.any(data[offsets[:-1]] & 0xC0 == 0x80):
        raise FrameError("an id begins inside a character")
    if not np.array_equal(hash_strings(data.data, offsets), frame.id_hash):
        raise FrameError("the hashes of a frame are not those of its ids")
    in_order = np.sort(frame.id_hash)
    if np.any(in_order[1:] == in_order[:-1]):
        raise FrameError("a frame names a customer twice")


def _check_rows(frame: Frame) -> None:
    names = frame.event_names
    if len(set(names)) != len(names) or not all(_is_name(name) for name in names):
        raise FrameError("the event names of a frame are empty, too long, or repeat")
    if not frame.rows:
        return
    if frame.customer.min() < 0 or frame.customer.max() >= frame.customers:
        raise FrameError("a row of a frame belongs to no customer of it")
    if frame.type.min() < UPSERT or frame.type.max() >= len(names):
        raise FrameError("a row of a frame has no event of it")
    occurred, received = frame.occurred_ms, frame.received_ms
    stated = occurred[occurred != NOT_STATED_MS]
    if len(stated) and not INSTANT_MIN_MS <= stated.min() <= stated.max() <= INSTANT_MAX_MS:
        raise FrameError("a row of a frame occurred before the year 1 or after 9999")
    if received.min() < 0 or received.max() > INSTANT_MAX_MS:
        raise FrameError("a row of a frame was received before 1970 or after 9999")


def _is_name(name: str) -> bool:
    return 0 < len(name) <= limits.NAME_CHARS_MAX


def _check_part(frame: Frame, family: Family, name: str, part: Sparse) -> None:
    shown = f"the column {family} {quoted(name)} of a frame"
    rows, values = part.rows, part.values
    if family in ("zone", "created_ms"):
        if name:
            raise FrameError(f"{shown} has a name")
    elif not _is_name(name):
        raise FrameError(f"{shown} has no name, or too long a one")
    if _FAMILY_KIND.get(family, part.kind) != part.kind:
        raise FrameError(f"{shown} is of kind {part.kind}")
    if (part.dictionary is not None) != (part.kind == "string"):
        raise FrameError(f"{shown} lacks a dictionary, or has one without need")
    if not len(rows):
        return
    if rows[0] < 0 or rows[-1] >= frame.rows or np.any(rows[1:] <= rows[:-1]):
        raise FrameError(f"the rows of {shown} do not ascend within it")
    if np.any((frame.type[rows] == UPSERT) == (family == "properties")):
        raise FrameError(f"{shown} has values in rows of the other kind")
    if part.dictionary is not None:
        if len(set(part.dictionary)) != len(part.dictionary):
            raise FrameError(f"the dictionary of {shown} repeats itself")
        if values.min() < -1 or values.max() >= len(part.dictionary):
            raise FrameError(f"{shown} has a code beyond its dictionary")
    if part.kind == "bool":
        least = 0 if family in ("tags", "groups") else -1
        if values.min() < least or values.max() > 1:
            raise FrameError(f"{shown} has a truth value that is none")
