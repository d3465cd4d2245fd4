"""Read and set the schema of a tenant: what his customers and events look like."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body, Response
from pydantic import BaseModel, Field

from api.http.problems import Problem, ProblemError, violation_body
from api.http.revisions import IfMatch, check_revision, revision
from api.http.routing import Calling, Routes
from core.tenant_schema import read_tenant_schema, schema_changes
from core.violations import Violation

EXAMPLE: dict[str, Any] = {
    "attributes": {"email": {"type": "string", "personal": True}, "plan": {"type": "string"}},
    "events": {"order": {"properties": {"amount": "float64"}}},
}


class SchemaBody(BaseModel):
    """The schema of a tenant."""

    document: dict[str, Any] = Field(description="The schema, with all that it leaves at a default")
    revision: str


class SchemaSet(BaseModel):
    """A schema that counts from now on."""

    revision: str
    command: int = Field(description="Its number in the control log")
    pending: list[int] = Field(description="Partitions that follow later, because they are down")


TOLD = {"document": EXAMPLE, "revision": "0c1d2e3f4a5b6c7d"}


def schema_routes() -> Routes:
    """The routes."""
    routes = Routes("Schema")

    @routes.add("GET", "/v1/schema", scope="flows:read", example=TOLD)
    def read_schema(call: Calling) -> SchemaBody:
        """Read the schema."""
        document = call.engine.schema.to_json()
        return SchemaBody(document=document, revision=revision(document))

    @routes.add(
        "PUT",
        "/v1/schema",
        scope="settings:admin",
        cost=20,
        problems=[409, 422],
        example={"revision": "0c1d2e3f4a5b6c7d", "command": 2, "pending": []},
        body_example=EXAMPLE,
        response_model=SchemaSet,
        beyond={422: "What had a type keeps it"},
    )
    def set_schema(
        call: Calling,
        document: Annotated[dict[str, Any], Body()],
        if_match: IfMatch = None,
    ) -> Response:
        """Let rows have other attributes and events from now on.

        Attributes and events may come and go; what had a type keeps it. All that is wrong, or
        contradicts the schema that counts now, is told at once, each with its place.
        """
        schema, violations = read_tenant_schema(document)
        before = call.engine.schema
        if schema is not None:
            check_revision(if_match, before.to_json(), document)
            violations = schema_changes(before, schema)
        if schema is None or violations:
            raise faulty("invalid-schema", violations)
        done = call.engine.set_schema(schema.to_json())
        after = schema.to_json()
        with call.change() as change:
            change.audit("schema.set", "schema", before=before.to_json(), after=after)
            body = SchemaSet(revision=revision(after), command=done.command, pending=done.pending)
            return change.answer(body)

    return routes


def faulty(code: str, violations: list[Violation]) -> ProblemError:
    """The error for a document with violations."""
    first = min(violations)
    faults = [violation_body(each) for each in sorted(violations)]
    advice = first.advice.rstrip(".")
    return ProblemError(Problem(422, code, first.message, advice, first.pointer, errors=faults))
