"""Checks that an import from each form of file equals the audience built in memory."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.audience import Audience, Kind
from core.audience_build import audience_from_python
from core.instants import civil_day, instant_ms
from importing import Run, attribute_of, events_of, ids_of

KINDS: dict[str, Kind] = {
    "b": "bool",
    "i": "int64",
    "f": "float64",
    "s": "string",
    "t": "datetime",
    "d": "date",
}
POOLS: dict[str, list[Any]] = {
    "b": [True, False],
    "i": [0, -3, 2**63 - 1, -(2**63) + 1],
    "f": [0.0, 0.1, -2.5, 1e300, 5e-324],
    "s": ["a", "ü 😀", "12", "true", 'quote " and, comma', "line\nbreak", " blank "],
    "t": ["2026-01-01T00:00:00.123Z", "1969-12-31T23:59:59Z"],
    "d": ["2026-02-28", "0001-01-01", "9999-12-31"],
}


def pick(rng: np.random.Generator, name: str) -> Any:
    return None if rng.random() < 0.3 else POOLS[name][rng.integers(0, len(POOLS[name]))]


def make(seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rng = np.random.default_rng(seed)
    customers = [
        {"id": f"c{i}", "created_at": pick(rng, "t"), **{n: pick(rng, n) for n in KINDS}}
        for i in range(20)
    ]
    events = [
        {
            "customer": f"c{rng.integers(0, 25)}",
            "time": int(rng.integers(-5, 5)) * 1000,
            "event": ["x", "y y"][rng.integers(0, 2)],
            "key": None if rng.random() < 0.9 else f"k{i}",
            **{n: pick(rng, n) if rng.random() < 0.3 else None for n in KINDS},
        }
        for i in range(300)
    ]
    return customers, events


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(rows[0])
    for row in rows:
        words = {True: "true", False: "false"}
        writer.writerow(
            [words[v] if isinstance(v, bool) else "" if v is None else repr(v) if
             isinstance(v, float) else v for v in row.values()]
        )  # fmt: skip
    return out.getvalue().encode()


def as_ndjson(rows: list[dict[str, Any]]) -> bytes:
    kept = [{k: v for k, v in row.items() if v is not None} for row in rows]
    return "\n".join(json.dumps(row) for row in kept).encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    columns: dict[str, pa.Array] = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name in ("t", "created_at"):
            ms = [None if v is None else instant_ms(v) for v in values]
            columns[name] = pa.array(ms, pa.timestamp("ms", "UTC"))
        elif name == "d":
            days = [None if v is None else civil_day(v) for v in values]
            columns[name] = pa.array(days, pa.int32()).cast(pa.date32())
        elif name == "s":
            columns[name] = pa.array(values, pa.string()).dictionary_encode()
        else:
            columns[name] = pa.array(values)
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, row_group_size=50)
    return out.getvalue()


def state(audience: Audience) -> dict[str, Any]:
    return {
        "ids": ids_of(audience),
        "hash": audience.id_hash.tolist(),
        "created": audience.created_ms.tolist(),
        "attributes": {name: attribute_of(audience, name) for name in audience.attributes},
        "kinds": {name: column.kind for name, column in audience.properties.items()},
        "events": events_of(audience),
        "event_hash": audience.event_hash.tolist(),
        "offsets": audience.event_offsets.tolist(),
    }


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
@pytest.mark.parametrize("seed", range(3))
def test_an_import_equals_the_audience_built_in_memory(run: Run, form: str, seed: int) -> None:
    customers, events = make(seed)
    written = {"csv": as_csv, "ndjson": as_ndjson, "parquet": as_parquet}[form]
    columns = {name: {"column": name, "type": kind} for name, kind in KINDS.items()}
    mapping = {
        "customers": {
            "file": f"people.{form}",
            "id": "id",
            "created_at": "created_at",
            "attributes": columns,
        },
        "events": {
            "file": f"log.{form}",
            "customer": "customer",
            "time": {"column": "time", "format": "unix_ms"},
            "event": "event",
            "id": "key",
            "properties": columns,
        },
    }
    done = run(mapping, {f"people.{form}": written(customers), f"log.{form}": written(events)})
    assert done.rejects == []
    expected = audience_from_python(
        [
            {
                "id": c["id"],
                "created_at": c["created_at"],
                "attributes": {name: c[name] for name in KINDS},
            }
            for c in customers
        ],
        [
            {
                "customer": e["customer"],
                "time": e["time"],
                "event": e["event"],
                "id": e["key"],
                "properties": {name: e[name] for name in KINDS if e[name] is not None},
            }
            for e in events
        ],
        attribute_types=KINDS,
        property_types=KINDS,
    )
    assert state(done.load()) == state(expected)
