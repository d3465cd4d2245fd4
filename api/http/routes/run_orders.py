"""Make orders for workers of what a request asks for, and refuse at once what can not succeed.

What only the audience of a live tenant can tell, which is copied when the job's turn has come, is
found by the worker and told as the job's failure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from actors.live.errors import FlowError
from actors.live.publishing import segments_of
from actors.service import flow_rows, versions
from actors.service.errors import InvalidError, NotFoundError
from actors.service.jobs import LIVE, limit_of
from actors.service.run_process import Kind, Order
from api.documents import judged
from api.http.routes.flow_calls import desk_of
from api.http.routing import Call, Strict, optional
from api.window import read_window
from core.audience import AudienceSchema
from core.document import read_responses, read_segments
from core.flow import Flow
from core.lint import lint
from core.segments import Segments

DOCUMENTS = {"draft", "first", "second", "responses", "segments"}
REPLICATES_MAX = 1_000
VERSION_MAX = 10**9
TRACES_MAX = 20
REPLICATES = 20  # of a comparison, unless stated

Document = Annotated[
    dict[str, Any] | str, Field(description="JSON, or a text of JSON or YAML", union_mode="smart")
]
Time = Annotated[str, Field(max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=256)]


class Draft(Strict):
    """Which flow: a document in the request, or one that is kept, as a draft or a version."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "oneOf": [{"required": ["document"]}, {"required": ["flow"]}],
            "dependentRequired": {"version": ["flow"]},
        },
    )
    document: Document = optional("The flow itself")
    flow: Name = optional("Or the id of a flow")
    version: int = optional("Its version, 0 for the newest; else its draft", ge=0, le=VERSION_MAX)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.document is None) == (self.flow is None):
            raise ValueError("state either 'document' or 'flow'")
        if self.flow is None and self.version is not None:
            raise ValueError("'version' goes with 'flow'")
        return self


class Asked(Strict):
    """What a dry run and a comparison have in common; times are as on the command line."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)
    audience: Name = Field(description="Its name, or 'live' for the tenant's own journal")
    from_: Time | None = Field(None, alias="from", description="Begin of entries, such as a date")
    until: Time | None = Field(None, description="End of entries")
    horizon: Time | None = Field(None, description="How far people are followed: '+14 days'")
    seed: int = Field(0, ge=0, le=2**63 - 1)
    salt: Annotated[str, Field(max_length=256)] | None = None
    entry_rate: int | None = Field(None, ge=1, le=2**31 - 1)
    coupons: dict[Name, Annotated[int, Field(ge=0)]] = Field(default_factory=dict, max_length=100)
    replaces: Name | None = Field(None, description="Leave out recorded effects of this flow")
    responses: Document | None = Field(None, description="How people respond")
    segments: Document | None = Field(None, description="Instead of the tenant's segments")


class RunAsked(Asked):
    """A dry run to start."""

    draft: Draft
    replicates: int = Field(1, ge=1, le=REPLICATES_MAX)
    strict_history: bool = False
    trace: list[Name] = Field(
        default_factory=list, max_length=TRACES_MAX, description="Customers whose story to tell"
    )


class ComparisonAsked(Asked):
    """Two drafts to compare on the same people with the same luck."""

    first: Draft
    second: Draft
    replicates: int = Field(REPLICATES, ge=1, le=REPLICATES_MAX)


class Ordered:
    """What a job is made of: the order, what is shown of it, and its documents."""

    def __init__(self, call: Call, asked: Asked, kind: Kind, drafts: Mapping[str, Draft]) -> None:
        """Check all that can be. Raises ServiceError, FlowError, HeadraceError."""
        runs, tenant = call.service.runs, call.caller.tenant
        schema, folder = None, ""
        if asked.audience != LIVE:
            try:
                folder = str(runs.audiences.find(tenant, asked.audience))
            except NotFoundError as error:
                raise NotFoundError(
                    error.message, advice=error.advice, pointer="/audience"
                ) from None
            schema = runs.audiences.schema(tenant, asked.audience)
        self.documents = {name: _text(call, draft, name) for name, draft in drafts.items()}
        segments = self._segments(call, asked)
        flows = {name: _flow(self.documents[name], name, segments, schema) for name in drafts}
        if asked.responses is not None:
            self.documents["responses"] = text = _written(asked.responses)
            responses, violations = read_responses(text, name="responses", segments=segments)
            if responses is None:
                raise FlowError(violations, file="responses")
        options = asked.model_dump(exclude={"audience", "coupons", *DOCUMENTS})
        options["begin"] = options.pop("from_")
        options["coupons"] = [f"{pool}={count}" for pool, count in asked.coupons.items()]
        options["said"] = ""
        work_max = self._work_max(call, len(drafts))
        if schema is not None:
            _check(asked, schema, options, work_max, flows)
        self.order = Order(
            kind,
            asked.audience,
            audience=folder,
            work_max=work_max,
            options=options,
        )
        self.shown = asked.model_dump(
            mode="json",
            by_alias=True,
            exclude_defaults=True,
            exclude=DOCUMENTS,
        )
        self.shown["flows"] = [flow.flow for flow in flows.values()]

    def _segments(self, call: Call, asked: Asked) -> Segments | None:
        """The segments that the drafts may name: those that were sent, or else the tenant's."""
        if asked.segments is not None:
            text = _written(asked.segments)
            segments, violations = read_segments(text, name="segments")
            if segments is None:
                raise FlowError(violations, file="segments")
        else:
            standing = call.engine.control.standing
            if not standing.segments:
                return None
            segments = segments_of(standing)
            text = json.dumps(standing.segments)
        self.documents["segments"] = text
        return segments

    def _work_max(self, call: Call, drafts: int) -> int:
        with call.service.plane.operator.read() as txn:
            tenant = call.service.tenants.find(txn, call.caller.tenant)
        return limit_of(tenant, "dry_run_customers") // drafts


