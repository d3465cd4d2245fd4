"""Answer for dry runs and comparisons: start, follow, cancel, list, read what they found."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, StreamingResponse

from actors.service import jobs
from actors.service.jobs import Job
from actors.service.run_process import Kind
from api.http.problems import Fault
from api.http.routes.run_orders import Asked, ComparisonAsked, Draft, Ordered, RunAsked
from api.http.routing import Call, Calling, Page, Pages, Routes
from api.http.security import caller_of, spend
from core.comparison import Comparison
from core.report import Report

LOOK_S = 0.25
STREAM_S = 3_600.0
BEAT_S = 15.0
BODY_BYTES_MAX = 8 << 20
# The page of a report is styled by itself, and runs nothing.
PAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

RUN = "019a3c5be2f0a1b2c3d4e5f6"
EXAMPLE: dict[str, Any] = {
    "id": RUN,
    "kind": "dry_run",
    "status": "running",
    "audience": "shop",
    "asked": {"audience": "shop", "seed": 7, "flows": ["welcome"]},
    "by": "key:k3x9",
    "created_ms": 1_770_000_000_000,
    "started_ms": 1_770_000_000_120,
    "step": {"label": "dry run", "done": 40_000, "total": 200_000},
}
FLOW = {
    "headrace": 1,
    "flow": "welcome",
    "nodes": {
        "signup": {"type": "on_event", "event": "signup", "next": "mail"},
        "mail": {"type": "send", "channel": "email", "template": "welcome", "next": "done"},
        "done": {"type": "end"},
    },
}

RunId = Annotated[str, Path(max_length=64, description="The id of a run")]


class StepBody(BaseModel):
    """What a job is doing."""

    label: str
    done: int
    total: int = Field(description="0 where nobody knows")


class FailureBody(BaseModel):
    """Why a job failed."""

    message: str
    advice: str = ""
    pointer: str | None = None
    violations: list[Fault] | None = Field(None, description="What is wrong with a document")


class RunBody(BaseModel):
    """A job: a dry run, a comparison, or an import. Times are ms UTC."""

    id: str
    kind: Kind
    status: jobs.Status
    audience: str
    asked: dict[str, Any] = Field(description="What it was asked for, without documents")
    by: str = Field(description="Who started it")
    created_ms: int
    started_ms: int | None = None
    ended_ms: int | None = None
    waiting_for: int | None = Field(None, description="Of the tenant's jobs, how many come first")
    step: StepBody | None = Field(None, description="What it is doing now")
    failure: FailureBody | None = None
    found: dict[str, Any] | None = Field(None, description="Of an import, what was counted")


class StoriesBody(BaseModel):
    """What chosen customers did, step by step."""

    stories: list[dict[str, Any]]


def body_of(call: Call, job: Job) -> RunBody:
    """A job as it is told."""
    runs, tenant = call.service.runs, call.caller.tenant
    step = runs.step(tenant, job.id) if job.status == "running" else None
    return RunBody(
        id=job.id,
        kind=job.kind,
        status=job.status,
        audience=job.audience,
        asked=job.asked,
        by=job.by,
        created_ms=job.created_ms,
        started_ms=job.started_ms,
        ended_ms=job.ended_ms,
        waiting_for=runs.place(tenant, job.id) if job.status == "queued" else None,
        step=None if step is None else StepBody(label=step.label, done=step.done, total=step.total),
        failure=None if job.failure is None else FailureBody(**job.failure),
        found=job.found or None,
    )


def find(call: Call, run: str) -> Job:
    """A job of the caller's tenant. Raises NotFoundError."""
    with call.rows.read() as txn:
        return jobs.find(txn, run)


def _spending(request: Request) -> None:
    spend(request, caller_of(request), "simulations", 1)


def runs_routes() -> Routes:
    """The routes of jobs, and of comparisons."""
    routes = Routes("Dry runs")
    _starting(routes)
    _looking(routes)
    _reading(routes)
    return routes


