"""Answer what an event means to a customer in the flow: who goes on by it, and who leaves by it."""

from __future__ import annotations

from core.answers import ANSWERS, answer_key
from core.internal_events import exit_event, met_event
from core.limits import WEIGHT_TOTAL
from core.nodes import WaitAny, WaitCondition, WaitEvent
from core.philox import draw64, holdout_key, scale
from core.reference_conditions import holds
from core.reference_life import Life
from core.reference_people import Happening
from core.reference_state import Token


def heard(life: Life, token: Token, happening: Happening) -> str | None:
    """The port by which a token leaves on an event, None where it goes on waiting (D28)."""
    node = life.node(token.node)
    if token.status != "waiting":
        return None
    view = life.view(token.entry, happening)
    match node:
        case WaitEvent():
            if node.event != happening.name or not _answers(life, token, node, happening):
                return None
            return "event" if holds(node.where, view) else None
        case WaitAny():
            fitting = (
                port
                for port, test in node.events.items()
                if test.event == happening.name and holds(test.where, view)
            )
            return next(fitting, None)
        case WaitCondition():
            return "met" if happening.name == met_event(token.node) else None
    return None


def _answers(life: Life, token: Token, node: WaitEvent, happening: Happening) -> bool:
    """Whether an event answers the message that a wait is for, if it is for one (D28)."""
    if node.message is None or happening.answers == (token.entry.number, node.message):
        return True
    key = happening.properties.get(ANSWERS)
    mine = answer_key(life.flow.flow, node.message, token.entry.identity)
    return isinstance(key, int) and not isinstance(key, bool) and key == mine


def exits_by(life: Life, number: int, happening: Happening) -> bool:
    """Whether an event is one by which an exit rule takes the customer out (D48)."""
    rule = life.flow.settings.exit[number]
    if rule.if_ is not None:
        return happening.name == exit_event(number)
    return rule.event == happening.name and holds(rule.where, life.view(None, happening))


def kept_out(life: Life) -> bool:
    """Whether the customer is among those whom the flow keeps out (D49)."""
    holdout = life.flow.settings.holdout
    if holdout is None:
        return False
    key = holdout_key(life.options.salt, holdout.group, life.flow.draws_as)
    return scale(draw64(key, life.person.hash, 0), WEIGHT_TOTAL) < holdout.share
