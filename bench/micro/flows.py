"""Generate small flows of which nearly all token-steps are at nodes of one kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from core.flow import Flow
from core.nodes import NODE_TYPES

LINKS = 16
"""How many nodes under test a chain has, or how many of them a fork leads to."""

Document = dict[str, Any]
Made = Callable[[int], Mapping[str, Any]]
"""The document of the i-th node under test, without its edges."""

ON_GO: Document = {"type": "on_event", "event": "go"}


def chain(made: Made, *, links: int = LINKS, **settings: Any) -> Flow:
    """The trigger, `links` nodes one after the other, the end: links + 2 steps an entry.

    Every port of a node leads to the next one.
    """
    nodes: Document = {"start": ON_GO | {"next": "n0" if links else "end"}}
    for i in range(links):
        nodes[f"n{i}"] = _joined(made(i), f"n{i + 1}" if i + 1 < links else "end")
    return _flow(nodes, **settings)


def lattice(made: Made, *, links: int = LINKS, **settings: Any) -> Flow:
    """A chain whose every link is a row of nodes, one for each port; the ports part the tokens.

    So they are gathered at each row anew, as at the branches of a flow, and yet links + 2 steps are
    taken, whatever was decided.
    """
    ports = _ports(made(0))
    nodes: Document = {"start": ON_GO | {"next": "n0-0"}}
    for i in range(links):
        row = [f"n{i + 1}-{j}" for j in range(len(ports))]
        follower = dict(zip(ports, row, strict=True)) if i + 1 < links else _all_to(ports, "end")
        nodes |= {f"n{i}-{j}": {**made(i), "next": follower} for j in range(len(ports) if i else 1)}
    return _flow(nodes, **settings)


def fork(made: Made, *, links: int = LINKS) -> Flow:
    """The trigger, then `links` nodes side by side, each before the end unless it is one."""
    nodes: Document = {"start": ON_GO | {"next": [f"n{i}" for i in range(links)]}}
    for i in range(links):
        nodes[f"n{i}"] = _joined(made(i), "end")
    return _flow(nodes)


def entering(trigger: Document, after: Document | None = None) -> Flow:
    """The trigger, the node `after` if any, the end; customers enter as often as it fires."""
    nodes: Document = {"start": trigger | {"next": "end" if after is None else "n0"}}
    if after is not None:
        nodes["n0"] = _joined(after, "end")
    return _flow(nodes, reentry={"policy": "always"})


def _ports(node: Mapping[str, Any]) -> tuple[str, ...]:
    return NODE_TYPES[node["type"]].model_validate(node).ports


def _all_to(ports: tuple[str, ...], follower: str) -> dict[str, str]:
    return dict.fromkeys(ports, follower)


def _joined(node: Mapping[str, Any], follower: str) -> Document:
    return {**node, "next": _all_to(_ports(node), follower)}


def _flow(nodes: Document, **settings: Any) -> Flow:
    return Flow.model_validate(
        {
            "headrace": 1,
            "flow": "micro",
            "settings": {"zone": "UTC", **settings},
            "nodes": {**nodes, "end": {"type": "end"}},
        }
    )
