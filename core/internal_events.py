"""Name the events that a run itself makes happen: changes of records, messages, conditions met.

They happen to the customer at the instant of what made them, after that has been worked to its end
and before anything else of his (semantics D47). Their names begin with `~`, which no recorded
event's does, but for those of `MADE_BY_SENDS`, of which recorded ones count alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from core.conditions import Scalar

Family = Literal["attribute", "tag", "group"]
ChangeKind = Literal["first", "changed", "raised", "lowered", "any"]
FAMILIES: tuple[Family, ...] = get_args(Family)
CHANGE_KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)
"""In the order in which the events of one change happen."""

MESSAGE_SENT = "message_sent"
NOTE_ADDED = "note_added"
MADE_BY_SENDS = (MESSAGE_SENT, NOTE_ADDED)
"""The events that what leaves a `send` makes happen."""

_MARK = "~"


@dataclass(frozen=True, slots=True)
class Internal:
    """An event that something in a program makes happen, with what it carries."""

    event: str
    carried: Mapping[str, Scalar]


def change_event(family: Family, name: str, change: ChangeKind) -> str:
    """The event of a change of a customer's attribute, tag or group.

    `first`: a value where none was; `changed`: another value; `raised` and `lowered`: a greater or
    smaller one, where true is greater than false and no number counts as 0; `any`: each of these,
    and the value taken away.
    """
    return f"{_MARK}{family}.{change}:{name}"


def change_of(event: str) -> tuple[Family, str, ChangeKind] | None:
    """The change that an event tells of, as `change_event` takes it; None for any other event."""
    kind, _, name = event.removeprefix(_MARK).partition(":")
    family, _, change = kind.partition(".")
    for known in FAMILIES:
        for each in CHANGE_KINDS:
            if event.startswith(_MARK) and (family, change) == (known, each):
                return known, name, each
    return None


def met_event(node_id: str) -> str:
    """The event of the condition of a wait's coming true."""
    return f"{_MARK}met:{node_id}"


def exit_event(number: int) -> str:
    """The event of an exit condition's coming true, numbered from 0."""
    return f"{_MARK}exit:{number}"


def is_internal(event: str) -> bool:
    """Whether an event is one that only a run itself makes happen."""
    return event.startswith(_MARK)


def made_by_run(event: str) -> bool:
    """Whether a run itself makes the event happen, be it recorded too."""
    return is_internal(event) or event in MADE_BY_SENDS


def kinds_of_change(old: object, new: object, *, zero: object) -> list[ChangeKind]:
    """What a change from `old` to `new` is, in order; None is no value.

    `zero` is what no value counts as in a comparison, None where values have no order.
    """
    if old == new and type(old) is type(new):
        return []
    found: list[ChangeKind] = []
    if new is not None:
        found.append("first" if old is None else "changed")
        before = zero if old is None else old
        if before is not None and not isinstance(new, str):
            if new > before:  # type: ignore[operator]
                found.append("raised")
            elif new < before:  # type: ignore[operator]
                found.append("lowered")
    return [*found, "any"]
