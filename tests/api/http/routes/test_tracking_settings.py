"""A tenant sets links and callbacks up by HTTP."""

from __future__ import annotations

import base64
import hmac
import json
import os
from typing import Any

import pytest

from http_service import Served

SECRET = "whsec_" + base64.b64encode(b"canary of a secret, 24+ bytes").decode()
MAILER: dict[str, Any] = {
    "secrets": [{"value": SECRET}],
    "kinds": {"b": "bounce"},
    "address": "to",
}


def put(service: Served, body: Any, status: int = 200, **headers: str) -> dict[str, Any]:
    answer = service.ask("PUT", "/v1/tracking", key=service.admin, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert "canary" not in answer.text
    assert SECRET not in answer.text
    found: dict[str, Any] = answer.json()
    return found


def report(service: Served, address: str) -> int:
    body = json.dumps({"type": "b", "to": address}).encode()
    stamp = str(service.service.now_ms() // 1_000)
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signed = hmac.digest(key, f"m.{stamp}.".encode() + body, "sha256")
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
    }
    path = "/v1/callbacks/mailer"
    return service.ask("POST", path, key="", content=body, headers=headers).status_code


def test_settings_are_put_and_callbacks_work_at_once(service: Served) -> None:
    told = put(service, {"public_url": "https://l.test/", "callbacks": {"mailer": MAILER}})
    assert told["public_url"] == "https://l.test"
    (secret,) = told["settings"]["callbacks"]["mailer"]["secrets"]
    assert secret["stored"].startswith("callback.mailer.")
    assert report(service, "ada@x.test") == 200
    # As it was read it can be sent back, and the secret stays.
    again = put(service, {**told["settings"], "opens": False})
    assert again["settings"]["callbacks"] == told["settings"]["callbacks"]
    assert again["settings"]["opens"] is False
    assert report(service, "bob@x.test") == 200
    assert service.ask("GET", "/v1/tracking", key=service.admin).json()["suppressed"] == 2
    assert b"canary" not in (service.engine.path / "links.yaml").read_bytes()


def test_a_change_of_providers_leaves_the_secrets_of_callbacks(service: Served) -> None:
    put(service, {"callbacks": {"mailer": MAILER}})
    gate = {"kind": "file", "channels": ["sms"], "file": "texts"}
    answer = service.ask("PUT", "/v1/providers/gate", key=service.admin, json=gate)
    assert answer.status_code == 200, answer.text
    assert report(service, "cyd@x.test") == 200


def test_who_edits_what_was_changed_meanwhile_is_told(service: Served) -> None:
    first = put(service, {"channels": ["sms"]})
    put(service, {"channels": ["email"]}, **{"If-Match": first["revision"]})
    told = put(service, {"channels": ["push"]}, 409, **{"If-Match": first["revision"]})
    assert told["current"] == {"channels": ["email"]}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"public_url": "ftp://x"}, "/public_url"),
        ({"public_url": 5}, "/public_url"),
        ({"surprise": 1}, "/surprise"),
        ({"channels": ["fax"]}, "/channels/0"),
        ({"callbacks": {"a b": MAILER}}, ""),
        ({"callbacks": {"m": {**MAILER, "secrets": [{"value": "short"}]}}},
         "/callbacks/m/secrets/0"),
        ({"callbacks": {"m": {**MAILER, "secrets": [{"value": 5}]}}}, "/callbacks/m/secrets/0"),
        ({"callbacks": {"m": {**MAILER, "secrets": [{"stored": "gate.1"}]}}},
         "/callbacks/m/secrets/0"),
        ({"callbacks": {"m": {**MAILER, "secrets": "plain"}}}, "/callbacks/m/secrets"),
        ({"callbacks": {"m": {**MAILER, "secrets": ["plain"]}}}, "/callbacks/m/secrets/0"),
        ({"callbacks": {"m": 5}}, "/callbacks/m"),
        ({"callbacks": []}, "/callbacks"),
    ],
)  # fmt: skip
def test_wrong_settings_are_told_with_their_place(service: Served, body: Any, pointer: str) -> None:
    before = service.ask("GET", "/v1/tracking", key=service.admin).json()["settings"]
    told = put(service, body, 422)
    assert told.get("pointer", "") == pointer
    assert service.ask("GET", "/v1/tracking", key=service.admin).json()["settings"] == before


def test_only_the_operator_names_variables_of_the_environment(service: Served) -> None:
    os.environ["HR_TEST_OPERATORS"] = SECRET
    body = {"callbacks": {"mailer": {**MAILER, "secrets": [{"env": "HR_TEST_OPERATORS"}]}}}
    made = service.ask(
        "POST", "/v1/keys", key=service.admin, json={"name": "tenant's", "role": "admin"}
    )
    key = made.json()["secret"]
    put(service, {"callbacks": {}})
    answer = service.ask("PUT", "/v1/tracking", key=key, json=body)
    assert answer.status_code == 422, answer.text
    put(service, body)
    assert report(service, "dan@x.test") == 200
    assert service.ask("PUT", "/v1/tracking", key=service.events, json={}).status_code == 403
