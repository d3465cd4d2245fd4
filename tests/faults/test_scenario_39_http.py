"""Scenario 39 by HTTP: keys are shown once, kept nowhere, ended at once; guessing is slow."""

from __future__ import annotations

import time
from pathlib import Path

from api.http.observing import logging_to
from http_service import served

GUESSES = 40


def test_a_secret_is_nowhere_but_in_the_one_answer(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with served(folder) as service, logging_to(folder / "log" / "http.jsonl"):
        minted = service.ask(
            "POST", "/v1/keys", key=service.admin, json={"name": "k", "role": "admin"}
        ).json()
        secret = minted["secret"]
        once = {"Idempotency-Key": "the key of a key"}
        body = {"name": "kept", "role": "viewer"}
        answers = [
            service.ask("POST", "/v1/keys", key=secret, json=body, headers=once) for _ in range(2)
        ]
        assert answers[0].text == answers[1].text
        kept = answers[0].json()["secret"]
        rotated = service.ask(
            "POST", f"/v1/keys/{minted['key']['key_id']}/rotate", key=service.admin
        ).json()["secret"]
        for path in ("/v1/keys", "/v1/audit", "/v1/audit/export", "/v1/tenants"):
            service.ask("GET", path, key=secret)
        service.ask("GET", f"/v1/keys/{secret}", key=service.admin)
        errors = [
            service.ask("GET", "/v1/keys", key=f"{secret}x").text,
            service.ask("GET", f"/v1/keys/{kept}", key=secret).text,
        ]
        metrics = service.ask("GET", "/metrics", key="").text
        tails = [each.rpartition("_")[2] for each in (service.admin, secret, kept, rotated)]
    for tail in tails:
        assert tail not in metrics
        assert not any(tail in error for error in errors)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        data = path.read_bytes()
        for tail in tails:
            assert tail.encode() not in data, path
    print(f"scenario 39: 4 secrets looked for in {len(files)} files, found 0 times")


def test_a_revoked_key_is_none_within_a_second(tmp_path: Path) -> None:
    with served(tmp_path / "data") as service:
        minted = service.ask(
            "POST", "/v1/keys", key=service.admin, json={"name": "k", "scopes": ["events:write"]}
        ).json()
        key, path = minted["secret"], f"/v1/keys/{minted['key']['key_id']}/revoke"
        assert service.ask("POST", "/v1/events", key=key, json=[]).status_code == 200
        assert service.ask("POST", path, key=service.admin).status_code == 200
        began_s = time.monotonic()
        assert service.ask("POST", "/v1/events", key=key, json=[]).status_code == 401
        assert time.monotonic() - began_s < 1


def test_guessing_is_slowed_down_and_hinders_nobody_else_with_a_key(tmp_path: Path) -> None:
    with served(tmp_path / "data") as service:
        known = service.admin.rpartition("_")[0]
        answers = [
            service.ask("GET", "/v1/keys", key=f"{known}_{'a' * 40}{number:06}")
            for number in range(GUESSES)
        ]
        statuses = [answer.status_code for answer in answers]
        assert statuses[:20] == [401] * 20
        assert statuses[-1] == 429
        assert statuses.count(401) <= 25
        assert int(answers[-1].headers["retry-after"]) >= 1
        told = {answer.json()["detail"] for answer in answers[:20]}
        assert len(told) == 1
