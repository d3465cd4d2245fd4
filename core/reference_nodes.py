"""Pass a token through a node, for the reference interpreter: questions, branches, waits, actions.

Each function takes the customer's `Life` and the token that has arrived there.
"""

from __future__ import annotations

from zoneinfo import ZoneInfo

from core.couplings import Kind
from core.duration import Duration, fixed_ms
from core.errors import HeadraceError
from core.hashing import hash_parts
from core.limits import PROBABILITY_TOTAL, WEIGHT_TOTAL
from core.nodes import (
    TIMEOUT,
    ABTest,
    AddTag,
    AddToAttribute,
    AddToGroup,
    BranchAttribute,
    BranchTag,
    ConditionNode,
    End,
    NodeBase,
    RemoveFromGroup,
    RemoveTag,
    Send,
    SetAttribute,
    Split,
    TakeCoupon,
    Wait,
    WaitAny,
    WaitCondition,
    WaitDate,
    WaitEvent,
    WaitSlot,
    WaitUntil,
)
from core.outcomes import Outcome
from core.philox import (
    assign_key,
    delay_key,
    draw64,
    jitter_key,
    response_key,
    scale,
    slot_of,
)
from core.reference_conditions import holds, is_listed
from core.reference_life import Life, reads
from core.reference_people import Day, Happening, Instant, Value, in_int64, is_number
from core.reference_state import Token
from core.reference_time import FAR_MS, date_due, day_of, later, slot_due, stated
from core.responses import Outcome as Modelled
from core.responses import delay_ms


def port_at(life: Life, token: Token, node: NodeBase) -> str | None:
    """The port by which a token goes on at once; None where it waits, ends or is parked."""
    match node:
        case ConditionNode():
            view = life.view(token.entry)
            life.touch(token.node, reads(node.if_))
            result = holds(node.if_, view)
            life.observer.condition(token, node.if_, result, view)
            return "yes" if result else "no"
        case BranchAttribute() | BranchTag():
            return _branch(life, token, node)
        case Split() | ABTest():
            return _split(life, token, node)
        case Wait() | WaitUntil() | WaitDate() | WaitSlot() | WaitEvent() | WaitAny():
            return _wait(life, token, node)
        case WaitCondition():
            return _wait_condition(life, token, node)
        case TakeCoupon():
            _claim_coupon(life, token, node)
            return None
        case AddToAttribute():
            return _add(life, token, node)
        case End():
            _end(life, token, node)
            return None
    if isinstance(node, Send):
        return _reason(life, token, node)
    _act(life, node)
    return "next"


def _reason(life: Life, token: Token, node: Send) -> str:
    """The first reason not to send that holds, else `next` (D51)."""
    view = life.view(token.entry)
    life.touch(token.node, (read for guard in node.guards for read in reads(guard.if_)))
    return next((guard.reason for guard in node.guards if holds(guard.if_, view)), "next")


def _wait_condition(life: Life, token: Token, node: WaitCondition) -> str | None:
    """D52."""
    view = life.view(token.entry)
    life.touch(token.node, reads(node.if_))
    if holds(node.if_, view):
        return "met"
    due_ms = None if node.timeout is None else later(life.now_ms, node.timeout, life.here)
    life.observer.waiting(token, life.now_ms, due_ms)
    if due_ms is not None and due_ms <= life.now_ms:
        return TIMEOUT
    token.status, token.due_ms = "waiting", due_ms
    return None


def _branch(life: Life, token: Token, node: BranchAttribute | BranchTag) -> str:
    """The first branch that lists the value, or a tag that is carried, else `other`."""
    read: Value | list[str] | None
    if isinstance(node, BranchTag):
        read = sorted(life.person.tags)
        fits = [port for port, tags in node.branches.items() if life.person.tags & set(tags)]
    else:
        life.touch(token.node, [("attribute", node.attribute)])
        value = read = life.person.attributes.get(node.attribute)
        view = life.view(token.entry)
        fits = [port for port, listed in node.branches.items() if is_listed(value, listed, view)]
    chosen = fits[0] if fits else "other"
    life.observer.value(token, read, chosen)
    return chosen


def _split(life: Life, token: Token, node: Split | ABTest) -> str:
    """D30. A draw without a branch means weights that do not add up, which lint refuses."""
    entry = token.entry
    if token.node in life.desk.tests:  # D45
        branch = life.desk.arrive(life.desk.tests[token.node], life.now_ms)
        if branch >= 0:
            life.observer.decided(token, node.ports[branch])
            return node.ports[branch]
    key = assign_key(life.options.salt, life.flow.draws_as, token.node)
    slot = 0 if node.sticky else slot_of(entry.identity, entry.visits[token.node])
    points = scale(draw64(key, life.person.hash, slot), WEIGHT_TOTAL)
    life.observer.draw(token, points)
    reached = 0
    for port, weight in node.branches.items():
        reached += weight
        if points < reached:
            return port
    raise HeadraceError(f"the weights of {token.node!r} do not add up to 100%")


def _claim_coupon(life: Life, token: Token, node: TakeCoupon) -> None:
    """D44: the token waits for its answer, which says by which port it leaves."""
    answer = life.desk.claim(Kind.COUPON, life.desk.pools[node.pool], life.now_ms)
    token.status, token.due_ms = "waiting", None
    if answer is not None:
        token.due_ms, token.port = answer.time_ms, "taken" if answer.granted else "sold_out"
    life.observer.waiting(token, life.now_ms, token.due_ms)


