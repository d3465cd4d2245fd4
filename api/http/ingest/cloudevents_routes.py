"""Answer senders of CloudEvents."""

from __future__ import annotations

from fastapi import Request, Response

from api.http.ingest import cloudevents
from api.http.ingest.bulk import Outcome, outcome
from api.http.ingest.declaring import declare
from api.http.ingest.intake import Dialect, Intake
from api.http.ingest.translation import Places, Translation
from api.http.routing import Routes

DIALECT = Dialect("cloudevents", cloudevents.SIZES)
EVENT = {
    "specversion": "1.0",
    "id": "5b0a1c1e",
    "source": "/shop/orders",
    "type": "purchase",
    "subject": "c-1024",
    "time": "2026-03-01T09:30:00Z",
    "data": {"amount": 59.9},
}


_TEXT = {"type": "string", "minLength": 1}
SCHEMA = {
    "type": "object",
    "required": ["specversion", "id", "source", "type", "subject"],
    "properties": {
        "specversion": {"type": "string", "enum": ["1.0"]},
        **dict.fromkeys(("id", "source", "type", "subject"), _TEXT),
        "data": {"type": ["object", "null"], "description": "Properties of the event"},
        "data_base64": {"not": {}, "description": "Taken, if it is a JSON object in base64"},
    },
}
"""Of an event in structured mode."""


def cloudevents_routes(intake: Intake) -> Routes:
    """The route, for an intake."""
    routes = Routes("CloudEvents")
    body = {
        cloudevents.STRUCTURED: EVENT,
        cloudevents.BATCHED: [EVENT],
    }
    schemas = {cloudevents.STRUCTURED: SCHEMA}
    answer = {"accepted": 1, "duplicates": 0, "refused": 0}

    @declare(
        routes,
        "POST",
        "/v1/cloudevents",
        DIALECT,
        body=body,
        answer=answer,
        model=Outcome,
        schemas=schemas,
    )
    async def cloudevents_send(request: Request) -> Response:
        """Take CloudEvents, binary, structured or batched.

        The type is the event's name, the subject the customer's id, the data its properties. In
        binary mode the attributes are headers, ce-id and so on, and the body is the data.
        """
        headers = {name.lower(): value for name, value in request.headers.items()}

        def read(given: bytes, places: Places, received_ms: int) -> Translation:
            return cloudevents.read_events(given, headers, places)

        return await intake.take(request, DIALECT, read, outcome)

    return routes
