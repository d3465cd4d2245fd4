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

from actors.intake.columns import OWN, decode_table
from actors.intake.frame import FrameError
from actors.intake.rows import Decoded
from api.http.ingest.translation import Places
from core.instants import instant_ms
from core.tenant_schema import TenantSchema

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


def read_tracks(body: bytes, places: Places, namespace: str, skew_ms: int) -> pa.Table | None:
    """The table of a batch's calls, as `decode_table` takes it; None where any is not plain.

    `skew_ms` is added to every time that is stated; ids of messages become `namespace:id`.
    """
    found = parse_tracks(body, places)
    return None if found is None else table_of([Plain(found.batch, skew_ms)], places, namespace)


def table_of(requests: Sequence[Plain], places: Places, namespace: str) -> pa.Table | None:
    """The table of the calls of several requests, in order; None where any is not plain."""
    tracks = [track for request in requests for track in request.tracks]
    columns: dict[str, list[object]] = {}
    for row, track in enumerate(tracks):
        if track.properties is None:
            continue
        for name, value in track.properties.items():
            if value is None:
                if name not in places.events.get(track.event, ()):
                    return None
                continue  # It states nothing.
            column = columns.get(name)
            if column is None:
                if name in OWN:
                    return None
                columns[name] = column = [None] * len(tracks)
            column[row] = value
    skew_ms = np.repeat([each.skew_ms for each in requests], [each.count for each in requests])
    try:
        return pa.table(
            {
                "customer": pa.array([t.user_id or t.anonymous_id for t in tracks], pa.string()),
                "event": pa.array([t.event for t in tracks], pa.string()).dictionary_encode(),
                "occurred": _instants([t.timestamp for t in tracks], skew_ms),
                "message_id": pa.array([f"{namespace}:{t.message_id}" for t in tracks]),
                **{name: pa.array(values) for name, values in columns.items()},
            }
        )
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        return None


def decode_tracks(table: pa.Table, schema: TenantSchema) -> Decoded | None:
    """What a table of `read_tracks` amounts to; None where the schema does not take all of it."""
    try:
        found = decode_table(table, schema)
    except FrameError:
        return None
    return None if found.rejects or found.dropped else found


def _instants(texts: Sequence[str | None], skew_ms: NDArray[np.int64]) -> pa.Array:
    """Times as ms UTC, to each of which its skew is added. Raises ValueError for what is none."""
    try:
        nanos = pc.cast(pa.array(texts, pa.string()), _NANOS).cast(pa.int64())
    except pa.ArrowException:
        # Forms that Arrow does not know.
        skews = zip(texts, skew_ms.tolist(), strict=True)
        plain = [None if text is None else instant_ms(text) + skew for text, skew in skews]
        return pa.array(plain, pa.int64())
    missing = nanos.is_null().to_numpy(zero_copy_only=False)
    ms = np.floor_divide(nanos.fill_null(0).to_numpy(), 1_000_000) + skew_ms
    return pa.array(ms, pa.int64(), mask=missing)