def _wait(
    life: Life, token: Token, node: Wait | WaitUntil | WaitDate | WaitSlot | WaitEvent | WaitAny
) -> str | None:
    """D23 to D28, D50."""
    port, due_ms = "next", None
    match node:
        case Wait():
            due_ms = later(life.now_ms, node.for_, life.here)
        case WaitUntil():
            due_ms = stated(node.at, life.here if node.zone == "customer" else life.there)
        case WaitDate():
            life.touch(token.node, [("attribute", node.attribute)])
            value = life.person.attributes.get(node.attribute)
            if value is None:
                return "missing"
            due_ms = _date_due(value, node, life.here)
        case WaitSlot():
            due_ms = slot_due(life.now_ms, node.slots, life.here)
            if node.spread is not None and due_ms > life.now_ms:
                key = jitter_key(life.options.salt, life.flow.draws_as, token.node)
                draw = draw64(key, life.person.hash, slot_of(token.entry.identity, 1))
                due_ms += scale(draw, fixed_ms(node.spread))
        case WaitEvent() | WaitAny():
            port = "timeout"
            if node.timeout is not None:
                due_ms = later(life.now_ms, node.timeout, life.here)
    life.observer.waiting(token, life.now_ms, due_ms)
    if due_ms is not None and due_ms <= life.now_ms:  # D23
        return port
    token.status, token.due_ms = "waiting", due_ms
    return None


def _act(life: Life, node: NodeBase) -> None:
    """Change the customer. What it touches counts as changed even where it was so before (D3 e)."""
    match node:
        case AddTag(tag=name) | RemoveTag(tag=name):
            life.mark("tag", name, isinstance(node, AddTag))
        case AddToGroup(group=name) | RemoveFromGroup(group=name):
            life.mark("group", name, isinstance(node, AddToGroup))
        case SetAttribute(attribute=name, value=literal):
            life.write(name, life.fit(name, literal))
        case _:
            raise TypeError(f"no rule for the node type {node.type!r}")


def _add(life: Life, token: Token, node: AddToAttribute) -> str | None:
    """D22."""
    by, now = life.fit(node.attribute, node.by), life.person.attributes.get(node.attribute, 0)
    if not is_number(by) or not is_number(now):
        raise HeadraceError(f"{by!r} can't be added to {now!r} of {node.attribute!r}")
    total = now + by
    if life.setting.attribute_types[node.attribute] == "float64":
        total = float(total)
    fits = in_int64(total) if isinstance(total, int) else total - total == 0.0
    if not fits:
        life.stop(token, Outcome.PARKED_OVERFLOW)
        return None
    life.write(node.attribute, total)
    return "next"


def _end(life: Life, token: Token, node: End) -> None:
    """D8."""
    life.stop(token, Outcome.END)
    if node.whole_flow:
        for other in token.entry.tokens:
            if other.status != "ended":
                if other in life.fifo:
                    life.fifo.remove(other)
                life.stop(other, Outcome.WHOLE_FLOW)


def respond(life: Life, token: Token, node: Send) -> None:
    """Draw what the customer does after a message, by the first rule that fits (D34)."""
    responses, options, entry = life.setting.responses, life.options, token.entry
    if responses is None:
        return
    fitting = [
        number
        for number, rule in enumerate(responses.rules)
        if rule.for_.channel in (None, node.channel)
        and rule.for_.node in (None, token.node)
        and rule.for_.template in (None, node.template)
        and holds(rule.for_.if_, life.view(entry))
    ]
    slot = slot_of(entry.identity, entry.visits[token.node])
    times: dict[str | None, int] = {None: life.now_ms}  # of what happens, by event
    for number, rule_number, outcome in responses.numbered():
        if rule_number not in fitting[:1] or outcome.after not in times:
            continue
        names = (life.flow.draws_as, node.channel, node.template, outcome.event)
        key = response_key(options.seed, options.replicate, *names)
        if scale(draw64(key, life.person.hash, slot), PROBABILITY_TOTAL) < outcome.probability:
            key = delay_key(options.seed, options.replicate, *names)
            draw = draw64(key, life.person.hash, slot)
            at_ms = times[outcome.after] + delay_ms(life.setting.tables[number], draw)  # D35
            times[outcome.event] = at_ms
            _expect(life, token, node, number, outcome, at_ms)


def _expect(
    life: Life, token: Token, node: Send, number: int, outcome: Modelled, at_ms: int
) -> None:
    """The outcome of this number will come to pass at `at_ms` (D11, D36)."""
    entry = token.entry
    properties: dict[str, Value] = {
        "channel": node.channel,
        "template": node.template,
        "node": token.node,
        "flow": life.flow.flow,
        **{name: life.fit_property(name, each) for name, each in outcome.properties.items()},
    }
    visit = entry.visits[token.node]
    identity = hash_parts("modelled", entry.identity, node.template, outcome.event, visit)
    answers = (entry.number, token.node)
    happening = Happening(at_ms, outcome.event, properties, identity, answers, number)
    life.modelled.append((life.modelled_ever, happening))
    life.modelled_ever += 1


def _date_due(value: Value, node: WaitDate, here: ZoneInfo) -> int:
    """D26; endlessly far where the calendar has no such year."""
    if not isinstance(value, Day | Instant):
        raise HeadraceError(f"{value!r} is neither a date nor an instant to wait for")
    past = (value.days if isinstance(value, Day) else value.ms) < 0
    try:
        base = day_of(value.days) if isinstance(value, Day) else value.ms
        return date_due(base, node.offset or Duration(), node.at, here)
    except (OverflowError, ValueError):
        return -FAR_MS if past else FAR_MS
