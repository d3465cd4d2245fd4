"""Scenario 13 by HTTP: a key and body sent 50 times at once have one effect and one answer.

The same key with another body is refused; after the service was started again, the stored response
is still what is answered; another tenant's same key is another one (scenario 38 asks for that).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from http_service import Served, served

SENT = 50
ONCE = {"Idempotency-Key": "3f0e4b7a-2f1b-4a33-9d5a-0a1b2c3d4e5f"}
BODY: dict[str, Any] = {"name": "a key", "role": "viewer"}


def post(service: Served, client: httpx.Client, body: dict[str, Any]) -> httpx.Response:
    headers = {"Authorization": f"Bearer {service.admin}", **ONCE}
    return client.post(f"{service.url}/v1/keys", json=body, headers=headers)


def test_fifty_at_once_have_one_effect_and_one_answer(tmp_path: Path) -> None:
    with served(tmp_path / "data") as service:
        admin = service.admin
        with httpx.Client() as client, ThreadPoolExecutor(SENT) as pool:
            answers = list(pool.map(lambda _: post(service, client, BODY), range(SENT)))
            done = [answer for answer in answers if answer.status_code == 201]
            waiting = [answer for answer in answers if answer.status_code == 409]
            assert len(done) + len(waiting) == SENT
            assert len({answer.text for answer in done}) == 1
            fresh = [a for a in done if "idempotency-replayed" not in a.headers]
            assert len(fresh) == 1
            for answer in waiting:
                assert answer.json()["code"] == "under-way"
                assert answer.headers["retry-after"] == "1"
            other = post(service, client, {**BODY, "name": "another"})
            assert (other.status_code, other.json()["pointer"]) == (422, "Idempotency-Key")
        listed = service.ask("GET", "/v1/keys", key=service.admin).json()["items"]
        assert [key["name"] for key in listed].count("a key") == 1
        assert "another" not in {key["name"] for key in listed}
        told = service.ask("GET", "/v1/audit?action=key.create", key=admin).json()["items"]
        assert len(told) == 1
    with served(tmp_path / "data") as service, httpx.Client() as client:
        service.admin = admin
        again = post(service, client, BODY)
        assert (again.status_code, again.text) == (201, fresh[0].text)
        assert again.headers["idempotency-replayed"] == "true"
    print(f"scenario 13: {SENT} at once, {len(done) - 1} replays, {len(waiting)} told to wait")
