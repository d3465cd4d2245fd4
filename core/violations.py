"""Say what is wrong with a document: one value for each violation, with its place and its cure.

Violations are returned, never raised, because a document has many at once. Their codes are stable:
programs may rely on them, and `CODES` declares every one with its severity. docs/lint.md is this
table, kept equal by a test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal, NamedTuple

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


class Code(NamedTuple):
    """What a code stands for: its severity, and in one line what is wrong.

    `publishing` is the severity where the flow is about to take people in, if it is another then.
    """

    severity: Severity
    meaning: str
    publishing: Severity | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with a document.

    `code` is a key of `CODES`, `pointer` an RFC 6901 JSON pointer into the document ("" is the
    whole of it), `message` what is wrong, `advice` what to do, `line` the line in the text, counted
    from 1, None where it isn't known. Errors forbid a run. They sort before warnings, and those
    before infos; then by line, pointer and code.
    """

    code: str
    severity: Severity
    pointer: str
    message: str
    advice: str
    line: int | None = None

    def __lt__(self, other: Violation) -> bool:
        """Compare by severity, then place, then code."""
        return self.order < other.order

    @property
    def order(self) -> tuple[int, int, str, str, str]:
        """What violations are sorted by."""
        rank = SEVERITIES.index(self.severity)
        return rank, self.line or 0, self.pointer, self.code, self.message

    def __str__(self) -> str:
        place = self.pointer or "the document"
        line = "" if self.line is None else f" (line {self.line})"
        return f"{self.severity} {self.code} at {place}{line}: {self.message}. {self.advice}"

    def to_json(self) -> dict[str, Any]:
        """The fields as a mapping that JSON can carry."""
        return asdict(self)


def violation(
    code: str, steps: Iterable[str | int], message: str, advice: str, line: int | None = None
) -> Violation:
    """A violation with the severity that `CODES` declares; `steps` lead to its place."""
    return Violation(code, CODES[code].severity, pointer(steps), message, advice, line)


def pointer(steps: Iterable[str | int]) -> str:
    """The JSON pointer of a path of keys and list places (RFC 6901, section 3)."""
    return "".join("/" + printable(str(s)).replace("~", "~0").replace("/", "~1") for s in steps)


def steps_of(text: str) -> list[str]:
    """The keys that a JSON pointer leads through, list places as digits."""
    return [s.replace("~1", "/").replace("~0", "~") for s in text.split("/")[1:]]


def printable(text: str) -> str:
    """`text` with lone surrogates written as escapes, so that it can be encoded."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def quoted(text: object, chars_max: int = 60) -> str:
    """`text` in quotes for a message, cut where it is long."""
    shown = printable(str(text))
    return repr(shown if len(shown) <= chars_max else shown[: chars_max - 3] + "...")


def listed(names: Iterable[object], names_max: int = 12) -> str:
    """Names in a row for a message, the first ones where they are many."""
    shown = [str(name) for name in names]
    more = f" and {len(shown) - names_max} more" if len(shown) > names_max else ""
    return ", ".join(shown[:names_max]) + more


def close_to(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Advice that offers the names of `known` that look like `name`, or else says `otherwise`."""
    hits = get_close_matches(name[:256], list(known), n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(quoted(h) for h in hits)}?" if hits else otherwise


def has_errors(violations: Iterable[Violation]) -> bool:
    """Whether any of them forbids a run."""
    return any(v.severity == "error" for v in violations)


def at_publishing(violations: Iterable[Violation]) -> list[Violation]:
    """The violations, sorted, with the severities that they have when a flow is published."""
    found = ((v, CODES[v.code].publishing) for v in violations)
    return sorted(v if severity is None else replace(v, severity=severity) for v, severity in found)


def codes_page() -> str:
    """The page docs/lint.md: every code with its severity and meaning, in declared order."""
    rows = [f"| `{name}` | {_severity(code)} | {code.meaning} |" for name, code in CODES.items()]
    return "\n".join([*_PAGE_HEAD, *rows, ""])


def _severity(code: Code) -> str:
    return f"{code.severity}, {code.publishing} at publishing" if code.publishing else code.severity


_PAGE_HEAD = (
    "# What reading and lint can find",
    "",
    "An error forbids a run, a warning says that the flow will hardly do what is meant, an info",
    "states what follows. This page is made from `CODES` in `core/violations.py`.",
    "",
    "| Code | Severity | What it says |",
    "|---|---|---|",
)

