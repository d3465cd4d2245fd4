"""Tenants: made, changed, suspended; what the operator alone may do."""

from __future__ import annotations

from typing import Any

import pytest

from http_service import Served


def made(service: Served, tenant: str, **more: Any) -> str:
    """Make a tenant; its admin key."""
    body = {"id": tenant, "name": tenant.title(), **more}
    answer = service.ask("POST", "/v1/tenants", key=service.admin, json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/v1/tenants/{tenant}"
    return str(answer.json()["key"]["secret"])


def test_a_tenant_begins_with_an_admin_key_of_its_own(service: Served) -> None:
    key = made(service, "acme", zone="Europe/Riga", partitions=1)
    events = [{"customer": "a", "event": "signup"}]
    minted = service.ask(
        "POST", "/v1/keys", key=key, json={"name": "s", "scopes": ["events:write"]}
    )
    answer = service.ask("POST", "/v1/events", key=minted.json()["secret"], json=events)
    assert answer.status_code == 200
    engine = service.service.engine("acme")
    assert (engine.manifest.zone, engine.partitions) == ("Europe/Riga", 1)
    assert engine is not service.engine
    assert service.ask("GET", "/v1/tenants", key=key).status_code == 403
    found = service.ask("GET", "/v1/tenants/acme", key=service.admin).json()
    assert (found["name"], found["status"], found["expired"]) == ("Acme", "active", False)
    assert found["settings"] == {"zone": "Europe/Riga", "partitions": 1}
    own = service.ask("GET", "/v1/audit", key=key).json()["items"]
    assert [(each["actor"], each["action"]) for each in own][-1] == ("operator", "key.create")


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"id": "Acme", "name": "A"}, 422, "/id"),
        ({"id": "a_b", "name": "A"}, 422, "/id"),
        ({"id": "-a", "name": "A"}, 422, "/id"),
        ({"id": "a\n", "name": "A"}, 422, "/id"),
        ({"id": "a" * 64, "name": "A"}, 422, "/id"),
        ({"id": "main", "name": "A"}, 409, "/id"),
        ({"id": "service", "name": "A"}, 409, "/id"),
        ({"id": "ok", "name": ""}, 422, "/name"),
        ({"id": "ok", "name": "A", "zone": "Mars/Base"}, 422, "/zone"),
        ({"id": "ok", "name": "A", "partitions": 0}, 422, "/partitions"),
        ({"id": "ok", "name": "A", "quotas": {"events_per_second": 0}}, 422, "/quotas"),
        ({"id": "ok", "name": "A", "quotas": {"moons": 1}}, 422, "/quotas"),
        ({"id": "ok", "name": "A", "status": "active"}, 422, "/status"),
        ({"id": "ok", "name": "A", "created_ms": 1}, 422, "/created_ms"),
    ],
)
def test_a_tenant_that_cannot_be_is_refused(
    service: Served, body: dict[str, Any], status: int, pointer: str
) -> None:
    answer = service.ask("POST", "/v1/tenants", key=service.admin, json=body)
    told = answer.json()
    found = told.get("pointer") or told["errors"][0]["pointer"]
    assert (answer.status_code, found[: len(pointer)]) == (status, pointer)
    assert service.ask("GET", "/v1/tenants/ok", key=service.admin).status_code == 404


def test_an_id_is_taken_once(service: Served) -> None:
    made(service, "once")
    body = {"id": "once", "name": "Twice"}
    answer = service.ask("POST", "/v1/tenants", key=service.admin, json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_a_suspended_tenant_is_let_in_again(service: Served) -> None:
    key = made(service, "pause")
    service.service.engine("pause")
    path = "/v1/tenants/pause"
    told = service.ask("POST", f"{path}/suspend", key=service.admin).json()
    assert told["status"] == "suspended"
    assert "pause" not in service.service.tenants._engines
    answer = service.ask("GET", "/v1/keys", key=key)
    assert (answer.status_code, answer.json()["detail"]) == (403, "the tenant is suspended")
    # An engine that was open is open again, so that its flows go on.
    assert service.ask("POST", f"{path}/resume", key=service.admin).json()["status"] == "active"
    assert "pause" in service.service.tenants._engines
    assert service.ask("GET", "/v1/keys", key=key).status_code == 200
    answer = service.ask("POST", "/v1/tenants/main/suspend", key=service.admin)
    assert answer.status_code == 409


def test_a_tenant_expires_and_has_quotas(service: Served) -> None:
    key = made(service, "brief", quotas={"requests_per_second": 1})
    now_ms = service.service.now_ms()
    assert service.ask("GET", "/v1/users", key=key).headers["ratelimit-policy"] == '"api";q=5;w=5'
    answers = [service.ask("GET", "/v1/users", key=key).status_code for _ in range(7)]
    assert answers[-1] == 429
    change = {"expires_ms": now_ms - 1, "quotas": {}}
    told = service.ask("PATCH", "/v1/tenants/brief", key=service.admin, json=change).json()
    assert (told["expired"], told["quotas"]) == (True, {})
    assert (
        service.ask("GET", "/v1/users", key=key)
        .headers["ratelimit-policy"]
        .startswith('"api";q=1000')
    )
    change = {"expires_ms": None}
    told = service.ask("PATCH", "/v1/tenants/brief", key=service.admin, json=change).json()
    assert "expires_ms" not in told
    assert told["expired"] is False
    answer = service.ask("PATCH", "/v1/tenants/brief", key=service.admin, json={"name": None})
    assert (answer.status_code, answer.json()["pointer"]) == (422, "/name")


def test_a_tenant_that_lost_its_key_gets_another(service: Served) -> None:
    made(service, "lost")
    answer = service.ask("POST", "/v1/tenants/lost/keys", key=service.admin)
    assert answer.status_code == 201
    key = answer.json()["secret"]
    assert len(service.ask("GET", "/v1/keys", key=key).json()["items"]) == 2
    assert service.ask("POST", "/v1/tenants/nobody/keys", key=service.admin).status_code == 404
    told = service.ask("GET", "/v1/operator/audit", key=service.admin).json()["items"]
    assert (told[0]["action"], told[0]["object"]) == ("tenant.key", "tenant:lost")
    assert service.ask("GET", "/v1/operator/audit", key=key).status_code == 403


def test_tenants_come_in_pages(service: Served) -> None:
    for name in ("page-a", "page-b"):
        made(service, name)
    found: list[str] = []
    after = ""
    while True:
        path = f"/v1/tenants?limit=1&after={after}"
        page = service.ask("GET", path, key=service.admin).json()
        found += [tenant["id"] for tenant in page["items"]]
        after = page.get("next", "")
        if not after:
            break
    assert found == sorted(found)
    assert {"main", "page-a", "page-b"} <= set(found)
