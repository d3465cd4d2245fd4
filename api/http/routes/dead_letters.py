"""Show messages that could not be sent, or may have been; send them again, or discard them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Depends, Path, Query, Response
from pydantic import BaseModel, Field

from actors.live.letters import Wanted
from actors.service import dead_letters
from actors.service.dead_letters import AT_ONCE_MAX
from api.http.routing import Call, Calling, Page, Pages, Routes, Strict, optional, sealed
from core.nodes import Channel

READ, DECIDE = "reports:read", "flows:publish"
LETTER: dict[str, Any] = {
    "id": "000.mail.9f86d081884c7d65",
    "provider": "mail",
    "key": "9f86d081884c7d65",
    "state": "dead",
    "reason": "http_400",
    "attempts": 1,
    "first_ms": 1_790_000_000_000,
    "channel": "email",
    "template": "hello",
    "flow": "welcome",
    "version": 3,
    "node": "mail",
    "visit": 1,
    "customer": "c-1024",
    "committed_ms": 1_790_000_000_000,
    "expires_ms": 1_790_259_200_000,
}
DECIDED: dict[str, Any] = {"count": 12, "more": False}
LetterId = Annotated[str, Path(max_length=400, description="The id of a message that waits")]
Name = Annotated[str, Query(max_length=100)]
UNTIL = optional("Wanted until then whatever was said of it before; ms UTC", ge=1, le=2**53)
_NAME: dict[str, Any] = {"max_length": 100}


class LetterBody(BaseModel):
    """A message that waits for a person. Times are ms UTC.

    Of one that cannot be read nothing but its state is known.
    """

    id: str
    provider: str = Field(description="`unrouted` where its channel had none")
    key: str = Field(description="Its idempotency key, the same for every attempt")
    state: Literal["sending", "waiting", "dead", "ambiguous"] = Field(
        description="ambiguous: it may have been sent, the answer was lost"
    )
    reason: str
    attempts: int
    first_ms: int = Field(description="When the first attempt began, 0 before it")
    channel: str = ""
    template: str = ""
    flow: str = ""
    version: int = 0
    node: str = ""
    visit: int = 0
    customer: str | None = Field(None, description="For those who may see customers")
    committed_ms: int = 0
    expires_ms: int = Field(0, description="Nobody wants it any more from then on")


class Redrive(Strict):
    """How to send a message again."""

    expires_ms: int = UNTIL


class Choice(Strict):
    """What to do with which messages: those that fit all that is stated."""

    then: Literal["redrive", "discard"]
    provider: str = optional(**_NAME)
    channel: Channel = optional()
    state: Literal["dead", "ambiguous"] = optional()
    reason: str = optional(**_NAME)
    flow: str = optional(**_NAME)
    limit: int = Field(1_000, ge=1, le=AT_ONCE_MAX, description="At most so many")
    expires_ms: int = UNTIL

    def wanted(self) -> Wanted:
        """The choice as the engine has it."""
        return Wanted(
            self.provider or "",
            self.channel or "",
            self.state or "",
            self.reason or "",
            self.flow or "",
        )


class DecidedBody(BaseModel):
    """How many messages were sent again or discarded."""

    count: int
    more: bool = Field(description="There may be others: ask again")


def _filters(
    provider: Name = "",
    channel: Name = "",
    state: Annotated[Literal["", "dead", "ambiguous"], Query()] = "",
    reason: Name = "",
    flow: Name = "",
) -> Wanted:
    return Wanted(provider, channel, state, reason, flow)


def dead_letter_routes() -> Routes:
    """The routes."""
    routes = Routes("Dead letters")

    @routes.add("GET", "/v1/dead-letters", scope=READ, cost=5, example={"items": [LETTER]})
    def list_dead_letters(
        call: Calling, paging: Pages, wanted: Annotated[Wanted, Depends(_filters)]
    ) -> Page[LetterBody]:
        """List messages that could not be sent, or may have been, and wait for a person.

        A page may have fewer than `limit` items, even none, while there is a `next`. Who they are
        for is told to those who may see customers.
        """
        found, place = dead_letters.page(
            call.engine, wanted, paging.after, paging.limit, named=_named(call)
        )
        items = [_body(each) for each in found]
        return Page[LetterBody](items=items, next=None if place is None else sealed(place))

    @routes.add("GET", "/v1/dead-letters/{letter}", scope=READ, problems=(404,), example=LETTER)
    def read_dead_letter(call: Calling, letter: LetterId) -> LetterBody:
        """Read what is known of such a message."""
        return _body(dead_letters.find(call.engine, letter, named=_named(call)))

    @routes.add(
        "POST",
        "/v1/dead-letters/{letter}/redrive",
        scope=DECIDE,
        problems=(404,),
        example={"count": 1, "more": False},
        body_example={"expires_ms": 1_790_259_200_000},
        response_model=DecidedBody,
    )
    def redrive_dead_letter(call: Calling, letter: LetterId, body: Redrive) -> Response:
        """Send a message again, under the key that it had.

        It goes by the provider that its channel has now. Without `expires_ms` it is sent only if it
        is wanted still.
        """
        dead_letters.find(call.engine, letter, named=False)
        count = dead_letters.redrive(call.engine, [letter], body.expires_ms)
        return _decided(call, "dead_letter.redrive", letter, {}, count)

    @routes.add(
        "POST",
        "/v1/dead-letters",
        scope=DECIDE,
        cost=20,
        example=DECIDED,
        body_example={"then": "redrive", "reason": "no_provider", "limit": 1_000},
        response_model=DecidedBody,
    )
    def decide_dead_letters(call: Calling, body: Choice) -> Response:
        """Send all messages again that fit, or discard them, up to a limit.

        Do so once what was wrong is mended. Each is sent again at most once by a call; one that
        cannot be read can only be discarded.
        """
        wanted = body.wanted()
        if body.then == "redrive":
            done = dead_letters.redrive_all(call.engine, wanted, body.limit, body.expires_ms)
        else:
            done = dead_letters.discard_all(call.engine, wanted, body.limit)
        action = f"dead_letter.{body.then}"
        return _decided(call, action, "all", asdict(wanted), done.count, done.more)

    @routes.add("DELETE", "/v1/dead-letters/{letter}", scope=DECIDE, status=204, problems=(404,))
    def discard_dead_letter(call: Calling, letter: LetterId) -> Response:
        """Forget a message: nobody will send it."""
        dead_letters.find(call.engine, letter, named=False)
        dead_letters.discard(call.engine, [letter])
        with call.change() as change:
            change.audit("dead_letter.discard", f"dead_letter:{letter}")
            return change.answer(status=204)

    return routes


def _decided(
    call: Call, action: str, what: str, said: dict[str, str], count: int, more: bool = False
) -> Response:
    with call.change() as change:
        change.audit(action, f"dead_letter:{what}", before=said, after=count)
        return change.answer(DecidedBody(count=count, more=more))


def _named(call: Call) -> bool:
    return call.caller.may("customers:read")


def _body(found: dict[str, Any]) -> LetterBody:
    customer = found.pop("customer_id")
    return LetterBody(**found, customer=customer)
