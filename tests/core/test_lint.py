"""Checks every rule of lint on the smallest flow that breaks it: the code and its exact place."""

from pathlib import Path

import pytest

from core.audience import AttributeSchema, AudienceSchema, EventSchema, PropertySchema
from core.document import read_flow
from core.flow import Flow
from core.lint import attribute_types, lint
from core.violations import CODES, Violation

SCHEMA = AudienceSchema(
    attributes={
        "age": AttributeSchema(type="int64", nulls=12),
        "balance": AttributeSchema(type="float64"),
        "born": AttributeSchema(type="date"),
        "city": AttributeSchema(type="string"),
        "seen": AttributeSchema(type="datetime"),
        "vip": AttributeSchema(type="bool"),
    },
    tags={"gold": 5},
    groups={"beta": 3},
    events={
        "signup": EventSchema(
            count=9,
            properties={
                "source": PropertySchema(type="string", column="s"),
                "amount": PropertySchema(type="float64", column="a"),
            },
        ),
        "click": EventSchema(count=4),
    },
)


def flow_of(nodes: str, settings: str = "") -> Flow:
    """A flow of the nodes, one to a line; triggers lead to `a` and to `done`, which is an end."""
    lines = [f"  {line}" for line in nodes.strip().splitlines()]
    text = "\n".join(
        [
            "headrace: 1",
            "flow: f",
            f"settings: {{{settings}}}",
            "nodes:",
            "  start: {type: on_event, event: signup, next: a}",
            "  other: {type: on_event, event: signup, next: done}",
            *lines,
            "  done: {type: end}",
        ]
    )
    flow, violations = read_flow(text, name="f.yaml")
    assert flow is not None, violations
    return flow


def check(found: list[Violation], code: str, *pointers: str) -> None:
    """The code stands at these places, and nothing else but infos is found."""
    loud = {(v.code, v.pointer) for v in found if v.code == code or v.severity != "info"}
    assert loud == {(code, pointer) for pointer in pointers}
    for violation in found:
        assert violation.severity == CODES[violation.code].severity
        assert violation.message
        assert violation.advice.endswith((".", "?"))


def condition(test: str) -> str:
    """A condition node `a` with this test."""
    return f"a: {{type: condition, if: {test}, next: {{yes: done, no: done}}}}"


A_END = "a: {type: end}"
SEND = "{type: send, channel: email, template: %s, next: %s}"
SLOT = "slots: [{from: '09:00', until: '12:00'}]"

