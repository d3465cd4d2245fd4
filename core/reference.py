"""Carry out a flow document as it stands: the slow, obvious twin of the fast interpreter.

It walks the document itself, one customer at a time, over plain lists and dicts; the next piece of
work is found by looking through all of them. "D7" and the like name the rules of docs/semantics.md.
With the compiled interpreter it shares the document, the draws, the tables of delays and the
counters, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable

from core.absent_types import absent_types
from core.audience import Audience
from core.duration import fixed_ms
from core.flow import Flow
from core.hashing import hash_parts
from core.nodes import (
    ABTest,
    BranchAttribute,
    BranchTag,
    NodeBase,
    OnEvent,
    OnSchedule,
    OnSegment,
    Send,
    WaitDate,
    WaitEvent,
)
from core.options import RunOptions
from core.outcomes import Outcome
from core.reference_conditions import change_points, holds
from core.reference_life import Life, Setting, reads
from core.reference_nodes import port_at, respond
from core.reference_people import Change, Happening, Person, is_number, person
from core.reference_state import Entry, Observer, Record, ReferenceResult, Sent, Token
from core.reference_tally import Tally, watch_place
from core.reference_time import EPOCH_DAY, local, schedule_times, stated, zone
from core.responses import Responses

__all__ = ["Entry", "Observer", "Record", "ReferenceResult", "Sent", "Token", "run"]


def run(
    flow: Flow,
    audience: Audience,
    options: RunOptions,
    responses: Responses | None = None,
    *,
    observer: Observer | None = None,
    customers: Iterable[int] | None = None,
) -> ReferenceResult:
    """Run `flow` over the customers with these row numbers (all), in row order as given.

    Times are ms UTC. The flow must be free of lint errors; HeadraceError where a comparison meets a
    value of another type, or a zone of the flow or the options does not exist.
    """
    settings = flow.settings
    name = settings.zone or options.audience_zone or audience.zone or "UTC"
    window_from, window_until = options.from_ms, options.until_ms  # D10
    if settings.start is not None:
        window_from = max(window_from, stated(settings.start, zone(name)))
    if settings.stop is not None:
        window_until = min(window_until, stated(settings.stop, zone(name)))
    absent_attributes, absent_properties = absent_types(flow, responses, audience)
    setting = Setting(
        flow=flow,
        audience=audience,
        options=options,
        responses=responses,
        observer=observer or Observer(),
        zone_name=name,
        window=(window_from, window_until),
        tables=[outcome.table() for outcome in responses.outcomes] if responses else [],
        segment_reads=frozenset(
            read
            for node in flow.nodes.values()
            if isinstance(node, OnSegment)
            for read in reads(node.if_)
        ),
        attribute_types={n: c.kind for n, c in audience.attributes.items()} | absent_attributes,
        property_types={n: c.kind for n, c in audience.properties.items()} | absent_properties,
    )
    tally = Tally(flow, options, len(setting.tables))
    records: list[Record] = []
    sends: list[Sent] = []
    for row in range(audience.customers) if customers is None else customers:
        walk = _Walk(setting, tally, person(audience, row))
        walk.live()
        records += walk.records
        sends += walk.sends
    return ReferenceResult(records, tally.counters(), sends)


class _Walk(Life):
    """One customer's way through the window, from the first input to the horizon."""

    def __init__(self, setting: Setting, tally: Tally, customer: Person) -> None:
        super().__init__(setting, tally, customer)
        self.inputs = list(customer.inputs)  # recorded ones to come
        self.schedules = self._schedules()  # times to come, with the place of the node
        self.rechecks = self._first_checks()  # place of the node -> when to judge the segment
        self.started = False  # have segments been judged?
        self.truth: dict[str, bool] = {}  # what was found when they were judged last
        self.tested: set[str] = set()  # A/B nodes that a first token has left
        self.arrivals = 0  # of the item at hand, against the budget

    # -- the timeline (D1 to D5)

    def live(self) -> None:
        """Work all items before the horizon, then count what is left."""
        self.tally.begin_customer()
        self.observer.begun(self.person, self.here)
        while self.inputs and self.inputs[0].time_ms < self.options.from_ms:
            self._apply(self.inputs.pop(0))  # D38: history, and nothing else
        self.dirty = False
        while (item := self._next()) is not None and item[0] < self.options.horizon_ms:  # D2
            self.now_ms, self.arrivals = item[0], 0
            self._work(item[1], item[2])
            self._check_segments()
        self._close()

    def _next(self) -> tuple[int, int, int] | None:
        """The next item (time, rank, order), found by looking at all that is to come (D1)."""
        items = [(happening.time_ms, 1, order) for order, happening in self.modelled]
        if self.inputs:
            items.append((self.inputs[0].time_ms, 0, 0))
        waiting = [token for token in self.tokens() if token.status == "waiting"]
        items += [(t.due_ms, 2, i) for i, t in enumerate(waiting) if t.due_ms is not None]
        items += [(at, 3, order) for order, at in self.rechecks.items()]
        items += [(at, 4, order) for at, order in self.schedules]
        return min(items, default=None)

    def _work(self, rank: int, order: int) -> None:
        """D3, (a) to (d)."""
        if rank == 0:
            item = self.inputs.pop(0)
            self._apply(item)
            if isinstance(item, Happening):
                self._event(item)
        elif rank == 1:
            [happening] = [each for created, each in self.modelled if created == order]
            self.modelled.remove((order, happening))
            self._apply(happening)
            self._event(happening)
        elif rank == 2:
            waiting = [token for token in self.tokens() if token.status == "waiting"]
            node = self.node(waiting[order].node)
            self._wake(waiting[order], "timeout" if isinstance(node, WaitEvent) else "next")
            self._drain()
        elif rank == 3:
            del self.rechecks[order]
            self.started = self.dirty = True
        else:
            self.schedules.remove((self.now_ms, order))
            self._schedule(list(self.flow.nodes)[order])

    def _apply(self, item: Happening | Change) -> None:
        """(a): an event goes into the history, a change changes the attribute."""
        if isinstance(item, Happening):
            self.person.history.append(item)
            self.note("event", item.name)
            return
        if item.value is None:
            self.person.attributes.pop(item.attribute, None)
        else:
            self.person.attributes[item.attribute] = item.value
        self.note("attribute", item.attribute)

    def _event(self, happening: Happening) -> None:
        if happening.modelled:
            self.tally.modelled(happening.outcome)
        # (b) success watches
        for watch in list(self.watches):
            view = self.view(watch.entry, happening)
            if (
                happening.name == watch.target.event
                and self.now_ms <= watch.until_ms
                and holds(watch.target.where, view)
            ):
                self.watches.remove(watch)
                matured = watch.until_ms < self.options.horizon_ms
                self.tally.succeeded(watch.place, matured=matured, modelled=happening.modelled)
        # (c) all that wait for it, judged before any of them runs
        for token in [t for t in self.tokens() if self._waits_for(t, happening)]:
            self._wake(token, "event", happening)
        self._drain()
        # (d) triggers, judged after the wakes
        for node_id, node in self.flow.nodes.items():
            if not isinstance(node, OnEvent | WaitEvent) or node.event != happening.name:
                continue
            if (isinstance(node, WaitEvent) and not node.entry) or not self._in_window():
                continue
            # D21: in a trigger's filter, `entry` is the event at hand.
            view = self.view(None, happening, trigger=True)
            matched = holds(node.where, view)
            self.observer.trigger(node_id, matched, view, happening)
            if matched:
                self._enter(node_id, hash_parts("event", happening.identity), happening)
        self._drain()

    def _waits_for(self, token: Token, happening: Happening) -> bool:
        """D28."""
        node = self.node(token.node)
        if token.status != "waiting" or not isinstance(node, WaitEvent):
            return False
        if node.message is not None and happening.answers != (token.entry.number, node.message):
            return False
        return node.event == happening.name and holds(node.where, self.view(token.entry, happening))

    def _schedule(self, node_id: str) -> None:
        node = self.node(node_id)
        assert isinstance(node, OnSchedule)
        view = self.view(None)
        self.touch(node_id, reads(node.if_))
        matched = holds(node.if_, view)
        self.observer.trigger(node_id, matched, view, None)
        if matched:
            self._enter(node_id, hash_parts("schedule", self.now_ms), None)
        self._drain()

    def _check_segments(self) -> None:
        """(e): judge all segments again while anything that they read may have changed (D32)."""
        while self.dirty:
            self.dirty = False
            if not self.started or not self._in_window():
                return
            self.rechecks.clear()
            for order, (node_id, node) in enumerate(self.flow.nodes.items()):
                if isinstance(node, OnSegment):
                    self._check_segment(order, node_id, node)
            self._drain()

    def _check_segment(self, order: int, node_id: str, node: OnSegment) -> None:
        view = self.view(None)
        self.touch(node_id, reads(node.if_))
        first, before = node_id not in self.truth, self.truth.get(node_id, False)
        self.truth[node_id] = holds(node.if_, view)
        self.observer.trigger(node_id, self.truth[node_id], view, None)
        turned = self.truth[node_id] and not before
        if turned and node.members != ("joining" if first else "at_start"):
            self._enter(node_id, hash_parts("segment", self.now_ms), None)
        points = [at for at in change_points(node.if_, view) if at > self.now_ms]
        if points and min(points) < self.setting.window[1]:
            self.rechecks[order] = min(points)

    def _in_window(self) -> bool:
        window_from, window_until = self.setting.window
        return window_from <= self.now_ms < window_until

    # -- entries (D6, D9 to D11)

    def _enter(self, node_id: str, identity: int, happening: Happening | None) -> None:
        """Let the customer enter at a trigger that matched inside the window, or refuse it (D9)."""
        reentry = self.flow.settings.reentry
        key = None
        if reentry.key is not None:
            value = None if happening is None else happening.properties.get(reentry.key)
            if value is None:
                self._refuse(node_id, identity, Outcome.REFUSED_NO_KEY, None)
                return
            # 1 and 1.0 are one key, 1 and true are two.
            key = ("number" if is_number(value) else type(value).__name__, value)
        before = [entry for entry in self.entries if entry.key == key]
        if before:
            active = [entry for entry in before if entry.active]
            if reentry.policy == "once":
                self._refuse(node_id, identity, Outcome.REFUSED_ONCE, before[0])
                return
            if reentry.policy == "after_exit" and active:
                self._refuse(node_id, identity, Outcome.REFUSED_INSIDE, active[0])
                return
            if reentry.gap is not None and before[-1].began_ms > self.now_ms - fixed_ms(
                reentry.gap
            ):
                self._refuse(node_id, identity, Outcome.REFUSED_GAP, before[-1])
                return
        properties = None if happening is None else happening.properties
        entry = Entry(len(self.entries), identity, self.now_ms, node_id, key, properties)
        self.entries.append(entry)
        self.observer.entered(entry)
        self.tally.entry(node_id, self.now_ms, happening is not None and happening.modelled)
        # D13: the token leaves the trigger; a wait that is an entry point, by its port `event`.
        port = "event" if isinstance(self.node(node_id), WaitEvent) else "next"
        token = Token(entry, 0, node_id, does="leave", port=port)
        entry.tokens.append(token)
        self.fifo.append(token)
        if self.flow.settings.goal is not None:
            self.watch(watch_place(self.flow), self.flow.settings.goal, entry)

    def _refuse(self, node_id: str, identity: int, why: Outcome, before: Entry | None) -> None:
        self.observer.refused(node_id, why, before)
        self.tally.outcome(node_id, why)
        self.log(identity, node_id, why.text, None)

    # -- tokens (D4 to D8)

    def _wake(self, token: Token, port: str, cause: Happening | None = None) -> None:
        token.status, token.does, token.port, token.cause = "ready", "leave", port, cause
        self.fifo.append(token)

    def _drain(self) -> None:
        """Run the first token of the FIFO until it stands still, then the next (D4)."""
        while self.fifo:
            token = self.fifo.pop(0)
            while token.status == "ready":
                if token.does == "arrive":
                    self._arrive(token)
                else:
                    self._leave(token)

    def _leave(self, token: Token) -> None:
        """Leave the node by `token.port`; several targets fork (D7)."""
        node_id, port = token.node, token.port
        node = self.node(node_id)
        targets = node.targets(port)
        if not targets and (reason := _unconnected(node, port)) is not None:
            self.stop(token, reason)
            return
        self.record(token.entry, node_id, port, token)
        self._left(token, node)
        if not targets:
            token.status = "idle"
            return
        for target in targets[1:]:
            forked = Token(token.entry, len(token.entry.tokens), target)
            token.entry.tokens.append(forked)
            self.fifo.append(forked)
        token.node, token.does, token.cause = targets[0], "arrive", None

    def _left(self, token: Token, node: NodeBase) -> None:
        """What leaving a node brings with it."""
        entry = token.entry
        if isinstance(node, Send):
            self.tally.send(node.channel, self.now_ms)
            self.sends.append(Sent(self.person.id, token.node, self.now_ms, entry.identity))
            respond(self, token, node)
        if isinstance(node, WaitEvent) and token.cause is not None and token.cause.modelled:
            self.tally.modelled_wake(token.node)
        if isinstance(node, ABTest) and token.node not in self.tested:  # D31
            self.tested.add(token.node)
            self.watch(watch_place(self.flow, token.node, token.port), node.target, entry)

    def _arrive(self, token: Token) -> None:
        """Arrive at the node and do what it says."""
        entry, node_id = token.entry, token.node
        self.tally.arrival(node_id, self.now_ms - entry.began_ms)
        self.arrivals += 1
        if self.arrivals > self.options.step_budget:  # D5
            self.stop(token, Outcome.PARKED_BUDGET)
            return
        entry.visits[node_id] = entry.visits.get(node_id, 0) + 1  # D12
        port = port_at(self, token, self.node(node_id))
        if port is not None:
            token.does, token.port = "leave", port

    def _schedules(self) -> list[tuple[int, int]]:
        """The times of all schedule triggers, with the place of the node (D33)."""
        found = []
        start = self.flow.settings.start
        for order, node in enumerate(self.flow.nodes.values()):
            if isinstance(node, OnSchedule):
                where = self.here if node.zone == "customer" else self.there
                anchor = (
                    EPOCH_DAY if start is None else local(stated(start, self.there), where).date()
                )
                times = schedule_times(node, anchor, *self.setting.window, where)
                created = self.person.created_ms
                found += [(at, order) for at in times if created is None or at >= created]
        return found

    def _first_checks(self) -> dict[int, int]:
        """Segments are first judged where the window or the customer begins (D32)."""
        window_from, window_until = self.setting.window
        at = window_from
        if self.person.created_ms is not None:
            at = max(at, self.person.created_ms)
        nodes = enumerate(self.flow.nodes.values())
        return {i: at for i, node in nodes if isinstance(node, OnSegment) and at < window_until}

    def _close(self) -> None:
        """Count who is still there at the horizon."""
        for token in self.tokens():
            if token.status in ("waiting", "idle"):
                self.tally.stays(token.node, waiting=token.status == "waiting")
        self.observer.finished(self.entries)


def _unconnected(node: NodeBase, port: str) -> Outcome | None:
    """What ends a token at a port without a target; None where it stands idle (D7)."""
    if isinstance(node, BranchAttribute | BranchTag) and port == "other":
        return Outcome.NO_BRANCH
    if isinstance(node, WaitDate) and port == "missing":
        return Outcome.NO_DATE
    return None
