"""Say in a short English phrase what a node does and what a condition asks.

Reports, listings and customers' stories use these phrases. Names stand in `backticks`, values of
text in "quotes", so that a name is never taken for a word of the phrase.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from core.conditions import (
    AllOf,
    AnyOf,
    AttributeTest,
    Comparison,
    DidTest,
    EntryRef,
    EntryTest,
    FilterAllOf,
    FilterAnyOf,
    FilterNot,
    GroupTest,
    Model,
    NeverDidTest,
    Not,
    PropertyTest,
    TagTest,
)
from core.duration import Duration
from core.flow import Reentry
from core.nodes import (
    BEST,
    WEEKDAYS,
    ABTest,
    AddTag,
    AddToAttribute,
    AddToGroup,
    BranchAttribute,
    BranchTag,
    ConditionNode,
    End,
    NodeBase,
    OnEvent,
    OnSchedule,
    OnSegment,
    RemoveFromGroup,
    RemoveTag,
    Send,
    SetAttribute,
    Slot,
    Split,
    TakeCoupon,
    Target,
    Wait,
    WaitAny,
    WaitCondition,
    WaitDate,
    WaitEvent,
    WaitSlot,
    WaitUntil,
)
from core.responses import Scope

LISTED_MAX = 6  # values or parts that are spelt out; the rest is counted

CHANNEL_NAMES = {
    "email": "e-mail",
    "sms": "SMS",
    "push": "push",
    "web_push": "web push",
    "whatsapp": "WhatsApp",
    "in_app": "in-app message",
    "webhook": "webhook",
}
_DAY_NAMES = dict(zip(WEEKDAYS, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True))
_MEMBERS = {
    "all": "Enter when",
    "at_start": "Enter at the start if",
    "joining": "Enter on coming to match:",
}
_VERBS = {
    "is_": "is",
    "is_not": "is not",
    "one_of": "is one of",
    "none_of": "is none of",
    "above": "is above",
    "at_least": "is at least",
    "below": "is below",
    "at_most": "is at most",
    "before": "is before",
    "after": "is after",
    "contains": "contains",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "matches": "matches",
    "within_last": "is within the last",
    "within_next": "is within the next",
    "older_than": "is older than",
}


def describe(node: NodeBase) -> str:
    """Return what `node` does, such as 'Wait for `clicked`, at most 1 day'; no full stop."""
    match node:
        case OnEvent(event=event, where=where):
            return f"Enter on `{event}`{_where(where)}"
        case OnSegment(if_=condition, members=members):
            return f"{_MEMBERS[members]} {describe_condition(condition)}"
        case OnSchedule():
            return _schedule(node)
        case ConditionNode(if_=condition):
            return f"If {describe_condition(condition)}"
        case BranchAttribute(attribute=attribute):
            return f"Branch on `{attribute}`"
        case BranchTag(branches=branches):
            return f"Branch on the tags {_listed(f'`{t}`' for ts in branches.values() for t in ts)}"
        case Wait(for_=duration):
            return f"Wait {duration}"
        case WaitUntil(at=at, zone=zone):
            return f"Wait until {_instant(at, zone)}"
        case WaitDate():
            return _wait_date(node)
        case WaitEvent():
            return _wait_event(node)
        case WaitSlot(slots=slots, spread=spread):
            apart = f", spread over {spread}" if spread else ""
            return f"Wait for {_listed(map(_slot, slots))}{apart}"
        case WaitAny(events=events, timeout=timeout):
            names = (f"`{each.event}`{_where(each.where)}" for each in events.values())
            return f"Wait for one of {_listed(names)}{_at_most(timeout)}"
        case WaitCondition(if_=condition, timeout=timeout):
            return f"Wait until {describe_condition(condition)}{_at_most(timeout)}"
        case Split(branches=branches):
            return f"Split {_weights(branches)}"
        case ABTest(branches=branches, target=target):
            until = _until(node)
            return f"A/B test {_weights(branches)} on {describe_target(target)}{until}"
        case TakeCoupon(pool=pool):
            return f"Take a coupon of `{pool}`"
        case Send(channel=channel, template=template):
            return f"Send {CHANNEL_NAMES[channel]} `{template}`"
        case AddTag(tag=tag):
            return f"Add the tag `{tag}`"
        case RemoveTag(tag=tag):
            return f"Remove the tag `{tag}`"
        case SetAttribute(attribute=attribute, value=value):
            return f"Set `{attribute}` to {_value(value)}"
        case AddToAttribute(attribute=attribute, by=by):
            sign = "Subtract" if by < 0 else "Add"
            return f"{sign} {abs(by)} {'from' if by < 0 else 'to'} `{attribute}`"
        case AddToGroup(group=group):
            return f"Put into the group `{group}`"
        case RemoveFromGroup(group=group):
            return f"Take out of the group `{group}`"
        case End(whole_flow=whole_flow):
            return "End the whole entry" if whole_flow else "End"
    raise TypeError(f"no phrase for {type(node).__name__}")


def _at_most(timeout: Duration | None) -> str:
    return "" if timeout is None else f", at most {timeout}"


def describe_target(target: Target) -> str:
    """Return what counts as a success, such as '`purchase` within 7 days'."""
    return f"`{target.event}`{_where(target.where)} within {target.within}"


def describe_scope(scope: Scope) -> str:
    """Return which messages a response rule is for, such as 'e-mail `hello`' or 'all messages'."""
    what = CHANNEL_NAMES[scope.channel] if scope.channel else ""
    template = f"`{scope.template}`" if scope.template else ""
    node = f"of the node `{scope.node}`" if scope.node else ""
    condition = f"if {describe_condition(scope.if_)}" if scope.if_ else ""
    if not (what or template):
        what = "messages" if node else "all messages"
    return " ".join(filter(None, (what, template, node, condition)))


def describe_reentry(reentry: Reentry) -> str:
    """Return who may enter again, such as 'Again after leaving, once for each `order_id`'."""
    policy = {
        "once": "once",
        "after_exit": "again after leaving",
        "always": "any number of times",
    }[reentry.policy]
    key = f", for each `{reentry.key}`" if reentry.key else ""
    gap = f", at least {reentry.gap} apart" if reentry.gap else ""
    return f"Each customer enters {policy}{key}{gap}"


def describe_condition(condition: Model) -> str:
    """Return what a condition or a filter asks, such as '`country` is "DE" and tagged `vip`'."""
    match condition:
        case AllOf(all=parts) | FilterAllOf(all=parts):
            return _joined(parts, " and ")
        case AnyOf(any=parts) | FilterAnyOf(any=parts):
            return _joined(parts, " or ")
        case Not(not_=part) | FilterNot(not_=part):
            return f"not ({describe_condition(part)})"
        case AttributeTest(attribute=name) | PropertyTest(property=name):
            return f"`{name}` {_comparison(condition)}"
        case EntryTest(entry=name):
            return f"the entry's `{name}` {_comparison(condition)}"
        case TagTest(tag=name):
            return f"tagged `{name}`"
        case GroupTest(group=name):
            return f"in the group `{name}`"
        case DidTest(did=event, within=within, where=where):
            return f"`{event}`{_where(where)} happened{_times(condition)}{_window(within)}"
        case NeverDidTest(never_did=event, within=within, where=where):
            verb = "never happened" if within is None else "did not happen"
            return f"`{event}`{_where(where)} {verb}{_window(within)}"
    raise TypeError(f"no phrase for {type(condition).__name__}")


def _joined(parts: Sequence[Model], word: str) -> str:
    if len(parts) == 1:
        return describe_condition(parts[0])
    texts = []
    for part in parts[:LISTED_MAX]:
        text = describe_condition(part)
        inner = getattr(part, "all", None) or getattr(part, "any", None) or ()
        texts.append(f"({text})" if len(inner) > 1 else text)
    if len(parts) > LISTED_MAX:
        texts.append(f"{len(parts) - LISTED_MAX:,} more tests")
    return word.join(texts)


def _comparison(test: Comparison) -> str:
    operator, operand = test.operator, test.operand
    if operator == "is_set":
        return "is set" if operand else "is not set"
    if operator == "between":
        return f"is between {_value(operand[0])} and {_value(operand[1])}"
    if operator in ("one_of", "none_of"):
        return f"{_VERBS[operator]} {_listed(map(_value, operand))}"
    if operator in ("before", "after"):
        return f"{_VERBS[operator]} {operand}"
    return f"{_VERBS[operator]} {_value(operand)}"


def _value(value: Any) -> str:
    match value:
        case EntryRef(entry=name):
            return f"the entry's `{name}`"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
    return str(value)


def _listed(texts: Iterable[str]) -> str:
    every = list(texts)
    if len(every) > LISTED_MAX:
        return f"{', '.join(every[: LISTED_MAX - 1])} and {len(every) - LISTED_MAX + 1:,} more"
    return " and ".join(filter(None, (", ".join(every[:-1]), every[-1])))


def _where(where: Model | None) -> str:
    return "" if where is None else f" where {describe_condition(where)}"


def _window(within: Duration | None) -> str:
    return "" if within is None else f" in the last {within}"


def _times(test: DidTest) -> str:
    lo, hi = test.bounds
    if hi is None:
        return "" if lo == 1 else f" at least {lo:,} times"
    return f" {'exactly' if lo == hi else 'at most'} {hi:,} time{'' if hi == 1 else 's'}"


def _schedule(node: OnSchedule) -> str:
    unit = {"daily": "day", "weekly": "week", "monthly": "month"}.get(node.repeat, "")
    if node.repeat == "once":
        when = f"on {node.date}"
    else:
        when = f"every {unit}" if node.every == 1 else f"every {node.every} {unit}s"
    if node.weekdays:
        when += f" on {_listed(_DAY_NAMES[day] for day in node.weekdays)}"
    if node.days:
        when += f" on day {_listed(map(str, node.days))}"
    zone = "flow's" if node.zone == "flow" else "customer's"
    condition = f" if {describe_condition(node.if_)}" if node.if_ else ""
    return f"Enter {when} at {_clock(node.at)} ({zone} time){condition}"


def _wait_date(node: WaitDate) -> str:
    at = "" if node.at is None else f" at {_clock(node.at)}"
    if node.offset is None or node.offset == Duration():
        return f"Wait until `{node.attribute}`{at}"
    later = min(node.offset.months, node.offset.days, node.offset.ms) >= 0
    span = str(node.offset).removeprefix("-")
    return f"Wait until {span} {'after' if later else 'before'} `{node.attribute}`{at}"


def _wait_event(node: WaitEvent) -> str:
    message = f" on `{node.message}`" if node.message else ""
    timeout = "" if node.timeout is None else f", at most {node.timeout}"
    start = "Enter on, or wait for," if node.entry else "Wait for"
    return f"{start} `{node.event}`{message}{_where(node.where)}{timeout}"


def _until(node: ABTest) -> str:
    if node.until is None:
        return ""
    people = f"{node.until.people:,} {'person' if node.until.people == 1 else 'people'}"
    if node.until.then != BEST:
        return f", after {people} all to `{node.until.then}`"
    when = "" if node.until.decide == "matured" else " so far"
    return f", after {people} all to the best branch{when}"


def _instant(at: str, zone: str) -> str:
    moment = datetime.fromisoformat(at)
    if moment.utcoffset() is not None:
        return at.replace("T", " ").replace("Z", " UTC")
    return f"{at.replace('T', ' ')} ({zone}'s time)"


def _slot(slot: Slot) -> str:
    listed = [day for day in WEEKDAYS if day in slot.days]
    hours = f"{_clock(slot.from_)}–{_clock(slot.until)}"
    if len(listed) == len(WEEKDAYS):
        return hours
    first, last = WEEKDAYS.index(listed[0]), WEEKDAYS.index(listed[-1])
    if len(listed) > 2 and last - first + 1 == len(listed):
        return f"{_DAY_NAMES[listed[0]]}–{_DAY_NAMES[listed[-1]]} {hours}"
    return f"{', '.join(_DAY_NAMES[day] for day in listed)} {hours}"


def _clock(ms: int) -> str:
    seconds = ms // 1000
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    return text if seconds % 60 == 0 else f"{text}:{seconds % 60:02d}"


def _weights(branches: dict[str, int]) -> str:
    if len(branches) > LISTED_MAX:
        return f"into {len(branches):,} branches"
    return "/".join(f"{weight / 100:g}" for weight in branches.values()) + " %"