GRAPH = [
    ("dangling-edge", "a: {type: wait, for: 1 day, next: dona}", "/nodes/a/next"),
    ("dangling-edge", "a: {type: wait, for: 1 day, next: [done, x]}", "/nodes/a/next/1"),
    ("dangling-edge", "a: {type: condition, if: {tag: t}, next: {yes: done, no: x}}",
     "/nodes/a/next/no"),
    ("edge-to-trigger", "a: {type: wait, for: 1 day, next: start}", "/nodes/a/next"),
    ("unknown-port", "a: {type: condition, if: {tag: t}, next: {yes: done, no: done, or: done}}",
     "/nodes/a/next/or"),
    ("unknown-port", "a: {type: end, next: done}", "/nodes/a/next"),
    ("unknown-port", "a: {type: wait_event, event: e, next: {event: done, timeout: done}}",
     "/nodes/a/next/timeout"),
    ("duplicate-target", "a: {type: wait, for: 1 day, next: [done, done]}", "/nodes/a/next/1"),
    ("part-without-trigger", f"{A_END}\nb: {{type: wait, for: 1 day, next: c}}\nc: {{type: end}}",
     "/nodes/b"),
    ("unreachable-node", "b: {type: wait, for: 1 day, next: a}\na: {type: end}", "/nodes/b"),
    ("first-event-timeout",
     f"{A_END}\nb: {{type: wait_event, event: e, entry: true, timeout: 1 day,"
     " next: {event: done, timeout: done}}", "/nodes/b/timeout"),
    ("entry-with-message",
     "a: {type: send, channel: email, template: t, next: b}\nb: {type: wait_event, event: e,"
     " entry: true, message: a, timeout: 1 day, next: {event: done, timeout: done}}",
     "/nodes/b/message"),
    ("cycle-without-wait", "a: {type: add_tag, tag: t, next: a}", "/nodes/a"),
    ("cycle-without-wait", "a: {type: wait, for: 0 days, next: b}\n"
     "b: {type: condition, if: {tag: t}, next: {yes: a, no: done}}", "/nodes/a"),
    ("cycle-without-wait", "a: {type: wait_event, event: e, timeout: 0 seconds, "
     "next: {event: done, timeout: a}}", "/nodes/a"),
    ("cycle-may-spin", f"a: {{type: wait_slot, {SLOT}, next: b}}\n"
     "b: {type: condition, if: {tag: t}, next: {yes: a, no: done}}", "/nodes/a"),
    ("fork-in-cycle", "a: {type: wait, for: 1 day, next: [b, c]}\n"
     "b: {type: add_tag, tag: t, next: a}\nc: {type: add_tag, tag: u, next: [a, done]}",
     "/nodes/a/next"),
    ("rejoining-paths", "a: {type: wait, for: 1 day, next: [b, c]}\n"
     "b: {type: add_tag, tag: t, next: c}\nc: {type: add_tag, tag: u, next: done}",
     "/nodes/a/next"),
    ("idle-port", "a: {type: condition, if: {tag: t}, next: {yes: done}}", "/nodes/a"),
    ("open-other", "a: {type: branch_tag, branches: {x: t}, next: {x: done}}", "/nodes/a"),
    ("open-missing", "a: {type: wait_date, attribute: born, next: done}", "/nodes/a"),
    ("unknown-node", "a: {type: wait_event, event: e, message: x, next: {event: done}}",
     "/nodes/a/message"),
    ("message-not-sent", "a: {type: wait_event, event: e, message: done, next: {event: done}}",
     "/nodes/a/message"),
    ("message-not-before", "a: {type: wait_event, event: e, message: b, next: {event: b}}\n"
     f"b: {SEND % ('t', 'done')}", "/nodes/a/message"),
]  # fmt: skip

