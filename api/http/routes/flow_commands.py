"""Let flows run: publish, stop, pause and resume them, now or by a schedule."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import Response
from pydantic import BaseModel, Field

from actors.live.start_audience import start_audience
from actors.service import flow_rows, scheduling
from actors.service.scheduling import Times
from api.http.routes.flow_calls import (
    COMMAND,
    FLOW,
    IN_FLIGHT,
    LAUNCHES,
    TIME_MS_MAX,
    CommandBody,
    FlowBody,
    FlowId,
    IfMatch,
    InFlightChoice,
    LaunchesBody,
    commanded,
    conflicts_told,
    desk_of,
    edition_of,
    flow_body,
    launches_body,
)
from api.http.routing import Calling, Routes, Strict

SCOPE = "flows:publish"
PEOPLE_MAX = 10**12
AUDIENCE = Field(
    None, ge=0, le=PEOPLE_MAX, description="The count of people that you saw and acknowledge"
)
SCHEDULED: dict[str, Any] = {
    **FLOW,
    "status": "ready_to_start",
    "schedule": {
        "start_ms": 1_790_003_600_000,
        "stop_ms": 1_790_090_000_000,
        "in_flight": "pin",
        "at_stop": "pin",
        "state": "waiting",
        "by": "user:ada",
    },
}


class PublishOrder(Strict):
    """How to publish."""

    in_flight: InFlightChoice = Field("pin", description=IN_FLIGHT)
    audience: int | None = AUDIENCE


class StopOrder(Strict):
    """How to stop."""

    in_flight: Literal["pin", "drop"] = Field(
        "pin", description="People inside go on to the end (pin) or leave (drop)"
    )


class ScheduleOrder(Strict):
    """When to start and when to stop, ms UTC: both must be stated."""

    start_ms: int = Field(ge=0, le=TIME_MS_MAX)
    stop_ms: int = Field(ge=0, le=TIME_MS_MAX)
    in_flight: InFlightChoice = Field("pin", description=IN_FLIGHT)
    at_stop: Literal["pin", "drop"] = Field("pin", description="As `in_flight` when one stops")
    audience: int | None = AUDIENCE


class AudienceBody(BaseModel):
    """Whom the draft would let in at once if it were published now."""

    flow: str
    edition: int
    audience: int | None = Field(
        None, description="How many people; absent where the flow starts on no group"
    )


def flow_command_routes() -> Routes:
    """The routes."""
    routes = Routes("Flows that run")
    acts: dict[str, Any] = {
        "scope": SCOPE,
        "problems": (404, 409, 422),
        "example": COMMAND,
        "response_model": CommandBody,
    }

    @routes.add(
        "POST",
        "/v1/flows/{flow}/publish",
        body_example={"in_flight": "pin"},
        **acts,
        beyond={422: "The draft may break rules, or send what is not ready"},
    )
    def publish_flow(
        call: Calling, flow: FlowId, body: PublishOrder | None = None, if_match: IfMatch = None
    ) -> Response:
        """Publish the draft of a flow: it runs from now on.

        With `If-Match` only the edition that you looked at. What is wrong with it, content that is
        not ready included, is told as a list. The answer says how many more flows may be started.
        A request that is repeated with its `Idempotency-Key` publishes once.
        """
        order = body or PublishOrder()
        return commanded(  # type: ignore[no-any-return]
            call,
            flow,
            lambda desk, request: desk.publish(
                flow,
                request=request,
                edition=edition_of(if_match),
                in_flight=order.in_flight,
                audience=order.audience,
            ),
        )

    @routes.add("POST", "/v1/flows/{flow}/stop", body_example={"in_flight": "drop"}, **acts)
    def stop_flow(call: Calling, flow: FlowId, body: StopOrder | None = None) -> Response:
        """Stop a flow: nobody enters it any more.

        For 30 days it can be started again.
        """
        order = body or StopOrder()
        return commanded(  # type: ignore[no-any-return]
            call,
            flow,
            lambda desk, request: desk.change(
                flow, "stop", request=request, in_flight=order.in_flight
            ),
        )

    @routes.add("POST", "/v1/flows/{flow}/pause", **acts)
    def pause_flow(call: Calling, flow: FlowId) -> Response:
        """Let a flow stand still: nobody enters or moves in it."""
        return commanded(  # type: ignore[no-any-return]
            call, flow, lambda desk, request: desk.change(flow, "pause", request=request)
        )

    @routes.add("POST", "/v1/flows/{flow}/resume", **acts)
    def resume_flow(call: Calling, flow: FlowId) -> Response:
        """Let a flow that was paused go on."""
        return commanded(  # type: ignore[no-any-return]
            call, flow, lambda desk, request: desk.change(flow, "resume", request=request)
        )

    @routes.add(
        "PUT",
        "/v1/flows/{flow}/schedule",
        scope=SCOPE,
        problems=(404, 409, 422),
        example=SCHEDULED,
        body_example={"start_ms": 1_790_003_600_000, "stop_ms": 1_790_090_000_000},
        response_model=FlowBody,
        beyond={422: "The draft may break rules, and times must lie ahead"},
    )
    def schedule_flow(
        call: Calling, flow: FlowId, body: ScheduleOrder, if_match: IfMatch = None
    ) -> Response:
        """Set when a flow starts and when it stops.

        Until then its draft can not be changed. What would keep it from being published is told
        now; what comes up later is told by the flow's `problem`.
        """
        desk = desk_of(call)
        times = Times(body.start_ms, body.stop_ms, body.in_flight, body.at_stop)
        with conflicts_told(desk, flow), desk.turn:
            scheduling.look(desk, flow, times, edition_of(if_match), body.audience)
            with call.change() as change:
                scheduling.put(change.txn, desk, flow, times, body.audience)
                told = [body.start_ms, body.stop_ms]
                change.audit("flow.schedule", f"flow:{flow}", after=told)
                answer = change.answer(flow_body(desk.find(change.txn, flow)))
        call.service.flows.wake(call.caller.tenant)
        return answer

    @routes.add(
        "DELETE",
        "/v1/flows/{flow}/schedule",
        scope=SCOPE,
        problems=(404, 409),
        example=FLOW,
        response_model=FlowBody,
    )
    def unschedule_flow(call: Calling, flow: FlowId) -> Response:
        """Forget a flow's schedule; if it has started, it goes on without a stop."""
        desk = desk_of(call)
        with desk.turn, call.change() as change:
            was = scheduling.cancel(change.txn, desk, flow)
            before = [was.start_ms, was.stop_ms]
            change.audit("flow.unschedule", f"flow:{flow}", before=before)
            return change.answer(flow_body(desk.find(change.txn, flow)))

    @routes.add(
        "GET",
        "/v1/flows/{flow}/audience",
        scope="flows:read",
        cost=10,
        problems=(404, 422),
        example={"flow": "welcome", "edition": 3, "audience": 12_480},
    )
    def count_audience(call: Calling, flow: FlowId) -> AudienceBody:
        """Count whom the draft would let in at once if it were published now.

        Starts on a group, a segment and a schedule count, as they would be judged now. This is the
        number that a flow with an `audience_tolerance` wants acknowledged.
        """
        desk = desk_of(call)
        with desk.rows.read() as txn:
            desk.find(txn, flow)
            draft = flow_rows.draft_of(txn, flow)
        found = start_audience(desk.engine, draft.document)
        return AudienceBody(flow=flow, edition=draft.edition, audience=found)

    @routes.add("GET", "/v1/launches", scope="flows:read", example=LAUNCHES)
    def read_launches(call: Calling) -> LaunchesBody:
        """Tell how many flows are started or ready to start, and how many more may be."""
        desk = desk_of(call)
        with desk.rows.read() as txn:
            return launches_body(desk.launches(txn))

    return routes
