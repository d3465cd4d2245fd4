"""Declare the customer record: names that mean the same everywhere, each with its type.

A tenant's own attributes and events are whatever his schema says. Those here are what node types,
rules and computed values are written against, so they have one type wherever nobody stated another:
a tenant's schema need not list them, lint knows what they can be compared with, and an audience
that lacks one is bound to the same type as one that has it. Where a schema does state a type of
its own for such a name, that one holds, because data that is there is not changed by a table.

A name such as `score:<tag>` is a pattern: it stands for every name that begins with what is before
the bracket and goes on. This module knows no other of the project but the kinds of columns, so all
can read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from core.audience import Kind


class StandardAttribute(NamedTuple):
    """An attribute, or a pattern of attributes: its type, what it means, and where it comes from.

    `made_by` is "" for what clients and flows set, else the command's option that computes it.
    """

    name: str
    kind: Kind
    meaning: str
    made_by: str = ""


class StandardGroup(NamedTuple):
    """A pattern of groups, and what membership means."""

    name: str
    meaning: str


class StandardEvent(NamedTuple):
    """An event: its properties with their types, and when it happens."""

    name: str
    properties: Mapping[str, Kind]
    meaning: str


ATTRIBUTES: tuple[StandardAttribute, ...] = (
    StandardAttribute("score", "int64", "the contact score: how active somebody is"),
    StandardAttribute("score:<tag>", "int64", "the score of one tag"),
    StandardAttribute("owner", "string", "the user who looks after the customer"),
    StandardAttribute("stage:<campaign>", "string", "where in a sales funnel the customer is"),
    StandardAttribute("points:<programme>", "int64", "points in a loyalty programme"),
    StandardAttribute("tier:<programme>", "string", "the tier reached in a loyalty programme"),
    StandardAttribute("rfm", "string", "the status by recency, frequency and money", "--rfm"),
    StandardAttribute("churn", "float64", "the chance of buying no more, 0 to 1", "--churn"),
    StandardAttribute("purchase_score", "float64", "that of buying soon, 0 to 1", "--purchase"),
    StandardAttribute("consent:<channel>", "bool", "whether the customer agreed to the channel"),
    StandardAttribute("reachable:<channel>", "bool", "whether messages by the channel arrive"),
    StandardAttribute("coupon:<pool>", "string", "the coupon that the customer holds of a pool"),
)  # fmt: skip

GROUPS: tuple[StandardGroup, ...] = (
    StandardGroup("co_owner:<user>", "the user looks after the customer too"),
    StandardGroup("audience:facebook:<name>", "in a custom audience of Facebook"),
    StandardGroup("audience:google:<name>", "in a customer match list of Google Ads"),
    StandardGroup("audience:adform:<name>", "in an audience of Adform"),
)

# Which message an event is about. `message` is the node that sent it, `answers` that node in one
# entry (semantics D28); `machine` says that no person did it.
_MESSAGE: Mapping[str, Kind] = {
    "message": "string",
    "flow": "string",
    "template": "string",
    "channel": "string",
    "message_key": "string",
    "machine": "bool",
    "answers": "int64",
}

EVENTS: tuple[StandardEvent, ...] = (
    StandardEvent("contact_added", {}, "the customer was added"),
    StandardEvent("contact_readded", {}, "a known customer was added again"),
    StandardEvent("banner_clicked", {"banner": "string"}, "a banner was clicked"),
    StandardEvent("email_opened", _MESSAGE, "an e-mail was opened"),
    StandardEvent(
        "email_clicked", {"link": "string", **_MESSAGE}, "a link in an e-mail was clicked"
    ),
    StandardEvent(
        "message_clicked", {"link": "string", **_MESSAGE}, "a link in any other message was clicked"
    ),
    StandardEvent(
        "message_bounced", {"hard": "bool", **_MESSAGE}, "a message could not be delivered"
    ),
    StandardEvent("message_complained", _MESSAGE, "a message was reported as unwanted"),
    StandardEvent("page_visited", {"url": "string"}, "a page was visited"),
    StandardEvent("screen_viewed", {"screen": "string"}, "a screen of an app was viewed"),
    StandardEvent("note_added", {"note": "string"}, "somebody wrote a note about the customer"),
    StandardEvent("subscription_confirmed", _MESSAGE, "a double opt-in was confirmed"),
    StandardEvent("subscription_resigned", _MESSAGE, "a subscription was ended"),
    StandardEvent("external_event_modified", {"event": "string"}, "an earlier event was corrected"),
    StandardEvent("purchase", {"amount": "float64"}, "something was bought"),
    StandardEvent("position", {"lat": "float64", "lon": "float64"}, "where the customer is"),
    StandardEvent("geo_entered", {"fence": "string"}, "the customer came into a fence"),
    StandardEvent("geo_exited", {"fence": "string"}, "the customer left a fence"),
    StandardEvent(
        "message_sent",
        {"channel": "string", "template": "string", "node": "string", "flow": "string"},
        "a flow decided to send a message",
    ),
    StandardEvent(
        "product_changed",
        {
            "product": "string",
            "attribute": "string",
            "before": "float64",
            "after": "float64",
            "before_text": "string",
            "after_text": "string",
            "rule": "string",
        },
        "an attribute of an item changed that the customer is interested in",
    ),
)  # fmt: skip

EVENT_PROPERTIES: Mapping[str, Mapping[str, Kind]] = MappingProxyType(
    {event.name: MappingProxyType(dict(event.properties)) for event in EVENTS}
)
"""The types of the properties of each standard event."""

PROPERTIES: Mapping[str, Kind] = MappingProxyType(
    {name: kind for event in EVENTS for name, kind in event.properties.items()}
)
"""The type of every property of standard events; a name has one in all of them."""

_PLAIN = {a.name: a for a in ATTRIBUTES if "<" not in a.name}
_PREFIXED = {a.name.partition("<")[0]: a for a in ATTRIBUTES if "<" in a.name}


def standard_attribute(name: str) -> StandardAttribute | None:
    """The declaration that `name` falls under, None for a name of the tenant's own."""
    found = _PLAIN.get(name)
    if found is None:
        head, colon, rest = name.partition(":")
        found = _PREFIXED.get(head + colon) if rest else None
    return found


def attribute_kind(name: str) -> Kind | None:
    """The type of a standard attribute, None for a name of the tenant's own."""
    found = standard_attribute(name)
    return None if found is None else found.kind


def standard_group(name: str) -> StandardGroup | None:
    """The pattern that a group's name falls under, None for a plain static group."""
    for group in GROUPS:
        prefix = group.name.partition("<")[0]
        if name.startswith(prefix) and len(name) > len(prefix):
            return group
    return None


def vocabulary_tables() -> str:
    """The attributes, groups and events as Markdown tables, as docs/customer-record.md has them."""
    lines = ["| attribute | type | |", "|---|---|---|"]
    for attribute in ATTRIBUTES:
        made = f"; made by `headrace enrich {attribute.made_by}`" if attribute.made_by else ""
        lines.append(f"| `{attribute.name}` | `{attribute.kind}` | {attribute.meaning}{made} |")
    lines += ["", "| group | |", "|---|---|"]
    lines += [f"| `{group.name}` | {group.meaning} |" for group in GROUPS]
    lines += ["", "| event | properties | happens when |", "|---|---|---|"]
    for event in EVENTS:
        told = ", ".join(f"`{name}` {kind}" for name, kind in event.properties.items())
        lines.append(f"| `{event.name}` | {told} | {event.meaning} |")
    return "\n".join([*lines, ""])
