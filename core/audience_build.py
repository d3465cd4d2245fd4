"""Build an audience in memory from plain Python values, for tests, examples and small callers.

Customers are mappings such as {"id": "c1", "zone": "Europe/Berlin", "created_at": "2026-01-01",
"attributes": {"age": 41}, "tags": ["vip"], "groups": []}, events such as {"customer": "c1",
"time": ..., "event": "signup", "properties": {"amount": 3.5}, "id": "e7"}. Times are ms UTC, ISO
text (UTC where it states no offset) or `datetime`. Types are inferred from the values unless
stated; text is never taken for a date unless a type says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.audience import (
    INT64_MIN,
    Audience,
    ChangeLog,
    Column,
    Kind,
    LoadCounts,
    Needs,
    absence,
)
from core.errors import HeadraceError
from core.identity import event_word, event_word_of_id, text
from core.instants import civil_day, instant_ms


def infer_kind(values: Iterable[Any]) -> Kind:
    """The one kind that holds all values but None; float64 for whole and broken numbers mixed.

    Raises ValueError for a mix of other types; "string" where there is no value at all.
    """
    names: dict[type, Kind] = {
        bool: "bool",
        int: "int64",
        float: "float64",
        str: "string",
        datetime: "datetime",
        date: "date",
    }
    kinds = {names.get(type(v)) for v in values if v is not None}
    if kinds == {"int64", "float64"}:
        return "float64"
    if None in kinds or len(kinds) > 1:
        raise ValueError(f"no single type holds {', '.join(sorted(map(str, kinds)))}")
    return next((k for k in kinds if k is not None), "string")


def make_column(values: Sequence[Any], kind: Kind | None = None) -> Column:
    """A column of these Python values, None for missing; the kind is inferred where not stated.

    Raises ValueError for a value that the kind cannot hold.
    """
    kind = infer_kind(values) if kind is None else kind
    if kind == "string":
        codes: dict[str, int] = {}
        coded = [-1 if v is None else codes.setdefault(_text_of(v), len(codes)) for v in values]
        return Column("string", np.array(coded, np.int32), list(codes))
    if kind == "float64":
        floats = np.array([np.nan if v is None else float(v) for v in values], np.float64)
        if any(v is not None and not np.isfinite(f) for v, f in zip(values, floats, strict=True)):
            raise ValueError("numbers must be finite")
        return Column("float64", floats)
    if kind == "bool":
        return Column("bool", np.array([-1 if v is None else _bool_of(v) for v in values], np.int8))
    return Column(kind, np.array([_integer_of(v, kind) for v in values], np.int64))


def _text_of(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {value!r}")
    return value


def _bool_of(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, found {value!r}")
    return value


def _integer_of(value: Any, kind: Kind) -> int:
    if value is None:
        return INT64_MIN
    if kind == "int64" and (isinstance(value, bool) or not isinstance(value, int)):
        raise ValueError(f"expected a whole number, found {value!r}")
    number = instant_ms(value) if kind == "datetime" else value
    number = civil_day(value) if kind == "date" else number
    if not INT64_MIN < number < 2**63:
        raise ValueError(f"{number} does not fit in 64 bits")
    return int(number)


def audience_from_python(
    customers: Iterable[Mapping[str, Any]],
    events: Iterable[Mapping[str, Any]] = (),
    *,
    changes: Iterable[Mapping[str, Any]] = (),
    as_of: int | str | None = None,
    zone: str | None = None,
    attribute_types: Mapping[str, Kind] | None = None,
    property_types: Mapping[str, Kind] | None = None,
    constants: Iterable[str] = (),
    needs: Needs | None = None,
    replaces_property: str = "flow",
) -> Audience:
    """An audience from plain values; see the module for their shape.

    `changes` are {"customer", "time", "attribute", "value"}. Customers that only events name are
    added at the end. Without `needs` everything is held; with them, only what they name, absent
    things listed in `Audience.absent` as the loader does. Raises HeadraceError for a duplicate
    customer or a value that does not fit its column.
    """
    people = [dict(c) for c in customers]
    rows = [dict(e) for e in events]
    moves = [dict(c) for c in changes]
    number: dict[str, int] = {}
    for person in people:
        if person["id"] in number:
            raise HeadraceError(f"customer {person['id']!r} is there twice", advice="Keep one.")
        number[person["id"]] = len(number)
    for row in (*rows, *moves):
        if row["customer"] not in number:
            number[row["customer"]] = len(number)
            people.append({"id": row["customer"]})

    wanted = _needs_of(people, rows) if needs is None else needs
    attributes = {}
    for name in sorted(wanted.attributes & _names(people, "attributes")):
        values = [_mapping(p, "attributes").get(name) for p in people]
        values += [c["value"] for c in moves if c["attribute"] == name]
        attributes[name] = _column("attribute", name, values, attribute_types)
    log = _change_log(moves, number, attributes, len(people))
    for name, column in attributes.items():
        attributes[name] = Column(column.kind, column.values[: len(people)], column.dictionary)

    audience = Audience(
        **_ids(list(number)),
        created_ms=np.array([_created(p) for p in people], np.int64),
        **_zones(people),
        attributes=attributes,
        tags=_memberships(people, "tags", wanted.tags),
        groups=_memberships(people, "groups", wanted.groups),
        **_events(rows, number, wanted, property_types or {}, replaces_property),
        as_of_ms=None if as_of is None else instant_ms(as_of),
        zone=zone,
        constants=frozenset(constants),
        changes=log,
    )
    known: dict[Any, set[str]] = {
        "attribute": _names(people, "attributes"),
        "tag": {t for p in people for t in p.get("tags") or ()},
        "group": {g for p in people for g in p.get("groups") or ()},
        "event": {r["event"] for r in rows},
        "property": _names([r for r in rows if r["event"] in wanted.events], "properties"),
    }
    asked = (wanted.attributes, wanted.tags, wanted.groups, wanted.events, wanted.properties)
    for (kind, have), names in zip(known.items(), asked, strict=True):
        audience.absent += [absence(kind, name, have) for name in sorted(names - have)]
    return audience


def _mapping(record: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = record.get(key) or {}
    return found


def _names(records: Iterable[Mapping[str, Any]], key: str) -> set[str]:
    return {name for record in records for name in _mapping(record, key)}


def _needs_of(people: list[dict[str, Any]], rows: list[dict[str, Any]]) -> Needs:
    return Needs(
        attributes=_names(people, "attributes"),
        tags={t for p in people for t in p.get("tags") or ()},
        groups={g for p in people for g in p.get("groups") or ()},
        events={r["event"] for r in rows},
        properties=_names(rows, "properties"),
    )


def _column(what: str, name: str, values: list[Any], kinds: Mapping[str, Kind] | None) -> Column:
    try:
        return make_column(values, (kinds or {}).get(name))
    except (TypeError, ValueError) as error:
        raise HeadraceError(f"{what} {name!r}: {error}") from error


def _ids(ids: list[str]) -> dict[str, Any]:
    encoded = [i.encode() for i in ids]
    offsets = np.zeros(len(ids) + 1, np.int64)
    np.cumsum([len(e) for e in encoded], out=offsets[1:])
    return {
        "id_offsets": offsets,
        "id_data": np.frombuffer(b"".join(encoded), np.uint8).copy(),
        "id_hash": np.array([text(i) for i in ids], np.uint64),
    }


def _created(person: Mapping[str, Any]) -> int:
    created = person.get("created_at")
    return INT64_MIN if created is None else instant_ms(created)


def _zones(people: list[dict[str, Any]]) -> dict[str, Any]:
    column = make_column([p.get("zone") for p in people], "string")
    return {"zone_names": column.dictionary, "zone_code": column.values}


def _memberships(
    people: list[dict[str, Any]], key: str, wanted: set[str]
) -> dict[str, NDArray[np.int8]]:
    held = {name for p in people for name in p.get(key) or ()}
    return {
        name: np.array([name in (p.get(key) or ()) for p in people], np.int8)
        for name in sorted(wanted & held)
    }


def _events(
    rows: list[dict[str, Any]],
    number: dict[str, int],
    wanted: Needs,
    kinds: Mapping[str, Kind],
    replaces_property: str,
) -> dict[str, Any]:
    needed = [r for r in rows if r["event"] in wanted.events]
    kept = [
        r
        for r in needed
        if wanted.replaces is None
        or _mapping(r, "properties").get(replaces_property) != wanted.replaces
    ]
    kept.sort(key=lambda r: (number[r["customer"]], instant_ms(r["time"])))
    names = sorted(wanted.events)
    type_of = {name: i for i, name in enumerate(names)}
    columns = {
        name: _column("property", name, [_mapping(r, "properties").get(name) for r in kept], kinds)
        for name in sorted(_names(kept, "properties"))
    }
    hashes: list[int] = []
    repeats: dict[tuple[int, int], int] = {}
    for row, event in enumerate(kept):
        if event.get("id") is not None:
            hashes.append(event_word_of_id(event["event"], event["id"]))
            continue
        held = {name: (column.kind, column.value(row)) for name, column in columns.items()}
        first = event_word(event["event"], instant_ms(event["time"]), held)
        seen = repeats.setdefault((number[event["customer"]], first), 0)
        repeats[number[event["customer"]], first] = seen + 1
        hashes.append(event_word(event["event"], instant_ms(event["time"]), held, seen))
    customer = np.array([number[e["customer"]] for e in kept], np.int64)
    return {
        "event_names": names,
        "event_offsets": np.searchsorted(customer, np.arange(len(number) + 1)).astype(np.int64),
        "event_type": np.array([type_of[e["event"]] for e in kept], np.int32),
        "event_ms": np.array([instant_ms(e["time"]) for e in kept], np.int64),
        "event_hash": np.array(hashes, np.uint64),
        "properties": {n: c for n, c in columns.items() if n in wanted.properties},
        "counts": LoadCounts(
            events_read=len(rows),
            events_kept=len(kept),
            events_not_needed=len(rows) - len(needed),
            events_replaced=len(needed) - len(kept),
        ),
    }


def _change_log(
    moves: list[dict[str, Any]], number: dict[str, int], attributes: dict[str, Column], people: int
) -> ChangeLog | None:
    taken: dict[str, int] = dict.fromkeys(attributes, people)
    entries = []
    names = sorted({c["attribute"] for c in moves} & attributes.keys())
    for change in moves:
        name = change["attribute"]
        if name in taken:
            value = _widened(attributes[name].values[taken[name]])
            owner = number[change["customer"]]
            entries.append((owner, instant_ms(change["time"]), names.index(name), value))
            taken[name] += 1
    if not entries:
        return None
    entries.sort(key=lambda e: e[:2])
    owners, ms, attribute, values = zip(*entries, strict=True)
    offsets = np.searchsorted(np.array(owners, np.int64), np.arange(people + 1)).astype(np.int64)
    return ChangeLog(
        names,
        offsets,
        np.array(ms, np.int64),
        np.array(attribute, np.int32),
        np.array(values, np.int64),
    )


def _widened(value: np.generic) -> int:
    """The int64 by which `ChangeLog.value` gives a column's value."""
    return int(value.view(np.int64)) if value.dtype.kind == "f" else int(value)
