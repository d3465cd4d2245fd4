"""Scenario 33 by HTTP: what would grow when it is unpacked is refused, and takes no memory.

Bodies of 50 kB that unpack to 50 MB go to every route that takes a body, in each encoding; a body
without a length is counted as it comes. The service is a process of its own, whose memory is looked
at from outside, also at its highest.
"""

from __future__ import annotations

import gzip
import io
import time
import zipfile
import zlib
from collections.abc import Iterator

import httpx
import pyarrow as pa
import pytest

from http_process import Process, http_process
from operations import Operation, operations_of

GROWTH_BYTES = 20 << 20
BOMB_BYTES = 50 << 20
ZEROS = bytes(BOMB_BYTES)
BOMBS = {
    "gzip": gzip.compress(ZEROS),
    "deflate": zlib.compress(ZEROS),
    "zstd": pa.compress(ZEROS, "zstd", asbytes=True),
}
CHUNK = bytes(64 << 10)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    with http_process(tmp_path_factory.mktemp("bombs") / "data") as found:
        found.loosen()
        small = {name: gzip.compress(b"[") for name in BOMBS}
        for operation in taking_bodies(found):
            send(found, operation, small["gzip"], "gzip")  # what it loads first is there now
        yield found


def taking_bodies(service: Process) -> list[Operation]:
    """Every operation that takes a body."""
    document = service.ask("GET", "/openapi.json").json()
    return [each for each in operations_of(document) if each.media]


def send(service: Process, operation: Operation, body: bytes, encoding: str) -> httpx.Response:
    key = service.events if operation.scope in ("", "events:write") else service.admin
    headers = {"Content-Type": operation.media, "Content-Encoding": encoding}
    url = operation.url({}, "nothing")
    return service.ask(operation.method, url, key=key, content=body, headers=headers)


@pytest.mark.parametrize("encoding", BOMBS)
def test_scenario_33_what_would_grow_is_refused_before_it_does(
    service: Process, encoding: str
) -> None:
    bomb = BOMBS[encoding]
    before = service.begin_peak()
    asked = 0
    for operation in taking_bodies(service):
        answer = send(service, operation, bomb, encoding)
        # Where nothing packed is taken at all it is 415; some clients are told 400 of what they
        # must not send again, and the body says why.
        assert answer.status_code in (400, 413, 415), (operation.place, answer.text)
        if answer.status_code == 400:
            assert "too-large" in answer.text, (operation.place, answer.text)
        asked += answer.status_code != 415
    grown, most = service.memory - before, service.peak - before
    print(
        f"scenario 33, {encoding}: {asked} routes, {len(bomb):,} bytes of {BOMB_BYTES:,}, grown by "
        f"{grown / 2**20:.1f} MiB, at most {most / 2**20:.1f} MiB"
    )
    assert asked >= 60
    assert most < GROWTH_BYTES


@pytest.mark.parametrize(
    ("path", "media"),
    [
        ("/v1/keys", "application/json"),
        ("/v1/events", "application/json"),
        ("/v1/batch", "application/json"),
        ("/batch", "application/json"),
        ("/v1/uploads", "text/csv"),
    ],
)
def test_scenario_33_a_body_without_a_length_is_counted_as_it_comes(
    service: Process, path: str, media: str
) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(16_000):
            sent += len(CHUNK)
            yield CHUNK

    key = service.admin if path in ("/v1/keys", "/v1/uploads") else service.events
    before = service.begin_peak()
    began_s = time.monotonic()
    with httpx.Client(timeout=60) as client:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": media}
        try:
            answer = client.post(service.url + path, content=endless(), headers=headers)
            assert answer.status_code == 413 or "too-large" in answer.text
        except httpx.TransportError:
            pass  # cut off while it was still being sent
    most = service.peak - before
    print(f"scenario 33, {path} in chunks: {sent >> 20} MiB taken, grown by {most / 2**20:.1f} MiB")
    assert sent < 100 << 20
    # A body that may have 20 MB is there while it arrives.
    assert most < GROWTH_BYTES + (20 << 20)
    assert service.memory - before < GROWTH_BYTES
    assert time.monotonic() - began_s < 30


def test_scenario_33_a_packed_file_does_not_grow(service: Process) -> None:
    """CSV in gzip and in a zip archive: the one stops at a bound, the other is nothing we read."""
    row = b"zoe," + b"0" * 1_019 + b"\n"
    packed = gzip.compress(b"id,at\n" + row * (150 << 10), compresslevel=9)
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("people.csv", ZEROS)
    before = service.begin_peak()
    for name, data in (("people.csv.gz", packed), ("people.zip", stored.getvalue())):
        answer = service.ask("PUT", f"/v1/audiences/bomb/files/{name}", content=data)
        assert answer.status_code == 200, answer.text
        mapping = {
            "headrace_mapping": 1,
            "as_of": "2026-04-01T00:00:00Z",
            "customers": {"file": name, "id": "id"},
        }
        started = service.ask("POST", "/v1/audiences/bomb/import", json={"mapping": mapping})
        if name.endswith(".zip"):
            assert started.status_code == 422 or ended(service, started)["status"] == "failed"
            continue
        assert started.status_code == 202, started.text
        run = ended(service, started)
        assert run["status"] == "failed"
        assert "200 times" in run["failure"]["message"], run
    answer = service.ask(
        "POST", "/v1/uploads", content=BOMBS["gzip"],
        headers={"Content-Type": "text/csv", "Content-Encoding": "gzip"},
    )  # fmt: skip
    assert answer.status_code == 413
    assert service.memory - before < GROWTH_BYTES


def ended(service: Process, started: httpx.Response) -> dict[str, object]:
    """A run, once it has ended."""
    end_s = time.monotonic() + 60
    while True:
        found: dict[str, object] = service.done("GET", f"/v1/runs/{started.json()['id']}")
        if found["status"] not in ("queued", "running"):
            return found
        assert time.monotonic() < end_s
        time.sleep(0.1)
