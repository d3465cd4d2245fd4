"""What messages say and to whom: content, variables, recipients; names, segments and reports."""
# ruff: noqa: N802 - the ids are in capitals

from __future__ import annotations

from time import perf_counter
from typing import Any

import pytest

from both_ways import ALWAYS, GO, ran, sent, told
from cases import END, Case, on, send
from core.answers import answer_key, signed
from core.audience import AttributeSchema, AudienceSchema, EventSchema, PropertySchema
from core.compiler import compile_flow
from core.document import read_content, read_flow
from core.flow import Flow
from core.lint import lint
from core.report import AudienceFacts, Report
from core.report_build import build_report
from core.segments import Segments, resolve

SCHEMA = AudienceSchema(
    attributes={"name": AttributeSchema(type="string")},
    events={
        "order": EventSchema(properties={"amount": PropertySchema(type="float64", column="a")}),
        "visit": EventSchema(),
        "wechat_interacted": EventSchema(),
    },
)


def codes(node: str, item: str, event: str = "order") -> list[str]:
    """The codes of what lint finds in a flow that sends an item of content."""
    text = (
        f"{{headrace: 1, flow: f, nodes: {{t: {{type: on_event, event: {event}, next: a}}, "
        f"a: {node}, x: {{type: end}}}}}}"
    )
    flow, violations = read_flow(text, name="f.yaml")
    assert flow is not None, violations
    content, violations = read_content(
        f"{{headrace_content: 1, items: {{hi: {item}}}}}", name="c.yaml"
    )
    assert content is not None, violations
    return [v.code for v in lint(flow, SCHEMA, content=content) if v.severity != "info"]


MAIL = "{type: send_email, template: hi, next: x}"
ITEM = "{channel: email, state: ready, variables: [%s]}"


def test_A054_variables_are_attributes_and_attributes_of_the_context() -> None:
    assert codes(MAIL, ITEM % "name, entry.amount") == []
    assert codes(MAIL, ITEM % "nickname") == ["unknown-variable"]


def test_A055_context_attributes_must_fit_the_flows_trigger() -> None:
    assert codes(MAIL, ITEM % "entry.amount", event="visit") == ["unknown-variable"]
    assert codes(MAIL, ITEM % "entry.amount", event="order") == []


@pytest.mark.parametrize(("released", "found"), [("true", []), ("false", ["unreleased-content"])])
def test_A060_only_pages_that_were_released_are_replied_with(
    released: str, found: list[str]
) -> None:
    page = "{type: wechat_reply, kind: page, template: hi, next: x}"
    item = f"{{channel: wechat, state: ready, released: {released}}}"
    assert codes(page, item) == found


def test_A184_drafts_can_be_built_on_and_not_be_published() -> None:
    item = "{channel: email, state: draft}"
    assert codes(MAIL, item) == ["unready-content"]


def test_A150_a_flow_of_all_stated_uses() -> None:
    nodes = {
        "t": {"type": "on_contact_added", "next": ["welcome", "w"]},
        "welcome": {"type": "send_email", "template": "welcome", "next": "by-tag"},
        "by-tag": {
            "type": "branch_tag",
            "branches": {"reader": "reader"},
            "next": {"reader": "coupon", "other": "x"},
        },
        "coupon": {
            "type": "take_coupon",
            "pool": "spring",
            "next": {"taken": "s", "sold_out": "x"},
        },
        "s": {"type": "add_to_stage", "campaign": "c", "stage": "warm", "next": "x"},
        "w": {"type": "wait_page_visited", "containing": "/cart", "next": {"event": "alert"}},
        "alert": {"type": "send_alert", "user": "ann", "alert": "cart", "next": "x"},
    }
    case = Case(
        nodes,
        [("05-04 10:00", "contact_added"), ("05-05 10:00", "page_visited", {"url": "/cart"})],
        customers=[{"id": "c", "tags": ["reader"]}],
        settings={"coupons": {"spring": 1}},
    )
    lines = told(case)
    assert "05-04 10:00 s next" in lines
    assert "05-05 10:00 alert next" in lines
    assert sent(case) == {"email": 1, "alert": 1}


def test_A152_every_flow_begins_at_a_start_that_cannot_be_left_out() -> None:
    text = "{headrace: 1, flow: f, nodes: {a: {type: send_email, template: t, next: x}, "
    flow, _ = read_flow(text + "x: {type: end}}}", name="f.yaml")
    assert flow is not None
    assert "no-trigger" in {v.code for v in lint(flow) if v.severity == "error"}


