"""Read the rows that clients send against the tenant's schema: one frame, and every refusal.

An event is {"customer": id, "event": name, "occurred": ms or ISO text, "message_id": text,
"properties": {...}}. A change of a customer's record is {"customer": id, "set": {...}, "tags":
{"add": [...], "remove": [...]}, "groups": likewise, "zone": IANA name, "created": ms or ISO text},
with "occurred" and "message_id" where known. Null takes a value away. A row is taken whole or not
at all, and the rest of the batch doesn't suffer from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from actors.intake.frame import (
    COLUMNS_MAX,
    DTYPES,
    NOT_STATED_MS,
    UPSERT,
    Family,
    Frame,
    Sparse,
)
from actors.intake.strange import Strange, note, note_refusal
from actors.intake.values import (
    MISSING,
    RefusedError,
    Value,
    instant_of,
    reader_of,
    text_of,
    wrong_type,
)
from core import limits
from core.audience import Kind
from core.errors import HeadraceError
from core.hashing import hash_bytes
from core.internal_events import is_internal
from core.record import ATTRIBUTES, attribute_kind
from core.tenant_schema import TenantSchema
from core.violations import close_to, pointer, printable, quoted
from core.zones import zone_names
from ext.hashing import hash_strings, hash_words

EVENT_FIELDS = frozenset({"customer", "event", "occurred", "message_id", "properties"})
CHANGE_FIELDS = frozenset(
    {"customer", "set", "tags", "groups", "zone", "created", "occurred", "message_id"}
)
MESSAGE_ID_BYTES_MAX = 1_024
ROW_BYTES_MAX = 800 << 10  # a row must fit into a record of the journal, which has a megabyte
CELL_BYTES = 128  # of a value in a record, at most, besides its name and text

_Cell = tuple[Family, str, Kind, Value | None]


class RowsError(HeadraceError):
    """A body that is no list of rows."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was refused: its number, a JSON pointer into the batch, a code, what is wrong.

    Codes are those of `core.violations` where they exist there, and: `unknown-event`,
    `internal-event`, `too-many-fields`, `too-large`, `id-collision`.
    """

    row: int
    pointer: str
    code: str
    message: str


@dataclass(slots=True)
class Decoded:
    """A batch as read: the frame of accepted rows, and where all else went.

    `rows` int64[n]: where the frame's rows were in the batch. `personal`: the personal attributes
    that accepted rows set, by customer's id; None takes one away. `dropped`: how many fields of
    each name (`set/plan`) the schema did not know, where it says that these are dropped.
    `strange`: how often there was what the schema does not have so, whether taken in or not.
    """

    frame: Frame
    rows: NDArray[np.int64]
    rejects: list[Reject] = field(default_factory=list)
    personal: dict[str, dict[str, Value | None]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    strange: dict[Strange, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands for a row that cannot be read as one: why, and the steps to the place in it."""

    message: str
    code: str = "invalid-json"
    steps: tuple[str | int, ...] = ()


def decode_json(body: bytes) -> list[Any]:
    """The rows of a JSON list, for `decode_rows`, which rejects those that could not be read.

    Raises RowsError where the body is no list. Of equal keys in an object the last counts.
    """
    try:
        return _LIST.decode(body)
    except (ValueError, RecursionError):
        # One bad row must not cost the others, so each is tried by itself.
        return [_row_of(raw) for raw in _raw_rows(body)]


def decode_rows(
    rows: Sequence[Any],
    schema: TenantSchema,
    *,
    source: bytes = b"",
    sequence: int = 0,
    batch: bytes = b"",
    received_ms: int = 0,
) -> Decoded:
    """Read a batch that arrived at `received_ms` (UTC, 0: the partition says when).

    `source` and `sequence` as in `Frame`. A row without a message id gets one from them and its
    number, so a repeated batch is recognised; a batch that is not numbered needs `batch` for that,
    16 random bytes or so, else its events must have ids of their own.
    """
    reader = _Reader(schema, _stem(source, sequence, batch))
    for number, row in enumerate(rows):
        try:
            reader.take(number, row)
        except RefusedError as refused:
            place = pointer((number, *refused.steps))
            reader.rejects.append(Reject(number, place, refused.code, printable(refused.message)))
            note_refusal(reader.strange, row, refused.code, refused.steps)
    frame = reader.frame(source, sequence, received_ms)
    numbers = np.array(reader.numbers, np.int64)
    return Decoded(frame, numbers, reader.rejects, reader.personal, reader.dropped, reader.strange)