UNTIL = (
    "a: {type: ab_test, branches: {%s}, until: {%s}, target: {event: e, within: 1 day}, next: {%s}}"
)
SETTINGS = [
    ("reserved-branch", UNTIL % ("x: 50%, best: 50%", "people: 5", "x: done, best: done"), "",
     "/nodes/a/branches/best"),
    ("unknown-branch", UNTIL % ("x: 50%, y: 50%", "people: 5, then: z", "x: done, y: done"), "",
     "/nodes/a/until/then"),
    ("unknown-pool", "a: {type: take_coupon, pool: p, next: {taken: done, sold_out: done}}", "",
     "/nodes/a/pool"),
    ("unused-pool", "a: {type: end}", "coupons: {p: 5}", "/settings/coupons/p"),
    ("weights-total", "a: {type: split, branches: {x: 50%, y: 40%}, next: {x: done, y: done}}", "",
     "/nodes/a/branches"),
    ("weights-total", "a: {type: ab_test, branches: {x: 5001, y: 5000}, next: {x: done, y: done}, "
     "target: {event: click, within: 1 day}}", "", "/nodes/a/branches"),
    ("weightless-branch", "a: {type: split, branches: {x: 100%, y: 0%}, next: {x: done, y: done}}",
     "", "/nodes/a/branches/y"),
    ("reserved-branch", "a: {type: branch_tag, branches: {other: t}, next: {other: done}}", "",
     "/nodes/a/branches/other"),
    ("reserved-branch", "a: {type: branch_attribute, attribute: city, branches: {timeout: t}, "
     "next: {timeout: done}}", "", "/nodes/a/branches/timeout"),
    ("value-in-two-branches", "a: {type: branch_attribute, attribute: age, "
     "branches: {x: [3, 1], y: 1.0}, next: {x: done, y: done}}", "", "/nodes/a/branches/y"),
    ("value-in-two-branches", "a: {type: branch_tag, branches: {x: t, y: [u, t]}, "
     "next: {x: done, y: done}}", "", "/nodes/a/branches/y/1"),
    ("repeated-value", "a: {type: branch_attribute, attribute: city, branches: {x: [p, q, p]}, "
     "next: {x: done}}", "", "/nodes/a/branches/x/2"),
    ("repeated-template", "c: {type: condition, if: {tag: t}, next: {yes: a, no: b}}\n"
     f"a: {SEND % ('t', 'done')}\nb: {SEND % ('t', 'done')}\n"
     "d: {type: on_event, event: e, next: c}", "", "/nodes/b/template"),
    ("action-twice", f"a: {SEND % ('t', 'b')}\nb: {SEND % ('t', 'done')}", "",
     "/nodes/b/template"),
    ("invalid-zone", A_END, "zone: Europe/Berlim", "/settings/zone"),
    ("invalid-time", A_END, "start: 2026-02-30, stop: 2026-03-01", "/settings/start"),
    ("invalid-time", A_END, "stop: 2026-03-01T24:01", "/settings/stop"),
    ("invalid-time", "a: {type: wait_until, at: '2026-01-01T09:00+99:00', next: done}", "",
     "/nodes/a/at"),
    ("invalid-time", "a: {type: wait_until, at: '0001-01-01T00:00+14:00', next: done}", "",
     "/nodes/a/at"),
    ("invalid-time",
     f"{A_END}\nb: {{type: on_schedule, repeat: once, at: '9:00', date: 2026-04-31, "
     "next: done}", "", "/nodes/b/date"),
    ("invalid-time", condition("{attribute: seen, before: 2026-13-01}"), "", "/nodes/a/if/before"),
    ("window-reversed", A_END, "start: 2026-03-01, stop: 2026-02-01", "/settings/stop"),
    ("window-reversed", A_END, "start: 2026-03-01, stop: 2026-03-01", "/settings/stop"),
    ("window-reversed", A_END, "zone: Europe/Berlin, start: '2026-03-01T09:00', "
     "stop: '2026-03-01T08:00Z'", "/settings/stop"),
    ("key-without-event", f"{A_END}\nb: {{type: on_segment, if: {{tag: t}}, next: done}}",
     "reentry: {policy: always, key: source}", "/settings/reentry/key"),
    ("gap-without-reentry", A_END, "reentry: {gap: 1 day}", "/settings/reentry/gap"),
    ("unknown-node", A_END, "funnel: [{name: x, nodes: [a, dome]}]", "/settings/funnel/0/nodes/1"),
    ("repeated-layer", A_END, "funnel: [{name: x, nodes: [a]}, {name: x, nodes: [done]}]",
     "/settings/funnel/1/name"),
]  # fmt: skip

