"""Read what PostHog's libraries capture: one event, a batch, and the batch of their version 1.

`$pageview` and `$screen` are the standard events, `$identify`, `$set` and `$set_once` changes of
the customer's record, `$groupidentify` with a person's id a group. `$identify` merges the
`$anon_distinct_id` into its id, `$merge_dangerously` the `alias`; `$create_alias` its id into that.
The properties that a library adds by itself begin with `$` or are those of campaigns, and count
where the schema has them.
"""

from __future__ import annotations

import re
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
    occurred,
    skew_ms,
    translated,
)
from api.http.limits import Sizes
from api.http.problems import refuse

NAMESPACE = "posthog"
SIZES = Sizes(20 << 20, 20 << 20, 900 << 10, 10_000)
GROUP_REFUSED = Unreadable("properties of groups are not kept", "group-traits-not-kept")
_VIEWS = {
    "$pageview": (PAGE_EVENT, "url", "$current_url"),
    "$screen": (SCREEN_EVENT, "screen", "$screen_name"),
}
_RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_CAMPAIGN = frozenset(
    (
        *("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term", "gad_source"),
        *("mc_cid", "gclid", "gclsrc", "dclid", "gbraid", "wbraid", "fbclid", "msclkid", "twclid"),
        *("li_fat_id", "igshid", "ttclid", "rdt_cid", "epik", "qclid", "sccid", "oppref", "bfcid"),
        *("irclid", "_kx"),
    )
)
"""What browsers' pages are asked for, and sent as null where they have none."""
_CHANGES = frozenset({"$identify", "$set", "$set_once"})
ALIAS = "$create_alias"
_MERGES = frozenset({ALIAS, "$merge_dangerously"})


class Event(msgspec.Struct):
    """One event, as far as it is read."""

    event: Any = None
    distinct_id: Any = None
    properties: Any = None
    timestamp: Any = None
    uuid: Any = None
    set_: Any = msgspec.field(default=None, name="$set")
    set_once: Any = msgspec.field(default=None, name="$set_once")
    options: Any = None


class Head(msgspec.Struct):
    """What stands around events."""

    api_key: Any = None
    token: Any = None
    sent_at: Any = None


class Batch(msgspec.Struct):
    """Events in one request."""

    batch: list[msgspec.Raw]
    sent_at: Any = None


_EVENT = msgspec.json.Decoder(Event)
_HEAD = msgspec.json.Decoder(Head)
_BATCH = msgspec.json.Decoder(Batch)


def read_event(body: bytes, sent_at: str, places: Places, received_ms: int) -> Translation:
    """A body of one event. Raises ProblemError."""
    head = decoded(_HEAD, body)
    return _read([msgspec.Raw(body)], head.sent_at or sent_at, places, received_ms)


def read_batch(body: bytes, sent_at: str, places: Places, received_ms: int) -> Translation:
    """A body of several events, `sent_at` where the body does not say it. Raises ProblemError."""
    batch = decoded(_BATCH, body)
    return _read(batch.batch, batch.sent_at or sent_at, places, received_ms)


def key_of(body: bytes) -> str:
    """The project key that stands in a body, "" if there is none. Raises ProblemError."""
    head = decoded(_HEAD, body)
    return next((k for k in (head.api_key, head.token) if type(k) is str), "")


def _read(items: list[msgspec.Raw], sent_at: Any, places: Places, received_ms: int) -> Translation:
    if len(items) > SIZES.events_max:
        detail = f"the batch has {len(items):,} events; at most {SIZES.events_max:,} are taken"
        raise refuse(413, "too-many-events", detail, "Send smaller batches")
    reader = _Reader(places, skew_ms(sent_at, received_ms))
    return translated(items, reader.read, item_bytes_max=SIZES.event_bytes_max)


