"""Answer PostHog's libraries: capture in both versions, and feature flags that are empty."""

from __future__ import annotations

import uuid
from typing import Any, Literal

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict

from actors.live.replies import Reply
from api.http.ingest import posthog
from api.http.ingest.declaring import declare
from api.http.ingest.intake import Dialect, Intake, Read
from api.http.ingest.translation import Places, Translation
from api.http.problems import Problem
from api.http.routing import Routes

OPEN_PATHS = ("/i/v0/e", "/i/v1/analytics/events", "/batch", "/capture", "/e", "/flags", "/decide")
EVENT = {
    "event": "signup",
    "distinct_id": "c-1024",
    "properties": {"plan": "free"},
    "timestamp": "2026-03-01T09:30:00Z",
    "uuid": "5b0a1c1e-9d0d-4e37-8a57-6e9b2d1f3c44",
}
_KINDS = {400: "validation_error", 401: "authentication_error", 403: "authentication_error"}


class Captured(BaseModel):
    """What capture answers."""

    status: int


class Result(BaseModel):
    """What became of one event."""

    result: Literal["ok", "warning", "drop", "retry"]
    details: str | None = None


class Results(BaseModel):
    """What became of each event, by its uuid."""

    results: dict[str, Result]


class Flags(BaseModel):
    """The feature flags of somebody: there are none."""

    model_config = ConfigDict(extra="allow", populate_by_name=True)
    flags: dict[str, Any]


def _body(problem: Problem) -> dict[str, Any]:
    kind = _KINDS.get(
        problem.status, "server_error" if problem.status >= 500 else "invalid_request"
    )
    return {"type": kind, "code": problem.code, "detail": problem.text, "error": problem.text}


DIALECT = Dialect("posthog", posthog.SIZES, posthog.key_of, _body, magic=True)


def _captured(found: Translation, reply: Reply) -> dict[str, Any]:
    return {"status": 1}


def _results(found: Translation, reply: Reply) -> dict[str, Any]:
    results: dict[str, Any] = {name: {"result": "ok"} for name in found.ids.values()}
    for row, _, _, message in reply.rejects:
        if row in found.ids:
            results[found.ids[row]] = {"result": "drop", "details": message}
    return {"results": results}


def posthog_routes(intake: Intake) -> Routes:
    """The routes, for an intake."""
    routes = Routes("Events by PostHog clients")

    def reading(read: Any, sent_at: str = "") -> Read:
        def bound(body: bytes, places: Places, received_ms: int) -> Translation:
            found: Translation = read(body, sent_at, places, received_ms)
            return found

        return bound

    def capturing(path: str, shown: bool) -> None:
        async def route(request: Request) -> Response:
            return await intake.take(request, DIALECT, reading(posthog.read_event), _captured)

        route.__name__ = "posthog_capture" + path.replace("/", "_") * (not shown)
        route.__doc__ = "Take one event."
        body = {"application/json": {"api_key": "hr_live_...", **EVENT}}
        declare(
            routes,
            "POST",
            path,
            DIALECT,
            body=body,
            answer={"status": 1},
            model=Captured,
            shown=shown,
        )(route)

    capturing("/i/v0/e", True)
    capturing("/capture", False)
    capturing("/e", False)

    batch = {"api_key": "hr_live_...", "batch": [EVENT], "sent_at": "2026-03-01T09:30:01Z"}
    json = {"application/json": batch}

    @declare(routes, "POST", "/batch", DIALECT, body=json, answer={"status": 1}, model=Captured)
    async def posthog_batch(request: Request) -> Response:
        """Take events."""
        return await intake.take(request, DIALECT, reading(posthog.read_batch), _captured)

    answer = {"results": {EVENT["uuid"]: {"result": "ok"}}}
    json = {"application/json": {"created_at": "2026-03-01T09:30:01Z", "batch": [EVENT]}}

    @declare(
        routes,
        "POST",
        "/i/v1/analytics/events",
        DIALECT,
        body=json,
        answer=answer,
        model=Results,
    )
    async def posthog_events(request: Request) -> Response:
        """Take events, and tell of each what became of it.

        One that is refused is told as `drop`; while none can be taken, the status says so.
        """
        sent_at = request.headers.get("posthog-request-timestamp", "")
        return await intake.take(request, DIALECT, reading(posthog.read_batch, sent_at), _results)

    def flagging(path: str, shown: bool) -> None:
        def route(request: Request) -> dict[str, Any]:
            return {
                "flags": {},
                "featureFlags": {},
                "featureFlagPayloads": {},
                "errorsWhileComputingFlags": False,
                "requestId": str(uuid.uuid4()),
            }

        route.__name__ = "posthog" + path.replace("/", "_")
        route.__doc__ = "Tell the feature flags of somebody: there are none."
        body: dict[str, Any] = {"schema": {}, "example": {"api_key": "k", "distinct_id": "c-1"}}
        routes.add(
            "POST",
            path,
            scope=None,
            example={"flags": {}, "errorsWhileComputingFlags": False},
            extra={"requestBody": {"content": {"application/json": body}}},
            response_model=Flags,
            include_in_schema=shown,
        )(route)

    flagging("/flags", True)
    flagging("/decide", False)
    return routes
