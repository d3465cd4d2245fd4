"""Keys, scopes, and what a stranger is told."""

from __future__ import annotations

import base64

import pytest

from api.http.security import secrets_in
from http_service import Served


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "secrets"),
    [
        ("Bearer k", ["k"]),
        ("bearer  k ", ["k"]),
        (basic("k:"), ["k"]),
        (basic("k"), ["k"]),
        (basic('hr_live_k:""'), ["hr_live_k", '""']),
        (basic("site:hr_live_k"), ["hr_live_k", "site"]),
        (basic(":"), []),
        ("Basic %%%", []),
        ("Digest k", []),
        ("", []),
    ],
)
def test_a_key_is_found_where_clients_put_it(header: str, secrets: list[str]) -> None:
    assert list(secrets_in(header)) == secrets


def test_wrong_keys_are_told_and_soon_waited_for(service: Served) -> None:
    answers = [service.ask("POST", "/v1/events", key=f"hr_live_{i}", json=[]) for i in range(25)]
    assert {answer.status_code for answer in answers[:20]} == {401}
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    service.service.rates._buckets["failures"].clear()
    assert service.ask("POST", "/v1/events", json=[]).status_code == 200


def test_no_key_is_told_apart_from_a_wrong_one(service: Served) -> None:
    answer = service.ask("POST", "/v1/events", key="", json=[])
    assert (answer.status_code, answer.json()["detail"]) == (401, "the request has no key")


def test_a_key_for_events_does_nothing_else(service: Served) -> None:
    answer = service.ask("DELETE", "/api/v1/customers/ada")
    assert answer.status_code == 403
    assert "customers:erase" in answer.text


def test_a_browser_finds_out_where_to_send(service: Served) -> None:
    found = service.ask("GET", f"/v1/projects/{service.events}/settings", key="").json()
    ours = found["integrations"]["Segment.io"]
    assert ours["apiKey"] == service.events
    assert f"{ours['protocol']}://{ours['apiHost']}" == f"{service.url}/v1"
    answer = service.ask("GET", "/v1/projects/nobody/settings", key="")
    assert answer.status_code == 404
