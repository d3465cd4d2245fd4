"""Let a tenant's other systems hear what happens in flows: subscriptions, and what was given up."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import Path, Response
from pydantic import BaseModel, Field

from actors.live.happenings import KINDS
from actors.service.access import OPERATOR
from actors.service.transactions import ReadTxn
from actors.service.webhooks import DEAD, WAIT, Hook, Parcel, Status, Webhooks, check
from api.http.routing import Call, Calling, Page, Pages, Routes, Strict, optional

SCOPE = "settings:admin"
AT_ONCE_MAX = 1_000
Kind = Literal[
    "entered", "moved", "sent", "completed", "exited", "parked", "refused", "delivered", "failed",
    "opened", "clicked", "bounced", "complained", "unsubscribed",
]  # fmt: skip
HOOK: dict[str, Any] = {
    "id": "5f2c9a1e77d04b3c",
    "url": "https://hooks.example.com/headrace",
    "kinds": ["entered", "delivered", "completed"],
    "flows": ["welcome"],
    "networks": [],
    "status": "active",
    "created_ms": 1_790_000_000_000,
    "delivered": 41,
    "waiting": 2,
    "dead": 0,
    "failures": 1,
    "problem": "http_503",
}
PARCEL: dict[str, Any] = {
    "place": "00000-0000000000000007-00000002",
    "kind": "completed",
    "at_ms": 1_790_000_000_000,
    "flow": "welcome",
    "attempts": 10,
    "first_ms": 1_790_000_000_000,
    "reason": "http_503",
}
BODY = {"url": HOOK["url"], "kinds": HOOK["kinds"], "flows": HOOK["flows"]}
HookId = Annotated[str, Path(max_length=100, description="The id of a webhook")]
Kinds = Annotated[list[Kind], Field(min_length=1, max_length=len(KINDS))]
Flows = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=100)]],
    Field(max_length=100, description="Of which flows; of all where none is named"),
]


class WebhookNew(Strict):
    """A subscription to be made."""

    url: str = Field(min_length=1, max_length=2048, description="Where to post, by https")
    kinds: Kinds = Field(description="What to tell of")
    flows: Flows = Field(default_factory=list)
    networks: list[Annotated[str, Field(max_length=50)]] = Field(
        default_factory=list,
        max_length=10,
        description="Networks that may be reached though they are not public; for the operator",
    )


class WebhookChange(Strict):
    """What to change of a subscription; what is left out stays."""

    kinds: Kinds = optional()
    flows: Flows = optional()
    status: Literal["active", "paused"] = optional(
        "What happens meanwhile is told once it is active again"
    )


class WebhookBody(BaseModel):
    """A subscription, and how it goes."""

    id: str
    url: str
    kinds: list[str]
    flows: list[str]
    networks: list[str]
    status: Status = Field(description="disabled: the receiver answered 410")
    created_ms: int
    delivered: int
    waiting: int = Field(description="To be tried again")
    dead: int = Field(description="Given up, until somebody decides")
    failures: int = Field(description="Attempts that failed since the last that did not")
    problem: str = Field("", description="Why the last attempt failed")


class WebhookMade(BaseModel):
    """A subscription with its secret, which is shown this once (Standard Webhooks)."""

    webhook: WebhookBody
    secret: str


class ParcelBody(BaseModel):
    """Something that could not be delivered. Whose it is is not told."""

    place: str
    kind: str
    at_ms: int
    flow: str | None = None
    attempts: int
    first_ms: int
    reason: str


class ParcelChoice(Strict):
    """What to do with what was given up: all of it, or what stands at some places."""

    then: Literal["redrive", "discard"]
    places: list[Annotated[str, Field(max_length=100)]] = optional(max_length=AT_ONCE_MAX)
    limit: int = Field(AT_ONCE_MAX, ge=1, le=AT_ONCE_MAX, description="At most so many")


class ParcelsDecided(BaseModel):
    """How many were taken up again or discarded."""

    count: int
    more: bool = Field(description="There are others: ask again")


def webhook_routes() -> Routes:
    """The routes."""
    routes = Routes("Webhooks")

    @routes.add(
        "POST",
        "/v1/webhooks",
        scope=SCOPE,
        cost=5,
        status=201,
        problems=(409,),
        example={"webhook": HOOK, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        body_example=BODY,
        response_model=WebhookMade,
        beyond={422: "Requests may not go to the URL", 409: "There are too many"},
    )
    def create_webhook(call: Calling, body: WebhookNew) -> Response:
        """Tell another system what happens in flows from now on.

        Each happening is posted by itself, signed as Standard Webhooks has it, until the receiver
        answers 2xx: at least once, in order for each customer, with an id that tells repeated ones.
        """
        operator = call.caller.may(OPERATOR)
        check(body.url, body.kinds, body.networks, operator=operator)
        engine = call.engine
        ends = call.service.reporting.of(engine).following.ask("ends")["ends"]
        hook = Hook(
            id="",
            url=body.url,
            kinds=list(dict.fromkeys(body.kinds)),
            flows=list(dict.fromkeys(body.flows)),
            created_ms=call.now_ms,
            places=[[end, 0] for end in ends],
            secrets=[],
            networks=body.networks,
            instance=engine.manifest.instance,
        )
        with call.change() as change:
            hook, secret = _hooks(call).create(change.txn, hook)
            change.audit("webhook.create", f"webhook:{hook.id}", after=body.model_dump())
            made = WebhookMade(webhook=_body(call, change.txn, hook), secret=secret)
            return change.answer(made, 201, {"Location": f"/v1/webhooks/{hook.id}"})

    @routes.add("GET", "/v1/webhooks", scope=SCOPE, example={"items": [HOOK]})
    def list_webhooks(call: Calling, paging: Pages) -> Page[WebhookBody]:
        """List the subscriptions by id."""
        with call.rows.read() as txn:
            found = _hooks(call).every(txn, paging.after, paging.limit + 1)
            return paging.page([_body(call, txn, hook) for hook in found], lambda hook: hook.id)

    @routes.add("GET", "/v1/webhooks/{webhook}", scope=SCOPE, problems=(404,), example=HOOK)
    def read_webhook(call: Calling, webhook: HookId) -> WebhookBody:
        """Read a subscription, and how it goes."""
        with call.rows.read() as txn:
            return _body(call, txn, _hooks(call).find(txn, webhook))

    @routes.add(
        "PATCH",
        "/v1/webhooks/{webhook}",
        scope=SCOPE,
        problems=(404,),
        example=HOOK,
        body_example={"status": "active"},
        response_model=WebhookBody,
    )
    def change_webhook(call: Calling, webhook: HookId, body: WebhookChange) -> Response:
        """Change what a receiver is told, pause it, or let it go on, also after a 410."""
        with call.change() as change:
            hooks = _hooks(call)
            before = hooks.find(change.txn, webhook)
            stated = {name: getattr(body, name) for name in body.model_fields_set}
            if stated.get("status") == "active":
                stated |= {"failures": 0, "problem": ""}
            after = replace(before, **stated)
            hooks.put(change.txn, after)
            change.audit("webhook.change", f"webhook:{webhook}", after=body.model_dump())
            return change.answer(_body(call, change.txn, after))

    @routes.add("DELETE", "/v1/webhooks/{webhook}", scope=SCOPE, status=204, problems=(404,))
    def delete_webhook(call: Calling, webhook: HookId) -> Response:
        """Tell a receiver nothing more, and forget what waits for it."""
        with call.change() as change:
            hooks = _hooks(call)
            hooks.delete(change.txn, hooks.find(change.txn, webhook))
            change.audit("webhook.delete", f"webhook:{webhook}")
            return change.answer(status=204)

    @routes.add(
        "POST",
        "/v1/webhooks/{webhook}/rotate",
        scope=SCOPE,
        cost=5,
        problems=(404,),
        example={"webhook": HOOK, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        response_model=WebhookMade,
    )
    def rotate_webhook(call: Calling, webhook: HookId) -> Response:
        """Give a subscription a new secret.

        The one before signs beside it until the next time, so that receivers can change over.
        """
        with call.change() as change:
            hooks = _hooks(call)
            hook, secret = hooks.rotate(change.txn, hooks.find(change.txn, webhook))
            change.audit("webhook.rotate", f"webhook:{webhook}")
            made = WebhookMade(webhook=_body(call, change.txn, hook), secret=secret)
            return change.answer(made)

    _dead_routes(routes)
    return routes


def _dead_routes(routes: Routes) -> None:
    @routes.add(
        "GET",
        "/v1/webhooks/{webhook}/dead",
        scope=SCOPE,
        problems=(404,),
        example={"items": [PARCEL]},
    )
    def list_dead_deliveries(call: Calling, webhook: HookId, paging: Pages) -> Page[ParcelBody]:
        """List what was given up after ten attempts, by the place at which it happened."""
        with call.rows.read() as txn:
            hooks = _hooks(call)
            hooks.find(txn, webhook)
            found = hooks.parcels(txn, DEAD, webhook, paging.after, paging.limit + 1)
        return paging.page([_parcel(each) for each in found], lambda each: each.place)

    @routes.add(
        "POST",
        "/v1/webhooks/{webhook}/dead",
        scope=SCOPE,
        cost=10,
        problems=(404,),
        example={"count": 3, "more": False},
        body_example={"then": "redrive"},
        response_model=ParcelsDecided,
    )
    def decide_dead_deliveries(call: Calling, webhook: HookId, body: ParcelChoice) -> Response:
        """Deliver again what was given up, or discard it: all of it, or what stands at places.

        It has the ids that it had before; what is not there any more is left out.
        """
        with call.change() as change:
            hooks = _hooks(call)
            hooks.find(change.txn, webhook)
            found = hooks.parcels(change.txn, DEAD, webhook)
            if body.places is not None:
                wanted = set(body.places)
                found = [parcel for parcel in found if parcel.place in wanted]
            chosen = found[: body.limit]
            if body.then == "redrive":
                hooks.redrive(change.txn, webhook, chosen, call.now_ms)
            else:
                for parcel in chosen:
                    hooks.drop(change.txn, DEAD, webhook, parcel)
            change.audit(f"webhook.{body.then}", f"webhook:{webhook}", after=len(chosen))
            more = len(found) > len(chosen)
            return change.answer(ParcelsDecided(count=len(chosen), more=more))


def _hooks(call: Call) -> Webhooks:
    return Webhooks(call.engine.path)


def _body(call: Call, txn: ReadTxn, hook: Hook) -> WebhookBody:
    hooks = _hooks(call)
    told = {name: getattr(hook, name) for name in WebhookBody.model_fields if hasattr(hook, name)}
    return WebhookBody(
        **told,
        waiting=hooks.count(txn, WAIT, hook.id),
        dead=hooks.count(txn, DEAD, hook.id),
    )


def _parcel(found: Parcel) -> ParcelBody:
    return ParcelBody(
        place=found.place,
        kind=found.said["kind"],
        at_ms=found.said["at_ms"],
        flow=found.said.get("flow"),
        attempts=found.attempts,
        first_ms=found.first_ms,
        reason=found.reason,
    )
