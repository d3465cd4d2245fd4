"""Let people make flows, find them again, edit their drafts, copy and delete them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, get_args

from fastapi import Query, Response
from pydantic import BaseModel, Field, model_validator

from actors.service import flow_groups, flow_rows, versions
from actors.service.drafts import lint_draft
from actors.service.flow_rows import Draft
from actors.service.flows import Desk, Shown
from actors.service.statuses import Status
from actors.service.transactions import ReadTxn
from api.http.flow_text import id_of, renamed, text_of
from api.http.problems import Fault, refuse, violation_body
from api.http.routes.flow_calls import (
    DOCUMENT_BYTES_MAX,
    FLOW,
    FLOW_ID,
    NAME,
    NOW_MS,
    Columns,
    FlowBody,
    FlowChange,
    FlowId,
    IfMatch,
    conflicts_told,
    desk_of,
    edition_of,
    flow_body,
)
from api.http.routes.flow_templates import BLANK, Values, flow_of_template
from api.http.routing import Call, Calling, Page, Pages, Paging, Routes, Strict, no_page
from core.violations import Violation, has_errors

READ, EDIT = "flows:read", "flows:write"
TEXT = (
    "headrace: 1\nflow: welcome\nnodes:\n  in: {type: on_event, event: signup, next: out}\n"
    "  out: {type: end}\n"
)
DRAFT: dict[str, Any] = {
    "flow": "welcome",
    "edition": 3,
    "document": TEXT,
    "edited_ms": NOW_MS,
    "edited_by": "user:ada",
}
LINT: dict[str, Any] = {
    "publishable": False,
    "violations": [
        {
            "code": "unready-content",
            "severity": "error",
            "pointer": "/nodes/mail/template",
            "message": "the content 'hello' is a draft still",
            "advice": "Finish it.",
            "line": 9,
        }
    ],
}
SORTS = ("flow", "name", "status", "created", "edited", "published")
Sort = Annotated[
    str,
    Query(pattern=f"^-?({'|'.join(SORTS)})$", description="By what; with `-` the greatest first"),
]
Document = Annotated[
    str | dict[str, Any],
    Field(description="A flow document: YAML or JSON as text, or JSON as it is"),
]


class FlowNew(Strict):
    """A flow to be made: blank, of a template, as a copy, or of a document."""

    flow: str | None = Field(
        None, pattern=FLOW_ID, description="Its id, which never changes; made of the name if absent"
    )
    name: str | None = Field(None, min_length=1, max_length=200, pattern=NAME)
    template: str | None = Field(None, max_length=64, description="See `/v1/templates`")
    values: Values = Field(default_factory=dict, description="What the template's parameters are")
    document: Document | None = None
    group: str | None = Field(None, max_length=20, description="The id of a group")

    @model_validator(mode="after")
    def _one(self) -> FlowNew:
        if self.document is not None and (self.template or self.flow or self.name or self.values):
            raise ValueError("a document has its id and name itself, and needs no template")
        if self.values and self.template is None:
            raise ValueError("values are those of a template: name it")
        return self


class FlowCopy(Strict):
    """How to copy a flow: its draft, unless a version is named."""

    flow: str | None = Field(None, pattern=FLOW_ID, description="The id of the copy")
    name: str | None = Field(None, min_length=1, max_length=200, pattern=NAME)
    version: int | None = Field(None, ge=1, le=10**9)
    group: str | None = Field(None, max_length=20)


class DraftSave(Strict):
    """The next edition of a draft."""

    document: Document


class DraftBody(BaseModel):
    """The draft of a flow; `edition` is also its `ETag`."""

    flow: str
    edition: int
    document: str = Field(description="As it was written")
    edited_ms: int
    edited_by: str


class LintBody(BaseModel):
    """What is wrong or doubtful, errors first: as publishing would judge it now."""

    publishable: bool
    violations: list[Fault]


class DraftSaved(DraftBody, LintBody):
    """A draft as it was saved, and what is wrong with it still."""


class ColumnsChoice(Strict):
    """Which columns a list of flows has for you, unless the request names others."""

    columns: list[Columns] = Field(max_length=30)


class ColumnsBody(BaseModel):
    """Which columns your lists of flows have; none chosen: all of them."""

    columns: list[Columns]


def flow_routes() -> Routes:
    """The routes."""
    routes = Routes("Flows")

    @routes.add("GET", "/v1/flows", scope=READ, problems=(422,), example={"items": [FLOW]})
    def list_flows(
        call: Calling,
        paging: Pages,
        status: Annotated[list[Status] | None, Query(description="Any of these")] = None,
        group: Annotated[str | None, Query(max_length=20, description="A group's id")] = None,
        search: Annotated[
            str, Query(max_length=200, description="What stands in the name or the id")
        ] = "",
        sort: Sort = "name",
        columns: Annotated[
            list[Columns] | None, Query(description="What to tell; see `/v1/flow-columns`")
        ] = None,
    ) -> Page[FlowBody]:
        """List the flows that you may see."""
        desk = desk_of(call)
        with desk.rows.read() as txn:
            found = desk.every(txn)
            chosen = columns or _chosen(txn, call)
        wanted = search.casefold()
        found = [
            shown
            for shown in found
            if (not status or shown.status in status)
            and group in (None, shown.row.group)
            and (wanted in shown.row.name.casefold() or wanted in shown.row.id.casefold())
        ]
        return _page(paging, found, sort, chosen)

    @routes.add("GET", "/v1/flow-columns", scope=READ, example={"columns": ["name", "status"]})
    def read_columns(call: Calling) -> ColumnsBody:
        """Tell which columns your lists of flows have."""
        with call.rows.read() as txn:
            return ColumnsBody.model_validate({"columns": _chosen(txn, call)})

    @routes.add(
        "PUT",
        "/v1/flow-columns",
        scope=READ,
        problems=(422,),
        example={"columns": ["name", "status"]},
        body_example={"columns": ["name", "status"]},
        response_model=ColumnsBody,
    )
    def choose_columns(call: Calling, body: ColumnsChoice) -> Response:
        """Choose which columns your lists of flows have; each user has his own."""
        with call.change() as change:
            chosen: list[Columns] = list(dict.fromkeys(body.columns))
            change.txn.put("settings", _columns_key(call), {"columns": chosen})
            change.audit("flow.columns", call.caller.actor, after=chosen)
            return change.answer(ColumnsBody(columns=chosen))

    @routes.add(
        "POST",
        "/v1/flows",
        scope=EDIT,
        status=201,
        problems=(404, 409, 422),
        example=FLOW,
        body_example={"name": "Welcome", "template": "welcome"},
        response_model=FlowBody,
        body_bytes_max=DOCUMENT_BYTES_MAX,
        beyond={422: "Who has the template, and what the document says, decide"},
    )
    def create_flow(call: Calling, body: FlowNew) -> Response:
        """Make a flow: blank, of a template, or of a document.

        Who may enter again is fixed by the first save: of a document now, else of the draft.
        """
        desk = desk_of(call)
        text = _of_template(desk, body) if body.document is None else text_of(body.document)
        return _created(call, desk, text, body.group, first_save=body.document is not None)

    @routes.add(
        "POST",
        "/v1/flows/{flow}/copy",
        scope=EDIT,
        status=201,
        problems=(404, 409, 422),
        example={**FLOW, "flow": "welcome-2", "status": "draft"},
        body_example={"name": "Welcome, shorter"},
        response_model=FlowBody,
        beyond={422: "There may be no such group"},
    )
    def copy_flow(call: Calling, flow: FlowId, body: FlowCopy | None = None) -> Response:
        """Copy a flow, its draft or a version of it, as a new draft."""
        order = body or FlowCopy()
        desk = desk_of(call)
        with desk.rows.read() as txn:
            shown = desk.find(txn, flow)
            if order.version is None:
                text = flow_rows.draft_of(txn, flow).document
            else:
                text = versions.find(txn, flow, order.version).document
            name = order.name or f"{shown.row.name} (copy)"[:200]
            own = order.flow or _free(txn, id_of(order.name or "", f"{flow[:50]}-copy"))
        made = renamed(text, own, name)
        return _created(call, desk, made, order.group or shown.row.group, first_save=False)

    @routes.add("GET", "/v1/flows/{flow}", scope=READ, problems=(404,), example=FLOW)
    def read_flow(call: Calling, flow: FlowId) -> FlowBody:
        """Read what a flow is and does; its document is its draft, or a version."""
        desk = desk_of(call)
        with desk.rows.read() as txn:
            return flow_body(desk.find(txn, flow))

    @routes.add(
        "PATCH",
        "/v1/flows/{flow}",
        scope=EDIT,
        problems=(404, 422),
        example=FLOW,
        body_example={"group": "1", "audience_tolerance": 0.05},
        response_model=FlowBody,
        beyond={422: "There may be no such group"},
    )
    def change_flow(call: Calling, flow: FlowId, body: FlowChange) -> Response:
        """Put a flow into a group, or let its audience be acknowledged before it is published."""
        desk = desk_of(call)
        with call.change() as change:
            row = desk.find(change.txn, flow, "edit").row
            before = [row.group, row.tolerance]
            if "group" in body.model_fields_set:
                row.group = _group(change.txn, body.group)
            if "audience_tolerance" in body.model_fields_set:
                row.tolerance = body.audience_tolerance
            flow_rows.put(change.txn, row)
            after = [row.group, row.tolerance]
            change.audit("flow.change", f"flow:{flow}", before=before, after=after)
            return change.answer(flow_body(desk.find(change.txn, flow)))

    @routes.add("DELETE", "/v1/flows/{flow}", scope=EDIT, status=204, problems=(404, 409))
    def delete_flow(call: Calling, flow: FlowId) -> Response:
        """Delete a flow that does not run.

        Its versions are kept with its history, so the id of one that was published is not given
        again.
        """
        desk = desk_of(call)
        with desk.turn, call.change() as change:
            row = desk.delete(change.txn, flow)
            change.audit("flow.delete", f"flow:{flow}", before=[row.version, row.edition])
            return change.answer(None, 204)

    @routes.add("GET", "/v1/flows/{flow}/draft", scope=READ, problems=(404,), example=DRAFT)
    def read_draft(call: Calling, flow: FlowId, response: Response) -> DraftBody:
        """Read the draft of a flow; give its `ETag` as `If-Match` when you save the next."""
        desk = desk_of(call)
        with desk.rows.read() as txn:
            desk.find(txn, flow)
            draft = flow_rows.draft_of(txn, flow)
        response.headers["ETag"] = f'"{draft.edition}"'
        return _draft_body(draft)

    @routes.add(
        "PUT",
        "/v1/flows/{flow}/draft",
        scope=EDIT,
        problems=(404, 409, 422, 428),
        example={**DRAFT, "publishable": True, "violations": []},
        body_example={"document": TEXT},
        response_model=DraftSaved,
        body_bytes_max=DOCUMENT_BYTES_MAX,
        beyond={422: "The text may be no document of this flow"},
    )
    def save_draft(
        call: Calling, flow: FlowId, body: DraftSave, if_match: IfMatch = None
    ) -> Response:
        """Save the next edition of a draft.

        `If-Match` says with which edition you began. If somebody saved another one meanwhile, the
        answer is 409 with both. What is wrong with it is told, and does not keep it from being
        saved; it must be a sound document of this flow, which lets people enter again as at the
        first save.
        """
        if if_match is None:
            raise refuse(
                428,
                "precondition-required",
                "the request does not say which edition it is an edit of",
                "Read the draft, and send its ETag as If-Match",
            )
        desk = desk_of(call)
        text = text_of(body.document)
        judged = _lint(desk, text, flow)
        with conflicts_told(desk, flow, text), call.change() as change:
            edition = edition_of(if_match)
            if edition is None:
                edition = str(desk.find(change.txn, flow, "edit").row.edition)
            draft = desk.save(change.txn, flow, text, edition)
            change.audit("flow.save", f"flow:{flow}", before=edition, after=text)
            saved = DraftSaved(**_draft_body(draft).model_dump(), **judged)
            return change.answer(saved, 200, {"ETag": f'"{draft.edition}"'})

    @routes.add(
        "GET", "/v1/flows/{flow}/draft/lint", scope=READ, cost=5, problems=(404,), example=LINT
    )
    def lint_flow(call: Calling, flow: FlowId) -> LintBody:
        """Tell what is wrong with a draft, as publishing would judge it now.

        That includes content that is not ready, what other flows do, and the tenant's schema.
        """
        desk = desk_of(call)
        with desk.rows.read() as txn:
            desk.find(txn, flow)
            text = flow_rows.draft_of(txn, flow).document
        return LintBody(**_lint(desk, text, flow))

    @routes.add(
        "POST",
        "/v1/lint",
        scope=READ,
        cost=5,
        problems=(422,),
        example=LINT,
        body_example={"document": TEXT},
        body_bytes_max=DOCUMENT_BYTES_MAX,
    )
    def lint_document(call: Calling, body: DraftSave) -> LintBody:
        """Tell what is wrong with a document that nobody has saved."""
        return LintBody(**_lint(desk_of(call), text_of(body.document), "flow"))

    return routes


def _created(call: Call, desk: Desk, text: str, group: str | None, *, first_save: bool) -> Response:
    with call.change() as change:
        known = _group(change.txn, group)
        row = desk.create(change.txn, text, group=known, first_save=first_save)
        change.audit("flow.create", f"flow:{row.id}", after=text)
        body = flow_body(desk.find(change.txn, row.id))
        where = {"Location": f"/v1/flows/{row.id}", "ETag": f'"{row.edition}"'}
        return change.answer(body, 201, where)


def _of_template(desk: Desk, body: FlowNew) -> str:
    template = body.template or BLANK
    with desk.rows.read() as txn:
        own = body.flow or _free(txn, id_of(body.name or "", template))
        values = {**body.values, "flow": own}
        return flow_of_template(txn, desk.engine, template, values, body.name)


def _free(txn: ReadTxn, wanted: str) -> str:
    """An id like the wanted one that no flow has."""
    found, number = wanted, 1
    while flow_rows.find(txn, found) is not None:
        number += 1
        found = f"{wanted[:58]}-{number}"
    return found


def _group(txn: ReadTxn, group: str | None) -> str | None:
    """A group's id, if there is such a group; a problem if not."""
    if group is not None:
        known = {each.id for each in flow_groups.every(txn)}
        if group not in known:
            raise refuse(
                422, "invalid", "there is no such group", "See /v1/flow-groups", pointer="/group"
            )
    return group


