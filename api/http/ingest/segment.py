"""Read the calls of the Segment HTTP API, which RudderStack and Customer.io's CDP speak too.

`track` is an event, `identify` a change of the customer's record, `page` and `screen` the standard
events `page_visited` and `screen_viewed`, `group` puts the customer into a group. `alias` merges
`previousId` into `userId`; so does RudderStack's `merge`, of two ids. An `identify` with both ids
merges nobody: libraries send both with every call, and their contract leaves it to `alias`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np

from actors.intake.frame import Frame
from actors.intake.rows import Decoded, decode_rows
from actors.intake.values import RefusedError
from api.http.ingest.tracks import Plain, frame_of_tracks, parse_tracks
from api.http.ingest.translation import (
    PAGE_EVENT,
    SCREEN_EVENT,
    Places,
    Translation,
    decoded,
    flat,
    id_text,
    kept,
    mapping,
    message_id,
    occurred,
    skew_ms,
    translated,
    with_context,
)
from api.http.limits import Sizes
from api.http.problems import refuse
from core.tenant_schema import TenantSchema
from core.zones import zone_names

BATCH_BYTES = 16
NAMESPACE = "segment"
SIZES = Sizes(4 << 20, 4 << 20, 64 << 10, 2_500)
"""RudderStack takes 4 MB a batch, Customer.io 64 KiB an event; Segment takes less of each."""

KINDS = ("identify", "track", "page", "screen", "group", "alias", "merge")
LETTERS = {"i": "identify", "t": "track", "p": "page", "s": "screen", "g": "group", "a": "alias"}
"""The last part of the path as browsers shorten it; `b` is a batch."""

_AUTOMATIC = frozenset({"path", "referrer", "search", "title", "keywords", "name", "category"})
_MERGED_AS = {"anonymous_id": "anonymous", "anonymousId": "anonymous"} | dict.fromkeys(
    ("user_id", "userId", "id"), "user"
)
_SPELLED = {"firstName": "first_name", "lastName": "last_name"}
_CREATED = ("createdAt", "created_at")


class Call(msgspec.Struct, rename="camel"):
    """One call, as far as it is read."""

    type: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    message_id: Any = None
    event: Any = None
    name: Any = None
    category: Any = None
    properties: Any = None
    traits: Any = None
    group_id: Any = None
    previous_id: Any = None
    merge_properties: Any = None
    timestamp: Any = None
    original_timestamp: Any = None
    context: msgspec.Raw = msgspec.Raw()


class Head(msgspec.Struct, rename="camel"):
    """What stands around calls."""

    sent_at: Any = None
    write_key: Any = None


class Batch(msgspec.Struct, rename="camel"):
    """Calls in one request, and what holds for all of them."""

    batch: list[msgspec.Raw]
    sent_at: Any = None
    context: msgspec.Raw = msgspec.Raw()


_CALL = msgspec.json.Decoder(Call)
_HEAD = msgspec.json.Decoder(Head)
_BATCH = msgspec.json.Decoder(Batch)
_CONTEXT = msgspec.json.Decoder(dict[str, Any])


def read_call(body: bytes, kind: str, places: Places, received_ms: int) -> Translation:
    """A body of one call of `kind`, whatever type it states. Raises ProblemError."""
    if len(body) > SIZES.event_bytes_max:
        detail = f"the event has {len(body):,} bytes; at most {SIZES.event_bytes_max:,} are taken"
        raise refuse(413, "too-large", detail, "Send fewer properties")
    head = decoded(_HEAD, body)
    reader = _Reader(places, skew_ms(head.sent_at, received_ms), kind)
    return translated([msgspec.Raw(body)], reader.read, item_bytes_max=SIZES.event_bytes_max)


def read_batch(body: bytes, places: Places, received_ms: int) -> Translation:
    """A body of several calls, each of the type it states. Raises ProblemError."""
    batch = _checked(body)
    skew = skew_ms(batch.sent_at, received_ms)
    plain = read_plain(body, places, received_ms)
    if plain is None:
        return _rows(batch, places, skew)

    rows = cache(lambda: _rows(batch, places, skew).rows)  # where some are refused

    def decode(schema: TenantSchema) -> Decoded:
        frame = frame_of_plain([plain], places, schema)
        if frame is not None:
            return Decoded(frame, np.arange(frame.rows))
        return decode_rows(rows(), schema, batch=os.urandom(BATCH_BYTES))

    return Translation(count=len(batch.batch), decode=decode, row_of=lambda i: rows()[i])


def read_plain(body: bytes, places: Places, received_ms: int) -> Plain | None:
    """A body of calls that may be taken in together with those of other requests, else None."""
    found = parse_tracks(body, places)
    if found is None or len(found.batch) > SIZES.events_max:
        return None
    if len(body) > SIZES.event_bytes_max and (
        max(map(_size, _checked(body).batch)) > SIZES.event_bytes_max
    ):
        return None
    return Plain(found.batch, skew_ms(found.sent_at, received_ms))


def frame_of_plain(requests: Sequence[Plain], places: Places, schema: TenantSchema) -> Frame | None:
    """The calls of several requests in order; None where the schema does not take all of them."""
    return frame_of_tracks(requests, NAMESPACE, places, schema)


def _size(call: msgspec.Raw) -> int:
    return memoryview(call).nbytes


def _checked(body: bytes) -> Batch:
    batch = decoded(_BATCH, body)
    if len(batch.batch) > SIZES.events_max:
        detail = (
            f"the batch has {len(batch.batch):,} events; at most {SIZES.events_max:,} are taken"
        )
        raise refuse(413, "too-many-events", detail, "Send smaller batches")
    return batch


def _rows(batch: Batch, places: Places, skew: int) -> Translation:
    reader = _Reader(places, skew, outer=batch.context)
    return translated(batch.batch, reader.read, item_bytes_max=SIZES.event_bytes_max)


def key_of(body: bytes) -> str:
    """The write key that stands in a body, "" if there is none. Raises ProblemError."""
    found = decoded(_HEAD, body).write_key
    return found if type(found) is str else ""


class _Reader:
    """Reads the calls of one request."""

    def __init__(
        self, places: Places, skew: int, kind: str = "", outer: msgspec.Raw | None = None
    ) -> None:
        self._places = places
        self._skew = skew
        self._kind = kind
        self._outer_raw = outer
        self._outer: dict[str, Any] | None = None

    def read(self, found: Translation, item: msgspec.Raw) -> Any:
        call = _CALL.decode(item)
        kind = self._kind or call.type
        make = _MAKERS.get(kind) if type(kind) is str else None
        if make is None:
            message = f"expected one of {', '.join(KINDS)}"
            raise RefusedError("invalid-value", message, "type")
        return make(self, found, call)

    def row(self, call: Call) -> dict[str, Any]:
        """What rows of all types have."""
        customer = id_text(call.user_id) or id_text(call.anonymous_id)
        if customer is None:
            message = "there is neither a userId nor an anonymousId"
            raise RefusedError("missing-field", message, "userId")
        row: dict[str, Any] = {"customer": customer}
        at = call.original_timestamp if call.timestamp is None else call.timestamp
        if at is not None:
            row["occurred"] = occurred(at, self._skew)
        message_id_ = message_id(NAMESPACE, call.message_id)
        if message_id_ is not None:
            row["message_id"] = message_id_
        return row

    def event(self, call: Call, name: Any, properties: Any) -> dict[str, Any]:
        row = self.row(call)
        row["event"] = name
        wanted = self._places.context.get(name) if type(name) is str else None
        if wanted:
            properties = with_context(properties, wanted, self.context(call))
        if properties:
            row["properties"] = properties
        return row

    def context(self, call: Call) -> dict[str, Any]:
        if self._outer is None:
            self._outer = _context(self._outer_raw)
        return {**self._outer, **_context(call.context)} if call.context else self._outer

    def track(self, found: Translation, call: Call) -> dict[str, Any]:
        if call.event is None:
            raise RefusedError("missing-field", "a track call names its event", "event")
        return self.event(call, call.event, mapping(call.properties, "properties"))

    def page(self, found: Translation, call: Call) -> dict[str, Any]:
        values = dict(mapping(call.properties, "properties"))
        if "url" not in values:
            page = self.context(call).get("page")
            if type(page) is dict and type(page.get("url")) is str:
                values["url"] = page["url"]
        return self._view(call, PAGE_EVENT, values)

    def screen(self, found: Translation, call: Call) -> dict[str, Any]:
        values = dict(mapping(call.properties, "properties"))
        if call.name is not None:
            values["screen"] = call.name
        return self._view(call, SCREEN_EVENT, values)

    def _view(self, call: Call, event: str, values: dict[str, Any]) -> dict[str, Any]:
        for name, value in (("name", call.name), ("category", call.category)):
            if value is not None:
                values.setdefault(name, value)
        known = self._places.events.get(event, frozenset())
        return self.event(call, event, kept(values, known, _AUTOMATIC))

    def identify(self, found: Translation, call: Call) -> dict[str, Any]:
        row = self.row(call)
        known = self._places.attributes
        context = self.context(call)
        # RudderStack's libraries put the traits into the context.
        traits = context.get("traits") if call.traits is None else call.traits
        values = dict(mapping(traits, "traits"))
        for given, ours in _SPELLED.items():
            if given in values and given not in known and ours in known:
                values.setdefault(ours, values.pop(given))
        for name in _CREATED:
            if name in values and name not in known:
                row["created"] = values.pop(name)
        if "timezone" in values and "timezone" not in known:
            row["zone"] = values.pop("timezone")
        zone = context.get("timezone")
        if "zone" not in row and type(zone) is str and zone in zone_names():
            row["zone"] = zone
        wanted = [name for name in known if name.startswith("context_")]
        row["set"] = with_context(values, wanted, context) if wanted else values
        if id_text(call.user_id) and id_text(call.anonymous_id):
            found.left_out["identity-link"] += 1
        return row

    def group(self, found: Translation, call: Call) -> dict[str, Any]:
        group = id_text(call.group_id)
        if group is None:
            raise RefusedError("missing-field", "a group call names its group", "groupId")
        row = self.row(call)
        row["groups"] = {"add": [group]}
        if flat(mapping(call.traits, "traits")):
            found.left_out["group-traits"] += 1
        return row

    def alias(self, found: Translation, call: Call) -> dict[str, Any]:
        previous = id_text(call.previous_id)
        if previous is None:
            raise RefusedError("missing-field", "an alias names its previous id", "previousId")
        customer = id_text(call.user_id)
        if customer is None:
            raise RefusedError("missing-field", "an alias names its user", "userId")
        return found.merge(previous, customer, message_id(NAMESPACE, call.message_id))

    def merge(self, found: Translation, call: Call) -> dict[str, Any]:
        if call.merge_properties is None:
            return self.alias(found, call)
        given = call.merge_properties if type(call.merge_properties) is list else []
        ids = {
            _MERGED_AS.get(str(each.get("type"))): id_text(each.get("value"))
            for each in given
            if type(each) is dict
        }
        previous, customer = ids.get("anonymous"), ids.get("user")
        if len(given) != 2 or previous is None or customer is None:
            message = "two are merged: one of type anonymous_id into one of type user_id"
            raise RefusedError("invalid-value", message, "mergeProperties")
        return found.merge(previous, customer, message_id(NAMESPACE, call.message_id))


def _context(raw: msgspec.Raw | None) -> dict[str, Any]:
    """A context, {} for what is none: it is no more than what surrounds an event."""
    try:
        return _CONTEXT.decode(raw) if raw else {}
    except (msgspec.MsgspecError, RecursionError):
        return {}


_MAKERS: dict[str, Callable[[_Reader, Translation, Call], Any]] = {
    "identify": _Reader.identify,
    "track": _Reader.track,
    "page": _Reader.page,
    "screen": _Reader.screen,
    "group": _Reader.group,
    "alias": _Reader.alias,
    "merge": _Reader.merge,
}
