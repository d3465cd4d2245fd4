"""Makes counters that could be those of a run, by a random walk of made-up people over a flow.

It knows nothing of audiences and little of semantics: people choose ports by chance and wait for
made-up times. What it counts is consistent, which is what views of a report need.
"""

from __future__ import annotations

import heapq
from random import Random

from core.counters import HOUR_MS, Counters, delay_table, port_base
from core.flow import Flow
from core.nodes import CHANNELS, ABTest, End, NodeBase, Send, Split, WaitEvent
from core.options import RunOptions
from core.outcomes import Outcome
from core.responses import Responses
from core.taint import assumptions

FROM_MS = 1_767_225_600_000  # 2026-01-01T00:00Z
OPTIONS = RunOptions(
    from_ms=FROM_MS,
    until_ms=FROM_MS + 21 * 24 * HOUR_MS,
    horizon_ms=FROM_MS + 28 * 24 * HOUR_MS,
    seed=7,
)


def walk(
    flow: Flow,
    *,
    people: int = 400,
    options: RunOptions = OPTIONS,
    responses: Responses | None = None,
    replicate: int = 0,
    avoid: frozenset[tuple[str, str]] = frozenset(),
) -> Counters:
    """Counters of `people` customers, of whom nine in ten enter once.

    Choices at nodes that rest on `responses` differ between replicates, all others do not. The
    (node, port) pairs in `avoid` are never taken.
    """
    return _Walk(flow, options, responses, replicate, avoid).counted(people)


