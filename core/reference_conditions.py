"""Answer conditions and filters for the reference interpreter, one test at a time on plain values.

A `View` is all that a condition can read. Every value that a test reads may be missing, and then
the test is false, `is_set` apart (D16).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from core.audience import Kind
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
    Scalar,
    TagTest,
    walk,
)
from core.duration import fixed_ms
from core.errors import HeadraceError
from core.patterns import pattern_of
from core.reference_people import Day, Happening, Instant, Person, Value, is_number, moment
from core.reference_time import (
    MS,
    anniversary,
    day_of,
    in_slots,
    instant,
    local,
    midnight,
    midnight_of,
    period_begin,
    period_end,
    slot_bounds,
)

ORDERINGS = {
    "above": "above",
    "after": "above",
    "at_least": "at_least",
    "below": "below",
    "before": "below",
    "at_most": "at_most",
}
"""`after` means `above` and `before` means `below` (D18)."""

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class View:
    """What a condition reads: the customer now, the entry's first event and the event at hand.

    `here` is the customer's zone, in which a date begins; `there` is the flow's, in which literals
    without an offset are meant. `entry` and `event` are properties, None where there is no event.
    """

    now_ms: int
    person: Person
    here: ZoneInfo
    there: ZoneInfo
    entry: Mapping[str, Value] | None = None
    event: Mapping[str, Value] | None = None


def holds(condition: Model | None, view: View) -> bool:
    """Whether a condition or filter is true; none at all is true of everything."""
    match condition:
        case None:
            return True
        case AllOf(all=parts) | FilterAllOf(all=parts):
            return all(holds(part, view) for part in parts)
        case AnyOf(any=parts) | FilterAnyOf(any=parts):
            return any(holds(part, view) for part in parts)
        case Not(not_=part) | FilterNot(not_=part):
            return not holds(part, view)
        case TagTest(tag=name):
            return name in view.person.tags
        case GroupTest(group=name):
            return name in view.person.groups
        case DidTest() | NeverDidTest():
            least, most = condition.bounds
            count = len(matches(condition, view))
            return least <= count and (most is None or count <= most)
        case ClockTest(clock=slots):
            return in_slots(view.now_ms, slots, view.here)
        case Comparison():
            return compare(condition, value_of(condition, view), view)
    raise TypeError(f"{type(condition).__name__} is no condition")


def value_of(test: Model, view: View) -> Value | None:
    """The value that a comparison reads, None where it is missing."""
    match test:
        case AttributeTest(attribute=name):
            return view.person.attributes.get(name)
        case EntryTest(entry=name):
            return None if view.entry is None else view.entry.get(name)
        case PropertyTest(property=name):
            return None if view.event is None else view.event.get(name)
    raise TypeError(f"{type(test).__name__} reads no value")


def matches(test: DidTest | NeverDidTest, view: View) -> list[Happening]:
    """The events that a history test counts: in (now - within, now], filter passed (D20, D55)."""
    name = test.did if isinstance(test, DidTest) else test.never_did
    since = None if test.window_ms is None else view.now_ms - test.window_ms
    if test.since is not None:
        since = period_begin(view.now_ms, test.since, view.here) - 1
    return [
        happening
        for happening in view.person.history
        if happening.name == name
        and (since is None or since < happening.time_ms <= view.now_ms)
        and holds(test.where, replace(view, event=happening.properties))
    ]


def compare(test: Comparison, value: Value | None, view: View) -> bool:
    """Whether a value passes a comparison. Raises HeadraceError for a literal of another type."""
    operator, operand = test.operator, test.operand
    if operator == "is_set":
        return (value is not None) is operand
    if value is None:
        return False
    match operator:
        case "anniversary_in_days":
            day = _date_of(value, view.here)
            return day is not None and _comes_round(test, day, view)
        case "is_" | "is_not":
            other = _other(operand, value, view)
            return other is not None and (value == other) is (operator == "is_")
        case "one_of" | "none_of":
            return is_listed(value, operand, view) is (operator == "one_of")
        case "between":
            least, most = (_other(bound, value, view) for bound in operand)
            return _ordered("at_least", value, least) and _ordered("at_most", value, most)
        case "contains" | "starts_with" | "ends_with" | "matches":
            return _text(operator, value, operand)
        case "within_last" | "within_next" | "older_than":
            at, span = _moment_of(value, view.here), fixed_ms(operand)
            now = view.now_ms
            if operator == "within_last":
                return now - span < at <= now
            return now < at <= now + span if operator == "within_next" else at <= now - span
    return _ordered(ORDERINGS[operator], value, _other(operand, value, view))


def is_listed(value: Value | None, literals: Iterable[Scalar], view: View) -> bool:
    """Whether a value is one of those stated; a missing value is not."""
    return value is not None and any(value == _other(each, value, view) for each in literals)


def change_points(condition: Model, view: View) -> Iterator[int]:
    """Times at which the truth of a condition may turn with nothing but time (rule 9, D32), ms.

    A few too many of them do no harm: evaluating where nothing turns decides nothing.
    """
    for part in walk(condition):
        if isinstance(part, DidTest | NeverDidTest):
            for happening in view.person.history:
                if part.since is not None:
                    yield period_end(view.now_ms, part.since, view.here)
                elif part.window_ms is not None:
                    yield happening.time_ms + part.window_ms
                for test in walk(part.where):
                    yield from _turns(test, replace(view, event=happening.properties))
        elif isinstance(part, ClockTest):
            yield from slot_bounds(view.now_ms, part.clock, view.here)
        elif not isinstance(part, PropertyTest):
            yield from _turns(part, view)


def _turns(test: Model, view: View) -> Iterator[int]:
    if not isinstance(test, Comparison):
        return
    value = value_of(test, view)
    if value is not None and test.operator == "anniversary_in_days":
        day = _date_of(value, view.here)
        yield from () if day is None else _rounds(test, day, view)
    relative = test.operator in ("within_last", "within_next", "older_than")
    if value is not None and relative:
        at, span = _moment_of(value, view.here), fixed_ms(test.operand)
        yield from (at - span, at, at + span)


def _other(operand: Any, value: Value, view: View) -> Value | None:
    """What `value` is compared with: a literal of its type, or a property of the entry's event."""
    if isinstance(operand, EntryRef):
        other = None if view.entry is None else view.entry.get(operand.entry)
    elif isinstance(value, Day | Instant) and isinstance(operand, str):
        kind: Kind = "date" if isinstance(value, Day) else "datetime"
        other = moment(operand, kind, view.there)
    else:
        other = operand
    absent = other is None and isinstance(operand, EntryRef)
    alike = type(other) is type(value) or (is_number(other) and is_number(value))
    if not absent and not alike:
        raise HeadraceError(f"{value!r} can't be compared with {operand!r}")
    return other


