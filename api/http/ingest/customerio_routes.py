"""Answer the clients of Customer.io's Track API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Path, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from actors.live.replies import Reply
from actors.service import audit
from api.http.ingest import customerio
from api.http.ingest.declaring import Method, declare
from api.http.ingest.intake import Dialect, Intake, Read, told
from api.http.ingest.translation import Places, Translation
from api.http.observing import request_id
from api.http.problems import Problem, refuse
from api.http.routing import Endpoint, Routes, json_text
from api.http.security import address_of, caller_of, restored, service_of

BASE = "/api/v1/customers/{customer}"
_JSON = "application/json"
ERASE = "customers:erase"


class Nothing(BaseModel):
    """These clients look at the status only."""

    model_config = ConfigDict(extra="allow")


def _body(problem: Problem) -> dict[str, Any]:
    return {"meta": {"error": problem.text, "code": problem.code}}


DIALECT = Dialect("customerio", customerio.SIZES, told=_body)


def _done(found: Translation, reply: Reply) -> dict[str, Any]:
    return {}


def _errors(found: Translation, reply: Reply) -> dict[str, Any]:
    """What was refused of a batch, by the number of the operation."""
    errors = [
        {"batch_index": row, "reason": code, "field": place, "message": message}
        for row, place, code, message in reply.rejects
    ]
    return {"errors": errors} if errors else {}


def customerio_routes(intake: Intake) -> Routes:
    """The routes, for an intake."""
    routes = Routes("Events by Customer.io clients")

    async def take(request: Request, read: Any, customer: str = "") -> Response:
        def bound(body: bytes, places: Places, received_ms: int) -> Translation:
            found: Translation = read(body, restored(customer), places, received_ms)
            return found

        given: Read = bound
        return await intake.take(request, DIALECT, given, _done)

    def taking(method: Method, path: str, example: Any) -> Callable[[Endpoint], Endpoint]:
        json = None if example is None else {_JSON: example}
        return declare(routes, method, path, DIALECT, body=json, answer={}, model=Nothing)

    @taking("POST", BASE + "/events", {"name": "signup", "data": {"plan": "free"}, "id": "01HX"})
    async def customerio_event(request: Request, customer: str = _CUSTOMER) -> Response:
        """Take an event of a customer."""
        return await take(request, customerio.read_event, customer)

    @taking("PUT", BASE + "/devices", {"device": {"id": "d-1", "platform": "ios"}})
    async def customerio_device(request: Request, customer: str = _CUSTOMER) -> Response:
        """Take note of a device.

        Devices are not kept: the call stands among the tenant's refused rows.
        """
        return await take(request, customerio.read_devices, customer)

    @taking("DELETE", BASE + "/devices/{device}", None)
    async def customerio_device_delete(
        request: Request, device: str, customer: str = _CUSTOMER
    ) -> Response:
        """Forget a device, of which none are kept."""
        return await take(request, customerio.read_no_device, customer)

    for verb in ("suppress", "unsuppress"):
        _suppressing(routes, verb)

    @taking("PUT", BASE, {"email": "ada@example.com", "created_at": 1767225600, "plan": "free"})
    async def customerio_identify(request: Request, customer: str = _CUSTOMER) -> Response:
        """Change a customer's attributes."""
        return await take(request, customerio.read_attributes, customer)

    @declare(routes, "DELETE", BASE, DIALECT, body=None, answer={}, model=Nothing, scope=ERASE)
    async def customerio_delete(request: Request, customer: str = _CUSTOMER) -> Response:
        """Erase a customer for good. The key needs the scope customers:erase."""
        try:
            caller_of(request).need(ERASE)
            await run_in_threadpool(_erase, request, restored(customer))
        except Exception as error:
            return told(error, DIALECT)
        return Response(json_text({}), media_type=_JSON)

    @taking("POST", "/api/v1/events", {"name": "visit", "anonymous_id": "a-1", "data": {}})
    async def customerio_anonymous(request: Request) -> Response:
        """Take an event of somebody who is not known yet."""
        return await take(request, customerio.read_event)

    @taking("POST", "/api/v1/merge_customers", {"primary": {"id": "a"}, "secondary": {"id": "b"}})
    async def customerio_merge(request: Request) -> Response:
        """Merge the secondary customer into the primary one.

        What cannot be merged stands among the tenant's refused rows.
        """
        return await take(request, customerio.read_merge)

    operation = {
        "type": "person",
        "identifiers": {"id": "c-1"},
        "action": "event",
        "name": "signup",
    }

    @taking("POST", "/api/v2/batch", {"batch": [operation]})
    async def customerio_batch(request: Request) -> Response:
        """Take operations on several people; the answer has what was refused of them."""

        def read(body: bytes, places: Places, received_ms: int) -> Translation:
            return customerio.read_batch(body, "", places, received_ms)

        return await intake.take(request, DIALECT, read, _errors)

    return routes


_CUSTOMER = Path(description="The customer's id")


def _erase(request: Request, customer: str) -> None:
    caller, service = caller_of(request), service_of(request)
    service.engine(caller.tenant).erase([customer])
    origin = audit.Origin.of(caller, address_of(request), request_id())
    with service.plane.tenant(caller.tenant).write() as txn:
        audit.append(
            txn, origin, "customer.erase", "customer", now_ms=service.now_ms(), person=customer
        )


def _suppressing(routes: Routes, verb: str) -> None:
    async def route(request: Request, customer: str = _CUSTOMER) -> Response:
        try:
            caller_of(request).need("events:write")
            raise refuse(
                409,
                "not-supported",
                f"a customer cannot be {verb}ed by this call",
                "Set the attribute consent:<channel> of the customer",
            )
        except Exception as error:
            return told(error, DIALECT)

    route.__name__ = f"customerio_{verb}"
    route.__doc__ = f"Refuse to {verb} a customer.\n\nAn answer of success would promise too much."
    declare(
        routes,
        "POST",
        f"{BASE}/{verb}",
        DIALECT,
        body=None,
        answer={},
        model=Nothing,
        problems=(409,),
    )(route)
