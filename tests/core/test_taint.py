"""Checks how far an assumption reaches: what is called exact must not depend on a response."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.audience_build import audience_from_python
from core.balance import UnbalancedError
from core.counters import Counters
from core.flow import Flow
from core.reference import run
from core.report import AudienceFacts
from core.report_build import build_report
from core.responses import Responses
from core.taint import Assumptions, assumed_nodes, assumptions, modelled_events
from differential import Loaded, TooLongError, load, run_reference
from random_flows import random_case
from sample_flows import welcome, welcome_responses
from walks import FROM_MS, OPTIONS

START = {"type": "on_event", "event": "signup", "next": "mail"}
MAIL = {"type": "send", "channel": "email", "template": "hello", "next": "wait"}
WAIT = {
    "type": "wait_event",
    "event": "clicked",
    "timeout": "1 day",
    "next": {"event": "yes", "timeout": "no"},
}
END = {"type": "end"}


def flow(nodes: dict[str, Any], **settings: Any) -> Flow:
    return Flow.model_validate({"headrace": 1, "flow": "f", "settings": settings, "nodes": nodes})


def responses(*events: str, **scope: Any) -> Responses:
    outcomes = [{"event": e, "probability": 0.5, "delay": {"constant": "1 hour"}} for e in events]
    return Responses.model_validate(
        {"headrace_responses": 1, "rules": [{"for": scope, "outcomes": outcomes}]}
    )


def chain(**more: Any) -> dict[str, Any]:
    return {"start": START, "mail": MAIL, "wait": WAIT, "yes": END, "no": END, **more}


def test_without_responses_nothing_is_assumed() -> None:
    assert assumptions(flow(chain()), None) == Assumptions()


def test_a_wait_for_a_modelled_event_leaves_by_assumption() -> None:
    found = assumptions(flow(chain()), responses("clicked"))
    assert found.events == {"clicked"}
    assert found.entered == {"yes", "no"}
    assert found.left == {"wait", "yes", "no"}
    assert found.idle == {"wait", "yes", "no"}
    assert not found.entries
    assert assumed_nodes(flow(chain()), responses("clicked")) == {"wait", "yes", "no"}


def test_another_modelled_event_does_not_touch_the_wait() -> None:
    assert assumptions(flow(chain()), responses("opened")).nodes == set()


@pytest.mark.parametrize(
    "scope", [{"channel": "sms"}, {"node": "other"}, {"template": "bye"}], ids=str
)
def test_rules_that_fit_no_send_model_nothing(scope: dict[str, str]) -> None:
    assert modelled_events(flow(chain()), responses("clicked", **scope)) == set()


def test_the_first_rule_that_fits_hides_the_next_unless_it_has_a_condition() -> None:
    def rules(first: dict[str, Any]) -> Responses:
        delay = {"constant": "1 hour"}
        return Responses.model_validate(
            {
                "headrace_responses": 1,
                "rules": [
                    {
                        "for": first,
                        "outcomes": [{"event": "opened", "probability": 1, "delay": delay}],
                    },
                    {"outcomes": [{"event": "clicked", "probability": 1, "delay": delay}]},
                ],
            }
        )

    assert modelled_events(flow(chain()), rules({"channel": "email"})) == {"opened"}
    some = rules({"channel": "email", "if": {"tag": "vip"}})
    assert modelled_events(flow(chain()), some) == {"opened", "clicked"}


def test_a_wait_for_one_message_sees_only_its_responses() -> None:
    nodes = chain(
        yes={"type": "send", "channel": "sms", "template": "t", "next": "wait2"},
        wait2={**WAIT, "message": "yes", "next": {"event": "e", "timeout": "e"}},
        e=END,
    )
    nodes["wait"] = {**WAIT, "event": "signup"}
    assert assumptions(flow(nodes), responses("clicked", channel="email")).nodes == set()
    found = assumptions(flow(nodes), responses("clicked", channel="sms"))
    assert found.entered == {"e"}
    assert found.left == {"wait2", "e"}


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        (
            {"type": "add_tag", "tag": "hot"},
            {"type": "condition", "if": {"not": {"tag": "hot"}}, "next": {"yes": "x", "no": "x"}},
        ),
        (
            {"type": "remove_tag", "tag": "hot"},
            {"type": "branch_tag", "branches": {"h": "hot"}, "next": {"h": "x", "other": "x"}},
        ),
        (
            {"type": "set_attribute", "attribute": "tier", "value": "gold"},
            {"type": "branch_attribute", "attribute": "tier", "branches": {"g": "gold"}, "next": {
                "g": "x", "other": "x"}},
        ),
        (
            {"type": "set_attribute", "attribute": "due", "value": "2026-01-01"},
            {"type": "wait_date", "attribute": "due", "next": {"next": "x", "missing": "x"}},
        ),
        (
            {"type": "add_to_group", "group": "g"},
            {"type": "condition", "if": {"group": "g"}, "next": {"yes": "x", "no": "x"}},
        ),
    ],
    ids=lambda node: node["type"],
)  # fmt: skip
def test_what_an_assumed_node_writes_taints_those_who_read_it(
    writer: dict[str, Any], reader: dict[str, Any]
) -> None:
    """The reader stands beside, not below: only the written value connects them."""
    nodes = chain(yes={**writer, "next": "no"}, mail={**MAIL, "next": ["wait", "pause"]})
    nodes |= {"pause": {"type": "wait", "for": "1 h", "next": "read"}, "read": reader, "x": END}
    assert {"read", "x"} <= assumptions(flow(nodes), responses("clicked")).nodes
    assert {"read", "x", "pause"}.isdisjoint(assumed_nodes(flow(nodes), responses("opened")))
    assert "pause" not in assumed_nodes(flow(nodes), responses("clicked"))


def test_history_of_a_modelled_event_is_assumed_wherever_it_is_asked() -> None:
    ask = {"type": "condition", "if": {"never_did": "opened"}, "next": {"yes": "mail"}}
    found = assumptions(flow(chain(start={**START, "next": "ask"}, ask=ask)), responses("opened"))
    assert found.entered == {"mail", "wait", "yes", "no"}
    assert found.left == {"ask", "mail", "wait", "yes", "no"}


def test_a_trigger_on_a_modelled_event_makes_its_entries_assumed() -> None:
    more = {"again": {"type": "on_event", "event": "clicked", "next": "yes"}}
    always = assumptions(flow(chain(**more), reentry={"policy": "always"}), responses("clicked"))
    assert always.entries
    assert "again" in always.entered
    assert "start" not in always.entered
    once = assumptions(flow(chain(**more)), responses("clicked"))
    assert {"start", "again", "mail"} <= once.entered


def test_a_trigger_on_assumed_values_makes_its_entries_assumed() -> None:
    more = {
        "yes": {"type": "add_tag", "tag": "hot", "next": "no"},
        "hot": {"type": "on_segment", "if": {"tag": "hot"}, "next": "no"},
    }
    found = assumptions(flow(chain(**more), reentry={"policy": "always"}), responses("clicked"))
    assert "hot" in found.entered
    assert "start" not in found.entered


def test_re_entry_after_exit_depends_on_when_the_first_entry_ends() -> None:
    after = assumptions(flow(chain(), reentry={"policy": "after_exit"}), responses("clicked"))
    assert after.entered == {"start", "mail", "wait", "yes", "no"}
    assert after.entries
    gap = {"policy": "always", "gap": "1 day"}
    assert not assumptions(flow(chain(), reentry=gap), responses("clicked")).entries


def test_an_entry_wait_is_entered_by_assumption() -> None:
    nodes = chain(wait={**WAIT, "entry": True})
    found = assumptions(flow(nodes, reentry={"policy": "always"}), responses("clicked"))
    assert found.entries
    assert "wait" in found.entered
    assert "start" not in found.entered


def test_an_assumed_end_of_the_whole_entry_reaches_the_other_paths() -> None:
    nodes = chain(
        start={**START, "next": ["mail", "tag"]},
        tag={"type": "add_tag", "tag": "t", "next": "later"},
        later={"type": "wait", "for": "3 days", "next": "sms"},
        sms={"type": "send", "channel": "sms", "template": "t"},
        yes={"type": "end", "whole_flow": True},
    )
    found = assumptions(flow(nodes), responses("clicked"))
    assert {"tag", "later", "sms"} <= found.entered
    assert "mail" not in found.entered
    assert "sms" in found.idle
    nodes["yes"] = END
    found = assumptions(flow(nodes), responses("clicked"))
    assert {"tag", "later", "sms"}.isdisjoint(found.nodes)


def test_successes_on_modelled_events_are_assumed_and_others_exact() -> None:
    target = {"event": "clicked", "within": "1 day"}
    test = {
        "type": "ab_test",
        "branches": {"a": "50%", "b": "50%"},
        "target": target,
        "next": {"a": "mail", "b": "mail"},
    }
    nodes = chain(start={**START, "next": "test"}, test=test)
    found = assumptions(flow(nodes, goal=target), responses("clicked"))
    assert found.tests == {"test"}
    assert found.goal
    assert "test" not in found.nodes
    other = {"event": "purchase", "within": "1 day"}
    nodes["test"] = {**test, "target": other}
    found = assumptions(flow(nodes, goal=other), responses("clicked"))
    assert found.tests == set()
    assert not found.goal


def test_long_chains_take_linear_time() -> None:
    """Written against the direction of the flow, the worst case for a pass in document order."""
    n = 4000
    order = np.arange(n)[::-1]
    nodes: dict[str, Any] = {
        f"n{i}": {"type": "add_tag", "tag": "t", "next": f"n{i + 1}" if i < n - 1 else "end"}
        for i in order
    }
    nodes |= chain(yes={"type": "add_tag", "tag": "t", "next": "n0"}, end=END)
    assert len(assumptions(flow(nodes), responses("clicked")).entered) == n + 3


def replicates(seed: int) -> tuple[Loaded, list[Counters]]:
    """A random flow run with four different draws of its responses; none where that takes long."""
    loaded = load(random_case(seed))
    runs = []
    try:
        for k in range(4):
            options = replace(loaded.options, seed=k, replicate=k)
            runs.append(run_reference(replace(loaded, options=options))[1])
    except TooLongError:
        return loaded, []
    return loaded, runs


@pytest.mark.parametrize(
    "seeds",
    [range(100), pytest.param(range(100, 4000), marks=pytest.mark.soak)],
    ids=["short", "long"],
)
def test_what_is_called_exact_is_equal_whatever_people_answer(seeds: range) -> None:
    """On random flows: `build_report` compares every figure that no assumption is said to touch."""
    compared = 0
    for seed in seeds:
        loaded, runs = replicates(seed)
        if loaded.responses is not None and runs:
            compared += bool(modelled_events(loaded.flow, loaded.responses))
            audience = AudienceFacts("people", loaded.audience.customers)
            about = {"audience": audience, "responses": loaded.responses}
            build_report(loaded.flow, runs, loaded.options, **about)  # type: ignore[arg-type]
    assert compared >= 5


def test_a_figure_that_differs_and_is_called_exact_is_refused() -> None:
    """The comparison above is not idle: without the analysis, the same runs make no report."""
    customers = [
        {"id": f"c{i}", "attributes": {"country": "DE", "sms_consent": True, "points": 1}}
        for i in range(20)
    ]
    events = [
        {"customer": f"c{i}", "event": "signup", "time": FROM_MS, "properties": {"source": "web"}}
        for i in range(20)
    ]
    people = audience_from_python(customers, events)
    model = welcome_responses()
    runs = [run(welcome(), people, replace(OPTIONS, replicate=k), model).counters for k in range(4)]
    audience = AudienceFacts("people", 20)
    found = build_report(welcome(), runs, OPTIONS, audience=audience, responses=model)
    assert found.node("engaged").entered.assumed
    assert found.node("engaged").entered.lo != found.node("engaged").entered.hi
    assert found.totals.people.value == 20
    with pytest.raises(UnbalancedError, match="rests on no response"):
        build_report(welcome(), runs, OPTIONS, audience=audience)


def coupled(settings: dict[str, Any], **nodes: Any) -> Assumptions:
    """What is assumed where `opened` is modelled and lets people in at `o`."""
    take = {"type": "take_coupon", "pool": "p", "next": {"taken": "x", "sold_out": "x"}}
    flow = Flow.model_validate(
        {
            "headrace": 1,
            "flow": "f",
            "settings": {
                "coupons": {"p": 1, "q": 1},
                "reentry": {"policy": "always"},
                **settings,
            },
            "nodes": {
                "t": {"type": "on_event", "event": "go", "next": "m"},
                "m": {"type": "send", "channel": "email", "template": "m", "next": "k"},
                "o": {"type": "on_event", "event": "opened", "next": "l"},
                "k": take,
                "l": take,
                "n": {**take, "pool": "q"},
                "x": {"type": "end"},
                **nodes,
            },
        }
    )
    outcomes = [{"event": "opened", "probability": 0.5, "delay": {"constant": "1 hour"}}]
    responses = {"headrace_responses": 1, "rules": [{"outcomes": outcomes}]}
    return assumptions(flow, Responses.model_validate(responses))


def test_assumed_people_take_coupons_and_places_from_others() -> None:
    found = coupled({})
    assert ("k" in found.left, "k" in found.entered) == (True, False)
    assert "n" not in found.left
    assert "t" not in found.entered
    assert "t" in coupled({"entry_cap": 5}).entered


def test_a_test_that_ends_by_assumed_successes_is_assumed() -> None:
    def ends(event: str, **until: Any) -> bool:
        target = {"event": event, "within": "1 day"}
        node = {"type": "ab_test", "branches": {"a": "50%", "b": "50%"}, "target": target}
        found = coupled({}, t={"type": "on_event", "event": "go", "next": ["m", "s"]},
                        s={**node, **until, "next": {"a": "x", "b": "x"}})  # fmt: skip
        return "s" in found.left

    assert ends("opened", until={"people": 5})
    assert not ends("opened")
    assert not ends("go", until={"people": 5})
