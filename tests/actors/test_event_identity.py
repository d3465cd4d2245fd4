"""Check the vectorised identities of events against the scalar definition."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from actors import event_identity
from actors.audience_writer import ARROW_TYPES, EventData, PropertyData
from actors.event_identity import event_hashes, text_words
from core.audience import Kind
from core.identity import event_word, event_word_of_id, text

KINDS: dict[str, Kind] = {
    "amount": "float64",
    "items": "int64",
    "sku": "string",
    "gift": "bool",
    "at": "datetime",
    "day": "date",
}
POOLS: dict[str, list[Any]] = {
    "amount": [None, 0.0, -0.0, 2.5, 3.0, 1e300, 2.0**60],
    "items": [None, 0, 3, -(2**63) + 1, 2**63 - 1],
    "sku": [None, "", "a", "ü", "ab" * 40],
    "gift": [None, True, False],
    "at": [None, 0, 1_767_225_600_123],
    "day": [None, -1, 20_000],
}


def make_events(seed: int, rows: int) -> tuple[EventData, list[dict[str, Any]]]:
    rng = np.random.default_rng(seed)
    customer = np.sort(rng.integers(0, 5, rows)).astype(np.uint32)
    ms = np.zeros(rows, np.int64)
    for owner in range(5):
        own = customer == owner
        ms[own] = np.sort(rng.integers(-3, 3, own.sum()))
    code = rng.integers(0, 2, rows).astype(np.int32)
    records: list[dict[str, Any]] = [{} for _ in range(rows)]
    data = EventData(customer, ms, code, ["buy", "view"], np.zeros(rows, np.uint64))
    for place, event in enumerate(data.names):
        for name, kind in KINDS.items():
            held = np.flatnonzero(code == place)
            pool = POOLS[name]
            # Mostly missing, so that equal rows are common.
            picks = np.where(rng.random(len(held)) < 0.1, rng.integers(0, len(pool), len(held)), 0)
            values = [pool[pick] for pick in picks]
            for row, value in zip(held, values, strict=True):
                records[row][name] = value
            column = pa.array(values, ARROW_TYPES[kind])
            data.properties[event, name] = PropertyData(kind, held, column)
    return data, records


@pytest.mark.parametrize("seed", range(5))
def test_columns_agree_with_the_definition(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_identity, "CHUNK_ROWS", 7)
    data, records = make_events(seed, 400)
    seen: Counter[tuple[int, int]] = Counter()
    expected = []
    for row, record in enumerate(records):
        event = data.names[data.code[row]]
        held = {name: (KINDS[name], value) for name, value in record.items()}
        key = (int(data.customer[row]), event_word(event, int(data.ms[row]), held))
        expected.append(event_word(event, int(data.ms[row]), held, seen[key]))
        seen[key] += 1
    assert max(seen.values()) > 2
    assert event_hashes(data).tolist() == expected


def test_ids_decide_alone_and_do_not_count_as_repeats() -> None:
    data = EventData(
        customer=np.zeros(4, np.uint32),
        ms=np.full(4, 7),
        code=np.zeros(4, np.int32),
        names=["buy"],
        hash=np.zeros(4, np.uint64),
    )
    found = event_hashes(data, (np.array([1, 2]), pa.array(["e1", "e2"])))
    assert found.tolist() == [
        event_word("buy", 7, {}, 0),
        event_word_of_id("buy", "e1"),
        event_word_of_id("buy", "e2"),
        event_word("buy", 7, {}, 1),
    ]


def test_text_words_take_slices_and_dictionaries() -> None:
    values = pa.array(["x", "a", "b", "a"]).slice(1)
    assert text_words(values).tolist() == [text("a"), text("b"), text("a")]
    assert text_words(values.dictionary_encode()).tolist() == [text("a"), text("b"), text("a")]
    assert text_words(pa.array([], pa.string())).tolist() == []
