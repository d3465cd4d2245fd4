"""Turn a Dittofeed journey into a flow.

The rules of execution are those of Dittofeed's user journey workflow: one node after the other,
a child that isn't there ends the journey, durations are elapsed time, cohorts are drawn anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.convert.dittofeed_segments import Segments
from core.convert.draft import DAY_MS, Draft, Test, elapsed, is_placeholder
from core.convert.fields import Fields
from core.convert.notes import NOTHING, Converted
from core.violations import quoted

PRODUCT = "Dittofeed"
EXIT = "ExitNode"
ENTRIES = ("SegmentEntryNode", "EntryNode", "EventEntryNode")
NODES = (
    "DelayNode",
    "SegmentSplitNode",
    "MessageNode",
    "WaitForNode",
    "RandomCohortNode",
    "RateLimitNode",
    "ExperimentSplitNode",
)
CHANNELS = {"Email": "email", "Sms": "sms", "MobilePush": "push", "Webhook": "webhook"}
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")  # as allowedDaysOfWeek counts them
_BOOKKEEPING = ("id", "workspaceId", "createdAt", "updatedAt", "status", "statusUpdatedAt", "draft")


def convert_dittofeed(
    document: object, *, name: str, segments: Mapping[str, Any] | None = None
) -> Converted:
    """The flow of a Dittofeed journey: its definition, or a resource with the field `definition`.

    `name` becomes the flow's id where the journey has no name. `segments` are definitions of
    segments by id or name; a resource may bring its own in the field `segments`. A segment that is
    not among them becomes membership in a group of its name. Raises ConvertError.
    """
    return _Journey(document, name, segments or {}).converted()


class _Journey:
    def __init__(self, document: object, name: str, segments: Mapping[str, Any]) -> None:
        self.draft = Draft(PRODUCT, name)
        journey = Fields(document, (), self.draft.notes)
        known = dict(segments)
        self.once = self.repeats = False
        if "definition" in journey.value:
            resource, journey = journey, journey.need_part("definition")
            resource.skip(*_BOOKKEEPING)
            self.draft.name = resource.text("name")
            self.draft.call(self.draft.name or name)
            self.once = resource.value.get("canRunMultiple") is False
            self.repeats = resource.flag("canRunMultiple")
            known |= _by_name(resource)
            resource.done("the journey")
        self.journey = journey
        self.segments = Segments(self.draft, known)
        self.entry = journey.need_part("entryNode")
        self.entry_id = self.draft.new_id("entered")
        exit_node = journey.part("exitNode")
        if exit_node is None:
            raise journey.error(
                "the journey has no exitNode",
                advice="The document may be cut short; export it again",
            )
        exit_node.skip("type", "id")
        exit_node.done("the exit")
        if not isinstance(journey.value.get("nodes"), list):
            raise journey.error("the journey has no list of nodes", "nodes")
        self.nodes = journey.parts("nodes")
        self.ids: dict[str, str] = {}
        for node in self.nodes:
            node.one_of("type", NODES, "node type")
            own = node.need("id")
            if own in self.ids or own == EXIT:
                raise node.error(f"the id {quoted(own)} is there twice", "id")
            self.ids[own] = self.draft.new_id(own)

    def converted(self) -> Converted:
        """The finished flow."""
        self.enter()
        for node in self.nodes:
            self.draft.source(node.pointer)
            own = self.ids[node.need("id")]
            getattr(self, f"add_{node.need('type')}")(node, own)
            node.done(f"the node {quoted(node.need('id'))}")
        self.journey.done("the journey")
        named = self.draft.name or self.draft.flow_id
        return self.draft.finish(source=f"the Dittofeed journey {named}")

    def child(self, fields: Fields, key: str) -> str:
        """The id of the node that a field names; whoever is led nowhere leaves the journey."""
        wanted = fields.text(key)
        if wanted == EXIT:
            return self.draft.end()
        if wanted in self.ids:
            return self.ids[wanted]
        what = f"{key} {quoted(wanted)}" if wanted else key
        fields.note(
            "approximated",
            what,
            "it leads to no node of the journey, where Dittofeed lets people out",
            "the end",
            (key,),
        )
        return self.draft.end()

    def enter(self) -> None:
        """Add the trigger and who may enter again."""
        entry = self.entry
        kind = entry.one_of("type", ENTRIES, "entry type")
        self.draft.source(entry.pointer)
        entry.skip("id")
        reentry: dict[str, Any] = {"policy": "once"}
        node: dict[str, Any]
        if kind == "EventEntryNode":
            event = entry.need("event")
            if event.endswith("*"):
                entry.note(
                    "approximated",
                    f"event {quoted(event)}",
                    "Dittofeed takes every event whose name begins so, a flow takes one name",
                    f"only an event named {quoted(event)} itself",
                    ("event",),
                )
            key = entry.text("key")
            if key:
                reentry = {"policy": "after_exit" if self.repeats else "once", "key": key}
                self.segments.entry_key = key
            else:
                # Each event without a key starts a journey of its own.
                reentry = {"policy": "always"}
            node = {"type": "on_event", "event": event}
        else:
            # Without leave to run several times nobody enters again, whatever the entry says.
            again = entry.flag("reEnter") and not self.once
            if again or self.repeats:
                reentry = {"policy": "after_exit"}
            if again:
                entry.note(
                    "approximated",
                    "reEnter",
                    "Dittofeed begins again at once while the person is still in the segment",
                    "a new entry when the person joins the segment again",
                    ("reEnter",),
                )
            node = {"type": "on_segment", "if": self.segment(entry, "segment"), "members": "all"}
        self.draft.settings["reentry"] = reentry
        node["next"] = self.child(entry, "child")
        self.draft.add(self.entry_id, entry.pointer, node)
        entry.done("the entry")

    def segment(self, fields: Fields, key: str) -> Test:
        """The condition that a segment stands for."""
        name = fields.text(key)
        if name is None:
            return self.draft.unknown(
                fields.at(),
                f"no segment ({self.draft.flow_id})",
                "the journey names no segment, so nobody is in it",
            )
        return self.segments.test(name, fields.at(key))

    def seconds_ms(self, fields: Fields, key: str) -> int | float:
        """A number of seconds in ms; for the name of a variable a day stands in."""
        if is_placeholder(value := fields.take(key)):
            fields.note(
                "approximated",
                f"{key} {quoted(value)}",
                "it names a variable of a program instead of a number of seconds",
                elapsed(DAY_MS),
                (key,),
            )
            return DAY_MS
        ms = fields.span_ms(key, 1000)
        if ms is None:
            raise fields.error("the number of seconds is missing", key)
        return ms

    def add_DelayNode(self, node: Fields, own: str) -> None:
        """Wait for a time, until a time of day, or until a date of the person."""
        variant = node.need_part("variant")
        title = node.text("name")
        kind = variant.one_of("type", ("Second", "LocalTime", "UserProperty"), "delay")
        after = self.child(node, "child")
        made: dict[str, Any]
        if kind == "Second":
            made = {"type": "wait", "for": elapsed(self.seconds_ms(variant, "seconds"))}
        elif kind == "LocalTime":
            made = {"type": "wait_slot", "slots": [self.slot(variant)]}
        else:
            wanted = variant.need("userProperty")
            variant.note(
                "approximated",
                f"user property {quoted(wanted)}",
                "what it is computed of is not in the journey",
                f"the date attribute {quoted(wanted)}",
                ("userProperty",),
            )
            offset_ms = 0.0
            if variant.take("offsetSeconds") is not None:
                offset_ms = self.seconds_ms(variant, "offsetSeconds")
            before = (variant.text("offsetDirection") or "after").lower() == "before"
            sign = "-" if before else ""
            offset = f"{sign}{elapsed(offset_ms)}" if offset_ms else None
            made = {"type": "wait_date", "attribute": wanted, "offset": offset}
            # Dittofeed does not wait for people without the date.
            made["next"] = {"next": after, "missing": after}
        variant.done("the delay")
        self.draft.add(own, node.pointer, {"title": title, "next": after} | made)

    def slot(self, variant: Fields) -> dict[str, Any]:
        """The second of the week's days at which a local time comes."""
        hour, minute = variant.number("hour"), variant.number("minute") or 0
        if hour is None or hour not in range(24) or minute not in range(60):
            raise variant.error(f"there is no time of day {hour}:{minute}", "hour")
        at = f"{int(hour):02d}:{int(minute):02d}"
        slot: dict[str, Any] = {"from": at, "until": f"{at}:01"}
        days = variant.items("allowedDaysOfWeek")
        if any(isinstance(day, bool) or day not in range(7) for day in days):
            raise variant.error("days of the week are numbers from 0 to 6", "allowedDaysOfWeek")
        if days and len(set(days)) < 7:
            slot["days"] = [DAYS[day] for day in sorted(set(days))]
        zone = variant.text("defaultTimezone")
        if zone and self.draft.settings.setdefault("zone", zone) != zone:
            variant.note(
                "approximated",
                f"defaultTimezone {zone}",
                "a flow has one time zone of its own",
                self.draft.settings["zone"],
                ("defaultTimezone",),
            )
        variant.note(
            "approximated",
            f"delay until {at}",
            "Dittofeed sends whoever comes in that very second on to the next day",
            "they go on at once",
            ("hour",),
        )
        return slot

    def add_SegmentSplitNode(self, node: Fields, own: str) -> None:
        """Ask whether the person is in a segment."""
        variant = node.need_part("variant")
        variant.one_of("type", ("Boolean",), "split")
        test = self.segment(variant, "segment")
        yes, no = self.child(variant, "trueChild"), self.child(variant, "falseChild")
        variant.done("the split")
        self.draft.condition(own, node.pointer, test, yes, no, node.text("name"))

    def add_MessageNode(self, node: Fields, own: str) -> None:
        """Send a message."""
        variant = node.need_part("variant")
        channel = CHANNELS[variant.one_of("type", tuple(CHANNELS), "channel")]
        template = variant.text("templateId")
        if template is None or re.fullmatch(r"\$\w+\(\)", template):
            variant.note(
                "approximated",
                f"template of {own}",
                "the journey names no template",
                f"a template named {quoted(own)}",
                ("templateId",),
            )
            template = own
        if group := node.text("subscriptionGroupId"):
            node.note(
                "left out",
                f"subscription group {quoted(group)}",
                "whether it asks for consent or for no objection is not in the journey",
                "everybody who comes here is sent to; put a condition before it to keep some out",
                ("subscriptionGroupId",),
            )
        for key in ("providerOverride", "senderOverride"):
            if variant.take(key) is not None:
                variant.note(
                    "elsewhere",
                    f"{key} of {own}",
                    "flows name no providers",
                    "the settings of the relay",
                    (key,),
                )
        if node.take("skipOnFailure") is False:
            node.note(
                "left out",
                "skipOnFailure",
                "after a failure Dittofeed lets the person out; a flow goes on after every send",
                NOTHING,
                ("skipOnFailure",),
            )
        variant.done("the message")
        made = {"type": "send", "title": node.text("name"), "channel": channel}
        made |= {"template": template, "next": self.child(node, "child")}
        self.draft.add(own, node.pointer, made)

    def add_WaitForNode(self, node: Fields, own: str) -> None:
        """Wait until the person is in one of some segments, and no longer than a timeout."""
        timeout_ms = self.seconds_ms(node, "timeoutSeconds")
        otherwise = self.child(node, "timeoutChild")
        title = node.text("name")
        children = node.parts("segmentChildren")
        names = [child.text("segmentId") for child in children]
        targets = [self.child(child, "id") for child in children]
        for child in children:
            child.done("the segment")
        if not children:
            node.note(
                "approximated",
                f"wait {own}",
                "it names no segment to wait for",
                "a wait for the time alone",
                ("segmentChildren",),
            )
            made = {"type": "wait", "title": title, "for": elapsed(timeout_ms), "next": otherwise}
            self.draft.add(own, node.pointer, made)
            return
        places = [child.at("segmentId") for child in children]
        found = [
            None if name is None else self.segments.event(name, place)
            for name, place in zip(names, places, strict=True)
        ]
        events = [each for each in found if each is not None]
        if len(events) == len(found):
            # Exact also where the segment's key is that of the entering event.
            wait = self.draft.new_id(f"{own}-event")
            already = [(each.already, to) for each, to in zip(events, targets, strict=True)]
            self.draft.ask(own, node.pointer, already, wait, title)
            heard = [(each.event, each.where, to) for each, to in zip(events, targets, strict=True)]
            self.draft.listen(wait, node.pointer, heard, timeout_ms, otherwise)
            return
        tests = [
            (self.segment(child, "segmentId") if each is None else each.already, target)
            for child, each, target in zip(children, found, targets, strict=True)
        ]
        self.draft.watch(own, node.pointer, tests, timeout_ms, otherwise, title)

    def add_RandomCohortNode(self, node: Fields, own: str) -> None:
        """Send shares of the people into branches, drawn anew at each visit."""
        children = node.parts("children")
        if not children:
            raise node.error("the cohorts are missing", "children")
        branches: list[tuple[str, int | float, str]] = []
        left: int | float = 100
        for number, child in enumerate(children, 1):
            percent = child.number("percent")
            if percent is None or not 0 <= percent <= 100:
                raise child.error("expected a share from 0 to 100", "percent")
            name = child.text("name")
            given = name is not None and not is_placeholder(name)
            branches.append(
                (
                    name if name and given else f"cohort-{number}",
                    min(percent, left),
                    self.child(child, "id"),
                )
            )
            left = round(left - min(percent, left), 9)
            child.done("the cohort")
        total = round(sum(c.number("percent") or 0 for c in children), 9)
        if total != 100:
            node.note(
                "approximated",
                f"shares of {own}",
                f"they total {total:g}, not 100",
                "whoever is beyond them leaves, as in Dittofeed"
                if total < 100
                else "the last ones are cut, as in Dittofeed",
                ("children",),
            )
        if left:
            branches.append(("none", left, self.draft.end()))
        title = node.text("name")
        self.draft.split(own, node.pointer, branches, sticky=False, title=title)

    def add_RateLimitNode(self, node: Fields, own: str) -> None:
        """End the journey, as Dittofeed does at a node that it declares but can't run."""
        node.note(
            "left out",
            f"{node.need('type')} {own}",
            "Dittofeed itself can't run it",
            "people leave here, as in Dittofeed",
        )
        self.draft.add(own, node.pointer, {"type": "end"})

    add_ExperimentSplitNode = add_RateLimitNode


def _by_name(resource: Fields) -> dict[str, Any]:
    """The definitions of the segments that a resource brings along, by id and by name."""
    found: dict[str, Any] = {}
    for segment in resource.parts("segments"):
        definition = segment.take("definition")
        for key in ("name", "id"):
            if name := segment.text(key):
                found[name] = definition
    return found
