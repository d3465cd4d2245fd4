"""Carry out a flow document as it stands: the slow, obvious twin of the fast interpreter.

It walks the document itself, one customer at a time, over plain lists and dicts; the next piece of
work is found by looking through all of them. "D7" and the like name the rules of docs/semantics.md.
With the compiled interpreter it shares the document, the draws, the tables of delays and the
counters, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from heapq import heappop, heappush

import numpy as np

from core.audience import Audience
from core.conditions import Condition
from core.couplings import CLAIM, Claims, Coordinator, Grants, Kind, resources_of
from core.duration import fixed_ms
from core.flow import Flow
from core.hashing import hash_parts
from core.internal_events import exit_event, met_event
from core.nodes import (
    TIMEOUT,
    ABTest,
    NodeBase,
    OnEvent,
    OnSchedule,
    OnSegment,
    Send,
    TakeCoupon,
    WaitAny,
    WaitCondition,
    WaitEvent,
)
from core.options import RunOptions
from core.outcomes import CoupledOutcome, Outcome
from core.reference_conditions import change_points, holds
from core.reference_couplings import Desk, SharedDesk
from core.reference_life import Life, Setting, reads
from core.reference_listening import exits_by, heard, kept_out
from core.reference_nodes import port_at, respond
from core.reference_people import Change, Happening, Person, Value, is_number, person
from core.reference_setting import setting_of
from core.reference_state import (
    Entry,
    Lined,
    Observer,
    Record,
    ReferenceResult,
    Sent,
    Token,
)
from core.reference_tally import Tally, watch_place
from core.reference_time import EPOCH_DAY, local, schedule_times, stated
from core.responses import Responses

__all__ = ["Entry", "Observer", "Record", "ReferenceResult", "Sent", "Token", "claims", "run"]


def run(
    flow: Flow,
    audience: Audience,
    options: RunOptions,
    responses: Responses | None = None,
    *,
    observer: Observer | None = None,
    customers: Iterable[int] | None = None,
    grants: Grants | None = None,
) -> ReferenceResult:
    """Run `flow` over the customers with these row numbers (all), in row order as given.

    Times are ms UTC. The flow must be free of lint errors; HeadraceError where a comparison meets a
    value of another type, or a zone of the flow or the options does not exist. Where customers
    depend on each other all of them are worked, in the order of time, whosever decisions are asked
    for; or each alone if `grants` tell what all claims are answered (ValueError where one lacks).
    """
    setting = setting_of(flow := flow.core, audience, options, responses, observer or Observer())
    rows = list(range(audience.customers) if customers is None else customers)
    specs = resources_of(flow, options)
    if specs and grants is None:
        return _run_together(setting, Coordinator(specs), rows)
    tally = Tally(flow, options, len(setting.tables))
    records: list[Record] = []
    sends: list[Sent] = []
    for row in rows:
        customer = person(audience, row)
        desk = Desk(specs, row, customer.hash, grants)
        walk = _Walk(setting, tally, customer, desk)
        walk.live()
        if desk.lacking:
            raise ValueError(f"the grants lack an answer for {customer.id!r}")
        records += walk.records
        sends += walk.sends
    return ReferenceResult(records, tally.counters(), sends)


def claims(
    flow: Flow,
    audience: Audience,
    options: RunOptions,
    responses: Responses | None,
    grants: Grants,
    customers: Iterable[int],
) -> Claims:
    """What these customers claim and report, each alone and from the beginning: CLAIM[k].

    A customer is worked to the horizon, or to the end of the item in which he makes a claim that
    `grants` do not answer. His records are in his own order, the customers in that given.
    """
    setting = setting_of(flow := flow.core, audience, options, responses, Observer())
    specs = resources_of(flow, options)
    found = []
    for row in customers:
        customer = person(audience, row)
        desk = Desk(specs, row, customer.hash, grants)
        _Walk(setting, Tally(flow, options, len(setting.tables)), customer, desk).live()
        found += desk.asked
    return np.array(found, CLAIM)


def _run_together(setting: Setting, coordinator: Coordinator, rows: list[int]) -> ReferenceResult:
    """Work all customers in the order of (time, hash, row), item by item (D39)."""
    flow, options, audience = setting.flow, setting.options, setting.audience
    asked = set(rows)
    others = replace(setting, observer=Observer())
    walks = []
    for row in range(audience.customers):
        customer = person(audience, row)
        desk = SharedDesk(coordinator, row, customer.hash)
        tally = Tally(flow, options, len(setting.tables))
        walks.append(_Walk(setting if row in asked else others, tally, customer, desk))
    heap: list[tuple[int, int, int]] = []

    def line_up(row: int) -> None:
        at_ms = walks[row].next_ms()
        if at_ms is not None:
            heappush(heap, (at_ms, walks[row].person.hash, row))

    for row, walk in enumerate(walks):
        walk.begin()
        line_up(row)
    while heap:
        row = heappop(heap)[-1]
        walks[row].step()
        line_up(row)
    counters = Tally(flow, options, len(setting.tables)).counters()
    for walk in walks:
        walk.close()
    for row in rows:
        counters.add(walks[row].tally.counters())
    records = [record for row in rows for record in walks[row].records]
    sends = [sent for row in rows for sent in walks[row].sends]
    return ReferenceResult(records, counters, sends)


class _Walk(Life):
    """One customer's way through the window, from the first input to the horizon."""

    def __init__(self, setting: Setting, tally: Tally, customer: Person, desk: Desk) -> None:
        super().__init__(setting, tally, customer, desk)
        self.inputs = list(customer.inputs)  # recorded ones to come
        self.schedules = self._schedules()  # times to come, with the place of the node
        self.rechecks = self._first_checks()  # place of the node -> when to judge the segment
        self.started = False  # have segments been judged?
        self.truth: dict[str, bool] = {}  # what was found when they were judged last
        self.held_out: list[Entry] = []  # entries that the holdout kept from beginning
        self.tested: set[str] = set()  # A/B nodes that a first token has left
        self.arrivals = 0  # against the budget
        self.counts_anew = False  # whether the next arrival begins another count

    # -- the timeline (D1 to D5)

    def live(self) -> None:
        """Work all items before the horizon, then count what is left.

        Where a claim has no answer nothing is worked after the item that made it.
        """
        self.begin()
        while self.next_ms() is not None and not self.desk.lacking:
            self.step()
        self.close()

    def begin(self) -> None:
        """Take in what lies before the window."""
        self.tally.begin_customer()
        self.observer.begun(self.person, self.here)
        while self.inputs and self.inputs[0].time_ms < self.options.from_ms:
            self._apply(self.inputs.pop(0))  # D38: history, and nothing else
        self.dirty = False
        self.internal.clear()

    def next_ms(self) -> int | None:
        """The time of the next item, None where there is none before the horizon (D2)."""
        if self.internal:
            return self.now_ms
        item = self._next()
        return None if item is None or item[0] >= self.options.horizon_ms else item[0]

    def step(self) -> None:
        """Work the next item, which there must be."""
        if self.internal:
            happening = self.internal.pop(0)
            self._apply(happening)
            self._event(happening)
            self._check_segments()
            return
        item = self._next()
        assert item is not None
        at_ms, rank, order = item
        # D40: an answer goes on with the count of what was worked before it at this instant.
        if at_ms != self.now_ms:
            self.arrivals = 0
        self.counts_anew = at_ms == self.now_ms and not self._is_answer(rank, order)
        self.now_ms = at_ms
        self._work(rank, order)
        self._check_segments()

    def _next(self) -> tuple[int, int, int] | None:
        """The next item (time, rank, order), found by looking at all that is to come (D1)."""
        items = [(happening.time_ms, 1, order) for order, happening in self.modelled]
        if self.inputs:
            items.append((self.inputs[0].time_ms, 0, 0))
        waiting = self._waiting()
        items += [(t.due_ms, 2, i) for i, t in enumerate(waiting) if t.due_ms is not None]
        items += [(at, 3, order) for order, at in self.rechecks.items()]
        items += [(at, 4, order) for at, order in self.schedules]
        items += [(p.due_ms, 5, p.number) for p in self.line if p.due_ms is not None]
        return min(items, default=None)

    def _waiting(self) -> list[Token]:
        return [token for token in self.tokens() if token.status == "waiting"]

    def _is_answer(self, rank: int, order: int) -> bool:
        """Whether an item is the answer to a claim."""
        return rank == 5 or (
            rank == 2 and isinstance(self.node(self._waiting()[order].node), TakeCoupon)
        )

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
            token = self._waiting()[order]
            node = self.node(token.node)
            listens = isinstance(node, WaitEvent | WaitAny | WaitCondition)
            port = TIMEOUT if listens else "next"
            self._wake(token, token.port if isinstance(node, TakeCoupon) else port)
            self._drain()
        elif rank == 3:
            del self.rechecks[order]
            self.started = self.dirty = True
        elif rank == 4:
            self.schedules.remove((self.now_ms, order))
            self._schedule(list(self.flow.nodes)[order])
        else:
            [place] = [place for place in self.line if place.number == order]
            self._leave_line(place)
            self._drain()

    def _apply(self, item: Happening | Change) -> None:
        """(a): an event goes into the history, a change changes the attribute."""
        if isinstance(item, Happening):
            self.person.history.append(item)
            self.note("event", item.name)
            return
        self.write(item.attribute, item.value)

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
                if watch.test >= 0:
                    self.desk.succeed(watch.test, watch.branch, self.now_ms, watch.start_ms)
        if any(exits_by(self, number, happening) for number in range(len(self.flow.settings.exit))):
            self._leave_flow()
        # (c) all that wait for it, judged before any of them runs
        waiting = [(token, heard(self, token, happening)) for token in self.tokens()]
        for token, port in waiting:
            if port is not None:
                self._wake(token, port, happening)
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

    def _leave_flow(self) -> None:
        """Take all tokens out, by entry and fork number (D48)."""
        for token in self.tokens():
            if token.status != "ended":
                self.stop(token, Outcome.EXIT)

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
            if not self.started:
                return
            self.rechecks.clear()
            for order, (node_id, node) in enumerate(self.flow.nodes.items()):
                if isinstance(node, OnSegment) and self._in_window():
                    self._check_segment(order, node_id, node)
                elif isinstance(node, WaitCondition):
                    self._check_turn(order, met_event(node_id), node.if_)
            for number, rule in enumerate(self.flow.settings.exit):
                if rule.if_ is not None:
                    order = len(self.flow.nodes) + number
                    self._check_turn(order, exit_event(number), rule.if_)
            self._drain()

    def _check_turn(self, order: int, event: str, condition: Condition) -> None:
        """Judge a condition whose coming true is an event of its own (D47)."""
        view = self.view(None)
        before, self.truth[event] = self.truth.get(event, False), holds(condition, view)
        if self.truth[event] and not before:
            self.make_happen(event)
        points = [at for at in change_points(condition, view) if at > self.now_ms]
        if points:
            self.rechecks[order] = min(points)

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
        properties = None if happening is None else happening.properties
        modelled = happening is not None and happening.modelled
        place = Lined(node_id, identity, self.now_ms, key, properties, modelled)
        if (hindrance := self._hindrance(key, self.line)) is not None:
            self._refuse(node_id, identity, *hindrance)
        elif kept_out(self):
            self._hold_out(place)
        elif self.desk.gate is None:
            self._begin(place)
        else:
            self._stand_in_line(place, self.desk.gate)

    def _hindrance(
        self, key: tuple[str, Value] | None, line: Sequence[Lined]
    ) -> tuple[Outcome, Entry | Lined] | None:
        """Why nobody with this key may enter now, and what stands in the way (D9)."""
        reentry = self.flow.settings.reentry
        before: list[Entry | Lined] = [
            each for each in (*self.entries, *self.held_out) if each.key == key
        ]
        before += [each for each in line if each.key == key]
        if not before:
            return None
        if reentry.policy == "once":
            return Outcome.REFUSED_ONCE, before[0]
        active = [each for each in before if each.active]
        if reentry.policy == "after_exit" and active:
            return Outcome.REFUSED_INSIDE, active[0]
        last = max(before, key=lambda each: each.began_ms)
        if reentry.gap is not None and last.began_ms > self.now_ms - fixed_ms(reentry.gap):
            return Outcome.REFUSED_GAP, last
        return None

    def _hold_out(self, place: Lined) -> None:
        """Count him as one who entered and left at once, and watch him for the goal (D49)."""
        entry = Entry(-1, place.identity, self.now_ms, place.node, place.key, place.properties)
        self.held_out.append(entry)
        self._refuse(place.node, place.identity, Outcome.REFUSED_HOLDOUT, None)
        if self.flow.settings.goal is not None:
            self.watch(watch_place(self.flow) + 1, self.flow.settings.goal, entry)

    def _stand_in_line(self, place: Lined, gate: int) -> None:
        """Claim the entry (D41)."""
        place.number = self.desk.number
        answer = self.desk.claim(Kind.ENTRY, gate, self.now_ms)
        if answer is not None:
            place.due_ms, place.granted = answer
            if place.due_ms > self.now_ms:
                self.tally.queued(place.node)
        self.line.append(place)
        self.observer.lined_up(place)

    def _leave_line(self, place: Lined) -> None:
        """The claim is answered: enter after all, or not."""
        self.line.remove(place)
        self.tally.lined(place.node, self.now_ms - place.began_ms, stays=False)
        self.observer.let_out(place, self.now_ms)
        if not place.granted:
            self._refuse(place.node, place.identity, CoupledOutcome.REFUSED_CAP, None)
        elif not self._in_window():
            self._refuse(place.node, place.identity, CoupledOutcome.REFUSED_LATE, None)
        elif (hindrance := self._hindrance(place.key, [])) is not None:
            self._refuse(place.node, place.identity, *hindrance)
        else:
            self._begin(place)

    def _begin(self, place: Lined) -> None:
        """Begin an entry (D6): its token goes into the FIFO."""
        node_id = place.node
        entry = Entry(
            len(self.entries), place.identity, self.now_ms, node_id, place.key, place.properties
        )
        self.entries.append(entry)
        self.observer.entered(entry)
        self.tally.entry(node_id, self.now_ms, place.modelled)
        # D13: the token leaves the trigger; a wait that is an entry point, by its port `event`.
        port = "event" if isinstance(self.node(node_id), WaitEvent) else "next"
        token = Token(entry, 0, node_id, does="leave", port=port)
        entry.tokens.append(token)
        self.fifo.append(token)
        if self.flow.settings.goal is not None:
            self.watch(watch_place(self.flow), self.flow.settings.goal, entry)

    def _refuse(
        self,
        node_id: str,
        identity: int,
        why: Outcome | CoupledOutcome,
        before: Entry | Lined | None,
    ) -> None:
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
        if not targets and (reason := node.falls_out.get(port)) is not None:
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
        if isinstance(node, Send) and token.port == "next":
            self.tally.send(node.channel, self.now_ms)
            self.sends.append(Sent(self.person.id, token.node, self.now_ms, entry.identity))
            respond(self, token, node)
            event, told = node.makes_happen(self.flow.flow, token.node)
            carried: dict[str, Value] = {
                name: text
                for name, text in told.items()
                if self.setting.property_types.get(name, "string") == "string"
            }
            self.make_happen(event, carried, (entry.number, token.node))
        if (
            isinstance(node, WaitEvent | WaitAny)
            and token.cause is not None
            and token.cause.modelled
        ):
            self.tally.modelled_wake(token.node)
        if isinstance(node, ABTest) and token.node not in self.tested:  # D31
            self.tested.add(token.node)
            test = self.desk.tests.get(token.node, -1)
            branch = node.ports.index(token.port)
            watched = watch_place(self.flow, token.node, token.port)
            self.watch(watched, node.target, entry, test, branch)
            if test >= 0:
                self.desk.open(test, branch, self.now_ms)

    def _arrive(self, token: Token) -> None:
        """Arrive at the node and do what it says."""
        entry, node_id = token.entry, token.node
        self.tally.arrival(node_id, self.now_ms - entry.began_ms)
        self.arrivals = 1 if self.counts_anew else self.arrivals + 1
        self.counts_anew = False
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
        nodes = list(self.flow.nodes.values())
        judged = [i for i, node in enumerate(nodes) if isinstance(node, OnSegment | WaitCondition)]
        judged += [
            len(nodes) + i for i, rule in enumerate(self.flow.settings.exit) if rule.if_ is not None
        ]
        return dict.fromkeys(judged, at) if at < window_until else {}

    def close(self) -> None:
        """Count who is still there at the horizon, in the flow or in line."""
        for place in self.line:
            waited_ms = self.options.horizon_ms - place.began_ms
            self.tally.lined(place.node, waited_ms, stays=True)
        for token in self.tokens():
            if token.status in ("waiting", "idle"):
                self.tally.stays(token.node, waiting=token.status == "waiting")
        self.observer.finished(self.entries)
