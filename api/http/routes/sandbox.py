"""Show what a sandbox would have sent."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, Field

from actors.service import sandbox
from actors.service.sandbox import Sent
from api.http.routing import Calling, Page, Pages, Routes
from core.nodes import Channel

EXAMPLE: dict[str, Any] = {
    "channel": "email",
    "test": False,
    "key": "9f86d081884c7d65",
    "at_ms": 1_790_000_000_000,
    "to": "ada@example.com",
    "parts": {"subject": "For Ada", "text": "Dear Ada"},
}
Channels = Annotated[
    Literal["", "journey"] | Channel, Query(description="`journey`: events for webhooks")
]


class SandboxMessage(BaseModel):
    """A message that a sandbox would have sent, or a journey event."""

    channel: str
    test: bool = Field(description="Whether it was asked for as a test")
    key: str = Field(description="Its id for whoever gets it")
    at_ms: int
    to: str = Field(description="The address; of a journey event the URL of the webhook")
    parts: dict[str, Any] = Field(description="What it says; of a journey event `event`")


def sandbox_routes() -> Routes:
    """The route."""
    routes = Routes("Sandbox")

    @routes.add(
        "GET",
        "/v1/sandbox/messages",
        scope="customers:read",
        cost=2,
        problems=(404,),
        example={"items": [EXAMPLE]},
    )
    def list_sandbox_messages(
        call: Calling, paging: Pages, channel: Channels = ""
    ) -> Page[SandboxMessage]:
        """List what this sandbox would have sent, by channel and partition, the oldest first.

        Of another tenant there is nothing to list, and it answers 404.
        """
        found = sandbox.page(call.engine, channel, paging.after, paging.limit + 1)
        shown = Page[SandboxMessage](items=[_body(each) for each in found[: paging.limit]])
        places = paging.page(found, lambda each: each.place)
        return shown.model_copy(update={"next": places.next})

    return routes


def _body(found: Sent) -> SandboxMessage:
    return SandboxMessage(
        channel=found.channel,
        test=found.test,
        key=found.key,
        at_ms=found.at_ms,
        to=found.to,
        parts=found.parts,
    )
