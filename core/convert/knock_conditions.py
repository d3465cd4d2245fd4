"""Turn the conditions of Knock's workflows, steps and branches into conditions of a flow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from core.convert.draft import Draft, Test, all_of, any_of, elapsed
from core.convert.fields import Fields
from core.violations import quoted

DEPTH_MAX = 16
_COMPARED = {
    "equal_to": "is",
    "not_equal_to": "is_not",
    "greater_than": "above",
    "greater_than_or_equal_to": "at_least",
    "less_than": "below",
    "less_than_or_equal_to": "at_most",
}
OPERATORS = (*_COMPARED, "contains", "not_contains", "contains_all", "empty", "not_empty")
# What becomes of a message, from the least to the most, with the events that tell of it here.
_REACHED = {
    "undelivered": "message_undelivered",
    "bounced": "message_bounced",
    "delivery_attempted": "message_sent",
    "queued": "message_sent",
    "not_sent": "message_sent",
    "sent": "message_sent",
    "delivered": "message_delivered",
    "seen": "message_seen",
    "read": "message_read",
    "interacted": "message_interacted",
    "link_clicked": "message_clicked",
    "archived": "message_archived",
}
_UNTOLD = ("delivery_attempted", "queued", "not_sent")  # no event tells of these alone
_OF_EMAIL = {"message_read": "email_opened", "message_clicked": "email_clicked"}
_STATUS = re.compile(r"refs\.([^.]+)\.(status|delivery_status|engagement_status)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_WHERE = {
    "actor": "the actor",
    "tenant": "the tenant",
    "vars": "the environment",
    "workflow": "the workflow",
    "run": "the run",
}


class Sent(NamedTuple):
    """A message step: its node, its channel, and the longest time from the trigger to it, in ms."""

    node: str
    channel: str
    at_ms: int | None


class Conditions:
    """Reads conditions; `now_ms` is the longest time from the trigger to where they are asked."""

    def __init__(self, draft: Draft, sent: Mapping[str, Sent]) -> None:
        self.draft = draft
        self.sent = sent
        self.now_ms: int | None = 0

    def of(self, fields: Fields, key: str) -> Test | None:
        """The condition of a field, None where it holds none."""
        group = fields.part(key)
        return None if group is None or not group.value else self.group(group, 0)

    def group(self, group: Fields, depth: int) -> Test | None:
        """One test, or tests joined by `all` and `any`."""
        if depth > DEPTH_MAX:
            raise group.error("the conditions are nested too deeply")
        if "variable" in group.value:
            return self.one(group)
        if not {"all", "any"} & group.value.keys():
            raise group.error("expected 'all', 'any' or a 'variable'")
        made = []
        for key, joined in (("all", all_of), ("any", any_of)):
            parts = [self.group(part, depth + 1) for part in group.parts(key)]
            if test := joined([part for part in parts if part is not None]):
                made.append(test)
        group.done("the conditions")
        return all_of(made)

    def one(self, test: Fields) -> Test:
        """One comparison of a variable with an argument."""
        variable = test.need("variable")
        operator = test.one_of("operator", OPERATORS, "operator")
        argument = test.take("argument")
        test.done("the condition")
        if match := _STATUS.fullmatch(variable):
            return self.status(test, match[1], operator, argument)
        prefix, _, path = variable.partition(".")
        subject: Test
        if prefix == "recipient" and path:
            subject = {"attribute": path}
        elif prefix == "data" and path:
            subject = {"entry": path}
        elif prefix in _WHERE and path:
            test.note(
                "approximated",
                variable,
                f"{_WHERE[prefix]} is no part of a customer's record",
                f"the property {quoted(variable)} of the event",
            )
            subject = {"entry": variable}
        elif prefix == "refs":
            return self.draft.unknown(
                test.pointer,
                f"{variable} {operator} {argument}",
                "a flow does not keep what a step returned",
            )
        else:
            if path:
                test.note(
                    "approximated",
                    variable,
                    f"{quoted(prefix)} is no scope of variables",
                    f"the property {quoted(variable)} of the event",
                )
            subject = {"entry": variable}
        return self.compared(test, subject, operator, argument)

    def compared(self, test: Fields, subject: Test, operator: str, argument: Any) -> Test:
        """The comparison that an operator stands for."""
        if operator == "empty":
            return {"any": [subject | {"is_set": False}, subject | {"is": ""}]}
        if operator == "not_empty":
            return {"all": [subject | {"is_set": True}, {"not": subject | {"is": ""}}]}
        value = _value(argument)
        if operator in ("contains", "not_contains", "contains_all"):
            return self.contains(test, subject, operator, value)
        if isinstance(value, list | dict):
            return self.draft.unknown(
                test.pointer, f"{operator} {argument}", "a flow compares with one value"
            )
        if isinstance(value, str) and value.startswith("data."):
            value = {"entry": value.removeprefix("data.")}
        elif isinstance(value, str) and value.startswith(("recipient.", "actor.", "tenant.")):
            return self.draft.unknown(
                test.pointer,
                f"{operator} {value}",
                "a flow does not compare attributes with each other",
            )
        if value is None:
            if operator not in ("equal_to", "not_equal_to"):
                raise test.error(f"nothing can be {operator} null", "argument")
            return subject | {"is_set": operator == "not_equal_to"}
        if operator == "not_equal_to":
            # What is missing differs too.
            return {"not": subject | {"is": value}}
        return subject | {_COMPARED[operator]: value}

    def contains(self, test: Fields, subject: Test, operator: str, value: Any) -> Test:
        """Whether a text contains another; lists are texts here."""
        wanted = [str(v) for v in (value if isinstance(value, list) else [value])]
        if not all(wanted) or not wanted:
            raise test.error("there is nothing to look for", "argument")
        name = next(iter(subject.values()))
        test.note(
            "approximated",
            f"{operator} in {quoted(name)}",
            "values here are texts and numbers, not lists",
            "a search in the text; give a list as one text, such as 'email,sms'",
        )
        found = all_of([subject | {"contains": text} for text in wanted])
        assert found is not None
        return {"not": found} if operator == "not_contains" else found

    def status(self, test: Fields, ref: str, operator: str, argument: Any) -> Test:
        """How far the message of an earlier step got."""
        sent = self.sent.get(ref)
        wanted = str(argument).removeprefix("$message.")
        if sent is None:
            raise test.error(f"there is no earlier step {quoted(ref)} that sends", "variable")
        ranked = operator in ("less_than", "greater_than_or_equal_to")
        alone = operator in ("equal_to", "not_equal_to", "contains", "not_contains")
        if wanted not in _REACHED or not (ranked or (alone and wanted not in _UNTOLD)):
            return self.draft.unknown(
                test.pointer, f"message of {ref} {operator} {wanted}", "a flow is not told of this"
            )
        order = list(_REACHED)
        names = order[order.index(wanted) :] if ranked else [wanted]
        events = dict.fromkeys(self.event(name, sent.channel) for name in names)
        of_flow = {"property": "flow", "is": self.draft.flow_id}
        where = {"all": [of_flow, {"property": "node", "is": sent.node}]}
        known = sent.at_ms is not None and self.now_ms is not None
        since = (self.now_ms or 0) - (sent.at_ms or 0)
        within = {"within": elapsed(since)} if known and since > 0 else {}
        found = any_of([{"did": event} | within | {"where": where} for event in events])
        assert found is not None
        test.note(
            "approximated",
            f"message of {ref} {operator} {wanted}",
            "a flow knows of messages by the events that tell of them",
            f"the events {', '.join(events)} about the node {sent.node}"
            + (f" within the last {elapsed(since)}" if within else ""),
        )
        negated = operator in ("less_than", "not_contains", "not_equal_to")
        return {"not": found} if negated else found

    @staticmethod
    def event(name: str, channel: str) -> str:
        """The event that tells of a status."""
        event = _REACHED[name]
        return _OF_EMAIL.get(event, event) if channel == "email" else event


def _value(argument: Any) -> Any:
    """What a static argument means: texts such as "true", "5" and "null" are not texts."""
    if not isinstance(argument, str):
        return argument
    words = {"null": None, "true": True, "false": False}
    if argument in words:
        return words[argument]
    if _NUMBER.fullmatch(argument) and len(argument) < 16:
        return float(argument) if "." in argument else int(argument)
    return argument
