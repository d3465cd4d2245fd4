"""Checks whom web push and WeChat reach, and what messages are sent to."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import pytest

from core.audience import AttributeSchema, AudienceSchema
from core.document import read_flow
from core.flow import Flow
from core.lint import lint
from core.lint_channels import replies
from core.lint_view import View
from core.nodes import Send

WEB = "s: {type: send, channel: web_push, template: hi, next: done}"
ASK = "a: {type: condition, if: %s, next: {yes: %s, no: %s}}"
ALLOWED = "{attribute: 'consent:web_push', is: true}"


def flow_of(nodes: str, start: str = "{type: on_event, event: signup, next: a}") -> Flow:
    lines = [f"  {line}" for line in nodes.strip().splitlines()]
    text = "\n".join(
        ["headrace: 1", "flow: f", "nodes:", f"  start: {start}", *lines, "  done: {type: end}"]
    )
    flow, violations = read_flow(text, name="f.yaml")
    assert flow is not None, violations
    return flow


@pytest.mark.parametrize(
    ("nodes", "count"),
    [
        (f"a: {{type: wait, for: 1 day, next: s}}\n{WEB}", 1),
        (f"{ASK % (ALLOWED, 's', 'done')}\n{WEB}", 0),
        (f"{ASK % (ALLOWED, 'done', 's')}\n{WEB}", 1),
        (f"{ASK % (ALLOWED, 'w', 'done')}\nw: {{type: wait, for: 1 day, next: s}}\n{WEB}", 0),
        (f"{ASK % (ALLOWED, 's', 'w')}\nw: {{type: wait, for: 1 day, next: s}}\n{WEB}", 1),
        (ASK % ("{all: [{tag: t}, {attribute: 'reachable:web_push', is: true}]}", "s", "done")
         + f"\n{WEB}", 0),
        (ASK % ("{attribute: 'consent:push', is: true}", "s", "done") + f"\n{WEB}", 1),
        ("a: {type: branch_attribute, attribute: 'consent:web_push', branches: {y: true, n: false},"
         f" next: {{y: s, n: done, other: done}}}}\n{WEB}", 0),
    ],
)  # fmt: skip
def test_A109_web_push_only_to_those_who_permitted_it(nodes: str, count: int) -> None:
    found = [(v.code, v.pointer) for v in lint(flow_of(nodes)) if v.severity != "info"]
    assert found == [("no-permission", "/nodes/s/channel")] * count


def test_A109_a_segment_of_those_who_permitted_it_is_enough() -> None:
    flow = flow_of(WEB, f"{{type: on_segment, if: {ALLOWED}, next: s}}")
    assert lint(flow) == []


def _in_wechat(flow: Flow) -> Flow:
    nodes = {
        i: n.model_copy(update={"channel": "wechat"}) if isinstance(n, Send) else n
        for i, n in flow.nodes.items()
    }
    return flow.model_copy(update={"nodes": nodes})


REPLY = "s: {type: send, channel: sms, template: hi, next: done}"
WAIT = "a: {type: wait, for: %s, next: s}\n" + REPLY
EVENT = "{type: on_event, event: signup, next: a}"


@pytest.mark.parametrize(
    ("nodes", "start", "count"),
    [
        (WAIT % "2 days", EVENT, 0),
        (WAIT % "49 hours", EVENT, 1),
        (WAIT % "1 hour", "{type: on_segment, if: {tag: t}, next: a}", 1),
        ("a: {type: wait, for: 9 days, next: b}\n"
         "b: {type: wait_event, event: e, next: {event: s}}\n" + REPLY, EVENT, 0),
        ("a: {type: wait_event, event: e, timeout: 3 days, next: {event: s, timeout: done}}\n"
         + REPLY, EVENT, 0),
        ("a: {type: wait_event, event: e, timeout: 3 days, next: {event: done, timeout: s}}\n"
         + REPLY, EVENT, 1),
        (ASK % ("{did: e, within: 48 hours}", "s", "done") + "\n" + REPLY,
         "{type: on_segment, if: {tag: t}, next: a}", 0),
        (ASK % ("{did: e, within: 49 hours}", "s", "done") + "\n" + REPLY,
         "{type: on_segment, if: {tag: t}, next: a}", 1),
        ("a: {type: wait_until, at: 2027-01-01, next: s}\n" + REPLY, EVENT, 1),
        ("a: {type: wait_slot, slots: [{from: '09:00', until: '17:00'}], next: s}\n" + REPLY,
         EVENT, 0),
        ("a: {type: wait_slot, slots: [{from: '09:00', until: '17:00', days: [mon]}], next: s}\n"
         + REPLY, EVENT, 1),
        ("a: {type: wait, for: 10 hours, next: s}\n"
         "s: {type: send, channel: sms, template: hi, next: c}\n"
         "c: {type: condition, if: {tag: t}, next: {yes: a, no: done}}", EVENT, 1),
        ("a: {type: wait_event, event: e, next: {event: s}}\n"
         "s: {type: send, channel: sms, template: hi, next: a}", EVENT, 0),
    ],
)  # fmt: skip
def test_A053_a_reply_in_wechat_comes_within_48_hours(nodes: str, start: str, count: int) -> None:
    found = list(replies(View(_in_wechat(flow_of(nodes, start)))))
    assert [(v.code, v.pointer) for v in found] == [("wechat-window", "/nodes/s/channel")] * count
    assert list(replies(View(flow_of(nodes, start)))) == []


@pytest.mark.parametrize("name", ["A193", "A196"])
def test_A193_A196_the_attribute_that_is_sent_to_is_there_and_is_text(name: str) -> None:
    channel = {"A193": "email", "A196": "sms"}[name]
    schema = AudienceSchema(
        attributes={"phone": AttributeSchema(type="string"), "age": AttributeSchema(type="int64")}
    )
    for to, expected in (("phone", []), ("phne", ["absent-address"]), ("age", ["type-mismatch"])):
        flow = flow_of(f"a: {{type: send, channel: {channel}, template: t, to: {to}, next: done}}")
        found = [v for v in lint(flow, schema) if v.pointer == "/nodes/a/to"]
        assert [v.code for v in found] == expected
        if to == "phne":
            assert found[0].advice == "Did you mean 'phone'?"
