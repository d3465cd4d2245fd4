"""Turn a Knock workflow into a flow.

A workflow runs for one recipient at each trigger call, one step after the other; a step whose
conditions fail is skipped. The trigger call becomes an event that is named by the workflow's key
and bears the data of the call as its properties.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from core.convert.draft import DAY_MS, Draft, elapsed, only_reads_events
from core.convert.fields import Fields
from core.convert.knock_conditions import Conditions, Sent
from core.convert.notes import NOTHING, Converted
from core.limits import HISTORY_COUNT_MAX
from core.violations import quoted

PRODUCT = "Knock"
UNITS_MS = {
    "seconds": 1000,
    "minutes": 60_000,
    "hours": 3_600_000,
    "days": DAY_MS,
    "weeks": 7 * DAY_MS,
    "months": 30 * DAY_MS,
}
CHANNELS = {
    "email": "email",
    "sms": "sms",
    "push": "push",
    "in_app_feed": "in_app",
    "in_app_guide": "in_app",
    "chat": "webhook",
    "webhook": "webhook",
    "http": "webhook",
}
# Function steps that act on the world outside the workflow.
_OUTSIDE = {
    "http_fetch": "what the request returns",
    "fetch": "what the request returns",
    "trigger_workflow": "the start of the other workflow",
    "update_user": "the change of the user",
    "update_object": "the change of the object",
    "update_tenant": "the change of the tenant",
    "update_data": "the change of the data",
    "update_audience": "the change of the audience",
    "ai_agent": "what the agent returns",
    "wait_for_event": "the event that is waited for",
    "modify_workflow": "the change of the run",
}
STEPS = ("channel", "delay", "batch", "throttle", "branch", "random_cohort", *_OUTSIDE)
WEEK = {
    "monday": "mon",
    "tuesday": "tue",
    "wednesday": "wed",
    "thursday": "thu",
    "friday": "fri",
    "saturday": "sat",
    "sunday": "sun",
}
_BOOKKEEPING = (
    "$schema",
    "__readonly",
    "active",
    "valid",
    "environment",
    "created_at",
    "updated_at",
    "sha",
    "key",
)
_PLAIN_KEY = re.compile(r"(?:data\.)?([\w-]+(?:\.[\w-]+)*)")


def convert_knock(document: object, *, name: str) -> Converted:
    """The flow of a Knock workflow, as `workflow.json` holds it.

    `name` stands for the workflow's key where the document has none. Raises ConvertError.
    """
    return _Workflow(document, name).converted()


class _Workflow:
    def __init__(self, document: object, name: str) -> None:
        self.draft = Draft(PRODUCT, name)
        self.root = Fields(document, (), self.draft.notes)
        about = self.root.value.get("__readonly")
        own = about.get("key") if isinstance(about, dict) else None
        stated = self.root.value.get("key") or own
        self.key = stated if isinstance(stated, str) else name
        self.draft.call(self.key)
        self.draft.name = self.root.text("name")
        self.draft.description = self.root.text("description")
        self.root.skip(*_BOOKKEEPING)
        if not isinstance(self.root.value.get("steps"), list):
            raise self.root.error("the workflow has no list of steps", "steps")
        self.ids: dict[str, str] = {}
        self.sent: dict[str, Sent] = {}
        # Longest time since the trigger, None where nobody can tell.
        self.now_ms: int | None = 0
        self.conditions = Conditions(self.draft, self.sent)
        self.first = True

    def converted(self) -> Converted:
        """The finished flow."""
        draft = self.draft
        trigger = draft.new_id("triggered")
        draft.settings["reentry"] = self.reentry()
        steps = self.root.parts("steps")
        for step in steps:
            self.name_step(step)
        entry = self.entry_of(steps, draft.end())
        made: dict[str, Any] = {"type": "on_event", "event": self.key}
        test = self.conditions.of(self.root, "conditions")
        if test is not None and only_reads_events(test):
            made["where"] = test
        elif test is not None:
            gate = draft.new_id("trigger-conditions")
            entry = draft.condition(gate, self.root.at("conditions"), test, entry, draft.end())
        draft.add(trigger, "", made | {"next": entry})
        if test is not None and "where" not in made:
            draft.nodes[gate] = draft.nodes.pop(gate)
        self.sequence(steps, draft.end())
        for key in ("settings", "trigger_data_json_schema", "categories", "tags"):
            if self.root.take(key):
                self.root.note(
                    "left out",
                    key,
                    "a flow knows no preferences or kinds of messages as Knock has them",
                    NOTHING,
                    (key,),
                )
        self.root.done("the workflow")
        return draft.finish(source=f"the Knock workflow {draft.name or self.key}")

    def reentry(self) -> dict[str, Any]:
        """Who may enter again."""
        frequency = self.root.text("trigger_frequency") or "every_trigger"
        if frequency == "every_trigger":
            return {"policy": "always"}
        if frequency == "once_per_recipient":
            return {"policy": "once"}
        if frequency == "once_per_recipient_per_tenant":
            self.root.note(
                "approximated",
                "once per tenant",
                "people here belong to no tenants",
                "once for each value of the event's property 'tenant'",
                ("trigger_frequency",),
            )
            return {"policy": "once", "key": "tenant"}
        raise self.root.error(f"unknown frequency {quoted(frequency)}", "trigger_frequency")

    def name_step(self, step: Fields) -> None:
        """Give a step and those inside it their ids, in the order of the document."""
        kind = step.one_of("type", STEPS, "step type")
        ref = step.text("ref") or step.text("name") or kind
        self.ids[step.pointer] = self.draft.new_id(ref, kind)
        step.skip("ref")
        for branch in step.parts("branches") if kind in ("branch", "random_cohort") else ():
            for inner in branch.parts("steps"):
                self.name_step(inner)

    def entry_of(self, steps: Sequence[Fields], after: str) -> str:
        """The id of the node at which a row of steps begins."""
        if not steps:
            return after
        first = steps[0]
        gated = first.value.get("conditions") or first.value.get("send_windows")
        own = self.ids[first.pointer]
        gate = f"{own}~"
        if not gated:
            return own
        if gate not in self.ids:
            self.ids[gate] = self.draft.new_id(
                f"{own}-if" if first.value.get("conditions") else f"{own}-slot"
            )
        return self.ids[gate]

    def sequence(self, steps: Sequence[Fields], after: str) -> None:
        """Add a row of steps; `after` follows the last one."""
        for number, step in enumerate(steps):
            self.draft.source(step.pointer)
            following = self.entry_of(steps[number + 1 :], after)
            at = self.entry_of(steps[number:], after)
            own = self.ids[step.pointer]
            self.conditions.now_ms = self.now_ms
            test = self.conditions.of(step, "conditions")
            slots = self.windows(step)
            first, self.first = self.first and test is None, False
            if test is not None:
                into = self.draft.new_id(f"{own}-slot") if slots else own
                at = self.draft.condition(at, step.at("conditions"), test, into, following)
                at = into
            if slots:
                node = {"type": "wait_slot", "slots": slots, "next": own}
                self.draft.add(at, step.at("send_windows"), node)
            title = step.text("name")
            before = self.now_ms
            kind = step.need("type")
            name = kind if kind not in _OUTSIDE else "outside"
            made = getattr(self, f"step_{name}")(step, own, following, first)
            if made is not None:
                shown = {"type": made.pop("type"), "title": title, "note": step.text("description")}
                self.draft.add(own, step.pointer, shown | made)
            if slots:
                self.now_ms = None
            if test is not None and before is not None and self.now_ms is not None:
                self.now_ms = max(before, self.now_ms)
            step.skip("type", "ref", "name", "description")
            step.done(f"the step {quoted(own)}")

    def duration_ms(self, fields: Fields, key: str) -> int | None:
        """A length of time; None where it is absent."""
        part = fields.part(key)
        if part is None:
            return None
        unit = part.one_of("unit", tuple(UNITS_MS), "unit of time")
        ms = part.span_ms("value", UNITS_MS[unit])
        if ms is None:
            raise part.error(f"the number of {unit} is missing", "value")
        if unit == "months":
            part.note(
                "approximated",
                f"{part.value['value']} months",
                "their length is not stated",
                "30 days for each",
                ("unit",),
            )
        part.done("the duration")
        return round(ms)

    def passed(self, ms: int | None) -> None:
        """Time goes on."""
        self.now_ms = None if ms is None or self.now_ms is None else self.now_ms + ms

    def step_channel(self, step: Fields, own: str, after: str, first: bool) -> dict[str, Any]:
        """A message."""
        kind = step.text("channel_type") or "email"
        if "channel_type" not in step.value:
            step.note(
                "approximated", f"channel of {own}", "the step doesn't say its channel", "email"
            )
        if kind not in CHANNELS:
            raise step.error(
                f"unknown channel {quoted(kind)}",
                "channel_type",
                advice=f"Known are {', '.join(CHANNELS)}",
            )
        channel = CHANNELS[kind]
        if kind == "chat":
            step.note(
                "approximated",
                f"chat message {own}",
                "a flow has no channel for chats",
                "a webhook",
                ("channel_type",),
            )
        if provider := step.text("channel_key") or step.text("channel_group_key"):
            step.note(
                "elsewhere",
                f"provider {quoted(provider)}",
                "flows name no providers",
                "the settings of the relay",
                ("channel_key",),
            )
        template = f"{self.draft.flow_id}/{own}"
        if content := step.part("template"):
            content.skip(*content.value)
            step.note(
                "elsewhere",
                f"content of {own} ({', '.join(content.value)})",
                "a flow names templates and doesn't hold them",
                f"a template named {quoted(template)}",
                ("template",),
            )
        if step.take("channel_overrides"):
            step.note(
                "left out",
                f"channel_overrides of {own}",
                "a channel has one way to send",
                NOTHING,
                ("channel_overrides",),
            )
        self.sent[step.text("ref") or own] = Sent(own, channel, self.now_ms)
        return {"type": "send", "channel": channel, "template": template, "next": after}

    def step_delay(self, step: Fields, own: str, after: str, first: bool) -> dict[str, Any]:
        """A wait for a time, or until a date that is known only then."""
        settings = step.need_part("settings")
        ms = self.duration_ms(settings, "delay_for")
        path = settings.text("delay_until_field_path")
        settings.done(f"the delay {own}")
        if path is None and ms is None:
            raise settings.error("the delay has neither delay_for nor delay_until_field_path")
        self.passed(ms if path is None else None)
        if path is None:
            return {"type": "wait", "for": elapsed(ms or 0), "next": after}
        if path.startswith("recipient."):
            name = path.removeprefix("recipient.")
            settings.note(
                "approximated",
                f"delay until {quoted(path)}",
                "Knock also takes durations and rules of the week from there",
                f"the date attribute {quoted(name)}",
                ("delay_until_field_path",),
            )
            offset = elapsed(ms) if ms else None
            return {
                "type": "wait_date",
                "attribute": name,
                "offset": offset,
                "next": {"next": after, "missing": after},
            }
        return self.unknown_wait(settings, own, "delay_until_field_path", path, after)

    def unknown_wait(
        self, settings: Fields, own: str, key: str, path: str, after: str
    ) -> dict[str, Any]:
        """A day, for a time that only the trigger call tells."""
        settings.note(
            "approximated",
            f"{key} {quoted(path)}",
            "a flow can't wait for as long as a property of an event says",
            f"a wait of {elapsed(DAY_MS)}",
            (key,),
        )
        return {"type": "wait", "for": elapsed(DAY_MS), "next": after}

    def key_of(self, settings: Fields, key: str) -> str | None:
        """The property of the event that a batch or throttle key names, None where it is none."""
        text = settings.text(key)
        if text is None:
            return None
        match = _PLAIN_KEY.fullmatch(text)
        if match is None or text.startswith(("recipient.", "actor.", "tenant.")):
            settings.note(
                "left out",
                f"{key} {quoted(text)}",
                "a key is a property of the event",
                "one for all",
                (key,),
            )
            return None
        return match[1]

    def step_batch(self, step: Fields, own: str, after: str, first: bool) -> dict[str, Any]:
        """A wait while more triggers come, which are absorbed where it is the first step."""
        settings = step.need_part("settings")
        path = settings.text("batch_until_field_path")
        ms = self.duration_ms(settings, "batch_window")
        if path is None and ms is None:
            raise settings.error("the batch has neither batch_window nor batch_until_field_path")
        self.passed(ms if path is None else None)
        key = self.key_of(settings, "batch_key")
        reentry = self.draft.settings["reentry"]
        mode = settings.text("batch_execution_mode") or "accumulate"
        absorbs = first and path is None and bool(ms) and reentry == {"policy": "always"}
        if absorbs and mode == "accumulate":
            reentry |= {"gap": elapsed(ms or 0)} | ({"key": key} if key else {})
            step.note(
                "approximated",
                f"batch {own}",
                "the triggers of a batch can't be handed to the messages that follow",
                "the first trigger goes on after the window, those within it are refused",
            )
        else:
            step.note(
                "left out",
                f"batch {own}",
                "triggers can be absorbed only at the first step, "
                "for a fixed time, when everybody may enter again",
                "each trigger waits for itself and is told apart",
            )
        if settings.text("batch_window_type") == "sliding":
            settings.note(
                "left out",
                "sliding window",
                "a wait is not extended by later events",
                "a window that does not move",
                ("batch_window_type",),
            )
        if mode != "accumulate":
            settings.note(
                "left out",
                f"batch_execution_mode {mode}",
                "the first of a batch can't go on at once while the others wait",
                "it waits too",
                ("batch_execution_mode",),
            )
        settings.skip("batch_order")
        if limit := settings.number("batch_items_max_limit"):
            settings.note(
                "left out",
                f"batch_items_max_limit {limit:g}",
                "a wait does not end by a number of events",
                NOTHING,
                ("batch_items_max_limit",),
            )
        settings.skip("batch_items_render_limit")
        settings.done(f"the batch {own}")
        if path is not None:
            return self.unknown_wait(settings, own, "batch_until_field_path", path, after)
        return {"type": "wait", "for": elapsed(ms or 0), "next": after}

    def step_throttle(self, step: Fields, own: str, after: str, first: bool) -> dict[str, Any]:
        """A gate that lets only so many runs of a person pass within a time."""
        settings = step.need_part("settings")
        path = settings.text("throttle_window_field_path")
        ms = self.duration_ms(settings, "throttle_window")
        limit = settings.number("throttle_limit") or 1
        key = self.key_of(settings, "throttle_key")
        settings.done(f"the throttle {own}")
        if path is not None:
            settings.note(
                "approximated",
                f"throttle_window_field_path {quoted(path)}",
                "only the trigger call tells it",
                elapsed(DAY_MS),
                ("throttle_window_field_path",),
            )
            ms = DAY_MS
        if not ms:
            raise settings.error("the throttle has no window of time", "throttle_window")
        if not 1 <= limit <= HISTORY_COUNT_MAX or limit != int(limit):
            raise settings.error(
                f"expected how many runs may pass, found {limit}", "throttle_limit"
            )
        where = {"property": key, "is": {"entry": key}} if key else None
        test = {"did": self.key, "at_most": int(limit), "within": elapsed(ms), "where": where}
        step.note(
            "approximated",
            f"throttle {own}",
            "Knock counts the runs that passed in fixed windows",
            f"at most {int(limit)} triggers within the last {elapsed(ms)}, passed or not",
        )
        shown = {k: v for k, v in test.items() if v is not None}
        return {"type": "condition", "if": shown, "next": {"yes": after, "no": self.draft.end()}}

    def step_branch(self, step: Fields, own: str, after: str, first: bool) -> None:
        """The first branch whose conditions hold; one without conditions is for all others."""
        branches = step.parts("branches")
        if not branches:
            raise step.error("the branch step has no branches", "branches")
        before, latest = self.now_ms, self.now_ms
        ways: list[tuple[Any, str, Fields, str]] = []
        default: str | None = None
        for number, branch in enumerate(branches):
            leave = self.draft.end() if branch.flag("terminates") else after
            rows = branch.parts("steps")
            entry = self.entry_of(rows, leave)
            self.conditions.now_ms = before
            test = self.conditions.of(branch, "conditions")
            if test is None and number < len(branches) - 1:
                raise branch.error("only the last branch may be without conditions", "conditions")
            if test is None:
                default = entry
            ways.append((test, entry, branch, leave))
        name, title = own, step.text("name")
        tested = [way for way in ways if way[0] is not None]
        for number, (test, entry, branch, _) in enumerate(tested):
            last = number == len(tested) - 1
            no = (default or after) if last else self.draft.new_id(f"{own}-else")
            shown = branch.text("name") or title
            self.draft.condition(name, branch.at("conditions"), test, entry, no, shown)
            name = no
        if not tested:
            # A branch that all take: nothing to ask, so a wait of no length leads there.
            node = {"type": "wait", "title": title, "for": "0 seconds", "next": default or after}
            self.draft.add(own, step.pointer, node)
        for _, _, branch, leave in ways:
            self.now_ms = before
            self.sequence(branch.parts("steps"), leave)
            branch.skip("name", "description")
            branch.done(f"a branch of {quoted(own)}")
            known = latest is not None and self.now_ms is not None
            latest = max(latest or 0, self.now_ms or 0) if known else None
        self.now_ms = latest

    def step_random_cohort(self, step: Fields, own: str, after: str, first: bool) -> None:
        """Shares of the runs."""
        before, latest = self.now_ms, self.now_ms
        branches = step.parts("branches")
        shares = [b.number("percentage") for b in branches]
        if (
            not branches
            or any(s is None or s < 0 for s in shares)
            or not sum(s or 0 for s in shares)
        ):
            raise step.error("each branch needs a percentage", "branches")
        total = sum(s or 0 for s in shares)
        rows = []
        for branch, share in zip(branches, shares, strict=True):
            leave = self.draft.end() if branch.flag("terminates") else after
            entry = self.entry_of(branch.parts("steps"), leave)
            rows.append((branch.text("name") or "cohort", 100 * (share or 0) / total, entry))
        self.draft.split(own, step.pointer, rows, sticky=False, title=step.text("name"))
        for branch in branches:
            self.now_ms = before
            leave = self.draft.end() if branch.flag("terminates") else after
            self.sequence(branch.parts("steps"), leave)
            branch.done(f"a branch of {quoted(own)}")
            known = latest is not None and self.now_ms is not None
            latest = max(latest or 0, self.now_ms or 0) if known else None
        self.now_ms = latest

    def step_outside(self, step: Fields, own: str, after: str, first: bool) -> dict[str, Any]:
        """Something that acts on the world: a webhook shows when it would."""
        kind = step.need("type")
        settings = step.part("settings")
        if settings is not None:
            settings.skip(*settings.value)
        template = f"{self.draft.flow_id}/{own}"
        step.note(
            "approximated",
            f"{kind} {own}",
            f"{_OUTSIDE[kind]} lies outside a flow",
            f"a webhook with the template {quoted(template)}, and nothing comes back",
        )
        if kind == "wait_for_event":
            self.passed(None)
        return {"type": "send", "channel": "webhook", "template": template, "next": after}

    def windows(self, step: Fields) -> list[dict[str, Any]]:
        """The times of the week at which a step may send, none where it always may."""
        slots: list[dict[str, Any]] = []
        for window in step.parts("send_windows"):
            day = WEEK[window.one_of("day", tuple(WEEK), "day of the week")]
            if (window.text("type") or "send") == "send":
                begin, end = window.text("from") or "00:00", window.text("until") or "24:00"
                slot = {"from": begin[:8], "until": end[:8], "days": [day]}
                same = [
                    s for s in slots if (s["from"], s["until"]) == (slot["from"], slot["until"])
                ]
                if same:
                    same[0]["days"].append(day)
                else:
                    slots.append(slot)
            window.skip("from", "until")
            window.done("the send window")
        return slots
