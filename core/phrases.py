"""Say in words what a condition asks, and what node types have in common to say.

Names stand in `backticks`, values of text in "quotes", so that a name is never taken for a word of
the phrase.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from core.catalogue.base import Target
from core.conditions import (
    AllOf,
    AnyOf,
    AttributeTest,
    ClockTest,
    Comparison,
    DidTest,
    EntryRef,
    EntryTest,
    FilterAllOf,
    FilterAnyOf,
    FilterNot,
    GroupTest,
    Model,
    MomentTest,
    NeverDidTest,
    Not,
    PropertyTest,
    TagTest,
)
from core.wall_clock import time_of_day_text

CLOCK = "~clock:"
"""Begins the names of attributes that hold a fixed time, so that conditions can ask for it."""

LISTED_MAX = 6  # values or parts that are spelt out; the rest is counted

CHANNEL_NAMES = {
    "email": "e-mail",
    "sms": "SMS",
    "push": "push",
    "web_push": "web push",
    "whatsapp": "WhatsApp",
    "in_app": "in-app message",
    "webhook": "webhook",
    "wechat": "WeChat",
    "overlay": "web overlay",
    "mobile_text": "mobile text",
    "banner": "banner",
    "note": "note",
    "task": "task",
    "alert": "alert",
    "automation_rule": "automation rule",
    "website_rule": "website rule",
    "facebook": "Facebook audience",
    "google": "Google Ads audience",
    "adform": "Adform audience",
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
_TODAY = {0: "today", 1: "tomorrow", -1: "yesterday"}
_SINCE = {"day": "today", "week": "this week", "month": "this month"}


def describe_condition(condition: Model) -> str:
    """Return what a condition or a filter asks, such as '`country` is "DE" and tagged `vip`'."""
    match condition:
        case AllOf(all=parts) | FilterAllOf(all=parts):
            return _joined(parts, " and ")
        case AnyOf(any=parts) | FilterAnyOf(any=parts):
            return _joined(parts, " or ")
        case Not(not_=part) | FilterNot(not_=part):
            return f"not ({describe_condition(part)})"
        case AttributeTest(attribute=name) if name.startswith(CLOCK):
            return f"it is {name.removeprefix(CLOCK).replace('T', ' ')} or later"
        case AttributeTest(attribute=name) | PropertyTest(property=name):
            return f"`{name}` {_comparison(condition)}"
        case EntryTest(entry=name):
            return f"the entry's `{name}` {_comparison(condition)}"
        case TagTest(tag=name):
            return f"tagged `{name}`"
        case GroupTest(group=name):
            return f"in the group `{name}`"
        case DidTest(did=event, where=where):
            return f"`{event}`{where_text(where)} happened{_times(condition)}{_window(condition)}"
        case NeverDidTest(never_did=event, where=where):
            verb = "never happened" if condition.window_ms is None else "did not happen"
            return f"`{event}`{where_text(where)} {verb}{_window(condition)}"
        case ClockTest(clock=slots):
            return f"it is {listed_text(slot.describe() for slot in slots)}"
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
        return f"is between {value_text(operand[0])} and {value_text(operand[1])}"
    if operator in ("one_of", "none_of"):
        return f"{_VERBS[operator]} {listed_text(map(value_text, operand))}"
    if operator == "anniversary_in_days":
        days = f"in {operand} days" if operand > 0 else f"{-operand} days ago"
        at = f" at {time_of_day_text(test.at)}" if isinstance(test, MomentTest) else ""
        return f"comes round {_TODAY.get(operand, days)}{at}"
    if operator in ("before", "after"):
        return f"{_VERBS[operator]} {operand}"
    return f"{_VERBS[operator]} {value_text(operand)}"


def value_text(value: Any) -> str:
    """A value as documents state it; text in quotes."""
    match value:
        case EntryRef(entry=name):
            return f"the entry's `{name}`"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
    return str(value)


def listed_text(texts: Iterable[str]) -> str:
    """The texts as 'a, b and c'; many are counted."""
    every = list(texts)
    if len(every) > LISTED_MAX:
        return f"{', '.join(every[: LISTED_MAX - 1])} and {len(every) - LISTED_MAX + 1:,} more"
    return " and ".join(filter(None, (", ".join(every[:-1]), every[-1])))


def where_text(where: Model | None) -> str:
    """The filter of an event, such as ' where `price` is 3'; '' for none."""
    return "" if where is None else f" where {describe_condition(where)}"


def _window(test: DidTest | NeverDidTest) -> str:
    if test.since is not None:
        return f" {_SINCE[test.since]}"
    return "" if test.within is None else f" in the last {test.within}"


def _times(test: DidTest) -> str:
    lo, hi = test.bounds
    if hi is None:
        return "" if lo == 1 else f" at least {lo:,} times"
    return f" {'exactly' if lo == hi else 'at most'} {hi:,} time{'' if hi == 1 else 's'}"


def describe_target(target: Target) -> str:
    """Return what counts as a success, such as '`purchase` within 7 days'."""
    return f"`{target.event}`{where_text(target.where)} within {target.within}"


def weights_text(branches: dict[str, int]) -> str:
    """The shares in per cent, such as '50/50 %'; many branches are counted."""
    if len(branches) > LISTED_MAX:
        return f"into {len(branches):,} branches"
    return "/".join(f"{weight / 100:g}" for weight in branches.values()) + " %"
