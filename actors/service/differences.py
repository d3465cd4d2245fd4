"""Compare two flow documents: nodes that came and went, and every field that is another.

Places are JSON pointers (RFC 6901) into the documents. Lists are compared as wholes where they hold
anything but mappings, because what was moved in a list is told best by both of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.violations import pointer

NODES = "nodes"


@dataclass(frozen=True, slots=True)
class Change:
    """A field that one document has otherwise than the other; None where it has none."""

    pointer: str
    kind: Literal["added", "removed", "changed"]
    before: Any = None
    after: Any = None


@dataclass(frozen=True, slots=True)
class Differences:
    """What is different: ids of nodes, and fields, those of nodes that came or went left out."""

    added: list[str]
    removed: list[str]
    changed: list[str]
    changes: list[Change]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Differences:
    """What a document `after` has otherwise than `before`; both are mappings of a flow."""
    old, new = _nodes(before), _nodes(after)
    common = [node for node in old if node in new]
    changes = list(_compared(_without_nodes(before), _without_nodes(after), ()))
    changed = []
    for node in common:
        found = list(_compared(old[node], new[node], (NODES, node)))
        if found:
            changed.append(node)
            changes += found
    return Differences(
        added=[node for node in new if node not in old],
        removed=[node for node in old if node not in new],
        changed=changed,
        changes=changes,
    )


def _nodes(document: Mapping[str, Any]) -> Mapping[str, Any]:
    nodes = document.get(NODES)
    return nodes if isinstance(nodes, dict) else {}


def _without_nodes(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != NODES}


def _compared(before: Any, after: Any, place: tuple[str | int, ...]) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            here = (*place, key)
            if key not in after:
                yield Change(pointer(here), "removed", before=before[key])
            elif key not in before:
                yield Change(pointer(here), "added", after=after[key])
            else:
                yield from _compared(before[key], after[key], here)
    elif _comparable(before) and _comparable(after) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from _compared(*pair, (*place, number))
    elif before != after or type(before) is not type(after):
        yield Change(pointer(place), "changed", before, after)


def _comparable(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)
