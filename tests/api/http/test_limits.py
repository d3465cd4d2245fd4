"""Bounds on bodies: size, compression, charset."""

from __future__ import annotations

import gzip
import socket
import zlib

import pyarrow as pa
import pytest

from api.http.ingest import segment
from api.http.limits import JSON_BYTES_MAX, check_charset, decompressed
from api.http.problems import ProblemError
from http_service import Served

TEXT = b'{"userId": "ada", "event": "signup"}'


def code_of(found: pytest.ExceptionInfo[ProblemError]) -> tuple[int, str]:
    return found.value.problem.status, found.value.problem.code


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT, mtime=0)),
        ("X-GZIP", gzip.compress(TEXT, mtime=0)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)[2:-4]),
        ("zstd", pa.compress(TEXT, "zstd", asbytes=True)),
    ],
)
def test_bodies_are_unpacked(encoding: str, body: bytes) -> None:
    assert decompressed(body, encoding, len(TEXT)) == TEXT
    if body != TEXT:
        with pytest.raises(ProblemError) as found:
            decompressed(body, encoding, len(TEXT) - 1)
        assert code_of(found) == (413, "too-large")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_not_unpacked(encoding: str) -> None:
    zeros = bytes(200 << 20)
    bomb = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "zstd": lambda data: pa.compress(data, "zstd", asbytes=True),
    }[encoding](zeros)
    del zeros
    before = pa.total_allocated_bytes()
    with pytest.raises(ProblemError) as found:
        decompressed(bomb, encoding, 1 << 20)
    assert code_of(found) == (413, "too-large")
    assert pa.total_allocated_bytes() - before < 8 << 20


@pytest.mark.parametrize(
    ("encoding", "body", "expected"),
    [
        ("gzip", b"nonsense", (400, "invalid-compression")),
        ("gzip", gzip.compress(TEXT, mtime=0)[:-3], (400, "invalid-compression")),
        ("gzip", gzip.compress(TEXT, mtime=0) + b"more", (400, "invalid-compression")),
        ("zstd", b"nonsense", (400, "invalid-compression")),
        ("br", TEXT, (415, "unsupported-encoding")),
        ("gzip, gzip", TEXT, (415, "unsupported-encoding")),
    ],
)
def test_damage_is_told(encoding: str, body: bytes, expected: tuple[int, str]) -> None:
    with pytest.raises(ProblemError) as found:
        decompressed(body, encoding, 1 << 20)
    assert code_of(found) == expected


@pytest.mark.parametrize("charset", ["utf-8", '"UTF-8"', "us-ascii"])
def test_utf_8_is_taken(charset: str) -> None:
    check_charset(f"application/json; charset={charset}")


def test_other_charsets_are_refused(service: Served) -> None:
    with pytest.raises(ProblemError) as found:
        check_charset("text/plain;charset=utf-16")
    assert code_of(found) == (415, "unsupported-charset")
    answer = service.ask(
        "POST", "/v1/events", headers={"Content-Type": "application/json; charset=latin-1"},
        content=b"[]",
    )  # fmt: skip
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-charset")


def test_a_large_body_is_refused_before_it_is_read(service: Served) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    size = segment.SIZES.body_bytes_max + 1
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        head = f"POST /v1/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.events}\r\n"
        connection.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode())
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"too-large" in answer


def test_a_large_body_without_a_length_is_cut(service: Served) -> None:
    chunk = bytes(1 << 20)
    answer = service.ask("POST", "/v1/batch", content=(chunk for _ in range(6)))
    assert answer.status_code == 400
    assert answer.json()["code"] == "too-large"


def test_a_body_of_our_own_api_has_a_bound(service: Served) -> None:
    answer = service.ask("POST", "/flags", content=bytes(JSON_BYTES_MAX + 1), key="")
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")
    assert answer.headers["content-type"] == "application/problem+json"
