"""Export the journal of a tenant, and fetch what was exported."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import Path, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from actors.service.exports import Export, Exports, Status, archive_of
from api.http.problems import refuse
from api.http.routing import Calling, Page, Pages, Routes

ExportId = Annotated[str, Path(max_length=100, description="The id of an export")]
EXAMPLE = {
    "id": "1790000000000-0a1b2c3d",
    "status": "done",
    "began_ms": 1_790_000_000_000,
    "ended_ms": 1_790_000_004_000,
    "bytes": 1_048_576,
}
BEGUN = {"id": "1790000000000-0a1b2c3d", "status": "running", "began_ms": 1_790_000_000_000}


class ExportBody(BaseModel):
    """An export of the journal."""

    id: str
    status: Status = Field(description="gone: its archive was deleted as somebody was erased")
    began_ms: int
    ended_ms: int | None = None
    bytes: int = 0
    problem: str = ""


def exports_routes(exports: Exports) -> Routes:
    """The routes."""
    routes = Routes("Exports")

    @routes.add(
        "POST",
        "/v1/exports",
        scope="customers:read",
        status=202,
        cost=50,
        problems=[409],
        example=BEGUN,
        response_model=ExportBody,
    )
    def export_journal(call: Calling) -> Response:
        """Begin to export the journal: audience folders for dry runs, one for each partition."""
        engine = call.engine
        with call.change() as change:
            export = exports.begin(change.txn, call.rows, engine, call.now_ms)
            change.audit("export.begin", f"export:{export.id}")
            return change.answer(_body(export), 202)

    @routes.add("GET", "/v1/exports", scope="customers:read", example={"items": [EXAMPLE]})
    def list_exports(call: Calling, paging: Pages) -> Page[ExportBody]:
        """List the exports, the oldest first."""
        with call.rows.read() as txn:
            found = exports.list(txn, paging.after, paging.limit + 1)
        return paging.page([_body(each) for each in found], lambda export: export.id)

    @routes.add(
        "GET", "/v1/exports/{export}", scope="customers:read", problems=[404], example=EXAMPLE
    )
    def read_export(call: Calling, export: ExportId) -> ExportBody:
        """Read how an export is going."""
        with call.rows.read() as txn:
            return _body(exports.find(txn, export))

    @routes.add(
        "GET",
        "/v1/exports/{export}/archive",
        scope="customers:read",
        cost=10,
        problems=[404, 409],
        responses={200: {"content": {"application/x-tar": {"example": ""}}, "description": "tar"}},
        response_class=FileResponse,
    )
    def fetch_export(call: Calling, export: ExportId) -> Response:
        """Fetch the archive of an export."""
        with call.rows.read() as txn:
            found = exports.find(txn, export)
        if found.status != "done":
            raise refuse(409, "no-archive", f"the export is {found.status}", "Wait, or export anew")
        with call.change() as change:
            change.audit("export.fetch", f"export:{found.id}")
        return FileResponse(
            archive_of(call.engine, found.id),
            media_type="application/x-tar",
            filename="journal.tar",
        )

    @routes.add(
        "DELETE", "/v1/exports/{export}", scope="customers:write", status=204, problems=[404, 409]
    )
    def delete_export(call: Calling, export: ExportId) -> Response:
        """Delete an export with its archive."""
        with call.change() as change:
            exports.delete(change.txn, call.engine, export)
            change.audit("export.delete", f"export:{export}")
            return change.answer(status=204)

    return routes


def _body(export: Export) -> ExportBody:
    return ExportBody(**asdict(export))
