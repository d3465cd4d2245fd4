"""Flows that run, over HTTP: published, stopped, scheduled, frozen, in versions."""
# ruff: noqa: N802 - the ids of features are in capitals

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import pytest

from actors import failpoints
from flow_asking import Ask, create, flow_text, nodes, publish, status, tenant
from http_service import Served

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


def test_A006_A008_A009_A018_A037_A157_a_flow_is_a_draft_runs_and_is_stopped(
    ask: Ask, name: str
) -> None:
    create(ask, name)
    assert status(ask, name) == "draft"
    done = publish(ask, name)
    assert (done["version"], done["status"], done["pending"]) == (1, "running", [])
    paused = ask("POST", f"/v1/flows/{name}/pause")
    assert (paused.status_code, paused.json()["status"]) == (200, "running")
    assert ask("GET", f"/v1/flows/{name}").json()["paused"] is True
    again = ask("POST", f"/v1/flows/{name}/pause")
    assert (again.status_code, again.json()["code"]) == (409, "refused")
    assert ask("POST", f"/v1/flows/{name}/resume").json()["status"] == "running"
    stopped = ask("POST", f"/v1/flows/{name}/stop", {"in_flight": "drop"})
    assert (stopped.status_code, stopped.json()["status"]) == (200, "stopped")
    assert ask("POST", f"/v1/flows/{name}/stop").status_code == 409


