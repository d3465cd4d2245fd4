"""Ask whether anything may be sent to an address, and change that.

Only keyed hashes are kept, so nobody can list addresses, and asking is by POST, so that none stands
in a path.
"""

from __future__ import annotations

from typing import Any, Literal

from fastapi import Response
from pydantic import BaseModel, Field

from actors.relay.suppression import Reason
from actors.service.postmarks import Postmarks
from api.http.routing import Calling, Routes, Strict
from core.nodes import Channel

READ, WRITE = "customers:read", "customers:write"
ASKED: dict[str, Any] = {"channel": "email", "address": "ada@example.com"}


class AddressAsked(Strict):
    """An address on a channel."""

    channel: Channel
    address: str = Field(min_length=1, max_length=2048)


class SuppressionBody(BaseModel):
    """Whether nothing is sent to an address; after `unsubscribed` transactional messages are."""

    suppressed: bool
    reason: Reason | None = None
    since_ms: int | None = Field(None, description="ms UTC")
    changed: Literal[True] | None = Field(None, description="There if this call changed it")


def suppression_routes(postmarks: Postmarks) -> Routes:
    """The routes."""
    routes = Routes("Suppressions")

    def told(call: Calling, body: AddressAsked, *, changed: bool = False) -> SuppressionBody:
        listed = postmarks.of(call.caller.tenant).suppressions
        found = listed.find(listed.subject(body.channel, body.address))
        return SuppressionBody(
            suppressed=found is not None,
            reason=None if found is None else found.reason,
            since_ms=None if found is None else found.at_ms,
            changed=True if changed else None,
        )

    @routes.add(
        "POST",
        "/v1/suppressions/check",
        scope=READ,
        problems=(422,),
        example={"suppressed": True, "reason": "bounce", "since_ms": 1_790_000_000_000},
        body_example=ASKED,
    )
    def check_suppression(call: Calling, body: AddressAsked) -> SuppressionBody:
        """Say whether anything may be sent to an address."""
        return told(call, body)

    @routes.add(
        "POST",
        "/v1/suppressions",
        scope=WRITE,
        problems=(422,),
        example={"suppressed": True, "reason": "asked", "since_ms": 1_790_000_000_000},
        body_example=ASKED,
        response_model=SuppressionBody,
    )
    def create_suppression(call: Calling, body: AddressAsked) -> Response:
        """Send nothing more to an address, whoever has it, now or later.

        It stays so when its customer is erased.
        """
        with call.change() as change:
            listed = postmarks.of(call.caller.tenant).suppressions
            subject = listed.subject(body.channel, body.address)
            changed = listed.put(subject, "asked", call.now_ms)
            if changed:
                change.audit("suppression.add", f"suppression:{body.channel}", person=body.address)
            return change.answer(told(call, body, changed=changed))

    @routes.add(
        "POST",
        "/v1/suppressions/lift",
        scope=WRITE,
        problems=(422,),
        example={"suppressed": False, "changed": True},
        body_example=ASKED,
        response_model=SuppressionBody,
    )
    def lift_suppression(call: Calling, body: AddressAsked) -> Response:
        """Send to an address again, whatever the reason was; lift it only if its owner asks."""
        with call.change() as change:
            listed = postmarks.of(call.caller.tenant).suppressions
            subject = listed.subject(body.channel, body.address)
            changed = listed.lift(subject, call.now_ms)
            if changed:
                change.audit("suppression.lift", f"suppression:{body.channel}", person=body.address)
            return change.answer(told(call, body, changed=changed))

    return routes
