"""Count what the reference interpreter decides, into the same counters as the fast one."""

from __future__ import annotations

from core.counters import HOUR_MS, Counters, delay_table, port_base
from core.flow import Flow
from core.nodes import CHANNELS
from core.options import RunOptions
from core.outcomes import CoupledOutcome, Outcome


def watch_place(flow: Flow, node: str | None = None, port: str = "") -> int:
    """The index in the watch counters of a branch of an A/B test, or without one of the goal."""
    place = 0
    for test, declared in flow.tests.items():
        if test == node:
            return place + declared.ports.index(port)
        place += len(declared.branches)
    return place


class Tally:
    """Counts of a run in the making; what is counted once per customer is kept until the next."""

    def __init__(self, flow: Flow, options: RunOptions, outcomes: int) -> None:
        self._flow = flow
        self._from_ms = options.from_ms
        hours = -(-(options.horizon_ms - options.from_ms) // HOUR_MS)
        self._counts = Counters.zeros(flow, hours, outcomes)
        self._index = {node: i for i, node in enumerate(flow.nodes)}
        self._port_base = port_base(flow)
        self._delays: list[list[int]] = [[] for _ in flow.nodes]
        self._seen: set[str] = set()
        self._touched: set[str] = set()
        self._entered = False

    def begin_customer(self) -> None:
        """From here on it is another customer."""
        self._counts.customers += 1
        self._seen, self._touched, self._entered = set(), set(), False

    def entry(self, node: str, at_ms: int, modelled: bool) -> None:
        """An entry began at a trigger, by a modelled event or not."""
        if not self._entered:
            self._counts.people += 1
            self._entered = True
        self._counts.entries_by_hour[self._hour(at_ms)] += 1
        self._counts.modelled_entries[self._index[node]] += modelled
        self.arrival(node, 0)

    def arrival(self, node: str, delay_ms: int) -> None:
        """A token came to a node, `delay_ms` after its entry began."""
        counts, i = self._counts, self._index[node]
        counts.steps += 1
        counts.entered[i] += 1
        counts.delay_sum_ms[i] += delay_ms
        self._delays[i].append(delay_ms)
        if node in self._seen:
            return
        for number, layer in enumerate(self._flow.settings.funnel):
            if node in layer.nodes and not self._seen & set(layer.nodes):
                counts.layer_people[number] += 1
        self._seen.add(node)
        counts.unique[i] += 1

    def port(self, node: str, port: str) -> None:
        """A token left by a port."""
        place = self._flow.nodes[node].ports.index(port)
        self._counts.port[self._port_base[self._index[node]] + place] += 1

    def outcome(self, node: str, outcome: Outcome | CoupledOutcome) -> None:
        """A token ended or was parked, or nobody entered."""
        counts, i = self._counts, self._index[node]
        if isinstance(outcome, Outcome):
            counts.outcome[i, outcome.column] += 1
        else:
            late = outcome is CoupledOutcome.REFUSED_LATE
            (counts.refused_late if late else counts.refused_cap)[i] += 1

    def queued(self, node: str) -> None:
        """Somebody has to wait in line."""
        self._counts.queued[self._index[node]] += 1

    def lined(self, node: str, waited_ms: int, *, stays: bool) -> None:
        """Somebody left the line, or still stands there at the horizon, after so long."""
        self._counts.line_sum_ms[self._index[node]] += waited_ms
        self._counts.in_line[self._index[node]] += stays

    def send(self, channel: str, at_ms: int) -> None:
        """A message went out."""
        self._counts.sends_by_hour[CHANNELS.index(channel), self._hour(at_ms)] += 1

    def stays(self, node: str, *, waiting: bool) -> None:
        """A token is still there at the horizon, waiting or idle."""
        (self._counts.waiting if waiting else self._counts.idle)[self._index[node]] += 1

    def watched(self, place: int, *, matured: bool) -> None:
        """A success watch was opened; `matured`: it ends before the horizon."""
        self._counts.watch_opened[place] += 1
        self._counts.watch_matured[place] += matured

    def succeeded(self, place: int, *, matured: bool, modelled: bool) -> None:
        """A success watch closed at its first success, which may be a modelled event."""
        self._counts.watch_succeeded[place] += matured
        self._counts.watch_succeeded_ever[place] += 1
        self._counts.watch_modelled[place] += modelled

    def modelled(self, outcome: int) -> None:
        """A modelled event of this outcome came to pass."""
        self._counts.modelled[outcome] += 1

    def modelled_wake(self, node: str) -> None:
        """A token left a `wait_event` through a modelled event."""
        self._counts.modelled_wakes[self._index[node]] += 1

    def touch(self, node: str) -> None:
        """The customer was judged there by a value of a later date."""
        if node not in self._touched:
            self._touched.add(node)
            self._counts.touched[self._index[node]] += 1

    def invalid_zone(self) -> None:
        """The customer's zone does not exist."""
        self._counts.invalid_zones += 1

    def counters(self) -> Counters:
        """The counts, with the delays spread over their cells."""
        self._counts.delays = delay_table(dict(enumerate(self._delays)))
        return self._counts

    def _hour(self, at_ms: int) -> int:
        return (at_ms - self._from_ms) // HOUR_MS
