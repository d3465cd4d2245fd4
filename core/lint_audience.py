"""Judge names against an audience: what a flow refers to and the audience doesn't have."""

from __future__ import annotations

from collections.abc import Iterator

from core.conditions import (
    AttributeTest,
    DidTest,
    GroupTest,
    NeverDidTest,
    PropertyTest,
    TagTest,
)
from core.internal_events import made_by_run
from core.lint_view import Known, Steps, View, entry_names, filters
from core.nodes import (
    AddTag,
    AddToAttribute,
    AddToGroup,
    BranchAttribute,
    BranchTag,
    RemoveFromGroup,
    RemoveTag,
    SetAttribute,
    WaitDate,
)
from core.record import standard_attribute
from core.responses import RESERVED_PROPERTIES
from core.violations import Violation, quoted, violation

Named = tuple[Steps, str]


def absent_names(view: View) -> Iterator[Violation]:
    """Attributes, tags and groups that neither the audience has nor the flow itself makes."""
    if view.schema is None:
        return
    nodes = list(view.flow.nodes.values())
    attributes = {n.attribute for n in nodes if isinstance(n, SetAttribute | AddToAttribute)}
    tags = {n.tag for n in nodes if isinstance(n, AddTag)}
    groups = {n.group for n in nodes if isinstance(n, AddToGroup)}
    schema = view.schema
    fate = "nobody has it"
    yield from _absent(
        view, "attribute", attributes_named(view), {*schema.attributes, *attributes}, fate
    )
    yield from _absent(view, "tag", _tags(view), {*schema.tags, *tags}, fate)
    yield from _absent(view, "group", _groups(view), {*schema.groups, *groups}, fate)


def absent_events(view: View) -> Iterator[Violation]:
    """Events that the audience doesn't have, and properties that its events don't have."""
    if view.schema is None:
        return
    fate = "it never happens"
    others = (named for named in events_named(view) if not made_by_run(named[1]))
    yield from _absent(view, "event", others, set(view.schema.events), fate)
    key = view.flow.settings.reentry.key
    tested: list[tuple[Named, list[str]]] = []
    for part in view.tests:
        if isinstance(part.model, PropertyTest) and part.event is not None:
            tested.append((((*part.steps, "property"), part.model.property), [part.event]))
        own = [part.event] if part.entry == "own" and part.event is not None else None
        for named in entry_names(part):
            tested.append((named, own or view.judged_events))
    if key is not None:
        tested.append(((("settings", "reentry", "key"), key), view.entry_events))
    properties = {event: Known(known.properties) for event, known in view.schema.events.items()}
    for (steps, name), events in tested:
        for event in events:
            known = view.schema.events.get(event)
            if known is None or name in known.properties or name in RESERVED_PROPERTIES:
                continue
            message = f"{quoted(event)} has no property {quoted(name)} in the audience"
            advice = (
                "It counts as missing: check the name, or the responses file if it is modelled."
            )
            advice = view.close_to(name, properties[event], advice)
            yield violation("absent-property", steps, message, advice)


def _absent(
    view: View, kind: str, named: Iterator[Named], held: set[str], fate: str
) -> Iterator[Violation]:
    known = Known(sorted(held))
    for steps, name in named:
        if name not in held:
            message = f"the audience has no {kind} {quoted(name)}: {fate}"
            otherwise = "Check the name, or the audience."
            if kind == "event":
                otherwise = (
                    "Check the name; if a message leads to it, model it in a responses file."
                )
            standard = standard_attribute(name) if kind == "attribute" else None
            if standard is not None and standard.made_by:
                otherwise = f"Compute it with `headrace enrich {standard.made_by}`."
            advice = view.close_to(name, known, otherwise)
            yield violation(f"absent-{kind}", steps, message, advice)


def attributes_named(view: View) -> Iterator[Named]:
    """The attributes that conditions and nodes read, with their places."""
    for part in view.tests:
        if isinstance(part.model, AttributeTest):
            yield (*part.steps, "attribute"), part.model.attribute
    for node_id, node in view.flow.nodes.items():
        if isinstance(node, BranchAttribute | WaitDate):
            yield ("nodes", node_id, "attribute"), node.attribute


def _tags(view: View) -> Iterator[Named]:
    for part in view.parts:
        if isinstance(part.model, TagTest):
            yield (*part.steps, "tag"), part.model.tag
    for node_id, node in view.flow.nodes.items():
        if isinstance(node, RemoveTag):
            yield ("nodes", node_id, "tag"), node.tag
        elif isinstance(node, BranchTag):
            for branch, tags in node.branches.items():
                for place, tag in enumerate(tags):
                    steps: Steps = ("nodes", node_id, "branches", branch)
                    yield (*steps, place) if len(tags) > 1 else steps, tag


def _groups(view: View) -> Iterator[Named]:
    for part in view.parts:
        if isinstance(part.model, GroupTest):
            yield (*part.steps, "group"), part.model.group
    for node_id, node in view.flow.nodes.items():
        if isinstance(node, RemoveFromGroup):
            yield ("nodes", node_id, "group"), node.group


def events_named(view: View) -> Iterator[Named]:
    """The events that a flow hears or looks back at, with their places."""
    for steps, holder in filters(view.flow):
        yield (*steps, "event"), holder.event
    for part in view.parts:
        if isinstance(part.model, DidTest):
            yield (*part.steps, "did"), part.model.did
        elif isinstance(part.model, NeverDidTest):
            yield (*part.steps, "never_did"), part.model.never_did
