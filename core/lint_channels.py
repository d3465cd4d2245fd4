"""Judge messages by their channel: whom web push, WeChat and a chosen address can reach."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush

from core.conditions import AttributeTest, DidTest
from core.duration import DAY_MS, Duration
from core.lint_answers import answered
from core.lint_logic import Subject, facts_of, verdict
from core.lint_view import Known, View, enters
from core.nodes import (
    WEEKDAYS,
    ConditionNode,
    NodeBase,
    OnEvent,
    Send,
    Wait,
    WaitDate,
    WaitEvent,
    WaitSlot,
    WaitUntil,
)
from core.violations import Violation, quoted, violation

PERMISSIONS = ("consent:web_push", "reachable:web_push")
REPLY_MS = 48 * 3_600_000
"""How long after a customer's last interaction an account may reply in WeChat."""
_NEVER = float("inf")
_VISITS_MAX = 8  # after so many rounds on a cycle, time is taken to add up without bound


def addresses(view: View) -> Iterator[Violation]:
    """Messages sent to an attribute that isn't there, or holds no text (A193, A196)."""
    if view.schema is None:
        return
    known = Known(sorted(view.schema.attributes))
    for node_id, node in view.core.flow.nodes.items():
        if not isinstance(node, Send) or node.to is None:
            continue
        steps = view.core.place(node_id, "to")
        held = view.schema.attributes.get(node.to)
        if held is None:
            message = f"there is no attribute {quoted(node.to)} to send to"
            advice = view.close_to(node.to, known, "Name the attribute that holds the address.")
            yield violation("absent-address", steps, message, advice)
        elif held.type != "string":
            message = f"{quoted(node.to)} is {held.type}, and an address is text"
            advice = "Name the attribute that holds the address."
            yield violation("type-mismatch", steps, message, advice)


def permissions(view: View) -> Iterator[Violation]:
    """Web push of which no condition has asked whether it is permitted (A109)."""
    core = view.core
    nodes = list(core.flow.nodes.items())
    if not any(isinstance(node, Send) and node.channel == "web_push" for _, node in nodes):
        return
    asked: set[Subject] = {("attribute", name) for name in PERMISSIONS}
    tests = [AttributeTest.model_validate({"attribute": name, "is": True}) for name in PERMISSIONS]
    # A permission is taken back seldom, so it counts as known after a wait too.
    for i, known in answered(core, lambda node: False, asked):
        node_id, node = nodes[i]
        # A guard of its own is an answer: who lacks the permission is counted there.
        if not isinstance(node, Send) or node.channel != "web_push" or node.guards:
            continue
        if not any(verdict(test, known) for test in tests):
            message = "nothing on the way here asks for the permission for web push"
            advice = f"Ask for {{attribute: {PERMISSIONS[0]}, is: true}} before: "
            advice += "whoever hasn't permitted it is skipped."
            yield violation("no-permission", core.place(node_id, "channel"), message, advice)


def replies(view: View) -> Iterator[Violation]:
    """Replies in WeChat that can come more than 48 hours after the customer did anything (A053)."""
    core = view.core
    sends = [
        core.graph.number[node_id]
        for node_id, node in core.flow.nodes.items()
        if isinstance(node, Send) and node.channel == "wechat" and not node.guards
    ]
    elapsed = _elapsed(core) if sends else {}
    for i in sends:
        if elapsed.get(i, 0.0) > REPLY_MS:
            node_id = core.graph.ids[i]
            message = "it can be more than 48 hours since the customer last did anything"
            advice = "Ask before whether there was an event within 48 hours, or wait for one."
            steps = core.place(node_id, "channel")
            yield violation("wechat-window", steps, message, advice)


def _elapsed(view: View) -> dict[int, float]:
    """By node, for how long at most, ms, a customer who comes there may have done nothing."""
    nodes, number = list(view.flow.nodes.values()), view.graph.number
    found: dict[int, float] = {}
    visits = [0] * len(nodes)
    # Edges run from higher components to lower ones, so only on cycles a node comes up again.
    waiting = [(-view.component[i], i) for i, node in enumerate(nodes) if enters(node)]
    heapify(waiting)
    for _, i in waiting:
        found[i] = 0.0 if isinstance(nodes[i], OnEvent | WaitEvent) else _NEVER
    while waiting:
        _, i = heappop(waiting)
        visits[i] += 1
        for port in nodes[i].ports:
            after = _after(nodes[i], port, found[i])
            for target in nodes[i].targets(port):
                j = number.get(target, -1)
                if j >= 0 and after > found.get(j, -1.0):
                    found[j] = _NEVER if visits[j] >= _VISITS_MAX else after
                    heappush(waiting, (-view.component[j], j))
    return found


def _after(node: NodeBase, port: str, before: float) -> float:
    """How long it may have been on leaving a node by a port, ms, and on coming there `before`."""
    match node:
        case Wait(for_=duration):
            return before + _longest_ms(duration)
        case WaitEvent(timeout=timeout):
            return 0.0 if port == "event" or timeout is None else before + _longest_ms(timeout)
        case WaitUntil() | WaitDate():
            return _NEVER
        case WaitSlot(slots=slots):
            daily = {day for slot in slots for day in slot.days} == set(WEEKDAYS)
            return before + (1 if daily else 7) * DAY_MS
        case ConditionNode(if_=condition):
            windows = [
                test.window_ms
                for _, test, held in facts_of(condition, port == "yes")
                if held and isinstance(test, DidTest) and test.bounds[0] > 0
            ]
            return min([before, *(float(ms) for ms in windows if ms is not None)])
    return before


def _longest_ms(duration: Duration) -> int:
    """The longest that a duration can last, ms, but for an hour where clocks change."""
    return (duration.months * 31 + duration.days) * DAY_MS + duration.ms
