"""Answer for audiences: send files, import them through a mapping, see what is held, delete."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from actors.service.audiences import FILE_PATTERN, NAME_PATTERN
from actors.service.jobs import LIVE
from actors.service.run_process import Order
from api.http.limits import READ_S
from api.http.observing import request_id
from api.http.problems import refuse
from api.http.routes.runs import EXAMPLE as RUN_EXAMPLE
from api.http.routes.runs import RunBody, body_of
from api.http.routing import IDEMPOTENCY_KEY, Call, Calling, Page, Pages, Routes, Strict
from api.http.security import address_of, caller_of, service_of
from core.audience import AudienceSchema

PART_BYTES = 1 << 20
_KEY = re.compile("[!-~]{1,255}")
MAPPING = {
    "customers": [{"file": "customers.csv", "id": "id", "attributes": "all"}],
    "events": [{"file": "events.csv", "customer": "id", "time": "at", "event": "name"}],
}
AUDIENCE = {"name": "shop", "customers": 2, "events": 5, "rejected": 0}
FILES = {"audience": "shop", "files": [{"name": "customers.csv", "bytes": 52}]}

AudienceName = Annotated[str, Path(pattern=NAME_PATTERN, description="The name of an audience")]
FileName = Annotated[str, Path(pattern=FILE_PATTERN, description="As the mapping names it")]


class FileBody(BaseModel):
    """A file that waits to be imported."""

    name: str
    bytes: int


class FilesBody(BaseModel):
    """The files that wait to be imported into an audience."""

    audience: str
    files: list[FileBody]


class MappingAsked(Strict):
    """What the columns of the files mean, as in docs/importing.md."""

    mapping: dict[str, Any]


class AudienceBody(BaseModel):
    """An audience in a few figures; `live` is the tenant's own journal, which nobody imports."""

    name: str
    customers: int | None = None
    events: int | None = None
    rejected: int | None = Field(None, description="Rows that the import refused")
    first_ms: int | None = Field(None, description="Time of the first event, ms UTC")
    last_ms: int | None = None


class AudienceDetails(AudienceBody):
    """An audience and what it holds."""

    holds: AudienceSchema


class RejectBody(BaseModel):
    """A row that was refused. `number` counts refused rows, `row` those of the file, from 1."""

    number: int
    file: str
    row: int
    line: int | None = None
    column: str
    value: str
    reason: str


FILE = {"type": "string", "format": "binary", "minLength": 1}


def audiences_routes() -> Routes:
    """The routes of audiences."""
    routes = Routes("Audiences")
    _sending(routes)
    _looking(routes)
    return routes


def _sending(routes: Routes) -> None:
    binary = {"schema": FILE, "example": "id,age\nc-17,40\n"}
    content = {"application/octet-stream": binary}

    @routes.add(
        "PUT",
        "/v1/audiences/{audience}/files/{file}",
        scope="customers:write",
        example=FILES,
        problems=(409, 413, 415, 422),
        body_bytes_max=None,
        extra={"requestBody": {"required": True, "content": content}},
    )
    async def send_audience_file(
        request: Request, audience: AudienceName, file: FileName
    ) -> FilesBody:
        """Send a file to import: CSV, NDJSON or Parquet, the first two also packed by gzip.

        It is stored as it arrives, in the place of a file of that name. An `Idempotency-Key` has no
        effect, since the same file sent again changes nothing.
        """
        service, caller = service_of(request), caller_of(request)
        if not _KEY.fullmatch(request.headers.get(IDEMPOTENCY_KEY, "none")):
            raise refuse(422, "invalid", "the idempotency key is no ASCII text", "Use a UUID")
        if request.headers.get("content-encoding", "identity").lower() != "identity":
            raise refuse(
                415,
                "unsupported-encoding",
                "the file has a Content-Encoding",
                "Send it as it is; files may be packed by gzip, named .csv.gz",
            )
        # Further tenants have a folder once their engine was opened.
        await run_in_threadpool(service.engine, caller.tenant)
        with service.runs.audiences.receiving(caller.tenant, audience, file) as received:
            parts = bytearray()
            stream = aiter(request.stream())
            try:
                while True:
                    async with asyncio.timeout(READ_S):
                        part = await anext(stream, None)
                    parts += part or b""
                    if len(parts) >= PART_BYTES or part is None:
                        await run_in_threadpool(received.write, bytes(parts))
                        parts.clear()
                    if part is None:
                        break
            except TimeoutError:
                raise refuse(
                    408, "too-slow", f"nothing came for {READ_S:g} s", "Send the file again"
                ) from None
            except ClientDisconnect:
                raise refuse(400, "cut-short", "the file was cut short", "Send it again") from None
            if received.size_bytes == 0:
                raise refuse(422, "invalid", "the file is empty", "Send its lines as the body")
        call = Call(service, caller, request_id(), address_of(request), service.now_ms())
        size = received.size_bytes
        return await run_in_threadpool(lambda: _sent(call, audience, file, size))

    @routes.add(
        "POST",
        "/v1/audiences/{audience}/import",
        scope="customers:write",
        status=202,
        example={**RUN_EXAMPLE, "kind": "import", "status": "queued", "asked": {}},
        body_example={"mapping": MAPPING},
        problems=(409, 422),
        beyond={422: "The mapping must fit the files that were sent"},
    )
    def import_audience(call: Calling, audience: AudienceName, asked: MappingAsked) -> RunBody:
        """Import the files that were sent into an audience, which is replaced if it is there.

        It is a job like a dry run: follow it under /v1/runs. Rows that do not fit are told with
        their place under /v1/audiences/{audience}/rejects.
        """
        call.service.engine(call.caller.tenant)
        audiences, tenant = call.service.runs.audiences, call.caller.tenant
        audiences.check_mapping(tenant, audience, asked.mapping)
        order = Order(
            "import",
            audience,
            audience=str(audiences.target(tenant, audience)),
            files=str(audiences.files_folder(tenant, audience)),
        )
        with call.change() as change:
            job = call.service.runs.submit(
                change.txn,
                order,
                {"files": sorted(audiences.files(tenant, audience))},
                {"mapping.json": json.dumps(asked.mapping)},
                audience=audience,
                by=call.caller.actor,
            )
            change.audit("audience.import", f"audience:{audience}", after=asked.mapping)
            headers = {"Location": f"/v1/runs/{job.id}"}
            return change.answer(body_of(call, job), 202, headers)  # type: ignore[return-value]

    @routes.add(
        "DELETE",
        "/v1/audiences/{audience}",
        scope="customers:write",
        status=204,
        problems=(404, 409, 422),
        response_class=Response,
    )
    def delete_audience(call: Calling, audience: AudienceName) -> Response:
        """Delete an audience and the files that wait for it; not while a job uses it."""
        with call.change() as change:
            call.service.runs.audiences.delete(change.txn, call.caller.tenant, audience)
            change.audit("audience.delete", f"audience:{audience}")
            return change.answer(None, 204)