def _starting(routes: Routes) -> None:
    start: dict[str, Any] = {
        "scope": "sim:run",
        "status": 202,
        "example": {**EXAMPLE, "status": "queued"},
        "problems": (404, 409, 422),
        "body_bytes_max": BODY_BYTES_MAX,
    }
    asked = {"audience": "shop", "draft": {"document": FLOW}, "seed": 7}
    compared = {"audience": "shop", "first": {"flow": "welcome"}, "second": {"document": FLOW}}

    @routes.add(
        "POST",
        "/v1/runs",
        body_example=asked,
        **start,
        beyond={422: "Documents have rules beyond their shape"},
    )
    def start_run(
        call: Calling, asked: RunAsked, spent: Annotated[None, Depends(_spending)]
    ) -> RunBody:
        """Start a dry run: what a flow would have done on an audience's past.

        It waits for its turn and then runs in a process of its own. The customers to trace need the
        scope customers:read.
        """
        if asked.trace:
            call.caller.need("customers:read")
        return _start(call, asked, "dry_run", {"flow": asked.draft})

    @routes.add(
        "POST",
        "/v1/comparisons",
        body_example=compared,
        **start,
        beyond={422: "Documents have rules beyond their shape"},
    )
    def start_comparison(
        call: Calling, asked: ComparisonAsked, spent: Annotated[None, Depends(_spending)]
    ) -> RunBody:
        """Compare two drafts, or a draft with what is published, on the same people and luck.

        The result has paired differences with intervals for every figure; what both share differs
        by exactly 0. Both draw as the first one's lineage.
        """
        drafts = {"flow": asked.first, "second": asked.second}
        return _start(call, asked, "comparison", drafts)

    @routes.add(
        "POST",
        "/v1/runs/{run}/cancel",
        scope="sim:run",
        example={**EXAMPLE, "status": "cancelled"},
        problems=(404, 409, 422),
    )
    def cancel_run(call: Calling, run: RunId) -> RunBody:
        """Cancel a job, whether it waits or runs. Of one that has ended nothing changes."""
        with call.change() as change:
            before = jobs.find(change.txn, run)
            job = call.service.runs.cancel(change.txn, run)
            if before.open:
                change.audit("run.cancel", f"run:{run}", before=before.status, after=job.status)
            return change.answer(body_of(call, job))  # type: ignore[return-value]

    @routes.add(
        "DELETE",
        "/v1/runs/{run}",
        scope="sim:run",
        status=204,
        problems=(404, 409, 422),
        response_class=Response,
    )
    def delete_run(call: Calling, run: RunId) -> Response:
        """Delete a job that has ended, with its results."""
        with call.change() as change:
            call.service.runs.delete(change.txn, run)
            change.audit("run.delete", f"run:{run}")
            return change.answer(None, 204)


def _start(call: Call, asked: Asked, kind: Kind, drafts: dict[str, Draft]) -> RunBody:
    ordered = Ordered(call, asked, kind, drafts)
    with call.change() as change:
        job = call.service.runs.submit(
            change.txn,
            ordered.order,
            ordered.shown,
            ordered.documents,
            audience=asked.audience,
            by=call.caller.actor,
        )
        change.audit("run.start", f"run:{job.id}", after=ordered.shown)
        headers = {"Location": f"/v1/runs/{job.id}"}
        return change.answer(body_of(call, job), 202, headers)  # type: ignore[return-value]


def _looking(routes: Routes) -> None:
    @routes.add(
        "GET", "/v1/runs", scope="reports:read", example={"items": [EXAMPLE]}, problems=(422,)
    )
    def list_runs(
        call: Calling,
        paging: Pages,
        kind: Annotated[Kind | None, Query(description="Only those of this kind")] = None,
    ) -> Page[RunBody]:
        """List jobs, the newest first."""
        with call.rows.read() as txn:
            kinds = () if kind is None else (kind,)
            found = list(jobs.every(txn, paging.after, paging.limit + 1, kinds))
        return paging.page([body_of(call, job) for job in found], lambda body: body.id)

    @routes.add("GET", "/v1/runs/{run}", scope="reports:read", example=EXAMPLE, problems=(404, 422))
    def read_run(call: Calling, run: RunId) -> RunBody:
        """Read a job: its status, what it is doing, why it failed."""
        return body_of(call, find(call, run))

    told = json.dumps({**EXAMPLE, "status": "done"})
    streamed = {"example": f"event: end\ndata: {told}\n\n"}
    stream: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": streamed}}}

    @routes.add(
        "GET",
        "/v1/runs/{run}/events",
        scope="reports:read",
        problems=(404, 422),
        responses=stream,
        response_class=StreamingResponse,
    )
    def follow_run(call: Calling, run: RunId) -> StreamingResponse:
        """Follow a job by server-sent events, until it has ended.

        `progress` and at last `end` carry what reading the job answers. The stream lasts an hour at
        most; ask again then.
        """
        find(call, run)
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(_events(call, run), 200, headers, "text/event-stream")