class _Reader:
    """Reads the events of one request."""

    def __init__(self, places: Places, skew: int) -> None:
        self._places = places
        self._skew = skew

    def read(self, found: Translation, item: msgspec.Raw) -> Any:
        event = _EVENT.decode(item)
        if type(event.uuid) is str:
            found.ids[len(found.rows)] = event.uuid
        if type(event.event) is not str:
            raise RefusedError("missing-field", "an event has a name", "event")
        properties = event.properties if type(event.properties) is dict else {}
        customer = id_text(event.distinct_id) or id_text(properties.get("distinct_id"))
        if customer is None:
            raise RefusedError("missing-field", "nothing says whose this is", "distinct_id")
        row: dict[str, Any] = {"customer": customer}
        if event.timestamp is not None:
            row["occurred"] = occurred(event.timestamp, self._skew_of(event, properties))
        id_ = message_id(NAMESPACE, event.uuid or properties.get("$insert_id"))
        if id_ is not None:
            row["message_id"] = id_
        if event.event in _MERGES:
            alias = id_text(properties.get("alias"))
            if alias is None:
                raise RefusedError("missing-field", "nothing says who it is too", "properties")
            if event.event == ALIAS:
                # Libraries call the two `previous_id` and, in `alias`, the id that is used now.
                return found.merge(customer, alias, id_)
            return found.merge(alias, customer, id_)
        if event.event == "$groupidentify":
            return self._group(found, row, properties)
        values = mapping(event.set_ or properties.get("$set"), "$set")
        once = mapping(event.set_once or properties.get("$set_once"), "$set_once")
        change = self._change(found, row, values, once)
        if event.event in _CHANGES:
            anonymous = id_text(properties.get("$anon_distinct_id"))
            if event.event == "$identify" and anonymous not in (None, customer):
                found.merge(str(anonymous), customer, alone=False)
            return change
        self._event(row, event.event, properties)
        if values or once:
            if id_ is not None:
                change["message_id"] = f"{id_}:set"
            return [row, change]
        return row

    def _skew_of(self, event: Event, properties: Mapping[str, Any]) -> int:
        options = event.options if type(event.options) is dict else {}
        exact = options.get("disable_skew_correction") or properties.get("$ignore_sent_at")
        return 0 if exact is True else self._skew

    def _event(self, row: dict[str, Any], name: str, given: Mapping[str, Any]) -> None:
        values = dict(mapping({k: v for k, v in given.items() if k[:1] != "$"}, "properties"))
        values.pop("distinct_id", None)
        values.pop("token", None)
        if name in _VIEWS:
            name, ours, theirs = _VIEWS[name]
            if given.get(theirs) is not None:
                values.setdefault(ours, given[theirs])
        known = self._places.events.get(name, frozenset())
        values.update((k, v) for k, v in given.items() if k[:1] == "$" and k in known)
        row["event"] = name
        if values:
            row["properties"] = values

    def _change(
        self,
        found: Translation,
        row: Mapping[str, Any],
        values: Mapping[str, Any],
        once: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The row of a change. What is set once is kept where the schema knows the attribute."""
        own = {k: v for k, v in once.items() if self._counts(k, v)}
        given = {k: v for k, v in values.items() if self._counts(k, v)}
        change: dict[str, Any] = {**row, "set": {**own, **given}}
        for name in ("created_at", "createdAt"):
            if name in change["set"] and name not in self._places.attributes:
                change["created"] = change["set"].pop(name)
        if names := frozenset(own) - frozenset(given):
            found.once.append((change, names))
        return change

    def _counts(self, name: str, value: Any) -> bool:
        if name in _CAMPAIGN:
            return value is not None and name in self._places.attributes
        return name[:1] != "$" or name in self._places.attributes

    def _group(self, found: Translation, row: dict[str, Any], properties: Mapping[str, Any]) -> Any:
        kind, key = properties.get("$group_type"), id_text(properties.get("$group_key"))
        if type(kind) is not str or key is None:
            raise RefusedError("missing-field", "a group has a type and a key", "properties")
        made_up = (f"${kind}_{key}", f"{kind}_{key}")
        if row["customer"] in made_up or _RANDOM.fullmatch(row["customer"]):
            return GROUP_REFUSED  # Libraries make up an id where the caller named no person.
        if properties.get("$group_set"):
            found.left_out["group-traits"] += 1
        row["groups"] = {"add": [f"{kind}:{key}"]}
        return row
