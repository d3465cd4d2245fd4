"""Scenario 38 by HTTP: no key reaches what is another tenant's, nor tells that it is there.

Each operation of the API is asked with no key, a mangled, a revoked and an expired one, and one of
a suspended tenant. Then one tenant asks for all that another one has, by its ids, and is answered
word for word what he is answered for ids that nobody has; nothing that he gets names the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from api.http.observing import logging_to
from http_service import Served, served
from operations import Operation, operations

CANARY = "canary-of-acme"
UNKNOWN = "unknown-of-all"  # as long as the canary
FLOW = f"headrace: 1\nflow: {CANARY}\nnodes:\n  in: {{type: on_event, event: signup, next: out}}\n"
FLOW += "  out: {type: end}\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("isolation")
    with served(folder / "data") as found, logging_to(folder / "http.jsonl"):
        yield found
    log = (folder / "http.jsonl").read_text()
    assert log.count("\n") > 500
    assert CANARY not in log
    assert "hr_live_" not in log


@pytest.fixture(scope="module")
def acme(service: Served) -> dict[str, str]:
    """The ids of what a tenant has, each with his canary, by their names in paths."""
    admin = tenant(service, "acme")
    made = filled(service, admin)
    print(f"scenario 38: the other tenant has {', '.join(sorted(made))}")
    return made


@pytest.fixture(scope="module")
def rival(service: Served) -> str:
    """The admin key of another tenant."""
    return tenant(service, "rival")


def tenant(service: Served, name: str) -> str:
    body = {"id": name, "name": name}
    answer = service.ask("POST", "/v1/tenants", key=service.admin, json=body)
    assert answer.status_code == 201
    return str(answer.json()["key"]["secret"])


def filled(service: Served, key: str) -> dict[str, str]:
    """Make one of everything for a tenant; the ids by which it could be asked for."""
    ids = {"tenant": "acme"}

    def ask(method: str, path: str, **more: Any) -> Any:
        answer = service.ask(method, path, key=key, **more)
        assert answer.status_code in (200, 201, 202), (path, answer.text)
        return answer.json()

    user = ask("POST", "/v1/users", json={"id": CANARY, "name": CANARY, "role": "editor"})
    ids["user"] = user["id"]
    minted = ask("POST", "/v1/keys", json={"name": CANARY, "role": "viewer"})
    ids["key"] = minted["key"]["key_id"]
    schema = {"attributes": {"plan": {"type": "string"}}, "events": {"signup": {"properties": {}}}}
    ask("PUT", "/v1/schema", json=schema)
    events = ask("POST", "/v1/keys", json={"name": CANARY, "scopes": ["events:write"]})["secret"]
    rows = [{"customer": CANARY, "set": {"plan": CANARY}}, {"customer": CANARY, "event": "signup"}]
    assert service.ask("POST", "/v1/events", key=events, json=rows).json()["accepted"] == 2
    ids["customer"] = CANARY
    ask("POST", "/v1/flows", json={"document": FLOW})
    ids.update(flow=CANARY, version="1")
    ask("PUT", f"/v1/segments/{CANARY}", json={"did": "signup"})
    ids["name"] = CANARY
    ids["export"] = ask("POST", "/v1/exports")["id"]
    return ids


def states(service: Served) -> dict[str, tuple[str, int]]:
    """Keys that let nobody in, and what they are answered."""
    plane, keys, now_ms = service.service.plane, service.service.keys, service.service.now_ms()
    with plane.tenant("main").write() as txn:
        revoked = keys.mint(txn, None, name="r", role="admin", now_ms=now_ms)
        keys.revoke(txn, None, revoked.info.key_id, now_ms=now_ms)
        expired = keys.mint(txn, None, name="e", role="admin", now_ms=1, expires_ms=2)
        far = keys.mint(
            txn, None, name="f", role="admin", now_ms=now_ms, networks=["203.0.113.0/24"]
        )
    suspended = tenant(service, "sleeper")
    answer = service.ask("POST", "/v1/tenants/sleeper/suspend", key=service.admin)
    assert answer.status_code == 200
    end = "a" if service.admin[-1] != "a" else "b"
    return {
        "none": ("", 401),
        "mangled": (service.admin[:-1] + end, 401),
        "revoked": (revoked.secret, 401),
        "expired": (expired.secret, 401),
        "elsewhere": (far.secret, 401),
        "suspended": (suspended, 403),
    }


def test_nobody_gets_in_with_a_key_that_is_none(service: Served) -> None:
    asked = 0
    for state, (key, status) in states(service).items():
        for operation in operations(service):
            if not operation.scope:
                continue
            service.service.rates._buckets["failures"].clear()
            answer = operation.ask(service, operation.url({}, UNKNOWN), key)
            assert answer.status_code == status, (state, operation.place, answer.text)
            asked += 1
    service.service.rates._buckets["failures"].clear()
    print(f"scenario 38: {asked:,} requests with keys that are none, all refused")
    assert asked > 600


def test_what_is_anothers_is_told_as_what_is_not_there(
    service: Served, acme: dict[str, str], rival: str
) -> None:
    compared = absent = 0
    for operation in operations(service):
        known = [name for name in operation.parameters if name in acme and name != "version"]
        if not operation.scope or not known or operation.scope == "events:write":
            continue
        if operation.method == "PUT" and operation.path.endswith("}"):
            continue  # makes what has this name of one's own
        if operation.path == "/v1/customers/{customer}/merge":
            continue  # remembers an alias of one's own, whoever else knows the name
        unknown = {name: stranger(acme[name]) for name in known} | {"version": "1"}
        theirs, nobodys = (alike(operation, service, rival, ids) for ids in ({**acme}, unknown))
        assert theirs == nobodys, operation.place
        compared += 1
        absent += theirs[0] == 404
        if operation.method in ("GET", "PATCH"):
            # 422: what is asked for is not even whole.
            assert theirs[0] in (403, 404, 422), (operation.place, theirs)
    print(f"scenario 38: {compared} operations tell foreign ids as unknown ones, {absent} by 404")
    assert compared >= 50
    assert absent >= 30
    # All of it is still there.
    found = service.ask("GET", "/v1/tenants/acme", key=service.admin)
    assert found.status_code == 200


def stranger(known: str) -> str:
    """An id of the same form that nobody has."""
    return UNKNOWN if known == CANARY else known[:-1] + ("0" if known[-1] != "0" else "1")


def alike(
    operation: Operation, service: Served, key: str, ids: Mapping[str, str]
) -> tuple[int, str]:
    """Status and body of an answer, without what is different in every answer."""
    answer = operation.ask(service, operation.url(ids, UNKNOWN), key)
    text = re.sub(r'"request_id": ?"[^"]*"', "", answer.text)
    for known in sorted(ids.values(), key=len, reverse=True):
        text = text.replace(known, "ID") if len(known) > 2 else text
    return answer.status_code, re.sub(r"\d{13}", "TIME", text)


def test_no_list_or_page_of_another_is_had(service: Served, acme: dict[str, str]) -> None:
    # A tenant of its own: what others asked for by name stands in their own audit logs.
    rival = tenant(service, "reader")

    def clean(answer: httpx.Response, place: str) -> None:
        assert CANARY not in answer.text, place
        assert acme["key"] not in answer.text, place

    for operation in operations(service):
        if operation.method != "GET" or operation.parameters or not operation.scope:
            continue
        clean(operation.ask(service, operation.path, rival), operation.place)
        # The first tenant's own keys see nothing of it either, but for what an operator sees.
        if operation.scope != "tenants:admin":
            clean(operation.ask(service, operation.path, service.admin), operation.place)
    owner = service.ask("POST", "/v1/tenants/acme/keys", key=service.admin).json()["secret"]
    for path in ("/v1/keys?limit=1", "/v1/users?limit=1", "/v1/audit?limit=1"):
        after = service.ask("GET", path, key=owner).json().get("next")
        if after:
            clean(service.ask("GET", f"{path}&after={after}", key=rival), path)


def test_an_idempotency_key_is_a_tenants_own(service: Served, rival: str) -> None:
    other = tenant(service, "third")
    once = {"Idempotency-Key": "the same key"}
    body = {"id": "ada", "name": "Ada", "role": "viewer"}
    for key in (rival, other):
        answer = service.ask("POST", "/v1/users", key=key, json=body, headers=once)
        assert answer.status_code == 201
        assert "idempotency-replayed" not in answer.headers


def test_no_request_names_a_tenant(service: Served, rival: str) -> None:
    for more in (
        {"headers": {"X-Tenant": "acme", "X-Tenant-Id": "acme", "Tenant": "acme"}},
        {"params": {"tenant": "acme"}},
    ):
        answer = service.ask("GET", "/v1/users", key=rival, **more)  # type: ignore[arg-type]
        assert CANARY not in answer.text
    body = {"id": "bob", "name": "Bob", "role": "viewer", "tenant": "acme"}
    assert service.ask("POST", "/v1/users", key=rival, json=body).status_code == 422