CONDITIONS = [
    ("standard-name", "{attribute: score, is: gold}", "/is"),
    ("invalid-pattern", "{attribute: city, matches: '('}", "/matches"),
    ("invalid-pattern", "{did: e, where: {property: p, matches: '(?=x)'}}", "/where/matches"),
    ("invalid-pattern", "{attribute: city, matches: '((a{0,100}){0,100}){0,100}'}", "/matches"),
    ("not-orderable", "{attribute: city, above: abc}", "/above"),
    ("not-orderable", "{attribute: city, at_most: true}", "/at_most"),
    ("not-orderable", "{attribute: age, between: [1, x]}", "/between"),
    ("not-orderable", "{attribute: age, between: [1, 2026-01-01]}", "/between"),
    ("between-reversed", "{attribute: age, between: [5, 4.5]}", "/between"),
    ("between-reversed", "{attribute: born, between: [2026-01-02, 2026-01-01]}", "/between"),
    ("mixed-values", "{attribute: age, one_of: [1, a]}", "/one_of"),
    ("mixed-values", "{attribute: age, none_of: [1, true]}", "/none_of"),
    ("constant-condition", "{all: [{attribute: a, above: 5}, {attribute: a, below: 5}]}", "/all"),
    ("constant-condition", "{all: [{attribute: a, is: x}, {attribute: a, one_of: [y, z]}]}",
     "/all"),
    ("constant-condition", "{all: [{attribute: a, is: 3}, {attribute: a, above: 3.5}]}", "/all"),
    ("constant-condition", "{all: [{attribute: a, is: x}, {attribute: a, is_not: x}]}", "/all"),
    ("constant-condition", "{all: [{attribute: a, is_set: false}, {attribute: a, is: 1}]}", "/all"),
    ("constant-condition", "{all: [{attribute: a, after: 2026-01-02}, "
     "{attribute: a, before: 2026-01-02}]}", "/all"),
    ("constant-condition", "{all: [{tag: t}, {not: {tag: t}}]}", "/all"),
    ("constant-condition", "{any: [{group: t}, {not: {group: t}}]}", "/any"),
    ("contradictory-types", "{any: [{attribute: a, above: 5}, {attribute: a, is: x}]}",
     "/any/1/is"),
    ("contradictory-types",
     "{any: [{attribute: a, contains: x}, {attribute: a, older_than: 1 day}]}",
     "/any/1/older_than"),
    ("contradictory-types", "{any: [{did: e, where: {property: p, is: 1}}, "
     "{did: e, where: {property: p, is: true}}]}", "/any/1/where/is"),
]  # fmt: skip

WITH_AUDIENCE = [
    ("type-mismatch", "{attribute: city, above: 5}", "/if/above"),
    ("type-mismatch", "{attribute: age, is: '5'}", "/if/is"),
    ("type-mismatch", "{attribute: age, is: 2026-01-01}", "/if/is"),
    ("type-mismatch", "{attribute: born, contains: x}", "/if/contains"),
    ("type-mismatch", "{attribute: vip, one_of: [1, 0]}", "/if/one_of"),
    ("type-mismatch", "{did: signup, where: {property: amount, starts_with: x}}",
     "/if/where/starts_with"),
    ("type-mismatch", "{entry: source, at_least: 1}", "/if/at_least"),
    ("type-mismatch", "{attribute: age, above: {entry: source}}", "/if/above"),
    ("type-mismatch", "{attribute: city, above: {entry: source}}", "/if/above"),
    ("fraction-never-equal", "{attribute: age, one_of: [1, 2.5]}", "/if/one_of"),
    ("time-with-date", "{attribute: born, before: '2026-01-01T09:00'}", "/if/before"),
    ("not-of-missing", "{not: {attribute: age, below: 18}}", "/if/not"),
    ("is-not-of-missing", "{attribute: age, is_not: 18}", "/if"),
    ("absent-attribute", "{attribute: agee, is: 18}", "/if/attribute"),
    ("absent-tag", "{tag: golden}", "/if/tag"),
    ("absent-group", "{not: {group: alpha}}", "/if/not/group"),
    ("absent-event", "{never_did: clicked}", "/if/never_did"),
    ("absent-property", "{did: signup, where: {property: amnt, is: 1}}", "/if/where/property"),
    ("absent-property", "{entry: amnt, is: 1}", "/if/entry"),
    ("absent-property", "{attribute: age, is: {entry: x}}", "/if/is"),
]  # fmt: skip

