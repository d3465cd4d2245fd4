"""Read the calls of Customer.io's Track API: one person's attributes, events, and batches of both.

Times there are seconds since 1970. Merging a secondary person into a primary one, and identifying
one with an `anonymous_id`, merge. What a Track API can do beyond that (devices, suppression) is
refused and told as that, since an answer of success would promise what nobody keeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from actors.intake.rows import Unreadable
from actors.intake.values import RefusedError
from api.http.ingest.translation import (
    PAGE_EVENT,
    SCREEN_EVENT,
    Places,
    Translation,
    decoded,
    id_text,
    mapping,
    message_id,
    of_seconds,
    translated,
)
from api.http.limits import Sizes
from api.http.problems import refuse

NAMESPACE = "customerio"
SIZES = Sizes(1 << 20, 1 << 20, 64 << 10, 2_500)
DEVICES_REFUSED = Unreadable("devices are not kept", "devices-not-kept")
_ACTIONS = ("identify", "event", "page", "screen", "merge", "add_device", "delete_device")
_OURS = frozenset({"_update", "cio_relationships", "anonymous_id"})


class Event(msgspec.Struct):
    """What happened, as far as it is read."""

    name: Any = None
    data: Any = None
    id: Any = None
    timestamp: Any = None
    type: Any = None
    anonymous_id: Any = None


class Operation(msgspec.Struct):
    """One operation of a batch, as far as it is read."""

    type: Any = "person"
    action: Any = None
    identifiers: Any = None
    attributes: Any = None
    name: Any = None
    id: Any = None
    timestamp: Any = None
    primary: Any = None
    secondary: Any = None


class Merge(msgspec.Struct):
    """Two people who are one, as far as it is read."""

    primary: Any = None
    secondary: Any = None


class Batch(msgspec.Struct):
    """Operations in one request."""

    batch: list[msgspec.Raw]


_EVENT = msgspec.json.Decoder(Event)
_ATTRIBUTES = msgspec.json.Decoder(dict[str, Any])
_OPERATION = msgspec.json.Decoder(Operation)
_MERGE = msgspec.json.Decoder(Merge)
_BATCH = msgspec.json.Decoder(Batch)


def read_attributes(body: bytes, customer: str, places: Places, received_ms: int) -> Translation:
    """A body of one customer's attributes. Raises ProblemError."""
    return _alone(
        body, lambda found, raw: _change(found, customer, _ATTRIBUTES.decode(raw), places)
    )


def read_event(body: bytes, customer: str, places: Places, received_ms: int) -> Translation:
    """A body of one event, of `customer` or, if that is "", of its anonymous id."""
    return _alone(body, lambda found, raw: _event_of(_EVENT.decode(raw), customer))


def read_merge(body: bytes, customer: str, places: Places, received_ms: int) -> Translation:
    """A body that tells of two records of one person. Raises ProblemError."""
    return _alone(body, lambda found, raw: _merge(found, _MERGE.decode(raw)))


def read_devices(body: bytes, customer: str, places: Places, received_ms: int) -> Translation:
    """A body that tells of a customer's device, which is refused. Raises ProblemError."""
    return _alone(body, lambda found, raw: DEVICES_REFUSED)


def read_no_device(body: bytes, customer: str, places: Places, received_ms: int) -> Translation:
    """A request to forget a device, whatever its body."""
    return Translation([DEVICES_REFUSED], 1)


def read_batch(body: bytes, customer: str, places: Places, received_ms: int) -> Translation:
    """A body of operations on several people. Raises ProblemError."""
    batch = decoded(_BATCH, body)
    if len(batch.batch) > SIZES.events_max:
        detail = f"the batch has {len(batch.batch):,} operations; {SIZES.events_max:,} are taken"
        raise refuse(413, "too-many-events", detail, "Send smaller batches")
    return translated(
        batch.batch,
        lambda found, raw: _operation(found, _OPERATION.decode(raw), places),
        item_bytes_max=SIZES.event_bytes_max,
    )


def _alone(body: bytes, read: Any) -> Translation:
    """A body that is one item: what is wrong with its JSON is wrong with the request."""
    decoded(_ATTRIBUTES, body)
    return translated([msgspec.Raw(body)], read, item_bytes_max=SIZES.event_bytes_max)


def _operation(found: Translation, asked: Operation, places: Places) -> Any:
    if asked.type != "person":
        raise RefusedError("not-supported", "only operations on a person are taken", "type")
    if asked.action == "merge":
        return _merge(found, Merge(asked.primary, asked.secondary))
    if asked.action in ("add_device", "delete_device"):
        return DEVICES_REFUSED
    if asked.action not in _ACTIONS:
        expected = ", ".join(_ACTIONS)
        raise RefusedError("not-supported", f"expected one of {expected}", "action")
    known = asked.identifiers if type(asked.identifiers) is dict else {}
    customer = _person(known)
    if asked.action == "identify":
        values = {} if asked.attributes is None else asked.attributes
        if type(values) is not dict:
            raise RefusedError("wrong-type", "attributes are a mapping", "attributes")
        return _change(found, customer, values, places)
    kind = None if asked.action == "event" else asked.action
    anonymous = known.get("anonymous_id")
    event = Event(asked.name, asked.attributes, asked.id, asked.timestamp, kind, anonymous)
    return _event_of(event, customer)


def _merge(found: Translation, asked: Merge) -> dict[str, Any]:
    primary, secondary = _person(asked.primary), _person(asked.secondary)
    if not primary or not secondary:
        where = "secondary" if primary else "primary"
        raise RefusedError("missing-field", "a merge names both people by an id", where)
    return found.merge(secondary, primary)


def _person(known: Any) -> str:
    """The id of identifiers, "" for none."""
    given = known if type(known) is dict else {}
    return next((t for k in ("id", "email", "cio_id") if (t := id_text(given.get(k)))), "")


def _change(
    found: Translation, customer: str, given: Mapping[str, Any], places: Places
) -> dict[str, Any]:
    row: dict[str, Any] = {"customer": _known(customer)}
    values = {}
    anonymous = ""
    for name, value in mapping(dict(given), "attributes").items():
        if name in places.attributes:
            values[name] = of_seconds(value) if name in places.instants else value
        elif name == "created_at":
            row["created"] = of_seconds(value)
        elif name == "timezone":
            row["zone"] = value
        elif name == "anonymous_id" and (previous := id_text(value)) is not None:
            anonymous = previous
        elif name in _OURS:
            found.left_out[name] += 1
        else:
            values[name] = value
    row["set"] = values
    if anonymous and anonymous != customer:
        found.merge(anonymous, customer, alone=False)
    return row


def _event_of(event: Event, customer: str) -> dict[str, Any]:
    row: dict[str, Any] = {"customer": _known(customer or id_text(event.anonymous_id) or "")}
    if event.name is None:
        raise RefusedError("missing-field", "an event has a name", "name")
    values = dict(mapping(event.data, "data"))
    if event.type == "page":
        row["event"] = PAGE_EVENT
        values["url"] = event.name
    elif event.type == "screen":
        row["event"] = SCREEN_EVENT
        values["screen"] = event.name
    else:
        row["event"] = event.name
    if values:
        row["properties"] = values
    if event.timestamp is not None:
        row["occurred"] = of_seconds(event.timestamp)
    id_ = message_id(NAMESPACE, event.id)
    if id_ is not None:
        row["message_id"] = id_
    return row


def _known(customer: str) -> str:
    if not customer:
        raise RefusedError("missing-field", "nothing says whose this is", "identifiers")
    return customer
