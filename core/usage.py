"""Tell which names each node of a flow reads and writes: attributes, tags, groups, events.

The report uses it to say where a name is needed that the audience lacks, and `core.taint` to follow
what an assumption reaches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from core.conditions import (
    AttributeTest,
    Comparison,
    DidTest,
    EntryRef,
    EntryTest,
    GroupTest,
    Model,
    NeverDidTest,
    PropertyTest,
    TagTest,
    walk,
)
from core.control_lowering import WITHOUT_LIMITS
from core.flow import ExitRule, Flow
from core.nodes import (
    ABTest,
    AddTag,
    AddToAttribute,
    AddToGroup,
    BranchAttribute,
    BranchTag,
    ConditionNode,
    NodeBase,
    OnEvent,
    OnSchedule,
    OnSegment,
    RemoveFromGroup,
    RemoveTag,
    Send,
    SetAttribute,
    Target,
    WaitAny,
    WaitCondition,
    WaitDate,
    WaitEvent,
)

GOAL = "goal"
EXIT = "exit"
REENTRY = "re-entry key"


class Ref(NamedTuple):
    """A name with its kind; `history` is an event type that a condition looks back at."""

    kind: Literal["attribute", "tag", "group", "event", "history", "property"]
    name: str


def condition_reads(condition: Model | None) -> Iterator[Ref]:
    """Yield what a condition or filter reads, those of its history filters included."""
    for part in walk(condition):
        match part:
            case AttributeTest(attribute=name):
                yield Ref("attribute", name)
            case TagTest(tag=name):
                yield Ref("tag", name)
            case GroupTest(group=name):
                yield Ref("group", name)
            case DidTest(did=name) | NeverDidTest(never_did=name):
                yield Ref("history", name)
            case EntryTest(entry=name) | PropertyTest(property=name):
                yield Ref("property", name)
        if isinstance(part, Comparison) and isinstance(part.operand, EntryRef):
            yield Ref("property", part.operand.entry)


def reads(node: NodeBase) -> set[Ref]:
    """What `node` reads to decide anything, the target of an A/B test included."""
    match node:
        case OnEvent(event=event, where=where) | WaitEvent(event=event, where=where):
            return {Ref("event", event), *condition_reads(where)}
        case WaitAny(events=events):
            found = {Ref("event", each.event) for each in events.values()}
            return found.union(*(condition_reads(each.where) for each in events.values()))
        case Send(guards=guards):
            shown = {Ref("property", name) for name in node.of_entry.values()}
            return shown.union(*(condition_reads(guard.if_) for guard in guards))
        case (
            WaitCondition(if_=condition)
            | OnSegment(if_=condition)
            | OnSchedule(if_=condition)
            | ConditionNode(if_=condition)
        ):
            return set(condition_reads(condition))
        case BranchAttribute(attribute=name) | WaitDate(attribute=name):
            return {Ref("attribute", name)}
        case BranchTag(branches=branches):
            return {Ref("tag", tag) for tags in branches.values() for tag in tags}
        case ABTest(target=target):
            return _target_reads(target)
        case AddToAttribute(attribute=name):
            return {Ref("attribute", name)}
    return set()


def writes(node: NodeBase) -> Ref | None:
    """The attribute, tag or group that `node` changes, None where it changes none."""
    match node:
        case AddTag(tag=name) | RemoveTag(tag=name):
            return Ref("tag", name)
        case SetAttribute(attribute=name) | AddToAttribute(attribute=name):
            return Ref("attribute", name)
        case AddToGroup(group=name) | RemoveFromGroup(group=name):
            return Ref("group", name)
    return None


def exit_reads(rule: ExitRule) -> set[Ref]:
    """What a rule reads that takes customers out."""
    event = set() if rule.event is None else {Ref("event", rule.event)}
    return event | set(condition_reads(rule.where)) | set(condition_reads(rule.if_))


def used(flow: Flow) -> dict[Ref, list[str]]:
    """Where each name is read: node ids in document order, then `EXIT`, `GOAL` and `REENTRY`.

    Here an event type that a condition looks back at counts as an event.
    """
    places: dict[Ref, list[str]] = {}

    def note(refs: set[Ref], place: str) -> None:
        for ref in sorted({Ref("event", r.name) if r.kind == "history" else r for r in refs}):
            places.setdefault(ref, []).append(place)

    for node_id, node in flow.nodes.items():
        note(reads(node), node_id)
    for rule in flow.settings.exit:
        note(exit_reads(rule), EXIT)
    if flow.settings.goal is not None:
        note(_target_reads(flow.settings.goal), GOAL)
    if flow.settings.reentry.key is not None:
        note({Ref("property", flow.settings.reentry.key)}, REENTRY)
    return places


def event_names(flow: Flow) -> set[str]:
    """Every event that the flow names, those of look-backs included."""
    return {ref.name for ref in used(flow) if ref.kind == "event"}


def written(flow: Flow) -> set[Ref]:
    """The attributes, tags and groups that the flow itself changes."""
    return {ref for ref in map(writes, flow.nodes.values()) if ref is not None}


def _target_reads(target: Target) -> set[Ref]:
    return {Ref("event", target.event), *condition_reads(target.where)}


def asked_by_limits(flow: Flow) -> set[Ref]:
    """The names that a flow as written asks for only to limit its messages, and can do without."""
    if not flow.settings.controls:
        return set()
    rules = flow.settings.messages
    bare = flow.settings.model_copy(update=WITHOUT_LIMITS)
    plain = used(flow.model_copy(update={"settings": bare}).core)
    return {
        ref for ref in used(flow.core) if ref not in plain and not (rules and rules.needs(ref.name))
    }