CODES: dict[str, Code] = {
    # The text
    "file-too-large": Code("error", "The text is beyond the size limit; it was not parsed."),
    "not-utf8": Code("error", "The text is not valid UTF-8."),
    "invalid-yaml": Code("error", "The text is not well-formed YAML."),
    "invalid-json": Code("error", "The text is not well-formed JSON."),
    "empty-document": Code("error", "The text holds no document."),
    "several-documents": Code("error", "The text holds more than one YAML document."),
    "too-deep": Code("error", "Mappings and lists are nested too deeply."),
    "alias": Code("error", "A YAML anchor or alias: a few bytes could stand for gigabytes."),
    "tag": Code("error", "A YAML tag: values have the type that they look like."),
    "key-not-text": Code("error", "A key is a list or a mapping."),
    "duplicate-key": Code("error", "A mapping has the same key twice, a node id for example."),
    "not-finite": Code("error", "A number is NaN or infinite."),
    "number-too-large": Code(
        "error", "A number is beyond 64 bits, or beyond what a double can hold."
    ),
    "lone-surrogate": Code("error", "A text holds half of a character (a lone surrogate)."),
    # The shape
    "unknown-field": Code("error", "A field that this place doesn't have."),
    "missing-field": Code("error", "A field that must be there is absent."),
    "wrong-type": Code("error", "A value is of another type than expected."),
    "unknown-node-type": Code("error", "A node's type is none of the known ones, or absent."),
    "empty-condition": Code(
        "error", "A condition or filter is empty; it is never taken for always true."
    ),
    "unclear-condition": Code(
        "error", "A condition or filter names no kind of test, or several at once."
    ),
    "unknown-value": Code("error", "A value is none of the few that are possible here."),
    "invalid-name": Code("error", "An id, a port or a date isn't written as it must be."),
    "out-of-range": Code(
        "error", "A number, a text or a list is too small, too large or too long."
    ),
    "invalid-value": Code(
        "error", "A value, or the fields of one place together, can't be understood."
    ),
    # Segments
    "unknown-segment": Code("error", "A condition names a segment that isn't there."),
    "segment-circle": Code("error", "Segments are defined by each other in a circle."),
    "segment-in-use": Code("error", "A segment would be gone that a running flow names."),
    "segment-changed": Code("warning", "A segment isn't what it was when the flow was published."),
    "repeated-group": Code("error", "A group is named twice among the priorities."),
    # The graph
    "too-many-nodes": Code("error", "The flow has more nodes than the limit."),
    "too-many-edges": Code("error", "The flow has more edges than the limit."),
    "no-trigger": Code("error", "Nothing lets anybody into the flow."),
    "no-end": Code("error", "No node is an end: a flow needs at least one."),
    "dangling-edge": Code("error", "An edge leads to a node that isn't there."),
    "edge-to-trigger": Code("error", "An edge leads to a trigger, where flows only begin."),
    "unknown-port": Code("error", "An edge leaves by a port that the node doesn't have."),
    "duplicate-target": Code("error", "A port leads to the same node twice."),
    "part-without-trigger": Code("error", "A part of the flow doesn't begin with a trigger."),
    "unreachable-node": Code("warning", "Nobody ever reaches the node."),
    "dead-node": Code("warning", "Only ports that nobody takes lead to the node."),
    "first-event-timeout": Code("error", "The first event of a flow has a timeout: it must occur."),
    "entry-with-message": Code("error", "An entry point waits for an answer to a message."),
    "cycle-without-wait": Code(
        "error", "A cycle on which nothing waits: a token would run for ever."
    ),
    "cycle-may-spin": Code("warning", "A cycle of which every wait can pass at once."),
    "fork-in-cycle": Code("warning", "A fork in a cycle: people's places multiply each round."),
    "rejoining-paths": Code("info", "Paths of a fork meet again, and are not merged."),
    "idle-port": Code("info", "A port leads nowhere: people stay at the node, idle."),
    "open-other": Code("info", "The port `other` leads nowhere: people leave with `no_branch`."),
    "open-missing": Code("info", "The port `missing` leads nowhere: people leave with `no_date`."),
    "message-not-sent": Code("error", "A wait names as its message a node that sends nothing."),
    "message-not-before": Code("warning", "A wait names a message that is never sent before it."),
    # Settings
    "weights-total": Code("error", "The weights of branches don't total 100 %."),
    "weightless-branch": Code("warning", "A branch has the weight 0, so nobody takes it."),
    "reserved-branch": Code("error", "A branch has the name of a port with a meaning of its own."),
    "value-in-two-branches": Code(
        "error", "Two branches have the same value; the first would win."
    ),
    "repeated-value": Code("warning", "A branch lists the same value twice."),
    "repeated-template": Code("warning", "Two nodes send the same message."),
    "action-twice": Code("warning", "One person can get the same message or coupon twice."),
    "done-elsewhere": Code("warning", "Another flow does the same on the same trigger."),
    "invalid-zone": Code("error", "There is no such time zone."),
    "invalid-time": Code("error", "There is no such date, time or time of day."),
    "window-reversed": Code("error", "The flow stops before it starts."),
    "key-without-event": Code("error", "A re-entry key, but a trigger that is no event."),
    "gap-without-reentry": Code(
        "warning", "A gap between entries, but everybody enters only once."
    ),
    "always-quiet": Code("error", "Quiet hours leave no time in which to send."),
    "spread-too-long": Code("error", "The end of quiet hours is spread over too long a time."),
    "blackout-reversed": Code("error", "A blackout is over before it begins."),
    "empty-budget": Code("warning", "A budget is enough for no message at all."),
    "idle-control": Code("warning", "A limit of messages fits no message of the flow."),
    "idle-cap": Code("warning", "A cap that another one makes needless."),
    "unknown-node": Code("error", "The funnel or a wait names a node that isn't there."),
    "unknown-branch": Code("error", "A test ends in favour of a branch that it doesn't have."),
    "target-disagrees": Code("warning", "The target of a test is no answer to what a branch does."),
    "unknown-pool": Code("error", "A node takes coupons of a pool that isn't stated."),
    "unused-pool": Code("warning", "A pool of coupons that no node takes from."),
    "repeated-layer": Code("warning", "Two layers of the funnel share a name."),
    # Conditions
    "invalid-pattern": Code("error", "A regular expression that RE2 doesn't take."),
    "not-orderable": Code("error", "A value that can't be compared by size."),
    "between-reversed": Code("error", "The lower bound of `between` is above the upper."),
    "mixed-values": Code("error", "A list, or the branches, mix values of several types."),
    "constant-condition": Code("warning", "A combination that is never true, or always."),
    "settled-condition": Code("warning", "A question that an earlier node has answered."),
    "dead-branch": Code("warning", "A branch that nobody who comes there can match."),
    "entry-without-event": Code("warning", "A test of the entering event where there is none."),
    "contradictory-types": Code("error", "An attribute or property is used as two types at once."),
    "standard-name": Code("warning", "A standard name is used as another type than it has."),
    # Surges
    "surge": Code("info", "Many people are sent a message at one instant."),
    "large-surge": Code("warning", "Very many people are sent a message at one instant."),
    # The content
    "absent-content": Code("warning", "There is no such content.", "error"),
    "unready-content": Code("warning", "The content is a draft still.", "error"),
    "unreleased-content": Code("warning", "The page has not been released.", "error"),
    "expired-content": Code("warning", "The content has expired.", "error"),
    "deleted-content": Code("warning", "The content has been deleted.", "error"),
    "wrong-channel": Code("error", "The content is not for the channel."),
    "absent-address": Code(
        "warning", "The attribute that a message is sent to isn't there.", "error"
    ),
    "no-permission": Code("warning", "Web push to people of whom no permission is known."),
    "wechat-window": Code("warning", "A reply in WeChat that can come later than 48 hours."),
    "wrong-recipient": Code("error", "The content is for other records than the flow's segment."),
    "promotional-whatsapp": Code("error", "Something promotional is to be sent by WhatsApp."),
    "unknown-variable": Code("warning", "The content shows a variable that nothing fills."),
    "absent-coupon": Code("warning", "There is no such pool of coupons.", "error"),
    "expired-coupon": Code("warning", "The coupons have expired.", "error"),
    "deleted-coupon": Code("warning", "The coupons have been deleted.", "error"),
    "sold-out-coupon": Code("warning", "No coupon is left, or fewer than the flow counts on."),
    # The audience
    "type-mismatch": Code("error", "A test or a change doesn't fit the type in the audience."),
    "fraction-to-whole": Code("error", "A fraction is written to an attribute of whole numbers."),
    "fraction-never-equal": Code("warning", "A whole number is never equal to a fraction."),
    "time-with-date": Code("warning", "A date meets a time of day, which is ignored."),
    "not-of-missing": Code("warning", "A `not` that is true for people who lack the attribute."),
    "is-not-of-missing": Code("info", "An `is_not` or `none_of` that is false for them."),
    "absent-attribute": Code("warning", "The audience has no such attribute."),
    "never-in-audience": Code("warning", "A condition or branch that nobody there matches."),
    "always-in-audience": Code("info", "A condition that everybody there matches."),
    "missing-zone": Code("warning", "People without a time zone meet a clock that needs one."),
    "absent-tag": Code("warning", "The audience has no such tag."),
    "absent-group": Code("warning", "The audience has no such group."),
    "absent-event": Code("warning", "The audience has no such event."),
    "absent-property": Code("warning", "An event of the audience has no such property."),
    # The tenant's schema
    "undeclared-event": Code("warning", "The schema has no such event: none is taken in."),
    "undeclared-attribute": Code("warning", "The schema has no such attribute."),
    "undeclared-property": Code("warning", "An event of the schema has no such property."),
    "personal-attribute": Code("warning", "A condition asks for what is kept apart as personal."),
}
