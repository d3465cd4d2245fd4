"""Describe what a tenant's customers and events look like, and what is taken in of them.

A row that a client sends is read against this schema: a field that it doesn't name is refused or
dropped, but never kept by guess, so every column has one type from its first value on. The standard
names of `core.record` have a type already, so a schema need not list them; one that it does list is
as it says, because that is what the tenant's data were taken in as.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, StrictBool, StrictInt, ValidationError

from core import limits
from core.audience import Kind
from core.conditions import Model, Name
from core.duration import DAY_MS
from core.errors import HeadraceError
from core.record import EVENT_PROPERTIES, PROPERTIES, attribute_kind
from core.shape import shape_violations
from core.violations import Violation, close_to, quoted, violation
from core.zones import zone_names

MINUTE_MS = 60_000
YEAR_MS = 366 * DAY_MS
FIELDS_MAX = 2_000  # attributes, and names of properties
EVENTS_MAX = 10_000
TEXT_BYTES_MAX = 2**20


class TenantAttribute(Model):
    """One attribute of customers.

    A `personal` one (an address, a name) is kept apart from everything else, so that it can be
    erased: no condition can read it, messages can. A `constant` one never changes (a birth date).
    """

    type: Kind
    personal: StrictBool = False
    constant: StrictBool = False


class TenantEvent(Model):
    """One event: its properties and their types."""

    properties: dict[Name, Kind] = Field(default_factory=dict, max_length=FIELDS_MAX)


class IntakeSettings(Model):
    """What is taken in, and what becomes of the rest.

    `late_ms`: an event that occurred longer than this before it arrived goes to history only.
    `future_ms`: one that occurred more than this after it arrived is rejected. `unknown_customers`:
    whether the event of somebody unknown creates a customer. `unknown_fields`: whether a field that
    the schema doesn't name rejects its row, or is dropped and counted; `warn` drops it and tells
    people. `unknown_events`: whether an event that it doesn't name is rejected, or taken in without
    its properties (`allow`, and `warn` tells people). `wrong_types`: whether a value of another
    type rejects its row, or is dropped. `id_bytes_max` and `text_bytes_max` bound ids and texts,
    `fields_max` the fields of one row.
    """

    late_ms: StrictInt = Field(DAY_MS, ge=0, le=10 * YEAR_MS)
    future_ms: StrictInt = Field(10 * MINUTE_MS, ge=0, le=DAY_MS)
    unknown_customers: Literal["create", "reject"] = "create"
    unknown_fields: Literal["reject", "drop", "warn"] = "reject"
    unknown_events: Literal["reject", "warn", "allow"] = "reject"
    wrong_types: Literal["reject", "warn", "allow"] = "reject"
    id_bytes_max: StrictInt = Field(limits.ID_BYTES_MAX, ge=1, le=limits.ID_BYTES_MAX)
    text_bytes_max: StrictInt = Field(65_536, ge=1, le=TEXT_BYTES_MAX)
    fields_max: StrictInt = Field(1_000, ge=1, le=FIELDS_MAX)


class TenantSchema(Model):
    """The schema of a tenant, format version 1; `{}` knows no attribute and no event.

    `zone` is the IANA zone of customers without one of their own, None for the tenant's default.
    `entry_rate` is how many may enter a flow in a second that states no rate of its own. A
    property has one type in all events that have it.
    """

    headrace_schema: Literal[1] = 1
    attributes: dict[Name, TenantAttribute] = Field(default_factory=dict, max_length=FIELDS_MAX)
    events: dict[Name, TenantEvent] = Field(default_factory=dict, max_length=EVENTS_MAX)
    zone: Name | None = None
    entry_rate: StrictInt | None = Field(None, ge=1)
    settings: IntakeSettings = IntakeSettings()

    @property
    def properties(self) -> dict[str, Kind]:
        """The type of every property by its name, over all events, in declared order."""
        return {n: k for event in self.events.values() for n, k in event.properties.items()}

    @property
    def personal(self) -> frozenset[str]:
        """The names of personal attributes."""
        return frozenset(n for n, a in self.attributes.items() if a.personal)

    @property
    def kept(self) -> dict[str, Kind]:
        """The type of every declared attribute that conditions can read: the not personal ones."""
        return {n: a.type for n, a in self.attributes.items() if not a.personal}

    def attribute_kind(self, name: str) -> Kind | None:
        """The type of an attribute that conditions can read, declared or standard, or None."""
        declared = self.attributes.get(name)
        if declared is None:
            return attribute_kind(name)
        return None if declared.personal else declared.type

    @property
    def known_properties(self) -> dict[str, Kind]:
        """The type of every property, declared here or else standard."""
        return {**PROPERTIES, **self.properties}

    @property
    def known_events(self) -> dict[str, dict[str, Kind]]:
        """The properties of every event that is taken in, declared here or standard, by its name.

        A standard event has its standard properties beside those that the schema gives it.
        """
        kinds = self.known_properties
        found = {name: event.properties for name, event in self.events.items()}
        for name, standard in EVENT_PROPERTIES.items():
            found[name] = {each: kinds[each] for each in standard} | found.get(name, {})
        return found

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> TenantSchema:
        """The schema that `value` is; HeadraceError with the first thing that is wrong."""
        schema, violations = read_tenant_schema(value)
        if schema is None:
            first = min(violations)
            raise HeadraceError(
                f"the tenant's schema is wrong: {first.message}",
                advice=first.advice.rstrip("."),
                pointer=first.pointer or None,
            )
        return schema

    def to_json(self) -> dict[str, Any]:
        """The schema as a mapping that JSON can carry and `of` reads."""
        return self.model_dump(mode="json")


def read_tenant_schema(value: Any) -> tuple[TenantSchema | None, list[Violation]]:
    """The schema in parsed JSON or YAML, or None and all that is wrong with it."""
    try:
        schema = TenantSchema.model_validate(value)
    except ValidationError as error:
        return None, shape_violations(error, TenantSchema, value)
    found = sorted(_contradictions(schema))
    return (None, found) if found else (schema, [])


def schema_changes(old: TenantSchema, new: TenantSchema) -> list[Violation]:
    """What forbids to go from one schema to another while there are customers: changes of a type.

    Attributes and events may come and go; what was typed, or personal, stays so. A standard name
    that is not declared has its standard type; only the very first schema may say otherwise, as
    there is nothing yet.
    """
    found = []
    first = old == TenantSchema()
    for name in dict.fromkeys([*new.attributes, *old.attributes]):
        before, after = _attribute(old, name), _attribute(new, name)
        if first or before is None or after is None:
            continue
        if (before.type, before.personal) != (after.type, after.personal):
            what = f"attribute {quoted(name)} was {_said(before)} and would be {_said(after)}"
            advice = "Use another name." if name in new.attributes else "Declare it as before."
            found.append(violation("type-mismatch", ("attributes", name), what, advice))
    known = old.properties if first else old.known_properties
    for event, name, kind in _typed(new):
        if known.get(name, kind) != kind:
            what = f"property {quoted(name)} was {known[name]} and would be {kind}"
            steps = ("events", event, "properties", name)
            found.append(violation("type-mismatch", steps, what, "Use another name."))
    return sorted(found)


def _attribute(schema: TenantSchema, name: str) -> TenantAttribute | None:
    """What the schema says of an attribute, else what the standard vocabulary does."""
    kind = attribute_kind(name)
    return schema.attributes.get(name) or (None if kind is None else TenantAttribute(type=kind))


def _said(attribute: TenantAttribute) -> str:
    return f"personal {attribute.type}" if attribute.personal else attribute.type


def _typed(schema: TenantSchema) -> Iterator[tuple[str, str, Kind]]:
    for event, described in schema.events.items():
        for name, kind in described.properties.items():
            yield event, name, kind


def _contradictions(schema: TenantSchema) -> Iterator[Violation]:
    first: dict[str, tuple[str, Kind]] = {}
    for event, name, kind in _typed(schema):
        other, kind_there = first.setdefault(name, (event, kind))
        if kind != kind_there:
            message = f"property {quoted(name)} is {kind} here and {kind_there} in {quoted(other)}"
            steps = ("events", event, "properties", name)
            advice = "Give it one type in all events, or another name."
            yield violation("contradictory-types", steps, message, advice)
    if len(first) > FIELDS_MAX:
        message = f"the events have {len(first):,} different properties"
        advice = f"At most {FIELDS_MAX:,} are possible."
        yield violation("out-of-range", ("events",), message, advice)
    if schema.zone is not None and schema.zone not in zone_names():
        advice = close_to(schema.zone, zone_names(), "Use a name such as Europe/Berlin.")
        yield violation("invalid-zone", ("zone",), f"no zone {quoted(schema.zone)}", advice)
