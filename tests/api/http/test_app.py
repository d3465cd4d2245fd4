"""The application as a whole: every route declared alike, every error a problem."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.http.app import OPEN_PATHS, create_app
from http_service import Served


@pytest.fixture(scope="module")
def document(_module_service: Served) -> dict[str, Any]:
    return create_app(_module_service.service).openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_has_an_id_a_scope_and_examples(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids)) >= 30
    for method, path, operation in operations(document):
        place = f"{method} {path}"
        assert operation["summary"], place
        assert "x-scope" in operation, place
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            # No text shows columns.
            assert "example" in content or "arrow" in media, place
        answers = operation["responses"]
        success = next(answer for status, answer in answers.items() if status < "400")
        for content in success.get("content", {}).values():
            assert "example" in content, place
        for status, answer in answers.items():
            if status >= "400":
                assert all("example" in each for each in answer["content"].values()), place


def test_no_operation_has_the_frameworks_own_errors(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in json.dumps(document)
    assert "ProblemBody" in document["components"]["schemas"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not-found"),
        ("GET", "/v1/track/../../etc/passwd", 404, "not-found"),
        ("DELETE", "/v1/events", 405, "method-not-allowed"),
        ("TRACE", "/healthz", 405, "method-not-allowed"),
        ("OPTIONS", "/v1/events", 405, "method-not-allowed"),
    ],
)
def test_what_is_not_there_is_a_problem(
    service: Served, method: str, path: str, status: int, code: str
) -> None:
    answer = service.ask(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert (told["status"], told["code"]) == (status, code)
    assert told["request_id"] == answer.headers["x-request-id"]
    if status == 405:
        assert answer.headers["allow"]


def test_what_the_service_breaks_at_is_told_without_its_text(service: Served) -> None:
    service.engine.failures.append(KeyError("ada@example.com"))
    answer = service.ask("POST", "/v1/events", json=[])
    assert answer.status_code == 200  # nothing was sent, so nothing broke
    answer = service.ask("POST", "/v1/events", json=[{"customer": "a"}])
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal"
    assert "ada" not in answer.text


def test_pages_of_other_origins_may_only_send_events(service: Served) -> None:
    for path in sorted(OPEN_PATHS):
        path = path + "k/settings" if path.endswith("/") else path
        answer = service.ask("OPTIONS", path, headers={"Origin": "https://shop.example"})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, "*")
        assert "Authorization" in answer.headers["access-control-allow-headers"]
    answer = service.ask("GET", "/healthz", headers={"Origin": "https://shop.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_slash_at_the_end_makes_no_difference(service: Served) -> None:
    answers = [service.ask("POST", f"/v1/events{end}", json=[]) for end in ("", "/")]
    assert [answer.status_code for answer in answers] == [200, 200]


def test_the_document_is_what_is_served(service: Served, document: dict[str, Any]) -> None:
    assert service.ask("GET", "/openapi.json", key="").json() == document


def test_a_wrong_method_is_told_all_that_are_possible(service: Served) -> None:
    answer = service.ask("PATCH", "/api/v1/customers/ada")
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, PUT")


def test_an_encoded_slash_stays_within_its_id(service: Served) -> None:
    answer = service.ask("PUT", "/api/v1/customers/a%2Fsuppress", json={"plan": "gold"})
    assert answer.status_code == 200
    assert service.engine.rows[0]["customer"] == "a/suppress"
    answer = service.ask("PUT", "/api/v1/customers/a/suppress", json={"plan": "gold"})
    assert answer.status_code == 405
