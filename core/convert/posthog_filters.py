"""Turn the filters of PostHog's workflows into conditions and filters of a flow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from core.convert.draft import Draft, Test, all_of, any_of
from core.convert.fields import Fields
from core.limits import PATTERN_CHARS_MAX
from core.violations import quoted

TESTERS = "test accounts"
_NUMBERS = {
    "gt": "above",
    "gte": "at_least",
    "min": "at_least",
    "lt": "below",
    "lte": "at_most",
    "max": "at_most",
}
_TEXTS = ("icontains", "regex", "starts_with", "ends_with")
OPERATORS = (
    "exact",
    "is_not",
    "in",
    "not_in",
    "is_set",
    "is_not_set",
    *_NUMBERS,
    *_TEXTS,
    *(f"not_{name}" for name in _TEXTS),
    "between",
    "not_between",
    "is_date_exact",
    "is_date_before",
    "is_date_after",
)
_RELATIVE = re.compile(r"-([0-9]{1,6})([hdwmy])")
_UNITS = {
    "h": ("hours", 1),
    "d": ("hours", 24),
    "w": ("hours", 168),
    "m": ("hours", 720),
    "y": ("hours", 8760),
}


class Happening(NamedTuple):
    """An event that a filter asks for, with the filter of its properties."""

    event: str
    where: Test | None

    def did(self, **more: Any) -> Test:
        """The condition that it was done."""
        where = {} if self.where is None else {"where": self.where}
        return {"did": self.event} | more | where


class Asked(NamedTuple):
    """What a filter asks: one of some events, and things that must hold of the person beside."""

    events: list[Happening]
    person: list[Test]


class Filters:
    """Reads filters; `subject` of an event's property is "property" or "entry"."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft

    def asked(self, filters: Fields | None, subject: str) -> Asked:
        """The events and the conditions of one `filters` object."""
        if filters is None:
            return Asked([], [])
        filters.skip("source", "bytecode", "bytecode_error", "binary", "audience_type")
        inner, person = self.properties(filters, "properties", subject)
        events: list[Happening] = []
        for part in (*filters.parts("events"), *filters.parts("actions")):
            # The entering event is asked by what it was, later ones by their own properties.
            own, of_person = self.properties(part, "properties", "property")
            if of_person:
                part.note(
                    "approximated",
                    "a person's property within an event's filter",
                    "a filter of events reads events alone",
                    "asked beside the event",
                    ("properties",),
                )
                person += of_person
            events.append(Happening(self.event(part), all_of([*own, *inner])))
            part.skip("type", "order", "name", "id", "custom_name", "math")
            part.done("the event")
        if not events:
            # There is no event to filter but the entering one.
            person = [*map(of_entry, inner), *person]
        if filters.flag("filter_test_accounts"):
            filters.note(
                "approximated",
                "filter_test_accounts",
                "which accounts are tests is not in the workflow",
                f"whoever is in the group {quoted(TESTERS)} is left out",
                ("filter_test_accounts",),
            )
            person.append({"not": {"group": TESTERS}})
        filters.done("the filter")
        return Asked(events, person)

    def event(self, part: Fields) -> str:
        """The name of an event; a named action is an event of its name."""
        name = part.value.get("id")
        if part.value.get("type") == "actions":
            shown = str(part.value.get("name") or name)
            part.note(
                "approximated",
                f"action {quoted(shown)}",
                "what it consists of is not in the workflow",
                f"an event named {quoted(shown)}",
                ("id",),
            )
            return shown
        if isinstance(name, str) and name:
            return name
        part.note(
            "approximated",
            "any event",
            "a flow waits for events by name",
            "an event named 'any event'",
            ("id",),
        )
        return "any event"

    def properties(self, fields: Fields, key: str, subject: str) -> tuple[list[Test], list[Test]]:
        """What a list of property filters asks of the event, and what of the person."""
        event: list[Test] = []
        person: list[Test] = []
        for part in fields.parts(key):
            kind = part.text("type") or "event"
            name = str(part.take("key") or "")
            part.skip("label", "cohort_name", "group_key_names")
            if not name:
                raise part.error("the property has no name", "key")
            if kind == "event":
                event.append(self.compared(part, {subject: name}))
            elif kind == "person":
                person.append(self.compared(part, {"attribute": name}))
            elif kind == "cohort":
                person.append(self.cohort(part))
            else:
                part.skip(*part.value)
                person.append(
                    self.draft.unknown(part.pointer, f"{kind} {name}", "a flow can't ask this")
                )
            part.done("the property")
        return event, person

    def cohort(self, part: Fields) -> Test:
        """Membership in a cohort, which is a group here."""
        group = f"cohort {part.take('value')}"
        part.note(
            "approximated",
            group,
            "its definition is not in the workflow",
            f"membership in the group {quoted(group)}",
            ("value",),
        )
        test: Test = {"group": group}
        return {"not": test} if part.text("operator") == "not_in" else test

    def compared(self, part: Fields, subject: Test) -> Test:
        """The comparison of an attribute or property."""
        operator = "exact"
        if part.value.get("operator") is not None:
            operator = part.one_of("operator", OPERATORS, "operator")
        value = part.take("value")
        if operator in ("is_set", "is_not_set"):
            return subject | {"is_set": operator == "is_set"}
        values = value if isinstance(value, list) else [value]
        if not values or any(v is None or isinstance(v, dict | list) for v in values):
            raise part.error("the value to compare with is missing", "value")
        if operator.startswith("not_"):
            operator, negated = operator.removeprefix("not_"), True
        else:
            negated = operator == "is_not"
        made = self.plain(part, subject, "exact" if operator == "is_not" else operator, values)
        # PostHog counts people without the property in.
        return {"not": made} if negated else made

    def plain(self, part: Fields, subject: Test, operator: str, values: Sequence[Any]) -> Test:
        """A comparison that is not negated."""
        first = values[0]
        if operator in ("exact", "in"):
            return subject | ({"is": first} if len(values) == 1 else {"one_of": list(values)})
        if operator in _NUMBERS:
            return subject | {_NUMBERS[operator]: _number(part, first)}
        if operator == "between":
            if len(values) != 2:
                raise part.error("expected two values", "value")
            return subject | {"between": [_number(part, v) for v in values]}
        if operator in _TEXTS:
            made = any_of([subject | _text(part, operator, str(v)) for v in values])
            assert made is not None
            return made
        return self.date(part, subject, operator, str(first))

    def date(self, part: Fields, subject: Test, operator: str, value: str) -> Test:
        """A comparison with a date, which may be so long ago."""
        match = _RELATIVE.fullmatch(value)
        if match is None:
            absolute = re.sub(r"\s+", "T", value.strip(), count=1)
            word = {"is_date_exact": "is", "is_date_before": "before", "is_date_after": "after"}
            return subject | {word[operator]: absolute}
        unit, hours = _UNITS[match[2]]
        span = f"{int(match[1]) * hours} {unit}"
        if operator == "is_date_before":
            return subject | {"older_than": span}
        reason = "it looks back from now"
        if match[2] in "my":
            reason = "a month counts as 30 days here, a year as 365"
        part.note(
            "approximated",
            f"{operator} {value}",
            reason,
            f"within the last {span}, not in the future",
            ("value",),
        )
        return subject | {"within_last": span}