def report_of(case: Case) -> Report:
    """The report of a run of a case."""
    facts = AudienceFacts(name="a", customers=len(case.customers))
    return build_report(case.flow(), ran(case).counters, case.run_options(), audience=facts)


def test_A154_a_flow_has_a_name_for_people() -> None:
    case = Case({"go": on("go", "x")}, [GO])
    named = case.flow().model_copy(update={"name": "Welcome"})
    assert (case.flow().title, named.title) == ("f", "Welcome")
    facts = AudienceFacts(name="a", customers=1)
    report = build_report(named, ran(case).counters, case.run_options(), audience=facts)
    assert report.flow.title == "Welcome"


def test_A131_A132_each_node_and_each_channel_is_analysed() -> None:
    nodes = {"go": on("go", "a"), "a": send("email", "one", "b"), "b": send("sms", "two", "x")}
    events = [("05-04 10:00", "go"), ("05-05 10:00", "go")]
    report = report_of(Case(nodes, events, settings=ALWAYS))
    sends = {n.id: (n.channel, n.template, n.entered.value) for n in report.nodes if n.channel}
    assert sends == {"a": ("email", "one", 2), "b": ("sms", "two", 2)}
    assert report.totals.sends.value == 4
    assert [series.channel for series in report.sends] == ["email", "sms"]


SEGMENTS = Segments.model_validate(
    {"segments": {"app": {"attribute": "device", "is": "mobile"},
                  "active app": {"all": [{"segment": "app"}, {"did": "visit"}]}}}
)  # fmt: skip


@pytest.mark.parametrize(("visited", "port"), [(True, "yes"), (False, "no")])
def test_C14_a_mobile_contact_is_in_a_dynamic_segment(visited: bool, port: str) -> None:
    condition, violations = resolve({"segment": "active app"}, SEGMENTS)
    assert violations == []
    nodes: dict[str, Any] = {
        "go": on("go", "q"),
        "q": {"type": "condition", "if": condition, "next": {"yes": "x", "no": "x"}},
    }
    events = [("05-03 10:00", "visit"), GO] if visited else [GO]
    case = Case(nodes, events, customers=[{"id": "c", "attributes": {"device": "mobile"}}])
    assert told(case)[1] == f"05-04 10:00 q {port}"


def test_a_flow_of_every_type_compiles_in_100_ms() -> None:
    flow = every_type()
    assert len(flow.nodes) > 100
    times = []
    for _ in range(5):
        began = perf_counter()
        program = compile_flow(flow.model_copy())
        times.append(perf_counter() - began)
    assert len(program.node_ids) > len(flow.nodes)
    assert min(times) < 0.1


def every_type() -> Flow:
    """A flow that has a node of every type."""
    from core.nodes import NODE_TYPES

    nodes: dict[str, Any] = {"x": {"type": "end"}}
    for name, model in NODE_TYPES.items():
        if name == "end":
            continue
        node = {"type": name, **model.example}
        ports = model.model_validate(node).ports
        nodes[name.replace("_", "-")] = {**node, "next": dict.fromkeys(ports, "x")}
    settings = {"coupons": {"spring": 5}}
    return Flow.model_validate({"headrace": 1, "flow": "f", "settings": settings, "nodes": nodes})


def test_A194_a_wait_hears_what_answers_the_message_that_it_is_for() -> None:
    wait = {"type": "wait_event", "event": "email_clicked", "message": "m", "timeout": "1 day"}
    nodes = {
        "go": on("go", "m"),
        "m": send("email", "t", "w"),
        "w": {**wait, "next": {"event": "x", "timeout": "y"}},
        "y": END,
    }
    settings = {"reentry": {"policy": "always"}}
    entries = [("05-04 10:00", "go"), ("05-04 11:00", "go")]
    first, second = dict.fromkeys(
        record.entry for record in ran(Case(nodes, entries, settings)).records
    )
    others = (answer_key("f", "n", second), answer_key("g", "m", second), signed(second), 0)
    clicks = [
        *[(f"05-04 12:0{i}", "email_clicked", {"answers": key}) for i, key in enumerate(others)],
        ("05-04 12:30", "email_clicked", {"answers": answer_key("f", "m", second)}),
        ("05-04 12:40", "email_clicked", {}),
    ]
    case = Case(nodes, [*entries, *clicks], settings)
    assert [line for line in told(case) if " w " in line] == [
        "05-04 12:30 w event",
        "05-05 10:00 w timeout",
    ]
    assert {r.entry for r in ran(case).records if r.port == "event"} == {second}
    assert first != second
