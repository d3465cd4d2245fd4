"""Checks the graph's answers against igraph's, and on shapes that recursion would not survive."""

import igraph
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.flow import Flow
from core.graph import Graph, components, spread

SIZES = st.integers(1, 9)


@st.composite
def digraphs(draw: st.DrawFn) -> list[list[int]]:
    """A graph as lists of targets, loops and doubled edges included."""
    size = draw(SIZES)
    node = st.integers(0, size - 1)
    return draw(st.lists(st.lists(node, max_size=4), min_size=size, max_size=size))


def _graph(onward: list[list[int]]) -> Graph:
    backward: list[list[int]] = [[] for _ in onward]
    for i, targets in enumerate(onward):
        for target in targets:
            backward[target].append(i)
    ids = [str(i) for i in range(len(onward))]
    return Graph(ids, onward, backward, {node_id: i for i, node_id in enumerate(ids)})


def _oracle(onward: list[list[int]]) -> igraph.Graph:
    edges = [(i, target) for i, targets in enumerate(onward) for target in targets]
    return igraph.Graph(n=len(onward), edges=edges, directed=True)


@given(digraphs())
def test_components_agree_with_igraph(onward: list[list[int]]) -> None:
    found = components(onward, [True] * len(onward))
    expected = _oracle(onward).connected_components(mode="strong").membership
    pairs = set(zip(found, expected, strict=True))
    assert len(pairs) == len(set(found)) == len(set(expected))
    for i, targets in enumerate(onward):
        assert all(found[i] >= found[target] for target in targets)


@given(digraphs(), st.data())
def test_components_among_some_nodes_are_those_of_the_subgraph(
    onward: list[list[int]], data: st.DataObject
) -> None:
    flags = st.lists(st.booleans(), min_size=len(onward), max_size=len(onward))
    among = data.draw(flags)
    kept = [
        [t for t in targets if among[t]] if among[i] else [] for i, targets in enumerate(onward)
    ]
    whole = components(kept, [True] * len(onward))
    found = components(onward, among)
    assert [found[i] == -1 for i in range(len(onward))] == [not flag for flag in among]
    for i in range(len(onward)):
        for j in range(len(onward)):
            if among[i] and among[j]:
                assert (found[i] == found[j]) == (whole[i] == whole[j])


@given(digraphs())
def test_reached_and_spread_agree_with_igraph(onward: list[list[int]]) -> None:
    oracle, graph = _oracle(onward), _graph(onward)
    component = components(onward, [True] * len(onward))
    bits = spread(onward, component, {i: 1 << i for i in range(len(onward))})
    for i in range(len(onward)):
        assert graph.reached([i]) == set(oracle.subcomponent(i, mode="out"))
        assert {j for j in range(len(onward)) if bits[i] >> j & 1} == set(
            oracle.subcomponent(i, mode="in")
        )


@given(digraphs())
def test_islands_agree_with_igraph(onward: list[list[int]]) -> None:
    expected = sorted(sorted(c) for c in _oracle(onward).connected_components(mode="weak"))
    assert _graph(onward).islands() == expected


@given(digraphs())
def test_cycles_are_where_igraph_sees_them(onward: list[list[int]]) -> None:
    graph = _graph(onward)
    parts = graph.cycles([True] * len(onward))
    assert (not parts) == _oracle(onward).is_dag()
    for part in parts:
        for start in part:
            cycle = graph.shortest_cycle(start, part)
            assert cycle[0] == start
            assert len(set(cycle)) == len(cycle)
            for i, j in zip(cycle, [*cycle[1:], start], strict=True):
                assert j in onward[i]


def test_a_node_without_a_cycle_has_no_shortest_one() -> None:
    with pytest.raises(ValueError, match="no cycle leads through node '0'"):
        _graph([[1], []]).shortest_cycle(0, [0, 1])


def test_a_chain_of_twenty_thousand_nodes_needs_no_recursion() -> None:
    size = 20_000
    onward = [[i + 1] for i in range(size - 1)] + [[]]
    assert components(onward, [True] * size) == list(range(size))[::-1]
    ring = [[(i + 1) % size] for i in range(size)]
    assert set(components(ring, [True] * size)) == {0}
    assert _graph(ring).shortest_cycle(0, range(size)) == list(range(size))


def test_the_graph_of_a_flow_leaves_out_what_cannot_be_taken() -> None:
    nodes = {
        "start": {"type": "on_event", "event": "e", "next": ["a", "gone"]},
        "a": {
            "type": "condition",
            "if": {"tag": "t"},
            "next": {"yes": "end", "or": "end", "no": "start"},
        },
        "end": {"type": "end"},
    }
    flow = Flow.model_validate({"headrace": 1, "flow": "f", "nodes": nodes})
    graph = Graph.of(flow)
    assert graph.ids == ["start", "a", "end"]
    assert graph.onward == [[1], [2], []]
    assert graph.backward == [[], [0], [1]]
