"""Checks how templates are read and made into flows, and that mistakes are told where they are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from api.template import Template, TemplateError, make_flow, read_template, without_heading
from api.template_kinds import KINDS, Value
from core.errors import HeadraceError

HEAD = """\
headrace_template: 1
title: A reminder
summary: Reminds people.
parameters:
"""
BODY = """\
---
headrace: 1
flow: $flow
nodes:
  begin: {type: on_event, event: $event, next: office}
  # In the morning.
  office:
    type: wait_slot
    slots: [{from: $from, until: $until}]
    next: remind
  remind: {type: send, channel: email, template: $message, next: done}
  done: {type: end}
"""
PARAMETERS = """\
  event: {type: name, default: add_to_cart, help: What begins it.}
  from: {type: time, default: "09:00", help: No earlier.}
  until: {type: time, default: "12:00", help: No later.}
  message: {type: text, help: What is sent.}
"""


def template(parameters: str = PARAMETERS, body: str = BODY) -> Template:
    return read_template(HEAD + parameters + body, "reminder", "reminder.yaml")


def refused(parameters: str = PARAMETERS, body: str = BODY) -> str:
    with pytest.raises(TemplateError) as raised:
        template(parameters, body)
    return str(raised.value)


def not_made(given_values: Mapping[str, Value], parameters: str = PARAMETERS) -> str:
    with pytest.raises(TemplateError) as raised:
        make_flow(template(parameters), given_values)
    return str(raised.value)


def test_a_flow_keeps_the_comments_and_the_layout() -> None:
    made = make_flow(template(), {"message": "come-back", "from": "8:30"})
    heading, _, flow = made.text.partition("\n\n")
    assert (
        heading
        == """\
# A reminder: Reminds people.
#
# Made of the template reminder, with:
#   flow    = reminder  (The id of the flow.)
#   event   = add_to_cart  (What begins it.)
#   from    = 08:30  (No earlier.)
#   until   = 12:00  (No later.)
#   message = come-back  (What is sent.)"""
    )
    assert flow == (
        BODY.removeprefix("---\n")
        .replace("$flow", "reminder")
        .replace("$event", "add_to_cart")
        .replace("$from", '"08:30"')
        .replace("$until", '"12:00"')
        .replace("$message", "come-back")
    )
    assert without_heading(made.text) == flow
    assert made.flow.flow == "reminder"
    assert [v.severity for v in made.violations if v.severity != "info"] == []


def test_a_comment_of_somebody_else_is_no_heading() -> None:
    text = "# Mine.\n\nheadrace: 1\n"
    assert without_heading(text) == text


@given(st.text(max_size=40))
def test_a_text_is_a_value_whatever_is_in_it(text: str) -> None:
    if text.strip() and text.strip().isprintable():
        made = make_flow(template(), {"message": text})
        assert made.flow.nodes["remind"].model_dump()["template"] == text.strip()
        assert list(made.flow.nodes) == ["begin", "office", "remind", "done"]
    else:
        assert not_made({"message": text}).startswith("parameter 'message': ")


@pytest.mark.parametrize(
    "message",
    [
        "x, next: gone}",
        "$event",
        "'",
        '"',
        "# no comment",
        "*alias",
        "!tag x",
        "&a b",
        "{{ liquid }}",
        "\\",
        "yes",
        "007",
    ],
)
def test_hostile_texts_change_nothing_else(message: str) -> None:
    made = make_flow(template(), {"message": message})
    plain = make_flow(template(), {"message": "x"})
    assert made.flow.nodes["remind"].model_dump()["template"] == message
    assert made.text.count("\n") == plain.text.count("\n")
    assert {i: n for i, n in made.flow.nodes.items() if i != "remind"} == {
        i: n for i, n in plain.flow.nodes.items() if i != "remind"
    }


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "parameter 'message' of template 'reminder' has no default. Set it: --set message=... "
             "It is a text: What is sent."),
        ({"mesage": "x"}, "template 'reminder' has no parameter 'mesage'. Did you mean 'message'? "
                          "It has flow, event, from, until, message"),
        ({"message": "x", "from": "nine"},
         "parameter 'from': 'nine': it is not a time of day between 00:00 and 23:59. "
         "It is a time of day such as 09:00: No earlier."),
        ({"message": "x", "event": ["a", "b"]},
         "parameter 'event': \"['a', 'b']\": it is a list. It is a name: What begins it."),
    ],
)  # fmt: skip
def test_a_wrong_parameter_is_named(values: Mapping[str, Value], told: str) -> None:
    assert not_made(values) == told


