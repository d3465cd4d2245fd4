"""Scenario 41, bad requests by hand: each route refuses what it does not know, and says what to do.

What a request says wrongly must not pass over in silence: a misspelt filter would list everything,
a misspelt field would change nothing. Every refusal is a problem (RFC 9457) with advice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from http_service import Served, served
from operations import Operation, operations

JSON = "application/json"
UNKNOWN = "no-such-member"
FREE = {
    # Bodies whose members the tenant names: what is wrong with them is told by their own tests.
    "put_segment": "a condition",
    "set_segments_document": "a document",
    "put_tracking": "a document, read as the file is",
    "put_provider": "settings by kind",
    "set_schema": "a document",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("bad") / "data") as found:
        yield found


def ours(service: Served) -> list[Operation]:
    """The operations of our own API, with a key."""
    return [
        each
        for each in operations(service)
        if each.path.startswith("/v1/") and each.scope and each.scope != "events:write"
    ]


def taking_json(service: Served) -> list[Operation]:
    return [each for each in ours(service) if each.media == JSON]


def send(
    service: Served, operation: Operation, body: Any = None, kind: str = JSON, query: str = ""
) -> httpx.Response:
    for buckets in service.service.rates._buckets.values():
        buckets.clear()
    url = operation.url({}, "nothing") + query
    more: dict[str, Any] = {} if body is None else {"content": body}
    headers = {"Content-Type": kind} if kind and body is not None else {}
    return service.ask(operation.method, url, key=service.admin, headers=headers, **more)


def told(answer: httpx.Response, status: int, code: str, place: str) -> dict[str, Any]:
    """The problem that a response must be, with what to do."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        status, "application/problem+json",
    ), (place, answer.text)  # fmt: skip
    found: dict[str, Any] = answer.json()
    assert (found["status"], found["code"]) == (status, code), (place, answer.text)
    assert found["detail"], place
    assert found["advice"], (place, answer.text)
    return found


def test_a_parameter_that_a_route_does_not_have_is_refused(service: Served) -> None:
    asked = 0
    for operation in ours(service):
        body = None if operation.media == "" else json.dumps(operation.example).encode()
        answer = send(service, operation, body, operation.media, query="?stauts=running&limit=x")
        found = told(answer, 422, "invalid", operation.place)
        assert found["errors"][0]["pointer"] == "stauts", operation.place
        asked += 1
    assert asked >= 100
    listed = service.ask("GET", "/v1/flows?stauts=running", key=service.admin).json()
    assert "status" in listed["advice"]


def test_a_field_that_a_body_does_not_have_is_refused(service: Served) -> None:
    assert {each.name for each in taking_json(service)} >= FREE.keys()
    asked = 0
    for operation in taking_json(service):
        if not isinstance(operation.example, dict) or operation.name in FREE:
            continue
        body = json.dumps({**operation.example, UNKNOWN: 1}).encode()
        found = told(send(service, operation, body), 422, "invalid", operation.place)
        pointers = {fault["pointer"] for fault in found["errors"]}
        assert f"/{UNKNOWN}" in pointers, (operation.place, found)
        asked += 1
    assert asked >= 25


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "no-such-charset"])
def test_another_charset_is_refused(service: Served, charset: str) -> None:
    for operation in taking_json(service):
        answer = send(service, operation, b"{}", f"{JSON}; charset={charset}")
        found = told(answer, 415, "unsupported-charset", operation.place)
        assert charset in found["detail"]


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_said_to_be_json_is_refused(service: Served, kind: str) -> None:
    for operation in taking_json(service):
        found = told(
            send(service, operation, b"{}", kind), 415, "unsupported-media-type", operation.place
        )
        assert "Content-Type: application/json" in found["advice"]


def test_a_body_that_is_no_object_is_told_in_plain_words(service: Served) -> None:
    for operation in taking_json(service):
        if not isinstance(operation.example, dict):
            continue
        for body in (b"[]", b"7", b'"x"'):
            answer = send(service, operation, body)
            assert answer.status_code in (404, 409, 422), (operation.place, answer.text)
            assert answer.json()["advice"], operation.place
            assert "extract fields" not in answer.text, (operation.place, answer.text)
            assert "Input should be a valid dict" not in answer.text, (operation.place, answer.text)
