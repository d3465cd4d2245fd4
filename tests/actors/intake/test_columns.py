"""Arrow streams as frames: the same as rows would be, and what is refused of them."""

from __future__ import annotations

import contextlib
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from actors.intake.columns import decode_table, read_stream
from actors.intake.frame import FrameError
from actors.intake.rows import Decoded, decode_rows
from core.tenant_schema import TenantSchema

SCHEMA: dict[str, Any] = {
    "attributes": {
        "plan": {"type": "string"},
        "age": {"type": "int64"},
        "born": {"type": "date"},
        "vip": {"type": "bool"},
        "email": {"type": "string", "personal": True},
    },
    "events": {
        "order": {"properties": {"amount": "float64", "sku": "string", "at": "datetime"}},
        "visit": {"properties": {"sku": "string"}},
    },
    "settings": {"id_bytes_max": 8, "text_bytes_max": 6},
}
AT_MS = 1_772_357_400_000


def schema(**settings: Any) -> TenantSchema:
    return TenantSchema.of({**SCHEMA, "settings": SCHEMA["settings"] | settings})


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    written = pa.ipc.IpcWriteOptions(**options)
    with pa.ipc.new_stream(sink, table.schema, options=written) as writer:
        writer.write_table(table, max_chunksize=3)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def read(columns: dict[str, Any], **options: Any) -> Decoded:
    table = read_stream(stream(pa.table(columns)), 1 << 20, 1_000)
    return decode_table(table, options.pop("schema", schema()), **options)


def told(decoded: Decoded) -> list[dict[str, Any]]:
    """The rows of a frame, as far as both ways must agree on them."""
    frame = decoded.frame
    ids = [
        bytes(frame.id_data[a:b]).decode()
        for a, b in zip(frame.id_offsets[:-1], frame.id_offsets[1:], strict=True)
    ]
    rows: list[dict[str, Any]] = [
        {
            "customer": ids[frame.customer[row]],
            "type": "" if frame.type[row] < 0 else frame.event_names[frame.type[row]],
            "occurred": int(frame.occurred_ms[row]),
            "message": frame.message[row].tolist(),
            "hash": int(frame.hash[row]),
        }
        for row in range(frame.rows)
    ]
    for family, name, part in frame.parts():
        for row, value in zip(part.rows.tolist(), part.values.tolist(), strict=True):
            text = part.dictionary[value] if part.dictionary is not None else value
            rows[row][f"{family}/{name}"] = text
    return rows


EVENTS = [
    {"customer": "ada", "event": "order", "occurred": AT_MS, "message_id": "m1",
     "properties": {"amount": 3, "sku": "x", "at": AT_MS}},
    {"customer": "bob", "event": "visit", "message_id": "m2", "properties": {"sku": "y"}},
    {"customer": "ada", "event": "visit", "occurred": AT_MS + 1, "message_id": "m3"},
    {"customer": "cyd", "event": "order", "message_id": "m4", "properties": {"amount": 0.5}},
]  # fmt: skip


@pytest.mark.parametrize("coded", [False, True])
def test_events_are_what_they_are_as_rows(coded: bool) -> None:
    def column(*names: str, kind: Any = None) -> Any:
        values = [row.get(names[0]) for row in EVENTS]
        if len(names) > 1:
            values = [row.get("properties", {}).get(names[1]) for row in EVENTS]
        made = pa.array(values, kind)
        return made.dictionary_encode() if coded and pa.types.is_string(made.type) else made

    found = read(
        {
            "customer": column("customer"),
            "event": column("event"),
            "message_id": column("message_id"),
            "occurred": column("occurred", kind=pa.timestamp("ms", "UTC")),
            "amount": column("", "amount", kind=pa.float64()),
            "sku": column("", "sku"),
            "at": column("", "at", kind=pa.int64()),
        }
    )
    assert found.rejects == []
    assert found.rows.tolist() == [0, 1, 2, 3]
    assert told(found) == told(decode_rows(EVENTS, schema()))


def test_changes_are_what_they_are_as_rows() -> None:
    rows = [
        {"customer": "ada", "set": {"plan": "gold", "age": 3, "born": "1990-02-28"}},
        {"customer": "bob", "set": {"vip": True}},
    ]
    found = read(
        {
            "customer": ["ada", "bob"],
            "plan": ["gold", None],
            "age": pa.array([3, None], pa.int32()),
            "born": [date(1990, 2, 28), None],
            "vip": [None, True],
        }
    )
    assert told(found) == told(decode_rows(rows, schema()))


