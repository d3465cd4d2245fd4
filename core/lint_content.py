"""Judge what a flow sends: content that isn't ready, has expired or is for others, and coupons."""

from __future__ import annotations

from collections.abc import Iterator

from core.conditions import AllOf, AnyOf, GroupTest, Model
from core.content import Content, ContentItem, CouponPool, Recipient, expiry_ms
from core.instants import instant_ms
from core.lint_view import Known, Steps, View
from core.literals import moment
from core.nodes import OnEvent, OnSchedule, OnSegment, Send, TakeCoupon
from core.violations import Violation, listed, quoted, violation
from core.zones import local_to_utc, transitions, zone_names

ENTRY = "entry."
"""Before the name of a variable that is a property of the entering event."""


def readiness(view: View) -> Iterator[Violation]:
    """Messages and coupons against the list of what there is (A046, A060, A114, A183, A184)."""
    if view.content is None:
        return
    core = view.core
    reader = _Reader(core, view.content)
    for node_id, node in core.flow.nodes.items():
        if isinstance(node, Send):
            yield from reader.message(node_id, node)
        elif isinstance(node, TakeCoupon):
            yield from reader.coupon(core.place(node_id, "pool"), node.pool)


class _Reader:
    def __init__(self, view: View, held: Content) -> None:
        self.view = view
        self.held = held
        self.items, self.pools = Known(held.items), Known(held.pools)
        zone = view.flow.settings.zone
        self.zone = zone if zone in zone_names() else "UTC"
        self.from_ms = _first_ms(view, self.zone)
        self.segments = _segments(view, held)

    def message(self, node_id: str, node: Send) -> Iterator[Violation]:
        """What is wrong with the content of a message."""
        steps = self.view.place(node_id, "template")
        item = self.held.items.get(node.template)
        name = quoted(node.template)
        if item is None and not self.held.items:
            return  # nobody lists messages here, only coupons or segments
        if item is None:
            advice = self.view.close_to(node.template, self.items, "Write it, or check the name.")
            yield violation("absent-content", steps, f"there is no content {name}", advice)
            return
        yield from self._state(steps, name, item)
        if node.channel not in item.channel:
            message = f"{name} is for {listed(item.channel)}, not for {node.channel}"
            place = self.view.place(node_id, "channel")
            yield violation("wrong-channel", place, message, "Send other content, or another way.")
        if node.channel == "whatsapp" and item.kind == "promotional":
            message = f"{name} is promotional, and WhatsApp is for transactions and alerts only"
            advice = "Send it by another channel: WhatsApp penalises promotion."
            yield violation("promotional-whatsapp", steps, message, advice)
        yield from self._recipient(steps, name, item)
        yield from self._variables(steps, node, item)
        if item.coupon is not None:
            yield from self.coupon(steps, item.coupon)

    def _state(self, steps: Steps, name: str, item: ContentItem) -> Iterator[Violation]:
        if item.deleted:
            message, advice = f"the content {name} has been deleted", "Send other content."
            yield violation("deleted-content", steps, message, advice)
            return
        if self._expired(item):
            message = f"the content {name} has expired: it was good until {item.expires}"
            yield violation("expired-content", steps, message, "Send other content, or renew it.")
        if item.state != "ready":
            message = f"the content {name} is a draft"
            advice = "Set it to ready: no flow with a draft can be published."
            yield violation("unready-content", steps, message, advice)
        if not item.released:
            message = f"the page {name} has not been released"
            advice = "Have it released first, or send another one."
            yield violation("unreleased-content", steps, message, advice)

    def _expired(self, held: ContentItem | CouponPool) -> bool:
        if held.expires is None or self.from_ms is None:
            return False
        return expiry_ms(held.expires, self.zone) <= self.from_ms

    def _recipient(self, steps: Steps, name: str, item: ContentItem) -> Iterator[Violation]:
        for segment, recipient in self.segments.items():
            if item.recipient is not None and item.recipient != recipient:
                message = f"{name} is for a {item.recipient}, and the segment {quoted(segment)} "
                message += f"holds {recipient}s"
                advice = f"Send content that is made for a {recipient}, or choose a segment of "
                advice += f"{item.recipient}s."
                yield violation("wrong-recipient", steps, message, advice)
                return

    def _variables(self, steps: Steps, node: Send, item: ContentItem) -> Iterator[Violation]:
        for variable in item.variables:
            if variable in node.variables:
                continue
            if variable.startswith(ENTRY):
                yield from self._of_entry(steps, variable)
            elif self.view.schema is not None and variable not in self.view.schema.attributes:
                message = f"{quoted(node.template)} shows {quoted(variable)}, which is no attribute"
                advice = "State it among the node's `variables`, or check the name."
                yield violation("unknown-variable", steps, message, advice)

    def _of_entry(self, steps: Steps, variable: str) -> Iterator[Violation]:
        name = variable.removeprefix(ENTRY)
        lacking = [f"trigger {quoted(i)}" for i in self.view.other_triggers]
        if self.view.schema is not None:
            events = self.view.schema.events
            lacking += [
                f"event {quoted(e)}"
                for e in self.view.entry_events
                if e in events and name not in events[e].properties
            ]
        if lacking:
            message = f"the content shows {quoted(name)} of the entering event, and "
            message += f"{listed(lacking, 3)} has none"
            advice = "Show what every trigger of the flow brings, or an attribute."
            yield violation("unknown-variable", steps, message, advice)

    def coupon(self, steps: Steps, name: str) -> Iterator[Violation]:
        """What is wrong with a pool of coupons."""
        pool, shown = self.held.pools.get(name), quoted(name)
        if pool is None and not self.held.pools:
            return  # nobody lists coupons here, only messages or segments
        if pool is None:
            advice = self.view.close_to(name, self.pools, "Make it, or check the name.")
            yield violation("absent-coupon", steps, f"there is no pool {shown}", advice)
            return
        if pool.deleted:
            message = f"the coupons of {shown} have been deleted"
            yield violation("deleted-coupon", steps, message, "Use another pool.")
            return
        if self._expired(pool):
            message = f"the coupons of {shown} have expired: they were good until {pool.expires}"
            yield violation("expired-coupon", steps, message, "Use another pool, or renew it.")
        wanted = self.view.flow.settings.coupons.get(name, 1)
        if pool.stock is not None and pool.stock < max(wanted, 1):
            message = (
                f"{pool.stock:,} coupons of {shown} are left, and the flow counts on {wanted:,}"
            )
            advice = "Fill the pool, or state fewer in the settings."
            yield violation("sold-out-coupon", steps, message, advice)


def _first_ms(view: View, zone: str) -> int | None:
    """The earliest time at which anything can be sent; None where it isn't known."""
    start = view.flow.settings.start
    time = None if start is None else moment(start)
    if time is None:
        return view.now_ms
    if time.tzinfo is not None:
        start_ms = instant_ms(time)
    else:
        start_ms = local_to_utc(transitions(zone), instant_ms(time))
    return start_ms if view.now_ms is None else max(view.now_ms, start_ms)


def _segments(view: View, held: Content) -> dict[str, Recipient]:
    """The segments of which the flow takes people in, with the kind of their records."""
    found: dict[str, Recipient] = {}
    for node in view.flow.nodes.values():
        if isinstance(node, OnEvent) or not isinstance(node, OnSegment | OnSchedule):
            continue
        waiting: list[Model | None] = [node.if_]
        while waiting:
            part = waiting.pop()
            if isinstance(part, GroupTest) and part.group in held.segments:
                found[part.group] = held.segments[part.group]
            elif isinstance(part, AllOf):
                waiting += reversed(part.all)
            elif isinstance(part, AnyOf):
                waiting += reversed(part.any)
    return found
