"""The HTTP client: it has every operation, asks again where it may, goes through pages."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import write_client
from api.http.app import create_app
from api.http_client import ApiError, HttpClient
from client_text import LEFT_OUT, reason_left_out
from core.errors import HeadraceError
from http_service import Served, served

WRITE = "run tests/support/write_client.py"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("client") / "data") as found:
        yield found


@pytest.fixture(scope="module")
def document(service: Served) -> dict[str, Any]:
    return create_app(service.service).openapi()


def test_every_operation_has_a_method_or_a_reason(document: dict[str, Any]) -> None:
    ids = {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    with_reason = {each for each in ids if reason_left_out(each)}
    for name in ids - with_reason:
        assert callable(getattr(HttpClient, name, None)), f"{name}: {WRITE}"
    for prefix in LEFT_OUT:
        assert any(each.startswith(prefix) for each in with_reason), prefix


def test_the_client_is_what_the_document_says(document: dict[str, Any]) -> None:
    for name, text in write_client.written(document).items():
        found = (write_client.PACKAGE / name).read_text()
        assert found == text, f"{name}: {WRITE}"


def test_methods_take_what_requests_have() -> None:
    taken = inspect.signature(HttpClient.create_key).parameters
    assert list(taken) == [
        "self", "name", "role", "scopes", "user", "expires_ms", "networks"
    ]  # fmt: skip
    assert taken["name"].default is inspect.Parameter.empty
    listed = inspect.signature(HttpClient.list_audit).parameters
    assert {"actor", "action", "since_ms", "limit"} <= set(listed)
    assert "after" not in listed


def test_a_service_is_looked_after(service: Served) -> None:
    with HttpClient(service.url, service.admin) as client:
        made = client.create_tenant(id="acme", name="Acme", quotas={"events_per_second": 9})
        assert client.read_tenant("acme")["quotas"] == {"events_per_second": 9}
        client.change_tenant("acme", expires_ms=2_000_000_000_000)
        assert client.change_tenant("acme", expires_ms=None).get("expires_ms") is None
        with HttpClient(service.url, made["key"]["secret"]) as own:
            for number in range(5):
                own.create_user(id=f"u{number}", name="U", role="viewer")
            assert [user["id"] for user in own.list_users(limit=2)] == [f"u{n}" for n in range(5)]
            assert own.delete_user("u0") is None
            with pytest.raises(ApiError, match="no such user") as caught:
                own.read_user("u0")
            assert (caught.value.status, caught.value.code) == (404, "not-found")
            assert len(list(own.list_audit(action="user.delete"))) == 1
            lines = own.export_audit().splitlines()
            assert json.loads(lines[-1])["action"] == "user.delete"
        with pytest.raises(ApiError) as caught:
            client.create_tenant(id="No", name="x")
        assert caught.value.problem["errors"][0]["pointer"] == "/id"


def scripted(*answers: Callable[[httpx.Request], httpx.Response]) -> tuple[HttpClient, list[Any]]:
    """A client of a service that answers as it is told, and what happened."""
    happened: list[Any] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        happened.append(request.headers.get("idempotency-key"))
        return left.pop(0)(request)

    client = HttpClient(
        "http://service.example",
        "hr_live_k",
        sleep=happened.append,
        transport=httpx.MockTransport(answer),
    )
    return client, happened


def refused(status: int, wait_s: int) -> Callable[[httpx.Request], httpx.Response]:
    headers = {"Retry-After": str(wait_s)}
    return lambda request: httpx.Response(status, json={"code": "busy"}, headers=headers)


def broken(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("too slow", request=request)


def done(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"id": "ada"})


def test_what_is_refused_for_now_is_asked_again_once() -> None:
    client, happened = scripted(refused(429, 7), refused(503, 2), broken, done)
    assert client.create_user(id="ada", name="Ada", role="viewer") == {"id": "ada"}
    keys, waits = happened[::2], happened[1::2]
    assert waits == [7.0, 2.0, 0.8]
    assert len(keys) == 4
    assert len(set(keys)) == 1
    assert keys[0] is not None


def test_other_refusals_and_long_ones_are_raised() -> None:
    client, happened = scripted(lambda request: httpx.Response(409, json={"code": "conflict"}))
    with pytest.raises(ApiError) as caught:
        client.create_user(id="ada", name="Ada", role="viewer")
    assert (caught.value.code, len(happened)) == ("conflict", 1)
    client, happened = scripted(*[refused(503, 1)] * 6)
    with pytest.raises(ApiError):
        client.read_user("ada")
    assert len(happened) == 11
    client, happened = scripted(broken)
    with pytest.raises(HeadraceError, match="no answer"):
        client.send_events(b"[]", "application/json")  # without a key of its own
    assert len(happened) == 1


def test_an_error_survives_another_process() -> None:
    import pickle

    error = ApiError(409, {"code": "conflict", "detail": "it is there", "advice": "Change it"})
    found = pickle.loads(pickle.dumps(error))
    assert (found.status, found.code, str(found)) == (409, "conflict", "it is there. Change it")


def test_the_package_is_small(tmp_path: Path) -> None:
    for path in write_client.PACKAGE.rglob("*.py"):
        assert path.read_text().count("\n") <= 600, path
