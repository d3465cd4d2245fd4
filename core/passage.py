"""Derive from a program's edges how its nodes are best worked.

In which order, and how often and when tokens arrive. All of it is a matter of speed: an interpreter
that worked nodes in any order, kept a bit for each customer and node, and looked at the time of
every arrival would count the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.graph import components
from core.program import FLAG_AGAIN, FLAG_JOINT, FLAG_LATE, Op, Program

ROUTE_NONE = -1
ROUTE_FORK = -2
WAITS = (Op.WAIT_FOR, Op.WAIT_AT, Op.WAIT_DATE, Op.WAIT_SLOT, Op.WAIT_EVENT, Op.CLAIM)


@dataclass(slots=True)
class Passage:
    """How tokens pass through a program of `n` nodes and `p` ports.

    * order int32[n]: the nodes, each before all that it leads to, but for cycles
    * routes int32[p]: the target of a port with one edge, ROUTE_NONE, or ROUTE_FORK for several
    * flags int32[n]: FLAG_AGAIN where a customer may arrive twice, or where a funnel layer asks for
      who arrived; FLAG_LATE where a token may arrive later than its entry began; FLAG_JOINT where
      all ports lead to one node
    """

    order: NDArray[np.int32]
    routes: NDArray[np.int32]
    flags: NDArray[np.int32]


def passage_of(program: Program) -> Passage:
    """Look a program through, in time linear in its edges."""
    nodes, ports, edges = program.nodes, program.ports, program.edges
    routes = routes_of(ports, edges)
    onward: list[list[int]] = []
    for port0, count in zip(nodes["port0"].tolist(), nodes["ports"].tolist(), strict=True):
        begin, end = port0, port0 + count
        onward.append(
            [
                int(edge)
                for port in ports[begin:end]
                for edge in edges[port["edge0"] : port["edge0"] + port["edges"]]
            ]
        )
    component = components(onward, [True] * len(nodes))
    # Components are numbered against the direction of the edges.
    order = np.argsort(-np.array(component, np.int64), kind="stable").astype(np.int32)
    flags = np.zeros(len(nodes), np.int32)
    flags[_late(onward, np.isin(nodes["op"], WAITS))] |= FLAG_LATE
    reentry = program.flow.settings.reentry
    if reentry.policy != "once" or reentry.key is not None or np.any(ports["edges"] > 1):
        flags |= FLAG_AGAIN
    else:
        flags[_in_cycles(onward, component)] |= FLAG_AGAIN
    for i, (port0, count) in enumerate(zip(nodes["port0"], nodes["ports"], strict=True)):
        if are_joint(routes[port0 : port0 + count]):
            flags[i] |= FLAG_JOINT
    flags[[node for layer in program.layers for node in layer]] |= FLAG_AGAIN
    return Passage(order, routes, flags)


def routes_of(ports: NDArray[np.void], edges: NDArray[np.int32]) -> NDArray[np.int32]:
    """The `routes` of `Passage` for ports (PORT records) and the edges that they name."""
    routes = np.where(ports["edges"] == 0, ROUTE_NONE, ROUTE_FORK).astype(np.int32)
    single = ports["edges"] == 1
    routes[single] = edges[ports["edge0"][single]]
    return routes


def are_joint(routes: NDArray[np.int32]) -> bool:
    """Whether several ports, of these routes, all lead to one node."""
    return len(routes) > 1 and bool(routes[0] >= 0 and np.all(routes == routes[0]))


def _late(onward: Sequence[Sequence[int]], waits: NDArray[np.bool_]) -> list[int]:
    """The nodes that a wait leads to."""
    stack = np.flatnonzero(waits).tolist()
    seen: set[int] = set()
    while stack:
        fresh = [i for i in onward[stack.pop()] if i not in seen]
        seen.update(fresh)
        stack += fresh
    return sorted(seen)


def _in_cycles(onward: Sequence[Sequence[int]], component: Sequence[int]) -> list[int]:
    """The nodes from which an edge stays within their strongly connected component."""
    return [
        i for i, targets in enumerate(onward) if any(component[j] == component[i] for j in targets)
    ]
