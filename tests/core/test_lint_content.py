"""Checks that a flow is held against the content and the coupons that there are."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

import pytest

from core.audience import AttributeSchema, AudienceSchema, EventSchema, PropertySchema
from core.content import Content
from core.document import read_content, read_flow
from core.flow import Flow
from core.instants import instant_ms
from core.lint import lint
from core.violations import CODES, Violation, at_publishing

NOW_MS = instant_ms("2026-06-15T12:00Z")
SCHEMA = AudienceSchema(
    attributes={"name": AttributeSchema(type="string")},
    groups={"news": 5, "leads": 5},
    events={
        "signup": EventSchema(properties={"source": PropertySchema(type="string", column="s")}),
        "visit": EventSchema(),
    },
)


def flow_of(nodes: str, settings: str = "") -> Flow:
    lines = [f"  {line}" for line in nodes.strip().splitlines()]
    head = ["headrace: 1", "flow: f", f"settings: {{{settings}}}", "nodes:"]
    start = "  start: {type: on_event, event: signup, next: a}"
    flow, violations = read_flow(
        "\n".join([*head, start, *lines, "  done: {type: end}"]), name="f.yaml"
    )
    assert flow is not None, violations
    return flow


def content_of(lines: str) -> Content:
    content, violations = read_content(f"headrace_content: 1\n{lines}", name="c.yaml")
    assert content is not None, violations
    return content


def send(channel: str = "email", more: str = "") -> str:
    return f"a: {{type: send, channel: {channel}, template: hi, {more}next: done}}"


def found(
    nodes: str, lines: str, settings: str = "", schema: AudienceSchema | None = None
) -> list[Violation]:
    flow = flow_of(nodes, settings)
    violations = lint(flow, schema, content=content_of(lines), now_ms=NOW_MS)
    return [v for v in violations if v.severity != "info"]


TEMPLATE = "/nodes/a/template"
TAKE = "a: {type: take_coupon, pool: p, next: {taken: done, sold_out: done}}"
ITEM = "items: {hi: {channel: email, state: ready, %s}}"
READY = ITEM % "released: true"
CASES = [
    ("absent-content", send(), "items: {ho: {channel: email, state: ready}}", TEMPLATE),
    ("unready-content", send(), "items: {hi: {channel: email, state: draft}}", TEMPLATE),
    ("unreleased-content", send(), ITEM % "released: false", TEMPLATE),
    ("expired-content", send(), ITEM % "expires: 2026-06-14", TEMPLATE),
    ("deleted-content", send(), ITEM % "deleted: true, expires: 2026-06-14", TEMPLATE),
    ("wrong-channel", send("sms"), READY, "/nodes/a/channel"),
    ("promotional-whatsapp", send("whatsapp"),
     "items: {hi: {channel: whatsapp, state: ready, kind: promotional}}", TEMPLATE),
    ("absent-coupon", send(), ITEM % "coupon: p" + "\npools: {q: {stock: 5}}", TEMPLATE),
    ("absent-coupon", TAKE, "pools: {q: {stock: 5}}", "/nodes/a/pool"),
    ("expired-coupon", TAKE, "pools: {p: {expires: '2026-06-15T12:00'}}", "/nodes/a/pool"),
    ("expired-coupon", send(), ITEM % "coupon: p" + "\npools: {p: {expires: 2026-06-01}}",
     TEMPLATE),
    ("deleted-coupon", TAKE, "pools: {p: {deleted: true}}", "/nodes/a/pool"),
    ("sold-out-coupon", TAKE, "pools: {p: {stock: 4}}", "/nodes/a/pool"),
]  # fmt: skip
FINE = [
    (send(), READY),
    (send(), ITEM % "expires: 2026-06-15"),
    (send("whatsapp"), "items: {hi: {channel: whatsapp, state: ready, kind: transactional}}"),
    (send("whatsapp"), "items: {hi: {channel: whatsapp, state: ready}}"),
    (send(), "items: {hi: {channel: [sms, email], state: ready, kind: promotional}}"),
    (TAKE, "pools: {p: {stock: 5, expires: '2026-06-15T12:01'}}"),
]


@pytest.mark.parametrize(("code", "nodes", "lines", "pointer"), CASES)
def test_A046_what_is_wrong_with_content(code: str, nodes: str, lines: str, pointer: str) -> None:
    violations = found(nodes, lines, "coupons: {p: 5}" if nodes == TAKE else "")
    assert [(v.code, v.pointer) for v in violations] == [(code, pointer)]
    assert violations[0].severity == CODES[code].severity
    assert violations[0].advice.endswith((".", "?"))


@pytest.mark.parametrize(("nodes", "lines"), FINE)
def test_what_is_fine(nodes: str, lines: str) -> None:
    assert found(nodes, lines, "coupons: {p: 5}" if nodes == TAKE else "") == []


def test_without_a_list_nothing_is_said() -> None:
    assert lint(flow_of(send()), now_ms=NOW_MS) == []


def test_a_list_without_messages_or_coupons_says_nothing_of_them() -> None:
    assert found(send(), "pools: {p: {stock: 5}}") == []
    assert found(TAKE, READY, "coupons: {p: 5}") == []


def test_A184_what_is_not_ready_is_a_warning_for_a_draft_and_an_error_at_publishing() -> None:
    violations = found(send(), "items: {hi: {channel: email, state: draft}}")
    assert [v.severity for v in violations] == ["warning"]
    assert [(v.code, v.severity) for v in at_publishing(violations)] == [
        ("unready-content", "error")
    ]
    forbidding = {code for code, about in CODES.items() if about.publishing == "error"}
    assert {"absent-content", "expired-coupon", "deleted-coupon", "unreleased-content"} < forbidding


@pytest.mark.parametrize(
    ("settings", "count"),
    [("", 0), ("start: '2026-06-21T00:00', stop: '2026-07-01'", 1),
     ("start: '2026-06-20T23:59', stop: '2026-07-01'", 0),
     ("zone: Asia/Tokyo, start: '2026-06-20T15:00Z', stop: '2026-07-01'", 1)],
)  # fmt: skip
def test_what_has_expired_by_the_start_has_expired(settings: str, count: int) -> None:
    violations = found(send(), ITEM % "expires: 2026-06-20", settings)
    assert [v.code for v in violations] == ["expired-content"] * count


SEGMENT = "s: {type: on_segment, if: %s, next: a}"


@pytest.mark.parametrize(
    ("condition", "recipient", "count"),
    [
        ("{group: leads}", "contact", 1),
        ("{group: leads}", "profile", 0),
        ("{all: [{tag: t}, {any: [{group: leads}, {group: x}]}]}", "contact", 1),
        ("{not: {group: leads}}", "contact", 0),
        ("{group: news}", "contact", 0),
        ("{tag: t}", "profile", 0),
    ],
)
def test_A183_content_is_made_for_the_records_of_the_segment(
    condition: str, recipient: str, count: int
) -> None:
    lines = ITEM % f"recipient: {recipient}" + "\nsegments: {leads: profile, news: contact}"
    violations = found(f"{SEGMENT % condition}\n{send()}", lines)
    assert [(v.code, v.pointer) for v in violations] == [("wrong-recipient", TEMPLATE)] * count
    if count:
        assert violations[0].severity == "error"
        assert violations[0].message == (
            "'hi' is for a contact, and the segment 'leads' holds profiles"
        )


@pytest.mark.parametrize(
    ("variables", "more", "nodes", "count"),
    [
        ("[name]", "", "", 0),
        ("[nam]", "", "", 1),
        ("[nam]", "variables: {nam: x}, ", "", 0),
        ("[entry.source]", "", "", 0),
        ("[entry.amount]", "", "", 1),
        ("[entry.source]", "", "b: {type: on_event, event: visit, next: a}", 1),
        ("[entry.source]", "", "b: {type: on_segment, if: {group: news}, next: a}", 1),
    ],
)
def test_variables_are_filled(variables: str, more: str, nodes: str, count: int) -> None:
    lines = ITEM % f"variables: {variables}"
    violations = found(f"{nodes}\n{send(more=more)}", lines, schema=SCHEMA)
    assert [(v.code, v.pointer) for v in violations] == [("unknown-variable", TEMPLATE)] * count
