"""Show which events and properties a tenant expects, and what arrived that is none of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response
from pydantic import BaseModel, Field

from actors.intake.strange import StrangeKind
from actors.service.findings import Finding, Policy, State, policy_of
from api.http.routing import Call, Calling, Page, Pages, Routes

READ, WRITE = "flows:read", "flows:write"
EVENT: dict[str, Any] = {
    "name": "order",
    "properties": {"amount": "float64", "currency": "string"},
    "declared": True,
}
FINDING: dict[str, Any] = {
    "id": "9f86d081884c7d65",
    "event": "order",
    "property": "amout",
    "kind": "unknown-property",
    "type": "float",
    "count": 412,
    "first_ms": 1_790_000_000_000,
    "last_ms": 1_790_000_060_000,
    "state": "open",
    "policy": "warn",
}
FindingId = Annotated[str, Path(max_length=100, description="The id of a finding")]


class CatalogueEvent(BaseModel):
    """An event with its properties and their types."""

    name: str
    properties: dict[str, str]
    declared: bool = Field(description="Whether the schema names it, or it is a standard one")


class FindingBody(BaseModel):
    """Something that arrived and that the schema does not have so."""

    id: str
    event: str = Field(description="Empty for changes of customers' records")
    property: str = Field(description="Empty for an unknown event")
    kind: StrangeKind
    type: str = Field(description="That of one example; values are not kept")
    count: int = Field(description="At least so many")
    first_ms: int
    last_ms: int
    state: State
    policy: Policy = Field(description="What the schema's settings do with it now")


def catalogue_routes() -> Routes:
    """The routes."""
    routes = Routes("Event catalogue")

    @routes.add("GET", "/v1/catalogue/events", scope=READ, example={"items": [EVENT]})
    def list_catalogue_events(call: Calling, paging: Pages) -> Page[CatalogueEvent]:
        """List the events that are expected, by name: those of the schema, and standard ones.

        PUT /v1/schema declares them, and says in its settings what becomes of others:
        `unknown_events`, `unknown_fields` and `wrong_types`.
        """
        schema = call.engine.schema
        known = schema.known_events
        names = sorted(name for name in known if name > paging.after)[: paging.limit + 1]
        items = [
            CatalogueEvent(
                name=name,
                properties={each: str(kind) for each, kind in known[name].items()},
                declared=name in schema.events,
            )
            for name in names
        ]
        return paging.page(items, lambda each: each.name)

    @routes.add("GET", "/v1/catalogue/findings", scope=READ, example={"items": [FINDING]})
    def list_findings(
        call: Calling,
        paging: Pages,
        kind: Annotated[Literal[""] | StrangeKind, Query()] = "",
        state: Annotated[Literal["", "open", "acknowledged"], Query()] = "",
        event: Annotated[str, Query(max_length=200)] = "",
    ) -> Page[FindingBody]:
        """List what arrived and the schema does not have so, by id.

        For each new one an entry `catalogue.alarm` stands in the audit log, unless the settings
        allow it.
        """
        with call.rows.read() as txn:
            found = [
                each
                for each in call.service.findings.every(txn, paging.after)
                if kind in ("", each.kind)
                and state in ("", each.state)
                and event in ("", each.event)
            ]
        items = [_body(call, each) for each in found[: paging.limit + 1]]
        return paging.page(items, lambda each: each.id)

    @routes.add(
        "POST",
        "/v1/catalogue/findings/{finding}/acknowledge",
        scope=WRITE,
        problems=(404,),
        example={**FINDING, "state": "acknowledged"},
        response_model=FindingBody,
    )
    def acknowledge_finding(call: Calling, finding: FindingId) -> Response:
        """Let a finding be known: it counts on, and is no alarm any more."""
        with call.change() as change:
            found = call.service.findings.acknowledge(change.txn, finding)
            change.audit("catalogue.acknowledge", f"finding:{finding}")
            return change.answer(_body(call, found))

    @routes.add(
        "DELETE", "/v1/catalogue/findings/{finding}", scope=WRITE, status=204, problems=(404,)
    )
    def clear_finding(call: Calling, finding: FindingId) -> Response:
        """Forget a finding that was mended; should it come again, it is an alarm again."""
        with call.change() as change:
            call.service.findings.clear(change.txn, finding)
            change.audit("catalogue.clear", f"finding:{finding}")
            return change.answer(status=204)

    return routes


def _body(call: Call, found: Finding) -> FindingBody:
    policy = policy_of(call.engine.schema.settings, found.kind)
    told = {name: getattr(found, name) for name in FindingBody.model_fields if name != "policy"}
    return FindingBody(**told, policy=policy)
