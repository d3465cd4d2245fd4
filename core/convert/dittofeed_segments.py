"""Turn the segments that a Dittofeed journey names into conditions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from core.convert.draft import Draft, Test, all_of, any_of, elapsed
from core.convert.fields import Fields
from core.convert.notes import Note
from core.limits import HISTORY_COUNT_MAX
from core.violations import quoted, steps_of

DEPTH_MAX = 16  # nesting of `And` and `Or`, far beyond what people draw
_OPERATORS = {
    ">=": "at_least",
    "GreaterThanOrEqual": "at_least",
    "<": "below",
    "LessThan": "below",
    "=": "exactly",
    "Equals": "exactly",
}
# What Dittofeed reports of e-mail, by the names that events have here.
_EMAIL_EVENTS = {
    "MessageSent": "message_sent",
    "EmailDelivered": "email_delivered",
    "EmailOpened": "email_opened",
    "EmailClicked": "email_clicked",
    "EmailBounced": "email_bounced",
    "EmailMarkedSpam": "email_marked_spam",
    "EmailDropped": "email_dropped",
}
_QUOTED_PATH = re.compile(r"""\$?\[(["'])(.*)\1\]""")


class Joining(NamedTuple):
    """An event that makes people join a segment, its filter, and what tells who is in already."""

    event: str
    where: Test | None
    already: Test


class Segments:
    """The segments that are known by definition; all others are groups of their name."""

    def __init__(self, draft: Draft, known: Mapping[str, Any]) -> None:
        self.draft = draft
        self.known = known
        self.entry_key: str | None = None

    def test(self, name: str, pointer: str) -> Test:
        """The condition that stands for a segment; `pointer` is where the journey names it."""
        definition = self.known.get(name)
        if definition is None:
            group = f"{name} at {pointer}" if name.endswith("()") else name
            self.draft.note(
                pointer,
                f"segment {quoted(name)}",
                "approximated",
                "its definition is not in the journey",
                f"membership in the group {quoted(group, 200)}",
            )
            return {"group": group}
        return _Reader(self, name, pointer, definition).whole()

    def event(self, name: str, pointer: str) -> Joining | None:
        """The event that makes people join a segment.

        None where it takes more than one event, or something else.
        """
        definition = self.known.get(name)
        entry = definition.get("entryNode") if isinstance(definition, dict) else None
        if not isinstance(entry, dict) or entry.get("type") not in ("Performed", "KeyedPerformed"):
            return None
        operator = _OPERATORS.get(str(entry.get("timesOperator") or ">="))
        if operator != "at_least" or entry.get("times") not in (None, 1):
            return None
        made = _Reader(self, name, pointer, definition).whole()
        return Joining(str(made["did"]), made.get("where"), made)


class _Reader:
    """Reads one definition; notes bear the place in the journey where it is named."""

    def __init__(self, segments: Segments, name: str, pointer: str, definition: object) -> None:
        self.segments = segments
        self.draft = segments.draft
        self.name = name
        self.pointer = pointer
        self.seen: list[Note] = []
        self.fields = Fields(definition, steps_of(pointer), self.seen)
        self.nodes: dict[str, Fields] = {}

    def whole(self) -> Test:
        """The condition of the entry node."""
        entry = self.fields.need_part("entryNode")
        self.nodes = {node.text("id") or "": node for node in self.fields.parts("nodes")}
        test = self.node(entry, 0)
        self.fields.skip("id", "name", "version")
        self.fields.done("the segment")
        of = f"of segment {quoted(self.name)}"
        # A definition may lie in a file of its own, so notes name it and not the place in it.
        self.draft.notes += [
            replace(n, pointer=self.pointer, what=f"{n.what} {of}") for n in self.seen
        ]
        return test

    def node(self, node: Fields, depth: int) -> Test:
        """The condition of one node of the definition."""
        kind = node.need("type")
        node.skip("id", "name")
        made = getattr(self, f"of_{kind}", None)
        if made is None:
            raise node.error(f"unknown kind of segment {quoted(kind)}", "type")
        if depth > DEPTH_MAX:
            raise node.error(f"the segment {quoted(self.name)} is nested too deeply, or in itself")
        test: Test = made(node, depth)
        node.done("the segment", gone="a condition has nothing that corresponds")
        return test

    def stand_in(self, node: Fields, what: str, reason: str, group: str | None = None) -> Test:
        """Membership in a group, for what no condition can ask."""
        name = group or f"{self.name}: {what}"
        node.note("approximated", what, reason, f"membership in the group {quoted(name, 200)}")
        return {"group": name[:256]}

    def parts(self, node: Fields, depth: int) -> list[Test]:
        """The conditions of the children."""
        found = []
        for child in node.items("children"):
            if not isinstance(child, str) or child not in self.nodes:
                raise node.error(f"there is no node {quoted(child)} in the segment", "children")
            found.append(self.node(self.nodes[child], depth + 1))
        return found

    def of_And(self, node: Fields, depth: int) -> Test:
        return all_of(self.parts(node, depth)) or self.of_Everyone(node, depth)

    def of_Or(self, node: Fields, depth: int) -> Test:
        nobody = "an `Or` without parts"
        return any_of(self.parts(node, depth)) or self.stand_in(node, nobody, "nobody is in it")

    def of_Everyone(self, node: Fields, depth: int) -> Test:
        node.note(
            "approximated",
            "everyone",
            "a condition can't be true for all by itself",
            "not being in the group 'nobody', which has to stay empty",
        )
        return {"not": {"group": "nobody"}}

    def of_Manual(self, node: Fields, depth: int) -> Test:
        node.skip("version")
        return self.stand_in(
            node, "manual list", "its members are not in the definition", self.name
        )

    of_Broadcast = of_Manual

    def of_RandomBucket(self, node: Fields, depth: int) -> Test:
        share = node.number("percent")
        what = f"random share {share:g}" if share is not None else "random share"
        return self.stand_in(node, what, "conditions know no chance; a split does")

    def of_SubscriptionGroup(self, node: Fields, depth: int) -> Test:
        group = node.text("subscriptionGroupId") or self.name
        reason = "what people agreed to lies in Dittofeed"
        if node.text("subscriptionGroupType") == "OptOut":
            name = f"unsubscribed: {group}"
            return {"not": self.stand_in(node, "subscription", reason, name)}
        return self.stand_in(node, "subscription", reason, f"subscribed: {group}")

    def of_SubscriptionGroupUnsubscribed(self, node: Fields, depth: int) -> Test:
        group = node.text("subscriptionGroupId") or self.name
        return self.stand_in(
            node,
            "unsubscription",
            "what people refused lies in Dittofeed",
            f"unsubscribed: {group}",
        )

    def of_Includes(self, node: Fields, depth: int) -> Test:
        path, item = _path(node.text("path")), node.take("item")
        tag = f"{path}: {item}"
        node.note(
            "approximated",
            f"list {quoted(path)}",
            "attributes hold one value, not a list",
            f"the tag {quoted(tag)}",
        )
        return {"tag": tag}

    def of_Trait(self, node: Fields, depth: int) -> Test:
        path = _path(node.text("path"))
        operator = node.need_part("operator")
        if not path:
            operator.skip(*operator.value)
            return self.stand_in(node, "trait without a name", "the segment is unfinished")
        return self.compared(node, {"attribute": path}, operator)

    def of_Performed(self, node: Fields, depth: int) -> Test:
        where = self.properties(node, "properties")
        within = node.span_ms("withinSeconds", 1000)
        return self.did(node, node.need("event"), where, within)

    def of_KeyedPerformed(self, node: Fields, depth: int) -> Test:
        key = node.need("key")
        where = self.properties(node, "properties")
        entry_key = self.segments.entry_key
        if entry_key is None:
            node.note(
                "approximated",
                f"key {quoted(key)}",
                "the journey is not entered by a key",
                "events with any key count",
            )
        else:
            where.insert(0, {"property": key, "is": {"entry": entry_key}})
        return self.did(node, node.need("event"), where, None)

    def of_LastPerformed(self, node: Fields, depth: int) -> Test:
        where = self.properties(node, "whereProperties") + self.properties(node, "hasProperties")
        node.note(
            "approximated",
            "last event",
            "a condition can't ask for the last of some events",
            "any event that passes both filters",
        )
        return self.did(node, node.need("event"), where, None)

    def of_Email(self, node: Fields, depth: int) -> Test:
        event = node.need("event").removeprefix("DF")
        if event not in _EMAIL_EVENTS:
            raise node.error(f"unknown event of e-mail {quoted(event)}", "event")
        template = node.text("templateId")
        where: list[Test] = [{"property": "template", "is": template}] if template else []
        return self.did(node, _EMAIL_EVENTS[event], where, None)

    def did(self, node: Fields, event: str, where: list[Test], within: int | float | None) -> Test:
        """How often somebody did an event."""
        if event.endswith("*"):
            node.note(
                "approximated",
                f"event {quoted(event)}",
                "Dittofeed counts every event whose name begins so, a condition one name",
                f"only events named {quoted(event)} themselves",
            )
        wanted = node.text("timesOperator") or ">="
        operator = _OPERATORS.get(wanted)
        if operator is None:
            raise node.error(f"unknown comparison {quoted(wanted)}", "timesOperator")
        stated = node.number("times")
        times = 1 if stated is None else int(stated)
        if not 0 <= times <= HISTORY_COUNT_MAX or (stated is not None and stated != times):
            raise node.error(f"expected how often, found {stated}", "times")
        more = {
            "within": None if within is None else elapsed(max(within, 1)),
            "where": all_of(where),
        }
        rest = {key: value for key, value in more.items() if value is not None}
        never = (operator, times) in (("exactly", 0), ("below", 1))
        if never:
            return {"never_did": event} | rest
        if operator == "at_least" and times == 0:
            return self.of_Everyone(node, 0)
        if operator == "below" and times == 0:
            return self.stand_in(node, "less than 0 times", "nobody is in it")
        if operator == "below":
            return {"did": event, "at_most": times - 1} | rest
        count = {} if (operator, times) == ("at_least", 1) else {operator: times}
        return {"did": event} | count | rest

    def properties(self, node: Fields, key: str) -> list[Test]:
        """Filters of an event's properties."""
        found = []
        for part in node.parts(key):
            path = _path(part.text("path"))
            operator = part.need_part("operator")
            if not path:
                operator.skip(*operator.value)
                part.note("left out", "property without a name", "the segment is unfinished")
                continue
            found.append(self.compared(part, {"property": path}, operator))
        return found

    def compared(self, node: Fields, subject: Test, operator: Fields) -> Test:
        """The comparison of an attribute or a property."""
        kind = operator.need("type")
        value = operator.take("value")
        window = operator.span_ms("windowSeconds", 1000)
        name = next(iter(subject.values()))
        if kind in ("Within", "NotWithin", "HasBeen") and not (window and window > 0):
            raise operator.error("the length of time is missing", "windowSeconds")
        if kind in ("Equals", "NotEquals", "HasBeen") and (
            isinstance(value, dict | list) or value is None
        ):
            raise operator.error("the value to compare with is missing", "value")
        if kind in ("GreaterThanOrEqual", "LessThan") and operator.number("value") is None:
            raise operator.error("the number to compare with is missing", "value")
        made: Test
        match kind:
            case "Equals":
                made = subject | {"is": value}
            case "NotEquals":
                # Dittofeed counts people without the trait in.
                made = {"not": subject | {"is": value}}
            case "Exists":
                made = subject | {"is_set": True}
            case "NotExists":
                made = subject | {"is_set": False}
            case "GreaterThanOrEqual":
                made = subject | {"at_least": value}
            case "LessThan":
                made = subject | {"below": value}
            case "Within":
                made = subject | {"within_last": elapsed(window or 0)}
            case "NotWithin":
                made = subject | {"older_than": elapsed(window or 0)}
            case "AbsoluteTimestamp":
                after = operator.text("direction") != "before"
                word = "at_least" if after else "before"
                made = subject | {word: operator.need("absoluteTimestamp")}
            case "HasBeen":
                length = "short" if operator.text("comparator") == "LT" else "long"
                node.note(
                    "approximated",
                    f"{name} has been {value} for {elapsed(window or 0)}",
                    f"a condition can't ask for how {length} a value has held",
                    f"{name} is {value} now",
                )
                made = subject | {"is": value}
            case _:
                raise operator.error(f"unknown comparison {quoted(kind)}", "type")
        operator.done(f"the comparison of {name}")
        return made


def _path(path: str | None) -> str:
    """The name of an attribute or property: a JSON path without its syntax."""
    text = (path or "").strip()
    if match := _QUOTED_PATH.fullmatch(text):
        return match[2]
    return text.removeprefix("$.")