NODES_WITH_AUDIENCE = [
    ("type-mismatch", "a: {type: set_attribute, attribute: age, value: x, next: done}",
     "/nodes/a/value"),
    ("time-with-date", "a: {type: set_attribute, attribute: born, value: '2026-01-01T09:00', "
     "next: done}", "/nodes/a/value"),
    ("type-mismatch", "a: {type: add_to_attribute, attribute: city, by: 1, next: done}",
     "/nodes/a/by"),
    ("type-mismatch", "a: {type: wait_date, attribute: city, next: {next: done, missing: done}}",
     "/nodes/a/attribute"),
    ("type-mismatch", "a: {type: branch_attribute, attribute: vip, branches: {x: yes}, "
     "next: {x: done, other: done}}", "/nodes/a/branches"),
    ("fraction-to-whole", "a: {type: add_to_attribute, attribute: age, by: 0.5, next: done}",
     "/nodes/a/by"),
    ("fraction-to-whole", "a: {type: set_attribute, attribute: age, value: 1.5, next: done}",
     "/nodes/a/value"),
    ("number-too-large", "a: {type: set_attribute, attribute: age, value: 1e300, next: done}",
     "/nodes/a/value"),
    ("absent-attribute", "a: {type: wait_date, attribute: bron, next: {next: done, missing: done}}",
     "/nodes/a/attribute"),
    ("absent-address", "a: {type: send, channel: sms, template: t, to: phone, next: done}",
     "/nodes/a/to"),
    ("absent-tag",
     "a: {type: branch_tag, branches: {x: [gold, silver]}, next: {x: done, other: done}}",
     "/nodes/a/branches/x/1"),
    ("absent-tag", "a: {type: remove_tag, tag: x, next: done}", "/nodes/a/tag"),
    ("absent-group", "a: {type: remove_from_group, group: x, next: done}", "/nodes/a/group"),
    ("absent-event", "a: {type: wait_event, event: clack, next: {event: done}}", "/nodes/a/event"),
    ("absent-event", "a: {type: ab_test, branches: {x: 50%, y: 50%}, next: {x: done, y: done}, "
     "target: {event: bought, within: 1 day}}", "/nodes/a/target/event"),
    ("absent-property", "a: {type: wait_event, event: click, where: {property: url, is: x}, "
     "next: {event: done}}", "/nodes/a/where/property"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "nodes", "pointer"), GRAPH)
def test_graph(code: str, nodes: str, pointer: str) -> None:
    check(lint(flow_of(nodes)), code, pointer)


@pytest.mark.parametrize(("code", "nodes", "settings", "pointer"), SETTINGS)
def test_settings(code: str, nodes: str, settings: str, pointer: str) -> None:
    check(lint(flow_of(nodes, settings)), code, pointer)


@pytest.mark.parametrize(("code", "test", "pointer"), CONDITIONS)
def test_conditions(code: str, test: str, pointer: str) -> None:
    check(lint(flow_of(condition(test))), code, f"/nodes/a/if{pointer}")


@pytest.mark.parametrize(("code", "test", "pointer"), WITH_AUDIENCE)
def test_conditions_of_an_audience(code: str, test: str, pointer: str) -> None:
    flow = flow_of(condition(test))
    check(lint(flow, SCHEMA), code, f"/nodes/a{pointer}")
    assert code not in {v.code for v in lint(flow)}


@pytest.mark.parametrize(("code", "nodes", "pointer"), NODES_WITH_AUDIENCE)
def test_nodes_of_an_audience(code: str, nodes: str, pointer: str) -> None:
    check(lint(flow_of(nodes), SCHEMA), code, pointer)


def test_every_code_of_lint_is_tested() -> None:
    tested = {row[0] for rows in (GRAPH, SETTINGS, CONDITIONS, WITH_AUDIENCE) for row in rows}
    tested |= {row[0] for row in NODES_WITH_AUDIENCE}
    codes = list(CODES)
    of_lint = set(codes[codes.index("too-many-nodes") :])
    others = [path.read_text("utf-8") for path in Path(__file__).parent.glob("test_lint_*.py")]
    elsewhere = {code for code in of_lint if any(f'"{code}"' in text for text in others)}
    assert of_lint - tested - elsewhere == {"no-trigger", "no-end", "entry-without-event"}


