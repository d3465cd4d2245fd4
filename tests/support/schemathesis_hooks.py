"""Tells Schemathesis what the document cannot: bodies that are no JSON, and keys used only once."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pyarrow as pa
import schemathesis
from hypothesis import strategies as st

KEY = "Idempotency-Key"
ROWS: list[dict[str, Any]] = [
    {"customer": "c-1", "event": "signup"},
    {"customer": "c-2", "event": "order", "properties": {"amount": 59.9}},
    {"customer": "c-3", "set": {"plan": "pro"}},
]
"""Rows, one of which is refused by itself in a tenant without that event or attribute."""
_numbers = count()


def _lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _columns(rows: list[dict[str, Any]]) -> bytes:
    table = pa.table(
        {name: [row.get(name) for row in rows] for name in ("customer", "event")},
        schema=pa.schema([("customer", pa.string()), ("event", pa.string())]),
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def _some(encode: Callable[[list[dict[str, Any]]], Any], rows: int) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(ROWS[:rows]), min_size=1, max_size=5).map(encode)


schemathesis.openapi.format("ndjson", _some(_lines, 3))
schemathesis.openapi.media_type("application/vnd.apache.arrow.stream", _some(_columns, 2))


@schemathesis.serializer("application/x-ndjson")
def as_it_is(context: Any, value: Any) -> bytes:
    """Send lines as they are; what is no text becomes none either."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else b"\xff"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Use no key for two requests: that this is refused is tested elsewhere."""
    if (
        KEY in (case.headers or {})
        and case.meta is not None
        and case.meta.generation.mode.is_positive
    ):
        case.headers[KEY] = f"try-{next(_numbers)}"
