"""Answer the clients of Segment, RudderStack and Customer.io's CDP, in servers and browsers."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel

from actors.live.replies import Reply
from actors.service.errors import ServiceError
from api.http.ingest import segment
from api.http.ingest.declaring import declare
from api.http.ingest.gathering import Together
from api.http.ingest.intake import Dialect, Intake
from api.http.ingest.translation import Places, Translation
from api.http.ingest.write_keys import check_write_key
from api.http.problems import Problem, not_found
from api.http.routing import Routes

OPEN_PATHS = (
    *(f"/v1/{kind}" for kind in (*segment.KINDS, *segment.LETTERS, "batch", "b")),
    "/v1/projects/",
)
EVENT = {
    "userId": "c-1024",
    "event": "signup",
    "properties": {"plan": "free"},
    "messageId": "5b0a1c1e-9d0d-4e37-8a57-6e9b2d1f3c44",
    "timestamp": "2026-03-01T09:30:00Z",
}
ANSWER = {"success": True}


class Taken(BaseModel):
    """What these clients look for in an answer."""

    success: bool


def _body(problem: Problem) -> dict[str, Any]:
    return {"success": False, "code": problem.code, "message": problem.text}


def _status(status: int) -> int:
    # Clients of this API know 400 for whatever can never be taken.
    return 400 if status in (413, 422) else status


DIALECT = Dialect("segment", segment.SIZES, segment.key_of, _body, _status)

TOGETHER = Together(segment.read_plain, segment.frame_of_plain)


def _answer(found: Translation, reply: Reply) -> dict[str, bool]:
    return {"success": True}


def segment_routes(intake: Intake) -> Routes:
    """The routes, for an intake."""
    routes = Routes("Events by Segment clients")

    def taking(path: str, example: Any) -> Any:
        json = {"application/json": example}
        return declare(routes, "POST", path, DIALECT, body=json, answer=ANSWER, model=Taken)

    def single(kind: str, path: str) -> None:
        def read(body: bytes, places: Places, received_ms: int) -> Translation:
            return segment.read_call(body, kind, places, received_ms)

        async def route(request: Request) -> Response:
            return await intake.take(request, DIALECT, read, _answer)

        route.__name__ = f"segment_{path.rpartition('/')[2]}"
        route.__doc__ = f"Take one {kind} call.\n\nAs the Segment HTTP API has it."
        taking(path, EVENT if kind == "track" else {**EVENT, "type": kind})(route)

    async def segment_batch(request: Request) -> Response:
        """Take calls of any types.

        A call that cannot be taken costs only itself, and stands among the tenant's refused rows.
        """
        return await intake.take(request, DIALECT, segment.read_batch, _answer, TOGETHER)

    async def segment_b(request: Request) -> Response:
        """Take calls of any types, from a browser."""
        return await intake.take(request, DIALECT, segment.read_batch, _answer, TOGETHER)

    for kind in segment.KINDS:
        single(kind, f"/v1/{kind}")
    for letter, kind in segment.LETTERS.items():
        single(kind, f"/v1/{letter}")
    batch = {"batch": [{"type": "track", **EVENT}], "sentAt": "2026-03-01T09:30:01Z"}
    taking("/v1/batch", batch)(segment_batch)
    taking("/v1/b", batch)(segment_b)

    @routes.add(
        "GET",
        "/v1/projects/{write_key}/settings",
        scope=None,
        problems=(404,),
        example={"integrations": {"Segment.io": {"apiKey": "hr_live_...", "apiHost": "h/v1"}}},
        response_model=dict[str, Any],
    )
    def segment_settings(write_key: str, request: Request) -> dict[str, Any]:
        """Tell a browser's library where to send.

        It is what analytics.js asks its CDN for. The key in the path must do nothing but send
        events.
        """
        try:
            check_write_key(request, write_key)
        except ServiceError:
            raise not_found("project with this key") from None
        host = request.url.netloc
        settings = {
            "apiKey": write_key,
            "apiHost": f"{host}/v1",
            "protocol": request.url.scheme,
            "unbundledIntegrations": [],
            "addBundledMetadata": False,
            "maybeBundledConfigIds": {},
        }
        return {"integrations": {"Segment.io": settings}, "plan": {}}

    return routes
