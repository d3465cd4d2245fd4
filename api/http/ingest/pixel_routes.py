"""Take calls from those who can only load an image: the pixels of Segment and RudderStack.

The key stands in the address, where others may read it, so it must be one that can do nothing but
send events. Segment has the call as base64 of JSON in `data`, RudderStack its fields one by one.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response

from api.http.ingest import segment
from api.http.ingest.intake import Intake
from api.http.ingest.segment_routes import DIALECT
from api.http.ingest.translation import Places, Translation
from api.http.ingest.write_keys import check_write_key
from api.http.problems import declared, refuse
from api.http.routes.tracking import PIXEL
from api.http.routing import Routes

OPEN_PATHS = ("/v1/pixel/", "/pixel/v1/")
DATA_MAX = 60_000
DEPTH_MAX = 16
FIELDS_MAX = 1_000
PACKED = base64.b64encode(
    json.dumps(
        {"writeKey": "hr_live_...", "userId": "c-1024", "event": "opened", "type": "track"}
    ).encode()
).decode()
Kind = Annotated[
    Literal["identify", "track", "page", "screen", "group", "alias"],
    Path(description="The kind of call"),
]
_STATUSES = (400, 401, 403, 422, 429, 500, 503)
_IMAGE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A transparent pixel: the call was stored",
        "content": {
            "image/gif": {"schema": {"type": "string", "format": "binary"}, "example": "GIF89a..."}
        },
    },
    **declared(*_STATUSES),
}


def pixel_routes(intake: Intake) -> Routes:
    """The routes, for an intake."""
    routes = Routes("Events by pixels")
    told: dict[str, Any] = {
        "scope": None,
        "responses": _IMAGE,
        "response_class": Response,
        "beyond": {400: "The call must be one", 401: "The key must be one that sends events"},
    }

    @routes.add("GET", "/v1/pixel/{kind}", **told)
    async def segment_pixel(
        request: Request,
        kind: Kind,
        data: Annotated[
            str, Query(max_length=DATA_MAX, description="JSON in base64", examples=[PACKED])
        ],
    ) -> Response:
        """Take one call in the form of Segment's pixel.

        `data` is base64 of the JSON that a POST would have, with the `writeKey`, which can do
        nothing but send events.
        """
        return await _taken(intake, request, kind, _unpacked(data))

    @routes.add("GET", "/pixel/v1/{kind}", **told)
    async def rudderstack_pixel(
        request: Request,
        kind: Kind,
        write_key: Annotated[str, Query(alias="writeKey", min_length=1, max_length=200)],
    ) -> Response:
        """Take one call in the form of RudderStack's pixel.

        Fields stand in the query one by one, members of a mapping with a point, as
        `properties.plan=free`. The `writeKey` can do nothing but send events.
        """
        fields = request.query_params.multi_items()
        return await _taken(intake, request, kind, json.dumps(_nested(fields)).encode())

    return routes


async def _taken(intake: Intake, request: Request, kind: str, call: bytes) -> Response:
    def read(body: bytes, places: Places, received_ms: int) -> Translation:
        return segment.read_call(call, kind, places, received_ms)

    def key_of(body: bytes) -> str:
        key = segment.key_of(call)
        if key:
            check_write_key(request, key)
        return key

    answer = await intake.take(
        request, replace(DIALECT, key_of=key_of, told=None), read, lambda *_: {}
    )
    return Response(PIXEL, 200, media_type="image/gif") if answer.status_code == 200 else answer


def _unpacked(data: str) -> bytes:
    text = data.strip().replace(" ", "+").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise refuse(
            400,
            "invalid-data",
            "`data` is no base64",
            "Encode the JSON of the call",
            pointer="data",
        ) from None


def _nested(fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The mapping that fields with points in their names stand for. Raises ProblemError."""
    found: dict[str, Any] = {}
    for count, (name, value) in enumerate(fields):
        steps = name.split(".")
        inner: Any = found
        for step in steps[:-1]:
            inner = inner.setdefault(step, {}) if isinstance(inner, dict) else None
        if count >= FIELDS_MAX or len(steps) > DEPTH_MAX or not isinstance(inner, dict):
            raise refuse(
                400, "invalid-query", f"the field {name[:80]!r} has no place", "Name fields once"
            )
        inner[steps[-1]] = value
    return found
