"""Compute the identities of whole columns of events: the vectorised twin of `core.identity`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.audience_writer import EventData, PropertyData
from core.identity import FLOAT_EXACT_MAX, INTEGER_TAGS, TAG_FLOAT, TAG_INTEGER, TAG_STRING, text
from ext.hashing import hash_strings, hash_words

Words = NDArray[np.uint64]

CHUNK_ROWS = 1 << 19  # rows whose words lie side by side at one time


def event_hashes(events: EventData, ids: tuple[NDArray[np.int64], pa.Array] | None = None) -> Words:
    """The identity of each event, uint64[m]; `events.hash` is not read.

    `ids` names the rows (int64[k]) of events that have an id of their own, and those (k strings).
    Equal rows without one are told apart by their order, so events must be sorted as they are kept.
    """
    names = np.array([text(name) for name in events.names], np.uint64)[events.code]
    total = property_sums(len(events.ms), events.properties)
    ms = events.ms.view(np.uint64)
    rows, values = (np.zeros(0, np.int64), pa.array([], pa.string())) if ids is None else ids
    plain = np.ones(len(ms), np.bool_)
    plain[rows] = False
    found = _rows_hashed(names, ms, total, _repeats(events, plain, names, total))
    if len(rows):
        found[rows] = _rows_hashed(names[rows], text_words(values))
    return found


def property_sums(rows: int, properties: Mapping[tuple[str, str], PropertyData]) -> Words:
    """The sum of each row's property words modulo 2**64, uint64[rows]."""
    total = np.zeros(rows, np.uint64)
    for (_, name), data in properties.items():
        there = np.flatnonzero(pc.is_valid(data.values).to_numpy(zero_copy_only=False))
        values = data.values if len(there) == len(data.values) else data.values.drop_null()
        tag, payload = _payload(data.kind, values)
        # Rows of one property are distinct, so plain indexing adds each word once.
        total[data.rows[there]] += _rows_hashed(np.uint64(text(name)), tag, payload)
    return total


def _payload(kind: str, values: pa.Array) -> tuple[Any, Words]:
    """The tag, one or one for each value, and the 64 bits of each value; none is null."""
    if kind == "string":
        return np.uint64(TAG_STRING), text_words(values)
    if kind == "float64":
        floats = values.to_numpy(zero_copy_only=False)
        whole = (np.abs(floats) <= FLOAT_EXACT_MAX) & (floats == np.floor(floats))
        integers = np.where(whole, floats, 0).astype(np.int64)
        payload = np.where(whole, integers.view(np.uint64), floats.view(np.uint64))
        return np.where(whole, TAG_INTEGER, TAG_FLOAT).astype(np.uint64), payload
    if kind == "date":
        values = values.cast(pa.int32())
    integers = values.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return np.uint64(INTEGER_TAGS[kind]), np.ascontiguousarray(integers).view(np.uint64)


def text_words(values: pa.Array) -> Words:
    """The word of each string, uint64[n]; none may be null, they may be dictionary-coded."""
    if pa.types.is_dictionary(values.type):
        codes: NDArray[np.int32] = values.indices.to_numpy(zero_copy_only=False)
        return text_words(values.dictionary)[codes]
    values = values.cast(pa.large_string())
    offsets = np.frombuffer(values.buffers()[1], np.int64, len(values) + 1, values.offset * 8)
    return hash_strings(memoryview(values.buffers()[2] or b""), offsets)


def _rows_hashed(*parts: Any) -> Words:
    """`hash_words` of rows given by columns; a scalar part is the same in each row."""
    rows = max(len(part) for part in parts if np.ndim(part))
    found = np.empty(rows, np.uint64)
    for start in range(0, rows, CHUNK_ROWS):
        stop = min(rows, start + CHUNK_ROWS)
        words = np.empty((stop - start, len(parts)), np.uint64)
        for place, part in enumerate(parts):
            words[:, place] = part[start:stop] if np.ndim(part) else part
        found[start:stop] = hash_words(words)
    return found


def _repeats(events: EventData, plain: NDArray[np.bool_], names: Words, total: Words) -> Words:
    """How many `plain` rows of the same customer before each plain one are the same, uint64[m].

    Rows are sorted by customer and time, so equal rows lie in one run of equal (customer, time),
    and only rows that have a neighbour in such a run need be sorted.
    """
    customer, ms = events.customer, events.ms
    repeats = np.zeros(len(ms), np.uint64)
    same = (customer[1:] == customer[:-1]) & (ms[1:] == ms[:-1])
    near = np.zeros(len(ms), np.bool_)
    near[1:] |= same
    near[:-1] |= same
    rows = np.flatnonzero(near & plain)
    if not len(rows):
        return repeats
    order = np.lexsort((total[rows], names[rows], ms[rows], customer[rows]))
    rows = rows[order]
    first = np.ones(len(rows), np.bool_)
    columns: tuple[NDArray[Any], ...] = (total, names, ms, customer)
    first[1:] = np.any([c[rows[1:]] != c[rows[:-1]] for c in columns], axis=0)
    start = np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))
    repeats[rows] = (np.arange(len(rows)) - start).astype(np.uint64)
    return repeats
