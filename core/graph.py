"""Find one's way in a flow's graph: its edges, its cycles, and what reaches what.

Flows have up to 20,000 nodes in one chain, so nothing here is recursive, and questions about all
pairs are answered with one pass of bit sets over the strongly connected components.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.flow import Flow


@dataclass(slots=True)
class Graph:
    """The edges that can be taken: `onward[i]` and `backward[i]` are numbers of nodes in `ids`.

    Edges of unknown ports, to nodes that aren't there or to triggers are left out.
    """

    ids: list[str]
    onward: list[list[int]]
    backward: list[list[int]]
    number: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, flow: Flow) -> Graph:
        """The graph of `flow`."""
        ids = list(flow.nodes)
        number = {node_id: i for i, node_id in enumerate(ids)}
        inner = {node_id: number[node_id] for node_id, n in flow.nodes.items() if not n.trigger}
        graph = cls(ids, [[] for _ in ids], [[] for _ in ids], number)
        for i, node in enumerate(flow.nodes.values()):
            ports = set(node.ports)
            for port, targets in node.next.items():
                onward = [inner[t] for t in targets if t in inner] if port in ports else []
                graph.onward[i] += onward
                for target in onward:
                    graph.backward[target].append(i)
        return graph

    def reached(self, starts: Iterable[int]) -> set[int]:
        """The numbers of the nodes that can be reached from `starts`, these included."""
        seen = set(starts)
        stack = list(seen)
        while stack:
            fresh = [i for i in self.onward[stack.pop()] if i not in seen]
            seen.update(fresh)
            stack += fresh
        return seen

    def islands(self) -> list[list[int]]:
        """The parts that no edge connects, each a rising list of numbers, in document order."""
        seen: set[int] = set()
        parts: list[list[int]] = []
        for start in range(len(self.ids)):
            if start in seen:
                continue
            part, stack = {start}, [start]
            while stack:
                i = stack.pop()
                fresh = {*self.onward[i], *self.backward[i]} - part
                part |= fresh
                stack += fresh
            seen |= part
            parts.append(sorted(part))
        return parts

    def cycles(self, among: Sequence[bool]) -> list[list[int]]:
        """The strongly connected parts with a cycle through nodes where `among` is true alone."""
        component = components(self.onward, among)
        parts: dict[int, list[int]] = {}
        for i, part in enumerate(component):
            if among[i]:
                parts.setdefault(part, []).append(i)
        return sorted(p for p in parts.values() if len(p) > 1 or p[0] in self.onward[p[0]])

    def shortest_cycle(self, start: int, among: Iterable[int]) -> list[int]:
        """The nodes of a shortest cycle from `start` through `among`, which must contain one."""
        allowed = set(among)
        came_from: dict[int, int] = {}
        queue = deque([start])
        while queue:
            i = queue.popleft()
            for onward in self.onward[i]:
                if onward == start:
                    path = [i]
                    while path[-1] != start:
                        path.append(came_from[path[-1]])
                    return path[::-1]
                if onward in allowed and onward not in came_from:
                    came_from[onward] = i
                    queue.append(onward)
        raise ValueError(f"no cycle leads through node {self.ids[start]!r}")


def components(onward: Sequence[Sequence[int]], among: Sequence[bool]) -> list[int]:
    """The strongly connected component of each node, edges run from higher numbers to lower ones.

    Tarjan's algorithm (SIAM Journal on Computing 1:2, 1972) with its own stack; nodes where `among`
    is false are left out and get -1.
    """
    nodes = len(onward)
    index = [-1] * nodes  # order of discovery
    low = [0] * nodes
    component = [-1] * nodes
    open_nodes: list[int] = []
    found = parts = 0
    for root in range(nodes):
        if index[root] >= 0 or not among[root]:
            continue
        work = [(root, 0)]
        while work:
            i, edge = work.pop()
            if edge == 0:
                index[i] = low[i] = found
                found += 1
                open_nodes.append(i)
            descended = False
            for place in range(edge, len(onward[i])):
                j = onward[i][place]
                if not among[j]:
                    continue
                if index[j] < 0:
                    work += [(i, place + 1), (j, 0)]
                    descended = True
                    break
                if component[j] < 0:
                    low[i] = min(low[i], index[j])
            if descended:
                continue
            if low[i] == index[i]:
                while True:
                    j = open_nodes.pop()
                    component[j] = parts
                    if j == i:
                        break
                parts += 1
            if work:
                parent = work[-1][0]
                low[parent] = min(low[parent], low[i])
    return component


def spread(
    onward: Sequence[Sequence[int]], component: Sequence[int], seeds: dict[int, int]
) -> list[int]:
    """For each node the union of the seeds (bit sets by node) that lie on it or can reach it."""
    members: dict[int, list[int]] = {}
    bits: dict[int, int] = {}
    for i, part in enumerate(component):
        members.setdefault(part, []).append(i)
        bits[part] = bits.get(part, 0) | seeds.get(i, 0)
    for part in sorted(members, reverse=True):
        own = bits[part]
        for i in members[part] if own else ():
            for j in onward[i]:
                bits[component[j]] |= own
    return [bits[part] for part in component]