def _sent(call: Call, audience: str, file: str, size: int) -> FilesBody:
    with call.change() as change:
        change.audit("audience.file", f"audience:{audience}", after={"file": file, "bytes": size})
    return _files(call, audience)


def _files(call: Call, audience: str) -> FilesBody:
    found = call.service.runs.audiences.files(call.caller.tenant, audience)
    files = [FileBody(name=name, bytes=size) for name, size in found.items()]
    return FilesBody(audience=audience, files=files)


def _looking(routes: Routes) -> None:
    @routes.add(
        "GET",
        "/v1/audiences",
        scope="reports:read",
        example={"items": [{"name": LIVE}, AUDIENCE]},
        problems=(422,),
    )
    def list_audiences(call: Calling, paging: Pages) -> Page[AudienceBody]:
        """List audiences by name, with the tenant's own journal, `live`."""
        audiences, tenant = call.service.runs.audiences, call.caller.tenant
        names = sorted([LIVE, *audiences.names(tenant)])
        wanted = [name for name in names if name > paging.after][: paging.limit + 1]
        found = [
            AudienceBody(name=name) if name == LIVE else _body(name, audiences.schema(tenant, name))
            for name in wanted
        ]
        return paging.page(found, lambda body: body.name)

    @routes.add(
        "GET",
        "/v1/audiences/{audience}",
        scope="reports:read",
        example={**AUDIENCE, "holds": {"version": 1, "attributes": {"age": {"type": "int64"}}}},
        problems=(404, 422),
    )
    def read_audience(call: Calling, audience: AudienceName) -> AudienceDetails:
        """Read what an audience holds: attributes, tags, groups, events, counts."""
        schema = call.service.runs.audiences.schema(call.caller.tenant, audience)
        return AudienceDetails(**_body(audience, schema).model_dump(), holds=schema)

    @routes.add(
        "GET",
        "/v1/audiences/{audience}/files",
        scope="customers:read",
        example=FILES,
        problems=(409, 422),
    )
    def list_audience_files(call: Calling, audience: AudienceName) -> FilesBody:
        """List the files that wait to be imported into an audience."""
        return _files(call, audience)

    @routes.add(
        "GET",
        "/v1/audiences/{audience}/rejects",
        scope="customers:read",
        example={
            "items": [
                {
                    "number": 1,
                    "file": "customers.csv",
                    "row": 2,
                    "line": 3,
                    "column": "age",
                    "value": "x",
                    "reason": "expected a whole number",
                }
            ]
        },
        problems=(404, 422),
    )
    def list_audience_rejects(
        call: Calling, audience: AudienceName, paging: Pages
    ) -> Page[RejectBody]:
        """List the rows that the import of an audience refused: file, row, column and why."""
        after = int(paging.after) if paging.after.isdecimal() else 0
        found = call.service.runs.audiences.rejects(
            call.caller.tenant, audience, after, paging.limit + 1
        )
        rows = [
            RejectBody(
                number=number,
                file=each["file"],
                row=int(each["row"]),
                line=int(each["line"]) if each["line"] else None,
                column=each["column"],
                value=each["value"],
                reason=each["reason"],
            )
            for number, each in enumerate(found, after + 1)
        ]
        return paging.page(rows, lambda row: str(row.number))


def _body(name: str, schema: AudienceSchema) -> AudienceBody:
    counts, span = schema.counts, schema.time
    return AudienceBody(
        name=name,
        customers=counts.customers,
        events=counts.events,
        rejected=counts.rejected,
        first_ms=span.first_ms,
        last_ms=span.last_ms,
    )
