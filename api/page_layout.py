"""Place the nodes, labels and edges of a flow graph on a plane, so that nothing covers anything.

The method is Sugiyama's: layers, an order within each layer, then coordinates. An edge's label is
a vertex of its own in a layer between those of the nodes (after Gansner, Koutsofios, North and Vo,
A technique for drawing directed graphs, IEEE TSE 19 (1993) 214-230), and an edge that spans layers
passes through a vertex in each; so room is kept for both. igraph finds the order; layers and
coordinates are found here, because boxes and labels differ in size and igraph's are points.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Literal, NamedTuple

import igraph
import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

Direction = Literal["down", "right"]

GAP_ACROSS = 18.0  # between neighbours in a layer
GAP_ALONG = 20.0  # between layers, at least
GAP_ALONG_MAX = 64.0  # where edges between two layers run far sideways
PASSAGE = 14.0  # width kept for an edge that passes through a layer
MARGIN = 12.0
HEAD = 9.0  # length of an arrow's head; the line ends where it begins
LOOP = 26.0  # how far an edge from a node to itself swings out
SWEEPS_MAX = 40
SETTLED = 0.5  # px: sweeps end when nothing moves farther
STRAIGHT = 8.0  # how much more an edge wants to be straight between layers than at its ends
FIXED = 1e6  # weight of what stays where it is
ANCHOR = 0.4  # how much a node wants to stay in the middle of its neighbours


class Size(NamedTuple):
    """Width and height, px."""

    w: float
    h: float


class Rect(NamedTuple):
    """A rectangle by its upper left corner, px."""

    x: float
    y: float
    w: float
    h: float

    def overlaps(self, other: Rect, gap: float = 0.0) -> bool:
        """Whether the two come closer than `gap`."""
        return (
            self.x < other.x + other.w + gap
            and other.x < self.x + self.w + gap
            and self.y < other.y + other.h + gap
            and other.y < self.y + self.h + gap
        )


class Link(NamedTuple):
    """An edge to be placed: from one node number to another, with the size of its label."""

    source: int
    target: int
    label: Size


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is. `labels` and `paths` are in the order of the links.

    A path is an SVG path; `heads` gives each arrow's tip and direction (x, y, dx, dy).
    """

    size: Size
    boxes: list[Rect]
    labels: list[Rect]
    paths: list[str]
    heads: list[tuple[float, float, float, float]]
    direction: Direction


def best_layout(sizes: Sequence[Size], links: Sequence[Link], width: float) -> Layout:
    """The layout that suits a page of `width` px: downwards unless that is much too wide."""
    down = layout(sizes, links, "down")
    if down.size.w <= width:
        return down
    right = layout(sizes, links, "right")
    return min((down, right), key=lambda each: max(each.size.w / width, 1.0) * each.size.h**0.25)


def layout(sizes: Sequence[Size], links: Sequence[Link], direction: Direction) -> Layout:
    """Place nodes of `sizes` and the `links` between them. Time grows with nodes times depth."""
    return _Sugiyama(sizes, links, direction).placed()


@dataclass(slots=True)
class _Vertex:
    """A node, a label or a passage: its extents across and along, and its middle `at` across."""

    layer: int
    across: float
    along: float
    at: float = 0.0
    near: list[tuple[int, float]] = field(default_factory=list)  # neighbours and weights


