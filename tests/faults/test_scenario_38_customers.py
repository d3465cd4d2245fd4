"""Scenario 38: what a tenant keeps of customers, content and settings is nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from http_service import served
from http_shop import MAIL, Shop
from waiting import until

CANARY = "cnry-other-tenant"
PATHS = [
    ("GET", "/v1/customers/{own}", None),
    ("GET", "/v1/customers/{own}/export", None),
    ("DELETE", "/v1/customers/{own}", None),
    ("GET", "/v1/segments/{own}", None),
    ("DELETE", "/v1/segments/{own}", None),
    ("GET", "/v1/content/{own}", None),
    ("DELETE", "/v1/content/{own}", None),
    ("PUT", "/v1/content/{own}/state", {"state": "ready"}),
    ("POST", "/v1/content/{own}/preview", {"customer": "x", "channel": "email"}),
    ("GET", "/v1/coupons/{own}", None),
    ("DELETE", "/v1/coupons/{own}", None),
    ("GET", "/v1/providers/{own}", None),
    ("DELETE", "/v1/providers/{own}", None),
    ("GET", "/v1/uploads/{upload}", None),
    ("GET", "/v1/exports/{export}", None),
    ("GET", "/v1/exports/{export}/archive", None),
    ("DELETE", "/v1/exports/{export}", None),
    ("GET", "/v1/erasures/{erasure}", None),
]
LISTS = [
    "customers", "segments", "customer-groups", "segments-document", "content", "coupons",
    "providers", "uploads", "exports", "erasures", "schema",
]  # fmt: skip


@pytest.fixture(scope="module")
def tenants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, dict[str, str]]]:
    """The admin of a tenant, and the ids of what another tenant has."""
    with served(tmp_path_factory.mktemp("tenants") / "data") as found:
        owner = Shop(found)
        made = owner.done("POST", "/v1/tenants", {"id": "acme", "name": "Acme"})
        own = CANARY
        owner.done("PUT", f"/v1/customers/{own}", {"set": {"email": f"{CANARY}@x.example"}})
        owner.done("PUT", f"/v1/segments/{own}", {"did": "order"})
        owner.done("PUT", "/v1/customer-groups", {"groups": [own]})
        owner.done("PUT", f"/v1/content/{own}", MAIL)
        owner.done("PUT", f"/v1/coupons/{own}", {"stock": 1})
        owner.done(
            "PUT", f"/v1/providers/{own}", {"kind": "file", "channels": ["sms"], "file": own}
        )
        csv = {"content": b"customer\nu1\n", "headers": {"Content-Type": "text/csv"}}
        ids = {"own": own, "upload": owner.done("POST", f"/v1/uploads?group={own}", **csv)["id"]}
        owner.done("PUT", "/v1/customers/erased", {"set": {}})
        ids["erasure"] = owner.done("DELETE", "/v1/customers/erased")["id"]
        ids["export"] = owner.done("POST", "/v1/exports")["id"]
        path = f"/v1/exports/{ids['export']}"
        until(lambda: owner.done("GET", path)["status"] == "done")
        yield Shop(found, made["key"]["secret"]), ids


@pytest.mark.parametrize(("method", "path", "body"), PATHS)
def test_scenario_38_what_is_foreign_is_told_as_unknown(
    tenants: tuple[Shop, dict[str, str]], method: str, path: str, body: Any
) -> None:
    stranger, ids = tenants
    foreign = stranger.problem(method, path.format(**ids), body)
    unknown = stranger.problem(method, path.format(**dict.fromkeys(ids, "cnry-nothing-here")), body)
    for _, told in (foreign, unknown):
        told.pop("request_id")
    assert foreign == unknown
    assert foreign[0] == 404


@pytest.mark.parametrize("noun", LISTS)
def test_scenario_38_no_list_shows_what_is_foreign(
    tenants: tuple[Shop, dict[str, str]], noun: str
) -> None:
    stranger, _ = tenants
    answer = stranger.ask("GET", f"/v1/{noun}")
    assert answer.status_code == 200
    assert CANARY not in answer.text