def test_a_flow_needs_a_trigger_and_an_end() -> None:
    flow, _ = read_flow("headrace: 1\nflow: f\nnodes: {a: {type: end}}", name="f.yaml")
    assert flow is not None
    check(lint(flow), "no-trigger", "/nodes")
    text = "headrace: 1\nflow: f\nnodes: {a: {type: on_event, event: e}}"
    flow, _ = read_flow(text, name="f.yaml")
    assert flow is not None
    check(lint(flow), "no-end", "/nodes")


def test_an_event_in_mid_flow_can_be_the_only_entry_point() -> None:
    text = """
headrace: 1
flow: f
nodes:
  a: {type: wait_event, event: e, entry: true, next: {event: b}}
  b: {type: end}
"""
    flow, _ = read_flow(text, name="f.yaml")
    assert flow is not None
    assert lint(flow) == []


def test_a_second_event_may_have_a_timeout() -> None:
    node = "{type: wait_event, event: e, entry: true, timeout: 1 day, next: %s}"
    flow = flow_of(f"a: {node % '{event: done, timeout: done}'}")
    assert lint(flow) == []


@pytest.mark.parametrize(
    ("nodes", "count"),
    [
        ("b: {type: on_segment, if: {entry: p, is: 1}, next: done}", 1),
        ("b: {type: on_schedule, repeat: daily, at: '9:00', if: {entry: p, is: 1}, next: done}", 1),
        ("b: {type: on_event, event: e, where: {entry: p, is: 1}, next: done}", 0),
        ("b: {type: on_segment, if: {tag: t}, next: c}\n"
         "c: {type: condition, if: {attribute: x, is: {entry: p}},"
         " next: {yes: done, no: done}}", 1),
        ("b: {type: on_event, event: e, next: c}\n"
         "c: {type: condition, if: {attribute: x, is: {entry: p}},"
         " next: {yes: done, no: done}}", 0),
    ],
)  # fmt: skip
def test_entries_without_an_event(nodes: str, count: int) -> None:
    found = lint(flow_of(f"{A_END}\n{nodes}"))
    assert [v.code for v in found] == ["entry-without-event"] * count


def test_waits_that_rest_on_a_cycle() -> None:
    for wait in (
        "{type: wait, for: 1 second, next: b}",
        "{type: wait, for: 1 month, next: b}",
        "{type: wait_event, event: e, next: {event: b}}",
        "{type: wait_event, event: e, timeout: 1 hour, next: {event: b, timeout: done}}",
    ):
        nodes = f"a: {wait}\nb: {{type: condition, if: {{tag: t}}, next: {{yes: a, no: done}}}}"
        assert lint(flow_of(nodes)) == []


def test_a_cycle_is_told_by_its_nodes() -> None:
    nodes = """
a: {type: wait, for: 1 day, next: b}
b: {type: add_tag, tag: t, next: [c, x]}
x: {type: add_tag, tag: x, next: done}
c: {type: condition, if: {tag: u}, next: {yes: d, no: done}}
d: {type: remove_tag, tag: t, next: b}
"""
    found = [v for v in lint(flow_of(nodes)) if v.severity == "error"]
    assert [v.message for v in found] == ["there is no wait on the cycle b, c, d, b"]


def test_two_independent_cycles_are_two_violations() -> None:
    nodes = "a: {type: add_tag, tag: t, next: [a, b]}\nb: {type: add_tag, tag: u, next: [b, done]}"
    codes = [(v.code, v.pointer) for v in lint(flow_of(nodes)) if v.severity == "error"]
    assert codes == [("cycle-without-wait", "/nodes/a"), ("cycle-without-wait", "/nodes/b")]


