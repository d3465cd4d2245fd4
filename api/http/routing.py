"""Declare routes in one way, so that all have a scope, a cost, problems, an example, an id.

    routes = Routes("flows")

    @routes.add("GET", "/v1/flows/{flow}", scope="flows:read", example={...})
    def read_flow(call: Calling, flow: FlowId) -> FlowBody:
        '''Read a flow. ...'''

The application takes a `Routes` as it takes any router. A function's name is the id of its
operation, the first line of its docstring the summary. `Calling` is who asks and what is at hand.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    Set,
)
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPBasic, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from actors.live.engine import Engine
from actors.service import audit, idempotency
from actors.service.access import EVENTS, Caller
from actors.service.idempotency import Claim
from actors.service.plane import Rows
from actors.service.service import Service
from actors.service.transactions import WriteTxn
from api.http.limits import JSON_BYTES_MAX, check_charset, decompressed, read_body
from api.http.observing import request_id
from api.http.problems import ProblemError, declared, refuse
from api.http.security import address_of, caller_of, service_of, spend
from api.http.strict_json import read_json
from core.violations import quoted

PAGE = r"^([A-Za-z0-9_-]{4})*([A-Za-z0-9_-]{2,3})?$"  # base64, URL-safe, without padding
PAGE_MAX = 500
PAGE_DEFAULT = 50
ALWAYS = (400, 401, 403, 422, 429, 500, 503)  # what any route with a key may answer
FAULTS_MAX = 20
IDEMPOTENCY_KEY = "Idempotency-Key"
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
Item = TypeVar("Item")
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

# What the OpenAPI document says of keys; `caller_of` reads them.
BEARER = HTTPBearer(auto_error=False, description="A key: `hr_live_...`", scheme_name="key")
BASIC = HTTPBasic(auto_error=False, description="A key as the user", scheme_name="basic")


class Strict(BaseModel):
    """A body of a request: what it does not know is wrong."""

    model_config = ConfigDict(extra="forbid", strict=True)


def optional(description: str | None = None, **limits: Any) -> Any:
    """A member that may be left out, and is None then; null it cannot be."""
    return Field(default_factory=lambda: None, description=description, **limits)


@dataclass(frozen=True, slots=True)
class Call:
    """A request as a route sees it. `ip` is the client's, `now_ms` the service's time."""

    service: Service
    caller: Caller
    request_id: str
    ip: str
    now_ms: int
    claim: Claim | None = None

    @property
    def rows(self) -> Rows:
        """The control plane's rows of the caller's tenant."""
        return self.service.plane.tenant(self.caller.tenant)

    @property
    def engine(self) -> Engine:
        """The engine of the caller's tenant."""
        return self.service.engine(self.caller.tenant)

    @contextmanager
    def change(self, rows: Rows | None = None) -> Iterator[Change]:
        """Change the control plane's rows, by default those of the caller's tenant.

        All that the block does is stored when it ends, the response for the idempotency key and
        what the audit log is told included, or nothing of it.
        """
        with (rows or self.rows).write() as txn:
            yield Change(self, txn)


