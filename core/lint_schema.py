"""Judge names against a tenant's schema: what a flow refers to and nobody can send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from core.conditions import PropertyTest
from core.flow import Flow
from core.internal_events import made_by_run
from core.lint_audience import attributes_named, events_named
from core.lint_view import Known, Steps, View, entry_names
from core.lint_written import as_written
from core.nodes import AddToAttribute, SetAttribute
from core.responses import RESERVED_PROPERTIES
from core.tenant_schema import TenantSchema
from core.violations import Violation, quoted, violation


def undeclared(flow: Flow, schema: TenantSchema, others: Iterable[Flow] = ()) -> list[Violation]:
    """The names in `flow` that neither the schema nor the standard vocabulary has.

    Live such an event is refused, so that nobody enters by it and every wait for it times out; such
    an attribute is missing for everybody, unless a flow writes it: this one, or one of `others`.
    """
    view = View(flow)
    found = [
        *_events(view.core, schema),
        *_properties(view.core, schema),
        *_attributes(view.core, schema, others),
    ]
    return as_written(view, found)


def _events(view: View, schema: TenantSchema) -> Iterator[Violation]:
    held = schema.known_events
    known = Known(sorted(held))
    for steps, name in events_named(view):
        if name not in held and not made_by_run(name):
            message = f"the schema has no event {quoted(name)}: it is not taken in"
            advice = view.close_to(name, known, "Check the name, or add it to the schema.")
            yield violation("undeclared-event", steps, message, advice)


def _properties(view: View, schema: TenantSchema) -> Iterator[Violation]:
    held = schema.known_events
    known = {event: Known(sorted(properties)) for event, properties in held.items()}
    for steps, name, events in _tested(view):
        for event in events:
            if event in held and name not in held[event] and name not in RESERVED_PROPERTIES:
                message = f"in the schema {quoted(event)} has no property {quoted(name)}"
                otherwise = "Check the name, or add it to the schema."
                advice = view.close_to(name, known[event], otherwise)
                yield violation("undeclared-property", steps, message, advice)


def _tested(view: View) -> Iterator[tuple[Steps, str, list[str]]]:
    """The properties that conditions and filters name, with the events that they may be of."""
    for part in view.tests:
        if isinstance(part.model, PropertyTest) and part.event is not None:
            yield (*part.steps, "property"), part.model.property, [part.event]
        own = [part.event] if part.entry == "own" and part.event is not None else None
        for steps, name in entry_names(part):
            yield steps, name, own or view.judged_events
    if (key := view.flow.settings.reentry.key) is not None:
        yield ("settings", "reentry", "key"), key, view.entry_events


def _attributes(view: View, schema: TenantSchema, others: Iterable[Flow]) -> Iterator[Violation]:
    written = {
        node.attribute
        for flow in (view.flow, *(other.core for other in others))
        for node in flow.nodes.values()
        if isinstance(node, SetAttribute | AddToAttribute)
    }
    known = Known(sorted(schema.kept))
    for steps, name in attributes_named(view):
        declared = schema.attributes.get(name)
        if declared is not None and declared.personal:
            message = f"{quoted(name)} is personal, and kept where no condition reads it"
            advice = "Ask for an attribute that says nothing about a person."
            yield violation("personal-attribute", steps, message, advice)
        elif schema.attribute_kind(name) is None and name not in written:
            message = f"the schema has no attribute {quoted(name)}: nobody has it"
            advice = view.close_to(name, known, "Check the name, or add it to the schema.")
            yield violation("undeclared-attribute", steps, message, advice)