@pytest.mark.parametrize(
    ("nodes", "place"),
    [
        ("a: {type: wait, for: 1 day, next: [b, c]}\nb: {type: wait, for: 1 day, next: c}\n"
         "c: {type: wait, for: 1 day, next: done}", "'c'"),
        ("a: {type: wait, for: 1 day, next: [b, c]}\nb: {type: wait, for: 1 day, next: c}\n"
         "c: {type: end}", None),
        ("a: {type: wait, for: 1 day, next: [b, c, d]}\nb: {type: end}\n"
         "c: {type: wait, for: 1 day, next: e}\nd: {type: wait, for: 1 day, next: e}\n"
         "e: {type: wait, for: 1 day, next: b}", "'e'"),
        ("a: {type: condition, if: {tag: t}, next: {yes: b, no: c}}\n"
         "b: {type: wait, for: 1 day, next: c}\nc: {type: end}", None),
        ("a: {type: wait, for: 1 day, next: [b, c]}\nb: {type: end}\nc: {type: end}", None),
    ],
)  # fmt: skip
def test_paths_that_meet_again(nodes: str, place: str | None) -> None:
    found = lint(flow_of(nodes))
    told = [(v.code, v.pointer, v.message.split()[-1]) for v in found]
    assert told == ([("rejoining-paths", "/nodes/a/next", place)] if place else [])


def test_a_message_in_a_cycle_is_before_its_wait() -> None:
    nodes = f"""
a: {{type: wait_event, event: e, message: b, timeout: 1 day, next: {{event: done, timeout: b}}}}
b: {SEND % ("t", "a")}
"""
    assert lint(flow_of(nodes)) == []


def test_names_that_are_close_are_offered() -> None:
    flow = flow_of("a: {type: wait, for: 1 day, next: dona}", "zone: berlin")
    advice = {v.code: v.advice for v in lint(flow)}
    assert advice["dangling-edge"] == "Did you mean 'done'?"
    assert advice["invalid-zone"] == "Did you mean 'Europe/Berlin'?"
    absent = lint(flow_of(condition("{attribute: agee, is: 1}")), SCHEMA)
    assert absent[0].advice == "Did you mean 'age'?"
    assert absent[0].message == "the audience has no attribute 'agee': nobody has it"


def test_weights_say_what_is_lacking() -> None:
    text = "a: {type: split, branches: {x: 33.33%, y: 33.33%}, next: {x: done, y: done}}"
    (found,) = lint(flow_of(text))
    assert found.message == "the weights total 66.66%, not 100%"
    assert found.advice == "Add 33.34% somewhere."


def test_what_the_flow_itself_makes_is_not_absent() -> None:
    nodes = """
a: {type: add_tag, tag: new, next: b}
b: {type: set_attribute, attribute: score, value: 1, next: c}
c: {type: add_to_group, group: fresh, next: d}
d: {type: condition, if: {all: [{tag: new}, {group: fresh}, {attribute: score, is: 1}]},
    next: {yes: done, no: done}}
"""
    assert lint(flow_of(nodes), SCHEMA) == []


def test_properties_of_answers_are_known() -> None:
    wait = (
        "{type: wait_event, event: click, where: {property: template, is: t}, next: {event: done}}"
    )
    assert lint(flow_of(f"a: {wait}"), SCHEMA) == []


