"""Answer PostHog's libraries: capture in both versions, and feature flags that are empty."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any, Literal

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict

from actors.live.replies import Reply
from actors.service.errors import ServiceError
from api.http.ingest import posthog, posthog_web
from api.http.ingest.declaring import declare
from api.http.ingest.intake import Dialect, Intake, Read
from api.http.ingest.translation import Places, Translation
from api.http.ingest.write_keys import check_write_key
from api.http.problems import Problem, not_found
from api.http.routing import Routes

OPEN_PATHS = (
    *("/i/v0/e", "/i/v1/analytics/events", "/batch", "/capture", "/e", "/flags", "/decide"),
    "/array/",
)
EVENT = {
    "event": "signup",
    "distinct_id": "c-1024",
    "properties": {"plan": "free"},
    "timestamp": "2026-03-01T09:30:00Z",
    "uuid": "5b0a1c1e-9d0d-4e37-8a57-6e9b2d1f3c44",
}
WAYS = "Browsers send JSON, or a form whose `data` is base64 of JSON; either packed by gzip or not."
OFF = ("sessionRecording", "surveys", "heatmaps", "capturePerformance", "autocaptureExceptions")
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


class WebConfig(BaseModel):
    """What a browser's library may do: send, and nothing more."""

    model_config = ConfigDict(extra="allow")
    supportedCompression: list[str]  # noqa: N815 - the client's own spelling
    hasFeatureFlags: bool  # noqa: N815


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
WEB = replace(DIALECT, key_of=posthog_web.key_of)


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
            return await intake.take(request, WEB, reading(posthog_web.read), _captured)

        route.__name__ = "posthog_capture" + path.replace("/", "_") * (not shown)
        route.__doc__ = "Take one event, or from a browser several.\n\n" + WAYS
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

    @routes.add(
        "GET",
        "/array/{project_key}/config",
        scope=None,
        problems=(404,),
        example={"supportedCompression": ["gzip-js", "base64"], "hasFeatureFlags": False},
        response_model=WebConfig,
    )
    def posthog_config(project_key: str, request: Request) -> dict[str, Any]:
        """Tell a browser's library how to send.

        The key in the path can do nothing but send events.
        """
        try:
            check_write_key(request, project_key)
        except ServiceError:
            raise not_found("project with this key") from None
        return {
            "token": project_key,
            "supportedCompression": ["gzip-js", "base64"],
            "hasFeatureFlags": False,
            **dict.fromkeys(OFF, False),
        }

    return routes