def _columns_key(call: Call) -> str:
    return f"flow-columns/{call.caller.actor}"


def _chosen(txn: ReadTxn, call: Call) -> list[Any]:
    record = txn.get("settings", _columns_key(call)) or {"columns": []}
    return [name for name in record["columns"] if name in get_args(Columns)]


def _page(paging: Paging, found: Iterable[Shown], sort: str, columns: list[Any]) -> Page[FlowBody]:
    """The page of flows in an order, each with the columns that were chosen."""
    name, down = sort.removeprefix("-"), sort.startswith("-")
    keyed = sorted(((_sort_key(s, name), s.row.id, s) for s in found), key=_place, reverse=down)
    if paging.after:
        try:
            value, flow = json.loads(paging.after)
            after = (str(value), str(flow))
        except (ValueError, TypeError):
            raise no_page() from None
        keyed = [each for each in keyed if (_place(each) < after if down else _place(each) > after)]
    shown = keyed[: paging.limit + 1]
    places = {each[1]: json.dumps(_place(each)) for each in shown}
    bodies = [flow_body(each[2]) for each in shown]
    if columns:
        bodies = [FlowBody(**body.model_dump(include={"flow", *columns})) for body in bodies]
    return paging.page(bodies, lambda body: places[body.flow])


def _place(each: tuple[str, str, Shown]) -> tuple[str, str]:
    return each[:2]


def _sort_key(shown: Shown, name: str) -> str:
    row = shown.row
    times = {"created": row.created_ms, "edited": row.edited_ms, "published": row.published_ms}
    if name in times:
        return f"{times[name] or 0:016d}"
    return {"flow": row.id, "name": row.name.casefold(), "status": shown.status}[name]


def _draft_body(draft: Draft) -> DraftBody:
    return DraftBody(
        flow=draft.flow,
        edition=draft.edition,
        document=draft.document,
        edited_ms=draft.edited_ms,
        edited_by=draft.edited_by,
    )


def _lint(desk: Desk, text: str, name: str) -> dict[str, Any]:
    found: list[Violation] = lint_draft(desk.engine, text, name)
    told = [Fault.model_validate(violation_body(each)) for each in found]
    return {"publishable": not has_errors(found), "violations": told}
