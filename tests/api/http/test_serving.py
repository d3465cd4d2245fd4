"""The server: where it listens, how it ends, and the command that starts it."""

from __future__ import annotations

import re
import threading
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.http.serving import Address, Certificate, HttpServer, ListenError
from command import call, ended, read_until, start
from http_service import LOOPBACK
from waiting import PATIENCE_S


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("[::1]:80", "::1", 80),
        ("[::1]", "::1", 8000),
        (":80", "127.0.0.1", 80),
        ("example", "example", 8000),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)


@pytest.mark.parametrize("text", ["a:b", "a:70000", "a:-1", "a:"])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(ListenError, match="expected HOST:PORT"):
        Address.parse(text)


BEGUN = threading.Event()


async def _slow(scope: Any, receive: Any, send: Any) -> None:
    """Answers a request after a while; BEGUN is set meanwhile."""
    import asyncio

    if scope["type"] == "lifespan":
        for _ in range(2):
            told = (await receive())["type"]
            await send({"type": f"{told}.complete"})
        return
    BEGUN.set()
    await asyncio.sleep(0.4)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def test_what_is_under_way_ends_before_the_server_does() -> None:
    answers: list[str] = []
    with HttpServer(_slow, LOOPBACK) as server:
        ask = partial(httpx.get, server.url, timeout=PATIENCE_S)
        thread = threading.Thread(target=lambda: answers.append(ask().text))
        thread.start()
        assert BEGUN.wait(PATIENCE_S)
    thread.join()
    assert answers == ["done"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_an_address_in_use_is_told(tmp_path: Path) -> None:
    with HttpServer(_slow, LOOPBACK) as server:
        address = server.url.removeprefix("http://")
        with pytest.raises(ListenError, match=r"cannot listen at .* in use"):
            HttpServer(_slow, Address.parse(address))
        done = call("serve", tmp_path / "d", "--inline", "--no-send", "--http", address)
    assert done.code == 2
    assert "cannot listen at" in done.words
    assert "--no-http" in done.words


def test_files_that_are_no_certificate_are_told(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="cannot be used"):
        HttpServer(_slow, LOOPBACK, Certificate(tmp_path / "a", tmp_path / "b"))
    done = call("serve", tmp_path / "d", "--inline", "--tls-cert", tmp_path / "a")
    assert "--tls-cert and --tls-key go together" in done.words


def test_the_command_serves_and_tells_its_first_key_once(tmp_path: Path) -> None:
    options = ("serve", tmp_path / "d", "--inline", "--no-send", "--http", "127.0.0.1:0")
    process = start(*options)
    told = read_until(process, "ready:")
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+", told)
    key = {"Authorization": f"Bearer {process_key(process)}"}
    row = {"customer": "ada", "event": "purchase", "properties": {"amount": 3}}
    answer = httpx.post(f"{url}/v1/events", json=[row], headers=key)
    assert answer.json()["accepted"] == 1
    assert httpx.get(f"{url}/readyz").status_code == 200
    process.terminate()
    assert ended(process).code == 0
    again = start(*options)
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+", read_until(again, "ready:"))
    assert httpx.post(f"{url}/v1/events", json=[], headers=key).status_code == 200
    again.terminate()
    done = ended(again)
    assert (done.code, done.out) == (0, "")


def process_key(process: Any) -> str:
    """The key on the first line that the process printed."""
    line: str = process.stdout.readline()
    (found,) = re.findall(r"hr_live_\w+", line)
    return str(found)
