"""Tell when somebody enters or leaves a fence, from the positions that a device reported.

A fence is a circle or a polygon on the earth. A position within it, or on its border, is inside.
Somebody is taken to have left only at a position farther than `leave_m` beyond the border: devices
are off by tens of metres, and without such a margin a customer who sits beside a border would come
and go all day. Nobody is inside before the first position, so that one inside is an entrance; where
positions cease nobody leaves, because nothing is known.

Distances are great-circle distances on a sphere of the mean radius of the earth (haversine formula;
R. W. Sinnott, Virtues of the Haversine, Sky & Telescope 68 (1984) 159), less than 0.6 % off. Edges
of polygons are straight in longitude and latitude, as in RFC 7946, section 3.1.1, go the shorter
way round, and may cross the antimeridian; a polygon cannot hold a pole, a circle can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictFloat, StrictInt, model_validator

from core.audience import Audience
from core.conditions import Model, Name

EARTH_RADIUS_M = (
    6_371_008.8  # the mean radius R1 of IUGG (H. Moritz, Geodetic Reference System 1980)
)
DEGREE_M = EARTH_RADIUS_M * np.pi / 180
FENCES_MAX = 10_000
VERTICES_MAX = 1_000
ENTERED, EXITED = "geo_entered", "geo_exited"

Float64s = NDArray[np.float64]
Int64s = NDArray[np.int64]
Latitude = Annotated[StrictInt | StrictFloat, Field(ge=-90, le=90)]
Longitude = Annotated[StrictInt | StrictFloat, Field(ge=-180, le=180)]


class Circle(Model):
    """All places at most `radius_m` metres from a centre."""

    lat: Latitude
    lon: Longitude
    radius_m: Annotated[StrictInt | StrictFloat, Field(gt=0, le=1_000_000)]


class Fence(Model):
    """A circle, or a polygon of (latitude, longitude) whose last vertex is joined to the first."""

    circle: Circle | None = None
    polygon: list[tuple[Latitude, Longitude]] | None = Field(
        None, min_length=3, max_length=VERTICES_MAX
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.circle is None) == (self.polygon is None):
            raise ValueError("a fence is a 'circle' or a 'polygon'")
        if self.polygon is not None:
            lon = np.array([v[1] for v in self.polygon], np.float64)
            steps = _turned(np.diff(np.append(lon, lon[0])))
            if np.any(np.abs(steps) == 180):
                raise ValueError("an edge spans 180 degrees of longitude: add a vertex between")
            if abs(steps.sum()) > 180:
                raise ValueError("a polygon cannot hold a pole: use a circle")
        return self


class GeoRules(Model):
    """Fences by name, and the events that carry positions.

    `lat` and `lon` are their properties in degrees (WGS 84), and `leave_m` how far beyond the
    border somebody must be to have left.
    """

    event: Name = "position"
    lat: Name = "lat"
    lon: Name = "lon"
    leave_m: Annotated[StrictInt | StrictFloat, Field(ge=0, le=100_000)] = 50
    fences: dict[Name, Fence] = Field(min_length=1, max_length=FENCES_MAX)


@dataclass(frozen=True, slots=True)
class Positions:
    """Where customers were: `customer`, `ms` int64[p], `lat`, `lon` float64[p] in degrees.

    They are in order of customer, time and original row.
    """

    customer: Int64s
    ms: Int64s
    lat: Float64s
    lon: Float64s


@dataclass(frozen=True, slots=True)
class Crossings:
    """Entrances and exits: `customer`, `ms` int64[k], `fence` int32[k], `entered` bool[k].

    `fence` is a place in the rules' fences. They are in order of customer, time, position and then
    fence; of one position the exits come first.
    """

    customer: Int64s
    ms: Int64s
    fence: NDArray[np.int32]
    entered: NDArray[np.bool_]


def positions_of(audience: Audience, rules: GeoRules) -> tuple[Positions, int]:
    """The positions in an audience, and how many events were no place on earth and are left out.

    Needs the event and both properties loaded; left out is also what lacks one of the two.
    """
    code = audience.event_names.index(rules.event) if rules.event in audience.event_names else -1
    rows = np.flatnonzero(audience.event_type == code)
    degrees = []
    for name in (rules.lat, rules.lon):
        column = audience.properties.get(name)
        found = np.full(len(rows), np.nan)
        if column is not None and column.kind in ("int64", "float64"):
            found = np.where(column.missing()[rows], np.nan, column.values[rows])
        degrees.append(found)
    # A comparison with NaN is false.
    there = (np.abs(degrees[0]) <= 90) & (np.abs(degrees[1]) <= 180)
    rows = rows[there]
    owner = np.searchsorted(audience.event_offsets, rows, side="right") - 1
    lat, lon = (d[there].astype(np.float64) for d in degrees)
    return Positions(owner, audience.event_ms[rows], lat, lon), int(np.sum(~there))


def distance_m(lat: Float64s, lon: Float64s, to_lat: float, to_lon: float) -> Float64s:
    """The great-circle distance of places from one place, metres: float64[p]; degrees are given."""
    phi, to_phi = np.radians(lat), np.radians(to_lat)
    half_lat = np.sin((phi - to_phi) / 2) ** 2
    half_lon = np.sin(np.radians(lon - to_lon) / 2) ** 2
    root = np.sqrt(np.minimum(1.0, half_lat + np.cos(phi) * np.cos(to_phi) * half_lon))
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(root), np.float64)


def inside(fence: Fence, lat: Float64s, lon: Float64s) -> NDArray[np.bool_]:
    """Which places are within a fence or on its border, bool[p]."""
    if fence.circle is not None:
        return distance_m(lat, lon, fence.circle.lat, fence.circle.lon) <= fence.circle.radius_m
    return _in_polygon(_vertices(fence), lat, lon)


def beyond(fence: Fence, lat: Float64s, lon: Float64s, margin_m: float) -> NDArray[np.bool_]:
    """Which places are outside a fence and farther than `margin_m` from its border, bool[p]."""
    if fence.circle is not None:
        away = distance_m(lat, lon, fence.circle.lat, fence.circle.lon)
        return away > fence.circle.radius_m + margin_m
    vertices = _vertices(fence)
    return ~_in_polygon(vertices, lat, lon) & (_from_edges_m(vertices, lat, lon) > margin_m)


def crossings(rules: GeoRules, positions: Positions) -> Crossings:
    """Every time that somebody enters or leaves a fence."""
    by_lat = np.argsort(positions.lat, kind="stable")
    sorted_lat = positions.lat[by_lat]
    parts: list[tuple[Int64s, int, NDArray[np.bool_]]] = []
    for place, fence in enumerate(rules.fences.values()):
        low, high = _band(fence, rules.leave_m)
        first, last = np.searchsorted(sorted_lat, [low, high], side="left").tolist()
        last += int(np.searchsorted(sorted_lat[last:], high, side="right"))
        near = np.sort(by_lat[first:last])
        found = _crossed(rules, fence, positions, near)
        parts.append((found[0], place, found[1]))
    rows = np.concatenate([part[0] for part in parts])
    number = np.concatenate([np.full(len(part[0]), part[1], np.int32) for part in parts])
    entered = np.concatenate([part[2] for part in parts])
    order = np.lexsort((number, entered, rows))
    rows = rows[order]
    return Crossings(positions.customer[rows], positions.ms[rows], number[order], entered[order])


def _crossed(
    rules: GeoRules, fence: Fence, positions: Positions, near: Int64s
) -> tuple[Int64s, NDArray[np.bool_]]:
    """The rows at which a fence is entered or left, and which of the two; `near` rows are tried.

    All rows but `near` are beyond the margin; of those only the ones right behind a near one can
    be exits, so a customer who is never near costs nothing.
    """
    held = inside(fence, positions.lat[near], positions.lon[near])
    out = beyond(fence, positions.lat[near], positions.lon[near], float(rules.leave_m))
    behind = near + 1
    behind = behind[behind < len(positions.ms)]
    behind = behind[positions.customer[behind] == positions.customer[behind - 1]]
    behind = np.setdiff1d(behind, near, assume_unique=True)
    rows = np.concatenate([near, behind])
    # 1 inside, 0 left, -1 on the margin: as before.
    state = np.concatenate(
        [np.where(held, 1, np.where(out, 0, -1)), np.zeros(len(behind), np.int64)]
    )
    order = np.argsort(rows, kind="stable")
    rows, state = rows[order], state[order]
    customer = positions.customer[rows]
    fresh = np.ones(len(rows), np.bool_)
    fresh[1:] = customer[1:] != customer[:-1]
    state[fresh & (state < 0)] = 0
    # The margin takes over the last state that is certain; the first of a customer is.
    certain = np.maximum.accumulate(np.where(state >= 0, np.arange(len(rows)), 0))
    state = state[certain]
    before = np.zeros_like(state)
    before[1:] = state[:-1]
    before[fresh] = 0
    changed = state != before
    return rows[changed], state[changed] == 1


def _band(fence: Fence, margin_m: float) -> tuple[float, float]:
    """The latitudes between which a fence with its margin lies, a little wider."""
    if fence.circle is not None:
        low = high = float(fence.circle.lat)
        reach = (fence.circle.radius_m + margin_m) / DEGREE_M
    else:
        lat = _vertices(fence)[:, 0]
        low, high = float(lat.min()), float(lat.max())
        reach = margin_m / DEGREE_M
    return low - reach - 1e-6, high + reach + 1e-6


def _turned(degrees: Float64s) -> Float64s:
    """Differences of longitude as the shorter way round, in [-180, 180)."""
    return np.asarray((degrees + 180) % 360 - 180, np.float64)


def _vertices(fence: Fence) -> Float64s:
    """The vertices as (latitude, longitude), float64[v, 2]; longitudes run on without a jump."""
    assert fence.polygon is not None
    vertices = np.array(fence.polygon, np.float64)
    steps = np.diff(vertices[:, 1])
    # Only what jumps is turned, so that plain longitudes stay exact.
    turned = np.where(np.abs(steps) > 180, _turned(steps), steps)
    if np.any(turned != steps):
        vertices[1:, 1] = vertices[0, 1] + np.cumsum(turned)
    return vertices


def _beside(vertices: Float64s, lon: Float64s) -> Float64s:
    """Longitudes as seen from the polygon: turned by 360 degrees to where it lies, if need be."""
    low, high = vertices[:, 1].min(), vertices[:, 1].max()
    middle = (low + high) / 2
    return np.where(lon < middle - 180, lon + 360, np.where(lon > middle + 180, lon - 360, lon))


def _in_polygon(vertices: Float64s, lat: Float64s, lon: Float64s) -> NDArray[np.bool_]:
    """Which places are in a polygon or on its border: crossings of a ray, edge by edge, bool[p].

    Source: M. Shimrat, Algorithm 112: Position of point relative to polygon, CACM 5 (1962) 434.
    """
    x, y = _beside(vertices, lon), lat
    odd = np.zeros(len(y), np.bool_)
    border = np.zeros(len(y), np.bool_)
    ends = np.roll(vertices, -1, axis=0)
    for (y1, x1), (y2, x2) in zip(vertices, ends, strict=True):
        side = (x2 - x1) * (y - y1) - (x - x1) * (y2 - y1)
        border |= (
            (side == 0)
            & (np.minimum(x1, x2) <= x)
            & (x <= np.maximum(x1, x2))
            & (np.minimum(y1, y2) <= y)
            & (y <= np.maximum(y1, y2))
        )
        odd ^= ((y1 > y) != (y2 > y)) & ((side < 0) == (y2 > y1)) & (side != 0)
    return odd | border


def _from_edges_m(vertices: Float64s, lat: Float64s, lon: Float64s) -> Float64s:
    """The distance of places from the nearest edge, metres, float64[p], on a plane touching each.

    Good to a few per mille within some kilometres, which is what a margin needs.
    """
    x, y = _beside(vertices, lon), lat
    shrink = np.cos(np.radians(np.clip(y, -89.999, 89.999)))
    nearest = np.full(len(y), np.inf)
    ends = np.roll(vertices, -1, axis=0)
    for (y1, x1), (y2, x2) in zip(vertices, ends, strict=True):
        ax, ay = (x1 - x) * shrink, y1 - y
        ex, ey = (x2 - x1) * shrink, y2 - y1
        length = ex * ex + ey * ey
        along = np.where(length > 0, -(ax * ex + ay * ey) / np.where(length > 0, length, 1), 0)
        along = np.clip(along, 0, 1)
        nearest = np.minimum(nearest, np.hypot(ax + along * ex, ay + along * ey))
    return np.asarray(nearest * DEGREE_M, np.float64)
