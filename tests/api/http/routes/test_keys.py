"""Keys and users by HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from http_service import Served


def mint(service: Served, status: int = 201, key: str = "", **body: Any) -> dict[str, Any]:
    told = {"name": "a key", **body}
    answer = service.ask("POST", "/v1/keys", key=key or service.admin, json=told)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_secret_is_shown_once(service: Served) -> None:
    made = mint(service, role="viewer", name="dashboard")
    assert made["secret"].startswith(f"hr_live_{made['key']['key_id']}_")
    assert made["key"]["scopes"] == ["flows:read", "reports:read"]
    path = f"/v1/keys/{made['key']['key_id']}"
    found = service.ask("GET", path, key=service.admin)
    assert found.json() == made["key"]
    listed = service.ask("GET", "/v1/keys?limit=500", key=service.admin)
    assert made["key"] in listed.json()["items"]
    tail = made["secret"].rpartition("_")[2]
    assert tail not in found.text + listed.text
    assert "digest" not in listed.text


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "/scopes"),
        ({"role": "king"}, 422, "/role"),
        ({"scopes": ["flows:burn"]}, 422, "/scopes/0"),
        ({"scopes": ["events:write", "flows:read"]}, 422, "/scopes"),
        ({"role": "viewer", "scopes": ["flows:write"]}, 422, "/scopes"),
        ({"role": "viewer", "networks": ["203.0.113.0/99"]}, 422, "/networks/0"),
        ({"role": "viewer", "expires_ms": 1}, 422, "/expires_ms"),
        ({"role": "viewer", "tenant": "acme"}, 422, "/tenant"),
        ({"role": "viewer", "created_ms": 1}, 422, "/created_ms"),
        ({"role": "viewer", "user": "nobody"}, 404, ""),
    ],
)
def test_a_key_that_cannot_be_is_refused(
    service: Served, body: dict[str, Any], status: int, pointer: str
) -> None:
    told = mint(service, status, **body)
    assert (told.get("pointer") or told.get("errors", [{}])[0].get("pointer", "")) == pointer


def test_nobody_hands_on_what_he_does_not_have(service: Served) -> None:
    lesser = mint(service, role="admin", scopes=["keys:admin", "flows:read"])["secret"]
    mint(service, key=lesser, role="viewer", scopes=["flows:read"])
    mint(service, 403, key=lesser, role="viewer")
    mint(service, 403, key=lesser, role="admin")
    mint(service, 403, key=lesser, scopes=["events:write"])
    admin = service.service.first_key.split("_")[2]
    answer = service.ask("POST", f"/v1/keys/{admin}/revoke", key=lesser)
    assert answer.status_code == 403


def test_two_keys_are_valid_while_one_is_rotated(service: Served) -> None:
    made = mint(service, role="viewer")
    path = f"/v1/keys/{made['key']['key_id']}/rotate"
    answer = service.ask("POST", path, key=service.admin, json={"overlap_ms": 60_000})
    successor = answer.json()
    assert answer.status_code == 201
    assert successor["key"]["rotated_from"] == made["key"]["key_id"]
    for secret in (made["secret"], successor["secret"]):
        assert service.ask("GET", "/v1/audit", key=secret).status_code == 403  # let in, no scope
    again = service.ask("POST", path, key=service.admin)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    path = f"/v1/keys/{successor['key']['key_id']}/rotate"
    answer = service.ask("POST", path, key=service.admin, json={"overlap_ms": 0})
    assert answer.status_code == 201
    for secret in (made["secret"], successor["secret"]):
        assert service.ask("GET", "/v1/audit", key=secret).status_code == 401
    service.service.rates._buckets["failures"].clear()


def test_a_key_of_another_network_is_no_key_here(service: Served) -> None:
    far = mint(service, role="viewer", networks=["203.0.113.0/24"])["secret"]
    near = mint(service, role="viewer", networks=["127.0.0.0/8"])["secret"]
    assert service.ask("GET", "/v1/audit", key=far).status_code == 401
    assert service.ask("GET", "/v1/audit", key=near).status_code == 403
    service.service.rates._buckets["failures"].clear()


def test_a_key_expires(service: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = service.service.now_ms
    brief = mint(service, role="viewer", expires_ms=now_ms() + 600_000)
    assert service.ask("GET", "/v1/audit", key=brief["secret"]).status_code == 403
    monkeypatch.setattr(service.service, "now_ms", lambda: now_ms() + 600_000)
    assert service.ask("GET", "/v1/audit", key=brief["secret"]).status_code == 401
    path = f"/v1/keys/{brief['key']['key_id']}"
    assert service.ask("GET", path, key=service.admin).json()["status"] == "expired"
    service.service.rates._buckets["failures"].clear()


def test_a_user_lends_a_key_his_role_and_takes_it_back(service: Served) -> None:
    body = {"id": "ada", "name": "Ada", "role": "publisher"}
    answer = service.ask("POST", "/v1/users", key=service.admin, json=body)
    assert (answer.status_code, answer.headers["location"]) == (201, "/v1/users/ada")
    assert service.ask("POST", "/v1/users", key=service.admin, json=body).status_code == 409
    own = mint(service, user="ada")
    assert own["key"]["role"] == "publisher"
    less = mint(service, user="ada", role="viewer")
    mint(service, 403, user="ada", role="admin")
    change = service.ask("PATCH", "/v1/users/ada", key=service.admin, json={"role": "editor"})
    assert change.json()["revoked_keys"] == [own["key"]["key_id"]]
    assert service.ask("GET", "/v1/audit", key=own["secret"]).status_code == 401
    assert service.ask("GET", "/v1/audit", key=less["secret"]).status_code == 403
    assert service.ask("DELETE", "/v1/users/ada", key=service.admin).status_code == 204
    assert service.ask("GET", "/v1/audit", key=less["secret"]).status_code == 401
    assert service.ask("GET", "/v1/users/ada", key=service.admin).status_code == 404
    assert service.ask("DELETE", "/v1/users/ada", key=service.admin).status_code == 404
    service.service.rates._buckets["failures"].clear()


def test_users_are_listed_and_bad_ones_refused(service: Served) -> None:
    for name in ("bob", "cyd"):
        body = {"id": name, "name": name.title(), "role": "viewer"}
        assert service.ask("POST", "/v1/users", key=service.admin, json=body).status_code == 201
    listed = service.ask("GET", "/v1/users", key=service.admin).json()["items"]
    assert [user["id"] for user in listed] == ["bob", "cyd"]
    for bad in ({"id": "B@b.example"}, {"role": "king"}, {"name": ""}, {"scopes": []}):
        body = {"id": "dan", "name": "Dan", "role": "viewer", **bad}
        assert service.ask("POST", "/v1/users", key=service.admin, json=body).status_code == 422
    lesser = mint(service, role="admin", scopes=["keys:admin", *VIEWER])["secret"]
    body = {"id": "eve", "name": "Eve", "role": "admin"}
    assert service.ask("POST", "/v1/users", key=lesser, json=body).status_code == 403
    answer = service.ask("PATCH", "/v1/users/bob", key=lesser, json={"role": "admin"})
    assert answer.status_code == 403


VIEWER = ["flows:read", "reports:read"]
