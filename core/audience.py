"""Describe an audience: what its folder holds, what a dry run needs, how it lies in memory.

Nothing here reads a file. `AudienceSchema` is the folder's `schema.json`; `Needs` is what a
compiled flow refers to; `Audience` is the typed columns that the interpreter reads. Customers are
numbered by their row, events lie sorted by (customer, time, original row), so that a customer's
history is one slice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

INT64_MIN = -(2**63)

Kind = Literal["bool", "int64", "float64", "string", "datetime", "date"]
"""What a value is: `datetime` is an instant in ms UTC, `date` a civil day from 1970-01-01."""

AbsentKind = Literal["attribute", "tag", "group", "event", "property"]
INT_KINDS = ("int64", "datetime", "date")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AttributeSchema(_Part):
    """One attribute: its type, whether it never changes (a birth date), how many lack it."""

    type: Kind
    constant: bool = False
    nulls: int = Field(0, ge=0)


class PropertySchema(_Part):
    """One property of one event: its type and the Parquet column that holds it."""

    type: Kind
    column: str


class EventSchema(_Part):
    """One event type: how many rows it has, and its properties by name."""

    count: int = Field(0, ge=0)
    properties: dict[str, PropertySchema] = Field(default_factory=dict)


class AudienceCounts(_Part):
    """What went into the folder: rows kept, and rows that did not get in or were out of order."""

    customers: int = Field(0, ge=0)
    events: int = Field(0, ge=0)
    changes: int = Field(0, ge=0)
    rejected: int = Field(0, ge=0)
    dropped: dict[str, int] = Field(default_factory=dict)
    duplicates: int = Field(0, ge=0)
    out_of_order: int = Field(0, ge=0)


class TimeSpan(_Part):
    """The times of the first and the last event, ms UTC; None where there is no event."""

    first_ms: int | None = None
    last_ms: int | None = None


class AudienceSchema(_Part):
    """The `schema.json` of an audience folder, format version 1.

    `as_of` is the instant for which the attributes, tags and groups are true (ISO, UTC), `zone` the
    tenant's default IANA zone; `tags` and `groups` count their customers; `replaces_property` names
    the property by which `Needs.replaces` recognises the events of a flow.
    """

    headrace_audience: Literal[1] = 1
    as_of: str | None = None
    zone: str | None = None
    attributes: dict[str, AttributeSchema] = Field(default_factory=dict)
    tags: dict[str, int] = Field(default_factory=dict)
    groups: dict[str, int] = Field(default_factory=dict)
    events: dict[str, EventSchema] = Field(default_factory=dict)
    counts: AudienceCounts = Field(default_factory=AudienceCounts)
    time: TimeSpan = Field(default_factory=TimeSpan)
    replaces_property: str = "flow"


@dataclass(slots=True)
class Needs:
    """What must be loaded: names of attributes, tags, groups, events and their properties.

    `replaces` names a flow whose recorded events are left out: the rows whose `replaces_property`
    is it.
    """

    attributes: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    properties: set[str] = field(default_factory=set)
    replaces: str | None = None


@dataclass(slots=True)
class Column:
    """A typed column; every kind has one value that means missing.

    `bool`: int8, 0 or 1, missing -1. `int64`, `datetime` (ms UTC), `date` (days since 1970-01-01):
    int64, missing INT64_MIN. `float64`: missing NaN. `string`: int32 codes into `dictionary`,
    missing -1; the dictionary has no duplicates, and its order means nothing.
    """

    kind: Kind
    values: NDArray[Any]
    dictionary: list[str] | None = None
    _codes: dict[str, int] | None = field(default=None, repr=False, compare=False)

    def code(self, text: str) -> int | None:
        """The code of a text in the dictionary, None where it has none.

        The dictionary must not change after the first call.
        """
        if self._codes is None:
            self._codes = {each: code for code, each in enumerate(self.dictionary or ())}
        return self._codes.get(text)

    def __len__(self) -> int:
        return len(self.values)

    def missing(self) -> NDArray[np.bool_]:
        """Where the value is missing: bool[len]."""
        if self.kind == "float64":
            return np.asarray(np.isnan(self.values), np.bool_)
        absent = INT64_MIN if self.kind in INT_KINDS else -1
        return np.asarray(self.values == absent, np.bool_)

    def value(self, row: int) -> bool | int | float | str | None:
        """The value of one row, None if missing; a date or a datetime is its integer."""
        raw = self.values[row]
        if self.kind == "float64":
            return None if np.isnan(raw) else float(raw)
        if self.kind in INT_KINDS:
            return None if raw == INT64_MIN else int(raw)
        if raw < 0:
            return None
        if self.kind == "bool":
            return bool(raw)
        assert self.dictionary is not None
        return self.dictionary[int(raw)]


@dataclass(slots=True)
class ChangeLog:
    """Dated values of attributes, sorted by (customer, time, original row).

    A customer who has rows for an attribute had, at t, the value of the last row at or before t,
    and none before the first row; a customer without rows always had the value in
    `Audience.attributes`.

    `offsets` int64[n + 1] by customer, `ms` int64[k], `attribute` int32[k] an index into
    `attribute_names`, `value` int64[k]: what `Column.values` would hold, widened, except that a
    float64 is given by its bits; string codes are those of the attribute's column.
    """

    attribute_names: list[str]
    offsets: NDArray[np.int64]
    ms: NDArray[np.int64]
    attribute: NDArray[np.int32]
    value: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Absence:
    """Something that is referred to and not there; `close` are names there that look alike."""

    kind: AbsentKind
    name: str
    close: tuple[str, ...] = ()


@dataclass(slots=True)
class LoadCounts:
    """Where the event rows went: read = kept + not_needed + replaced."""

    events_read: int = 0
    events_kept: int = 0
    events_not_needed: int = 0
    events_replaced: int = 0


@dataclass(slots=True)
class Audience:
    """Customers and their history as typed columns, n customers and m events.

    `id_offsets` int64[n + 1] and `id_data` uint8[]: the ids' UTF-8 bytes. `id_hash` uint64[n]:
    XXH64 of those bytes. `created_ms` int64[n], INT64_MIN where unknown. `zone_code` int32[n]
    into `zone_names`, -1 where unknown (then `zone`, the tenant's default, holds). `tags` and
    `groups`: int8[n] of 0 or 1.

    Events of customer c are rows `event_offsets[c]` to `event_offsets[c + 1]` (int64[n + 1]), in
    order of time and then of the original row: `event_type` int32[m] into `event_names` (sorted),
    `event_ms` int64[m], `event_hash` uint64[m] (see `core.identity`), and `properties`, one
    column of m rows per name.
    """

    id_offsets: NDArray[np.int64]
    id_data: NDArray[np.uint8]
    id_hash: NDArray[np.uint64]
    created_ms: NDArray[np.int64]
    zone_names: list[str]
    zone_code: NDArray[np.int32]
    attributes: dict[str, Column]
    tags: dict[str, NDArray[np.int8]]
    groups: dict[str, NDArray[np.int8]]
    event_names: list[str]
    event_offsets: NDArray[np.int64]
    event_type: NDArray[np.int32]
    event_ms: NDArray[np.int64]
    event_hash: NDArray[np.uint64]
    properties: dict[str, Column]
    as_of_ms: int | None = None
    zone: str | None = None
    constants: frozenset[str] = frozenset()
    changes: ChangeLog | None = None
    absent: list[Absence] = field(default_factory=list)
    counts: LoadCounts = field(default_factory=LoadCounts)
    _index: dict[str, int] | None = field(default=None, repr=False)

    @property
    def customers(self) -> int:
        """The number of customers, n."""
        return len(self.id_hash)

    @property
    def events(self) -> int:
        """The number of events held, m."""
        return len(self.event_ms)

    def id_of(self, customer: int) -> str:
        """The id of a customer number; IndexError beyond the last."""
        if not 0 <= customer < self.customers:
            raise IndexError(f"customer {customer} of {self.customers}")
        start, end = self.id_offsets[customer : customer + 2]
        return self.id_data[start:end].tobytes().decode()

    def index_of(self, customer_id: str) -> int | None:
        """The number of the customer with this id, None where there is none."""
        if self._index is None:
            self._index = {self.id_of(c): c for c in range(self.customers)}
        return self._index.get(customer_id)


def absence(kind: AbsentKind, name: str, known: Iterable[str]) -> Absence:
    """Report `name` as absent, with up to three names of `known` that look alike."""
    names = sorted(known)
    folded = {n.casefold().replace(" ", "_"): n for n in names}
    hits = get_close_matches(name.casefold().replace(" ", "_"), list(folded), n=3, cutoff=0.6)
    return Absence(kind, name, tuple(folded[h] for h in hits))
