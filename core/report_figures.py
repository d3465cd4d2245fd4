"""Turn the counters of one or more replicates into figures that are marked as exact or assumed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.balance import UnbalancedError
from core.counters import Counters, Int64s, port_base
from core.flow import Flow
from core.nodes import NodeBase
from core.outcomes import PARKS, Outcome
from core.report import Figure, Rate
from core.statistics import newcombe, quantile_interval, wilson
from core.taint import Assumptions

Count = Callable[[Counters], int | float]


class Figures:
    """The replicates' counters of a run, read as figures.

    What `assumed` (see `core.taint`) calls exact must be equal in all replicates; where it is not,
    a figure raises UnbalancedError. Parked tokens lift that: the step budget couples tokens in
    ways that the analysis does not follow, and the figure is then marked as assumed instead.
    `marked` are the nodes of which any count is assumed, `ending` those whose ends are.
    """

    def __init__(self, flow: Flow, replicates: Sequence[Counters], assumed: Assumptions) -> None:
        self.flow = flow
        self.replicates = replicates
        self.assumed = assumed
        self.base: list[int] = port_base(flow).tolist()
        self.index = {node_id: i for i, node_id in enumerate(flow.nodes)}
        self.marked = assumed.nodes
        self.ending = assumed.idle | assumed.entered
        columns = [outcome.column for outcome in PARKS]
        self.parked = any(bool(c.outcome[:, columns].any()) for c in replicates)

    def figure(self, count: Count, assumed: bool, what: str) -> Figure:
        """The figure that `count` reads from each replicate; `what` names it in errors."""
        return self.of_values([count(c) for c in self.replicates], assumed, what)

    def of_values(self, values: Sequence[int | float], assumed: bool, what: str) -> Figure:
        """The figure of one value for each replicate."""
        if not assumed:
            if all(value == values[0] for value in values):
                return Figure(value=values[0])
            if not self.parked:
                raise UnbalancedError(
                    f"{what} rests on no response and differs between replicates: {values}",
                    advice="This is a mistake in Headrace; please report it with the flow",
                )
        if len(values) == 1:
            return Figure(value=values[0], assumed=True)
        lo, hi = quantile_interval(values)
        return Figure(value=sum(values) / len(values), lo=lo, hi=hi, assumed=True)

    def mean(self, count: Count) -> float:
        """The mean of a count over the replicates."""
        return sum(count(c) for c in self.replicates) / len(self.replicates)

    # -- of one node

    def entered(self, node_id: str) -> Figure:
        """Arrivals at a node."""
        i = self.index[node_id]
        return self._at(node_id, lambda c: int(c.entered[i]), self.assumed.entered, "entered")

    def people(self, node_id: str) -> Figure:
        """Different customers who arrived at a node."""
        i = self.index[node_id]
        return self._at(node_id, lambda c: int(c.unique[i]), self.assumed.entered, "people")

    def waiting(self, node_id: str) -> Figure:
        """Tokens that wait at a node at the horizon."""
        i = self.index[node_id]
        return self._at(node_id, lambda c: int(c.waiting[i]), self.assumed.left, "waiting")

    def idle(self, node_id: str) -> Figure:
        """Tokens that are idle at a node at the horizon."""
        i = self.index[node_id]
        return self._at(node_id, lambda c: int(c.idle[i]), self.assumed.idle, "idle")

    def port(self, node_id: str, port: str) -> Figure:
        """Tokens that left a node by a port, or that ended because it leads nowhere."""
        i, node = self.index[node_id], self.flow.nodes[node_id]
        place = self.base[i] + node.ports.index(port)
        ends = ended_by(node, port)

        def count(c: Counters) -> int:
            return int(c.port[place]) + (0 if ends is None else int(c.outcome[i, ends.column]))

        return self._at(node_id, count, self.assumed.left, f"port {port}")

    def outcome(self, node_id: str, outcome: Outcome) -> Figure:
        """Tokens that ended or were parked at a node, or entries refused there, for one reason."""
        i = self.index[node_id]
        column = outcome.column
        return self._at(node_id, lambda c: int(c.outcome[i, column]), self.ending, outcome.text)

    def time(self, node_id: str, of: Callable[[Counters, int], float | None]) -> Figure | None:
        """A time at a node over the replicates that have one; None where none has."""
        i = self.index[node_id]
        values = [value for c in self.replicates if (value := of(c, i)) is not None]
        if not values:
            return None
        return self.of_values(values, node_id in self.assumed.entered, f"time at {node_id!r}")

    def _at(self, node_id: str, count: Count, assumed: frozenset[str], what: str) -> Figure:
        return self.figure(count, node_id in assumed, f"{what} at {node_id!r}")

    # -- rates

    def ratio(self, top: Count, bottom: Count, assumed: bool, what: str) -> Figure | None:
        """The ratio of two counts in each replicate; None where the bottom is 0 in any."""
        if any(bottom(c) == 0 for c in self.replicates):
            return None
        values = [top(c) / bottom(c) for c in self.replicates]
        return self.of_values(values, assumed, what)

    def rate(self, successes: Count, trials: Count, assumed: bool) -> Rate | None:
        """A rate with Wilson's interval for one run of the mean size; None without trials."""
        n = self.mean(trials)
        if n == 0:
            return None
        s = self.mean(successes)
        lo, hi = wilson(s, n)
        rates = [successes(c) / trials(c) for c in self.replicates if trials(c)]
        return _with_replicates(s / n, lo, hi, rates, assumed)

    def difference(
        self, first: tuple[Count, Count], other: tuple[Count, Count], assumed: bool
    ) -> Rate | None:
        """The rate of `other` minus that of `first`; each is (successes, trials)."""
        (s1, n1), (s2, n2) = [(self.mean(s), self.mean(n)) for s, n in (first, other)]
        if n1 == 0 or n2 == 0:
            return None
        difference, lo, hi = newcombe(s2, n2, s1, n1)
        each = [
            other[0](c) / other[1](c) - first[0](c) / first[1](c)
            for c in self.replicates
            if first[1](c) and other[1](c)
        ]
        return _with_replicates(difference, lo, hi, each, assumed)


def read(name: str, place: int) -> Count:
    """The reader of one place of a counter array."""

    def count(c: Counters) -> int:
        values: Int64s = getattr(c, name)
        return int(values[place])

    return count


def ended_by(node: NodeBase, port: str) -> Outcome | None:
    """Why a token ends where `port` leads nowhere; None where it goes on or idles (D7)."""
    if node.targets(port):
        return None
    return node.falls_out.get(port)


def _with_replicates(
    value: float, lo: float, hi: float, values: Sequence[float], assumed: bool
) -> Rate:
    if not assumed or len(values) < 2:
        return Rate(value=value, lo=lo, hi=hi, assumed=assumed)
    replicates_lo, replicates_hi = quantile_interval(values)
    return Rate(
        value=value,
        lo=lo,
        hi=hi,
        replicates_lo=replicates_lo,
        replicates_hi=replicates_hi,
        assumed=True,
    )
