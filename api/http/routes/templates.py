"""List templates of flows, and let a flow be saved as one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Response
from pydantic import BaseModel, Field

from actors.live.errors import FlowError
from actors.live.publishing import segments_of
from actors.service import flow_rows, versions
from api.http.problems import not_found, refuse
from api.http.routes.flow_calls import NAME, NOW_MS, desk_of
from api.http.routes.flow_templates import TABLE, own_templates, template_of
from api.http.routing import Calling, Page, Pages, Routes, Strict
from api.template import Template, TemplateError, read_template
from api.template_folder import library, template_text
from core.document import read_flow

OWN_MAX = 500
TEMPLATE_ID = r"^[a-z0-9][a-z0-9_-]{0,63}$"
TemplateId = Annotated[str, Path(max_length=100, description="The name of a template")]
TEMPLATE: dict[str, Any] = {
    "template": "welcome",
    "own": False,
    "title": "Welcome",
    "summary": "Greets who signs up.",
    "parameters": [
        {"name": "event", "type": "name", "help": "What people do to enter.", "default": "signup"}
    ],
}


class ParameterBody(BaseModel):
    """A parameter of a template. Without a default it must be set."""

    name: str
    type: str
    help: str
    default: bool | int | float | str | list[str] | None = None
    least: int | float | None = None
    most: int | float | None = None


class TemplateBody(BaseModel):
    """A template. `own` says that the tenant saved it."""

    template: str
    own: bool
    title: str
    summary: str
    about: str | None = None
    parameters: list[ParameterBody]
    saved_ms: int | None = None
    saved_by: str | None = None


class TemplateNew(Strict):
    """A flow to be saved as a template: its draft, unless a version is named."""

    template: str = Field(pattern=TEMPLATE_ID, description="The template's name")
    flow: str = Field(max_length=100)
    version: int | None = Field(None, ge=1, le=10**9)
    summary: str = Field("", max_length=200, pattern=f"^$|{NAME}")
    parameters: dict[str, str] = Field(
        default_factory=dict,
        max_length=100,
        description="JSON pointers into the flow by name: what stands there becomes the default. "
        "Id and name of the flow are parameters anyway",
    )


def template_routes() -> Routes:
    """The routes."""
    routes = Routes("Templates of flows")

    @routes.add("GET", "/v1/templates", scope="flows:read", example={"items": [TEMPLATE]})
    def list_templates(call: Calling, paging: Pages) -> Page[TemplateBody]:
        """List the templates of the library and your own, by name."""
        with call.rows.read() as txn:
            names = {entry.name for entry in library()} | set(own_templates(txn))
            wanted = sorted(name for name in names if name > paging.after)[: paging.limit + 1]
            found = [_body(*template_of(txn, name), txn.get(TABLE, name) or {}) for name in wanted]
        return paging.page(found, lambda body: body.template)

    @routes.add(
        "GET",
        "/v1/templates/{template}",
        scope="flows:read",
        problems=(404,),
        example=TEMPLATE,
    )
    def read_one_template(call: Calling, template: TemplateId) -> TemplateBody:
        """Read what a template does and which parameters it has."""
        with call.rows.read() as txn:
            return _body(*template_of(txn, template), txn.get(TABLE, template) or {})

    @routes.add(
        "POST",
        "/v1/templates",
        scope="flows:write",
        status=201,
        problems=(404, 409, 422),
        example={**TEMPLATE, "own": True, "saved_ms": NOW_MS, "saved_by": "user:ada"},
        body_example={
            "template": "our-welcome",
            "flow": "welcome",
            "parameters": {"patience": "/nodes/wait/for"},
        },
        response_model=TemplateBody,
        beyond={422: "The draft decides at which places parameters can stand"},
    )
    def save_template(call: Calling, body: TemplateNew) -> Response:
        """Save a flow as a template of your own.

        It must have no errors. Values in it become parameters where you point at them.
        """
        desk = desk_of(call)
        with desk.rows.read() as txn:
            desk.find(txn, body.flow)
            if body.version is None:
                source = flow_rows.draft_of(txn, body.flow).document
            else:
                source = versions.find(txn, body.flow, body.version).document
        segments = segments_of(desk.engine.control.standing)
        flow, violations = read_flow(source, name="flow", segments=segments)
        if flow is None:
            raise FlowError(violations)
        try:
            text = template_text(flow, source.encode(), body.parameters, body.summary)
            made = read_template(text, body.template, f"template {body.template}")
        except TemplateError as error:
            raise refuse(
                422, "invalid", error.message, error.advice, pointer="/parameters"
            ) from None
        with call.change() as change:
            own = own_templates(change.txn)
            if body.template in own or any(e.name == body.template for e in library()):
                raise refuse(
                    409, "conflict", "there is such a template already", "Choose another name"
                )
            if len(own) >= OWN_MAX:
                raise refuse(409, "conflict", f"there are {OWN_MAX} already", "Delete some")
            record = {"text": text, "saved_ms": call.now_ms, "saved_by": call.caller.actor}
            change.txn.put(TABLE, body.template, record)
            change.audit("template.save", f"template:{body.template}", after=text)
            where = {"Location": f"/v1/templates/{body.template}"}
            return change.answer(_body(made, True, record), 201, where)

    @routes.add(
        "DELETE",
        "/v1/templates/{template}",
        scope="flows:write",
        status=204,
        problems=(404, 409),
    )
    def delete_template(call: Calling, template: TemplateId) -> Response:
        """Delete a template of your own; flows that were made of it stay."""
        with call.change() as change:
            if not change.txn.delete(TABLE, template):
                if any(entry.name == template for entry in library()):
                    raise refuse(
                        409, "conflict", "the library's templates stay", "Delete one of your own"
                    )
                raise not_found("template")
            change.audit("template.delete", f"template:{template}")
            return change.answer(None, 204)

    return routes


def _body(template: Template, own: bool, record: dict[str, Any]) -> TemplateBody:
    head = template.head
    return TemplateBody(
        template=template.name,
        own=own,
        title=head.title,
        summary=head.summary,
        about=" ".join(head.about.split()) or None,
        parameters=[
            ParameterBody(name=name, **each.model_dump())
            for name, each in template.parameters.items()
        ],
        saved_ms=record.get("saved_ms"),
        saved_by=record.get("saved_by"),
    )