@dataclass(frozen=True, slots=True)
class Change:
    """A change under way: its transaction, and how it is told."""

    call: Call
    txn: WriteTxn

    def audit(
        self,
        action: str,
        object: str,
        *,
        before: object = None,
        after: object = None,
        person: str | None = None,
    ) -> None:
        """Tell the audit log of the tenant whose rows are changed; see `actors.service.audit`."""
        call = self.call
        origin = audit.Origin.of(call.caller, call.ip, call.request_id)
        audit.append(
            self.txn,
            origin,
            action,
            object,
            now_ms=call.now_ms,
            before=before,
            after=after,
            person=person,
        )

    def answer(
        self,
        body: BaseModel | None = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The response, which is kept for the request's idempotency key if it has one.

        A secret that is shown once stands in it, so it is kept no longer than such a key lives.
        """
        data = b"" if body is None else body.model_dump_json(exclude_none=True).encode()
        told = dict(headers or {})
        if self.call.claim is not None:
            own = self.txn.within(self.call.rows)
            self.call.claim.store(own, idempotency.Response(status, data, told))
        return Response(data, status, told, "application/json" if data else None)


async def _call(request: Request) -> AsyncIterator[Call]:
    service = service_of(request)
    caller = caller_of(request)
    call = Call(service, caller, request_id(), address_of(request), service.now_ms())
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None or request.method not in CHANGING:
        yield call
        return
    stated = f"{request.url.query}\0{request.headers.get('if-match', '')}\0".encode()
    asked = stated + await request.body()
    route = f"{request.method} {request.url.path}"
    found = service.idempotency.claim(call.rows, route, key, asked, call.now_ms)
    if isinstance(found, idempotency.Response):
        raise RepeatedError(found)
    with found as claim:
        yield replace(call, claim=claim)


class RepeatedError(Exception):
    """A request that was carried out before; `response` is what was answered then."""

    def __init__(self, response: idempotency.Response) -> None:
        super().__init__("carried out before")
        self.response = response

    def answer(self) -> Response:
        """The response of then, marked as that."""
        kept = self.response
        headers = {**kept.headers, "Idempotency-Replayed": "true"}
        return Response(kept.body, kept.status, headers, "application/json" if kept.body else None)


Calling = Annotated[Call, Depends(_call)]
"""What a route takes to know who asks."""


class Page(BaseModel, Generic[Item]):
    """A page of a list. `next` is what to give as `after` for the next one, absent on the last."""

    items: list[Item]
    next: str | None = Field(None, description="Give it as `after` to get the next page")


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page is asked for: at most `limit` items after the key `after`."""

    limit: int
    after: str

    def page(self, items: Sequence[Item], key: Callable[[Item], str]) -> Page[Item]:
        """The page of items, of which there is one more than `limit` if another page follows."""
        shown = list(items[: self.limit])
        more = len(items) > self.limit
        return Page[Item](items=shown, next=sealed(key(shown[-1])) if more else None)


def _paging(
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX, description="Items at most")] = PAGE_DEFAULT,
    after: Annotated[
        str, Query(max_length=2048, pattern=PAGE, description="`next` of the page before")
    ] = "",
) -> Paging:
    return Paging(limit, _unsealed(after) if after else "")


Pages = Annotated[Paging, Depends(_paging)]
"""What a route takes that answers a page; it asks the store for `limit` + 1 items."""


def sealed(key: str) -> str:
    """A key as `next` has it."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _unsealed(after: str) -> str:
    try:
        padded = after + "=" * (-len(after) % 4)
        return base64.b64decode(padded.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise no_page() from None


def no_page() -> ProblemError:
    """The error for a place in a list that nobody was told."""
    return refuse(
        404, "invalid-page", "there is no such page", "Use `next` as it came", pointer="after"
    )


class Routes(APIRouter):
    """The routes of one noun."""

    def __init__(self, noun: str) -> None:
        """Begin without any; `noun` is their heading in the documentation."""
        super().__init__(tags=[noun])

    def add(
        self,
        method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        path: str,
        *,
        scope: str | None,
        status: int = 200,
        cost: int = 1,
        problems: Sequence[int] = (),
        example: Any = None,
        body_example: Any = None,
        responses: Mapping[int | str, dict[str, Any]] | None = None,
        body_bytes_max: int | None = JSON_BYTES_MAX,
        beyond: Mapping[int, str] | None = None,
        extra: dict[str, Any] | None = None,
        **more: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route that needs `scope`, None for one that anybody may ask.

        `status` is that of success, `example` its body, `body_example` the request's; `problems`
        are the statuses it may answer besides those that every route may. `cost` is what it takes
        of the rate limit. A body has at most `body_bytes_max`; None says that the route reads it
        itself. `beyond` says why a request that fits its schema may be refused, by status.
        `responses` and `extra` go into the OpenAPI document as they are, `more` to FastAPI.
        """
        always = ALWAYS if scope is not None else (400, 500)
        if method in CHANGING and body_bytes_max is not None:
            always = (*always, 413, 415)
        stated = {"x-scope": scope or "", **(extra or {}), "x-cost": cost}
        if beyond:
            why = {400: "Numbers have at most 64 bits", **beyond}
            stated["x-beyond-schema"] = {str(each): text for each, text in why.items()}
        told: dict[int | str, dict[str, Any]] = declared(*always, *problems)
        if example is not None:
            told[status] = {"content": {"application/json": {"example": example}}}
        told.update(responses or {})
        if method in CHANGING and scope is not None:
            stated["parameters"] = [_IDEMPOTENCY]
        if body_example is not None:
            content = {"application/json": {"example": body_example}}
            stated["requestBody"] = {"content": content}
        # Libraries of other products add to their requests what they like.
        ours = path.startswith("/v1/") and scope not in EVENTS
        known: set[str] | None = set() if ours else None
        guards = [] if scope is None else [Depends(_needing(scope, cost, known)), *_DOCUMENTED]

        def take(endpoint: Endpoint) -> Endpoint:
            summary, _, rest = (endpoint.__doc__ or "").partition("\n")
            if "Pages" in endpoint.__annotations__.values():
                told.setdefault(404, declared(404)[404])
            self.add_api_route(
                path,
                endpoint,
                methods=[method],
                status_code=status,
                operation_id=endpoint.__name__,
                summary=summary.rstrip("."),
                description=" ".join(rest.split()) or summary,
                responses=told,
                dependencies=guards,
                openapi_extra=stated,
                route_class_override=_bounded(body_bytes_max, scope),
                response_model_exclude_none=True,
                **more,
            )
            if known is not None and isinstance(made := self.routes[-1], APIRoute):
                known.update(_parameters(made.dependant))
            return endpoint

        return take


