"""Scenario 32 by HTTP: every bomb of JSON gets 4xx within 100 ms, and takes no memory.

Each route that takes JSON is sent bodies that nest, that are long, or that parsers read
differently. Clients of other products that would not understand 4xx are told that the batch came,
and nothing of it is taken. The service is a process of its own, whose memory is looked at from
outside. A time is the least of a few tries, since the machine may have other work.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from http_process import Process, http_process
from operations import Operation, operations_of

ANSWER_S = 0.100
GROWTH_BYTES = 20 << 20
TRIES = 6
BATCH_BYTES = 2 << 20
EVENTS, JSON = "/v1/events", {"Content-Type": "application/json"}
SOUND = b'{"customer": "c", "event": "signup"}'
BOMBS = {
    "nested arrays": b"[" * 100_000,
    "nested and closed": b"[" * 100_000 + b"]" * 100_000,
    "nested objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a text of 10 MB": b'{"name": "' + b"a" * (10 << 20) + b'"}',
    "a million keys": json.dumps({f"k{n}": 1 for n in range(1_000_000)}).encode(),
    "5,000 digits": b'{"name": ' + b"9" * 5_000 + b"}",
    "beyond 64 bits": b'{"name": 18446744073709551616}',
    "beyond floats": b'{"name": 1e400}',
    "not a number": b'{"name": NaN}',
    "half a pair": b'{"name": "\\ud800"}',
    "no UTF-8": b'{"name": "\xff"}',
    "equal keys": b'{"name": "a", "name": 7}',
}
# What a list of rows refuses one by one, with 200: see the test of rows.
BY_ROW = frozenset({"beyond 64 bits", "beyond floats", "not a number", "half a pair"})
SAME = "equal keys"  # events: the last one counts, as their documentation says


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with http_process(tmp_path_factory.mktemp("bombs") / "data") as found:
        found.loosen()
        for operation in taking_json(found):
            sent(found, operation, b"[")  # what is loaded when it is first needed is there now
        batch = b"[" + b",".join([SOUND] * (BATCH_BYTES // len(SOUND))) + b"]"
        for _ in range(TRIES):  # and the buffers of batches as large as the bombs
            assert found.ask(
                "POST", EVENTS, key=found.events, content=batch, headers=JSON
            ).is_success
        yield found


def taking_json(service: Process) -> list[Operation]:
    """Every operation whose body is JSON: our own, and those of other products' clients."""
    document = service.ask("GET", "/openapi.json").json()
    return [
        each for each in operations_of(document) if "json" in each.media and "nd" not in each.media
    ]


def takes_events(operation: Operation) -> bool:
    """Whether it is one of those that clients send events to."""
    return operation.scope in ("", "events:write")


def taken(service: Process) -> list[str]:
    """What the service tells of the rows that it accepted."""
    told = service.ask("GET", "/metrics").text.splitlines()
    return [line for line in told if "headrace_events_total" in line and "accepted" in line]


def sent(service: Process, operation: Operation, body: bytes) -> tuple[httpx.Response, float]:
    """The answer to a body, and the least time that it took."""
    key = service.events if takes_events(operation) else service.admin
    headers = {"Content-Type": operation.media}
    url, least_s = operation.url({}, "nothing"), 9.0
    for _ in range(TRIES):
        began_s = time.perf_counter()
        answer = service.ask(operation.method, url, key=key, content=body, headers=headers)
        least_s = min(least_s, time.perf_counter() - began_s)
        if least_s <= ANSWER_S:
            break
    return answer, least_s


LARGE = [bomb for bomb, body in BOMBS.items() if len(body) > 1 << 20]


@pytest.mark.parametrize("bomb", [bomb for bomb in BOMBS if bomb not in LARGE])
def test_scenario_32_a_bomb_is_refused_at_once_by_every_route(service: Process, bomb: str) -> None:
    check(service, bomb, taking_json(service))


@pytest.mark.parametrize("bomb", LARGE)
def test_scenario_32_a_large_bomb_is_refused_at_once(service: Process, bomb: str) -> None:
    """By every seventh route, and by all that take more than others; the soak asks every route."""
    routes = taking_json(service)
    large = ("/v1/flows", "/v1/lint", "/v1/batch", "/batch", "/v1/events", "/v1/templates")
    chosen = [each for n, each in enumerate(routes) if n % 7 == 0 or each.path in large]
    check(service, bomb, chosen)


@pytest.mark.soak
@pytest.mark.parametrize("bomb", LARGE)
def test_scenario_32_a_large_bomb_is_refused_at_once_by_every_route(
    service: Process, bomb: str
) -> None:
    check(service, bomb, taking_json(service))


def check(service: Process, bomb: str, routes: list[Operation]) -> None:
    """Each of the routes refuses a bomb in time, and all of them together take no memory."""
    body, slowest_s, asked = BOMBS[bomb], 0.0, 0
    before, accepted = service.begin_peak(), taken(service)
    for operation in routes:
        if takes_events(operation) and (bomb in BY_ROW or bomb == SAME):
            continue
        answer, least_s = sent(service, operation, body)
        status = answer.status_code
        others = takes_events(operation) and status == 200
        assert others or (400 <= status < 500 and status != 429), (operation.place, answer.text)
        assert least_s <= ANSWER_S, (operation.place, least_s)
        slowest_s, asked = max(slowest_s, least_s), asked + 1
    grown = service.memory - before
    assert asked >= min(35, len(routes))
    assert taken(service) == accepted
    assert grown < GROWTH_BYTES, f"{grown:,} bytes"
    print(
        f"scenario 32, {bomb}: {asked} routes, the slowest {slowest_s * 1e3:.0f} ms, grown by "
        f"{grown / 2**20:.1f} MiB, at most {(service.peak - before) / 2**20:.1f} MiB"
    )


VALUES = {
    "beyond 64 bits": b"18446744073709551616",
    "5,000 digits": b"9" * 5_000,
    "beyond floats": b"1e400",
    "not a number": b"NaN",
    "half a pair": b'"\\ud800"',
    "nested": b"[" * 10_000 + b"]" * 10_000,
    "a text of 2 MB": b'"' + b"a" * (2 << 20) + b'"',
    "twenty thousand keys": json.dumps({f"k{n}": 1 for n in range(20_000)}).encode(),
}


@pytest.mark.parametrize("bomb", VALUES)
def test_scenario_32_a_row_that_is_a_bomb_costs_only_itself(service: Process, bomb: str) -> None:
    row = b'{"customer": "c", "event": "order", "properties": {"amount": ' + VALUES[bomb] + b"}}"
    before = service.begin_peak()
    least_s = 9.0
    for _ in range(TRIES):
        began_s = time.perf_counter()
        answer = service.ask(
            "POST", EVENTS, key=service.events, content=b"[" + row + b"," + SOUND + b"]",
            headers=JSON,
        )  # fmt: skip
        least_s = min(least_s, time.perf_counter() - began_s)
    if answer.status_code == 200:
        told = answer.json()
        assert (told["accepted"], told["refused"]) == (1, 1), told
        assert told["rows"][0]["row"] == 0
    else:
        assert answer.status_code in (400, 413), answer.text
    assert least_s <= ANSWER_S
    grown = service.memory - before
    assert grown < GROWTH_BYTES, f"{grown:,} bytes"
