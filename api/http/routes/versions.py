"""Tell of the versions of flows: what was published when, and what is different between two."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, Field

from actors.service import flow_rows, versions
from actors.service.differences import differences
from actors.service.transactions import ReadTxn
from actors.service.versions import Version
from api.http.routes.flow_calls import NOW_MS, FlowId, InFlightChoice, desk_of
from api.http.routing import Calling, Page, Pages, Routes, no_page
from core.document import read_values

DRAFT = "draft"
VERSION_MAX = 10**9
Side = Annotated[
    str,
    Query(pattern=r"^(draft|[1-9][0-9]{0,8})$", description="A version's number, or `draft`"),
]
SUMMARY: dict[str, Any] = {
    "flow": "welcome",
    "version": 2,
    "published_ms": NOW_MS,
    "by": "user:ada",
    "in_flight": "pin",
    "edition": 5,
}
DIFFERENT: dict[str, Any] = {
    "before": "1",
    "after": "draft",
    "added": ["reminder"],
    "removed": [],
    "changed": ["wait"],
    "changes": [
        {"pointer": "/nodes/wait/for", "kind": "changed", "before": "2 days", "after": "3 days"}
    ],
}


class VersionSummary(BaseModel):
    """A version that was published. `edition` is that of the draft, absent if it was none."""

    flow: str
    version: int
    published_ms: int
    by: str
    in_flight: InFlightChoice
    edition: int | None = None


class VersionBody(VersionSummary):
    """A version with its document as it was written."""

    document: str


class ChangeBody(BaseModel):
    """A field that is different; what is absent or null on a side is left out."""

    pointer: str = Field(description="JSON pointer into the document")
    kind: Literal["added", "removed", "changed"]
    before: Any = None
    after: Any = None


class DifferencesBody(BaseModel):
    """What one document of a flow has otherwise than another."""

    before: str
    after: str
    added: list[str] = Field(description="Nodes that came")
    removed: list[str] = Field(description="Nodes that went")
    changed: list[str] = Field(description="Nodes of which a field is different")
    changes: list[ChangeBody]


def version_routes() -> Routes:
    """The routes."""
    routes = Routes("Versions of flows")

    @routes.add(
        "GET",
        "/v1/flows/{flow}/versions",
        scope="flows:read",
        problems=(404,),
        example={"items": [SUMMARY]},
    )
    def list_versions(call: Calling, flow: FlowId, paging: Pages) -> Page[VersionSummary]:
        """List the versions of a flow, the newest first; they are kept for ever."""
        desk = desk_of(call)
        before = None
        if paging.after:
            if not (paging.after.isascii() and paging.after.isdecimal()):
                raise no_page()
            before = min(int(paging.after[:12]), VERSION_MAX)
        with desk.rows.read() as txn:
            desk.find(txn, flow)
            found = versions.page(txn, flow, before, paging.limit + 1)
        return paging.page([_summary(each) for each in found], lambda item: str(item.version))

    @routes.add(
        "GET",
        "/v1/flows/{flow}/versions/{version}",
        scope="flows:read",
        problems=(404,),
        example={**SUMMARY, "document": "headrace: 1\nflow: welcome\n..."},
    )
    def read_version(
        call: Calling,
        flow: FlowId,
        version: Annotated[int, Path(ge=1, le=VERSION_MAX, description="Its number")],
    ) -> VersionBody:
        """Read a version as it was written."""
        desk = desk_of(call)
        with desk.rows.read() as txn:
            desk.find(txn, flow)
            found = versions.find(txn, flow, version)
        return VersionBody(**_summary(found).model_dump(), document=found.document)

    @routes.add(
        "GET", "/v1/flows/{flow}/diff", scope="flows:read", problems=(404,), example=DIFFERENT
    )
    def compare_versions(
        call: Calling, flow: FlowId, before: Side, after: Side = DRAFT
    ) -> DifferencesBody:
        """Compare two versions of a flow, or a version with the draft.

        Tells nodes that came, went or changed, and each field that is different, by its JSON
        pointer. The fields of nodes that came or went are not told one by one.
        """
        desk = desk_of(call)
        with desk.rows.read() as txn:
            desk.find(txn, flow)
            texts = [_text(txn, flow, side) for side in (before, after)]
        found = differences(*(_values(text) for text in texts))
        return DifferencesBody(
            before=before,
            after=after,
            added=found.added,
            removed=found.removed,
            changed=found.changed,
            changes=[
                ChangeBody(pointer=c.pointer, kind=c.kind, before=c.before, after=c.after)
                for c in found.changes
            ],
        )

    return routes


def _text(txn: ReadTxn, flow: str, side: str) -> str:
    if side == DRAFT:
        return flow_rows.draft_of(txn, flow).document
    return versions.find(txn, flow, int(side)).document


def _values(text: str) -> dict[str, Any]:
    values = read_values(text, name="flow")
    return values if isinstance(values, dict) else {}


def _summary(version: Version) -> VersionSummary:
    return VersionSummary.model_validate(
        {
            "flow": version.flow,
            "version": version.version,
            "published_ms": version.published_ms,
            "by": version.by,
            "in_flight": version.in_flight,
            "edition": version.edition or None,
        }
    )