def test_numbers_of_messages_are_the_same_however_many_events_there_are() -> None:
    both = read(
        {
            "customer": ["ada", "bob"],
            "event": ["visit", "order"],
            "message_id": pa.array([7, 8], pa.uint64()),
        },
        source=b"crm",
    )
    one = read(
        {"customer": ["ada"], "event": ["visit"], "message_id": pa.array([7], pa.int32())},
        source=b"crm",
    )
    assert len(np.unique(both.frame.message[:, 0] ^ both.frame.message[:, 1])) == 2
    assert both.frame.message[0].tolist() == one.frame.message[0].tolist()
    assert both.frame.hash[0] == one.frame.hash[0]


def test_each_wrong_row_costs_only_itself() -> None:
    found = read(
        {
            "customer": ["ada", None, "", "too long an id", "bob", "bob", "bob", "bob", "eve"],
            "event": ["order", *["visit"] * 3, None, "dance", "visit", "order", "order"],
            "message_id": [str(i) for i in range(8)] + [None],
            "amount": [1.0, *[None] * 5, 2.0, float("inf"), None],
            "sku": ["x" * 6, *[None] * 7, None],
        }
    )
    assert [(r.row, r.pointer, r.code) for r in found.rejects] == [
        (1, "/1/customer", "missing-field"),
        (2, "/2/customer", "out-of-range"),
        (3, "/3/customer", "out-of-range"),
        (4, "/4/event", "missing-field"),
        (5, "/5/event", "unknown-event"),
        (6, "/6/amount", "unknown-field"),
        (7, "/7/amount", "not-finite"),
        (8, "/8/message_id", "missing-field"),
    ]
    assert found.rows.tolist() == [0]
    assert told(found)[0]["customer"] == "ada"


def test_unknown_fields_are_dropped_where_the_schema_says_so() -> None:
    found = read(
        {
            "customer": ["ada", "bob"],
            "event": ["visit", "order"],
            "message_id": ["1", "2"],
            "amount": [1.0, 2.0],
            "nix": [1, 2],
        },
        schema=schema(unknown_fields="drop"),
    )
    assert found.dropped == {"amount": 1, "nix": 2}
    assert [row.get("properties/amount") for row in told(found)] == [None, 2.0]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"event": ["visit"]}, "no column 'customer'"),
        ({"customer": [1]}, "column 'customer' is int64, expected string"),
        ({"customer": ["a"], "age": ["x"]}, "column 'age' is string, expected int64"),
        ({"customer": ["a"], "age": [1.0]}, "column 'age' is double, expected int64"),
        ({"customer": ["a"], "email": ["x"]}, "'email' is personal"),
        ({"customer": ["a"], "message_id": [1.5]}, "'message_id' is double"),
        ({"customer": ["a"], "age": pa.array([2**63], pa.uint64())}, "does not fit int64"),
    ],
)
def test_a_wrong_column_is_told(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(FrameError, match=message):
        read(columns)


def test_what_is_no_stream_is_told() -> None:
    table = pa.table({"customer": ["a"] * 10})
    with pytest.raises(FrameError, match="compressed within"):
        read_stream(stream(table, compression="zstd"), 1 << 20, 100)
    coded = pa.table({"customer": pa.array(["a" * 99] * 10).dictionary_encode()})
    with pytest.raises(FrameError, match="compressed within"):
        read_stream(stream(coded, compression="lz4"), 1 << 20, 100)
    with pytest.raises(FrameError, match="more than 9 rows"):
        read_stream(stream(table), 1 << 20, 9)
    for body in (b"", b"nonsense", stream(table)[:40]):
        with pytest.raises(FrameError, match="no Arrow IPC stream"):
            read_stream(body, 1 << 20, 100)


def test_damaged_streams_are_told_and_nothing_worse() -> None:
    table = pa.table({"customer": ["a", "b"], "event": ["visit"] * 2, "message_id": ["1", "2"]})
    sound = stream(table)
    random = np.random.default_rng(7)
    for _ in range(400):
        body = bytearray(sound)
        for place in random.integers(0, len(body), random.integers(1, 6)):
            body[place] = random.integers(256)
        with contextlib.suppress(FrameError):
            assert decode_table(read_stream(bytes(body), 1 << 20, 100), schema()).frame.rows <= 2
