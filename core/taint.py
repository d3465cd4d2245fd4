"""Follow what rests on modelled responses: which counts of a dry run are assumed, which are exact.

A response model says what people would do; whatever a token does because of it is an assumption,
and so is everything behind that. The rest is mechanics: the same for every seed and replicate. The
analysis errs on the side of "assumed" and never the other way; `core.report_build` checks that what
is called exact is equal in all replicates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from core.flow import Flow
from core.internal_events import change_of
from core.nodes import ABTest, End, NodeBase, Send, TakeCoupon, WaitEvent
from core.responses import Responses, Rule
from core.usage import Ref, exit_reads, reads, writes


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Which counts rest on modelled responses.

    `events`: event types that the responses add. `entered`: nodes whose arrivals are assumed (for
    a trigger, its entries). `left`: nodes that tokens leave by assumed counts, by a port or by
    taking them out, and so their waiting. `idle`: nodes whose idle tokens are. `tests`: A/B
    tests whose successes are; `goal`: whether its conversions are. `entries`: whether entries are.
    """

    events: frozenset[str] = frozenset()
    entered: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    idle: frozenset[str] = frozenset()
    tests: frozenset[str] = frozenset()
    goal: bool = False
    entries: bool = False

    @property
    def nodes(self) -> frozenset[str]:
        """Nodes of which any count is assumed."""
        return self.entered | self.left | self.idle


def assumed_nodes(flow: Flow, responses: Responses | None) -> frozenset[str]:
    """The ids of the nodes of which any count depends on modelled responses."""
    return assumptions(flow, responses).nodes


def assumptions(flow: Flow, responses: Responses | None) -> Assumptions:
    """Which counts of a run of `flow` rest on `responses`; without responses, none."""
    flow = flow.core
    events = modelled_events(flow, responses)
    if not events:
        return Assumptions()
    return _Taint(flow, responses, events).solved()


def modelled_events(
    flow: Flow, responses: Responses | None, node_id: str | None = None
) -> frozenset[str]:
    """The event types that `responses` can add after a send of `flow`, or of that node alone.

    The first rule that fits a message applies; one with a condition on the customer may leave the
    message to the next.
    """
    if responses is None:
        return frozenset()
    events: set[str] = set()
    for send_id in flow.nodes if node_id is None else [node_id]:
        node = flow.nodes.get(send_id)
        if isinstance(node, Send):
            for rule in _rules_for(responses.rules, send_id, node):
                events |= {outcome.event for outcome in rule.outcomes}
    return frozenset(events)


def _rules_for(rules: Iterable[Rule], send_id: str, node: Send) -> Iterable[Rule]:
    for rule in rules:
        if _fits(rule, send_id, node):
            yield rule
            if rule.for_.if_ is None:
                return


def rule_fits(flow: Flow, rule: Rule) -> bool:
    """Whether a rule of a responses file is for any message of `flow`, whatever its condition."""
    return any(_fits(rule, i, node) for i, node in flow.nodes.items() if isinstance(node, Send))


def _fits(rule: Rule, send_id: str, node: Send) -> bool:
    scope = rule.for_
    return (
        scope.channel in (None, node.channel)
        and scope.node in (None, send_id)
        and scope.template in (None, node.template)
    )


