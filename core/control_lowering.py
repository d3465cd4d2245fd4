"""Put what limits messages before them: waits, claims and reasons not to send.

Every message of a flow in operations that a control of the settings fits gets helpers before it, in
this order: a wait of 1 ms where a cap could otherwise miss a message of the same instant (what is
sent counts in the history once the work at hand is done, semantics D47); quiet hours; blackouts,
after which quiet hours are asked again; the budget, which only those claim who are sent to. Reasons
not to send become guards. All of it is exact where the operations are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, get_args

from core.catalogue.base import NodeBase
from core.catalogue.channels import Duty, Reach
from core.catalogue.coupons import TakeCoupon
from core.catalogue.decisions import ConditionNode
from core.catalogue.messages import Guard, Send
from core.catalogue.record import SetAttribute
from core.catalogue.waits import Wait, WaitSlot, WaitUntil
from core.conditions import AnyOf, ClockTest, Condition, Not
from core.controls import Blackout, Cap, MessageRules, QuietHours, loud_hours
from core.duration import Duration, fixed_ms, parse_duration
from core.phrases import CLOCK

if TYPE_CHECKING:
    from core.flow import Settings

REACH: tuple[Reach, ...] = get_args(Reach)
DUTIES: tuple[Duty, ...] = get_args(Duty)
BUDGET = "~budget"
"""Begins the names of the pools from which messages of a budget are taken."""
WITHOUT_LIMITS: dict[str, Any] = {
    "caps": [], "quiet_hours": [], "blackouts": [], "budget": [], "messages": None,
}  # fmt: skip
"""The settings that limit messages, as they are where nothing does."""

_LONG = parse_duration("300000 days")


def controlled(
    nodes: dict[str, NodeBase], settings: Settings
) -> tuple[dict[str, NodeBase], Settings]:
    """The nodes with the controls put in, and the settings with them taken out.

    `nodes` are operations. The settings gain a pool of coupons for each budget.
    """
    groups: dict[str, dict[str, NodeBase]] = {}
    crowded = not _alone(nodes, settings)
    for node_id, node in nodes.items():
        if isinstance(node, Send) and node.channel in REACH:
            group = _Before(node_id, node, settings, crowded=crowded).group()
            if len(group) > 1 or group[node_id] is not node:
                groups[node_id] = group
    begins = {node_id: next(iter(group)) for node_id, group in groups.items()}
    moved = {node_id: first for node_id, first in begins.items() if first != node_id}
    result: dict[str, NodeBase] = {}
    for node_id, node in nodes.items():
        for each_id, each in groups.get(node_id, {node_id: node}).items():
            # A helper leads to its message itself, and past it where the message does.
            past = ["sold_out"] if isinstance(each, TakeCoupon) else []
            result[each_id] = _led(each, list(each.next) if each_id == node_id else past, moved)
    pools = {pool_of(k): each.messages for k, each in enumerate(settings.budget)}
    changes = {**WITHOUT_LIMITS, "coupons": {**settings.coupons, **pools}}
    return result, settings.model_copy(update=changes)


def _led(node: NodeBase, ports: list[str], moved: dict[str, str]) -> NodeBase:
    """The node with the edges of these ports to the first helpers of where they led."""
    if not any(target in moved for port in ports for target in node.next[port]):
        return node
    led = {port: [moved.get(target, target) for target in node.next[port]] for port in ports}
    return node.model_copy(update={"next": {**node.next, **led}})


def pool_of(number: int) -> str:
    """The pool of coupons that the budget of this number, from 0, is."""
    return f"{BUDGET}:{number}"


def _alone(nodes: Mapping[str, NodeBase], settings: Settings) -> bool:
    """Whether no customer can come to two messages in the work of one instant.

    There is one message that is capped, one entry for each customer, and no way to it twice.
    """
    if settings.reentry.policy != "once" or settings.reentry.key is not None:
        return False
    counted = [
        node_id
        for node_id, node in nodes.items()
        if isinstance(node, Send)
        and node.channel in REACH
        and any(cap.fits(node.channel, node.template) for cap in settings.caps)
    ]
    if len(counted) > 1 or any(len(t) > 1 for n in nodes.values() for t in n.next.values()):
        return False
    return not counted or not _returns(nodes, counted[0])


def _returns(nodes: Mapping[str, NodeBase], start: str) -> bool:
    """Whether a way leads from a node back to it."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        node = nodes.get(waiting.pop())
        for target in [] if node is None else [t for ts in node.next.values() for t in ts]:
            if target == start:
                return True
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    return False


