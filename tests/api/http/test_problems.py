"""Errors as problems: each class with its status, none with more than it may tell."""

from __future__ import annotations

import pytest

from actors.intake.admission import GapError
from actors.live import errors as live
from actors.service import errors as service
from actors.store import errors as store
from api.http.problems import MEDIA, Problem, declared, problem_of, refuse, respond
from core.errors import HeadraceError
from core.violations import violation


@pytest.mark.parametrize(
    ("error", "status", "code", "wait_s"),
    [
        (live.BusyError("b", retry_after_ms=20), 429, "busy", 1),
        (live.BusyError("b", retry_after_ms=1_001), 429, "busy", 2),
        (live.FullError("f"), 503, "disk-full", 30),
        (store.NoSpaceError("n"), 503, "disk-full", 30),
        (live.GoneError("g"), 503, "shard-gone", 30),
        (live.DownError("d"), 503, "shard-down", 2),
        (live.UnknownError("u"), 503, "no-answer-in-time", 1),
        (live.RefusedError("r"), 409, "refused", 0),
        (GapError("g"), 409, "gap-in-sequence", 0),
        (service.UnauthenticatedError("u"), 401, "unauthorized", 0),
        (service.ForbiddenError("f"), 403, "forbidden", 0),
        (service.NotFoundError("n"), 404, "not-found", 0),
        (service.UnderWayError("w", retry_after_ms=500), 409, "under-way", 1),
        (service.ConflictError("c"), 409, "conflict", 0),
        (service.InvalidError("i"), 422, "invalid", 0),
        (service.LimitedError("l", retry_after_ms=2_000), 429, "limited", 2),
        (HeadraceError("h"), 422, "invalid", 0),
        (refuse(418, "teapot", "t"), 418, "teapot", 0),
    ],
)
def test_each_error_has_its_status(error: Exception, status: int, code: str, wait_s: int) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.code, problem.retry_after_s) == (status, code, wait_s)
    assert ("Retry-After" in problem.all_headers()) == bool(wait_s)


def test_a_flow_that_is_wrong_is_told_with_all_that_is() -> None:
    found = [violation("type-mismatch", ("nodes", "a"), "it is wrong", "Mend it.")]
    problem = problem_of(live.FlowError(found))
    assert (problem.status, problem.code) == (422, "invalid-flow")
    assert problem.errors[0]["pointer"] == "/nodes/a"


def test_what_is_our_own_mistake_is_not_described() -> None:
    problem = problem_of(KeyError("ada@example.com"))
    assert (problem.status, problem.code) == (500, "internal")
    assert "ada" not in str(problem.body())
    assert problem_of(live.DownError("d", pointer="/etc/x")).pointer is None


def test_a_body_has_what_there_is_and_no_more() -> None:
    problem = Problem(409, "conflict", "both", more={"ours": 2, "status": 7})
    assert problem.body("r1") == {
        "type": "urn:headrace:problem:conflict",
        "title": "Conflict",
        "status": 409,
        "code": "conflict",
        "detail": "both",
        "request_id": "r1",
        "ours": 2,
    }
    answer = respond(problem)
    assert (answer.status_code, answer.media_type) == (409, MEDIA)


def test_declared_problems_have_examples() -> None:
    found = declared(429, 404)
    assert list(found) == [404, 429]
    assert found[429]["headers"]["Retry-After"]["schema"] == {"type": "integer"}
    assert found[404]["content"][MEDIA]["example"]["status"] == 404
