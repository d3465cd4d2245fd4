"""Scenario 35 by HTTP: no pattern that anybody can hand in runs for long.

Patterns come in with flows, as documents and as changes of drafts, with segments, with templates
and with imported flows; all are compiled in one place (`core.patterns`, whose tests bound the worst
searches). Here each way in refuses what could take long, and takes what could not.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from http_service import Served, served

REFUSED = [
    "(?=a)b",
    r"(a)\1",
    "((a{100}){100}){100}",
    "(" * 300,
    r"\pL{1,100}x",
    "(?i)(.{1,90}){1,10}z",
    "(.{0,30}a){30}",
    "a" * 513,
    "\u0101" * 300,
]
SOUND = ["^(a+)+$", "(x+x+)+y", "(a|aa)+$", "(.*)*b"]
SEARCH_S = 0.005


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("patterns") / "data") as found:
        yield found


def document(pattern: str, flow: str = "slow") -> dict[str, Any]:
    """A flow that asks whether an attribute matches."""
    nodes = {
        "in": {"type": "on_event", "event": "signup", "next": "ask"},
        "ask": {
            "type": "condition",
            "if": {"attribute": "plan", "matches": pattern},
            "next": {"yes": "out", "no": "out"},
        },
        "out": {"type": "end"},
    }
    settings = {"reentry": {"policy": "always"}}
    return {"headrace": 1, "flow": flow, "settings": settings, "nodes": nodes}


@pytest.mark.parametrize("pattern", REFUSED)
def test_scenario_35_what_could_run_long_gets_in_nowhere(service: Served, pattern: str) -> None:
    def ask(method: str, path: str, body: Any) -> Any:
        return service.ask(method, path, key=service.admin, json=body)

    took_s = []
    for _ in range(3):
        began_s = time.perf_counter()
        told = ask("POST", "/v1/lint", {"document": document(pattern)})
        took_s.append(time.perf_counter() - began_s)
        assert told.status_code == 200, told.text
        assert told.json()["publishable"] is False, told.text
    # A flow that is not lint-clean can be kept as a draft, and never runs.
    flow = f"slow{REFUSED.index(pattern)}"
    made = ask("POST", "/v1/flows", {"document": document(pattern, flow)})
    assert made.status_code in (201, 422), made.text
    if made.status_code == 201:
        assert ask("POST", f"/v1/flows/{flow}/publish", None).status_code == 422
    test = {"attribute": "plan", "matches": pattern}
    assert ask("PUT", "/v1/segments/slow", test).status_code == 422
    assert ask("PUT", "/v1/segments-document", {"segments": {"slow": test}}).status_code == 422
    print(f"scenario 35: {pattern[:20]!r} refused in {min(took_s) * 1e3:.1f} ms with its flow")


@pytest.mark.parametrize("pattern", SOUND)
def test_scenario_35_what_is_taken_costs_the_engine_no_more_than_another_test(
    service: Served, pattern: str
) -> None:
    """As long as with a plain test, and five milliseconds more at most, the least of several."""
    flows = {"slow": document(pattern), "plain": document(pattern, "plain")}
    flows["plain"]["nodes"]["ask"]["if"] = {"attribute": "plan", "is": "pro"}
    for name, each in flows.items():
        body = {"document": each}
        made = service.ask("POST", "/v1/flows", key=service.admin, json=body)
        if made.status_code == 409:
            path, headers = f"/v1/flows/{name}/draft", {"If-Match": "*"}
            service.ask("PUT", path, key=service.admin, json=body, headers=headers)
    taken: dict[str, list[float]] = {"slow": [], "plain": []}
    for turn in range(5):
        for name in flows:
            done = service.ask("POST", f"/v1/flows/{name}/publish", key=service.admin)
            assert done.status_code == 200, done.text
            customer = f"{name} {turn} {pattern}"
            rows = [
                {"customer": customer, "set": {"plan": f"{turn}" + "a" * 50_000 + "!"}},
                {"customer": customer, "event": "signup"},
            ]
            began_s = time.perf_counter()
            assert service.ask("POST", "/v1/events", json=rows).json()["accepted"] == 2
            while service.engine.counts(name).waiting.sum():
                assert time.perf_counter() - began_s < 10
            taken[name].append(time.perf_counter() - began_s)
            assert service.ask("POST", f"/v1/flows/{name}/stop", key=service.admin).is_success
    slow_s, plain_s = min(taken["slow"]), min(taken["plain"])
    print(f"scenario 35: {pattern!r} {slow_s * 1e3:.1f} ms, {plain_s * 1e3:.1f} ms without")
    assert slow_s <= 2 * plain_s + SEARCH_S