@pytest.mark.parametrize(
    "test",
    [
        "{all: [{attribute: age, is_set: true}, {not: {attribute: age, below: 18}}]}",
        "{not: {attribute: age, is_set: true}}",
        "{not: {attribute: city, is: x}}",
        "{not: {not: {attribute: age, below: 18}}}",
        "{attribute: age, between: [1.5, 2.5]}",
        "{attribute: age, is: 5.0}",
        "{attribute: balance, one_of: [1, 2.5]}",
        "{attribute: city, is: 2026-01-01}",
        "{attribute: born, is: 2026-01-01}",
        "{attribute: seen, after: 2026-01-01}",
        "{attribute: seen, within_last: 3 days}",
        "{attribute: balance, above: {entry: amount}}",
        "{attribute: city, is: {entry: source}}",
        "{all: [{attribute: age, at_least: 5}, {attribute: age, at_most: 5}]}",
        "{all: [{attribute: age, above: 5}, {not: {attribute: balance, below: 3}}]}",
        "{all: [{attribute: seen, after: '2026-01-01T00:00Z'}, "
        "{attribute: seen, before: '2026-01-01T00:30'}]}",
        "{all: [{attribute: seen, is: 2026-01-01}, {attribute: seen, is: '2026-01-01T00:00'}]}",
        "{any: [{attribute: age, below: 5}, {attribute: age, above: 50}]}",
        "{all: [{tag: gold}, {not: {group: beta}}]}",
    ],
)
def test_sound_conditions_pass(test: str) -> None:
    assert lint(flow_of(condition(test)), SCHEMA) == []


def test_types_of_attributes_are_what_all_uses_allow() -> None:
    nodes = """
a: {type: condition, if: {any: [{attribute: x, is: 2026-01-01}, {attribute: n, is: 1}]},
    next: {yes: b, no: b}}
b: {type: condition, if: {any: [{attribute: x, within_last: 1 day}, {attribute: n, is: x}]},
    next: {yes: c, no: c}}
c: {type: condition, if: {any: [{attribute: u, is_set: true}, {entry: e, is: 1}]},
    next: {yes: d, no: d}}
d: {type: branch_attribute, attribute: city, branches: {p: [a, 2026-01-01]}, next: {p: e, other: e}}
e: {type: add_to_attribute, attribute: n2, by: 1, next: f}
f: {type: set_attribute, attribute: v, value: true, next: done}
"""
    assert attribute_types(flow_of(nodes)) == {
        "x": {"date", "datetime"},
        "n": set(),
        "u": {"bool", "number", "text", "date", "datetime"},
        "city": {"text"},
        "n2": {"number"},
        "v": {"bool"},
    }


def test_A030_a_start_needs_a_stop_and_the_stop_comes_after_it() -> None:  # noqa: N802
    text = "headrace: 1\nflow: f\nsettings: {start: 2026-01-01}\nnodes: {a: {type: end}}"
    _, (found,) = read_flow(text, name="f.yaml")
    assert (found.code, found.pointer) == ("invalid-value", "/settings")
    assert "needs a stop time" in found.message
    sound = flow_of(A_END, "start: 2026-01-01, stop: 2026-01-02")
    assert lint(sound) == []


def test_A045_two_nodes_that_send_the_same_message_are_told() -> None:  # noqa: N802
    nodes = f"a: {SEND % ('t', 'b')}\nb: {SEND % ('u', 'c')}\nc: {SEND % ('t', 'done')}"
    (found,) = lint(flow_of(nodes))
    assert (found.code, found.severity) == ("action-twice", "warning")
    assert found.message == "one person can get 't' twice: from 'a' as well"


def test_A069_weights_of_an_ab_test_total_100_percent() -> None:  # noqa: N802
    node = "a: {type: ab_test, branches: {x: 50%%, y: %s}, next: {x: done, y: done}, target: %s}"
    target = "{event: click, within: 1 day}"
    assert lint(flow_of(node % ("50%", target))) == []
    for weight in ("49.99%", "50.01%", "0%"):
        found = lint(flow_of(node % (weight, target)))
        assert found[0].code == "weights-total"
        assert found[0].severity == "error"


def test_A160_a_part_begins_with_a_trigger() -> None:  # noqa: N802
    (found,) = lint(flow_of(f"{A_END}\nb: {{type: wait_event, event: e, next: {{event: done}}}}"))
    assert (found.code, found.pointer) == ("unreachable-node", "/nodes/b")
    alone = f"{A_END}\nb: {{type: wait_event, event: e, next: {{event: c}}}}\nc: {{type: end}}"
    (found,) = lint(flow_of(alone))
    assert (found.code, found.severity) == ("part-without-trigger", "error")
