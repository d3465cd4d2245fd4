"""Tell what everybody who comes to a node has passed on the way there: ports of earlier nodes.

A node or port that lies on every way to a node *dominates* it. Dominators form a tree; here it is
found in one pass over the flow in topological order, where the parent of a node is the closest
common ancestor of what leads to it. Ancestors are found by jump pointers (Myers, "An applicative
random-access stack", Information Processing Letters 17:5, 1983), so a flow of n edges takes
O(n log n).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.graph import components
from core.lint_view import View, enters

ROOT = 0
_NOWHERE = -1

Port = tuple[int, str]
"""The number of a node in `View.graph` and one of its ports."""
_What = tuple[int, str | None]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a walk through the tree: a node or a port of one that is come to, or left.

    `port` is None for a node; `entering` is False when the walk leaves what lies below.
    """

    node: int
    port: str | None
    entering: bool


class Ways:
    """The tree of dominators of a flow's nodes and ports.

    Where `cut(node)` is true, whoever leaves the node counts as somebody new: nothing that was
    passed before it dominates what comes after. So with a cut at every wait, what dominates a
    node was passed at the same instant.
    """

    def __init__(self, view: View, cut: Callable[[int], bool]) -> None:
        """Make the tree of `view`'s flow; time O(edges log nodes)."""
        self.view = view
        self._parent, self._depth, self._jump = [_NOWHERE], [0], [ROOT]
        self._what: list[_What] = [(_NOWHERE, None)]
        graph, nodes = view.graph, list(view.flow.nodes.values())
        ports = [
            [
                (p, [graph.number[t] for t in node.targets(p) if t in graph.number])
                for p in node.ports
                if node.targets(p)
            ]
            for node in nodes
        ]
        onward = [[] if cut(i) else graph.onward[i] for i in range(len(nodes))]
        component = components(onward, [True] * len(nodes))
        members: list[list[int]] = [[] for _ in range(max(component, default=-1) + 1)]
        for i, part in enumerate(component):
            members[part].append(i)
        reached = graph.reached([i for i, node in enumerate(nodes) if enters(node)])
        leads: dict[int, int] = {i: ROOT for i, node in enumerate(nodes) if enters(node)}
        for i in sorted(reached):
            if cut(i):
                for port, targets in ports[i]:
                    self._lead(leads, self._add(ROOT, (i, port)), targets)
        # Edges run from higher components to lower ones, so this order is topological.
        for alike in reversed(members):
            inside = [i for i in alike if i in reached]
            known = [leads[i] for i in inside if i in leads]
            if not known:
                continue
            above = known[0]
            for other in known[1:]:
                above = self._common(above, other)
            for i in inside:
                at = self._add(above, (i, None))
                for port, targets in [] if cut(i) else ports[i]:
                    outside = [t for t in targets if component[t] != component[i]]
                    self._lead(leads, self._add(at, (i, port)), outside)

    def _lead(self, leads: dict[int, int], port: int, targets: list[int]) -> None:
        for target in targets:
            known = leads.get(target)
            leads[target] = port if known is None else self._common(known, port)

    def _add(self, parent: int, what: _What) -> int:
        up = self._jump[parent]
        span = self._depth[parent] - self._depth[up]
        even = span == self._depth[up] - self._depth[self._jump[up]]
        self._parent.append(parent)
        self._depth.append(self._depth[parent] + 1)
        self._jump.append(self._jump[up] if even else parent)
        self._what.append(what)
        return len(self._parent) - 1

    def _common(self, a: int, b: int) -> int:
        depth, jump, parent = self._depth, self._jump, self._parent
        if depth[a] < depth[b]:
            a, b = b, a
        while depth[a] > depth[b]:
            a = jump[a] if depth[jump[a]] >= depth[b] else parent[a]
        while a != b:
            if jump[a] != jump[b]:
                a, b = jump[a], jump[b]
            else:
                a, b = parent[a], parent[b]
        return a

    def walk(self) -> Iterator[Step]:
        """Go through the tree, parents first; each step in is followed by its step out."""
        below: list[list[int]] = [[] for _ in self._parent]
        for i in range(len(self._parent) - 1, ROOT, -1):
            below[self._parent[i]].append(i)
        waiting = list(below[ROOT])
        while waiting:
            i = waiting.pop()
            if i < 0:
                node, port = self._what[-i]
                yield Step(node, port, False)
                continue
            node, port = self._what[i]
            yield Step(node, port, True)
            waiting.append(-i)
            waiting += below[i]
