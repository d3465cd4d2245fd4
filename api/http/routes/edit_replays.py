"""Replay an edit of a flow before it is published: who, of those in flight, would move where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from actors.service import flow_rows
from actors.service.edit_replays import Mover, Standing, Way, replay_edit
from api.http.flow_text import text_of
from api.http.routes.flow_calls import DOCUMENT_BYTES_MAX, FlowId, InFlightChoice, desk_of
from api.http.routes.flows import Document
from api.http.routes.report_bodies import TruthBody
from api.http.routing import Calling, Pages, Routes, Strict, optional

SCOPE = "customers:read"
COST = 50
AT = {"version": 1, "node": "wait"}
EXAMPLE: dict[str, Any] = {
    "flow": "welcome",
    "version": 2,
    "people": 59,
    "pin": [{"source": AT, "target": AT, "people": 59}],
    "drop": [{"source": AT, "reason": "version_replaced", "people": 59}],
    "reset": [
        {
            "source": AT,
            "target": {"version": 2, "node": "mail"},
            "reason": "version_replaced",
            "people": 59,
        }
    ],
    "items": [
        {
            "customer": "c-1024",
            "before": [{**AT, "due_ms": 1_790_000_000_000}],
            "after": [{"version": 2, "node": "mail", "due_ms": 1_790_000_060_000}],
            "ended": [],
        }
    ],
    "as_of_ms": 1_789_900_000_000,
    "since_ms": 0,
    "behind": 0,
}


class ReplayOrder(Strict):
    """What to replay, and by which choice to list people."""

    document: Document = optional("A flow document in place of the draft")
    in_flight: InFlightChoice = Field("pin", description="By which choice people are listed")


class StandingBody(BaseModel):
    """A place in a flow. `due_ms`: when somebody goes on from there by himself, ms UTC."""

    version: int
    node: str
    due_ms: int | None = None


class WayBody(BaseModel):
    """How many people would go from one place to another.

    Without a `target` they leave the flow. Who stays has no `reason`: it is `version_replaced`, or
    what ended a new entry at once, in the node `target`.
    """

    source: StandingBody
    target: StandingBody | None = None
    reason: str | None = None
    people: int


class EndBody(StandingBody):
    """An entry into the new version that would end at once."""

    reason: str


class MoverBody(BaseModel):
    """One customer who is inside: where he stands, where he would, what would end at once."""

    customer: str
    before: list[StandingBody]
    after: list[StandingBody]
    ended: list[EndBody]


class ReplayBody(TruthBody):
    """What publishing an edit would do to the people who are inside, by each choice."""

    flow: str
    version: int = Field(description="The number that the edit would have")
    people: int = Field(description="How many are inside a version now")
    pin: list[WayBody]
    drop: list[WayBody]
    reset: list[WayBody]
    items: list[MoverBody] = Field(description="A page of them, by the choice that was named")
    next: str | None = Field(None, description="Give it as `after` to get the next page")


def edit_replay_routes() -> Routes:
    """The route."""
    routes = Routes("Flows that run")

    @routes.add(
        "POST",
        "/v1/flows/{flow}/draft/replay",
        scope=SCOPE,
        cost=COST,
        problems=(404, 409, 422),
        beyond={422: "The draft may break rules, or send what is not ready"},
        example=EXAMPLE,
        body_example={"in_flight": "reset"},
        body_bytes_max=DOCUMENT_BYTES_MAX,
    )
    def replay_draft(
        call: Calling, flow: FlowId, paging: Pages, body: ReplayOrder | None = None
    ) -> ReplayBody:
        """Replay an edit before it is published: who would move where by `pin`, `drop`, `reset`.

        Nothing is changed, and the flow runs on: the command to publish is carried out on a copy of
        all that the flow remembers, which is thrown away. What keeps the draft from being published
        is told as publishing tells it.
        """
        order = body or ReplayOrder()
        desk = desk_of(call)
        with desk.rows.read() as txn:
            desk.find(txn, flow)
            draft = flow_rows.draft_of(txn, flow)
        stated = "document" in order.model_fields_set
        text = text_of(order.document) if stated else draft.document
        reports = call.service.reporting.of(call.engine)
        found = replay_edit(reports, flow, text, order.in_flight, paging.after, paging.limit + 1)
        keys = {mover.customer: mover.key for mover in found.movers}
        page = paging.page([_mover(each) for each in found.movers], lambda m: keys[m.customer])
        ways = {name: _ways(told) for name, told in found.choices.items()}
        return ReplayBody(
            flow=flow,
            version=found.version,
            people=found.people,
            items=page.items,
            next=page.next,
            **ways,
            **TruthBody.of(found.truth).model_dump(),
        )

    return routes


def _at(place: Standing) -> StandingBody:
    return StandingBody(version=place.version, node=place.node, due_ms=place.due_ms)


def _ways(found: Sequence[Way]) -> list[WayBody]:
    return [
        WayBody(
            source=_at(way.source),
            target=None if way.target is None else _at(way.target),
            reason=way.reason,
            people=way.people,
        )
        for way in found
    ]


def _mover(mover: Mover) -> MoverBody:
    return MoverBody(
        customer=mover.customer,
        before=[_at(place) for place in mover.before],
        after=[_at(place) for place in mover.after],
        ended=[
            EndBody(version=place.version, node=place.node, reason=reason)
            for place, reason in mover.ends
        ],
    )
