"""Scenarios 32, 33 and 35 by HTTP: bombs of JSON, compression and patterns cost next to nothing.

Each route that takes a body is sent bodies that would grow, nest or run for ever. None may answer
with an error of the service's, none may take long, and none may take memory.
"""

from __future__ import annotations

import gzip
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from http_service import Served, served
from operations import Operation, operations

JSON = "application/json"
GROWTH_MAX_BYTES = 20 << 20
BOMBS = {
    "nested": b"[" * 100_000,
    "nested and closed": b"[" * 100_000 + b"]" * 100_000,
    "nested maps": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a long number": b'{"name": ' + b"9" * 5_000 + b"}",
    "beyond floats": b'{"name": 1e400}',
    "not a number": b'{"name": NaN}',
    "half a pair": b'{"name": "\\ud800"}',
    "no UTF-8": b'{"name": "\xff"}',
    "twice": b'{"name": "a", "name": 7}',
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("bombs") / "data") as found:
        yield found


def taking_bodies(service: Served) -> list[Operation]:
    """Operations of our own API that take JSON."""
    return [
        each
        for each in operations(service)
        if each.media == JSON and each.scope and each.path.startswith("/v1/")
    ]


def send(service: Served, operation: Operation, body: bytes, **headers: str) -> httpx.Response:
    key = service.events if operation.scope == "events:write" else service.admin
    told = {"Content-Type": JSON, **headers}
    url = operation.url({}, "nothing")
    return service.ask(operation.method, url, key=key, content=body, headers=told)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("bomb", BOMBS)
def test_scenario_32_no_json_breaks_a_route(service: Served, bomb: str) -> None:
    slowest_s, asked = 0.0, 0
    for operation in taking_bodies(service):
        began_s = time.monotonic()
        answer = send(service, operation, BOMBS[bomb])
        slowest_s = max(slowest_s, time.monotonic() - began_s)
        assert answer.status_code < 500, (operation.place, answer.text)
        asked += 1
    assert asked >= 40
    assert slowest_s < 1.0
    print(f"scenario 32, {bomb}: {asked} routes, the slowest {slowest_s * 1000:.0f} ms")


def test_scenario_33_what_would_grow_is_refused_before_it_does(service: Served) -> None:
    packed = gzip.compress(bytes(100 << 20))
    before = resident_bytes()
    asked = 0
    for operation in taking_bodies(service):
        service.service.rates._buckets["api"].clear()
        answer = send(service, operation, packed, **{"Content-Encoding": "gzip"})
        # Segment's own libraries are told 400 of what they must not send again.
        assert answer.status_code in (400, 413), (operation.place, answer.text)
        assert "too-large" in answer.text, (operation.place, answer.text)
        asked += 1
    grown = resident_bytes() - before
    assert grown < 3 * GROWTH_MAX_BYTES, f"{grown:,} bytes"
    print(f"scenario 33: {asked} routes, grown by {grown / 2**20:.1f} MiB over all of them")


def test_scenario_33_a_body_without_a_length_is_counted_as_it_comes(service: Served) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(1_000):
            yield bytes(1 << 20)

    headers = {"Authorization": f"Bearer {service.admin}", "Content-Type": JSON}
    began_s = time.monotonic()
    with httpx.Client() as client:
        try:
            answer = client.post(f"{service.url}/v1/keys", content=endless(), headers=headers)
            assert answer.status_code == 413
        except httpx.TransportError:
            pass  # refused while it was still being sent
    assert time.monotonic() - began_s < 10


@pytest.mark.parametrize(
    ("pattern", "sound"),
    [
        ("^(a+)+$", True),
        ("(x+x+)+y", True),
        ("(?=a)b", False),
        (r"(a)\1", False),
        ("((a{100}){100}){100}", False),
        ("(" * 300, False),
    ],
)
def test_scenario_35_a_pattern_runs_in_linear_time_or_not_at_all(
    service: Served, pattern: str, sound: bool
) -> None:
    nodes = {
        "in": {"type": "on_event", "event": "signup", "next": "ask"},
        "ask": {
            "type": "condition",
            "if": {"attribute": "plan", "matches": pattern},
            "next": {"yes": "out", "no": "out"},
        },
        "out": {"type": "end"},
    }
    document = {"headrace": 1, "flow": "slow", "settings": {"reentry": {"policy": "always"}}}
    body = {"document": {**document, "nodes": nodes}}
    answer = service.ask("POST", "/v1/lint", key=service.admin, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["publishable"] is sound, answer.text
    if not sound:
        return
    made = service.ask("POST", "/v1/flows", key=service.admin, json=body)
    assert made.status_code in (201, 409), made.text
    if made.status_code == 409:
        path = "/v1/flows/slow/draft"
        headers = {"If-Match": "*"}
        service.ask("PUT", path, key=service.admin, json=body, headers=headers)
    done = service.ask("POST", "/v1/flows/slow/publish", key=service.admin)
    assert done.status_code == 200, done.text
    rows = [
        {"customer": pattern, "set": {"plan": "a" * 50_000 + "!"}},
        {"customer": pattern, "event": "signup"},
    ]
    began_s = time.monotonic()
    assert service.ask("POST", "/v1/events", json=rows).json()["accepted"] == 2
    while service.engine.counts("slow").waiting.sum():
        assert time.monotonic() - began_s < 5
    assert time.monotonic() - began_s < 5
