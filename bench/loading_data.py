"""Make up the files of an export, the same from the same seed, to import and to load.

Customers with 10 attributes, ten times as many events of 12 types over 90 days in the order of
time, each with two properties that half of them have. Written as CSV, NDJSON or Parquet with the
mapping that imports them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

EVENTS_EACH = 10
DAYS = 90
DAY_S = 86_400
START_S = 1_767_225_600  # 2026-01-01T00:00:00Z
NAMES = ("visit", "search", "cart", "purchase", "refund", "review", "signup", "login", "logout",
         "sent", "open", "click")  # fmt: skip
CATEGORIES = ("shoes", "gifts", "toys", "books", "food", "garden", "music", "sport")
LINES_ROWS = 1 << 18  # objects made into lines at one time


def write_export(folder: Path, customers: int, form: str, *, seed: int = 1) -> Path:
    """Write `customers` and `events` in a form (csv, ndjson, parquet); return their mapping."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    _write(_customers(rng, customers), folder / f"customers.{form}")
    _write(_events(rng, customers), folder / f"events.{form}")
    mapping = {
        "headrace_mapping": 1,
        "as_of": "2026-04-01T00:00:00Z",
        "zone": "Europe/Berlin",
        "customers": {
            "file": f"customers.{form}",
            "id": "id",
            "created_at": "created_at",
            "zone": "zone",
            "attributes": "all",
        },
        "events": {
            "file": f"events.{form}",
            "customer": "customer",
            "time": "time",
            "event": "event",
            "properties": {"amount": "amount", "category": "category"},
        },
    }
    path = folder / "mapping.json"
    path.write_text(json.dumps(mapping))
    return path


def _customers(rng: np.random.Generator, count: int) -> pa.Table:
    joined = START_S - rng.integers(0, 1_000 * DAY_S, count)
    born = rng.integers(-10_000, 13_000, count).astype(np.int32)
    return pa.table(
        {
            "id": _ids(np.arange(count)),
            "created_at": _instants(joined),
            "zone": _picked(rng, ("Europe/Berlin", "Europe/London", "America/New_York"), count),
            "country": _picked(rng, ("DE", "FR", "IT", "US", "PL"), count),
            "language": _some(rng, _picked(rng, ("de", "fr", "it", "en", "pl"), count), 0.95),
            "consent_email": pa.array(rng.random(count) < 0.6),
            "consent_sms": pa.array(rng.random(count) < 0.4),
            "age": _some(rng, pa.array(rng.integers(18, 90, count)), 0.9),
            "score": pa.array(np.round(rng.random(count) * 100, 2)),
            "birthday": pa.array(born).cast(pa.date32()),
            "plan": _picked(rng, ("free", "basic", "pro"), count),
            "orders": pa.array(rng.integers(0, 50, count)),
            "balance": _some(rng, pa.array(np.round(rng.random(count) * 1_000, 2)), 0.7),
        }
    )


def _events(rng: np.random.Generator, customers: int) -> pa.Table:
    count = EVENTS_EACH * customers
    return pa.table(
        {
            "customer": _ids(rng.integers(0, customers, count)),
            "time": _instants(np.sort(START_S + rng.integers(0, DAYS * DAY_S, count))),
            "event": _picked(rng, NAMES, count),
            "amount": _some(rng, pa.array(np.round(rng.random(count) * 200, 2)), 0.5),
            "category": _some(rng, _picked(rng, CATEGORIES, count), 0.5),
        }
    )


def _ids(numbers: np.ndarray[Any, Any]) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 8, padding="0")
    return pc.binary_join_element_wise("c", digits, "")


def _instants(seconds: np.ndarray[Any, Any]) -> pa.Array:
    return pa.array(seconds).cast(pa.timestamp("s", "UTC"))


def _picked(rng: np.random.Generator, values: tuple[str, ...], count: int) -> pa.Array:
    return pa.array(values).take(pa.array(rng.integers(0, len(values), count)))


def _some(rng: np.random.Generator, values: pa.Array, share: float) -> pa.Array:
    """The values with a share of them there and the others null."""
    there = pa.array(rng.random(len(values)) < share)
    return pc.if_else(there, values, pa.scalar(None, values.type))


def _write(table: pa.Table, path: Path) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".csv":
        pacsv.write_csv(table, path)
    else:
        with path.open("wb") as file:
            for batch in table.to_batches(LINES_ROWS):
                file.write(_lines(batch))


def _lines(batch: pa.RecordBatch) -> bytes:
    """A JSON object on a line for each row; nulls are left out."""
    parts = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        quoted = pa.types.is_string(column.type) or pa.types.is_temporal(column.type)
        mark = '"' if quoted else ""
        text = pc.binary_join_element_wise(f'"{name}":{mark}', column.cast(pa.string()), mark, "")
        parts.append(text)
    objects = pc.binary_join_element_wise(*parts, ",", null_handling="skip")
    lines = pc.binary_join_element_wise("{", objects, "}\n", "")
    return bytes(lines.buffers()[2])
