"""Connections: heads that are too slow or too large, and places when all are taken."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from api.http import connections, serving
from api.http.connections import HEAD_BYTES_MAX, places_for_connections
from api.http.serving import HttpServer
from http_service import LOOPBACK

SOCKETS: list[socket.socket] = []  # that are open
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"


class App:
    """Answers at once, but what begins with /slow once it may."""

    def __init__(self) -> None:
        self.gate = threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                told = (await receive())["type"]
                await send({"type": f"{told}.complete"})
            return
        while (await receive()).get("more_body"):
            continue
        while scope["path"] == "/slow" and not self.gate.is_set():
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


@contextmanager
def serving_app(places: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[App, HttpServer]]:
    monkeypatch.setattr(serving, "places_for_connections", lambda: places)
    app = App()
    with HttpServer(app, LOOPBACK) as server:
        try:
            yield app, server
        finally:
            app.gate.set()
            while SOCKETS:
                SOCKETS.pop().close()


def opened(server: HttpServer, said: bytes = b"") -> socket.socket:
    address = urlsplit(server.url)
    assert address.hostname is not None
    found = socket.create_connection((address.hostname, address.port or 80), timeout=10)
    SOCKETS.append(found)
    found.sendall(said)
    return found


def is_closed(connection: socket.socket, wait_s: float = 5.0) -> bool:
    connection.settimeout(wait_s)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    with serving_app(100, monkeypatch) as (_, server):
        for said in (b"", b"GET /", HEAD, HEAD + b"\r\nGET / HTTP/1.1\r\nX-Slow: "):
            connection = opened(server, said)
            began_s = time.monotonic()
            if said.endswith(b"Slow: "):
                assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            # Bytes that trickle in do not prolong it.
            for _ in range(2):
                time.sleep(0.1)
                connection.sendall(b"x" if said else b"")
            assert is_closed(connection), said
            assert time.monotonic() - began_s < 2
        assert httpx.get(server.url).text == "done"


@pytest.mark.parametrize("size", [HEAD_BYTES_MAX, 1 << 20, 1 << 24])
def test_a_head_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    with serving_app(100, monkeypatch) as (_, server):
        for head in (
            HEAD + b"X-A: " + b"a" * size,
            HEAD + b"X-A: a\r\n" * (size // 8),
            b"GET /" + b"a" * size + b" HTTP/1.1\r\n",
        ):
            connection = opened(server)
            try:
                connection.sendall(head + b"\r\n\r\n")
                answer = connection.recv(1 << 16)
            except ConnectionError:
                continue  # it was cut off while it was being sent
            if answer.startswith(b"HTTP/1.1 400 "):
                assert head.startswith(b"GET /aaa")  # no parser takes such a path
                continue
            assert answer.startswith(b"HTTP/1.1 431 "), answer[:80]
            body = json.loads(answer.partition(b"\r\n\r\n")[2])
            assert (body["status"], body["code"]) == (431, "head-too-large")
            assert is_closed(connection)
        assert httpx.get(server.url, headers={"X-A": "a" * 60_000}).text == "done"


def test_what_comes_after_the_answer_is_let_come_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.3)

    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    with serving_app(100, monkeypatch) as (_, server):
        monkeypatch.setattr(App, "__call__", lambda self, *given: hasty(*given))
        said = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
        slow, fast = opened(server, said), opened(server, said)
        assert slow.recv(4096).startswith(b"HTTP/1.1 413")
        assert fast.recv(4096).startswith(b"HTTP/1.1 413")
        sent = 0
        with suppress(ConnectionError):
            while sent < 100_000_000:
                sent += fast.send(bytes(1 << 16))
        assert sent < 50_000_000
        slow.sendall(b"x")
        assert is_closed(slow)


def test_who_is_idle_for_longest_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_app(4, monkeypatch) as (app, server):
        busy = opened(server, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.2)
        idle = [opened(server, HEAD[:n]) for n in (0, 10, 20)]
        time.sleep(0.2)
        kept = opened(server, HEAD)
        assert is_closed(idle[0])
        assert not is_closed(idle[1], 0.2)
        with httpx.Client() as client:
            assert client.get(server.url).text == "done"
        assert is_closed(idle[1])
        kept.sendall(b"\r\n")
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        app.gate.set()
        assert busy.recv(4096).startswith(b"HTTP/1.1 200")


def test_beyond_what_can_be_answered_at_once_is_told_to_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "REQUESTS_MAX", 2)
    with serving_app(100, monkeypatch) as (app, server):
        # Whose body does not come is not among those who are answered.
        said = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"
        half, *_ = [opened(server, said) for _ in range(5)]
        time.sleep(0.2)
        slow = [opened(server, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(2)]
        time.sleep(0.2)
        answer = httpx.get(server.url)
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert answer.headers["retry-after"] == "1"
        app.gate.set()
        for each in slow:
            assert each.recv(4096).startswith(b"HTTP/1.1 200")
        assert httpx.get(server.url).text == "done"
        half.sendall(b"x" * 8)
        assert half.recv(4096).startswith(b"HTTP/1.1 200")


def test_as_many_files_as_needed_may_be_opened() -> None:
    assert 256 <= places_for_connections(1_000) <= 1_000
