"""Turn a PostHog workflow (a hog flow) into a flow.

The rules of execution are those of PostHog's workflow executor: each action follows one edge, a
`branch` edge by its index or else the `continue` edge; durations are elapsed time; conditions to
exit are looked at before each action.
"""

from __future__ import annotations

import re
from typing import Any

from core.convert.draft import CHECKS, DAY_MS, Test, all_of, any_of, elapsed
from core.convert.fields import Fields
from core.convert.notes import NOTHING, Converted
from core.convert.posthog_entry import Entrance
from core.convert.posthog_filters import Asked, Happening
from core.violations import quoted

CHANNELS = {
    "function_email": "email",
    "function_sms": "sms",
    "function_push": "push",
    "function": "webhook",
}
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LONG_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PERSON = re.compile(r"\{+\s*person\.properties\.([\w$.-]+)\s*\}+")
_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}")
_DEFAULT_WAIT_MS = 600_000


def convert_posthog(document: object, *, name: str) -> Converted:
    """The flow of a PostHog workflow. `name` stands in where it has none. Raises ConvertError."""
    return _Workflow(document, name).converted()


class _Workflow(Entrance):
    def converted(self) -> Converted:
        """The finished flow."""
        self.conversion_and_exits()
        self.enter()
        for action in self.actions:
            own = action.need("id")
            kind = self.types[own]
            if kind == "trigger":
                continue
            self.draft.source(action.pointer)
            config = action.part("config") or Fields(
                {}, (*action.steps, "config"), self.draft.notes
            )
            node = self.guarded(action, own)
            name = "function" if kind in CHANNELS else kind
            getattr(self, f"add_{name}")(action, config, own, node)
            self.rest_of(action)
            config.done(f"the action {quoted(own)}")
        for key, what in (
            ("variables", "variables"),
            ("email_sending_rate_limit", "the rate of e-mails"),
        ):
            if self.root.take(key):
                self.root.note("left out", key, f"a flow has no {what} of its own", NOTHING, (key,))
        self.root.skip("encrypted_inputs")
        self.root.done("the workflow")
        named = self.draft.name or self.draft.flow_id
        return self.draft.finish(source=f"the PostHog workflow {named}")

    def guarded(self, action: Fields, own: str) -> str:
        """The id for the action's node, behind the filters that let people skip it."""
        filters = action.part("filters")
        if filters is None or not filters.value:
            return self.ids[own]
        test = self.condition(self.filters.asked(filters, "entry"))
        if test is None:
            return self.ids[own]
        node = self.draft.new_id(f"{own}-act")
        into = self.target(action, own)
        return self.draft.condition(self.ids[own], filters.pointer, test, node, into) and node

    def add_exit(self, action: Fields, config: Fields, own: str, node: str) -> None:
        """The end."""
        reason = config.text("reason")
        title = action.text("name")
        shown = title if reason in (None, title) else f"{title or 'Exit'}: {reason}"
        self.draft.add(node, action.pointer, {"type": "end", "title": (shown or "")[:256] or None})

    def add_delay(self, action: Fields, config: Fields, own: str, node: str) -> None:
        """A wait for a time, or until a date of the person."""
        after, title = self.target(action, own), action.text("name")
        ms = self.duration_ms(config, "delay_duration")
        until = config.part("delay_until")
        if until is None and ms is None:
            raise config.error("the delay has neither delay_duration nor delay_until")
        made: dict[str, Any] = {
            "type": "wait",
            "title": title,
            "for": elapsed(ms or 0),
            "next": after,
        }
        if until is not None:
            until.skip(
                "bytecode", "bytecode_error", "timezone", "use_person_timezone", "fallback_timezone"
            )
            expression = until.need("expression")
            match = _PERSON.fullmatch(expression) or re.fullmatch(
                r"person\.properties\.([\w$.-]+)", expression
            )
            offset = until.text("offset")
            if match is None:
                until.note(
                    "approximated",
                    f"delay until {quoted(expression)}",
                    "a flow can't work out expressions",
                    elapsed(DAY_MS),
                    ("expression",),
                )
                made["for"] = elapsed(DAY_MS)
            else:
                made = {
                    "type": "wait_date",
                    "title": title,
                    "attribute": match[1],
                    "next": {"next": after, "missing": after},
                }
                if offset:
                    sign = "-" if offset.startswith("-") else ""
                    shifted = Fields({"offset": offset.lstrip("+-")}, until.steps, self.draft.notes)
                    made["offset"] = sign + elapsed(self.duration_ms(shifted, "offset") or 0)
            if config.take("max_delay_duration"):
                config.note(
                    "left out",
                    "max_delay_duration",
                    "a wait for a date has no limit",
                    NOTHING,
                    ("max_delay_duration",),
                )
            until.done("the delay")
        self.draft.add(node, action.pointer, made)

    def add_conditional_branch(self, action: Fields, config: Fields, own: str, node: str) -> None:
        """The first branch whose conditions hold."""
        title = action.text("name")
        ms = self.duration_ms(config, "delay_duration")
        ways: list[tuple[Test, str]] = []
        for index, condition in enumerate(config.parts("conditions")):
            asked = self.filters.asked(condition.part("filters"), "entry")
            for happening in asked.events:
                if self.trigger_events != {happening.event}:
                    condition.note(
                        "approximated",
                        f"event {quoted(happening.event)}",
                        "PostHog asks it of the entering event",
                        "that it was ever done",
                    )
            test = self.condition(asked)
            condition.skip("name")
            condition.done("the condition")
            if test is None:
                condition.note(
                    "left out", f"branch {index} of {own}", "it has no conditions", NOTHING
                )
                continue
            ways.append((test, self.target(action, own, index)))
        otherwise = self.target(action, own)
        if not ways:
            empty = {"type": "wait", "title": title, "for": "0 seconds", "next": otherwise}
            self.draft.add(node, action.pointer, empty)
        elif ms:
            config.note(
                "approximated",
                f"delay of {own}",
                "PostHog looks every 10 minutes",
                "it goes on at the moment one of them holds",
                ("delay_duration",),
            )
            self.draft.watch(node, action.pointer, ways, ms, otherwise, title)
        else:
            self.draft.ask(node, action.pointer, ways, otherwise, title)

    def add_random_cohort_branch(self, action: Fields, config: Fields, own: str, node: str) -> None:
        """Shares of the people."""
        cohorts = config.parts("cohorts")
        shares = [cohort.number("percentage") or 0 for cohort in cohorts]
        if not cohorts or min(shares) < 0 or not sum(shares):
            raise config.error("each cohort needs a percentage", "cohorts")
        if sum(shares) != 100:
            config.note(
                "approximated",
                f"shares of {own}",
                f"they total {sum(shares):g}, not 100",
                "shares in the same proportions, as in PostHog",
                ("cohorts",),
            )
        rows = []
        for index, (cohort, share) in enumerate(zip(cohorts, shares, strict=True)):
            name = cohort.text("name") or f"cohort-{index + 1}"
            rows.append((name, 100 * share / sum(shares), self.target(action, own, index)))
            cohort.done("the cohort")
        sticky = config.flag("sticky_assignment")
        self.draft.split(node, action.pointer, rows, sticky=sticky, title=action.text("name"))

    def add_wait_until_condition(self, action: Fields, config: Fields, own: str, node: str) -> None:
        """A wait for an event or a condition, and no longer than a time."""
        title = action.text("name")
        ms = self.duration_ms(config, "max_wait_duration")
        if ms is None:
            config.note(
                "approximated",
                f"wait {own}",
                "it states no max_wait_duration",
                elapsed(_DEFAULT_WAIT_MS),
            )
            ms = _DEFAULT_WAIT_MS
        condition = config.part("condition")
        asked = Asked([], [])
        if condition is not None:
            asked = self.filters.asked(condition.part("filters"), "property")
            condition.skip("name")
            condition.done("the condition")
        more: list[Happening] = []
        for part in config.parts("events"):
            found = self.filters.asked(part.part("filters"), "property")
            more += found.events
            if found.person:
                part.note(
                    "left out",
                    "a person's property beside an event",
                    "the event is waited for alone",
                    NOTHING,
                )
            part.skip("name")
            part.done("the event")
        met, timed_out = self.target(action, own, 0), self.target(action, own)
        for happening in asked.events:
            if happening.event in self.trigger_events:
                action.note(
                    "approximated",
                    f"wait {own} for {quoted(happening.event)}",
                    "PostHog goes on at once if the entering event already matches",
                    "only later events count",
                )
        events = [*asked.events, *more]
        if not events and not asked.person:
            action.note(
                "approximated", f"wait {own}", "it waits for nothing", "a wait for the time alone"
            )
            made = {"type": "wait", "title": title, "for": elapsed(ms), "next": timed_out}
            self.draft.add(node, action.pointer, made)
        elif not asked.person:
            heard = [(each.event, each.where, met) for each in events]
            self.draft.listen(node, action.pointer, heard, ms, timed_out, title)
        elif not events:
            test = all_of(asked.person)
            assert test is not None
            self.draft.watch(node, action.pointer, [(test, met)], ms, timed_out, title)
        else:
            # What was done since the last look was done while waiting; on arrival nothing was yet.
            since = elapsed(max(1, round(ms / CHECKS)))
            ways = [h.did(within=since) for h in events]
            own_events, others = ways[: len(asked.events)], ways[len(asked.events) :]
            joined = all_of([*([d] if (d := any_of(own_events)) else []), *asked.person])
            tests = [(t, met) for t in (joined, *others) if t is not None]
            arrival = [] if joined is None or own_events else [(joined, met)]
            action.note(
                "approximated",
                f"wait {own}",
                "a wait listens to events, or asks of the person, not both",
                self.draft.looks(ms, arrival=bool(arrival)),
            )
            at = action.pointer
            self.draft.look(node, at, tests, ms, timed_out, arrival=arrival, title=title)

    def add_wait_until_time_window(
        self, action: Fields, config: Fields, own: str, node: str
    ) -> None:
        """A wait for a time of the week."""
        zone = config.text("timezone")
        if config.flag("use_person_timezone"):
            zone = config.text("fallback_timezone")
        elif zone:
            config.note(
                "approximated",
                f"time zone {zone}",
                "a slot is on each person's clock",
                "it holds for people without a time zone of their own",
                ("timezone",),
            )
        config.skip("fallback_timezone")
        if zone and self.draft.settings.setdefault("zone", zone) != zone:
            config.note(
                "approximated",
                f"time zone {zone}",
                "a flow has one time zone",
                self.draft.settings["zone"],
                ("timezone",),
            )
        day = config.take("day") or config.take("date") or "any"
        config.skip("date")
        days = (
            {"any": DAYS, "weekday": DAYS[:5], "weekend": DAYS[5:]}.get(day)
            if isinstance(day, str)
            else None
        )
        if days is None:
            if not isinstance(day, list) or not day or any(d not in _LONG_DAYS for d in day):
                raise config.error("expected 'any', 'weekday', 'weekend' or a list of days", "day")
            days = tuple(short for short, long in zip(DAYS, _LONG_DAYS, strict=True) if long in day)
        span = config.take("time") or "any"
        times = ["00:00", "24:00"] if span == "any" else span
        if not isinstance(times, list) or sum(bool(_TIME.fullmatch(str(t))) for t in times) != 2:
            raise config.error("expected 'any' or two times of day such as '09:00'", "time")
        begin, end = (time.zfill(5) for time in times)
        shown = {} if len(days) == 7 else {"days": list(days)}
        slots: list[dict[str, Any]] = [{"from": begin, "until": end, **shown}]
        if begin > end:
            # Across midnight: the evening of these days and the morning after each.
            following = {"days": [DAYS[(DAYS.index(d) + 1) % 7] for d in days]} if shown else {}
            slots = [
                {"from": begin, "until": "24:00", **shown},
                {"from": "00:00", "until": end, **following},
            ]
        made = {
            "type": "wait_slot",
            "title": action.text("name"),
            "slots": slots,
            "next": self.target(action, own),
        }
        self.draft.add(node, action.pointer, made)

    def add_function(self, action: Fields, config: Fields, own: str, node: str) -> None:
        """A message, or a request to another system."""
        kind = self.types[own]
        template = f"{self.draft.flow_id}/{own}"
        inputs = config.part("inputs")
        address = None
        if inputs is not None:
            address = _address(inputs)
            inputs.skip(*inputs.value)
            config.note(
                "elsewhere",
                f"content of {own} ({', '.join(inputs.value)})",
                "a flow names templates and doesn't hold them",
                f"a template named {quoted(template)}",
                ("inputs",),
            )
        config.skip("template_uuid", "mappings")
        if provider := config.text("template_id"):
            config.note(
                "elsewhere",
                f"{provider} of {own}",
                "flows name no providers",
                "the settings of the relay",
                ("template_id",),
            )
        if kind == "function":
            config.note(
                "approximated",
                f"function {own}",
                "what it does lies outside a flow",
                f"a webhook with the template {quoted(template)}",
            )
        for key in ("message_category_type", "message_category_id"):
            if category := config.text(key):
                config.note(
                    "left out",
                    f"{key} {category}",
                    "messages here have no categories that people could refuse",
                    NOTHING,
                    (key,),
                )
        if config.take("tracking_enabled") is False:
            config.note(
                "elsewhere",
                f"tracking_enabled of {own}",
                "tracking is set where messages are sent",
                "the settings of the relay",
                ("tracking_enabled",),
            )
        made = {
            "type": "send",
            "title": action.text("name"),
            "channel": CHANNELS[kind],
            "template": template,
            "to": address,
            "next": self.target(action, own),
        }
        self.draft.add(node, action.pointer, made)


def _address(inputs: Fields) -> str | None:
    """The attribute with the address, None for the channel's usual one."""
    found: Any = None
    for key, inner in (
        ("email", ("value", "to", "email")),
        ("to", ("value",)),
        ("phone_number", ("value",)),
    ):
        value = inputs.value.get(key)
        for step in inner:
            value = value.get(step) if isinstance(value, dict) else None
        found = found or value
    match = _PERSON.fullmatch(found) if isinstance(found, str) else None
    return None if match is None or match[1] in ("email", "$email") else match[1]
