"""Read a batch that is nothing but plain `track` calls as columns, several times as fast as rows.

What is unusual in any call (another type, a number as an id, nested properties, a value that the
schema does not take as it stands) sends the whole batch through `api.http.ingest.segment`, which
tells what is wrong with which call. So both ways take the same and refuse the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.intake.bulk import strings_of
from actors.intake.columns import BYTES_OF_CHAR
from actors.intake.frame import (
    DTYPES,
    INSTANT_MAX_MS,
    INSTANT_MIN_MS,
    NOT_STATED_MS,
    Frame,
    FrameError,
    Sparse,
)
from actors.intake.rows import fingerprints, identities
from actors.intake.values import RefusedError, reader_of, text_of
from api.http.ingest.translation import Places
from core.audience import Kind
from core.instants import instant_ms
from core.internal_events import is_internal
from core.tenant_schema import TenantSchema
from ext.hashing import hash_strings

ID_CHARS_MAX = 128  # of a message's id; a longer one may be shortened to a hash
_NANOS = pa.timestamp("ns", "UTC")


class Track(msgspec.Struct, rename="camel", gc=False):
    """A call that is plain so far."""

    type: Literal["track"]
    event: str
    message_id: str
    user_id: str = ""
    anonymous_id: str = ""
    properties: dict[str, bool | int | float | str | None] | None = None
    timestamp: str | None = None
    original_timestamp: None = None


class Tracks(msgspec.Struct, rename="camel"):
    """A batch of them."""

    batch: list[Track]
    sent_at: Any = None


@dataclass(frozen=True, slots=True)
class Plain:
    """The calls of one request, at least one; `skew_ms` is added to every time that is stated."""

    tracks: list[Track]
    skew_ms: int

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.tracks)


_TRACKS = msgspec.json.Decoder(Tracks)


def parse_tracks(body: bytes, places: Places) -> Tracks | None:
    """A batch whose calls look plain one by one; None where any does not."""
    try:
        found = _TRACKS.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    tracks = found.batch
    for track in tracks:
        if not (track.user_id or track.anonymous_id) or not 0 < len(track.message_id) <= (
            ID_CHARS_MAX
        ):
            return None
    if places.context and any(track.event in places.context for track in tracks):
        return None
    return found if tracks else None


def frame_of_tracks(
    requests: Sequence[Plain], namespace: str, places: Places, schema: TenantSchema
) -> Frame | None:
    """The rows of the calls of several requests, in order, with ids of messages `namespace:id`.

    None where the schema does not take all of them as they stand.
    """
    tracks = [track for request in requests for track in request.tracks]
    try:
        return _frame(tracks, _skews(requests), namespace, places, schema)
    except (_UnusualError, RefusedError, FrameError, ValueError, OverflowError):
        return None


class _UnusualError(Exception):
    """A call that is not plain after all."""


def _frame(
    tracks: Sequence[Track],
    skew_ms: NDArray[np.int64],
    namespace: str,
    places: Places,
    schema: TenantSchema,
) -> Frame:
    customers: dict[str, int] = {}
    number = [
        customers.setdefault(track.user_id or track.anonymous_id, len(customers))
        for track in tracks
    ]
    offsets, data = strings_of(list(customers))
    if np.diff(offsets).max() > schema.settings.id_bytes_max:
        raise _UnusualError
    events: dict[str, int] = {}
    kinds = np.array([events.setdefault(t.event, len(events)) for t in tracks], np.int32)
    if not places.kinds.keys() >= events.keys() or any(is_internal(name) for name in events):
        raise _UnusualError
    names = list(events)
    messages = [f"{namespace}:{track.message_id}".encode() for track in tracks]
    frame = Frame(
        id_offsets=offsets,
        id_data=data,
        id_hash=hash_strings(data.data, offsets),
        customer=np.array(number, np.int32),
        type=kinds,
        event_names=names,
        occurred_ms=_instants([track.timestamp for track in tracks], skew_ms),
        received_ms=np.zeros(len(tracks), np.int64),
        message=fingerprints(messages),
        hash=identities(names, kinds, messages),
    )
    for name, (rows, values) in _columns(tracks, places, schema.settings.fields_max).items():
        of_event = [places.kinds[each].get(name) for each in names]
        at = np.array(rows, np.int32)
        found = {of_event[event] for event in np.unique(kinds[at]).tolist()}
        if len(found) > 1 or None in found:
            raise _UnusualError
        frame.put("properties", name, _sparse(found.pop(), at, values, schema))
    frame.check()
    return frame


def _columns(
    tracks: Sequence[Track], places: Places, fields_max: int
) -> dict[str, tuple[list[int], list[Any]]]:
    """The properties by name: the rows that have one, and its values there."""
    found: dict[str, tuple[list[int], list[Any]]] = {}
    for row, track in enumerate(tracks):
        properties = track.properties
        if not properties:
            continue
        if len(properties) > fields_max:
            raise _UnusualError
        for name, value in properties.items():
            if value is None:
                if name not in places.kinds[track.event]:
                    raise _UnusualError
                continue  # It states nothing.
            column = found.get(name)
            if column is None:
                found[name] = column = ([], [])
            column[0].append(row)
            column[1].append(value)
    return found


def _sparse(
    kind: Kind | None, rows: NDArray[np.int32], values: list[Any], schema: TenantSchema
) -> Sparse:
    """A column of `kind` of values that all are what it takes. Raises RefusedError, ValueError."""
    assert kind is not None
    types = set(map(type, values))
    if kind == "string" and types == {str}:
        codes: dict[str, int] = {}
        code = [codes.setdefault(value, len(codes)) for value in values]
        texts = list(codes)
        if max(map(len, texts)) * BYTES_OF_CHAR > schema.settings.text_bytes_max:
            for text in texts:
                text_of(text, schema.settings.text_bytes_max)
        return Sparse(kind, rows, np.array(code, np.int32), texts)
    if kind == "float64" and types == {float}:
        # JSON has no infinite numbers.
        return Sparse(kind, rows, np.array(values, np.float64))
    if kind == "string":
        raise _UnusualError
    read = reader_of(kind, schema.settings.text_bytes_max)
    return Sparse(kind, rows, np.array([read(value) for value in values], DTYPES[kind]))


def _skews(requests: Sequence[Plain]) -> NDArray[np.int64]:
    counts = [each.count for each in requests]
    return np.repeat(np.array([each.skew_ms for each in requests], np.int64), counts)


def _instants(texts: Sequence[str | None], skew_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Times as ms UTC, to each of which its skew is added. Raises ValueError for what is none."""
    try:
        nanos = pc.cast(pa.array(texts, pa.string()), _NANOS).cast(pa.int64())
    except pa.ArrowException:
        # Forms that Arrow does not know.
        skews = zip(texts, skew_ms.tolist(), strict=True)
        plain = [None if text is None else instant_ms(text) + skew for text, skew in skews]
        missing = np.array([each is None for each in plain], np.bool_)
        ms = np.array([each or 0 for each in plain], np.int64)
    else:
        missing = nanos.is_null().to_numpy(zero_copy_only=False)
        ms = np.floor_divide(nanos.fill_null(0).to_numpy(), 1_000_000) + skew_ms
    stated = ms[~missing]
    if len(stated) and not INSTANT_MIN_MS <= stated.min() <= stated.max() <= INSTANT_MAX_MS:
        raise _UnusualError
    ms[missing] = NOT_STATED_MS
    return ms
