"""Read an Arrow stream of events or of changes against the tenant's schema, as columns.

The column `customer` says whose each row is. `event` names it; without that column all rows are
changes of customers' records. `occurred` and `message_id` are as in rows; a message id may be a
number, which its source gives once. Every other column is a property of the events, or an
attribute. Nothing is converted but the width of numbers and the unit of times. A null states
nothing.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.audience_columns import arrow_column
from actors.intake.bulk import Strings, frame_of_columns, numbered_identities
from actors.intake.frame import (
    COLUMNS_MAX,
    INSTANT_MAX_MS,
    INSTANT_MIN_MS,
    NOT_STATED_MS,
    Family,
    FrameError,
    Sparse,
)
from actors.intake.rows import MESSAGE_ID_BYTES_MAX, Decoded, Reject, fingerprints, identities
from actors.intake.strange import Strange, StrangeKind, note
from core.audience import Column, Kind
from core.duration import DAY_MS
from core.identity import text
from core.internal_events import is_internal
from core.tenant_schema import TenantSchema
from core.violations import close_to, printable, quoted

OWN = frozenset({"customer", "event", "occurred", "message_id"})
BYTES_OF_CHAR = 4  # at most, in UTF-8
_COMPRESSION = 3  # the field of a RecordBatch, in Arrow's Message.fbs
_DICTIONARY, _BATCH = 2, 3  # kinds of messages there

Mask = NDArray[np.bool_]


def read_stream(body: bytes, bytes_max: int, rows_max: int) -> pa.Table:
    """The table of an Arrow IPC stream, without compression of its own.

    Raises FrameError for bytes that are no such stream, or hold more than is allowed.
    """
    try:
        _check_messages(body)
        batches = []
        rows = size = 0
        with pa.ipc.open_stream(pa.BufferReader(body)) as reader:
            for batch in reader:
                rows += batch.num_rows
                size += batch.nbytes
                if rows > rows_max or size > bytes_max:
                    raise FrameError(
                        f"the stream has more than {rows_max:,} rows or {bytes_max:,} bytes",
                        advice="Send smaller streams",
                    )
                batch.validate(full=True)
                batches.append(batch)
            return pa.Table.from_batches(batches, reader.schema).unify_dictionaries()
    except (pa.ArrowException, OSError, struct.error, ValueError, OverflowError) as error:
        raise FrameError(
            f"the body is no Arrow IPC stream: {error}", advice="Write it by pyarrow.ipc.new_stream"
        ) from None


def decode_table(
    table: pa.Table, schema: TenantSchema, *, source: bytes = b"", random: bytes = b""
) -> Decoded:
    """Read a table of rows; each row that is refused costs only itself, a wrong column all.

    `source`: whose numbers the message ids are, if they are numbers. Rows without a message id get
    one from `random`, some random bytes, and their place. Raises FrameError.
    """
    return _Columns(table, schema).decoded(source, random)


def row_of_table(table: pa.Table, number: int) -> dict[str, Any]:
    """A row of a table that `decode_table` reads, in the form of `actors.intake.rows`.

    A message id that is a number stays behind: it counts only beside its source.
    """
    values = {k: v for k, v in table.slice(number, 1).to_pylist()[0].items() if v is not None}
    row = {name: values.pop(name) for name in sorted(OWN) if name in values}
    if not isinstance(row.get("message_id", ""), str):
        del row["message_id"]
    return {**row, "properties" if "event" in table.column_names else "set": values}


class _Columns:
    """A table on its way into a frame; `keep` bool[n] says which rows are left."""

    def __init__(self, table: pa.Table, schema: TenantSchema) -> None:
        names = table.column_names
        if len(set(names)) < len(names) or len(names) > COLUMNS_MAX:
            raise FrameError(f"columns have names of their own, {COLUMNS_MAX:,} at most")
        if "customer" not in names:
            raise FrameError("there is no column 'customer'", advice="Say in it whose each row is")
        self._table = table
        self._schema = schema
        self._known_events = schema.known_events
        self._known_properties = schema.known_properties
        self._rejects: list[Reject] = []
        self._dropped: dict[str, int] = {}
        self._strange: dict[Strange, int] = {}
        self._bare: Mask = np.zeros(table.num_rows, np.bool_)  # of unknown events: names alone
        self.keep: Mask = np.ones(table.num_rows, np.bool_)

    def decoded(self, source: bytes, random: bytes) -> Decoded:
        plain = self._plain_ids()
        customer = self._customers() if plain is None else None
        events = self._events() if "event" in self._table.column_names else None
        occurred = self._occurred()
        numbers, texts = self._messages(needed=events is not None and not random)
        columns = self._values(events)
        rows = np.flatnonzero(self.keep)
        if plain is not None and len(rows) == self._table.num_rows:
            frame = frame_of_columns(
                plain, event=None, occurred_ms=occurred, message=numbers, source=source
            )
        else:
            customer = customer or self._customers()
            used, codes = np.unique(customer.values[rows], return_inverse=True)
            dictionary = customer.dictionary or []
            frame = frame_of_columns(
                [dictionary[code] for code in used],
                event=None,
                occurred_ms=occurred[rows],
                message=None if numbers is None else numbers[rows],
                customer=codes.astype(np.int32),
                source=source,
            )
        if events is not None:
            present, types = np.unique(events.values[rows], return_inverse=True)
            frame.event_names = [(events.dictionary or [])[code] for code in present]
            frame.type = types.astype(np.int32)
        family: Family = "attributes" if events is None else "properties"
        for name, column in columns.items():
            there = np.flatnonzero(~column.missing()[rows]).astype(np.int32)
            if len(there):
                values = column.values[rows[there]]
                frame.put(family, name, Sparse(column.kind, there, values, column.dictionary))
        if numbers is None:
            if ids := _ids(rows, texts, random):
                frame.message = fingerprints(ids)
                frame.hash = identities(frame.event_names, frame.type, ids)
        elif events is not None:
            words = np.array([text(name) for name in frame.event_names], np.uint64)
            frame.hash = numbered_identities(words[frame.type], numbers[rows])
        frame.check()
        self._rejects.sort(key=lambda reject: reject.row)
        return Decoded(
            frame, rows.astype(np.int64), self._rejects, {}, self._dropped, self._strange
        )

    def _plain_ids(self) -> Strings | None:
        """The customers' ids as they stand; None where any must be looked at."""
        given = self._table.column("customer")
        if given.type != pa.string() or given.null_count or not len(given):
            return None
        whole = given.combine_chunks()
        _, places, data = whole.buffers()
        bounds = np.frombuffer(places, np.int32)[whole.offset : whole.offset + len(whole) + 1]
        offsets = bounds.astype(np.int64)
        sizes = np.diff(offsets)
        if sizes.min() < 1 or sizes.max() > self._schema.settings.id_bytes_max:
            return None
        return offsets - offsets[0], np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]

    def _customers(self) -> Column:
        customer = self._column("customer", "string")
        self._refuse(customer.missing(), "customer", "missing-field", "the row has no customer")
        self._bounded(customer, "customer", 1, self._schema.settings.id_bytes_max)
        return customer

    def _refuse(self, bad: Mask, column: str, code: str, message: str) -> None:
        for row in np.flatnonzero(bad & self.keep).tolist():
            self._rejects.append(Reject(row, f"/{row}/{printable(column)}", code, message))
        self.keep &= ~bad

    def _column(self, name: str, kind: Kind) -> Column:
        """A column of the table in the type of `kind`. Raises FrameError."""
        given = self._table.column(name)
        if not _fits(kind, given.type):
            raise FrameError(
                f"column {quoted(name)} is {given.type}, expected {kind}",
                advice="Write it in the schema's type",
            )
        if kind == "datetime" and pa.types.is_timestamp(given.type):
            given = given.cast(pa.timestamp("ms"), safe=False)
        builder = arrow_column(kind, len(given))
        try:
            builder.fill(0, given)
        except (pa.ArrowException, OverflowError, ValueError) as error:
            raise FrameError(f"column {quoted(name)} does not fit {kind}: {error}") from None
        return builder.column()

    def _bounded(self, column: Column, name: str, least: int, most: int) -> None:
        """Refuse rows whose texts are too short or too long, in bytes."""
        chars = [len(text) for text in column.dictionary or ()]
        if least <= min(chars, default=least) and BYTES_OF_CHAR * max(chars, default=0) <= most:
            return  # whatever letters they are of
        sizes = [len(text.encode()) for text in column.dictionary or ()]
        wrong = np.array([not least <= size <= most for size in sizes] + [False], np.bool_)
        if wrong.any():
            self._refuse(wrong[column.values], name, "out-of-range", _sized(least, most))

    def _events(self) -> Column:
        column = self._column("event", "string")
        self._refuse(column.missing(), "event", "missing-field", "the row has no event")
        known = self._known_events
        for code, name in enumerate(column.dictionary or ()):
            if name not in known and not is_internal(name):
                came = int((column.values == code).sum())
                note(self._strange, name, "", "unknown-event", None, came)
                if self._schema.settings.unknown_events != "reject":
                    self._bare |= column.values == code
                    continue
            if is_internal(name) or name not in known:
                kind = "internal-event" if is_internal(name) else "unknown-event"
                advice = close_to(name, known, "Add it to the schema.")
                message = f"the schema has no event {quoted(name)}. {advice}"
                self._refuse(column.values == code, "event", kind, message)
        return column

    def _occurred(self) -> NDArray[np.int64]:
        if "occurred" not in self._table.column_names:
            return np.full(self._table.num_rows, NOT_STATED_MS)
        column = self._column("occurred", "datetime")
        self._in_years(column, "occurred", INSTANT_MIN_MS, INSTANT_MAX_MS)
        return column.values

    def _in_years(self, column: Column, name: str, first: int, last: int) -> None:
        outside = ((column.values < first) | (column.values > last)) & ~column.missing()
        self._refuse(outside, name, "out-of-range", "it is not within the years 1 to 9999")

    def _messages(self, *, needed: bool) -> tuple[NDArray[np.uint64] | None, list[Any] | None]:
        """The ids of messages, as numbers or as texts; neither where none are stated."""
        missing = "an event needs a message id"
        if "message_id" not in self._table.column_names:
            if needed:
                everything = np.ones(self._table.num_rows, np.bool_)
                self._refuse(everything, "message_id", "missing-field", missing)
            return None, None
        given = self._table.column("message_id")
        if not pa.types.is_integer(given.type) and not _fits("string", given.type):
            raise FrameError(f"column 'message_id' is {given.type}, expected texts or numbers")
        absent = given.is_null().to_numpy()
        self._refuse(absent, "message_id", "missing-field", missing)
        if pa.types.is_integer(given.type):
            signed = pa.types.is_signed_integer(given.type)
            below = pc.less(given, 0).fill_null(False).to_numpy() if signed else absent
            message = "a number of a message is not below 0"
            self._refuse(np.asarray(below, np.bool_), "message_id", "out-of-range", message)
            values = given.fill_null(0).to_numpy().astype(np.uint64)
            return values, None
        texts = given.cast(pa.string())
        sizes = pc.binary_length(texts).fill_null(1).to_numpy()
        wrong = (sizes < 1) | (sizes > MESSAGE_ID_BYTES_MAX)
        self._refuse(wrong, "message_id", "out-of-range", _sized(1, MESSAGE_ID_BYTES_MAX))
        return None, texts.to_pylist()

    def _values(self, events: Column | None) -> dict[str, Column]:
        found = {}
        for name in self._table.column_names:
            if name in OWN:
                continue
            kind = self._kind(name, events)
            if kind is None:
                there = ~self._table.column(name).is_null().to_numpy()
                self._note(name, "unknown-property", there, events)
                self._unknown(name, there)
                continue
            given = self._table.column(name)
            if self._schema.settings.wrong_types != "reject" and not _fits(kind, given.type):
                there = ~given.is_null().to_numpy()
                self._note(name, "wrong-type", there, events)
                self._dropped[printable(name)] = int((there & self.keep).sum())
                continue
            column = self._column(name, kind)
            if events is not None:
                self._check_events(name, column, events)
            if kind == "string":
                self._bounded(column, name, 0, self._schema.settings.text_bytes_max)
            elif kind == "float64":
                infinite = np.isinf(column.values)
                self._refuse(infinite, name, "not-finite", "it is not a finite number")
            elif kind == "datetime":
                self._in_years(column, name, INSTANT_MIN_MS, INSTANT_MAX_MS)
            elif kind == "date":
                last = INSTANT_MAX_MS // DAY_MS
                self._in_years(column, name, INSTANT_MIN_MS // DAY_MS, last)
            found[name] = column
        return found

    def _kind(self, name: str, events: Column | None) -> Kind | None:
        if events is not None:
            return self._known_properties.get(name)
        if name in self._schema.personal:
            raise FrameError(
                f"attribute {quoted(name)} is personal", advice="Send personal values as rows"
            )
        return self._schema.attribute_kind(name)

    def _check_events(self, name: str, column: Column, events: Column) -> None:
        """Refuse or drop what stands in rows of events that have no such property."""
        known = self._known_events
        names = [*(events.dictionary or ()), ""]
        lacks = np.array([name not in known.get(event, {}) for event in names], np.bool_)
        if lacks.any():
            wrong = lacks[events.values] & ~column.missing()
            self._note(name, "unknown-property", wrong, events)
            self._unknown(name, wrong)
            column.values[wrong] = -1 if column.kind in ("bool", "string") else _absent(column)

    def _note(self, name: str, kind: StrangeKind, there: Mask, events: Column | None) -> None:
        """Note what is strange about a column, by the events in whose rows it stands."""
        said = str(self._table.column(name).type)
        if events is None:
            note(self._strange, "", name, kind, said, int(there.sum()), typed=True)
            return
        names = events.dictionary or []
        counts = np.bincount(events.values[there & (events.values >= 0)], minlength=len(names))
        for code in np.flatnonzero(counts).tolist():
            if kind != "unknown-property" or names[code] in self._known_events:
                event, count = names[code], int(counts[code])
                note(self._strange, event, name, kind, said, count, typed=True)

    def _unknown(self, name: str, there: Mask) -> None:
        if (bare := int((there & self._bare & self.keep).sum())) > 0:
            self._dropped[printable(name)] = bare
            there = there & ~self._bare
        if not there.any():
            return
        if self._schema.settings.unknown_fields != "reject":
            known = self._dropped.get(printable(name), 0)
            self._dropped[printable(name)] = known + int((there & self.keep).sum())
            return
        message = f"the schema has no field {quoted(name)} here. Add it, or leave it out."
        self._refuse(there, name, "unknown-field", message)


def _sized(least: int, most: int) -> str:
    return f"the text has {least} to {most:,} bytes"


def _absent(column: Column) -> Any:
    return np.nan if column.kind == "float64" else NOT_STATED_MS


def _ids(rows: NDArray[np.int64], texts: list[Any] | None, random: bytes) -> list[bytes]:
    """The ids of the rows' messages, [] where they have none."""
    if texts is not None:
        return [texts[row].encode() for row in rows.tolist()]
    stem = random.hex().encode()
    return [b"%s:%d" % (stem, row) for row in rows.tolist()] if random else []


def _fits(kind: Kind, given: pa.DataType) -> bool:
    """Whether an Arrow type holds values of a kind as they stand."""
    types = pa.types
    if kind == "string":
        plain = given.value_type if types.is_dictionary(given) else given
        return bool(types.is_string(plain) or types.is_large_string(plain))
    fits = {
        "bool": types.is_boolean(given),
        "int64": types.is_integer(given),
        "float64": types.is_floating(given) or types.is_integer(given),
        "datetime": types.is_timestamp(given) or types.is_int64(given),
        "date": types.is_date32(given),
    }
    return bool(fits[kind])


def _check_messages(body: bytes) -> None:
    """Raise FrameError if a message of the stream is compressed: its real size would be unknown."""
    place = 0
    while place + 8 <= len(body):
        mark, size = struct.unpack_from("<Ii", body, place)
        if mark != 0xFFFFFFFF or size <= 0 or place + 8 + size > len(body):
            return  # The end of the stream, or nothing that its reader would take.
        head = body[place + 8 : place + 8 + size]
        table = _Table(head, struct.unpack_from("<I", head)[0])
        kind = table.number(1, "<B")
        batch = table.below(2) if kind in (_DICTIONARY, _BATCH) else None
        if batch is not None and kind == _DICTIONARY:
            batch = batch.below(1)
        if batch is not None and batch.has(_COMPRESSION):
            raise FrameError(
                "the stream is compressed within", advice="Compress the whole body instead"
            )
        place += 8 + size + max(0, table.number(3, "<q"))


class _Table:
    """A table of a flatbuffer, as far as it is needed: its fields by number."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self._place = place
        (back,) = struct.unpack_from("<i", data, place)
        self._fields = place - back
        (self._size,) = struct.unpack_from("<H", data, self._fields)

    def _at(self, field: int) -> int:
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return 0
        offset: int = struct.unpack_from("<H", self._data, self._fields + entry)[0]
        return self._place + offset if offset else 0

    def has(self, field: int) -> bool:
        return self._at(field) != 0

    def number(self, field: int, form: str) -> int:
        at = self._at(field)
        return int(struct.unpack_from(form, self._data, at)[0]) if at else 0

    def below(self, field: int) -> _Table | None:
        at = self._at(field)
        if not at:
            return None
        return _Table(self._data, at + int(struct.unpack_from("<I", self._data, at)[0]))