def _ordered(operator: str, value: Any, other: Any) -> bool:
    """Compare by size: exactly, also whole numbers with fractions (D17)."""
    if other is None:
        return False
    if isinstance(value, bool | str):
        raise HeadraceError(f"{value!r} can't be ordered")
    results = {
        "above": value > other,
        "at_least": value >= other,
        "below": value < other,
        "at_most": value <= other,
    }
    return bool(results[operator])


def _text(operator: str, value: Value, wanted: str) -> bool:
    if not isinstance(value, str):
        raise HeadraceError(f"{value!r} is no text")
    if operator == "contains":
        return wanted in value
    if operator == "starts_with":
        return value.startswith(wanted)
    if operator == "ends_with":
        return value.endswith(wanted)
    return pattern_of(wanted).searches(value)


def _comes_round(test: Comparison, day: date, view: View) -> bool:
    """Whether a date comes round in so many days, now or, of a moment, at this millisecond."""
    today, days = local(view.now_ms, view.here).date(), timedelta(days=test.operand)
    if isinstance(test, MomentTest):
        # A gap may have moved the moment behind midnight.
        todays = [d for d in (today, today - DAY) if _moment(d, test, view) == view.now_ms]
    else:
        todays = [today]
    return any(day <= d + days == anniversary(day, (d + days).year) for d in todays)


def _rounds(test: Comparison, day: date, view: View) -> Iterator[int]:
    """When a date comes round in so many days, around now, and when that is over."""
    days = timedelta(days=test.operand)
    year = max(day, local(view.now_ms, view.here).date() + days).year
    for then in (anniversary(day, year + i) for i in range(-1, 3)):
        if then < day:
            continue
        if isinstance(test, MomentTest):
            begins = _moment(then - days, test, view)
            yield from (begins, begins + 1)
        else:
            yield from (midnight(then - days, view.here), midnight(then - days + DAY, view.here))


def _moment(day: date, test: MomentTest, view: View) -> int:
    return instant(datetime.combine(day, time()) + test.at * MS, view.here)


def _date_of(value: Value, here: ZoneInfo) -> date | None:
    """A date, or that of an instant on the customer's clock; None where no calendar has it."""
    try:
        if isinstance(value, Day):
            return day_of(value.days)
        return local(_moment_of(value, here), here).date()
    except OverflowError:
        return None


def _moment_of(value: Value, here: ZoneInfo) -> int:
    """An instant as it is; a date counts as its local midnight in the customer's zone (D19)."""
    if isinstance(value, Instant):
        return value.ms
    if isinstance(value, Day):
        return midnight_of(value.days, here)
    raise HeadraceError(f"{value!r} is neither a date nor an instant")