def _stem(source: bytes, sequence: int, batch: bytes) -> str | None:
    """What a message id that nobody gave begins with, None where none can be made."""
    if sequence:
        return f"{source.hex()}:{sequence}:"
    return f"{source.hex()}:{batch.hex()}:" if batch else None


_LIST = msgspec.json.Decoder(list[Any])
_RAW = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder(Any)


def _raw_rows(body: bytes) -> list[msgspec.Raw]:
    try:
        return _RAW.decode(body)
    except (ValueError, RecursionError) as error:
        raise RowsError(
            f"the body is not a JSON list of rows: {error}",
            advice='Send [{"customer": "...", "event": "...", "message_id": "..."}, ...]',
        ) from None


def _row_of(raw: msgspec.Raw) -> Any:
    try:
        return _ANY.decode(raw)
    except (ValueError, RecursionError) as error:
        return Unreadable(f"the row cannot be read: {error}")


class _Column:
    """A sparse column in the making."""

    __slots__ = ("codes", "kind", "rows", "values")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.rows: list[int] = []
        self.values: list[Any] = []
        self.codes: dict[Value, int] = {}

    def put(self, row: int, value: Value | None) -> None:
        self.rows.append(row)
        if self.kind != "string":
            self.values.append(MISSING[self.kind] if value is None else value)
        elif value is None:
            self.values.append(-1)
        else:
            self.values.append(self.codes.setdefault(value, len(self.codes)))

    def sparse(self) -> Sparse:
        return Sparse(
            self.kind,
            np.array(self.rows, np.int32),
            np.array(self.values, DTYPES[self.kind]),
            [str(text) for text in self.codes] if self.kind == "string" else None,
        )


def _mark(value: object) -> Value:
    assert isinstance(value, bool)
    return value


def _zone(value: object) -> Value:
    if type(value) is not str:
        raise wrong_type("the name of a time zone", value)
    if value not in zone_names():
        advice = close_to(value, zone_names(), "Use a name such as Europe/Berlin.")
        raise RefusedError("invalid-zone", f"there is no time zone {quoted(value)}. {advice}")
    return value


