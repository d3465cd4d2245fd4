"""Checks that a drawn flow covers nothing: boxes, labels and lines keep clear of one another."""

import re
from itertools import combinations

import numpy as np
import pytest

from api.page_layout import Direction, Layout, Link, Rect, Size, best_layout, layout
from core.flow import Flow
from random_flows import random_case
from sample_flows import hostile, large, welcome

BOX, LABEL = Size(232, 90), Size(84, 20)


def links_of(flow: Flow) -> list[Link]:
    index = {node_id: i for i, node_id in enumerate(flow.nodes)}
    return [
        Link(index[node_id], index[target], LABEL)
        for node_id, node in flow.nodes.items()
        for port in node.ports
        for target in node.targets(port)
    ]


def placed(flow: Flow, direction: Direction) -> Layout:
    sizes = [Size(232, 74 + 16 * (i % 2)) for i in range(len(flow.nodes))]
    return layout(sizes, links_of(flow), direction)


def random_flow(seed: int) -> Flow:
    return Flow.model_validate(random_case(seed)["flow"])


def fan(n: int) -> Flow:
    """A branch with `n` ways that meet again."""
    nodes: dict[str, object] = {
        "in": {"type": "on_event", "event": "e", "next": "split"},
        "split": {
            "type": "branch_tag",
            "branches": {f"b{i}": f"t{i}" for i in range(n)},
            "next": {f"b{i}": f"n{i}" for i in range(n)},
        },
        "out": {"type": "end"},
    }
    nodes |= {f"n{i}": {"type": "add_tag", "tag": "t", "next": "out"} for i in range(n)}
    return Flow.model_validate({"headrace": 1, "flow": "fan", "nodes": nodes})


def loops() -> Flow:
    """Nodes that lead to themselves, to one another and back, and one that stands alone."""
    wait = {"type": "wait_event", "event": "e", "timeout": "1 day"}
    nodes = {
        "in": {"type": "on_event", "event": "e", "next": ["a", "b"]},
        "a": {**wait, "next": {"event": "a", "timeout": ["a", "b"]}},
        "b": {**wait, "next": {"event": "a", "timeout": "in2"}},
        "in2": {"type": "wait", "for": "1 h", "next": "a"},
        "alone": {"type": "on_event", "event": "f"},
        "out": {"type": "end"},
    }
    return Flow.model_validate({"headrace": 1, "flow": "loops", "nodes": nodes})


FLOWS = [welcome(), large(), hostile(), fan(28), loops(), *map(random_flow, range(25))]


def curve(path: str) -> list[tuple[float, float]]:
    """Points along a path of cubic pieces, by its definition (Bernstein's polynomials)."""
    assert re.fullmatch(r"M[-\d.,]+(C[-\d., ]+)+", path)
    numbers = [float(x) for x in re.findall(r"-?\d+\.?\d*", path)]
    stops = np.array(numbers).reshape(-1, 2)
    t = np.linspace(0, 1, 13)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3])
    pieces = [weights @ stops[k : k + 4] for k in range(0, len(stops) - 1, 3)]
    return [(float(x), float(y)) for x, y in np.vstack(pieces)]


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.flow)
def test_nothing_covers_anything(flow: Flow, direction: Direction) -> None:
    found = placed(flow, direction)
    assert len(found.boxes) == len(flow.nodes)
    assert len(found.labels) == len(links_of(flow))
    page = Rect(0, 0, *found.size)
    for one, other in combinations([*found.boxes, *found.labels], 2):
        assert not one.overlaps(other, gap=2), (one, other)
    for each in [*found.boxes, *found.labels]:
        assert page.x <= each.x
        assert page.y <= each.y
        assert each.x + each.w <= page.w
        assert each.y + each.h <= page.h


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.flow)
def test_lines_keep_clear_of_nodes_they_do_not_join(flow: Flow, direction: Direction) -> None:
    found = placed(flow, direction)
    for link, path in zip(links_of(flow), found.paths, strict=True):
        points = curve(path)
        for i, box in enumerate(found.boxes):
            if i not in (link.source, link.target):
                inner = Rect(box.x + 1, box.y + 1, box.w - 2, box.h - 2)
                assert not any(inner.overlaps(Rect(x, y, 0, 0)) for x, y in points)


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.flow)
def test_lines_pass_under_their_labels_and_point_at_their_targets(
    flow: Flow, direction: Direction
) -> None:
    found = placed(flow, direction)
    for k, link in enumerate(links_of(flow)):
        label, target = found.labels[k], found.boxes[link.target]
        assert any(label.overlaps(Rect(x, y, 0, 0), gap=1) for x, y in curve(found.paths[k]))
        x, y, dx, dy = found.heads[k]
        edge = Rect(target.x - 1, target.y - 1, target.w + 2, target.h + 2)
        assert edge.overlaps(Rect(x, y, 0, 0))
        assert not target.overlaps(Rect(x - 3 * dx, y - 3 * dy, 0, 0))


def test_the_same_flow_is_always_placed_the_same() -> None:
    assert placed(large(), "down") == placed(large(), "down")


def test_flows_run_down_unless_that_is_much_too_wide() -> None:
    def best(flow: Flow) -> str:
        return best_layout([BOX] * len(flow.nodes), links_of(flow), 1136).direction

    assert best(welcome()) == "down"
    assert best(large()) == "down"
    assert best(fan(28)) == "right"


def test_a_flow_runs_in_its_direction() -> None:
    flow = welcome()
    index = list(flow.nodes)
    down, right = placed(flow, "down"), placed(flow, "right")
    for first, second in (("signup", "country"), ("country", "clicked"), ("clicked", "bye")):
        a, b = index.index(first), index.index(second)
        assert down.boxes[a].y + down.boxes[a].h < down.boxes[b].y
        assert right.boxes[a].x + right.boxes[a].w < right.boxes[b].x


def test_a_chain_is_straight() -> None:
    nodes: dict[str, object] = {
        f"n{i}": {"type": "add_tag", "tag": "t", "next": f"n{i + 1}"} for i in range(9)
    }
    nodes |= {"n9": {"type": "end"}}
    flow = Flow.model_validate({"headrace": 1, "flow": "chain", "nodes": nodes})
    found = placed(flow, "down")
    middles = {round(box.x + box.w / 2, 3) for box in found.boxes}
    assert len(middles) == 1
    assert {round(label.x + label.w / 2, 3) for label in found.labels} == middles


def test_nothing_at_all_is_drawn_of_nothing() -> None:
    assert layout([], [], "down").size == Size(0, 0)