async def _events(call: Call, run: str) -> AsyncIterator[str]:
    told, beat_s = "", time.monotonic() + BEAT_S
    end_s = time.monotonic() + STREAM_S
    while time.monotonic() < end_s:
        found = await run_in_threadpool(lambda: body_of(call, find(call, run)))
        text = found.model_dump_json(exclude_none=True)
        if found.status not in jobs.OPEN:
            yield f"event: end\ndata: {text}\n\n"
            return
        if text != told:
            told, beat_s = text, time.monotonic() + BEAT_S
            yield f"event: progress\ndata: {text}\n\n"
        elif time.monotonic() > beat_s:
            beat_s = time.monotonic() + BEAT_S
            yield ": still there\n\n"
        await asyncio.sleep(LOOK_S)


def _result(call: Call, run: str, name: str, format: Literal["json", "html"]) -> Response:
    """A file that a job has written."""
    file = call.service.runs.result(call.caller.tenant, find(call, run), f"{name}.{format}")
    if format == "html":
        policy = {"Content-Security-Policy": PAGE_POLICY}
        return FileResponse(file, headers=policy, media_type="text/html")
    return FileResponse(file, media_type="application/json")


def _reading(routes: Routes) -> None:
    results: dict[str, Any] = {"scope": "reports:read", "problems": (404, 409, 422)}
    page = {"schema": {"type": "string"}, "example": "<!doctype html><title>Welcome</title>"}

    @routes.add(
        "GET",
        "/v1/runs/{run}/report",
        responses=_told(Report, {"version": 1, "partial": False}, {"text/html": page}),
        response_class=FileResponse,
        **results,
    )
    def read_run_report(
        call: Calling,
        run: RunId,
        format: Annotated[Literal["json", "html"], Query(description="html is a page")] = "json",
        of: Annotated[
            Literal["first", "second"], Query(description="Of a comparison, whose report")
        ] = "first",
    ) -> Response:
        """Read the report of a dry run, as JSON or as a page; of a comparison, that of a draft."""
        name = "second" if of == "second" else "report"
        return _result(call, run, name, format)

    @routes.add(
        "GET",
        "/v1/runs/{run}/comparison",
        responses=_told(
            Comparison, {"version": 1, "same": True, "differences": []}, {"text/html": page}
        ),
        response_class=FileResponse,
        **results,
    )
    def read_comparison(
        call: Calling,
        run: RunId,
        format: Annotated[Literal["json", "html"], Query(description="html is a page")] = "json",
    ) -> Response:
        """Read what changes from the first draft of a comparison to the second."""
        return _result(call, run, "comparison", format)

    stories = {"stories": [{"customer": "c-17", "events": []}]}

    @routes.add(
        "GET",
        "/v1/runs/{run}/stories",
        scope="customers:read",
        example=stories,
        problems=(404, 409, 422),
    )
    def read_run_stories(call: Calling, run: RunId) -> StoriesBody:
        """Read the stories of the customers that a dry run was asked to trace."""
        file = call.service.runs.result(call.caller.tenant, find(call, run), "stories.json")
        return StoriesBody(stories=json.loads(file.read_text("utf-8")))


def _told(
    model: type[BaseModel], example: dict[str, Any], others: dict[str, Any] | None = None
) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of a file: its model, and an example cut short."""
    content = {"application/json": {"example": example}, **(others or {})}
    return {200: {"model": model, "content": content}}