def test_a_publication_that_is_repeated_happens_once(ask: Ask, name: str, service: Served) -> None:
    create(ask, name)
    once = {"Idempotency-Key": uuid.uuid4().hex}
    first, second = (ask("POST", f"/v1/flows/{name}/publish", headers=once) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert service.engine.control.standing.flows[name].version == 1
    again = ask("POST", f"/v1/flows/{name}/publish")
    assert (again.status_code, again.json()["code"]) == (409, "refused")


def test_A075_A086_A087_A088_A151_A197_versions_are_pinned_dropped_or_reset_and_kept(
    ask: Ask, name: str, service: Served
) -> None:
    waiting = nodes(pause={"type": "wait", "for": "9 days", "next": "out"})
    waiting["in"]["next"] = "pause"
    waiting["in"]["event"] = "order"
    settings = {"reentry": {"policy": "always"}}
    create(ask, name, nodes=waiting, settings=settings)
    publish(ask, name)
    engine, people = service.engine.engine, [f"{name}-{i}" for i in range(3)]

    def enter(*who: str) -> None:
        engine.send([{"customer": person, "event": "order"} for person in who])

    def places(person: str) -> list[int]:
        found = engine.state_of(person)
        assert found is not None
        return [place["version"] for place in found["places"] if place["flow"] == name]

    def next_version(in_flight: str, title: str) -> None:
        path = f"/v1/flows/{name}/draft"
        text = flow_text(name, nodes=waiting, settings=settings, name=title)
        saved = ask("PUT", path, {"document": text}, headers={"If-Match": "*"})
        assert saved.status_code == 200
        publish(ask, name, in_flight=in_flight)

    enter(people[0])
    next_version("pin", "Two")
    enter(people[1])
    assert (places(people[0]), places(people[1])) == ([1], [2])
    entrants = engine.entrants(name)
    assert (entrants.versions, entrants.entries) == ([1, 2], [1, 1])
    assert entrants.total_entries == 2
    next_version("reset", "Three")
    assert (places(people[0]), places(people[1])) == ([3], [3])
    next_version("drop", "Four")
    assert (places(people[0]), places(people[1])) == ([], [])
    items = ask("GET", f"/v1/flows/{name}/versions", params={"limit": 3}).json()
    assert [each["version"] for each in items["items"]] == [4, 3, 2]
    assert [each["in_flight"] for each in items["items"]] == ["drop", "reset", "pin"]
    rest = ask("GET", f"/v1/flows/{name}/versions", params={"after": items["next"]}).json()
    assert [each["version"] for each in rest["items"]] == [1]
    first = ask("GET", f"/v1/flows/{name}/versions/1").json()
    assert json.loads(first["document"]) == flow_text(name, nodes=waiting, settings=settings)
    assert ask("PUT", f"/v1/flows/{name}/versions/1", {}).status_code == 405
    assert ask("GET", f"/v1/flows/{name}/versions/5").status_code == 404


def test_two_versions_are_compared_node_by_node(ask: Ask, name: str) -> None:
    create(ask, name)
    publish(ask, name)
    changed = nodes(pause={"type": "wait", "for": "1 day", "next": "out"})
    changed["in"] = {**changed["in"], "next": "pause", "where": {"property": "plan", "is": "pro"}}
    text = flow_text(name, name="New", nodes=changed)
    ask("PUT", f"/v1/flows/{name}/draft", {"document": text}, headers={"If-Match": "*"})
    found = ask("GET", f"/v1/flows/{name}/diff", params={"before": "1"}).json()
    assert found == {
        "before": "1",
        "after": "draft",
        "added": ["pause"],
        "removed": [],
        "changed": ["in"],
        "changes": [
            {"pointer": "/name", "kind": "added", "after": "New"},
            {"pointer": "/nodes/in/next", "kind": "changed", "before": "out", "after": "pause"},
            {
                "pointer": "/nodes/in/where",
                "kind": "added",
                "after": {"property": "plan", "is": "pro"},
            },
        ],
    }
    back = ask("GET", f"/v1/flows/{name}/diff", params={"before": "draft", "after": "1"}).json()
    assert (back["added"], back["removed"]) == ([], ["pause"])
    same = ask("GET", f"/v1/flows/{name}/diff", params={"before": "1", "after": "1"}).json()
    assert same["changes"] == same["changed"] == []
    for query, told in [({"before": "2"}, 404), ({"before": "x"}, 422), ({}, 422)]:
        assert ask("GET", f"/v1/flows/{name}/diff", params=query).status_code == told


def test_A007_A030_start_and_stop_are_set_together_and_happen(
    ask: Ask, name: str, service: Served, clock: Callable[[int], None]
) -> None:
    create(ask, name)
    clock(0)
    now_ms = service.service.now_ms()
    path = f"/v1/flows/{name}/schedule"
    start_ms, stop_ms = now_ms + HOUR_MS, now_ms + 2 * HOUR_MS
    alone = ask("PUT", path, {"start_ms": start_ms})
    assert (alone.status_code, alone.json()["errors"][0]["pointer"]) == (422, "/stop_ms")
    assert ask("PUT", path, {"start_ms": start_ms, "stop_ms": start_ms}).status_code == 422
    assert ask("PUT", path, {"start_ms": now_ms - 1, "stop_ms": stop_ms}).status_code == 422
    document_alone = flow_text(name, settings={"start": "2030-01-01"})
    lint = ask("POST", "/v1/lint", {"document": document_alone}).json()
    assert lint["violations"][0]["pointer"] == "/settings"
    set_ = ask("PUT", path, {"start_ms": start_ms, "stop_ms": stop_ms})
    assert (set_.status_code, set_.json()["status"]) == (200, "ready_to_start")
    assert set_.json()["schedule"]["state"] == "waiting"
    saved = ask(
        "PUT", f"/v1/flows/{name}/draft", {"document": flow_text(name)}, headers={"If-Match": "*"}
    )
    assert (saved.status_code, saved.json()["code"]) == (409, "conflict")
    assert ask("DELETE", path).json()["status"] == "draft"
    assert ask("DELETE", path).status_code == 409
    ask("PUT", path, {"start_ms": start_ms, "stop_ms": stop_ms})
    clock(HOUR_MS)
    assert status(ask, name) == "running"
    clock(HOUR_MS)
    assert status(ask, name) == "stopped"


def test_A010_flows_freeze_when_the_tenant_expires(
    ask: Ask, name: str, service: Served, clock: Callable[[int], None]
) -> None:
    create(ask, name)
    publish(ask, name)
    tenant(service, expires_ms=service.service.now_ms() + HOUR_MS)
    clock(HOUR_MS - 10_000)
    assert status(ask, name) == "running"
    clock(10_000)
    assert status(ask, name) == "frozen"
    assert service.engine.control.standing.flows[name].status == "paused"
    resumed = ask("POST", f"/v1/flows/{name}/resume")
    assert (resumed.status_code, "time is over" in resumed.json()["detail"]) == (409, True)
    tenant(service, expires_ms=None)
    clock(1)
    assert status(ask, name) == "running"
    assert service.engine.control.standing.flows[name].status == "active"


def test_A011_a_flow_is_invalid_30_days_after_it_was_stopped(
    ask: Ask, name: str, clock: Callable[[int], None]
) -> None:
    create(ask, name)
    publish(ask, name)
    ask("POST", f"/v1/flows/{name}/stop")
    # The engine's clock, which tells when it was stopped, goes on by itself.
    clock(30 * DAY_MS - HOUR_MS)
    assert status(ask, name) == "stopped"
    clock(2 * HOUR_MS)
    assert status(ask, name) == "invalidated"
    refused = ask("POST", f"/v1/flows/{name}/publish")
    assert (refused.status_code, refused.json()["advice"]) == (
        409,
        "Copy it, and publish the copy",
    )
    assert ask("POST", f"/v1/flows/{name}/copy").status_code == 201
    assert ask("GET", f"/v1/flows/{name}/versions/1").status_code == 200


def test_A014_the_number_of_started_flows_is_bounded_and_what_remains_is_told(
    ask: Ask, name: str, service: Served, clock: Callable[[int], None]
) -> None:
    started = ask("GET", "/v1/launches").json()["started"]
    tenant(service, quotas={"flows_started": started + 1})
    create(ask, name)
    create(ask, f"{name}-2")
    done = publish(ask, name)
    assert done["launches"] == {"started": started + 1, "most": started + 1, "remaining": 0}
    refused = ask("POST", f"/v1/flows/{name}-2/publish")
    assert (refused.status_code, refused.json()["code"]) == (409, "launch-quota")
    assert refused.json()["launches"]["remaining"] == 0
    stopped = ask("POST", f"/v1/flows/{name}/stop").json()
    assert stopped["launches"]["remaining"] == 1
    assert publish(ask, f"{name}-2")["launches"]["remaining"] == 0


def test_N08_an_audience_is_acknowledged_and_refused_on_drift(
    ask: Ask, name: str, service: Served
) -> None:
    members = [{"customer": f"{name}-{i}", "groups": {"add": [name]}} for i in range(20)]
    service.engine.engine.send(members)
    starts = {"in": {"type": "on_group", "group": name, "next": "out"}, "out": {"type": "end"}}
    create(ask, name, nodes=starts)
    asked = ask("PATCH", f"/v1/flows/{name}", {"audience_tolerance": 0.05})
    assert asked.json()["audience_tolerance"] == 0.05
    counted = ask("GET", f"/v1/flows/{name}/audience").json()
    assert counted == {"flow": name, "edition": 1, "audience": 20}
    path = f"/v1/flows/{name}/publish"
    unsaid = ask("POST", path)
    assert (unsaid.status_code, unsaid.json()["code"]) == (409, "audience-not-acknowledged")
    assert unsaid.json()["audience"] == 20
    drifted = ask("POST", path, {"audience": 18})
    told = drifted.json()
    assert (drifted.status_code, told["code"]) == (409, "audience-drifted")
    assert (told["acknowledged"], told["audience"]) == (18, 20)
    assert ask("PATCH", f"/v1/flows/{name}", {"audience_tolerance": 1.5}).status_code == 422
    assert publish(ask, name, audience=20)["version"] == 1


def test_A019_a_flow_that_runs_is_not_deleted(ask: Ask, name: str) -> None:
    create(ask, name)
    publish(ask, name)
    refused = ask("DELETE", f"/v1/flows/{name}")
    assert (refused.status_code, refused.json()["detail"]) == (409, "the flow is running")
    ask("POST", f"/v1/flows/{name}/stop")
    assert ask("DELETE", f"/v1/flows/{name}").status_code == 204
    unknown = ask("GET", "/v1/flows/no-such-flow").json()
    gone = ask("GET", f"/v1/flows/{name}").json()
    for told in (unknown, gone):
        told.pop("request_id")
    assert unknown == gone
    assert ask("DELETE", f"/v1/flows/{name}").status_code == 404
    taken = ask("POST", "/v1/flows", {"document": flow_text(name)})
    assert (taken.status_code, taken.json()["pointer"]) == (409, "/flow")


@pytest.mark.parametrize("point", ["flow_asked", "flow_decided", "plane_before_commit"])
def test_a_request_that_failed_half_way_is_repeated_and_carried_out_once(
    ask: Ask, name: str, service: Served, point: str
) -> None:
    create(ask, name)
    once = {"Idempotency-Key": uuid.uuid4().hex}
    # The second commit of the control plane is the one behind the engine's decision.
    failpoints.arm(point, "eio", 2 if point == "plane_before_commit" else 1)
    try:
        failed = ask("POST", f"/v1/flows/{name}/publish", headers=once)
    finally:
        failpoints.disarm()
    assert (failed.status_code, failed.json()["code"]) == (500, "internal")
    again = ask("POST", f"/v1/flows/{name}/publish", headers=once)
    assert (again.status_code, again.json()["version"]) == (200, 1)
    versions = ask("GET", f"/v1/flows/{name}/versions").json()["items"]
    assert [(each["version"], each["edition"]) for each in versions] == [(1, 1)]
    with service.service.plane.tenant("main").read() as txn:
        told = [e["action"] for _, e in txn.scan("audit") if e["object"] == f"flow:{name}"]
    assert told == ["flow.create", "flow.publish"]