class _Walk:
    def __init__(
        self,
        flow: Flow,
        options: RunOptions,
        responses: Responses | None,
        replicate: int,
        avoid: frozenset[tuple[str, str]],
    ) -> None:
        self.flow, self.options, self.avoid = flow, options, avoid
        self.replicate = replicate
        self.responses = responses
        self.assumed = assumptions(flow, responses)
        self.index = {node_id: i for i, node_id in enumerate(flow.nodes)}
        self.base = port_base(flow)
        hours = -(-(options.horizon_ms - options.from_ms) // HOUR_MS)
        outcomes = 0 if responses is None else len(responses.outcomes)
        self.c = Counters.zeros(flow, hours, outcomes)
        self.watches = {}
        self.delays: dict[int, list[int]] = {}
        place = 0
        for node_id, node in flow.tests.items():
            self.watches[node_id] = place
            place += len(node.branches)
        self.goal = place

    def counted(self, people: int) -> Counters:
        c = self.c
        c.customers = people
        triggers = [i for i, n in self.flow.nodes.items() if n.trigger]
        for customer in range(people):
            if self._chance(customer, "enter") < 0.9 and triggers:
                trigger = triggers[customer % len(triggers)]
                self._entry(customer, trigger)
                if self._chance(customer, "again") < 0.1:
                    c.outcome[self.index[trigger], Outcome.REFUSED_ONCE.column] += 1
        c.delays = delay_table(self.delays)
        return c

    def _chance(self, *parts: object, assumed: bool = False) -> float:
        keys = (*parts, self.replicate) if assumed else parts
        return Random("/".join(map(str, keys))).random()

    def _entry(self, customer: int, trigger: str) -> None:
        c, o = self.c, self.options
        spread = self._chance(customer, "when")
        day, hour = int(spread * 21), int(24 * self._chance(customer, "hour") ** 0.6)
        now = o.from_ms + (day * 24 + min(hour, 23)) * HOUR_MS + int(spread * 1e9) % HOUR_MS
        c.people += 1
        c.steps += 1
        c.entered[self.index[trigger]] += 1
        c.unique[self.index[trigger]] += 1
        c.entries_by_hour[(now - o.from_ms) // HOUR_MS] += 1
        if self.flow.settings.goal is not None:
            self._watch(self.goal, customer, now, self.flow.settings.goal.event)
        self.seen: set[str] = {trigger}
        self.visits: dict[str, int] = {}
        self.tokens = 1
        self.done: dict[int, tuple[str, bool]] = {}  # token -> where it stands, whether idle
        self.queue: list[tuple[int, int, int, str, str]] = []
        self._leave(customer, now, 0, trigger, "next")
        while self.queue:
            due, _, token, node_id, port = heapq.heappop(self.queue)
            if due >= o.horizon_ms:
                c.waiting[self.index[node_id]] += 1
                continue
            if port:
                self._leave(customer, due, token, node_id, port)
            elif not self._arrive(customer, now, due, token, node_id):
                break
        for node_id, idle in self.done.values():
            if idle:
                c.idle[self.index[node_id]] += 1
        for k, layer in enumerate(self.flow.settings.funnel):
            c.layer_people[k] += not self.seen.isdisjoint(layer.nodes)

    def _leave(self, customer: int, now: int, token: int, node_id: str, port: str) -> None:
        c, node = self.c, self.flow.nodes[node_id]
        i = self.index[node_id]
        targets = node.targets(port)
        if not targets and port in ("other", "missing"):
            out = Outcome.NO_BRANCH if port == "other" else Outcome.NO_DATE
            c.outcome[i, out.column] += 1
            return
        c.port[self.base[i] + node.ports.index(port)] += 1
        if isinstance(node, Send):
            hour = (now - self.options.from_ms) // HOUR_MS
            c.sends_by_hour[CHANNELS.index(node.channel), hour] += 1
            for k, outcome in enumerate(self.responses.outcomes if self.responses else []):
                share = outcome.probability / 1e9
                c.modelled[k] += self._chance(customer, node_id, k, assumed=True) < share
        if isinstance(node, ABTest) and self.visits[node_id] == 1:
            place = self.watches[node_id] + node.ports.index(port)
            self._watch(place, customer, now, node.target.event)
        if isinstance(node, WaitEvent) and port == "event" and node.event in self.assumed.events:
            c.modelled_wakes[i] += 1
        if not targets:
            self.done[token] = (node_id, True)
            return
        for k, target in enumerate(targets):
            mine = token if k == 0 else self.tokens
            self.tokens += k > 0
            heapq.heappush(self.queue, (now, mine, mine, target, ""))

    def _arrive(self, customer: int, began: int, now: int, token: int, node_id: str) -> bool:
        """Arrive; False where the whole entry ends."""
        c, node, i = self.c, self.flow.nodes[node_id], self.index[node_id]
        c.entered[i] += 1
        c.steps += 1
        c.unique[i] += node_id not in self.seen
        self.seen.add(node_id)
        visit = self.visits[node_id] = self.visits.get(node_id, 0) + 1
        delay = now - began
        c.delay_sum_ms[i] += delay
        self.delays.setdefault(i, []).append(delay)
        if isinstance(node, End):
            c.outcome[i, Outcome.END.column] += 1
            if node.whole_flow:
                self._whole_flow()
                return False
            return True
        assumed = node_id in self.assumed.left
        draw = self._chance(customer, node_id, visit, assumed=assumed)
        port = self._port(node_id, node, draw)
        if node.waits and port != "missing":
            due = now + int((1 + 90 * draw**2) * HOUR_MS)
            heapq.heappush(self.queue, (due, token, token, node_id, port))
        else:
            self._leave(customer, now, token, node_id, port)
        return True

    def _port(self, node_id: str, node: NodeBase, draw: float) -> str:
        ports = [p for p in node.ports if (node_id, p) not in self.avoid]
        if isinstance(node, Split | ABTest):
            weights: list[float] = [node.branches[p] for p in ports]
        else:
            weights = [1 + (k * 1.7) % 2 for k, _ in enumerate(ports)]
        place = draw * sum(weights)
        for port, weight in zip(ports, weights, strict=True):
            place -= weight
            if place < 0:
                return port
        return ports[-1]

    def _whole_flow(self) -> None:
        column = Outcome.WHOLE_FLOW.column
        for _, _, _, node_id, _ in self.queue:
            self.c.outcome[self.index[node_id], column] += 1
        for node_id, _ in self.done.values():
            self.c.outcome[self.index[node_id], column] += 1
        self.queue, self.done = [], {}

    def _watch(self, place: int, customer: int, now: int, event: str) -> None:
        c = self.c
        assumed = event in self.assumed.events
        share = 0.12 + 0.03 * (place % 3)
        succeeded = self._chance(customer, "success", place, assumed=assumed) < share
        matured = now < self.options.until_ms
        c.watch_opened[place] += 1
        c.watch_matured[place] += matured
        c.watch_succeeded[place] += succeeded and matured
        c.watch_succeeded_ever[place] += succeeded
        c.watch_modelled[place] += succeeded and assumed
