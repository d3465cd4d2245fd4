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


def cloudevents_routes(intake: Intake) -> Routes:
    """The route, for an intake."""
    routes = Routes("CloudEvents")
    body = {
        cloudevents.STRUCTURED: EVENT,
        cloudevents.BATCHED: [EVENT],
        "application/json": EVENT["data"],
    }
    answer = {"accepted": 1, "duplicates": 0, "refused": 0}

    @declare(routes, "POST", "/v1/cloudevents", DIALECT, body=body, answer=answer, model=Outcome)
    async def cloudevents_send(request: Request) -> Response:
        """Take CloudEvents, binary, structured or batched.

        The type is the event's name, the subject the customer's id, the data its properties.
        """
        headers = {name.lower(): value for name, value in request.headers.items()}

        def read(given: bytes, places: Places, received_ms: int) -> Translation:
            return cloudevents.read_events(given, headers, places)

        return await intake.take(request, DIALECT, read, outcome)

    return routes
