"""Find surges: messages that many people are sent at one instant, when a date or a slot begins."""

from __future__ import annotations

from collections.abc import Iterator

from core.conditions import AttributeTest
from core.lint_paths import stands
from core.lint_view import View, enters
from core.lowering import HELPER_MARK
from core.nodes import (
    ABTest,
    BranchAttribute,
    ConditionNode,
    NodeBase,
    OnEvent,
    OnSchedule,
    OnSegment,
    Send,
    Split,
    WaitSlot,
    WaitUntil,
)
from core.usage import Ref, written
from core.violations import Violation, violation

PEOPLE_MIN = 1_000  # fewer at one instant are no surge
LARGE_MIN = 100_000
_WEIGHTS = 10_000


def surges(view: View) -> Iterator[Violation]:
    """Dates, slots and schedules after which everybody who waits is sent something at once."""
    core = view.core
    nodes = list(core.flow.nodes.values())
    at = [i for i, node in enumerate(nodes) if isinstance(node, WaitUntil | WaitSlot | OnSchedule)]
    at = [i for i in at if HELPER_MARK not in core.graph.ids[i]]
    if core.flow.settings.entry_rate is not None:
        at = [i for i in at if not isinstance(nodes[i], OnSchedule)]
    sending = _sending(core, nodes) if at else set()
    people = _people(core, nodes) if at and core.customers is not None else None
    for i in at:
        if i not in sending or getattr(nodes[i], "spread", None) is not None:
            continue
        count = None if people is None else round(people[i])
        if count is not None and count < PEOPLE_MIN:
            continue
        node_id = core.graph.ids[i]
        who = "everybody who waits here" if stands(nodes[i]) else "everybody who enters here"
        message = f"{who} is sent a message at one instant"
        if count is not None:
            message += f": up to about {_rounded(count):,} people"
        advice = f"Spread them, {_advice(nodes[i])}, if the channel or the shop can't take it."
        large = count is not None and count >= LARGE_MIN
        code = "large-surge" if large else "surge"
        yield violation(code, core.place(node_id), message, advice)


def _advice(node: NodeBase) -> str:
    if isinstance(node, OnSchedule):
        return "by an `entry_rate` in the settings"
    return "by a split into waits of different lengths"


def _rounded(count: int) -> int:
    """Two digits: the number is an estimate."""
    return round(count, min(0, 2 - len(str(count))))


def _sending(view: View, nodes: list[NodeBase]) -> set[int]:
    """The nodes after which a message may be sent before anybody waits again."""
    found: set[int] = set()
    waiting = [i for i, node in enumerate(nodes) if isinstance(node, Send)]
    while waiting:
        fresh = [i for i in view.graph.backward[waiting.pop()] if i not in found]
        found.update(fresh)
        waiting += [i for i in fresh if not stands(nodes[i])]
    return found


def _people(view: View, nodes: list[NodeBase]) -> list[float]:
    """By node, how many people at most come there: estimates of conditions and of chance.

    On a cycle they are those who come to it, and no more than all ever.
    """
    graph, component = view.graph, view.component
    total = float(view.customers or 0)
    own = written(view.flow)
    found = [0.0] * len(nodes)
    order = sorted(range(len(nodes)), key=lambda i: -component[i])
    for i in order:
        node = nodes[i]
        if enters(node):
            found[i] = min(total, found[i] + _entering(view, node, own))
        shares = _port_shares(view, node, own)
        for port in node.ports:
            for target in node.targets(port):
                j = graph.number.get(target, -1)
                if j >= 0 and not (component[j] == component[i] and j < i):
                    found[j] = min(total, found[j] + found[i] * shares.get(port, 1.0))
    return found


def _entering(view: View, node: NodeBase, own: set[Ref]) -> float:
    total = float(view.customers or 0)
    if isinstance(node, OnSegment | OnSchedule) and node.if_ is not None and view.facts is not None:
        return total * view.facts.share(node.if_, view.now_ms or 0, own).guess
    if isinstance(node, OnEvent) and view.schema is not None and node.event in view.schema.events:
        return min(total, float(view.schema.events[node.event].count))
    return total


def _port_shares(view: View, node: NodeBase, own: set[Ref]) -> dict[str, float]:
    if isinstance(node, Split | ABTest):
        return {branch: weight / _WEIGHTS for branch, weight in node.branches.items()}
    if view.facts is None:
        return {}
    if isinstance(node, ConditionNode):
        yes = view.facts.share(node.if_, view.now_ms or 0, own).guess
        return {"yes": yes, "no": 1 - yes}
    if isinstance(node, BranchAttribute):
        return _values(view, node)
    return {}


def _values(view: View, node: BranchAttribute) -> dict[str, float]:
    assert view.facts is not None
    found = {}
    for branch, values in node.branches.items():
        test = AttributeTest.model_construct(attribute=node.attribute, one_of=values)
        found[branch] = view.facts.share(test, view.now_ms or 0).guess
    return {**found, "other": max(0.0, 1 - sum(found.values()))}