class _Reader:
    """Takes rows one by one; a row that is refused leaves nothing behind."""

    def __init__(self, schema: TenantSchema, stem: str | None) -> None:
        self._settings = schema.settings
        self._stem = stem
        text_bytes_max = schema.settings.text_bytes_max
        self._readers = {kind: reader_of(kind, text_bytes_max) for kind in DTYPES}
        cell_bytes_max = CELL_BYTES + 4 * limits.NAME_CHARS_MAX + text_bytes_max
        self._cells_small = ROW_BYTES_MAX // cell_bytes_max  # so many always fit
        self._attributes = schema.kept
        self._known = [*schema.kept, *schema.personal, *(a.name for a in ATTRIBUTES)]
        self._personal = {n: schema.attributes[n].type for n in schema.personal}
        self._events = schema.known_events
        self._columns: dict[tuple[Family, str], _Column] = {}
        self._customers: dict[str, int] = {}
        self._hashes: dict[int, str] = {}
        self._event_codes: dict[str, int] = {}
        self._customer: list[int] = []
        self._type: list[int] = []
        self._occurred: list[int] = []
        self._messages: list[bytes | None] = []
        self.numbers: list[int] = []
        self.rejects: list[Reject] = []
        self.personal: dict[str, dict[str, Value | None]] = {}
        self.dropped: dict[str, int] = {}
        self.strange: dict[Strange, int] = {}

    def take(self, number: int, row: Any) -> None:
        """Take row `number` of the batch in. Raises RefusedError, with nothing taken."""
        if type(row) is not dict:
            if isinstance(row, Unreadable):
                raise RefusedError(row.code, row.message, *row.steps)
            raise wrong_type("a row as a mapping", row)
        customer = self._customer_of(row)
        is_event = "event" in row
        dropped = self._unknown(row, EVENT_FIELDS if is_event else CHANGE_FIELDS)
        occurred = NOT_STATED_MS
        if "occurred" in row:
            occurred = _at(instant_of, row["occurred"], "occurred")
        message = self._message_of(row, number, is_event)
        cells: list[_Cell] = []
        personal: dict[str, Value | None] = {}
        if is_event:
            event = self._event_of(row["event"])
            self._properties(event, row.get("properties", {}), cells, dropped)
        else:
            self._changes(row, cells, personal, dropped)
        if len(cells) + len(personal) > self._cells_small:
            _check_size(cells, personal)
        columns = self._columns
        new = {(f, n): kind for f, n, kind, _ in cells if (f, n) not in columns}
        if len(columns) + len(new) > COLUMNS_MAX:
            raise RefusedError(
                "too-many-fields", f"the batch has more than {COLUMNS_MAX:,} different fields"
            )
        # Nothing is refused from here on.
        columns.update((key, _Column(kind)) for key, kind in new.items())
        place = len(self.numbers)
        for family, name, _, value in cells:
            columns[family, name].put(place, value)
        if personal:
            self.personal.setdefault(customer, {}).update(personal)
        for name in dropped:
            self.dropped[name] = self.dropped.get(name, 0) + 1
        self._customer.append(self._customers.setdefault(customer, len(self._customers)))
        codes = self._event_codes
        self._type.append(codes.setdefault(event, len(codes)) if is_event else UPSERT)
        self._occurred.append(occurred)
        self._messages.append(message)
        self.numbers.append(number)

    def frame(self, source: bytes, sequence: int, received_ms: int) -> Frame:
        """The frame of all rows taken."""
        offsets, data = _joined([customer.encode() for customer in self._customers])
        kinds = np.array(self._type, np.int32)
        names = list(self._event_codes)
        frame = Frame(
            id_offsets=offsets,
            id_data=np.frombuffer(data, np.uint8),
            id_hash=hash_strings(data, offsets),
            customer=np.array(self._customer, np.int32),
            type=kinds,
            event_names=names,
            occurred_ms=np.array(self._occurred, np.int64),
            received_ms=np.full(len(kinds), received_ms, np.int64),
            message=fingerprints(self._messages),
            hash=identities(names, kinds, self._messages),
            source=source,
            sequence=sequence,
        )
        for (family, name), column in self._columns.items():
            frame.put(family, name, column.sparse())
        frame.check()
        return frame

    def _customer_of(self, row: Mapping[str, Any]) -> str:
        if "customer" not in row:
            raise RefusedError("missing-field", "the row has no customer", "customer")
        value = row["customer"]
        if type(value) is str and value in self._customers:
            return value
        customer: str = _at(lambda v: text_of(v, self._settings.id_bytes_max), value, "customer")
        if not customer:
            raise RefusedError("out-of-range", "the id of the customer is empty", "customer")
        other = self._hashes.setdefault(hash_bytes(customer.encode()), customer)
        if other != customer:
            message = f"the id has the same hash as {quoted(other)}, so the two can't be told apart"
            raise RefusedError("id-collision", message, "customer")
        return customer

    def _message_of(self, row: Mapping[str, Any], number: int, is_event: bool) -> bytes | None:
        if "message_id" in row:
            value = row["message_id"]
            if type(value) is str and 0 < len(value) < 256 and value.isascii():
                return value.encode()
            text: str = _at(lambda v: text_of(v, MESSAGE_ID_BYTES_MAX), value, "message_id")
            if not text:
                raise RefusedError("out-of-range", "the message id is empty", "message_id")
            return text.encode()
        if self._stem is not None:
            return f"{self._stem}{number}".encode()
        if is_event:
            message = "an event needs a message id where its batch is not numbered"
            raise RefusedError("missing-field", message, "message_id")
        return None

    def _event_of(self, name: object) -> str:
        if type(name) is not str:
            raise RefusedError("wrong-type", wrong_type("text", name).message, "event")
        if is_internal(name):
            message = f"{quoted(name)} is an event that only flows make happen: no row tells of it"
            raise RefusedError("internal-event", message, "event")
        if name not in self._events and self._settings.unknown_events != "reject":
            note(self.strange, name, "", "unknown-event", None)
            return str(_at(lambda v: text_of(v, 4 * limits.NAME_CHARS_MAX), name, "event"))
        if name not in self._events:
            advice = close_to(name, self._events, "Add it to the schema.")
            message = f"the schema has no event {quoted(name)}. {advice}"
            raise RefusedError("unknown-event", message, "event")
        return name

    def _properties(self, event: str, values: Any, cells: list[_Cell], dropped: list[str]) -> None:
        known = self._events.get(event)
        self._bounded(values, "properties")
        if known is None:
            dropped += [f"properties/{printable(str(name))}" for name in values]
            return
        for name, value in values.items():
            if (kind := known.get(name)) is None:
                self._miss(name, f"event {quoted(event)}", known, dropped, "properties")
                note(self.strange, event, name, "unknown-property", value)
            elif value is not None:
                try:
                    cell = self._cell("properties", name, kind, value, "properties", name)
                except RefusedError as refused:
                    if not self._forgives(refused.code):
                        raise
                    self._misfit(event, name, value, dropped, "properties")
                    continue
                cells.append(cell)

    def _changes(
        self,
        row: Mapping[str, Any],
        cells: list[_Cell],
        personal: dict[str, Value | None],
        dropped: list[str],
    ) -> None:
        values = row.get("set", {})
        self._bounded(values, "set")
        for name, value in values.items():
            if (kind := self._attributes.get(name)) is not None:
                try:
                    cell = self._cell("attributes", name, kind, value, "set", name)
                except RefusedError as refused:
                    if not self._forgives(refused.code):
                        raise
                    self._misfit("", name, value, dropped, "set")
                    continue
                cells.append(cell)
            elif (kind := self._personal.get(name)) is not None:
                read = self._readers[kind]
                personal[name] = None if value is None else _at(read, value, "set", name)
            elif (kind := attribute_kind(name)) is not None:
                cells.append(self._cell("attributes", name, kind, value, "set", name))
            else:
                self._miss(name, "the customer", self._known, dropped, "set")
                note(self.strange, "", name, "unknown-property", value)
        for family in _MARKS:
            if family in row:
                self._marks(family, row[family], cells)
        if "zone" in row:
            cells.append(self._cell("zone", "", "string", row["zone"], "zone"))
        if "created" in row:
            cells.append(self._cell("created_ms", "", "datetime", row["created"], "created"))

    def _marks(self, family: Literal["tags", "groups"], value: Any, cells: list[_Cell]) -> None:
        if type(value) is not dict:
            raise _moved(wrong_type("a mapping with add and remove", value), family)
        seen: set[str] = set()
        for verb, names in value.items():
            if verb not in ("add", "remove"):
                message = f"{family} have 'add' and 'remove', not {quoted(verb)}"
                raise RefusedError("unknown-field", message, family, verb)
            if type(names) is not list:
                raise _moved(wrong_type("a list of names", names), family, verb)
            if len(names) > self._settings.fields_max:
                raise self._too_many(len(names), family, verb)
            for place, name in enumerate(names):
                text = _at(
                    lambda v: text_of(v, 4 * limits.NAME_CHARS_MAX), name, family, verb, place
                )
                if not 0 < len(text) <= limits.NAME_CHARS_MAX:
                    message = f"a name has 1 to {limits.NAME_CHARS_MAX} characters"
                    raise RefusedError("out-of-range", message, family, verb, place)
                if text in seen:
                    message = f"{quoted(text)} is named twice"
                    raise RefusedError("invalid-value", message, family, verb, place)
                seen.add(text)
                cells.append(self._cell(family, text, "bool", verb == "add", family, verb, place))

    def _cell(self, family: Family, name: str, kind: Kind, value: Any, *steps: str | int) -> _Cell:
        """A value with the column that it belongs to; a refusal is told with its place."""
        if value is None:
            return family, name, kind, None
        try:
            return family, name, kind, (_READS.get(family) or self._readers[kind])(value)
        except RefusedError as refused:
            raise _moved(refused, *steps) from None

    def _bounded(self, values: Any, place: str) -> None:
        if type(values) is not dict:
            raise _moved(wrong_type("a mapping", values), place)
        if len(values) > self._settings.fields_max:
            raise self._too_many(len(values), place)

    def _too_many(self, count: int, *steps: str) -> RefusedError:
        message = f"there are {count:,} fields; at most {self._settings.fields_max:,} are allowed"
        return RefusedError("too-many-fields", message, *steps)

    def _unknown(self, row: Mapping[str, Any], fields: frozenset[str]) -> list[str]:
        """The fields of a row that it cannot have, if these are dropped, else a refusal."""
        dropped: list[str] = []
        for name in () if row.keys() <= fields else row.keys() - fields:
            self._miss(name, "a row", sorted(fields), dropped)
        return dropped

    def _forgives(self, code: str) -> bool:
        """Whether a value that was refused is left out, and its row taken."""
        return self._settings.wrong_types != "reject" and code == "wrong-type"

    def _misfit(self, event: str, name: str, value: object, dropped: list[str], place: str) -> None:
        """Leave out a value of another type than the schema's."""
        dropped.append(f"{place}/{printable(name)}")
        note(self.strange, event, name, "wrong-type", value)

    def _miss(
        self,
        name: object,
        of: str,
        known: Sequence[str] | Mapping[str, Any],
        dropped: list[str],
        *steps: str,
    ) -> None:
        """Drop a field that the schema doesn't have, or refuse it."""
        if self._settings.unknown_fields != "reject":
            dropped.append("/".join((*steps, printable(str(name)))))
            return
        advice = close_to(str(name), known, "Add it to the schema, or leave it out.")
        message = f"{of} has no field {quoted(name)}. {advice}"
        raise RefusedError("unknown-field", message, *steps, str(name))