def _bounded(bytes_max: int | None, scope: str | None) -> type[APIRoute]:
    """The class of routes whose bodies have at most so many bytes, and come with a key for `scope`.

    Without one nothing of the body is read.
    """
    if bytes_max is None:
        return APIRoute
    most: int = bytes_max

    class Bounded(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()
            field = self.body_field
            takes_json = field is not None and is_json(getattr(field.field_info, "media_type", ""))

            async def handler(request: Request) -> Response:
                if request.method in CHANGING:
                    tenant = "" if scope is None else caller_of(request).tenant
                    kind = request.headers.get("content-type", "")
                    check_charset(kind)
                    encoding = request.headers.get("content-encoding", "")
                    body = await read_body(request, most, tenant=tenant)
                    # What the framework reads afterwards is this.
                    request._body = decompressed(body, encoding, most)
                    if request._body and is_json(kind):
                        request._json = read_json(request._body)
                    elif request._body and takes_json:
                        raise _not_json(kind)
                return await handle(request)

            return handler

    return Bounded


def is_json(kind: str) -> bool:
    """Whether a content type is one of JSON."""
    return kind.partition(";")[0].strip().lower().endswith("json")


def _not_json(kind: str) -> ProblemError:
    told = f"the content type {quoted(kind[:100])} is not taken" if kind else "no content type"
    return refuse(
        415,
        "unsupported-media-type",
        f"{told}, expected application/json",
        "Say what the body is: -H 'Content-Type: application/json'",
        pointer="Content-Type",
    )


_IDEMPOTENCY = {
    "name": IDEMPOTENCY_KEY,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    "description": "A new UUID for each request; the same one again gets the same answer",
}
_DOCUMENTED = [Depends(BEARER), Depends(BASIC)]


def _needing(scope: str, cost: int, known: Set[str] | None) -> Callable[[Request], Awaitable[None]]:
    """The guard of a route. It knows the query parameters `known`, None for whatever there are."""

    async def needing(request: Request) -> None:
        caller = caller_of(request)
        caller.need(scope)
        spend(request, caller, "api", cost)
        if known is not None:
            _check_parameters(request.query_params, known)

    return needing


def _parameters(dependant: Dependant) -> Iterator[str]:
    """The names of the query parameters that a route and what it depends on take."""
    yield from (each.alias for each in dependant.query_params)
    for further in dependant.dependencies:
        yield from _parameters(further)


def _check_parameters(given: Iterable[str], known: Set[str]) -> None:
    """Refuse parameters of the query that a route does not have, which it would pass over."""
    unknown = [name for name in dict.fromkeys(given) if name not in known]
    if not unknown:
        return
    there = ", ".join(sorted(known)) or "none"
    faults = [
        {"pointer": name[:100], "code": "extra-forbidden", "message": "there is no such parameter"}
        for name in unknown[:FAULTS_MAX]
    ]
    detail = f"{quoted(unknown[0][:100])} is no parameter of this request"
    raise refuse(422, "invalid", detail, f"Its parameters: {there}", errors=faults)


def json_text(value: Any) -> bytes:
    """A value as JSON."""
    return msgspec.json.encode(value)
