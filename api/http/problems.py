"""Tell a client what went wrong as RFC 9457 has it: application/problem+json, and what to do.

A problem is a value; `ProblemError` carries one out of a route, and `problem_of` makes one of any
error, so that nobody sees a traceback.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from actors.intake.admission import GapError
from actors.intake.frame import FrameError
from actors.intake.rows import RowsError
from actors.live import errors as live
from actors.service import errors as service
from actors.store import errors as store
from core.errors import HeadraceError
from core.violations import Violation

MEDIA = "application/problem+json"
TYPE = "urn:headrace:problem:"
PLAIN = frozenset({"type", "title", "status", "code", "detail", "advice", "pointer", "errors"})


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong. `code` is stable and for programs, `detail` and `advice` are for people.

    `pointer` is a JSON pointer into the body, or the name of a parameter. `retry_after_ms`: when
    the same may be asked again, 0 where that would not help. `errors` are single faults of a body
    that has several; `more` are members of the kind of problem, such as both versions of a race.
    """

    status: int
    code: str
    detail: str
    advice: str = ""
    pointer: str | None = None
    retry_after_ms: int = 0
    errors: Sequence[Mapping[str, Any]] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def retry_after_s(self) -> int:
        """Whole seconds for a header, 0 where there is none to be sent."""
        return -(-self.retry_after_ms // 1000)

    @property
    def text(self) -> str:
        """Detail and advice in one."""
        return f"{self.detail}. {self.advice}" if self.advice else self.detail

    def body(self, request_id: str = "") -> dict[str, Any]:
        """The problem as JSON has it."""
        told: dict[str, Any] = {
            "type": TYPE + self.code,
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.advice:
            told["advice"] = self.advice
        if self.pointer:
            told["pointer"] = self.pointer
        if self.errors:
            told["errors"] = [dict(error) for error in self.errors]
        if request_id:
            told["request_id"] = request_id
        return {**told, **{k: v for k, v in self.more.items() if k not in PLAIN}}

    def all_headers(self) -> dict[str, str]:
        """Its headers, with Retry-After where that helps."""
        found = dict(self.headers)
        if self.retry_after_ms:
            found["Retry-After"] = str(self.retry_after_s)
        return found


class ProblemError(Exception):
    """A problem on its way to the client."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def refuse(status: int, code: str, detail: str, advice: str = "", **more: Any) -> ProblemError:
    """The error to raise for a problem; `more` are further fields of `Problem`."""
    return ProblemError(Problem(status, code, detail, advice, **more))


def not_found(what: str = "this") -> ProblemError:
    """The error for what is not there, or is somebody else's: both are told alike."""
    return refuse(404, "not-found", f"there is no {what} here", "Check the path and the id")


def respond(problem: Problem, request_id: str = "") -> Response:
    """The response that tells of a problem."""
    body = json.dumps(problem.body(request_id), ensure_ascii=False).encode()
    return Response(body, problem.status, problem.all_headers(), MEDIA)


_KINDS: tuple[tuple[type[HeadraceError], int, str, int], ...] = (
    # The class, status, code, and when to ask again in ms unless it says so; the first that fits.
    (service.UnauthenticatedError, 401, "unauthorized", 0),
    (service.ForbiddenError, 403, "forbidden", 0),
    (service.NotFoundError, 404, "not-found", 0),
    (service.UnderWayError, 409, "under-way", 1_000),
    (service.ConflictError, 409, "conflict", 0),
    (service.LimitedError, 429, "limited", 1_000),
    (service.InvalidError, 422, "invalid", 0),
    (live.BusyError, 429, "busy", 100),
    (live.FullError, 503, "disk-full", 30_000),
    (store.NoSpaceError, 503, "disk-full", 30_000),
    (live.GoneError, 503, "shard-gone", 30_000),
    (live.DownError, 503, "shard-down", 2_000),
    (live.BehindError, 503, "shard-behind", 1_000),
    (live.MovedError, 503, "customer-merged", 1_000),
    (live.UnknownError, 503, "no-answer-in-time", 1_000),
    (live.RefusedError, 409, "refused", 0),
    (GapError, 409, "gap-in-sequence", 0),
    (RowsError, 400, "invalid-rows", 0),
    (FrameError, 400, "invalid-columns", 0),
    (store.TooLargeError, 413, "too-large", 0),
    (store.StoreError, 503, "storage-failed", 30_000),
)


def problem_of(error: BaseException) -> Problem:
    """Any error as a problem. What is nobody's mistake but ours is told without its text."""
    if isinstance(error, ProblemError):
        return error.problem
    if isinstance(error, live.FlowError):
        faults = [violation_body(violation) for violation in error.violations]
        return Problem(422, "invalid-flow", error.message, error.advice, errors=faults)
    for kind, status, code, wait_ms in _KINDS:
        if isinstance(error, kind):
            return _told(error, status, code, wait_ms)
    if isinstance(error, HeadraceError):
        return _told(error, 422, "invalid", 0)
    return Problem(
        500,
        "internal",
        "the service failed at this request",
        "Send it again; if it fails again, report the request id",
    )


def _told(error: HeadraceError, status: int, code: str, wait_ms: int) -> Problem:
    pointer = error.pointer if status < 500 else None
    wait_ms = max(1, getattr(error, "retry_after_ms", wait_ms)) if wait_ms else 0
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Problem(status, code, error.message, error.advice, pointer, wait_ms, headers=headers)


def violation_body(violation: Violation) -> dict[str, Any]:
    """A violation as one of the errors of a problem."""
    return {k: v for k, v in violation.to_json().items() if v not in (None, "")}


class Fault(BaseModel):
    """One fault of several in a request."""

    model_config = ConfigDict(extra="allow")
    pointer: str = Field("", description="JSON pointer into the body, or a parameter's name")
    code: str = Field("", description="Stable, for programs")
    message: str = Field("", description="What is wrong")


class ProblemBody(BaseModel):
    """What went wrong (RFC 9457), and what to do."""

    model_config = ConfigDict(extra="allow")
    type: str = Field(description="A URN that ends in the code")
    title: str = Field(description="The status in words")
    status: int
    code: str = Field(description="Stable, for programs")
    detail: str = Field(description="What was found, and what was expected")
    advice: str = Field("", description="What to do")
    pointer: str = Field("", description="JSON pointer into the body, or a parameter's name")
    errors: list[Fault] = Field(default_factory=list, description="Single faults of a body")
    request_id: str = Field("", description="Also in the header X-Request-Id, and in the log")


_WHEN: dict[int, tuple[str, str]] = {
    # When a status is answered, and an example of its code.
    400: ("The request cannot be read", "invalid-json"),
    401: ("No key, or none that is valid now", "unauthorized"),
    403: ("The key has not got the scope that this needs", "forbidden"),
    404: ("There is no such thing, or it is somebody else's", "not-found"),
    409: ("What is asked for contradicts what is there", "refused"),
    412: ("It has been changed meanwhile", "changed-meanwhile"),
    413: ("The request is too large", "too-large"),
    415: ("The body's type, charset or encoding is not taken", "unsupported-media-type"),
    422: ("The body does not have the expected shape", "invalid"),
    428: ("A condition must be stated", "precondition-required"),
    429: ("Too much at once: see Retry-After", "busy"),
    500: ("The service failed", "internal"),
    501: ("This is not there yet", "not-supported"),
    503: ("Not now: see Retry-After", "shard-down"),
}


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problem responses for the OpenAPI document, by their statuses."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted(set(statuses)):
        when, code = _WHEN[status]
        example = Problem(status, code, when[0].lower() + when[1:]).body("c2f1d8e09a7b4f63")
        schema = {"$ref": "#/components/schemas/ProblemBody"}
        found[status] = {
            "description": when,
            "content": {MEDIA: {"schema": schema, "example": example}},
        }
        if status in (429, 503):
            header = {"schema": {"type": "integer"}, "description": "Seconds to wait"}
            found[status]["headers"] = {"Retry-After": header}
    return found
