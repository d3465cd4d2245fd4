"""Say what the routes of flows share: who is before which flows, and how conflicts are told."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

from fastapi import Header, Path
from pydantic import BaseModel, Field

from actors.live.replies import Done
from actors.service import flow_rows
from actors.service.audit import Origin
from actors.service.flow_errors import AudienceError, EditedError, QuotaError
from actors.service.flows import Desk, Shown
from actors.service.launches import Launches
from actors.service.sharing import Permission
from actors.service.statuses import VALID_MS, Status
from api.http.problems import refuse
from api.http.routing import Call, Strict

NOW_MS = 1_790_000_000_000
DOCUMENT_BYTES_MAX = 18 << 20
FLOW_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
NAME = r"^[^\x00-\x1f\x7f]+$"
TIME_MS_MAX = 253_402_300_799_000  # the end of the year 9999
FlowId = Annotated[str, Path(max_length=100, description="The id of a flow")]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=64,
        description='The edition of the draft that you began with, as its `ETag`: `"3"`',
    ),
]
Columns = Literal[
    "flow", "name", "status", "paused", "group", "owner", "version", "edition", "changed",
    "created_ms", "edited_ms", "edited_by", "published_ms", "stopped_ms", "invalid_ms",
    "schedule", "permissions", "audience_tolerance", "problem",
]  # fmt: skip
InFlightChoice = Literal["pin", "drop", "reset"]
IN_FLIGHT = (
    "What becomes of people inside an older version: they finish on it (pin), leave (drop), or "
    "begin anew in this one (reset)"
)


class ScheduleBody(BaseModel):
    """When a flow starts and stops, ms UTC."""

    start_ms: int
    stop_ms: int
    in_flight: InFlightChoice
    at_stop: Literal["pin", "drop"]
    state: Literal["waiting", "started"]
    by: str


class FlowBody(BaseModel):
    """A flow. Times are ms UTC. In a list it has the columns that were chosen."""

    flow: str = Field(description="Its id, which never changes")
    name: str | None = Field(None, description="For people")
    status: Status | None = None
    paused: bool | None = Field(None, description="Whether it stands still while it runs")
    group: str | None = Field(None, description="The id of the group that it is in")
    owner: str | None = Field(None, description="The user who made it")
    version: int | None = Field(None, description="The newest that was published, 0 for none")
    edition: int | None = Field(None, description="What the draft's `ETag` says")
    changed: bool | None = Field(
        None, description="Whether the draft is another than the newest version"
    )
    created_ms: int | None = None
    edited_ms: int | None = None
    edited_by: str | None = None
    published_ms: int | None = None
    stopped_ms: int | None = None
    invalid_ms: int | None = Field(None, description="From when on it can not be started again")
    schedule: ScheduleBody | None = None
    permissions: list[Permission] | None = Field(None, description="What you may do with it")
    audience_tolerance: float | None = Field(
        None, description="By which part an acknowledged audience may differ; absent: not asked for"
    )
    problem: str | None = Field(None, description="Why the last scheduled start came to nothing")


class LaunchesBody(BaseModel):
    """How many flows are started or ready to start, and how many more may be."""

    started: int
    most: int | None = Field(None, description="At a time; absent: no limit")
    remaining: int | None = None


class CommandBody(BaseModel):
    """What became of a command."""

    flow: str
    version: int
    status: Status
    command: int = Field(description="Its number in the engine's log")
    pending: list[int] = Field(description="Partitions that are down, and apply it later")
    warnings: list[dict[str, Any]] = Field(description="What lint finds doubtful")
    launches: LaunchesBody


class FlowChange(Strict):
    """What to change of a flow beside its draft; what is left out stays."""

    group: str | None = Field(None, max_length=20, description="A group's id, null for none")
    audience_tolerance: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Publishing wants the number of people whom the flow lets in at once, which "
        "may differ by this part: 0.05 is 5 %. Null: it is not asked for",
    )


FLOW: dict[str, Any] = {
    "flow": "welcome",
    "name": "Welcome",
    "status": "running",
    "paused": False,
    "version": 2,
    "edition": 5,
    "changed": True,
    "created_ms": NOW_MS,
    "edited_ms": NOW_MS,
    "edited_by": "user:ada",
    "published_ms": NOW_MS,
    "permissions": ["view", "edit", "publish"],
}
LAUNCHES = {"started": 3, "most": 10, "remaining": 7}
COMMAND: dict[str, Any] = {
    "flow": "welcome",
    "version": 2,
    "status": "running",
    "command": 17,
    "pending": [],
    "warnings": [],
    "launches": LAUNCHES,
}


def desk_of(call: Call) -> Desk:
    """The flows of the caller's tenant before the caller, up to date with the engine."""
    origin = Origin.of(call.caller, call.ip, call.request_id)
    desk = call.service.flows.desk(call.caller.tenant, call.now_ms, call.caller, origin)
    desk.catch_up()
    return desk


