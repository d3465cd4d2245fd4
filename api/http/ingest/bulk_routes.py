"""Answer those who send rows of our own, a few or very many."""

from __future__ import annotations

from functools import partial

from fastapi import Query, Request, Response

from api.http.ingest import bulk
from api.http.ingest.declaring import declare
from api.http.ingest.intake import Dialect, Intake, Read
from api.http.routing import Routes

DIALECT = Dialect("headrace", bulk.SIZES)
ROW = {
    "customer": "c-1024",
    "event": "purchase",
    "occurred": "2026-03-01T09:30:00Z",
    "message_id": "order-7",
    "properties": {"amount": 59.9},
}
LINES = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
_SOURCE = Query(
    "", max_length=64, description="Whose the numbers are, where ids of messages are numbers"
)


def bulk_routes(intake: Intake) -> Routes:
    """The route, for an intake."""
    routes = Routes("Events")
    answer = {"accepted": 1, "duplicates": 0, "refused": 0}
    line = '{"customer": "c-1024", "event": "signup"}\n'
    body = {"application/json": [ROW], LINES: line, ARROW: ""}

    @declare(
        routes,
        "POST",
        "/v1/events",
        DIALECT,
        body=body,
        answer=answer,
        model=bulk.Outcome,
        problems=(422,),
    )
    async def send_events(request: Request, source: str = _SOURCE) -> Response:
        """Take events and changes of customers in, and say of each refused row why.

        A row that is refused costs only itself. A row with a message id that was taken before
        counts as a duplicate, so the same body can be sent again whenever no answer came. Many
        rows go fastest as an Arrow IPC stream with the columns customer, event, occurred,
        message_id and one for each property; without the column event they are changes.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        read: Read = bulk.read_lines if kind in (LINES, "application/jsonl") else bulk.read_list
        if kind == ARROW:
            read = partial(bulk.read_columns, source=source)
        return await intake.take(request, DIALECT, read, bulk.outcome)

    return routes
