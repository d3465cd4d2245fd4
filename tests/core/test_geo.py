"""Checks fences: what is inside, at borders, poles and the antimeridian, and who comes and goes."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from core.audience_build import audience_from_python
from core.geo import (
    DEGREE_M,
    EARTH_RADIUS_M,
    Fence,
    GeoRules,
    Positions,
    beyond,
    crossings,
    distance_m,
    inside,
    positions_of,
)

SHOP = {"circle": {"lat": 52.52, "lon": 13.405, "radius_m": 200}}
SQUARE = {"polygon": [[0, 0], [0, 10], [10, 10], [10, 0]]}
FIJI = {"polygon": [[-20, 177], [-20, -178], [-15, -178], [-15, 177]]}
Path = list[tuple[int, float, float]]


def fence(document: dict[str, Any]) -> Fence:
    return Fence.model_validate(document)


def held(document: dict[str, Any], *places: tuple[float, float]) -> list[bool]:
    lat, lon = (np.array(column, np.float64) for column in zip(*places, strict=True))
    return inside(fence(document), lat, lon).tolist()


def far(document: dict[str, Any], margin_m: float, *places: tuple[float, float]) -> list[bool]:
    lat, lon = (np.array(column, np.float64) for column in zip(*places, strict=True))
    return beyond(fence(document), lat, lon, margin_m).tolist()


def walked(rules: dict[str, Any], path: Path) -> list[tuple[int, int, str, bool]]:
    """Who crossed what when: (customer, lat, lon) are positions a millisecond apart."""
    found_rules = GeoRules.model_validate(rules)
    columns = [np.array(c) for c in zip(*path, strict=True)] if path else [np.zeros(0)] * 3
    positions = Positions(
        columns[0].astype(np.int64),
        np.arange(len(path), dtype=np.int64),
        columns[1].astype(np.float64),
        columns[2].astype(np.float64),
    )
    found = crossings(found_rules, positions)
    names = list(found_rules.fences)
    return [
        (int(c), int(ms), names[f], bool(e))
        for c, ms, f, e in zip(found.customer, found.ms, found.fence, found.entered, strict=True)
    ]


def test_distances_are_those_of_a_sphere() -> None:
    quarter = EARTH_RADIUS_M * np.pi / 2
    lat, lon = np.array([0.0, 90, 0, 0]), np.array([90.0, 17, 180, 0])
    found = distance_m(lat, lon, 0, 0)
    np.testing.assert_allclose(found, [quarter, quarter, 2 * quarter, 0], rtol=1e-12)
    # Berlin to Paris, 877.5 km by other great-circle calculators.
    berlin_paris = distance_m(np.array([48.8566]), np.array([2.3522]), 52.52, 13.405)[0]
    assert 877_000 < berlin_paris < 878_500


def test_a_circle_holds_its_border_and_what_is_within() -> None:
    edge = 90 / DEGREE_M
    circle = {"circle": {"lat": 0, "lon": 0, "radius_m": 90.0000001}}
    assert held(circle, (0, 0), (edge, 0), (0, -edge), (edge * 1.0001, 0)) == [True] * 3 + [False]


def test_a_circle_crosses_the_antimeridian_and_holds_poles() -> None:
    circle = {"circle": {"lat": 0, "lon": 179.999, "radius_m": 1_000}}
    assert held(circle, (0, -179.999), (0, 180), (0, -180), (0, -179.98)) == [True] * 3 + [False]
    pole = {"circle": {"lat": 89.99, "lon": 0, "radius_m": 5_000}}
    assert held(pole, (90, 123), (89.98, 180), (89.96, 180), (89.96, 0)) == [
        True, True, False, True
    ]  # fmt: skip
    south = {"circle": {"lat": -90, "lon": 0, "radius_m": 1_000}}
    assert held(south, (-90, 55), (-89.995, -170), (-89.9, 0)) == [True, True, False]


def test_a_polygon_holds_its_edges_and_vertices() -> None:
    on = [(0.0, 0.0), (10.0, 10.0), (0.0, 5.0), (5.0, 10.0), (10.0, 3.0), (7.0, 0.0)]
    assert held(SQUARE, *on, (5.0, 5.0)) == [True] * 7
    assert (
        held(SQUARE, (5.0, 10.000001), (-0.000001, 5.0), (5.0, -170.0), (0.0, 11.0)) == [False] * 4
    )


def test_a_polygon_may_have_dents_and_go_either_way_round() -> None:
    dented = [[0, 0], [0, 10], [10, 10], [3, 5], [10, 0]]
    for polygon in (dented, dented[::-1]):
        assert held({"polygon": polygon}, (2, 5), (3, 5), (4, 5), (9, 0.5)) == [
            True, True, False, True
        ]  # fmt: skip


def test_a_polygon_crosses_the_antimeridian() -> None:
    inside_ = [(-18.0, 178.0), (-18.0, 180.0), (-18.0, -180.0), (-18.0, -179.0), (-18.0, 177.0)]
    assert held(FIJI, *inside_, (-18.0, -178.0)) == [True] * 6
    assert held(FIJI, (-18.0, -177.9), (-18.0, 176.9), (-18.0, 0.0), (-21.0, 179.0)) == [False] * 4


def test_a_margin_is_metres_beyond_the_border() -> None:
    metre = 1 / DEGREE_M
    shop = {"circle": {"lat": 0, "lon": 0, "radius_m": 100}}
    assert far(shop, 50, (149 * metre, 0), (151 * metre, 0)) == [False, True]
    places = [(5, 10 + 49 * metre), (5, 10 + 51 * metre), (5.0, 5.0), (10 + 51 * metre, 5)]
    # East of the square at 5 degrees north a degree is a little shorter.
    assert far(SQUARE, 50, *places) == [False, True, False, True]
    corner = (10 + 40 * metre, 10 + 40 * metre)
    assert far(SQUARE, 50, corner) == [True]
    assert far(SQUARE, 60, corner) == [False]
    assert far(FIJI, 50, (-18.0, -178 + 40 * metre), (-18.0, -178 + 60 * metre)) == [False, True]


def test_every_time_somebody_comes_near_is_an_entrance() -> None:
    rules = {"fences": {"shop": SHOP}}
    here, away = (52.52, 13.405), (52.53, 13.405)
    path = [(0, *p) for p in (away, here, here, away, away, here)]
    assert walked(rules, path) == [
        (0, 1, "shop", True),
        (0, 3, "shop", False),
        (0, 5, "shop", True),
    ]


def test_whoever_lingers_on_the_border_enters_once() -> None:
    rules = {"fences": {"shop": SHOP}, "leave_m": 50}
    metre = 1 / DEGREE_M
    steps = [210, 190, 210, 240, 195, 249, 251, 240, 190]
    path = [(0, 52.52 + metres * metre, 13.405) for metres in steps]
    assert walked(rules, path) == [
        (0, 1, "shop", True),
        (0, 6, "shop", False),
        (0, 8, "shop", True),
    ]
    sharp = walked(rules | {"leave_m": 0}, path)
    assert [(ms, entered) for _, ms, _, entered in sharp] == [
        (1, True), (2, False), (4, True), (5, False), (8, True)
    ]  # fmt: skip


def test_customers_are_apart_and_the_first_position_may_enter() -> None:
    rules = {"fences": {"shop": SHOP}}
    here, near = (52.52, 13.405), (52.52 + 220 / DEGREE_M, 13.405)
    # The second customer begins on the margin, where the first one still was inside.
    path = [(0, *here), (1, *near), (1, *here), (2, *near)]
    assert walked(rules, path) == [(0, 0, "shop", True), (1, 2, "shop", True)]


def test_of_one_position_exits_come_first() -> None:
    west = {"polygon": [[0, 0], [0, 1], [1, 1], [1, 0]]}
    east = {"polygon": [[0, 2], [0, 3], [1, 3], [1, 2]]}
    rules = {"fences": {"east": east, "west": west}}
    assert walked(rules, [(0, 0.5, 0.5), (0, 0.5, 2.5)]) == [
        (0, 0, "west", True),
        (0, 1, "west", False),
        (0, 1, "east", True),
    ]
    assert walked(rules, []) == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "a 'circle' or a 'polygon'"),
        (SHOP | SQUARE, "a 'circle' or a 'polygon'"),
        ({"polygon": [[0, 0], [0, 1]]}, "at least 3"),
        ({"circle": {"lat": 91, "lon": 0, "radius_m": 5}}, "less than or equal to 90"),
        ({"circle": {"lat": 0, "lon": 181, "radius_m": 5}}, "less than or equal to 180"),
        ({"circle": {"lat": 0, "lon": 0, "radius_m": 0}}, "greater than 0"),
        ({"polygon": [[80, 0], [80, 120], [80, -120]]}, "cannot hold a pole"),
        ({"polygon": [[0, 0], [10, 180], [20, 0]]}, "add a vertex"),
    ],
)
def test_a_fence_that_cannot_be_meant_is_refused(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        fence(document)


def test_positions_that_are_no_place_are_left_out_and_counted() -> None:
    properties: list[dict[str, Any]] = [
        {"lat": 1, "lon": 2.5},
        {"lat": 91.0, "lon": 0},
        {"lat": 3},
        {"lat": -90.0, "lon": -180},
    ]
    events = [
        {"customer": "ab"[n % 2], "time": n, "event": "position", "properties": p}
        for n, p in enumerate(properties)
    ]
    rules = GeoRules.model_validate({"fences": {"shop": SHOP}})
    found, left_out = positions_of(audience_from_python([{"id": "a"}, {"id": "b"}], events), rules)
    assert left_out == 2
    assert found.customer.tolist() == [0, 1]
    assert (found.lat.tolist(), found.lon.tolist()) == ([1.0, -90.0], [2.5, -180.0])


# -- the slow, obvious twins


def on_edge(x: Fraction, y: Fraction, a: tuple[int, int], b: tuple[int, int]) -> bool:
    (ay, ax), (by, bx) = a, b
    if (bx - ax) * (y - ay) != (x - ax) * (by - ay):
        return False
    return min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by)


def in_polygon(vertices: list[tuple[int, int]], lat: Fraction, lon: Fraction) -> bool:
    """Exact rational arithmetic: on an edge, or an odd number of edges to the east."""
    edges = list(zip(vertices, [*vertices[1:], vertices[0]], strict=True))
    if any(on_edge(lon, lat, a, b) for a, b in edges):
        return True
    east = 0
    for (ay, ax), (by, bx) in edges:
        if (ay > lat) != (by > lat):
            east += ax + (lat - ay) * Fraction(bx - ax, by - ay) > lon
    return east % 2 == 1


VERTEX = st.tuples(st.integers(-8, 8), st.integers(-8, 8))


@given(
    st.lists(VERTEX, min_size=3, max_size=7),
    st.lists(st.tuples(st.integers(-18, 18), st.integers(-18, 18)), min_size=1, max_size=20),
    st.sampled_from([0, 100, 179, -176]),
)
def test_a_polygon_agrees_with_exact_arithmetic(
    vertices: list[tuple[int, int]], halves: list[tuple[int, int]], shift: int
) -> None:
    def turned(lon: float) -> float:
        return lon - 360 if lon > 180 else lon + 360 if lon < -180 else lon

    moved = [[y, turned(x + shift)] for y, x in vertices]
    places = [(y / 2, turned(x / 2 + shift)) for y, x in halves]
    expected = [in_polygon(vertices, Fraction(y, 2), Fraction(x, 2)) for y, x in halves]
    assert held({"polygon": moved}, *places) == expected


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(-6, 6), st.integers(-6, 6)), max_size=40
).map(sorted)


@given(STEPS, st.sampled_from([0, 60_000, 100_000]))
def test_crossings_agree_with_walking_along_every_path(steps: Path, leave_m: float) -> None:
    fences = {
        "circle": {"circle": {"lat": 0, "lon": 0, "radius_m": 250_000}},
        "square": {"polygon": [[-2, -2], [-2, 4], [4, 4], [4, -2]]},
    }
    expected = []
    for name, document in fences.items():
        state: dict[int, bool] = {}
        for ms, (customer, lat, lon) in enumerate(steps):
            was = state.get(customer, False)
            if held(document, (lat, lon))[0]:
                now = True
            elif far(document, leave_m, (lat, lon))[0]:
                now = False
            else:
                now = was
            if now != was:
                expected.append((customer, ms, name, now))
            state[customer] = now
    found = walked({"fences": fences, "leave_m": leave_m}, steps)
    assert sorted(found) == sorted(expected)
    assert [(c, ms, e) for c, ms, _, e in found] == sorted((c, ms, e) for c, ms, _, e in found)
