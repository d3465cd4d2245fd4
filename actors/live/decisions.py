"""Keep the decisions of a version of a flow in columns, and answer who went where and when.

A line is one decision: a token left a node by a port, or ended, was parked or refused there. Lines
stand in the order in which they were made, those of one customer by time. Customers are numbers of
a partition; those who were erased are left out of every list, and counted.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.counters import port_base
from core.flow import Flow
from core.outcomes import OUTCOMES, PARKS, REFUSALS
from core.report_nodes import entrances

COLUMNS = {"customer": "<u4", "time_ms": "<i8", "entry": "<u8", "node": "<i4", "port": "<i4"}
ROW_BYTES = sum(np.dtype(kind).itemsize for kind in COLUMNS.values())
PART_ROWS = 32_768
"""Lines in a stored part, which stays below a megabyte."""
_REFUSED = np.array([int(code) for code in REFUSALS], np.int32)
_PARKED = np.array([int(code) for code in PARKS], np.int32)
Array = NDArray[Any]


def pack_lines(lines: Array) -> bytes:
    """LOG records (core.program) as stored bytes: columns, compressed."""
    columns = (np.ascontiguousarray(lines[name], kind) for name, kind in COLUMNS.items())
    return zlib.compress(b"".join(column.tobytes() for column in columns), 1)


def unpack_lines(data: bytes, rows: int) -> dict[str, Array]:
    """The columns of `pack_lines`. ValueError where there are not so many rows."""
    whole = zlib.decompressobj().decompress(data, rows * ROW_BYTES + 1)
    if len(whole) != rows * ROW_BYTES:
        raise ValueError(f"{len(whole)} bytes for {rows} lines")
    found, at = {}, 0
    for name, kind in COLUMNS.items():
        found[name] = np.frombuffer(whole, kind, rows, at)
        at += found[name].nbytes
    return found


@dataclass(frozen=True, slots=True)
class Entries:
    """Every entry: `first` int64[e], its first line; `customer`, `start_ms`; `end_ms`, -1 if open.

    An entry ends when its last token has ended or reached a place behind which nothing follows.
    """

    first: Array
    customer: Array
    start_ms: Array
    end_ms: Array


class DecisionLog:
    """The lines of one version in one partition."""

    def __init__(self, flow: Flow) -> None:
        """Begin without any; `flow` is the version's, lowered as it runs."""
        self._base = port_base(flow)
        self._edges = np.array(
            [len(node.targets(port)) for node in flow.nodes.values() for port in node.ports],
            np.int64,
        )
        number = {node_id: i for i, node_id in enumerate(flow.nodes)}
        self._entrances = np.array([number[node_id] for node_id in entrances(flow)], np.int32)
        self._into: dict[int, list[int]] = {}
        at = 0
        for node in flow.nodes.values():
            for port in node.ports:
                for target in node.targets(port):
                    self._into.setdefault(number[target], []).append(at)
                at += 1
        self._parts: list[dict[str, Array]] = []
        self._rows = 0
        self._erased: dict[int, int] = {}  # by customer, how many lines there were then

    def __len__(self) -> int:
        return self._rows

    def add(self, columns: dict[str, Array]) -> None:
        """Add lines, a column each of COLUMNS."""
        self._parts.append(columns)
        self._rows += len(columns["customer"])
        self._forget()

    def erase(self, customers: Iterable[int]) -> None:
        """Leave these customers' lines so far out of every list."""
        for customer in customers:
            self._erased[customer] = self._rows
        self._forget()

    def _forget(self) -> None:
        for name in ("entries", "visible", "moves", "port_people"):
            self.__dict__.pop(name, None)

    def column(self, name: str) -> Array:
        """A column of all lines; one of COLUMNS."""
        if len(self._parts) != 1:
            self._parts = [
                {
                    each: np.concatenate([p[each] for p in self._parts])
                    if self._parts
                    else np.zeros(0, kind)
                    for each, kind in COLUMNS.items()
                }
            ]
        return self._parts[0][name]

    @cached_property
    def visible(self) -> NDArray[np.bool_]:
        """Which lines are of no customer who was erased after them, bool[lines]."""
        customer = self.column("customer")
        found = np.ones(len(customer), np.bool_)
        if self._erased and len(customer):
            cutoff = np.zeros(max(int(customer.max()), *self._erased) + 1, np.int64)
            cutoff[list(self._erased)] = list(self._erased.values())
            found = np.arange(len(customer)) >= cutoff[customer]
        return found

    @cached_property
    def moves(self) -> Array:
        """The number of the port that each line leaves by, int64[lines]; -1 for other lines."""
        node, port = self.column("node"), self.column("port")
        return np.where(port >= 0, self._base[node] + np.maximum(port, 0), -1)

    @cached_property
    def entries(self) -> Entries:
        """The entries, by customer and the time at which they began."""
        customer, entry, port = map(self.column, ("customer", "entry", "port"))
        refused = np.isin(port, _REFUSED) | (port < -OUTCOMES)
        lines = np.flatnonzero(~refused)
        order = lines[np.lexsort((lines, entry[lines], customer[lines]))]
        if len(order) == 0:
            none = np.zeros(0, np.int64)
            return Entries(none, none, none, none)
        key_c, key_e = customer[order], entry[order]
        begins = np.ones(len(order), np.bool_)
        begins[1:] = (key_c[1:] != key_c[:-1]) | (key_e[1:] != key_e[:-1])
        starts = np.flatnonzero(begins)
        group = np.cumsum(begins) - 1
        time_ms, moves = self.column("time_ms")[order], self.moves[order]
        # An entry has one token to begin with; a port makes as many of it as it has edges.
        more = np.where(moves >= 0, self._edges[np.maximum(moves, 0)] - 1, -1)
        more[np.isin(port[order], _PARKED)] = 0
        total = np.cumsum(more)
        before = total[starts] - more[starts]
        over = np.flatnonzero(total - before[group] + 1 <= 0)
        end_ms = np.full(len(starts), -1, np.int64)
        ended, place = np.unique(group[over], return_index=True)
        end_ms[ended] = time_ms[over[place]]
        # What began before the first line there is has no line of its beginning.
        began = np.isin(self.column("node")[order[starts]], self._entrances)
        first, end_ms = order[starts][began], end_ms[began]
        by_line = np.argsort(first)
        first = first[by_line]
        return Entries(
            first,
            customer[first].astype(np.int64),
            self.column("time_ms")[first],
            end_ms[by_line],
        )

    # -- questions

    def lines_at(self, node: int | None = None, port: int | None = None) -> Array:
        """The lines by which somebody entered: the flow, a node, or the branch behind a port.

        int64[k] ascending; without a node those of the flow.
        """
        if node is None:
            return self.entries.first
        if port is not None:
            return np.flatnonzero(self.moves == int(self._base[node]) + port)
        entered = self.entries.first
        own = entered[self.column("node")[entered] == node]
        came = np.flatnonzero(np.isin(self.moves, self._into.get(node, [])))
        found: Array = np.union1d(own, came)
        return found

    def people(self, lines: Array) -> tuple[Array, Array, Array, Array, int]:
        """Whose lines these are: customers ascending, first and last time, how many; the erased.

        Those who were erased are not among them, but counted.
        """
        customer, time_ms = self.column("customer")[lines], self.column("time_ms")[lines]
        seen = self.visible[lines]
        erased = len(np.unique(customer[~seen]))
        customer, time_ms = customer[seen], time_ms[seen]
        found, first, place, count = np.unique(
            customer, return_index=True, return_inverse=True, return_counts=True
        )
        last = np.zeros(len(found), np.int64)
        np.maximum.at(last, place, time_ms)
        return found, time_ms[first], last, count, erased

    @cached_property
    def port_people(self) -> Array:
        """Different customers who left by each port, int64[ports]; the erased included."""
        lines = np.flatnonzero(self.moves >= 0)
        count = int(self._base[-1])
        if not len(lines):
            return np.zeros(count, np.int64)
        customer = self.column("customer")[lines].astype(np.int64)
        pairs = np.unique(self.moves[lines] * (int(customer.max()) + 1) + customer)
        return np.bincount(pairs // (int(customer.max()) + 1), minlength=count)

    def by_time(self, edges_ms: Sequence[int]) -> list[list[int]]:
        """Entries, and customers who entered for the first time, between two times each.

        `edges_ms` ascending; k + 1 of them give k pairs.
        """
        entries = self.entries
        _, first = np.unique(entries.customer, return_index=True)
        found = []
        for times in (entries.start_ms, entries.start_ms[first]):
            places = np.searchsorted(np.sort(times), np.array(edges_ms, np.int64))
            found.append(np.diff(places).tolist())
        return found

    def durations(self) -> tuple[int, int]:
        """How many entries have ended, and how long they took in all, ms."""
        over = self.entries.end_ms >= 0
        return int(over.sum()), int((self.entries.end_ms - self.entries.start_ms)[over].sum())

    def of_customer(self, customer: int) -> list[tuple[int, int, int, int]]:
        """The lines of one customer: time, number of the entry from 0, node, port or outcome.

        A refusal has entry -1.
        """
        mine = np.flatnonzero((self.column("customer") == customer) & self.visible)
        time_ms, entry, node, port = (
            self.column(name)[mine].tolist() for name in ("time_ms", "entry", "node", "port")
        )
        numbers: dict[int, int] = {}
        found = []
        for at, key, where, way in zip(time_ms, entry, node, port, strict=True):
            kept_out = way < -OUTCOMES or way in _REFUSED
            number = -1 if kept_out else numbers.setdefault(key, len(numbers))
            found.append((at, number, where, way))
        return found