class _Before:
    """What comes before one message."""

    def __init__(self, node_id: str, node: Send, settings: Settings, *, crowded: bool) -> None:
        def fit(controls: Sequence[Any]) -> list[Any]:
            return [each for each in controls if each.fits(node.channel, node.template)]

        self.node_id, self.node = node_id, node
        self.caps: list[Cap] = fit(settings.caps)
        quiet: list[QuietHours] = fit(settings.quiet_hours)
        self.quiet = [each for each in quiet if each.then == "wait"]
        self.skipped = [each for each in quiet if each.then == "skip"]
        self.blackouts: list[Blackout] = fit(settings.blackouts)
        self.budgets = [
            (k, each)
            for k, each in enumerate(settings.budget)
            if each.fits(node.channel, node.template)
        ]
        self.crowded = crowded
        self.rules = settings.messages

    def group(self) -> dict[str, NodeBase]:
        """The helpers in order, then the message."""
        at = self.node_id
        guards = self._guards()
        claims = self._claims(guards)
        claim = next(iter(claims), at)
        group: dict[str, NodeBase] = {}
        waits = [each for each in self.blackouts if each.then == "wait"]
        asks = f"{at}~blackout0" if self.blackouts else claim
        quiet = f"{at}~quiet" if self.quiet else asks
        if self.caps and self.crowded:
            group[f"{at}~cap"] = Wait.helper(quiet, for_=Duration(ms=1))
        if self.quiet:
            spreads = [each.spread for each in self.quiet if each.spread is not None]
            spread = max(spreads, key=fixed_ms, default=None)
            slots = loud_hours(self.quiet)
            group[quiet] = WaitSlot.helper(asks, slots=slots, spread=spread)
        for k, each in enumerate(self.blackouts):
            after = f"{at}~blackout{k + 1}" if k + 1 < len(self.blackouts) else claim
            group |= self._blackout(k, each, after, quiet if each in waits else after)
        node = self.node
        if guards != node.guards:
            node = node.model_copy(update={"guards": guards})
        return {**group, **claims, at: node}

    def _blackout(self, k: int, each: Blackout, after: str, again: str) -> dict[str, NodeBase]:
        """Notes of the date, and with `wait` a question and a wait, which leads to `again`."""
        first, ask, wait = (f"{self.node_id}~{what}{k}" for what in ("blackout", "during", "over"))
        begin, end = each.moment(each.from_), each.moment(each.until)
        note = SetAttribute.helper
        if each.then == "skip":
            return {
                first: note(ask, attribute=CLOCK + begin, value=begin),
                ask: note(after, attribute=CLOCK + end, value=end),
            }
        during = _tested({"all": [_begun(begin), {"not": _begun(end)}]})
        zone = "flow" if "T" in end else "customer"
        return {
            first: note(f"{first}~", attribute=CLOCK + begin, value=begin),
            f"{first}~": note(ask, attribute=CLOCK + end, value=end),
            ask: ConditionNode.helper({"yes": wait, "no": after}, if_=during),
            wait: WaitUntil.helper(again, at=end, zone=zone),
        }

    def _claims(self, guards: list[Guard]) -> dict[str, NodeBase]:
        """A claim for each budget; before them a question, so that only who is sent to claims."""
        at = self.node_id
        group: dict[str, NodeBase] = {}
        ids = [f"{at}~budget{k}" for k, _ in self.budgets]
        if ids and guards:
            parts = [guard.if_ for guard in guards]
            condition = parts[0] if len(parts) == 1 else AnyOf(any=parts)
            group[f"{at}~due"] = ConditionNode.helper({"yes": at, "no": ids[0]}, if_=condition)
        for place, (k, _) in enumerate(self.budgets):
            onward = ids[place + 1] if place + 1 < len(ids) else at
            edges = {"taken": [onward], "sold_out": self.node.targets("next")}
            claim = TakeCoupon.helper(onward, pool=pool_of(k), delay=None)
            group[ids[place]] = claim.model_copy(update={"next": edges})
        return group

    def _guards(self) -> list[Guard]:
        """The message's own reasons, and those of the controls; one reason is stated once."""
        found: dict[str, list[Condition]] = {g.reason: [g.if_] for g in self.node.guards}
        for reason, condition in self._reasons():
            held = found.setdefault(reason, [])
            if condition not in held:
                held.append(condition)
        if all(len(parts) == 1 for parts in found.values()) and len(found) == len(self.node.guards):
            return self.node.guards
        return [
            Guard(reason=reason, **{"if": parts[0] if len(parts) == 1 else AnyOf(any=parts)})
            for reason, parts in found.items()
        ]

    def _reasons(self) -> Iterator[tuple[str, Condition]]:
        channel = cast("Reach", self.node.channel)
        if self.rules is not None:
            for reason, test in _rules(self.rules, channel, self.node.to):
                yield reason, _tested(test)
        if self.skipped:
            loud = ClockTest.model_construct(clock=loud_hours(self.skipped))
            yield "quiet_hours", Not.model_construct(not_=loud)
        for each in self.blackouts:
            if each.then == "skip":
                begin, end = (_begun(each.moment(text)) for text in (each.from_, each.until))
                yield "blackout", _tested({"all": [begin, {"not": end}]})
        for cap in self.caps:
            yield "capped", _tested(_sent(cap))