def flow_body(shown: Shown) -> FlowBody:
    """A flow as the API tells of it."""
    row, schedule = shown.row, shown.schedule
    told = None
    if schedule is not None:
        told = ScheduleBody(
            start_ms=schedule.start_ms,
            stop_ms=schedule.stop_ms,
            in_flight=schedule.in_flight,
            at_stop=schedule.at_stop,
            state=schedule.state,
            by=schedule.by,
        )
    return FlowBody(
        flow=row.id,
        name=row.name,
        status=shown.status,
        paused=row.running == "paused" and shown.status == "running",
        group=row.group,
        owner=row.owner,
        version=row.version,
        edition=row.edition,
        changed=row.edition != row.published_edition,
        created_ms=row.created_ms,
        edited_ms=row.edited_ms,
        edited_by=row.edited_by,
        published_ms=row.published_ms,
        stopped_ms=shown.stopped_ms,
        invalid_ms=None if shown.stopped_ms is None else shown.stopped_ms + VALID_MS,
        schedule=told,
        permissions=list(shown.permissions),
        audience_tolerance=row.tolerance,
        problem=row.problem or None,
    )


def launches_body(launches: Launches) -> LaunchesBody:
    """How many flows are started as the API tells of it."""
    return LaunchesBody(started=launches.started, most=launches.most, remaining=launches.remaining)


def edition_of(if_match: str | None) -> str | None:
    """The edition that a header names; None for none, or for any."""
    if if_match is None or if_match.strip() == "*":
        return None
    return if_match.strip().removeprefix("W/").strip('"')


@contextmanager
def conflicts_told(desk: Desk, flow: str, document: str | None = None) -> Iterator[None]:
    """Tell a conflict with both sides of it; `document` is what was to be saved."""
    try:
        yield
    except EditedError as error:
        with desk.rows.read() as txn:
            draft = flow_rows.draft_of(txn, flow)
        yours: dict[str, Any] = {"edition": error.edition}
        if document is not None:
            yours["document"] = document
        current = {
            "edition": draft.edition,
            "document": draft.document,
            "edited_ms": draft.edited_ms,
            "edited_by": draft.edited_by,
        }
        more = {"yours": yours, "current": current}
        raise refuse(409, "changed-meanwhile", error.message, error.advice, more=more) from None
    except AudienceError as error:
        sides = {"acknowledged": error.acknowledged, "audience": error.now}
        sides = {name: value for name, value in sides.items() if value is not None}
        code = "audience-drifted" if "acknowledged" in sides else "audience-not-acknowledged"
        raise refuse(409, code, error.message, error.advice, more=sides) from None
    except QuotaError as error:
        told = {"started": error.started, "most": error.most, "remaining": 0}
        more = {"launches": told}
        raise refuse(409, "launch-quota", error.message, error.advice, more=more) from None


def commanded(call: Call, flow: str, ask: Callable[[Desk, str], Done]) -> Any:
    """Have the engine asked, follow what it decided, and answer that."""
    # Who repeats a request asks the engine for the same again, which it does once.
    request = f"http/{call.claim.name if call.claim else uuid.uuid4().hex}"
    desk = desk_of(call)
    with conflicts_told(desk, flow), desk.turn:
        done = ask(desk, request)
        with call.change() as change:
            desk.follow(change.txn)
            shown = desk.find(change.txn, flow)
            body = CommandBody(
                flow=flow,
                version=done.version,
                status=shown.status,
                command=done.command,
                pending=done.pending,
                warnings=done.warnings,
                launches=launches_body(desk.launches(change.txn)),
            )
            answer = change.answer(body)
    call.service.flows.wake(call.caller.tenant)
    return answer
