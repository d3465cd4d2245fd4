"""Checks that documents of the wrong shape get one violation for each mistake, in plain words."""

import pytest

from core.conditions import Kinds
from core.document import read_flow, read_responses
from core.violations import Violation


def _read(node: str, head: str = "") -> list[Violation]:
    lines = "".join(f"    {line}\n" for line in node.splitlines())
    text = f"headrace: 1\nflow: f\n{head}nodes:\n  a:\n{lines}"
    flow, violations = read_flow(text, name="f.yaml")
    assert (flow is None) == bool(violations)
    return violations


def _condition(condition: str) -> str:
    return f"type: condition\nif: {condition}"


ANY = "text, a number, true or false or {entry: property}"


@pytest.mark.parametrize(
    ("node", "code", "pointer", "message", "advice"),
    [
        ("type: snd", "unknown-node-type", "/type", "there is no node type 'snd'", "mean 'send'"),
        ("type: Wait_For", "unknown-node-type", "/type", "node type 'Wait_For'", "'wait_for_date'"),
        ("type: 5", "unknown-node-type", "/type", "there is no node type the number 5", "on_event"),
        ("next: b", "unknown-node-type", "", "the node has no type", "Add `type`"),
        ("[]", "wrong-type", "", "a node is a mapping with a type, not an empty list", "on_event"),
        ("type: end\nx: 1", "unknown-field", "/x", "no field 'x'",
         "Remove it. The fields here are"),
        ("type: wait\nfor: 1 day\nnxt: b", "unknown-field", "/nxt", "no field 'nxt'",
         "mean 'next'"),
        ("type: wait", "missing-field", "", "the field 'for' is missing", "Add `for`."),
        ("type: wait\nfor: 5", "invalid-value", "/for", "the number 5 can't be understood",
         "Write"),
        ("type: wait\nfor: 5 eons", "invalid-value", "/for", "the unknown unit 'eons'",
         "30 minutes"),
        ("type: wait\nfor: -1 day", "invalid-value", "", "a wait can't be negative", "Change"),
        ("type: end\nnext: 5", "wrong-type", "/next", "expected a mapping, found the number 5", ""),
        ("type: end\nnext: a b", "invalid-name", "/next", "'a b' is not an id", "64 letters"),
        ("type: end\ntitle: ''\nnote: 7", "wrong-type", "/note", "expected text", "quotes"),
        ("type: send\nchannel: emial\ntemplate: t", "unknown-value", "/channel",
         "the text 'emial' isn't possible here", "Did you mean 'email'? Write one of email, sms"),
        ("type: send\nchannel: sms\ntemplate: ''", "out-of-range", "/template", "is empty",
         "Write"),
        (f"type: add_tag\ntag: {'x' * 300}", "out-of-range", "/tag", "is too long", "at most 256"),
        ("type: split\nbranches: {a: 150%}", "out-of-range", "/branches/a", "'150%'", "most 100%"),
        ("type: split\nbranches: {a: 10001}", "out-of-range", "/branches/a", "10001", "most 10000"),
        ("type: split\nbranches: {a: half}", "invalid-value", "/branches/a", "a weight is a", ""),
        ("type: split\nbranches: {a/b: 100%}", "invalid-name", "/branches/a~1b", "'a/b' is not",
         ""),
        ("type: split\nbranches: {}", "out-of-range", "/branches", "it has 0 parts", "At least 1"),
        ("type: wait_until\nat: tomorrow", "invalid-name", "/at", "'tomorrow' is not a date",
         "2026"),
        ("type: on_schedule\nrepeat: weekly\nat: '9:00'", "invalid-value", "", "'weekdays'",
         "Change"),
        ("type: on_schedule\nrepeat: daily\nat: '25:00'", "invalid-value", "/at", "24:00", "Write"),
        ("type: wait_slot\nslots: [{from: '9:00', until: '8:00'}]", "invalid-value", "/slots/0",
         "a slot ends after it begins", "Write two slots for one across midnight."),
        ("type: wait_slot\nslots: [{from: '9:00', until: '10:00', days: [fr]}]", "unknown-value",
         "/slots/0/days/0", "the text 'fr' isn't possible here", "Did you mean 'fri'?"),
        ("type: add_to_attribute\nattribute: x\nby: '5'", "wrong-type", "/by",
         "expected a number, found the text '5'", "Write a number."),
        ("type: set_attribute\nattribute: x\nvalue:", "wrong-type", "/value",
         "expected text, a number or true or false, found nothing (null)", "leave the field out"),
        (_condition("{}"), "empty-condition", "/if", "the condition is empty",
         "Remove it, or fill"),
        (_condition(""), "empty-condition", "/if", "the condition is empty", "Remove it, or fill"),
        (_condition("{all: []}"), "empty-condition", "/if/all", "'all' has no parts", "Add a test"),
        (_condition("{any: [{}]}"), "empty-condition", "/if/any/0", "is empty", "exactly one of"),
        (_condition("5"), "wrong-type", "/if", "a condition is a mapping, not the number 5", "tag"),
        (_condition("{tga: x}"), "unclear-condition", "/if", "no kind of test", "mean 'tag'"),
        (_condition("{tag: x, group: y}"), "unclear-condition", "/if", "several", "`all` or `any`"),
        (_condition("{attribute: a}"), "invalid-value", "/if", "found none",
         "Write one comparison"),
        (_condition("{attribute: a, is: 1, above: 0}"), "invalid-value", "/if", "is, above",
         "by `all`"),
        (_condition("{attribute: a, is: [1]}"), "wrong-type", "/if/is", f"{ANY}, found a list",
         ANY),
        (_condition("{attribute: a, is: {}}"), "missing-field", "/if/is", "'entry' is missing",
         "Add"),
        (_condition("{attribute: a, is: {entry: 1}}"), "wrong-type", "/if/is/entry", "text",
         "quotes"),
        (_condition("{attribute: a, one_of: [1, []]}"), "wrong-type", "/if/one_of/1", "or false",
         ""),
        (_condition("{attribute: a, is: -9223372036854775808}"), "invalid-value", "/if/is",
         "64 bits",
         ""),
        (_condition("{attribute: a, one_of: 1}"), "wrong-type", "/if/one_of", "expected a list",
         ""),
        (_condition("{attribute: a, between: [1]}"), "missing-field", "/if/between", "needs 2",
         "Add"),
        (_condition("{attribute: a, between: [1, 2, 3]}"), "out-of-range", "/if/between", "3",
         "most 2"),
        (_condition("{attribute: a, before: 5}"), "wrong-type", "/if/before", "expected text",
         "quotes"),
        (_condition("{did: e, at_least: 0}"), "out-of-range", "/if/at_least", "0", "at least 1"),
        (_condition("{did: e, within: 1 month}"), "invalid-value", "/if/within", "'1 month'",
         "Months"),
        (_condition("{did: e, wher: {}}"), "unknown-field", "/if/wher", "'wher'", "mean 'where'"),
        (_condition("{not: {not: {tag: x, y: 1}}}"), "unknown-field", "/if/not/not/y", "'y'",
         "tag"),
        ("type: on_event\nevent: e\nwhere: {}", "empty-condition", "/where", "filter is empty", ""),
        ("type: on_event\nevent: e\nwhere: {did: x}", "unclear-condition", "/where",
         "a filter reads one event only, so it has no 'did'", "property"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_violation(
    node: str, code: str, pointer: str, message: str, advice: str
) -> None:
    (found,) = _read(node)
    assert (found.code, found.pointer) == (code, f"/nodes/a{pointer}")
    assert message in found.message
    assert advice in found.advice
    assert found.line is not None


def test_the_settings_are_checked_too() -> None:
    head = (
        "lineage: 1\nsettings:\n  zone: 7\n  start: 2026-01-01\n  stop: x\n  zonne: x\n"
        "  reentry: {policy: evr, gab: 1}\n  goal: {event: e}\n  funnel: [{name: x, nodes: []}]\n"
    )
    assert [(v.code, v.pointer, v.line) for v in _read("type: end", head)] == [
        ("wrong-type", "/lineage", 3),
        ("wrong-type", "/settings/zone", 5),
        ("invalid-name", "/settings/stop", 7),
        ("unknown-field", "/settings/zonne", 8),
        ("unknown-field", "/settings/reentry/gab", 9),
        ("unknown-value", "/settings/reentry/policy", 9),
        ("missing-field", "/settings/goal", 10),
        ("out-of-range", "/settings/funnel/0/nodes", 11),
    ]


def test_a_misspelt_field_is_told_from_both_sides() -> None:
    missing, unknown = _read("type: send\nchanel: email\ntemplate: x")
    assert (missing.code, unknown.code) == ("missing-field", "unknown-field")
    assert missing.advice == "Is `channel` what you meant by 'chanel'?"
    assert "Did you mean 'channel'?" in unknown.advice


def test_the_head_of_a_document_is_explained() -> None:
    _, found = read_flow("nodes: {a b: {type: end}}", name="f.yaml")
    assert [(v.code, v.pointer, v.advice[:24]) for v in found] == [
        ("missing-field", "", "Write `flow:` with an id"),
        ("missing-field", "", "Write `headrace: 1`, the"),
        ("invalid-name", "/nodes/a b", "An id has 1 to 64 letter"),
    ]
    _, (version,) = read_flow("headrace: 2\nflow: f\nnodes: {a: {type: end}}", name="f.yaml")
    assert (version.code, version.advice) == ("unknown-value", "Write 1.")
    _, (whole,) = read_flow("- 1", name="f.yaml")
    assert (whole.code, whole.pointer) == ("wrong-type", "")


def test_responses_are_explained_alike() -> None:
    text = """
headrace_responses: 1
rules:
  - for: {chanel: email, if: {tga: x}}
    outcomes:
      - {event: opened, probability: 2, delay: {constant: 1 hour, sigma: 2}}
      - {event: clicked, after: opened, probability: 5%, delay: {lognormal: {median: 1 hour}}}
      - {event: bought, probability: 5%, delay: {quantiles: [[0.5, 1 hour], [2, 2 hours]]}}
      - {event: sold, probability: 5%, delay: {constant: 1 hour}, properties: {x: [1]}}
"""
    responses, found = read_responses(text, name="r.yaml")
    assert responses is None
    assert [(v.code, v.pointer, v.line) for v in found] == [
        ("unknown-field", "/rules/0/for/chanel", 4),
        ("unclear-condition", "/rules/0/for/if", 4),
        ("unknown-field", "/rules/0/outcomes/0/delay/sigma", 6),
        ("invalid-value", "/rules/0/outcomes/0/probability", 6),
        ("missing-field", "/rules/0/outcomes/1/delay/lognormal", 7),
        ("out-of-range", "/rules/0/outcomes/2/delay/quantiles/1/0", 8),
        ("wrong-type", "/rules/0/outcomes/3/properties/x", 9),
    ]
    sigma = next(v for v in found if v.pointer.endswith("sigma"))
    assert "The fields here are constant, exponential" in sigma.advice


def test_every_kind_of_condition_is_offered() -> None:
    (found,) = _read(_condition("{xyz: 1}"))
    for kind in Kinds.condition:
        assert kind in found.advice