def _text(call: Call, draft: Draft, name: str) -> str:
    if draft.document is not None:
        return _written(draft.document)
    desk = desk_of(call)
    try:
        with desk.rows.read() as txn:
            row = desk.find(txn, draft.flow or "").row
            if draft.version is None:
                return flow_rows.draft_of(txn, row.id).document
            return versions.find(txn, row.id, draft.version or row.version).document
    except NotFoundError as error:
        # It stands in the body, where a path would not say which of them is meant.
        where = "flow" if draft.version is None else "version"
        raise NotFoundError(
            error.message, advice=error.advice, pointer=f"/{_said(name)}/{where}"
        ) from None


def _said(name: str) -> str:
    return {"flow": "draft"}.get(name, name)


def _written(document: dict[str, Any] | str) -> str:
    return document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)


def _flow(text: str, name: str, segments: Segments | None, schema: AudienceSchema | None) -> Flow:
    flow, violations = judged(text.encode(), name, segments, lambda found: lint(found, schema))
    if flow is None or any(violation.severity == "error" for violation in violations):
        raise FlowError(violations)
    return flow


def _check(
    asked: Asked,
    schema: AudienceSchema,
    options: Mapping[str, Any],
    work_max: int,
    flows: Mapping[str, Flow],
) -> None:
    """Check what the audience's schema can tell of."""
    customers = schema.counts.customers
    if customers == 0:
        raise InvalidError(
            "the audience is empty", advice="Import customers into it", pointer="/audience"
        )
    work = customers * options["replicates"]
    if work > work_max:
        raise InvalidError(
            f"{customers:,} customers in {options['replicates']:,} replicates are {work:,}, and at "
            f"most {work_max:,} may be carried out",
            advice="Ask for fewer replicates, or have the quota dry_run_customers raised",
            pointer="/replicates",
        )
    zone = next(iter(flows.values())).settings.zone
    read_window(asked.from_, asked.until, asked.horizon, zone=zone, schema=schema, said="")
