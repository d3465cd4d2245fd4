"""Put the HTTP application together: the only place that makes routers known."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Match

from actors.live.basis import engine_version
from actors.service.echoes import Echoes
from actors.service.exports import Exports
from actors.service.postmarks import Postmarks
from actors.service.service import Service
from api.http.docs_page import docs_routes
from api.http.document import document
from api.http.health_routes import health_routes
from api.http.ingest import pixel_routes, posthog_routes, segment_routes
from api.http.ingest.bulk_routes import bulk_routes
from api.http.ingest.cloudevents_routes import cloudevents_routes
from api.http.ingest.customerio_routes import customerio_routes
from api.http.ingest.intake import Intake
from api.http.observing import Metrics, Observer, request_id
from api.http.problems import Problem, ProblemError, problem_of, respond
from api.http.routes.audiences import audiences_routes
from api.http.routes.audit import audit_routes
from api.http.routes.catalogue import catalogue_routes
from api.http.routes.content import content_routes
from api.http.routes.coupons import coupons_routes
from api.http.routes.customers import customers_routes
from api.http.routes.dead_letters import dead_letter_routes
from api.http.routes.edit_replays import edit_replay_routes
from api.http.routes.exports import exports_routes
from api.http.routes.flow_commands import flow_command_routes
from api.http.routes.flow_groups import flow_group_routes
from api.http.routes.flows import flow_routes
from api.http.routes.groups import groups_routes
from api.http.routes.keys import key_routes
from api.http.routes.providers import providers_routes
from api.http.routes.recipients import recipients_routes
from api.http.routes.rejects import reject_routes
from api.http.routes.reports import report_routes
from api.http.routes.runs import runs_routes
from api.http.routes.sandbox import sandbox_routes
from api.http.routes.schema import schema_routes
from api.http.routes.segments import segments_routes
from api.http.routes.suppressions import suppression_routes
from api.http.routes.templates import template_routes
from api.http.routes.tenants import tenant_routes
from api.http.routes.tracking import tracking_routes
from api.http.routes.users import user_routes
from api.http.routes.versions import version_routes
from api.http.routes.webhooks import webhook_routes
from api.http.routing import RepeatedError, Routes
from api.http.security import Guard
from core.errors import HeadraceError
from core.violations import pointer

OPEN_PATHS = (
    *segment_routes.OPEN_PATHS,
    *posthog_routes.OPEN_PATHS,
    *pixel_routes.OPEN_PATHS,
)
DESCRIPTION = (
    "Send events, publish flows, rehearse them, read reports. A key goes into the header "
    "`Authorization: Bearer hr_live_...`; the tenant is the key's. What goes wrong is told as "
    "`application/problem+json` with what to do."
)
_CODES = {
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
    429: "busy",
}


def create_app(service: Service) -> FastAPI:
    """The application in front of a service, which stays the caller's to close."""
    metrics = Metrics(service)
    intake = Intake(service, metrics)
    postmarks, echoes = Postmarks(service), Echoes(service)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        intake.close()
        await run_in_threadpool(echoes.close)

    app = FastAPI(
        title="Headrace",
        version=engine_version(),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=[
            Middleware(Observer, metrics=metrics),
            Middleware(Guard, open_paths=OPEN_PATHS),
        ],
        exception_handlers={
            RepeatedError: _repeated,
            ProblemError: _told,
            HeadraceError: _told,
            HTTPException: _http,
            RequestValidationError: _invalid,
        },
    )
    app.state.service = service
    app.state.routers = (
        # First, because nobody asks for more of these than people in messages.
        tracking_routes(service, metrics, postmarks, echoes),
        *_routers(metrics, intake),
        suppression_routes(postmarks),
    )
    for routes in app.state.routers:
        app.include_router(routes)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _routers(metrics: Metrics, intake: Intake) -> Sequence[Routes]:
    """Every router: the next one is a line here."""
    exports = Exports()
    return (
        health_routes(metrics),
        docs_routes(),
        bulk_routes(intake),
        segment_routes.segment_routes(intake),
        customerio_routes(intake),
        posthog_routes.posthog_routes(intake),
        pixel_routes.pixel_routes(intake),
        cloudevents_routes(intake),
        tenant_routes(),
        key_routes(),
        user_routes(),
        audit_routes(),
        flow_routes(),
        flow_command_routes(),
        edit_replay_routes(),
        version_routes(),
        template_routes(),
        flow_group_routes(),
        report_routes(),
        audiences_routes(),
        runs_routes(),
        schema_routes(),
        segments_routes(),
        groups_routes(),
        content_routes(),
        coupons_routes(),
        recipients_routes(),
        providers_routes(),
        customers_routes(exports),
        exports_routes(exports),
        dead_letter_routes(),
        reject_routes(),
        webhook_routes(),
        sandbox_routes(),
        catalogue_routes(),
    )


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, which is made once."""
    if app.openapi_schema is None:
        app.openapi_schema = document(app)
    return app.openapi_schema


async def _repeated(request: Request, error: Exception) -> Response:
    assert isinstance(error, RepeatedError)
    return error.answer()


async def _told(request: Request, error: Exception) -> Response:
    return respond(problem_of(error), request_id())


async def _http(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: unknown paths, wrong methods, bodies it cannot read."""
    assert isinstance(error, HTTPException)
    status = error.status_code
    detail, advice = str(error.detail), ""
    headers = dict(error.headers or {})
    if status == 404:
        detail, advice = "there is nothing at this path", "See /docs for what there is"
    elif status == 405:
        detail, advice = f"{request.method} is not possible here", "See the header Allow"
        headers["Allow"] = ", ".join(_methods(request)) or headers.get("Allow", "")
    code = _CODES.get(status, "invalid-request")
    return respond(Problem(status, code, detail, advice, headers=headers), request_id())


def _methods(request: Request) -> list[str]:
    """The methods that are possible at the path of a request, over all of its routes."""
    found: set[str] = set()
    for routes in request.app.state.routers:
        for route in routes.routes:
            if route.matches(request.scope)[0] is not Match.NONE:
                found |= route.methods
    return sorted(found)


async def _invalid(request: Request, error: Exception) -> Response:
    """A body or parameter that does not have the expected shape."""
    assert isinstance(error, RequestValidationError)
    faults = [_fault(each) for each in error.errors()]
    broken = any(each["type"] == "json_invalid" for each in error.errors())
    if broken:
        problem = Problem(400, "invalid-json", "the body is no valid JSON", "Send JSON")
    else:
        first = faults[0]
        detail = f"{first['pointer'] or 'the request'}: {first['message']}"
        where = first["pointer"] or None
        problem = Problem(422, "invalid", detail, "See /docs for an example", where, errors=faults)
    return respond(problem, request_id())


_PLAIN = {
    # What pydantic says in words of its own world.
    "model_attributes_type": "expected an object: {...}",
    "model_type": "expected an object: {...}",
    "dict_type": "expected an object: {...}",
    "extra_forbidden": "there is no such field here",
}


def _fault(found: dict[str, Any]) -> dict[str, Any]:
    where, *steps = found["loc"]
    place = pointer(tuple(steps)) if where == "body" else ".".join(map(str, steps))
    message = _PLAIN.get(found["type"], found["msg"])
    if not place and found["type"] == "missing":
        message = "there is no body"
    return {"pointer": place, "code": found["type"].replace("_", "-"), "message": message}
