"""Makes a failing case small, so that one sees why it fails.

Parts of the document are taken away as long as the rest still fails: nodes, customers, events,
fields, parts of conditions. What results can be kept as a vector.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

Case = dict[str, Any]
Path = tuple[Any, ...]

KEPT = {("flow", "headrace"), ("flow", "flow"), ("options", "from"), ("options", "until"),
        ("options", "horizon")}  # fmt: skip


def shrunk(case: Case, fails: Callable[[Case], bool], tries: int = 3000) -> Case:
    """The least case reached from `case` for which `fails` still holds; it must not raise."""
    left = tries
    smaller = True
    while smaller and left:
        smaller = False
        for candidate in _candidates(case):
            left -= 1
            if not left:
                break
            if fails(candidate):
                case, smaller = candidate, True
                break
    return case


def _candidates(case: Case) -> Iterator[Case]:
    for name in ("customers", "events", "changes"):
        yield from _halved(case, name)
    for node in case["flow"]["nodes"]:
        yield _without_node(case, node)
    paths = sorted(_paths(case), key=len)
    for path in paths:
        if path not in KEPT and path not in {("flow",), ("options",), ("customers",)}:
            yield _changed(case, path)
    for path in paths:
        held = _at(case, path)
        if isinstance(held, dict):
            for word in ("all", "any", "not"):
                inner = held.get(word, [])
                for part in inner if isinstance(inner, list) else [inner]:
                    yield _changed(case, path, part)
        elif isinstance(held, list) and len(held) == 1 and isinstance(held[0], str):
            yield _changed(case, path, held[0])


def _halved(case: Case, name: str) -> Iterator[Case]:
    rows = case.get(name, [])
    size = len(rows)
    while size > 1:
        size //= 2
        for first in range(0, len(rows), size):
            yield {**case, name: rows[:first] + rows[first + size :]}


def _without_node(case: Case, node: str) -> Case:
    """The case with a node removed; edges to it lead where it led."""
    case = copy.deepcopy(case)
    nodes = case["flow"]["nodes"]
    onward = _targets(nodes.pop(node).get("next", {}))
    for other in nodes.values():
        if "next" in other:
            edges = other["next"]
            ports = edges if isinstance(edges, dict) else {"next": edges}
            for port, targets in ports.items():
                listed = [targets] if isinstance(targets, str) else targets
                if node in listed:
                    kept = [t for t in listed if t != node]
                    fresh = [t for t in onward if t not in kept and t != node]
                    ports[port] = kept + fresh[:1]
            other["next"] = ports
        if other.get("message") == node:
            del other["message"]
    for layer in case["flow"].get("settings", {}).get("funnel", []):
        layer["nodes"] = [n for n in layer["nodes"] if n != node]
    return case


def _targets(edges: Any) -> list[str]:
    if isinstance(edges, dict):
        return [t for port in edges.values() for t in _targets(port)]
    return [edges] if isinstance(edges, str) else list(edges)


def _paths(held: Any, path: Path = ()) -> Iterator[Path]:
    keys = held if isinstance(held, dict) else range(len(held)) if isinstance(held, list) else ()
    for key in keys:
        yield (*path, key)
        yield from _paths(held[key], (*path, key))


def _at(held: Any, path: Path) -> Any:
    for key in path:
        held = held[key]
    return held


_GONE = object()


def _changed(case: Case, path: Path, value: Any = _GONE) -> Case:
    """The case with the value at `path` removed or replaced; the rest is shared."""
    key, *rest = path
    if isinstance(case, dict):
        copied: Any = dict(case)
    else:
        copied = list(case)
    if rest:
        copied[key] = _changed(case[key], tuple(rest), value)
    elif value is _GONE:
        del copied[key]
    else:
        copied[key] = value
    return copied
