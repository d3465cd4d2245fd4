"""The list of suppressions by HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from actors.service.tenants import FIRST
from http_service import Served

ADA = {"channel": "email", "address": "ada@x.test"}


def ask(service: Served, path: str, body: Any, status: int = 200, key: str = "") -> dict[str, Any]:
    answer = service.ask("POST", f"/v1/suppressions{path}", key=key or service.admin, json=body)
    assert answer.status_code == status, answer.text
    assert b"ada" not in answer.content
    found: dict[str, Any] = answer.json()
    found.pop("since_ms", None)
    return found


def test_an_address_is_put_on_the_list_and_taken_off(service: Served) -> None:
    asked = {"suppressed": True, "reason": "asked"}
    assert ask(service, "/check", ADA) == {"suppressed": False}
    assert ask(service, "", ADA) == {**asked, "changed": True}
    assert ask(service, "", ADA) == asked
    assert ask(service, "/check", {**ADA, "address": "ADA@x.test "}) == asked
    assert ask(service, "/check", {**ADA, "channel": "sms"}) == {"suppressed": False}
    assert service.ask("GET", "/v1/tracking", key=service.admin).json()["suppressed"] == 1
    assert ask(service, "/lift", ADA) == {"suppressed": False, "changed": True}
    assert ask(service, "/lift", ADA) == {"suppressed": False}
    assert service.ask("GET", "/v1/tracking", key=service.admin).json()["suppressed"] == 0


def test_each_change_is_audited_once_without_the_address(service: Served) -> None:
    bob = {"channel": "sms", "address": "+49 555 canary"}
    for path in ("", "", "/lift", "/lift", "/check"):
        ask(service, path, bob)
    with service.service.plane.tenant(FIRST).read() as txn:
        told = [record for _, record in txn.scan("audit")]
    actions = [r["action"] for r in told if str(r.get("object", "")).startswith("suppression:sms")]
    assert actions == ["suppression.add", "suppression.lift"]
    assert "canary" not in str(told)


def test_the_same_idempotency_key_gets_the_same_answer(service: Served) -> None:
    headers = {"Idempotency-Key": "suppress-1"}
    cyd = {"channel": "email", "address": "cyd@x.test"}
    answers = [
        service.ask("POST", "/v1/suppressions", key=service.admin, json=cyd, headers=headers)
        for _ in range(2)
    ]
    assert [a.json()["changed"] for a in answers] == [True, True]
    assert answers[1].headers["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"channel": "email"},
        {"channel": "fax", "address": "1"},
        {"channel": "email", "address": ""},
        {"channel": "email", "address": "x" * 3_000},
        {"channel": "email", "address": 5},
        {**ADA, "tenant": "other"},
    ],
)
def test_what_is_no_address_is_refused(service: Served, body: Any) -> None:
    assert ask(service, "", body, 422)["code"] == "invalid"


def test_a_key_for_events_may_neither_ask_nor_change(service: Served) -> None:
    for path in ("", "/check", "/lift"):
        assert ask(service, path, ADA, 403, service.events)["code"] == "forbidden"
        assert service.ask("POST", f"/v1/suppressions{path}", key="", json=ADA).status_code == 401
    assert service.ask("GET", "/v1/tracking", key=service.events).status_code == 403
