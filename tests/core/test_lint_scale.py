"""Checks that lint judges the largest flows quickly, and refuses still larger ones."""

from collections import Counter
from time import process_time
from typing import Any

import numpy as np
import pytest

from core import limits
from core.audience_facts import AttributeFacts, AudienceFacts
from core.content import Content
from core.flow import Flow
from core.lint import lint

SECONDS_MAX = 2.0


def _flow(nodes: dict[str, Any]) -> Flow:
    start = {"type": "on_event", "event": "e", "next": "n0"}
    return Flow.model_validate({"headrace": 1, "flow": "f", "nodes": {"start": start, **nodes}})


def _tags(count: int, edges: Any) -> dict[str, Any]:
    return {f"n{i}": {"type": "add_tag", "tag": "t", "next": edges(i)} for i in range(count)}


def _counted(flow: Flow) -> Counter[str]:
    began = process_time()
    found = lint(flow)
    assert process_time() - began < SECONDS_MAX
    return Counter(v.code for v in found)


@pytest.mark.parametrize("nodes", [5_000, 10_000])
def test_a_long_chain_is_sound(nodes: int) -> None:
    chain = _tags(nodes, lambda i: f"n{i + 1}")
    assert _counted(_flow({**chain, f"n{nodes}": {"type": "end"}})) == {}


def test_a_long_cycle_is_found() -> None:
    ring = _tags(
        10_000, lambda i: [f"n{(i + 1) % 10_000}", "done"] if i == 5 else f"n{(i + 1) % 10_000}"
    )
    found = lint(_flow({**ring, "done": {"type": "end"}}))
    assert [v.code for v in found] == ["cycle-without-wait"]
    assert found[0].pointer == "/nodes/n0"
    assert found[0].message.endswith("n10, n11 and 9988 more, n0")


def test_ten_thousand_forks_that_meet_again() -> None:
    ladder = _tags(10_000, lambda i: [f"n{i + 1}", f"n{i + 2}"])
    ends = {"n10000": {"type": "end"}, "n10001": {"type": "end"}}
    assert _counted(_flow({**ladder, **ends})) == {"rejoining-paths": 9_998}


def test_a_tangle_of_ten_thousand_nodes() -> None:
    rng = np.random.default_rng(1)
    targets = rng.integers(0, 10_000, (10_000, 7))
    nodes = {
        f"n{i}": {
            "type": "condition",
            "if": {"attribute": "a", "is": i},
            "next": {
                "yes": sorted({f"n{t}" for t in targets[i, :3]}),
                "no": sorted({f"n{t}" for t in targets[i, 3:]}),
            },
        }
        for i in range(10_000)
    }
    found = _counted(_flow({**nodes, "done": {"type": "end"}}))
    assert found["cycle-without-wait"] == 1
    assert found["fork-in-cycle"] > 19_000


def test_twenty_thousand_dangling_edges() -> None:
    nodes = _tags(10_000, lambda i: [f"x{i}", f"y{i}"])
    found = _counted(_flow({**nodes, "done": {"type": "end"}}))
    assert found["dangling-edge"] == 20_000


def test_ten_thousand_waits_for_messages() -> None:
    nodes: dict[str, Any] = {}
    for i in range(0, 10_000, 2):
        nodes[f"n{i}"] = {
            "type": "send",
            "channel": "sms",
            "template": f"t{i}",
            "next": f"n{i + 1}",
        }
        message = f"n{i - 2}" if i else "n4"
        nodes[f"n{i + 1}"] = {
            "type": "wait_event",
            "event": "e",
            "message": message,
            "next": {"event": f"n{i + 2}"},
        }
    assert _counted(_flow({**nodes, "n10000": {"type": "end"}})) == {"message-not-before": 1}


def test_many_conditions_are_judged() -> None:
    test = {"all": [{"attribute": f"a{i}", "above": i} for i in range(10_000)]}
    node = {"type": "condition", "if": test, "next": {"yes": "done", "no": "done"}}
    assert _counted(_flow({"n0": node, "done": {"type": "end"}})) == {}


def test_many_values_of_one_branch_are_judged() -> None:
    values = list(range(limits.VALUES_MAX))
    node = {
        "type": "branch_attribute",
        "attribute": "a",
        "branches": {"x": values},
        "next": {"x": "done", "other": "done"},
    }
    assert _counted(_flow({"n0": node, "done": {"type": "end"}})) == {}


def test_more_nodes_than_the_limit_are_refused_and_nothing_else_is_said() -> None:
    flow = _flow(_tags(100_000, lambda i: f"n{i + 1}"))
    (found,) = lint(flow)
    assert (found.code, found.pointer) == ("too-many-nodes", "/nodes")
    assert "100,001 nodes, and the limit is 20,000" in found.message


def test_more_edges_than_the_limit_are_refused() -> None:
    many = [f"x{i}" for i in range(limits.EDGES_MAX)]
    (found,) = lint(_flow({"n0": {"type": "add_tag", "tag": "t", "next": many}}))
    assert (found.code, found.pointer) == ("too-many-edges", "/nodes")
    assert "160,001 edges" in found.message


def test_content_channels_and_people_of_ten_thousand_nodes_are_judged() -> None:
    nodes: dict[str, Any] = {}
    for i in range(0, 10_000, 4):
        ask = {"attribute": "consent:web_push", "is": True}
        nodes[f"n{i}"] = {"type": "condition", "if": ask, "next": {"yes": f"n{i + 1}"}}
        send = {"type": "send", "channel": "web_push", "template": f"t{i}"}
        nodes[f"n{i + 1}"] = {**send, "next": f"n{i + 2}"}
        until = {"type": "wait_until", "at": "2030-01-01", "zone": "flow"}
        nodes[f"n{i + 2}"] = {**until, "next": f"n{i + 3}"}
        nodes[f"n{i + 3}"] = {**send, "template": f"u{i}", "next": f"n{i + 4}"}
    flow = _flow({**nodes, "n10000": {"type": "end"}})
    item = {"channel": "web_push", "state": "draft"}
    items = {f"t{i}": item for i in range(10_000)}
    content = Content.model_validate({"headrace_content": 1, "items": items})
    consents = AttributeFacts([(True, 900_000.0)], 100_000, whole=True)
    facts = AudienceFacts(1_000_000, attributes={"consent:web_push": consents})
    began = process_time()
    found = Counter(v.code for v in lint(flow, content=content, facts=facts, now_ms=0))
    assert process_time() - began < SECONDS_MAX
    assert found["unready-content"] == found["absent-content"] == 2_500
    assert found["no-permission"] == 0
    assert found["surge"] + found["large-surge"] > 50