@dataclass(slots=True)
class _Taint:
    """The growing sets of a fixpoint; every rule only ever adds, so it ends."""

    flow: Flow
    responses: Responses | None
    events: frozenset[str]
    begins: set[str] = field(default_factory=set)
    entered: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    idle: set[str] = field(default_factory=set)
    columns: set[Ref] = field(default_factory=set)

    def solved(self) -> Assumptions:
        asked = {ref.name for n in self.flow.nodes.values() for ref in reads(n)}
        asked |= {rule.event for rule in self.flow.settings.exit if rule.event is not None}
        changes = [
            (event, Ref(change[0], change[1]))
            for event in asked
            if (change := change_of(event)) is not None
        ]
        before = -1
        while before != (before := self._size()):
            for node_id, node in self.flow.nodes.items():
                known = self.begins if _enters(node) else self.left
                if node_id not in known and self._reads_assumed(node_id, node):
                    known.add(node_id)
            self._made_events(changes)
            self._exits()
            self._entries()
            self._couplings()
            self._killed()
            self._flow_down()
        goal = self.flow.settings.goal
        return Assumptions(
            events=self.events,
            entered=frozenset(self.entered),
            left=frozenset(self.left),
            idle=frozenset(self.idle),
            tests=frozenset(
                node_id
                for node_id, node in self.flow.tests.items()
                if node_id in self.entered or node.target.event in self.events
            ),
            goal=goal is not None and (bool(self.begins) or goal.event in self.events),
            entries=bool(self.begins),
        )

    def _size(self) -> int:
        sizes = [len(s) for s in (self.begins, self.entered, self.left, self.idle)]
        return sum(sizes) + len(self.columns) + len(self.events)

    def _made_events(self, changes: Sequence[tuple[str, Ref]]) -> None:
        """What an assumed message or change of a record makes happen is assumed too."""
        for i, node in self.flow.nodes.items():
            if isinstance(node, Send) and i in self.left:
                self.events |= {node.makes_happen(self.flow.flow, i)[0]}
        self.events |= {event for event, changed in changes if changed in self.columns}

    def _exits(self) -> None:
        """An assumed exit may take anybody out anywhere."""
        rules = self.flow.settings.exit
        if any(self._assumed(ref, self.events) for rule in rules for ref in exit_reads(rule)):
            self.left.update(i for i, n in self.flow.nodes.items() if _holds(n))
            self.idle.update(self.flow.nodes)

    def _assumed(self, ref: Ref, events: frozenset[str]) -> bool:
        if ref.kind == "event":
            return ref.name in events
        return ref in self.columns or (ref.kind == "history" and ref.name in self.events)

    def _flow_down(self) -> None:
        """Carry assumed counts along the edges, and into what the nodes there write."""
        self.entered |= self.begins
        self.left |= self.entered
        stack = list(self.left)
        while stack:
            node = self.flow.nodes[stack.pop()]
            for port in node.ports:
                fresh = [t for t in node.targets(port) if t not in self.entered]
                self.entered.update(fresh)
                stack += fresh
        self.left |= self.entered
        self.idle |= self.left
        self.columns |= {
            ref for i in self.entered if (ref := writes(self.flow.nodes[i])) is not None
        }

    def _reads_assumed(self, node_id: str, node: NodeBase) -> bool:
        """Whether what `node` decides rests on an assumed event or value."""
        if isinstance(node, WaitEvent) and node.message is not None and not node.entry:
            events = modelled_events(self.flow, self.responses, node.message)
        else:
            events = self.events
        if isinstance(node, ABTest):  # its target is judged, not obeyed
            return False
        return any(self._assumed(ref, events) and writes(node) != ref for ref in reads(node))

    def _killed(self) -> None:
        """An assumed `end` of a whole entry may take out tokens on the other paths of a fork."""
        ends = [
            i
            for i, n in self.flow.nodes.items()
            if isinstance(n, End) and n.whole_flow and i in self.entered
        ]
        if not ends:
            return
        above = self._reach(ends, self._sources())
        forks = [
            targets
            for node in self.flow.nodes.values()
            for port in node.ports
            if len(targets := node.targets(port)) > 1 and not above.isdisjoint(targets)
        ]
        reached = self._reach([t for targets in forks for t in targets], self._targets())
        self.entered.update(t for targets in forks for t in targets[1:])
        self.left.update(i for i in reached if _holds(self.flow.nodes[i]))
        self.idle |= reached

    def _targets(self) -> dict[str, list[str]]:
        return {
            i: [t for port in n.ports for t in n.targets(port)] for i, n in self.flow.nodes.items()
        }

    def _sources(self) -> dict[str, list[str]]:
        sources: dict[str, list[str]] = {i: [] for i in self.flow.nodes}
        for node_id, targets in self._targets().items():
            for target in targets:
                sources[target].append(node_id)
        return sources

    @staticmethod
    def _reach(starts: list[str], onward: dict[str, list[str]]) -> set[str]:
        """What can be reached from `starts` along `onward`, the starts included."""
        seen, stack = set(starts), list(starts)
        while stack:
            fresh = [i for i in onward[stack.pop()] if i not in seen]
            seen.update(fresh)
            stack += fresh
        return seen

    def _entries(self) -> None:
        """An assumed entry, or the time an entry ends, may refuse or admit others."""
        reentry = self.flow.settings.reentry
        begins = [i for i, n in self.flow.nodes.items() if _enters(n)]
        coupled = self.begins and (reentry.policy != "always" or reentry.gap is not None)
        if coupled or (reentry.policy == "after_exit" and (self.left or self.idle)):
            self.begins.update(begins)

    def _couplings(self) -> None:
        """Assumed people take places, coupons and decisions from others (semantics D39)."""
        nodes = self.flow.nodes.items()
        for steps in self.flow.couplings:
            if steps[0] == "settings" and self.begins:
                self.begins.update(i for i, n in nodes if _enters(n))
        pools = {n.pool for i, n in nodes if isinstance(n, TakeCoupon) and i in self.entered}
        self.left.update(i for i, n in nodes if isinstance(n, TakeCoupon) and n.pool in pools)
        for node_id, node in self.flow.tests.items():
            if node.until is not None and (
                node_id in self.entered or node.target.event in self.events
            ):
                self.left.add(node_id)


def _enters(node: NodeBase) -> bool:
    return node.trigger or (isinstance(node, WaitEvent) and node.entry)


def _holds(node: NodeBase) -> bool:
    """Whether a token may stand at `node` between two items of work."""
    return node.waits or isinstance(node, TakeCoupon)
