"""Build frames from columns, without an object for each row: for bulk imports and measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from actors.event_identity import text_words
from actors.intake.frame import DTYPES, NOT_STATED_MS, UPSERT, Family, Frame, FrameError, Sparse
from core.audience import Column
from core.hashing import hash_bytes
from core.identity import text
from ext.hashing import hash_strings, hash_words
from ext.idmap import IdMap

Strings = tuple[NDArray[np.int64], NDArray[np.uint8]]
"""Offsets int64[n + 1] from 0 and the UTF-8 bytes of n strings."""

NO_COLUMNS: Mapping[str, Any] = {}


def frame_of_columns(
    ids: Strings | Sequence[str],
    *,
    event: str | None,
    occurred_ms: NDArray[np.int64] | None = None,
    message: NDArray[np.uint64] | None = None,
    customer: NDArray[np.int32] | None = None,
    properties: Mapping[str, Column] = NO_COLUMNS,
    attributes: Mapping[str, Column] = NO_COLUMNS,
    tags: Mapping[str, NDArray[np.bool_]] = NO_COLUMNS,
    groups: Mapping[str, NDArray[np.bool_]] = NO_COLUMNS,
    zone: Column | None = None,
    created_ms: NDArray[np.int64] | None = None,
    received_ms: int = 0,
    source: bytes = b"",
    sequence: int = 0,
) -> Frame:
    """A frame of n rows that are all the same event, or with `event` None all changes of customers.

    `ids` are those of the rows, repeated as they come; with `customer` int32[n], an index into
    them, they are distinct. `occurred_ms` int64[n], None: when they arrive. `message` uint64[n]:
    numbers that a source gives its rows once each; their decimal text is the id of the message.
    Columns have n values of which missing ones are not stated, `properties` of an event, the others
    of changes. `tags` and `groups` say of each row whether it puts its customer in, or out.
    `created_ms` int64[n].

    Raises FrameError for columns of other lengths or types, or ids that are not valid.
    """
    offsets, data = ids if isinstance(ids, tuple) else strings_of(ids)
    hashes = hash_strings(data.data, offsets)
    rows = len(hashes) if customer is None else len(customer)
    frame = Frame(
        id_offsets=offsets,
        id_data=data,
        id_hash=hashes,
        customer=np.arange(rows, dtype=np.int32) if customer is None else customer,
        type=np.full(rows, UPSERT if event is None else 0, np.int32),
        event_names=[] if event is None else [event],
        occurred_ms=np.full(rows, NOT_STATED_MS) if occurred_ms is None else occurred_ms,
        received_ms=np.full(rows, received_ms, np.int64),
        message=np.zeros((rows, 2), np.uint64),
        hash=np.zeros(rows, np.uint64),
        source=source,
        sequence=sequence,
    )
    if customer is None:
        _merge_customers(frame)
    if message is not None:
        frame.message = _fingerprints(source, message)
        if event is not None:
            frame.hash = numbered_identities(text(event), message)
    for name, column in properties.items():
        _put(frame, "properties", name, column)
    for name, column in attributes.items():
        _put(frame, "attributes", name, column)
    for name, members in tags.items():
        _put(frame, "tags", name, Column("bool", members.astype(np.int8)))
    for name, members in groups.items():
        _put(frame, "groups", name, Column("bool", members.astype(np.int8)))
    if zone is not None:
        _put(frame, "zone", "", zone)
    if created_ms is not None:
        _put(frame, "created_ms", "", Column("datetime", created_ms))
    frame.check()
    return frame


def strings_of(texts: Sequence[str]) -> Strings:
    """Texts as offsets and bytes."""
    written = [each.encode() for each in texts]
    offsets = np.fromiter(accumulate(map(len, written), initial=0), np.int64, len(written) + 1)
    return offsets, np.frombuffer(b"".join(written), np.uint8)


def _merge_customers(frame: Frame) -> None:
    """Give rows of one id one customer, numbered in order of appearance."""
    numbers = IdMap()
    customer = numbers.add(frame.id_hash)
    if len(numbers) < frame.customers:
        first = np.full(len(numbers), frame.rows, np.int64)
        np.minimum.at(first, customer, np.arange(frame.rows))
        frame.id_offsets, frame.id_data = frame.take_ids(first)
        frame.id_hash = numbers.keys().copy()
    frame.customer = customer


def _fingerprints(source: bytes, message: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """What a numbered message is recognised by, uint64[n, 2].

    The second word is the number, so no two of a source are alike; the first tells sources apart
    and spreads them.
    """
    words = np.empty((len(message), 2), np.uint64)
    words[:, 0] = hash_bytes(source)
    words[:, 1] = message
    found = np.empty_like(words)
    found[:, 0] = hash_words(words)
    found[:, 1] = message
    return found


def numbered_identities(
    event: int | NDArray[np.uint64], message: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """`core.identity.event_word_of_id` of each row, whose id is the number in decimal.

    `event`: the hash of the event's name (`core.identity.text`), of all rows or of each, uint64[n].
    """
    words = np.empty((len(message), 2), np.uint64)
    words[:, 0] = event
    words[:, 1] = text_words(pa.array(message).cast(pa.string()))
    return hash_words(words)


def _put(frame: Frame, family: Family, name: str, column: Column) -> None:
    if len(column) != frame.rows or column.values.dtype != DTYPES[column.kind]:
        raise FrameError(
            f"column {name!r} has {len(column):,} values of {column.values.dtype}, "
            f"expected {frame.rows:,} of {DTYPES[column.kind]}"
        )
    missing = column.missing()
    rows = np.arange(frame.rows, dtype=np.int32)
    values = column.values
    if missing.any():
        rows, values = rows[~missing], values[~missing]
    if len(rows):
        frame.put(family, name, Sparse(column.kind, rows, values, column.dictionary))