class _Sugiyama:
    def __init__(self, sizes: Sequence[Size], links: Sequence[Link], direction: Direction) -> None:
        self.sizes, self.links, self.direction = sizes, links, direction
        self.down = direction == "down"
        self.loops: dict[int, list[int]] = defaultdict(list)  # node -> links to itself
        for k, link in enumerate(links):
            if link.source == link.target:
                self.loops[link.source].append(k)
        self.back = self._back_links()
        self.chains: dict[int, list[int]] = {}  # link -> its vertices, from the upper node down
        self.vertices: list[_Vertex] = []
        self.layers: list[list[int]] = []

    def placed(self) -> Layout:
        """Carry out the steps."""
        if not self.sizes:
            return Layout(Size(0, 0), [], [], [], [], self.direction)
        self._make_vertices(self._ranks())
        self._order()
        self._coordinates()
        return self._drawn()

    # -- layers

    def _back_links(self) -> set[int]:
        """The links that close a cycle, found by a depth-first walk in the order of the nodes."""
        out: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for k, link in enumerate(self.links):
            out[link.source].append((k, link.target))
        back: set[int] = set()
        state = [0] * len(self.sizes)  # 0 unseen, 1 on the walk's path, 2 done
        for start in range(len(self.sizes)):
            if state[start]:
                continue
            state[start] = 1
            walk = [(start, iter(out[start]))]
            while walk:
                node, following = walk[-1]
                for k, target in following:
                    if state[target] == 1:
                        back.add(k)
                    elif state[target] == 0:
                        state[target] = 1
                        walk.append((target, iter(out[target])))
                        break
                else:
                    state[node] = 2
                    walk.pop()
        return back

    def _ends(self, k: int) -> tuple[int, int]:
        """The upper and the lower node of a link."""
        link = self.links[k]
        return (link.target, link.source) if k in self.back else (link.source, link.target)

    def _ranks(self) -> list[int]:
        """Layers that make the links shortest in sum: a linear program (Gansner et al.)."""
        pairs = [self._ends(k) for k, link in enumerate(self.links) if link.source != link.target]
        n = len(self.sizes)
        cost = np.zeros(n)
        cost += 1e-3  # and each node as high as that allows
        for upper, lower in pairs:
            cost[upper] -= 1.0
            cost[lower] += 1.0
        if not pairs:
            return [0] * n
        rows = np.repeat(np.arange(len(pairs)), 2)
        columns = np.array(pairs).ravel()
        values = np.tile([1.0, -1.0], len(pairs))
        matrix = coo_matrix((values, (rows, columns)), shape=(len(pairs), n)).tocsr()
        found = linprog(cost, A_ub=matrix, b_ub=-np.ones(len(pairs)), bounds=(0, None))
        return [round(rank) for rank in found.x]

    def _make_vertices(self, ranks: list[int]) -> None:
        """Nodes stand in even layers, labels in odd ones, next to the node that the link leaves."""
        for i, size in enumerate(self.sizes):
            across, along = self._turned(size)
            across += 2 * self._swing(i)  # on both sides, so that the middle stays the middle
            self.vertices.append(_Vertex(2 * ranks[i], across, along))
        for k, link in enumerate(self.links):
            if link.source == link.target:
                continue
            upper, lower = self._ends(k)
            first, last = self.vertices[upper].layer, self.vertices[lower].layer
            place = last - 1 if k in self.back else first + 1
            chain = [upper]
            for layer in range(first + 1, last):
                across, along = self._turned(link.label) if layer == place else (PASSAGE, 0.0)
                self.vertices.append(_Vertex(layer, across, along))
                chain.append(len(self.vertices) - 1)
            chain.append(lower)
            self.chains[k] = chain
            nodes = len(self.sizes)
            for a, b in pairwise(chain):
                weight = STRAIGHT if a >= nodes and b >= nodes else 1.0
                self.vertices[a].near.append((b, weight))
                self.vertices[b].near.append((a, weight))

    def _turned(self, size: Size) -> tuple[float, float]:
        return (size.w, size.h) if self.down else (size.h, size.w)

    def _swing(self, node: int) -> float:
        """How far the loops of a node reach out on one side, with their labels."""
        widths = [self._turned(self.links[k].label)[0] for k in self.loops[node]]
        return LOOP + max(widths) if widths else 0.0

    # -- order

    def _order(self) -> None:
        """Order each layer so that few links cross: igraph's barycentre sweeps."""
        graph = igraph.Graph(
            n=len(self.vertices),
            edges=[pair for chain in self.chains.values() for pair in pairwise(chain)],
            directed=True,
        )
        layers = [vertex.layer for vertex in self.vertices]
        places = graph.layout_sugiyama(layers=layers, maxiter=200).coords
        self.layers = [[] for _ in range(max(layers) + 1)]
        for v in range(len(self.vertices)):
            self.layers[layers[v]].append(v)
        for row in self.layers:
            row.sort(key=lambda v: (places[v][0], v))

    # -- coordinates

    def _coordinates(self) -> None:
        """Find middles that make links short and straight and keep neighbours apart.

        The weighted squares of the links' sideways steps are minimised, layer by layer; for one
        layer the exact minimum is an isotonic regression. Alternating over layers converges, the
        whole being convex and the constraints separate (Tseng, J. Optim. Theory Appl. 109 (2001)).
        """
        for row in self.layers:
            offsets = self._offsets(row)
            for v, offset in zip(row, offsets, strict=True):
                self.vertices[v].at = offset - offsets[-1] / 2
        rows = [row for row in self.layers if row]
        for _ in range(SWEEPS_MAX):
            moved = max(self._settle(row) for row in (*rows, *reversed(rows)))
            if moved < SETTLED:
                break
        self._straighten()

    def _straighten(self) -> None:
        """Make long links straight, and move nodes from their places only where that helps.

        A linear program in the sums of absolute steps: squares spread a bend over a whole link,
        absolute values put it where it costs least (Gansner et al., section 4.2).
        """
        n, nodes = len(self.vertices), len(self.sizes)
        terms: list[tuple[int, int | None, float, float]] = []  # |x_a - x_b - shift|, its weight
        for chain in self.chains.values():
            for a, b in pairwise(chain):
                inner = (a >= nodes) + (b >= nodes)
                terms.append((a, b, 0.0, (1.0, 2.0, STRAIGHT)[inner]))
        terms += [(v, None, self.vertices[v].at, ANCHOR) for v in range(nodes)]
        rows: list[dict[int, float]] = []
        bounds: list[float] = []
        for k, (a, other, shift, _) in enumerate(terms):
            for sign in (1.0, -1.0):
                row = {a: sign, n + k: -1.0}
                if other is not None:
                    row[other] = -sign
                rows.append(row)
                bounds.append(sign * shift)
        for layer in self.layers:
            for (a, b), step in zip(pairwise(layer), self._steps(layer), strict=True):
                rows.append({a: 1.0, b: -1.0})
                bounds.append(-step)
        entries = [(i, j, value) for i, row in enumerate(rows) for j, value in row.items()]
        i, j, values = zip(*entries, strict=True)
        matrix = coo_matrix((values, (i, j)), shape=(len(rows), n + len(terms))).tocsr()
        cost = [0.0] * n + [weight for *_, weight in terms]
        found = linprog(cost, A_ub=matrix, b_ub=bounds, bounds=(None, None))
        if found.success:
            for vertex, at in zip(self.vertices, found.x[:n].tolist(), strict=True):
                vertex.at = at
        self._middle_labels()

    def _middle_labels(self) -> None:
        """Put the labels of short links between their ends, as far as their neighbours allow."""
        short = {chain[1] for chain in self.chains.values() if len(chain) == 3}
        for row in self.layers[1::2]:
            for v in row:
                if v not in short:
                    self.vertices[v].near = []
            self._settle(row)

    def _offsets(self, row: Sequence[int]) -> list[float]:
        """The least distance of each vertex from the first of its row, middle to middle."""
        return [0.0, *accumulate(self._steps(row))] if row else []

    def _steps(self, row: Sequence[int]) -> list[float]:
        """The least distance between the middles of neighbours."""
        return [
            (self.vertices[a].across + self.vertices[b].across) / 2 + GAP_ACROSS
            for a, b in pairwise(row)
        ]

    def _settle(self, row: Sequence[int]) -> float:
        """Move one row to its best places; return the longest move, px."""
        offsets = self._offsets(row)
        wanted, weights = [], []
        for v, offset in zip(row, offsets, strict=True):
            vertex = self.vertices[v]
            total = sum(weight for _, weight in vertex.near)
            if total:
                middle = sum(self.vertices[u].at * w for u, w in vertex.near) / total
            else:
                middle, total = vertex.at, FIXED
            wanted.append(middle - offset)
            weights.append(total)
        moved = 0.0
        for v, place, offset in zip(row, _isotonic(wanted, weights), offsets, strict=True):
            moved = max(moved, abs(self.vertices[v].at - place - offset))
            self.vertices[v].at = place + offset
        return moved

    # -- drawing

    def _drawn(self) -> Layout:
        bands = self._bands()
        shift = MARGIN - min(v.at - v.across / 2 for v in self.vertices)
        for vertex in self.vertices:
            vertex.at += shift
        across = max(v.at + v.across / 2 for v in self.vertices) + MARGIN
        along = bands[-1][1] + MARGIN
        boxes = [self._box(i, bands) for i in range(len(self.sizes))]
        return Layout(
            size=Size(across, along) if self.down else Size(along, across),
            boxes=boxes,
            labels=[self._label(k, boxes, bands) for k in range(len(self.links))],
            **self._lines(boxes, bands),
            direction=self.direction,
        )

    def _bands(self) -> list[tuple[float, float]]:
        """Where each layer begins and ends, along. Gaps widen where links run far sideways."""
        far = [0.0] * len(self.layers)
        for chain in self.chains.values():
            for a, b in pairwise(chain):
                layer = self.vertices[a].layer
                far[layer] = max(far[layer], abs(self.vertices[a].at - self.vertices[b].at))
        bands, begin = [], MARGIN
        for layer, row in enumerate(self.layers):
            end = begin + max((self.vertices[v].along for v in row), default=0.0)
            bands.append((begin, end))
            begin = end + min(GAP_ALONG_MAX, GAP_ALONG + 0.07 * far[layer])
        return bands

    def _rect(self, at: float, middle: float, size: Size) -> Rect:
        """The rectangle with its middle `at` across and `middle` along."""
        x, y = (at, middle) if self.down else (middle, at)
        return Rect(x - size.w / 2, y - size.h / 2, size.w, size.h)

    def _box(self, i: int, bands: list[tuple[float, float]]) -> Rect:
        begin, end = bands[self.vertices[i].layer]
        return self._rect(self.vertices[i].at, (begin + end) / 2, self.sizes[i])

    def _label(self, k: int, boxes: list[Rect], bands: list[tuple[float, float]]) -> Rect:
        link = self.links[k]
        if link.source == link.target:
            return self._loop_label(k, boxes[link.source])
        chain = self.chains[k]
        vertex = self.vertices[chain[-2] if k in self.back else chain[1]]
        begin, end = bands[vertex.layer]
        return self._rect(vertex.at, (begin + end) / 2, link.label)

    def _loop_label(self, k: int, box: Rect) -> Rect:
        """Beside the node, below one another where there are several."""
        link = self.links[k]
        place = self.loops[link.source].index(k)
        count = len(self.loops[link.source])
        if self.down:
            y = box.y + box.h * (place + 0.5) / count
            return Rect(box.x + box.w + LOOP, y - link.label.h / 2, *link.label)
        x = box.x + box.w * (place + 0.5) / count
        return Rect(x - link.label.w / 2, box.y + box.h + LOOP, *link.label)

    def _lines(self, boxes: list[Rect], bands: list[tuple[float, float]]) -> dict[str, list]:  # type: ignore[type-arg]
        """Paths and arrow heads of all links."""
        ends = self._attachments(boxes)
        paths, heads = [], []
        for k, link in enumerate(self.links):
            if link.source == link.target:
                path, head = self._loop(k, boxes[link.source])
            else:
                path, head = self._line(k, ends[k], boxes, bands)
            paths.append(path)
            heads.append(head)
        return {"paths": paths, "heads": heads}

    def _attachments(self, boxes: list[Rect]) -> dict[int, tuple[float, float]]:
        """Where each link leaves its upper and meets its lower node, across: none cross there."""
        sides: dict[tuple[int, bool], list[tuple[float, int]]] = defaultdict(list)
        for k, chain in self.chains.items():
            sides[chain[0], True].append((self.vertices[chain[1]].at, k))
            sides[chain[-1], False].append((self.vertices[chain[-2]].at, k))
        found: dict[tuple[int, bool], float] = {}
        for (node, lower_side), links in sides.items():
            links.sort()
            across, _ = self._turned(self.sizes[node])
            step = min(26.0, (across - 24) / len(links))
            for place, (_, k) in enumerate(links):
                at = self.vertices[node].at + (place - (len(links) - 1) / 2) * step
                found[k, lower_side] = at
        return {k: (found[k, True], found[k, False]) for k in self.chains}

    def _line(
        self,
        k: int,
        ends: tuple[float, float],
        boxes: list[Rect],
        bands: list[tuple[float, float]],
    ) -> tuple[str, tuple[float, float, float, float]]:
        """A link's path: straight past the nodes of a layer, in one smooth sweep elsewhere."""
        chain = self.chains[k]
        upper, lower = chain[0], chain[-1]
        stops = [
            (ends[0], self._span(boxes[upper])[1]),
            (ends[0], bands[self.vertices[upper].layer][1]),
        ]
        for v in chain[1:-1]:
            vertex = self.vertices[v]
            begin, end = bands[vertex.layer]
            beside_nodes = vertex.layer % 2 == 0
            along = (begin, end) if beside_nodes else ((begin + end) / 2,)
            stops += [(vertex.at, place) for place in along]
        stops.append((ends[1], bands[self.vertices[lower].layer][0]))
        stops.append((ends[1], self._span(boxes[lower])[0]))
        if k in self.back:
            stops.reverse()
        sign = -1.0 if k in self.back else 1.0
        at, tip = stops[-1]
        stops[-1] = (at, tip - sign * HEAD)
        x, y = (at, tip) if self.down else (tip, at)
        toward = (0.0, sign) if self.down else (sign, 0.0)
        return self._smooth(stops), (x, y, *toward)

    def _smooth(self, stops: list[tuple[float, float]]) -> str:
        """A curve through points (across, along) that never swings beyond two neighbours.

        Monotone cubic interpolation: F. N. Fritsch and J. Butland, A method for constructing local
        monotone piecewise cubic interpolants, SIAM J. Sci. Stat. Comput. 5 (1984) 300-304.
        """
        kept = [stops[0]] + [b for a, b in pairwise(stops) if abs(b[1] - a[1]) > 0.5]
        steps = [(b[0] - a[0]) / (b[1] - a[1]) for a, b in pairwise(kept)]
        slopes = [0.0] + [2 * a * b / (a + b) if a * b > 0 else 0.0 for a, b in pairwise(steps)]
        slopes.append(0.0)
        path = f"M{self._point(*kept[0])}"
        for (a, b), (rise, fall) in zip(pairwise(kept), pairwise(slopes), strict=True):
            third = (b[1] - a[1]) / 3
            first = self._point(a[0] + rise * third, a[1] + third)
            second = self._point(b[0] - fall * third, b[1] - third)
            path += f"C{first} {second} {self._point(*b)}"
        return path

    def _span(self, box: Rect) -> tuple[float, float]:
        """Where a box begins and ends, along."""
        return (box.y, box.y + box.h) if self.down else (box.x, box.x + box.w)

    def _loop(self, k: int, box: Rect) -> tuple[str, tuple[float, float, float, float]]:
        """From the side of a node through the label and back to it."""
        label = self._loop_label(k, box)
        if self.down:
            side, middle, far = box.x + box.w, label.y + label.h / 2, label.x + label.w / 2
        else:
            side, middle, far = box.y + box.h, label.x + label.w / 2, label.y + label.h / 2
        stops = [(side, middle + 7), (far, middle + 26), (far, middle - 26), (side, middle - 7)]
        stops[3] = (side + HEAD, middle - 7)
        points = [f"{x:.1f},{y:.1f}" for x, y in (s if self.down else s[::-1] for s in stops)]
        path = f"M{points[0]}C{' '.join(points[1:])}"
        if self.down:
            return path, (side, middle - 7, -1.0, 0.0)
        return path, (middle - 7, side, 0.0, -1.0)

    def _point(self, across: float, along: float) -> str:
        x, y = (across, along) if self.down else (along, across)
        return f"{x:.1f},{y:.1f}"


def _isotonic(wanted: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The rising values nearest to `wanted` in weighted squares: pool adjacent violators.

    Source: Barlow, Bartholomew, Bremner and Brunk, Statistical Inference under Order Restrictions
    (1972), section 1.2.
    """
    pools: list[tuple[float, float, int]] = []  # mean, weight, count
    for value, weight in zip(wanted, weights, strict=True):
        mean, mass, count = value, weight, 1
        while pools and pools[-1][0] > mean:
            before, before_mass, before_count = pools.pop()
            mean = (mean * mass + before * before_mass) / (mass + before_mass)
            mass, count = mass + before_mass, count + before_count
        pools.append((mean, mass, count))
    return [mean for mean, _, count in pools for _ in range(count)]
