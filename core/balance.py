"""Check that a run lost nobody: what entered a node left it, ended or is still there.

A run that does not balance is a mistake of Headrace and never of its user, so there is no report
then. The one difficulty is `whole_flow`: it takes tokens out wherever they are, so at a node it may
mean a token that stood there, one that was idle (and had been counted as leaving by its port), one
that was parked, or one that a fork had sent there and that never arrived.
"""

from __future__ import annotations

import numpy as np

from core.counters import Counters, port_base
from core.errors import HeadraceError
from core.flow import Flow
from core.nodes import CHANNELS, NodeBase, Send, TakeCoupon, WaitEvent
from core.outcomes import ENDS, PARKS, REFUSALS, TAKEN_OUT


class UnbalancedError(HeadraceError):
    """The counters contradict themselves: a mistake in Headrace."""

    exit_code = 70  # EX_SOFTWARE of sysexits.h


def check_balance(flow: Flow, counters: Counters) -> None:
    """Raise UnbalancedError unless the counters of a run of `flow` can be true.

    Checked are: the tokens of every node and of the whole run; that steps, sends and entries by
    hour add up; that people are no more than arrivals; that successes lie within those watched.
    """
    _Balance(flow, counters).check()


class _Balance:
    def __init__(self, flow: Flow, counters: Counters) -> None:
        self.flow = flow
        self.counters = counters
        self.base = port_base(flow)
        index = {node_id: i for i, node_id in enumerate(flow.nodes)}
        self.inflow = np.zeros(len(index), np.int64)
        self.dead_end = np.zeros(len(index), np.int64)  # left by a port that leads nowhere
        self.forked = 0
        for i, node in enumerate(flow.nodes.values()):
            for p, port in enumerate(node.ports):
                count = int(counters.port[self.base[i] + p])
                targets = node.targets(port)
                for target in targets:
                    self.inflow[index[target]] += count
                self.forked += count * (len(targets) - 1) if targets else 0
                if not targets:
                    self.dead_end[i] += count

    def check(self) -> None:
        c = self.counters
        for name in ("entered", "port", "outcome", "waiting", "idle", "unique", "delay_sum_ms"):
            self._hold(f"{name} is negative", bool((getattr(c, name) >= 0).all()))
        parked_out = sum(
            self._node(i, node_id, node)
            for i, (node_id, node) in enumerate(self.flow.nodes.items())
        )
        self._whole(parked_out)
        self._sums()
        self._people()

    def _node(self, i: int, node_id: str, node: NodeBase) -> int:
        """Check one node; return how many parked tokens `whole_flow` took out there."""
        c = self.counters
        at = c.outcome[i]
        left = int(c.port[self.base[i] : self.base[i + 1]].sum())
        gone = sum(int(at[o.column]) for o in ENDS if o not in TAKEN_OUT)
        parked = sum(int(at[o.column]) for o in PARKS)
        whole = sum(int(at[o.column]) for o in TAKEN_OUT)
        standing = int(c.entered[i]) - left - gone - parked - int(c.waiting[i])
        idle_out = int(self.dead_end[i]) - int(c.idle[i])
        place = f"node {node_id!r}: entered {c.entered[i]}, left {left}, ended {gone}, "
        place += f"parked {parked}, waiting {c.waiting[i]}, idle {c.idle[i]}, whole_flow {whole}"
        self._hold(f"{place}: more left than entered", standing >= 0)
        stands = node.waits or isinstance(node, TakeCoupon)
        self._hold(f"{place}: tokens vanished", standing == 0 or stands)
        self._hold(f"{place}: more idle than came to a dead end", idle_out >= 0)
        if node.trigger:
            unmet = 0
        else:
            unmet = int(self.inflow[i]) - int(c.entered[i])
            enters = isinstance(node, WaitEvent) and node.entry
            self._hold(f"{place}: {self.inflow[i]} were sent there", unmet >= 0 or enters)
            unmet = max(0, unmet)
        parked_out = whole - standing - idle_out - unmet
        fits = 0 <= parked_out <= parked if not self._entry_wait(node) else parked_out <= whole
        self._hold(f"{place}: whole_flow does not account for those missing", fits)
        refused = sum(int(at[o.column]) for o in REFUSALS)
        self._hold(
            f"{place}: refusals at no trigger",
            refused == 0 or node.trigger or self._entry_wait(node),
        )
        return max(0, parked_out)

    @staticmethod
    def _entry_wait(node: NodeBase) -> bool:
        return isinstance(node, WaitEvent) and node.entry

    def _whole(self, parked_out: int) -> None:
        """All tokens that were ever made are accounted for."""
        c = self.counters
        made = int(c.entries_by_hour.sum()) + self.forked
        gone = sum(int(c.outcome[:, o.column].sum()) for o in ENDS)
        parked = sum(int(c.outcome[:, o.column].sum()) for o in PARKS)
        there = int(c.waiting.sum()) + int(c.idle.sum()) + parked
        text = f"{made} tokens were made, {gone} ended, {there} are there"
        if any(self._entry_wait(n) for n in self.flow.nodes.values()):
            self._hold(text, made <= gone + there <= made + parked_out)
        else:
            self._hold(text, gone + there == made + parked_out)

    def _sums(self) -> None:
        c, nodes = self.counters, list(self.flow.nodes.values())
        triggers = sum(int(c.entered[i]) for i, n in enumerate(nodes) if n.trigger)
        entries = int(c.entries_by_hour.sum())
        enters = any(self._entry_wait(n) for n in nodes)
        self._hold(
            f"{triggers} entries at triggers, {entries} by hour",
            triggers == entries or (enters and triggers < entries),
        )
        arrivals = int(c.entered.sum())
        self._hold(f"{c.steps} steps, {arrivals} arrivals", c.steps == arrivals)
        for k, channel in enumerate(CHANNELS):
            by_node = sum(
                int(c.port[self.base[i]])
                for i, n in enumerate(nodes)
                if isinstance(n, Send) and n.channel == channel
            )
            by_hour = int(c.sends_by_hour[k].sum())
            self._hold(f"{channel}: {by_node} sends by node, {by_hour} by hour", by_node == by_hour)

    def _people(self) -> None:
        c = self.counters
        entries = int(c.entries_by_hour.sum())
        self._hold(f"{c.people} people of {c.customers} customers", c.people <= c.customers)
        self._hold(f"{c.people} people, {entries} entries", (c.people == 0) == (entries == 0))
        self._hold(f"{c.people} people, {entries} entries", c.people <= entries)
        within = (c.unique <= c.entered) & (c.unique <= c.people)
        self._hold("more people at a node than arrivals or than entered", bool(within.all()))
        reached = (c.unique == 0) == (c.entered == 0)
        self._hold("a node with arrivals and nobody, or the other way", bool(reached.all()))
        self._hold("more people in a layer than entered", bool((c.layer_people <= c.people).all()))
        ordered = (
            (c.watch_succeeded <= c.watch_matured)
            & (c.watch_matured <= c.watch_opened)
            & (c.watch_succeeded <= c.watch_succeeded_ever)
            & (c.watch_succeeded_ever <= c.watch_opened)
            & (c.watch_modelled <= c.watch_succeeded_ever)
        )
        self._hold("successes beyond those watched", bool(ordered.all()))

    @staticmethod
    def _hold(what: str, holds: bool) -> None:
        if not holds:
            raise UnbalancedError(
                f"the run's counters do not balance: {what}",
                advice="This is a mistake in Headrace; please report it with the flow",
            )
