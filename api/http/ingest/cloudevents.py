"""Read CloudEvents 1.0 from HTTP in its three modes: binary, structured and batched.

The type names the event, the subject the customer, the time when it happened, the data its
properties. The type `headrace.identify` changes the customer's record by its data instead.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from actors.intake.values import RefusedError
from api.http.ingest.translation import (
    Places,
    Translation,
    decoded,
    mapping,
    message_id,
    occurred,
    translated,
)
from api.http.limits import Sizes
from api.http.problems import refuse

NAMESPACE = "cloudevents"
SIZES = Sizes(8 << 20, 8 << 20, 512 << 10, 10_000)
STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"
IDENTIFY = "headrace.identify"
_VERSION = "1.0"


class Event(msgspec.Struct):
    """One event, as far as it is read."""

    id: Any = None
    source: Any = None
    specversion: Any = None
    type: Any = None
    subject: Any = None
    time: Any = None
    datacontenttype: Any = None
    data: Any = None
    data_base64: Any = None


_EVENT = msgspec.json.Decoder(Event)
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_DATA = msgspec.json.Decoder(Any)


def read_events(body: bytes, headers: Mapping[str, str], places: Places) -> Translation:
    """The events of a request, by its Content-Type. Raises ProblemError.

    `headers` have lower-case names. In a batch a wrong event costs itself, else the request.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind.startswith("application/cloudevents-batch"):
        _check_json(kind, BATCHED)
        items = decoded(_LIST, body)
        if len(items) > SIZES.events_max:
            detail = f"the batch has {len(items):,} events; at most {SIZES.events_max:,} are taken"
            raise refuse(413, "too-many-events", detail, "Send smaller batches")
        return translated(items, _from_raw, item_bytes_max=SIZES.event_bytes_max)
    if len(body) > SIZES.event_bytes_max:
        detail = f"the event has {len(body):,} bytes; at most {SIZES.event_bytes_max:,} are taken"
        raise refuse(413, "too-large", detail, "Send less data with it")
    if kind.startswith("application/cloudevents"):
        _check_json(kind, STRUCTURED)
        event = decoded(_EVENT, body)
    elif "ce-specversion" in headers or "ce-id" in headers:
        event = _binary(body, headers, kind)
    else:
        detail = "there is neither a ce-id header nor a Content-Type of CloudEvents"
        raise refuse(400, "not-a-cloudevent", detail, f"Send {STRUCTURED}, or ce- headers")
    try:
        return Translation([_row(event)], 1)
    except RefusedError as refused:
        pointer = "/" + "/".join(map(str, refused.steps)) if refused.steps else None
        raise refuse(400, "not-a-cloudevent", refused.message, pointer=pointer) from None


def _check_json(kind: str, expected: str) -> None:
    if kind != expected:
        detail = f"the event format {kind[:60]!r} is not taken, expected {expected}"
        raise refuse(415, "unsupported-media-type", detail, "Send JSON")


def _binary(body: bytes, headers: Mapping[str, str], kind: str) -> Event:
    known = {n: unquote(v) for n in Event.__struct_fields__ if (v := headers.get(f"ce-{n}"))}
    data: Any = None
    if body:
        if kind and kind != "application/json" and not kind.endswith("+json"):
            detail = f"the data are {kind[:60]!r}, expected application/json"
            raise refuse(415, "unsupported-media-type", detail, "Send the data as a JSON object")
        data = decoded(_DATA, body)
    return Event(**{**known, "data": data, "data_base64": None, "datacontenttype": kind or None})


def _from_raw(found: Translation, item: msgspec.Raw) -> Any:
    return _row(_EVENT.decode(item))


def _row(event: Event) -> dict[str, Any]:
    if event.specversion != _VERSION:
        raise RefusedError("invalid-value", f"expected {_VERSION!r}", "specversion")
    for name in ("id", "source", "type"):
        if type(getattr(event, name)) is not str or not getattr(event, name):
            raise RefusedError("missing-field", f"a CloudEvent has {name!r}, a text", name)
    if type(event.subject) is not str or not event.subject:
        raise RefusedError("missing-field", "the subject, a text, names the customer", "subject")
    values = mapping(_data(event), "data")
    row: dict[str, Any] = {
        "customer": event.subject,
        # Both are URIs or texts without a bound, so a space can't be misread as part of a source.
        "message_id": message_id(NAMESPACE, f"{event.source} {event.id}"),
    }
    if event.time is not None:
        row["occurred"] = occurred(event.time, 0)
    if event.type == IDENTIFY:
        row["set"] = values
    else:
        row["event"] = event.type
        if values:
            row["properties"] = values
    return row


def _data(event: Event) -> Any:
    if event.data_base64 is None:
        return event.data
    try:
        return _DATA.decode(base64.b64decode(event.data_base64, validate=True))
    except (msgspec.DecodeError, binascii.Error, TypeError, ValueError, RecursionError):
        raise RefusedError("wrong-type", "it is no JSON in base64", "data_base64") from None
