"""Count what arrives and the schema does not have so: unknown events and properties, other types.

Of values only their types are kept. It costs something only where something is strange.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from core.violations import printable

StrangeKind = Literal["unknown-event", "unknown-property", "wrong-type"]
KINDS: tuple[StrangeKind, ...] = ("unknown-event", "unknown-property", "wrong-type")
NAME_CHARS_MAX = 120
DIFFERENT_MAX = 1_000  # of one batch
_TYPES = {bool: "bool", int: "int", float: "float", str: "text", list: "list", dict: "mapping"}


class Strange(NamedTuple):
    """What is strange: of which event ("" for a customer's record), which property, how.

    `type` is that of an example, "" where there is none.
    """

    event: str
    property: str
    kind: StrangeKind
    type: str


def note(
    found: dict[Strange, int],
    event: object,
    name: object,
    kind: StrangeKind,
    value: object,
    count: int = 1,
    *,
    typed: bool = False,
) -> None:
    """Count something strange; with `typed` the value is already the name of a type."""
    if not count:
        return
    type_ = str(value) if typed else "" if value is None else _TYPES.get(type(value), "other")
    each = Strange(_short(event), _short(name), kind, type_)
    if each in found or len(found) < DIFFERENT_MAX:
        found[each] = found.get(each, 0) + count


def note_refusal(
    found: dict[Strange, int], row: Any, code: str, steps: Sequence[str | int]
) -> None:
    """Count what a row was refused for, if that is something strange."""
    if code not in ("unknown-event", "unknown-field", "wrong-type") or type(row) is not dict:
        return
    event = row.get("event", "")
    if code == "unknown-event":
        note(found, event, "", "unknown-event", None)
        return
    value: Any = row
    for step in steps:
        value = value.get(step) if isinstance(value, Mapping) else None
    if len(steps) == 2 and steps[0] in ("properties", "set"):
        kind: StrangeKind = "wrong-type" if code == "wrong-type" else "unknown-property"
        note(found, event, steps[1], kind, value)


def _short(name: object) -> str:
    return printable(str(name))[:NAME_CHARS_MAX]
