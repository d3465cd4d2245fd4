"""Set when a flow starts and stops, and carry that out when the time has come."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Literal

from actors.live.errors import FlowError, RefusedError
from actors.live.replies import InFlight
from actors.service import audit, flow_rows, schedules
from actors.service.drafts import lint_draft
from actors.service.errors import ConflictError, ServiceError
from actors.service.flows import Desk
from actors.service.schedules import Schedule
from actors.service.transactions import WriteTxn
from core.violations import has_errors

FINAL = (FlowError, RefusedError, ServiceError)
"""What a start comes to nothing by: waiting would not help."""


@dataclass(frozen=True, slots=True)
class Times:
    """What is asked for: start and stop, ms UTC, and what becomes of people inside at each."""

    start_ms: int
    stop_ms: int
    in_flight: InFlight = "pin"
    at_stop: Literal["pin", "drop"] = "pin"


def look(desk: Desk, flow: str, times: Times, edition: str | None, audience: int | None) -> None:
    """Raise what keeps the draft from being scheduled; call it in one's turn, then `put`.

    Raises FlowError with all that is wrong with the draft, InvalidError for times that can not be,
    ConflictError for a flow that runs, and as publishing does.
    """
    desk.catch_up()
    schedules.check_times(times.start_ms, times.stop_ms, desk.now_ms)
    with desk.rows.read() as txn:
        shown = desk.find(txn, flow, "publish")
        draft = flow_rows.draft_of(txn, flow)
        if shown.row.started:
            raise ConflictError(
                "the flow runs already", advice="Stop it, or publish its next version by hand"
            )
        desk.check_start(txn, shown, edition)
    violations = lint_draft(desk.engine, draft.document, flow)
    if has_errors(violations):
        raise FlowError(violations, file=flow)
    desk.check_audience(shown.row, draft.document, audience)


def put(txn: WriteTxn, desk: Desk, flow: str, times: Times, audience: int | None) -> Schedule:
    """Store the schedule of a flow after `look`, in the place of the one that it has."""
    row = desk.find(txn, flow, "publish").row
    schedule = Schedule(
        flow,
        uuid.uuid4().hex,  # the engine knows the requests of the former one
        times.start_ms,
        times.stop_ms,
        times.in_flight,
        times.at_stop,
        audience,
        by=desk.origin.actor,
    )
    schedules.put(txn, schedule)
    row.problem = ""
    flow_rows.put(txn, row)
    return schedule


def cancel(txn: WriteTxn, desk: Desk, flow: str) -> Schedule:
    """Forget the schedule of a flow; what has started goes on. Raises ConflictError without one."""
    shown = desk.find(txn, flow, "publish")
    if shown.schedule is None:
        raise ConflictError("the flow has no schedule", advice="Nothing needs to be done")
    schedules.drop(txn, flow)
    return shown.schedule


def carry_out(desk: Desk, schedule: Schedule) -> None:
    """Start or stop the flow of a schedule if it is time; call it in the tenant's turn.

    Raises HeadraceError where it has to be tried again later.
    """
    now_ms = desk.now_ms
    if schedule.waiting:
        if now_ms >= schedule.stop_ms:
            _give_up(desk, schedule, "its stop passed before it could start")
        elif now_ms >= schedule.start_ms and not desk.expired:
            _start(desk, schedule)
    elif now_ms >= schedule.stop_ms:
        _stop(desk, schedule)


def _start(desk: Desk, schedule: Schedule) -> None:
    request = schedule.request("start")
    flow = schedule.flow
    try:
        if request not in desk.engine.control.standing.requests:
            with desk.rows.read() as txn:
                row, draft = desk.find(txn, flow).row, flow_rows.draft_of(txn, flow)
            desk.check_audience(row, draft.document, schedule.audience)
            document = draft.document
        else:
            document = ""
        desk.engine.publish(document, name=flow, in_flight=schedule.in_flight, request=request)
    except FINAL as error:
        _give_up(desk, schedule, error.message)


def _stop(desk: Desk, schedule: Schedule) -> None:
    with desk.rows.read() as txn:
        started = desk.find(txn, schedule.flow).row.started
    if not started:
        with desk.rows.write() as write:
            schedules.drop(write, schedule.flow)
        return
    request = schedule.request("stop")
    desk.engine.stop(schedule.flow, in_flight=schedule.at_stop, request=request)


def _give_up(desk: Desk, schedule: Schedule, why: str) -> None:
    """Drop a schedule whose start can not be, and tell why at the flow and in the audit log."""
    with desk.rows.write() as txn:
        row = desk.find(txn, schedule.flow).row
        schedules.drop(txn, schedule.flow)
        flow_rows.put(txn, replace(row, problem=f"the scheduled start came to nothing: {why}"))
        audit.append(
            txn,
            desk.origin,
            "flow.start_failed",
            f"flow:{schedule.flow}",
            now_ms=desk.now_ms,
            before=schedule.id,
        )
