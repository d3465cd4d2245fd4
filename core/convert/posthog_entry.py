"""Turn how people get into a PostHog workflow and out of it into a flow's triggers and settings.

Also what all actions share: where their edges lead, their filters, their durations.
"""

from __future__ import annotations

import re
from typing import Any

from core.convert.draft import DAY_MS, Draft, Test, all_of, any_of, elapsed
from core.convert.fields import Fields
from core.convert.notes import NOTHING
from core.convert.posthog_filters import Asked, Filters, Happening, of_entry
from core.violations import quoted

PRODUCT = "PostHog"
ACTIONS = (
    *("trigger", "conditional_branch", "random_cohort_branch", "delay", "wait_until_condition"),
    *("wait_until_time_window", "function_email", "function_sms", "function_push", "function"),
    "exit",
)
TRIGGERS = (
    *("event", "webhook", "manual", "tracking_pixel", "schedule", "batch"),
    *("data-warehouse-table", "data-warehouse-view", "slack-message"),
)
EXITS = (
    "exit_only_at_end",
    "exit_on_conversion",
    "exit_on_trigger_not_matched",
    "exit_on_trigger_not_matched_or_conversion",
)
# After these people may have changed, so what lets them out is looked at.
WAITS = ("delay", "wait_until_condition", "wait_until_time_window", "trigger", "conditional_branch")
GOAL_MS = 30 * DAY_MS  # the window of a conversion that states none
_DURATION = re.compile(r"([0-9]*\.?[0-9]+)([dhms])")
_UNITS_MS = {"d": DAY_MS, "h": 3_600_000, "m": 60_000, "s": 1000}
_BOOKKEEPING = (
    *("id", "key", "team_id", "version", "status", "created_at", "updated_at", "created_by"),
    *("billable_action_types", "action_redirects", "abort_action", "schedules"),
)


