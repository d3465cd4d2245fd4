"""Read, change and delete the segments of a tenant: conditions with a name that flows may use."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Body, Path, Response
from pydantic import BaseModel, Field

from actors.live.engine import Engine
from actors.live.publishing import segments_of
from actors.service.uses import flows_that, names
from api.http.problems import not_found
from api.http.revisions import IfMatch, check_revision, in_use, revision
from api.http.routing import Call, Calling, Page, Pages, Routes
from core.segments import Segments, references

CONDITION = {"all": [{"did": "order"}, {"attribute": "plan", "is": "pro"}]}
SegmentName = Annotated[str, Path(max_length=300, description="The name of a segment")]
EXAMPLE = {
    "name": "buyers",
    "condition": {"did": "order"},
    "revision": "0c1d2e3f4a5b6c7d",
    "used_by": ["welcome"],
    "segments": [],
}
CHANGED = {"command": 7, "pending": [], "warnings": []}


class SegmentBody(BaseModel):
    """A segment, and who uses it."""

    name: str
    condition: dict[str, Any]
    revision: str
    used_by: list[str] = Field(description="Flows that run, or have people inside, that name it")
    segments: list[str] = Field(description="Other segments that name it")


class SegmentsChanged(BaseModel):
    """A change of segments or groups that counts for versions published from now on."""

    command: int = Field(description="Its number in the control log")
    pending: list[int] = Field(description="Partitions that follow later, because they are down")
    warnings: list[dict[str, Any]] = Field(
        description="Flows that go on with what they were published with"
    )


class SegmentsDocument(BaseModel):
    """All segments and groups."""

    document: dict[str, Any]
    revision: str


def segments_routes() -> Routes:
    """The routes."""
    routes = Routes("Segments")

    @routes.add("GET", "/v1/segments", scope="flows:read", example={"items": [EXAMPLE]})
    def list_segments(call: Calling, paging: Pages) -> Page[SegmentBody]:
        """List the segments."""
        segments = standing(call.engine)
        behind = [name for name in sorted(segments.segments) if name > paging.after]
        found = [_body(call.engine, segments, name) for name in behind[: paging.limit + 1]]
        return paging.page(found, lambda segment: segment.name)

    @routes.add("GET", "/v1/segments/{name}", scope="flows:read", problems=[404], example=EXAMPLE)
    def read_segment(call: Calling, name: SegmentName) -> SegmentBody:
        """Read a segment."""
        segments = standing(call.engine)
        if name not in segments.segments:
            raise not_found("segment")
        return _body(call.engine, segments, name)

    @routes.add(
        "PUT",
        "/v1/segments/{name}",
        scope="flows:write",
        cost=10,
        problems=[409, 422],
        example=CHANGED,
        body_example=CONDITION,
        response_model=SegmentsChanged,
        beyond={422: "What a condition names must be there"},
    )
    def put_segment(
        call: Calling,
        name: SegmentName,
        condition: Annotated[dict[str, Any], Body(min_length=1)],
        if_match: IfMatch = None,
    ) -> Response:
        """Make a segment, or change it.

        Versions of flows that were published keep what it meant then; the warnings name them.
        """
        segments = standing(call.engine)
        before = segments.segments.get(name)
        check_revision(if_match, before, condition)
        after = {**document_of(segments), "segments": {**segments.segments, name: condition}}
        return set_all(call, after, "segment.put", f"segment:{_short(name)}", before, condition)

    @routes.add(
        "DELETE",
        "/v1/segments/{name}",
        scope="flows:write",
        cost=10,
        problems=[404, 409, 422],
        example=CHANGED,
        response_model=SegmentsChanged,
    )
    def delete_segment(call: Calling, name: SegmentName) -> Response:
        """Delete a segment that nothing uses."""
        segments = standing(call.engine)
        if name not in segments.segments:
            raise not_found("segment")
        found = _body(call.engine, segments, name)
        in_use(f"segment {name}", flows=found.used_by, segments=found.segments)
        left = {key: value for key, value in segments.segments.items() if key != name}
        after = {**document_of(segments), "segments": left}
        before = segments.segments[name]
        return set_all(call, after, "segment.delete", f"segment:{_short(name)}", before, None)

    @routes.add(
        "GET",
        "/v1/segments-document",
        scope="flows:read",
        example={
            "document": {"segments": {"buyers": {"did": "order"}}, "groups": ["vip"]},
            "revision": "0c1d2e3f4a5b6c7d",
        },
    )
    def read_segments_document(call: Calling) -> SegmentsDocument:
        """Read all segments and groups as one document."""
        document = document_of(standing(call.engine))
        return SegmentsDocument(document=document, revision=revision(document))

    @routes.add(
        "PUT",
        "/v1/segments-document",
        scope="flows:write",
        cost=20,
        problems=[409, 422],
        example=CHANGED,
        body_example={"segments": {"buyers": {"did": "order"}}, "groups": ["vip"]},
        response_model=SegmentsChanged,
        beyond={422: "What conditions name must be there"},
    )
    def set_segments_document(
        call: Calling,
        document: Annotated[dict[str, Any], Body()],
        if_match: IfMatch = None,
    ) -> Response:
        """Set all segments and groups by one document."""
        before = document_of(standing(call.engine))
        check_revision(if_match, before, document)
        return set_all(call, document, "segments.set", "segments", before, document)

    return routes


def standing(engine: Engine) -> Segments:
    """The segments that flows may name now."""
    return segments_of(engine.control.standing)


def document_of(segments: Segments) -> dict[str, Any]:
    """Segments and groups as a document."""
    found: dict[str, Any] = segments.model_dump(mode="json")
    return found


def set_all(
    call: Call, document: dict[str, Any], action: str, object: str, before: Any, after: Any
) -> Response:
    """Set the document of segments, and tell of it. Raises FlowError with all that is wrong."""
    done = call.engine.set_segments(json.dumps(document), name="segments.json")
    with call.change() as change:
        change.audit(action, object, before=before, after=after)
        body = SegmentsChanged(command=done.command, pending=done.pending, warnings=done.warnings)
        return change.answer(body)


def _body(engine: Engine, segments: Segments, name: str) -> SegmentBody:
    condition = segments.segments[name]
    others = [
        other
        for other, tree in segments.segments.items()
        if any(each == name for _, each in references(tree))
    ]
    return SegmentBody(
        name=name,
        condition=condition,
        revision=revision(condition),
        used_by=flows_that(engine, names("segment", name)),
        segments=sorted(others),
    )


def _short(name: str) -> str:
    """A name as the audit log takes it."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)[:200]
