"""Request ids, the log, and the numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from actors import failpoints
from actors.live.errors import BusyError
from api.http.observing import FIELDS, LOGGER, allowed_only, logging_to
from http_service import Served, served
from http_shop import MAIL, Shop, mailing
from waiting import until


def test_a_request_keeps_the_id_that_it_came_with(service: Served) -> None:
    answer = service.ask("GET", "/healthz", headers={"X-Request-Id": "abc-1"})
    assert answer.headers["x-request-id"] == "abc-1"
    for wrong in ("a b", "x" * 65, 'a"b'):
        answer = service.ask("GET", "/healthz", headers={"X-Request-Id": wrong})
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


def test_fields_that_are_not_listed_are_dropped() -> None:
    assert allowed_only(None, "", {"status": 200, "email": "a@example.com"}) == {"status": 200}


def test_the_log_holds_no_key_and_nothing_personal(service: Served, tmp_path: Path) -> None:
    file = tmp_path / "log" / "http.jsonl"
    with logging_to(file):
        body = {"userId": "u-77", "traits": {"email": "ada@example.com"}}
        service.ask("POST", "/v1/identify", json=body)
        service.ask("PUT", "/api/v1/customers/u-77", json={"email": "ada@example.com"})
        service.ask("GET", f"/v1/projects/{service.events}/settings?u-77", key="")
        service.ask("GET", "/v1/u-77/ada@example.com")
        service.engine.failures.append(ValueError("ada@example.com"))
        service.ask("POST", "/v1/identify", json=body)
    text = file.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["route"] for line in lines if line["event"] == "request"] == [
        *["/v1/identify", "/api/v1/customers/{customer}"],
        *["/v1/projects/{write_key}/settings", "(none)", "/v1/identify"],
    ]
    assert all(line.keys() <= FIELDS for line in lines)
    for secret in ("u-77", "@", service.events):
        assert secret not in text
    failed = next(line for line in lines if line["event"] == "intake failed")
    assert failed["error"] == "ValueError"
    assert failed["request_id"] == lines[-1]["request_id"]
    assert LOGGER == "headrace.http"


def numbers(service: Served) -> dict[str, float]:
    text = service.ask("GET", "/metrics", key="").text
    lines = [line.rpartition(" ") for line in text.splitlines() if line[:1] not in ("", "#")]
    return {name: float(value) for name, _, value in lines}


def test_numbers_tell_what_became_of_events(service: Served) -> None:
    before = numbers(service)
    row = {"customer": "n", "event": "signup", "message_id": "n-1"}
    service.ask("POST", "/v1/events", json=[row, row, {"customer": "n", "event": "unheard of"}])
    service.engine.failures.append(BusyError("full"))
    service.ask("POST", "/v1/events", json=[row])
    after = numbers(service)

    def grew(name: str) -> float:
        return after[name] - before.get(name, 0)

    outcome = 'headrace_events_total{format="headrace",outcome="%s"}'
    assert [grew(outcome % each) for each in ("accepted", "duplicate", "refused")] == [1, 1, 1]
    requests = 'headrace_http_requests_total{method="POST",route="/v1/events",status="%s"}'
    assert [grew(requests % each) for each in (200, 429)] == [1, 1]
    shard = '{shard="0-1",tenant="main"}'
    assert [after[f"headrace_{name}{shard}"] for name in ("queue_rows", "late_ms")] == [0, 0]
    assert after[f"headrace_shard_up{shard}"] == 1
    assert after['headrace_partitions{state="open",tenant="main"}'] == 2
    assert not [name for name in after if "_created" in name]


def test_numbers_tell_what_waits_in_outboxes(service: Served) -> None:
    inner = service.engine.engine
    known = dict(inner._statuses)
    told = {"depth": 3, "oldest_age_ms": 4_500, "counts": {"email": {"sent": 7, "retried": 2}}}
    try:
        for places, status in known.items():
            partitions = {n: {**p, "outbox": told} for n, p in status["partitions"].items()}
            inner._statuses[places] = {**status, "partitions": partitions}
        after = numbers(service)
    finally:
        inner._statuses.update(known)
    # Two partitions have it.
    assert after['headrace_outbox_messages{tenant="main"}'] == 6
    assert after['headrace_outbox_oldest_seconds{tenant="main"}'] == 4.5
    sent = 'headrace_messages_total{channel="email",outcome="%s",tenant="main"}'
    assert [after[sent % each] for each in ("sent", "retried")] == [14, 4]


def test_readiness_tells_the_truth(service: Served) -> None:
    assert service.ask("GET", "/readyz", key="").json() == {"status": "ready"}
    inner = service.engine.engine
    known = dict(inner._statuses)
    try:
        for numbers, status in known.items():
            inner._statuses[numbers] = {**status, "disk": "full", "disk_used": 0.99}
        answer = service.ask("GET", "/readyz", key="")
    finally:
        inner._statuses.update(known)
    assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
    assert answer.headers["retry-after"] == "2"
    assert service.ask("GET", "/readyz", key="").status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"alive": False, "error": "it is gone"},
        {"partitions": {0: {"state": "halted"}}, "disk": "ok"},
        {"partitions": {0: {"state": "opening"}}, "disk": "ok"},
    ],
    ids=["gone", "halted", "opening"],
)
def test_a_shard_that_takes_no_rows_is_not_ready(service: Served, wrong: dict[str, Any]) -> None:
    inner = service.engine.engine
    known = dict(inner._statuses)
    try:
        inner._statuses.update({numbers: {"numbers": numbers, **wrong} for numbers in known})
        answer = service.ask("GET", "/readyz", key="")
    finally:
        inner._statuses.update(known)
    assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
    # Who is told whether to send requests here is told nothing else.
    assert answer.json()["detail"] == "1 parts of the service cannot work now"
    assert service.ask("GET", "/readyz", key="").json() == {"status": "ready"}


def test_a_control_plane_that_cannot_be_written_is_not_ready(tmp_path: Path) -> None:
    with served(tmp_path / "data") as own:
        body = {"name": "k", "scopes": ["events:write"]}
        failpoints.arm("in_transaction", "eio")
        try:
            failed = own.ask("POST", "/v1/keys", key=own.admin, json=body)
        finally:
            failpoints.disarm()
        assert failed.status_code in (500, 503)
        answer = own.ask("GET", "/readyz", key="")
        assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
        assert own.ask("GET", "/healthz", key="").json() == {"status": "alive"}
        # Nobody is let in by what cannot be trusted any more.
        assert own.ask("POST", "/v1/events", json=[]).status_code == 503


def test_the_id_of_a_request_reaches_the_shard_and_the_relay(tmp_path: Path) -> None:
    file = tmp_path / "log" / "http.jsonl"

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in file.read_text().splitlines()]

    with served(tmp_path / "data", relays=True) as found, logging_to(file):
        shop = Shop(found)
        shop.done("PUT", "/v1/content/hello", MAIL)
        found.engine.publish(mailing("greet"))
        change = {"set": {"email": "ada@x.example", "first_name": "Ada"}}
        shop.done("PUT", "/v1/customers/ada", change)
        track = {"userId": "ada", "event": "signup", "messageId": "m-1"}
        for path, body, known in (
            ("/v1/events", [{"customer": "ada", "event": "signup"}], "ours-1"),
            ("/v1/track", track, "theirs-1"),
        ):
            headers = {"X-Request-Id": known}
            answer = found.ask("POST", path, json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-request-id"] == known

            def told(known: str = known) -> set[str]:
                return {each["event"] for each in lines() if each["request_id"] == known}

            until(lambda told=told: told() == {"request", "commit", "delivery"})
            (commit,) = [e for e in lines() if e["request_id"] == known and e["event"] == "commit"]
            assert commit["rows"] == 1
            (sent,) = [e for e in lines() if e["request_id"] == known and e["event"] == "delivery"]
            assert (sent["channel"], sent["outcome"]) == ("email", "delivered")
    assert "ada" not in file.read_text()
