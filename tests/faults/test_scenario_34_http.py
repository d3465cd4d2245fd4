"""Scenario 34 by HTTP: ten thousand idle and slow connections leave others' p99 within twice.

The connections say nothing, half a head, or a part of a body, with a key and without one. Where the
system lets a process open fewer files, there are as many as it allows, and the test says how many.
Times beside them are compared with times without them, in turns within one run.
"""

from __future__ import annotations

import resource
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from http_process import Process, http_process, quantiles, times_s

IDLE = 10_000
SPARE = 1_500  # files that this process and the service need for other things
ROUNDS, ASKED = 2, 120
FLOOR_S = 0.002  # what a clock and a scheduler add to a time that is next to nothing


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with http_process(tmp_path_factory.mktemp("slow") / "data") as found:
        found.loosen()
        yield found


def allowed() -> int:
    """How many connections this process may open, once its limit is as high as it can be."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(IDLE, IDLE if hard == resource.RLIM_INFINITY else hard - SPARE)


@contextmanager
def held(service: Process, count: int) -> Iterator[list[socket.socket]]:
    """Within the block so many connections are open, and say nothing more."""
    address = urlsplit(service.url)
    assert address.hostname is not None
    post = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    key = b"Authorization: Bearer " + service.events.encode() + b"\r\n"
    said = (
        b"",
        post % b"/v1/events" + b"X-Slow: ",
        post % b"/v1/events" + key + b"Content-Length: 1000\r\n\r\n[",
        post % b"/batch" + b"Content-Length: 1000\r\n\r\n{",
    )
    found: list[socket.socket] = []
    try:
        for number in range(count):
            connection = socket.create_connection((address.hostname, address.port or 80), 10)
            found.append(connection)
            connection.sendall(said[number % len(said)])
        yield found
    finally:
        for connection in found:
            connection.close()


def test_scenario_34_ten_thousand_connections_hinder_nobody(service: Process) -> None:
    count = allowed()
    _, key = service.tenant("other")
    times_s(service, key, ASKED)
    for attempt in (1, 2):
        without, beside = [], []
        for _ in range(ROUNDS):
            without.append(quantiles(times_s(service, key, ASKED)))
            before = service.memory
            with held(service, count):
                beside.append(quantiles(times_s(service, key, ASKED)))
                grown = service.memory - before
                # Somebody new gets in as well.
                assert httpx.get(service.url + "/healthz").status_code == 200
        p99 = [statistics.median(each[1] for each in found) for found in (without, beside)]
        print(
            f"scenario 34: {count:,} connections of {IDLE:,}, p99 {p99[0] * 1e3:.1f} ms without, "
            f"{p99[1] * 1e3:.1f} ms beside them, grown by {grown / 2**20:.0f} MiB"
        )
        if p99[1] <= 2 * p99[0] + FLOOR_S:
            return
        assert attempt == 1, p99


def test_scenario_34_slow_connections_come_to_an_end(service: Process) -> None:
    with held(service, 40) as connections:
        end_s = time.monotonic() + 60
        waiting = list(connections)
        while waiting and time.monotonic() < end_s:
            waiting = [each for each in waiting if not _is_over(each)]
            time.sleep(0.2)
        assert not waiting


def _is_over(connection: socket.socket) -> bool:
    """Whether it was closed, or answered with an error."""
    connection.settimeout(0.001)
    try:
        return connection.recv(16) in (b"", b"HTTP/1.1 408 Req")
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("size", [100_000, 1 << 20, 64 << 20])
def test_scenario_34_a_huge_head_is_refused_and_takes_no_memory(
    service: Process, size: int
) -> None:
    before = service.begin_peak()
    try:
        answer = httpx.get(service.url + "/v1/flows", headers={"X-Huge": "a" * size})
        assert answer.status_code == 431
    except httpx.TransportError:
        pass  # it was cut off
    assert service.peak - before < 20 << 20
    assert httpx.get(service.url + "/healthz").status_code == 200
