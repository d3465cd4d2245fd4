"""Show rows that intake refused; send them again once it is mended, or discard them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query, Response
from pydantic import BaseModel, Field

from actors.service.refusals import AT_ONCE_MAX, Redriven, Refusal, Refusals, Wanted
from api.http.problems import refuse
from api.http.routing import Call, Calling, Page, Pages, Routes, Strict, optional

READ, DECIDE = "reports:read", "customers:write"
REJECT: dict[str, Any] = {
    "id": "1790000000000-5f2c9a1e-0000",
    "at_ms": 1_790_000_000_000,
    "format": "segment",
    "code": "unknown-event",
    "pointer": "/event",
    "attempts": 0,
    "redrivable": True,
    "message": "the schema has no event 'checkout'. Add it to the schema.",
    "customer": "c-1024",
    "row": {"customer": "c-1024", "event": "checkout", "message_id": "segment:7"},
}
REDRIVEN: dict[str, Any] = {"accepted": 41, "duplicates": 0, "refused": 1, "more": False}
RejectId = Annotated[str, Path(max_length=100, description="The id of a refused row")]
Name = Annotated[str, Query(max_length=100)]


class RejectedRow(BaseModel):
    """A row that was refused. Who may see customers is told whose it is, and what it says."""

    id: str
    at_ms: int = Field(description="When it came, ms UTC")
    format: str = Field(description="Which reader it came through")
    code: str
    pointer: str = Field(description="The place within the row")
    attempts: int = Field(description="How often it was sent again since")
    redrivable: bool = Field(description="Whether it is kept as a row, or must be given anew")
    message: str | None = None
    customer: str | None = None
    row: dict[str, Any] | None = None


class RejectRedrive(Strict):
    """How to send a row again."""

    row: dict[str, Any] = optional("What to send in its place; see POST /v1/events")


class RejectChoice(Strict):
    """What to do with which rows: those that fit all that is stated."""

    then: Literal["redrive", "discard"]
    format: str = optional(max_length=100)
    code: str = optional(max_length=100)
    limit: int = Field(1_000, ge=1, le=AT_ONCE_MAX, description="At most so many")

    def wanted(self) -> Wanted:
        """The choice as the store of refusals has it."""
        return Wanted(self.format or "", self.code or "")


class RejectsDecided(BaseModel):
    """What became of rows that were sent again, or how many were discarded."""

    accepted: int = 0
    duplicates: int = Field(0, description="They had been taken in before")
    refused: int = Field(0, description="They stay, with what is wrong now")
    discarded: int = 0
    more: bool = Field(description="There may be others: ask again")


def _filters(format: Name = "", code: Name = "") -> Wanted:
    return Wanted(format, code)


def reject_routes() -> Routes:
    """The routes."""
    routes = Routes("Rejects")

    @routes.add("GET", "/v1/rejects", scope=READ, cost=5, example={"items": [REJECT]})
    def list_rejects(
        call: Calling, paging: Pages, wanted: Annotated[Wanted, Depends(_filters)]
    ) -> Page[RejectedRow]:
        """List rows that were refused in the last two weeks, the oldest first.

        Of many the newest 50,000 are kept.
        """
        found = refusals_of(call).page(wanted, paging.after, paging.limit + 1)
        return paging.page([_body(call, each) for each in found], lambda each: each.id)

    @routes.add("GET", "/v1/rejects/{reject}", scope=READ, problems=(404,), example=REJECT)
    def read_reject(call: Calling, reject: RejectId) -> RejectedRow:
        """Read a row that was refused."""
        return _body(call, refusals_of(call).find(reject))

    @routes.add(
        "POST",
        "/v1/rejects/{reject}/redrive",
        scope=DECIDE,
        cost=2,
        problems=(404,),
        example={"accepted": 1, "duplicates": 0, "refused": 0, "discarded": 0, "more": False},
        body_example={"row": {"customer": "c-1024", "event": "order"}},
        response_model=RejectsDecided,
        beyond={422: "The row could not be read when it came, so another must be given"},
    )
    def redrive_reject(call: Calling, reject: RejectId, body: RejectRedrive) -> Response:
        """Send a row again, as it came or mended; it counts once, at the time at which it came.

        Waits and flows treat it as any event that comes late.
        """
        found = refusals_of(call).find(reject)
        if found.row is None and body.row is None:
            raise refuse(
                422, "no-row", "the row is not kept", "Give it in the body", pointer="/row"
            )
        done = refusals_of(call).redrive(call.engine, [found], body.row)
        return _redriven(call, reject, done)

    @routes.add(
        "POST",
        "/v1/rejects",
        scope=DECIDE,
        cost=20,
        example={**REDRIVEN, "discarded": 0},
        body_example={"then": "redrive", "code": "unknown-event"},
        response_model=RejectsDecided,
    )
    def decide_rejects(call: Calling, body: RejectChoice) -> Response:
        """Send all rows again that fit, or discard them, up to a limit.

        Do so once what was wrong is mended, such as the schema. Those that are refused again stay.
        """
        wanted = body.wanted()
        if body.then == "redrive":
            return _redriven(
                call, "all", refusals_of(call).redrive_all(call.engine, wanted, body.limit)
            )
        count, more = refusals_of(call).discard_all(wanted, body.limit)
        with call.change() as change:
            change.audit("reject.discard", "reject:all", after=count)
            return change.answer(RejectsDecided(discarded=count, more=more))

    @routes.add("DELETE", "/v1/rejects/{reject}", scope=DECIDE, status=204, problems=(404,))
    def discard_reject(call: Calling, reject: RejectId) -> Response:
        """Forget a row."""
        refusals_of(call).find(reject)
        refusals_of(call).discard([reject])
        with call.change() as change:
            change.audit("reject.discard", f"reject:{reject}")
            return change.answer(status=204)

    return routes


def _redriven(call: Call, what: str, done: Redriven) -> Response:
    told = RejectsDecided(
        accepted=done.accepted, duplicates=done.duplicates, refused=done.refused, more=done.more
    )
    with call.change() as change:
        change.audit("reject.redrive", f"reject:{what}", after=told.model_dump())
        return change.answer(told)


def refusals_of(call: Call) -> Refusals:
    """The refused rows of the caller's tenant."""
    return Refusals(call.engine.path)


def _body(call: Call, found: Refusal) -> RejectedRow:
    named = call.caller.may("customers:read")
    return RejectedRow(
        id=found.id,
        at_ms=found.at_ms,
        format=found.format,
        code=found.code,
        pointer=found.pointer,
        attempts=found.attempts,
        redrivable=found.row is not None,
        message=found.message if named else None,
        customer=found.customer if named else None,
        row=found.row if named else None,
    )