class Entrance:
    """The part of a conversion that reads the graph, the trigger, and what lets people out."""

    def __init__(self, document: object, name: str) -> None:
        self.draft = Draft(PRODUCT, name)
        self.root = Fields(document, (), self.draft.notes)
        self.root.skip(*_BOOKKEEPING)
        self.draft.name = self.root.text("name")
        self.draft.description = self.root.text("description")
        key = self.root.value.get("key") or self.draft.name or name
        self.draft.call(str(key))
        self.filters = Filters(self.draft)
        self.actions = self.root.parts("actions")
        self.ids: dict[str, str] = {}
        self.types: dict[str, str] = {}
        for action in self.actions:
            own = action.need("id")
            if own in self.ids:
                raise action.error(f"the id {quoted(own)} is there twice", "id")
            self.types[own] = action.one_of("type", ACTIONS, "action type")
            self.ids[own] = self.draft.new_id(own)
        triggers = [a for a in self.actions if self.types[a.need("id")] == "trigger"]
        if len(triggers) != 1:
            raise self.root.error(
                f"expected one trigger, found {len(triggers)}",
                "actions",
                advice="The document may be cut short; export it again",
            )
        self.trigger = triggers[0]
        self.edges = self.read_edges()
        self.trigger_events: set[str] = set()
        self.leave: list[Test] = []
        self.exits_unmatched = False
        self.gates: dict[str, str] = {}

    def read_edges(self) -> dict[tuple[str, int | None], str]:
        """Where each action leads, by the index of a branch or None."""
        edges: dict[tuple[str, int | None], str] = {}
        for edge in self.root.parts("edges"):
            begin, end = edge.need("from"), edge.need("to")
            for key, own in (("from", begin), ("to", end)):
                if own not in self.ids:
                    raise edge.error(f"there is no action {quoted(own)}", key)
            index: int | None = None
            if edge.one_of("type", ("continue", "branch"), "kind of edge") == "branch":
                index = int(edge.number("index") or 0)
            edge.skip("index")
            if (begin, index) in edges:
                raise edge.error(
                    f"a second edge leaves {quoted(begin)} there: an action has one next"
                )
            edges[begin, index] = end
            edge.done("the edge")
        return edges

    def rest_of(self, action: Fields) -> None:
        """Read what all actions have beside their config."""
        action.skip("created_at", "updated_at", "position", "description", "name")
        if action.text("on_error") not in (None, "continue"):
            action.note(
                "left out", "on_error", "a flow goes on after every action", NOTHING, ("on_error",)
            )
        if action.take("output_variable"):
            action.note(
                "left out",
                "output_variable",
                "a flow keeps nothing that an action returns",
                NOTHING,
                ("output_variable",),
            )
        action.done("the action")

    def target(self, fields: Fields, own: str, index: int | None = None) -> str:
        """The node that an edge leads to, past what is looked at before it."""
        end = self.edges.get((own, index))
        if end is None and index is not None:
            fields.note(
                "approximated",
                f"branch {index} of {own}",
                "no edge leaves there",
                "the way of all others",
            )
            end = self.edges.get((own, None))
        if end is None:
            fields.note("approximated", f"way on from {own}", "no edge leaves there", "the end")
            return self.draft.end()
        into = self.ids[end]
        if not self.leave or self.types[own] not in WAITS or self.types[end] == "exit":
            return into
        if end not in self.gates:
            self.gates[end] = self.draft.new_id(f"{into}-exits")
            test = any_of(self.leave)
            assert test is not None
            self.draft.condition(self.gates[end], fields.pointer, test, self.draft.end(), into)
        return self.gates[end]

    def condition(self, asked: Asked) -> Test | None:
        """A filter as a condition: of the entering event where it is that, else of history."""
        done = any_of([self.entering(happening) for happening in asked.events])
        return all_of([*([done] if done else []), *asked.person])

    def entering(self, happening: Happening) -> Test:
        """Whether people came by an event; that it was done, where they may come by others too."""
        if self.trigger_events != {happening.event} or happening.where is None:
            return happening.did()
        return of_entry(happening.where)

    def duration_ms(self, fields: Fields, key: str) -> float | None:
        """A duration such as '1.5h', None where it is absent."""
        text = fields.text(key)
        if text is None:
            return None
        match = _DURATION.fullmatch(text)
        if match is None:
            raise fields.error(
                f"expected a duration such as '1d', '2h' or '10m', found {quoted(text)}", key
            )
        ms = float(match[1]) * _UNITS_MS[match[2]]
        if ms > 1e12:
            raise fields.error(f"{quoted(text)} is longer than a wait can be", key)
        return ms

    def conversion_and_exits(self) -> None:
        """What counts as success, and when people leave early."""
        wanted = "exit_only_at_end"
        if self.root.value.get("exit_condition") is not None:
            wanted = self.root.one_of("exit_condition", EXITS, "exit condition")
        conversion = self.root.part("conversion")
        if conversion is not None:
            self.convert_goal(conversion, wanted.endswith("conversion"))
        elif wanted.endswith("conversion"):
            self.root.note(
                "left out",
                wanted,
                "the workflow states no conversion, so nobody converts",
                NOTHING,
                ("exit_condition",),
            )
        self.exits_unmatched = "trigger_not_matched" in wanted

    def convert_goal(self, conversion: Fields, exits: bool) -> None:
        """The goal, and the exits of people who reached it."""
        conversion.skip("bytecode")
        filters = conversion.value.get("filters")
        if isinstance(filters, list):
            _, person = self.filters.properties(conversion, "filters", "property")
            asked = Asked([], person)
        else:
            asked = self.filters.asked(conversion.part("filters"), "property")
        for part in conversion.parts("events"):
            asked = Asked(
                asked.events + self.filters.asked(part.part("filters"), "property").events,
                asked.person,
            )
            part.skip("name")
        window_ms = conversion.span_ms("window_minutes", 60_000)
        conversion.done("the conversion")
        span = elapsed(window_ms or GOAL_MS)
        if asked.events:
            first, *others = asked.events
            goal: dict[str, Any] = {"event": first.event, "within": span}
            self.draft.settings["goal"] = goal | ({"where": first.where} if first.where else {})
            if not window_ms:
                conversion.note(
                    "approximated",
                    "conversion without a window",
                    "a goal needs one",
                    span,
                    ("window_minutes",),
                )
            for other in others:
                conversion.note(
                    "left out",
                    f"conversion by {quoted(other.event)}",
                    "a flow has one goal",
                    f"the goal is {quoted(first.event)}",
                    ("events",),
                )
        elif asked.person:
            conversion.note(
                "left out",
                "conversion by properties of the person",
                "a goal is an event",
                NOTHING,
                ("filters",),
            )
        if not exits:
            return
        done = any_of([h.did(within=span) for h in asked.events])
        if done:
            conversion.note(
                "approximated",
                "exit on conversion",
                "PostHog counts conversions since the entry, and lets people out at once",
                f"before each action that follows a wait: done within the last {span}",
            )
        test = all_of([*([done] if done else []), *asked.person])
        if test is not None:
            self.leave.append(test)

    def enter(self) -> None:
        """Add the triggers, who may enter, and who may enter again."""
        own, action = self.trigger.need("id"), self.trigger
        config = action.part("config")
        stated = self.root.part("trigger")
        trigger = stated or config
        if trigger is None:
            raise action.error("the trigger has no config", "config")
        self.draft.source(trigger.pointer)
        if stated is not None and config is not None and stated.value != config.value:
            action.note(
                "left out",
                "config of the trigger",
                "the workflow states another trigger itself",
                "the one of the workflow",
                ("config",),
            )
        kind = trigger.one_of("type", TRIGGERS, "trigger")
        self.draft.settings["reentry"] = self.reentry()
        asked = self.filters.asked(
            trigger.part("filters"), "property" if kind == "event" else "entry"
        )
        entry = self.target(action, own)
        if kind == "batch":
            self.enter_batch(trigger, own, asked, entry)
        else:
            events = asked.events
            if kind != "event" or not events:
                name = f"{PRODUCT} {kind} {self.draft.flow_id}"
                trigger.note(
                    "approximated",
                    f"trigger by {kind}",
                    "a flow is entered by events" if kind != "event" else "it names no event",
                    f"an event named {quoted(name)}",
                )
                events = [Happening(name, None)]
            if asked.person:
                into = self.draft.new_id(f"{own}-filter")
                test = all_of(asked.person)
                assert test is not None
                entry = self.draft.condition(
                    into, trigger.at("filters"), test, entry, self.draft.end()
                )
                if self.exits_unmatched:
                    self.leave.append({"not": test})
            elif self.exits_unmatched:
                trigger.note(
                    "left out",
                    "exit_on_trigger_not_matched",
                    "the trigger asks for nothing that can change",
                    NOTHING,
                )
            ids = [self.ids[own], *(self.draft.new_id(f"{own}-or") for _ in events[1:])]
            for node_id, happening in zip(ids, events, strict=True):
                node = {
                    "type": "on_event",
                    "title": action.text("name"),
                    "event": happening.event,
                    "where": happening.where,
                    "next": entry,
                }
                self.draft.add(node_id, action.pointer, node)
                self.trigger_events.add(happening.event)
        trigger.skip("template_id", "template_uuid", "inputs", "table_name", "key_property")
        trigger.done("the trigger")
        action.skip("config")
        self.rest_of(action)
        # Triggers first: what they lead to was made on the way.
        first = {i: n for i, n in self.draft.nodes.items() if str(n["type"]).startswith("on_")}
        self.draft.nodes = first | self.draft.nodes

    def enter_batch(self, trigger: Fields, own: str, asked: Asked, entry: str) -> None:
        """People who are chosen by their properties, all at once."""
        trigger.note(
            "approximated",
            "trigger by batch",
            "when it is run is not in the workflow",
            "at the start of the flow, for everybody chosen then",
        )
        test = self.condition(asked) or {"not": {"group": "nobody"}}
        self.draft.add(
            self.ids[own],
            trigger.pointer,
            {"type": "on_segment", "if": test, "members": "at_start", "next": entry},
        )

    def reentry(self) -> dict[str, Any]:
        """Who may enter again: everybody, unless the trigger is masked."""
        masking = self.root.part("trigger_masking")
        if masking is None:
            return {"policy": "always"}
        ttl_ms, by = masking.span_ms("ttl", 1000), masking.text("hash") or ""
        masking.skip("bytecode")
        if threshold := masking.number("threshold"):
            masking.note(
                "left out",
                f"threshold {threshold:g}",
                "entries can't be sampled by number",
                "the first one enters",
                ("threshold",),
            )
        made: dict[str, Any] = (
            {"policy": "always", "gap": elapsed(ttl_ms)} if ttl_ms else {"policy": "once"}
        )
        if match := re.fullmatch(r"\{+\s*event\.properties\.([\w$.-]+)\s*\}+", by):
            made["key"] = match[1]
        elif not re.fullmatch(
            r"\{+\s*(person\.id|event\.distinct_id|person\.properties\.email)\s*\}+", by
        ):
            masking.note(
                "approximated",
                f"hash {quoted(by)}",
                "a key is a property of the event",
                "one key for each person",
                ("hash",),
            )
        masking.done("the masking")
        return made
