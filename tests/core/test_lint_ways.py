"""Checks the tree of dominators against its definition: without it, nobody comes there."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.flow import Flow
from core.lint_view import View
from core.lint_ways import Ways

Edges = list[tuple[int, int, int]]  # node, port, target


def _flow(nodes: int, edges: Edges) -> Flow:
    made: dict[str, Any] = {"start": {"type": "on_event", "event": "e", "next": "n0"}}
    for i in range(nodes):
        onward: dict[str, list[str]] = {}
        for node, port, target in edges:
            if node == i:
                onward.setdefault("yes" if port else "no", []).append(f"n{target}")
        onward = {port: sorted(set(targets)) for port, targets in onward.items()}
        made[f"n{i}"] = {"type": "condition", "if": {"tag": "t"}, "next": onward}
    return Flow.model_validate({"headrace": 1, "flow": "f", "nodes": made})


def _dominators(ways: Ways) -> dict[int, set[tuple[int, str | None]]]:
    """What lies above each node in the tree."""
    above: list[tuple[int, str | None]] = []
    found = {}
    for step in ways.walk():
        if not step.entering:
            above.pop()
            continue
        if step.port is None:
            found[step.node] = set(above)
        above.append((step.node, step.port))
    return found


def _reached(view: View, without: tuple[int, str | None], cut: set[int]) -> set[int]:
    """Who is come to when a node or a port is taken away; a cut node passes on from nowhere."""
    graph, nodes = view.graph, list(view.flow.nodes.values())
    seen: set[int] = set()
    whole = graph.reached([0])
    waiting = [0, *(c for c in cut if c in whole)]
    sources = set(waiting)
    while waiting:
        i = waiting.pop()
        if (i, None) == without and i not in cut:
            continue
        if i not in sources or i == 0:
            seen.add(i)
        for port in nodes[i].ports:
            if (i, port) == without:
                continue
            for target in nodes[i].targets(port):
                j = graph.number[target]
                if (j, None) == without or j in seen:
                    continue
                seen.add(j)
                if j not in cut:
                    waiting.append(j)
    return seen


@st.composite
def _graphs(draw: st.DrawFn, *, forward: bool) -> tuple[int, Edges]:
    nodes = draw(st.integers(2, 9))
    edges = draw(
        st.lists(
            st.tuples(st.integers(0, nodes - 1), st.integers(0, 1), st.integers(0, nodes - 1)),
            max_size=20,
        )
    )
    if forward:
        edges = [(min(a, b), port, max(a, b)) for a, port, b in edges if a != b]
    return nodes, edges


@given(_graphs(forward=True), st.sets(st.integers(1, 9), max_size=3))
def test_without_cycles_the_tree_is_that_of_the_definition(
    graph: tuple[int, Edges], cut: set[int]
) -> None:
    view = View(_flow(*graph))
    cut = {i for i in cut if i < len(view.graph.ids)}
    tree = _dominators(Ways(view, lambda i: i in cut))
    nodes = list(view.flow.nodes.values())
    for node, above in tree.items():
        ports = {(i, p) for i, n in enumerate(nodes) for p in n.ports if n.targets(p)}
        places = ports | {(i, None) for i in range(len(nodes)) if i != node and i not in cut}
        expected = {
            place
            for place in places
            if node in _reached(view, (-1, None), cut) and node not in _reached(view, place, cut)
        }
        assert above == expected, view.graph.ids[node]


@given(_graphs(forward=False))
def test_with_cycles_nothing_is_claimed_that_does_not_hold(graph: tuple[int, Edges]) -> None:
    view = View(_flow(*graph))
    tree = _dominators(Ways(view, lambda i: False))
    assert set(tree) == view.graph.reached([0])
    for node, above in tree.items():
        for place in above:
            assert node not in _reached(view, place, set())


def test_a_fork_of_ten_thousand_paths_that_meet() -> None:
    wide = {f"n{i}": {"type": "add_tag", "tag": "t", "next": "m"} for i in range(10_000)}
    nodes = {
        "start": {"type": "on_event", "event": "e", "next": [*wide]},
        **wide,
        "m": {"type": "end"},
    }
    view = View(Flow.model_validate({"headrace": 1, "flow": "f", "nodes": nodes}))
    tree = _dominators(Ways(view, lambda i: False))
    assert tree[view.graph.number["m"]] == {(0, None), (0, "next")}
