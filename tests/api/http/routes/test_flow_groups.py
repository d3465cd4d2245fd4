"""Who may do what with a flow: roles, sharing, what is not there."""
# ruff: noqa: N802 - the ids of features are in capitals

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from flow_asking import Ask, create, flow_text, publish, status, tenant
from http_service import Served


def test_roles_read_edit_and_publish(
    ask: Ask, name: str, keys: Callable[[str, str | None], str]
) -> None:
    create(ask, name)
    save = ("PUT", f"/v1/flows/{name}/draft", {"document": flow_text(name)})
    run = ("POST", f"/v1/flows/{name}/publish")
    for role, expected in [
        ("viewer", [200, 403, 403]),
        ("editor", [200, 200, 403]),
        ("publisher", [200, 200, 200]),
    ]:
        key = keys(role, None)
        found = [
            ask("GET", f"/v1/flows/{name}", key=key).status_code,
            ask(*save, key=key, headers={"If-Match": "*"}).status_code,
            ask(*run, key=key).status_code,
        ]
        assert found == expected


def test_A017_a_flow_is_shared_with_users_whose_permissions_are_limited(
    ask: Ask, name: str, keys: Callable[[str, str | None], str]
) -> None:
    owner, bob, eve = (keys("publisher", user) for user in ("owner", "bob", "eve"))
    made = ask("POST", "/v1/flows", {"document": flow_text(name)}, key=owner)
    assert made.json()["owner"] == "owner"
    path = f"/v1/flows/{name}"
    assert ask("GET", path, key=eve).json()["permissions"] == ["view", "edit", "publish"]
    shared = {"visibility": "shared", "users": {"bob": "edit"}}
    assert ask("PUT", f"{path}/sharing", shared, key=bob).status_code == 403
    assert ask("PUT", f"{path}/sharing", {"users": {"nobody": "view"}}).status_code == 422
    assert ask("PUT", f"{path}/sharing", shared, key=owner).status_code == 200
    assert ask("GET", f"{path}/sharing", key=owner).json() == {**shared, "owner": "owner"}
    hidden, unknown = ask("GET", path, key=eve), ask("GET", "/v1/flows/no-such-flow", key=eve)
    assert hidden.status_code == unknown.status_code == 404
    told = [{k: v for k, v in a.json().items() if k != "request_id"} for a in (hidden, unknown)]
    assert told[0] == told[1]
    query = {"search": name}
    assert ask("GET", "/v1/flows", key=eve, params=query).json()["items"] == []
    assert len(ask("GET", "/v1/flows", key=bob, params=query).json()["items"]) == 1
    assert ask("POST", f"{path}/publish", key=eve).status_code == 404
    refused = ask("POST", f"{path}/publish", key=bob)
    assert (refused.status_code, refused.json()["detail"]) == (403, "you may only edit this flow")
    assert ask("POST", f"{path}/publish", key=owner).status_code == 200
    assert ask("POST", f"{path}/stop").status_code == 200


def test_A197_what_was_published_is_told_by_whom_and_in_the_audit_log(
    ask: Ask, name: str, service: Served, keys: Callable[[str, str | None], str]
) -> None:
    create(ask, name)
    assert ask("POST", f"/v1/flows/{name}/publish", key=keys("publisher", "bob")).is_success
    assert ask("GET", f"/v1/flows/{name}/versions/1").json()["by"] == "user:bob"
    with service.service.plane.tenant("main").read() as txn:
        told = [e for _, e in txn.scan("audit") if e["object"] == f"flow:{name}"]
    assert [entry["action"] for entry in told] == ["flow.create", "flow.publish"]
    assert told[1]["actor"] == "user:bob"
    assert told[1]["request_id"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/flows/nobody"),
        ("PATCH", "/v1/flows/nobody"),
        ("DELETE", "/v1/flows/nobody"),
        ("POST", "/v1/flows/nobody/copy"),
        ("GET", "/v1/flows/nobody/draft"),
        ("GET", "/v1/flows/nobody/draft/lint"),
        ("POST", "/v1/flows/nobody/publish"),
        ("POST", "/v1/flows/nobody/stop"),
        ("POST", "/v1/flows/nobody/pause"),
        ("POST", "/v1/flows/nobody/resume"),
        ("DELETE", "/v1/flows/nobody/schedule"),
        ("GET", "/v1/flows/nobody/audience"),
        ("GET", "/v1/flows/nobody/versions"),
        ("GET", "/v1/flows/nobody/versions/1"),
        ("GET", "/v1/flows/nobody/diff?before=1"),
        ("GET", "/v1/flows/nobody/sharing"),
        ("GET", "/v1/flows/%00%2f"),
        ("GET", "/v1/templates/nobody"),
        ("DELETE", "/v1/flow-groups/nobody"),
    ],
)
def test_what_is_not_there_is_told_alike(ask: Ask, method: str, path: str) -> None:
    body: dict[str, Any] | None = {} if method in ("POST", "PATCH") else None
    assert ask(method, path, body).status_code == 404


def test_of_edits_that_race_one_is_saved_and_the_others_are_told(ask: Ask, name: str) -> None:
    create(ask, name)

    def save(number: int) -> httpx.Response:
        document = {"document": flow_text(name, name=f"Title {number}")}
        headers = {"If-Match": '"1"'}
        return ask("PUT", f"/v1/flows/{name}/draft", document, headers=headers)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(save, range(8)))
    saved = [answer.json() for answer in answers if answer.status_code == 200]
    assert [one["edition"] for one in saved] == [2]
    lost = [answer.json() for answer in answers if answer.status_code != 200]
    assert [told["code"] for told in lost] == ["changed-meanwhile"] * 7
    assert {told["current"]["document"] for told in lost} == {saved[0]["document"]}


def test_of_starts_that_race_no_more_happen_than_the_quota_has(
    ask: Ask, name: str, service: Served, clock: Callable[[int], None]
) -> None:
    flows = [f"{name}-{number}" for number in range(6)]
    for flow in flows:
        create(ask, flow)
    tenant(service, quotas={"flows_started": ask("GET", "/v1/launches").json()["started"] + 2})
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda flow: ask("POST", f"/v1/flows/{flow}/publish"), flows))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409, 409, 409]
    assert sum(status(ask, flow) == "running" for flow in flows) == 2


def test_scenario_38_no_key_leads_to_another_tenants_flows(ask: Ask, name: str) -> None:
    made = ask("POST", "/v1/tenants", {"id": name, "name": "Other"})
    other = made.json()["key"]["secret"]
    create(ask, name, name="Canary")
    publish(ask, name)
    for method, path in [
        ("GET", f"/v1/flows/{name}"),
        ("GET", f"/v1/flows/{name}/draft"),
        ("GET", f"/v1/flows/{name}/versions/1"),
        ("GET", f"/v1/flows/{name}/diff?before=1"),
        ("GET", f"/v1/flows/{name}/sharing"),
        ("POST", f"/v1/flows/{name}/stop"),
        ("POST", f"/v1/flows/{name}/copy"),
        ("DELETE", f"/v1/flows/{name}"),
    ]:
        found = ask(method, path, key=other)
        unknown = ask(method, path.replace(name, "nobody"), key=other)
        assert (found.status_code, unknown.status_code) == (404, 404)
        told = [{**answer.json(), "request_id": ""} for answer in (found, unknown)]
        assert told[0] == told[1]
    assert ask("GET", "/v1/flows", key=other).json() == {"items": []}
    own = ask("POST", "/v1/flows", {"document": flow_text(name)}, key=other)
    assert own.status_code == 201
    assert ask("GET", f"/v1/flows/{name}").json()["name"] == "Canary"