def _rules(
    rules: MessageRules, channel: Reach, to: str | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The reasons not to send on a channel, and when they hold."""
    consent, reach = rules.consent_to(channel), rules.reach_by(channel)
    address = to or rules.addresses.get(channel)
    if channel == "web_push":
        yield "no_permission", {"not": {"subscribed": channel}}
    elif consent == "required":
        yield "no_consent", {"not": {"subscribed": channel}}
    elif consent == "unless_refused":
        yield "no_consent", {"resigned": channel}
    if channel == "wechat":
        yield "window_closed", {"never_did": "wechat_interacted", "within": "48 hours"}
    if reach == "required":
        yield "unreachable", {"not": {"reachable": channel}}
    elif reach == "unless_unreachable":
        yield "unreachable", {"attribute": f"reachable:{channel}", "is": False}
    if address is not None:
        empty = {"attribute": address, "is": ""}
        yield "no_address", {"any": [{"attribute": address, "is_set": False}, empty]}


def _sent(cap: Cap) -> dict[str, Any]:
    """Whether as many messages as a cap allows have been sent.

    A message whose channel or template nobody recorded counts unless the cap is for a channel.
    """
    if cap.channels:
        tests: list[dict[str, Any]] = [{"property": "channel", "one_of": list(cap.channels)}]
    else:
        tests = [{"not": {"property": "channel", "one_of": list(DUTIES)}}]
    if cap.except_:
        tests.append({"not": {"property": "template", "one_of": list(cap.except_)}})
    where = tests[0] if len(tests) == 1 else {"all": tests}
    window = {"within": cap.within} if cap.per is None else {"since": cap.per}
    return {"did": "message_sent", "at_least": cap.at_most, **window, "where": where}


def _begun(moment: str) -> dict[str, Any]:
    """Whether a date or time, noted in an attribute of its own, is now or in the past."""
    return {"attribute": CLOCK + moment, "within_last": _LONG}


def _tested(condition: dict[str, Any]) -> Condition:
    holder = Guard.model_validate({"reason": "reason", "if": condition})
    return holder.if_