def test_values_that_fit_only_by_themselves_are_named() -> None:
    told = not_made({"message": "x", "from": "18:00"})
    assert told.startswith(
        "template 'reminder' makes no flow that can run: parameters from=18:00, until=12:00: "
        "/nodes/office/slots/0: "
    )
    assert "a slot ends after it begins" in told


def test_bounds_hold() -> None:
    count = "  message: {type: integer, default: 5, least: 1, most: 1000, help: How many.}\n"
    parameters = PARAMETERS.partition("  message")[0] + count
    for value, reason in (("0", "it is below 1"), ("1001", "it is above 1,000")):
        told = not_made({"message": value}, parameters)
        assert told == f"parameter 'message': '{value}': {reason}. It is a whole number: How many."


@pytest.mark.parametrize(
    ("parameters", "body", "told"),
    [
        (PARAMETERS, "headrace: 1\n",
         "reminder.yaml: a template has two parts with a line '---' in between, and this has one. "
         "Write the head with the parameters, then '---', then the flow"),
        (PARAMETERS + "  spare: {type: date, help: Nothing.}\n", BODY,
         "reminder.yaml, /parameters/spare: the flow has no place for the parameter 'spare'. "
         "Write $spare where its value belongs, or remove it"),
        (PARAMETERS.partition("  message")[0], BODY,
         "reminder.yaml, line 18: the placeholder $message has no parameter of that name. "
         "Declare it in the head, or write $$message for the text $message"),
        (PARAMETERS, BODY.replace("$until", "$until.rest"),
         "reminder.yaml, line 17: a time of day such as 09:00 has no form 'rest'; it has none"),
        (PARAMETERS.replace("type: text", "type: names"), BODY.replace("  remind:", "  $message:"),
         "reminder.yaml, line 19: the parameter 'message' is a list, which can't be a key"),
        (PARAMETERS.replace('"12:00"', "noon"), BODY,
         "reminder.yaml, /parameters/until: parameter 'until': 'noon': it is not a time of day "
         "between 00:00 and 23:59"),
        (PARAMETERS.replace("What begins it.", "x, least: 3"), BODY,
         "reminder.yaml, /parameters/event: 'least' and 'most' bound numbers; 'event' is a name"),
        (PARAMETERS.replace("event:", "Event:"), BODY,
         "reminder.yaml, /parameters/Event: 'Event' is no name of a parameter. "
         "Use small letters, digits and '_'"),
        (PARAMETERS.replace("type: text", "type: colour"), BODY,
         "reminder.yaml, line 8, /parameters/message/type: "),
        (PARAMETERS.replace(", help: What is sent.", ""), BODY,
         "reminder.yaml, line 8, /parameters/message"),
        (PARAMETERS, BODY.replace("next: remind", "next: [remind"), "reminder.yaml, line "),
        (PARAMETERS, BODY.replace("# In", "office: {}\n  # In"),
         "reminder.yaml, line 16: the key 'office' is on line 14 and again on line 16"),
    ],
)  # fmt: skip
def test_a_bad_template_is_told_with_its_place(parameters: str, body: str, told: str) -> None:
    found = refused(parameters, body)
    assert found.startswith(told)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
FIELDS = st.dictionaries(
    st.sampled_from(["type", "default", "help", "least", "most", "x"]),
    PLAIN | st.lists(PLAIN, max_size=3) | st.sampled_from(sorted(KINDS)),
)
HEADS = st.dictionaries(
    st.sampled_from(["headrace_template", "title", "summary", "about", "parameters", "y"]),
    st.just(1) | PLAIN | st.dictionaries(st.sampled_from(["event", "from", "b c"]), PLAIN | FIELDS),
)
BODIES = st.recursive(
    PLAIN | st.sampled_from(["$event", "$from.rest", "$$event", "$"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["$event", "nodes", "flow", "headrace"]), inner)
    ),
    max_leaves=8,
)


@given(HEADS, BODIES)
def test_any_template_is_read_and_made_or_refused(head: Any, body: Any) -> None:
    whole = {"headrace_template": 1, "title": "t", "summary": "s"}
    for tried in (head, whole | head, whole | {"parameters": head.get("parameters", {})}):
        text = yaml.safe_dump(tried, allow_unicode=True) + "---\n" + yaml.safe_dump(body)
        with suppress(HeadraceError):
            made = make_flow(read_template(text, "any", "any.yaml"), {})
            assert made.flow.headrace == 1


def test_a_flow_that_is_no_flow_is_told_when_it_is_made() -> None:
    broken = template(body=BODY.replace("next: done}", "next: nowhere}"))
    with pytest.raises(TemplateError, match="makes no flow that can run: /nodes/remind/next"):
        make_flow(broken, {"message": "x"})