_MARKS: tuple[Literal["tags", "groups"], ...] = ("tags", "groups")
_READS: dict[Family, Callable[[object], Value]] = {
    "tags": _mark,
    "groups": _mark,
    "zone": _zone,
    "created_ms": instant_of,
}


def _at(read: Callable[[object], Any], value: object, *steps: str | int) -> Any:
    """What `read` makes of a value, a refusal with its place."""
    try:
        return read(value)
    except RefusedError as refused:
        raise _moved(refused, *steps) from None


def _moved(refused: RefusedError, *steps: str | int) -> RefusedError:
    return RefusedError(refused.code, refused.message, *steps)


def _joined(texts: Sequence[bytes]) -> tuple[NDArray[np.int64], bytes]:
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return offsets, b"".join(texts)


def fingerprints(messages: Sequence[bytes | None]) -> NDArray[np.uint64]:
    """XXH3-128 of each message id, uint64[n, 2], low word first, zeros where there is none."""
    digest = xxhash.xxh3_128_digest
    written = b"".join(bytes(16) if m is None else digest(m) for m in messages)
    big_endian = np.frombuffer(written, ">u8").reshape(-1, 2)
    return np.ascontiguousarray(big_endian[:, ::-1], "<u8")


def identities(
    names: Sequence[str], kinds: NDArray[np.int32], messages: Sequence[bytes | None]
) -> NDArray[np.uint64]:
    """`core.identity.event_word_of_id` of each event, uint64[n], 0 for a change.

    `kinds` int32[n] into `names`, UPSERT for a change; a message of None counts as b"".
    """
    offsets, data = _joined([b"" if m is None else m for m in messages])
    words = np.zeros((len(kinds), 2), np.uint64)
    of_names = np.array([hash_bytes(name.encode()) for name in names] + [0], np.uint64)
    words[:, 0] = of_names[kinds]
    words[:, 1] = hash_strings(data, offsets)
    found = hash_words(words)
    found[kinds == UPSERT] = 0
    return found


def _check_size(cells: Sequence[_Cell], personal: Mapping[str, Value | None]) -> None:
    """Raise RefusedError for a row that no record has room for."""
    named = [(name, value) for _, name, _, value in cells] + list(personal.items())
    size = sum(
        CELL_BYTES + len(name.encode()) + (len(value.encode()) if type(value) is str else 0)
        for name, value in named
    )
    if size > ROW_BYTES_MAX:
        message = f"the row has {size:,} bytes; at most {ROW_BYTES_MAX:,} are allowed"
        raise RefusedError("too-large", message)