def of_entry(test: Test) -> Test:
    """A filter of an event as a condition on the entering event."""
    made: Test = {}
    for key, value in test.items():
        if key in ("all", "any"):
            made[key] = [of_entry(part) for part in value]
        elif key == "not":
            made[key] = of_entry(value)
        else:
            made["entry" if key == "property" else key] = value
    return made


def _number(part: Fields, value: Any) -> int | float:
    if isinstance(value, bool):
        raise part.error("expected a number, found true or false", "value")
    if isinstance(value, int | float):
        return value
    try:
        number = float(value)
    except ValueError:
        raise part.error(f"expected a number, found {quoted(value)}", "value") from None
    if number - number != 0:
        raise part.error(f"expected a number, found {quoted(value)}", "value")
    return int(number) if number == int(number) and abs(number) < 2**53 else number


def _text(part: Fields, operator: str, value: str) -> Test:
    if not value:
        raise part.error("the text to look for is missing", "value")
    if operator in ("starts_with", "ends_with"):
        return {operator: value}
    pattern = value if operator == "regex" else f"(?i){re.escape(value)}"
    if len(pattern) > PATTERN_CHARS_MAX:
        raise part.error(f"the pattern is longer than {PATTERN_CHARS_MAX} characters", "value")
    return {"matches": pattern}
