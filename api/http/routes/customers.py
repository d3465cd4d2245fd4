"""Read, change, upload, export and erase customers."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import Body, Path, Query, Response
from pydantic import BaseModel, Field

from actors.live.engine import Engine
from actors.service.erasures import Erasure, Erasures
from actors.service.exports import Exports
from actors.service.forgetting import is_imported
from actors.service.tenants import FIRST
from actors.service.tenants import FOLDER as TENANTS
from actors.service.uploads import Upload, read_upload
from api.http.problems import Problem, ProblemError, not_found, refuse
from api.http.routing import Calling, Page, Pages, Routes, Strict, no_page
from api.http.security import restored
from core.audience import Kind

UPLOAD_BYTES_MAX = 16 << 20
ROWS_AT_ONCE = 2_000
CSV = "customer,email\nc1,anna@example.com\n"
REFUSALS_TOLD = 100
CustomerId = Annotated[str, Path(max_length=1_000, description="The id of a customer")]
GroupName = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
MergedId = Annotated[str, Field(min_length=1, max_length=511)]
Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=500)]
PLACE = {
    "flow": "welcome",
    "version": 1,
    "node": "wait",
    "state": "waits",
    "due_ms": 1_790_000_000_000,
    "entry": 1,
    "since_ms": 1_789_900_000_000,
}
EXAMPLE: dict[str, Any] = {
    "customer": "c1",
    "attributes": {"plan": "pro"},
    "personal": {"email": "anna@example.com"},
    "tags": [],
    "groups": ["vip"],
    "zone": "Europe/Riga",
    "aliases": ["a-5b0a1c1e"],
    "places": [PLACE],
}
ERASURE: dict[str, Any] = {
    "id": "1790000000000-0a1b2c3d",
    "erased_ms": 1_790_000_000_000,
    "partition": 3,
    "ledger_number": 17,
    "command": 9,
    "pending": [],
    "exports": 1,
    "scan": "done",
    "audiences": 1,
    "runs": 0,
    "files": 0,
    "reached": True,
    "report": {
        "files": 41,
        "bytes": 52_428_800,
        "texts": 3,
        "skipped": 0,
        "hits": {},
        "unreadable": [],
    },
}


class PlaceBody(BaseModel):
    """Where a customer stands in a flow."""

    flow: str
    version: int
    node: str
    state: str
    due_ms: int | None = None
    entry: int
    since_ms: int


class CustomerBody(BaseModel):
    """What is known of a customer."""

    customer: str
    attributes: dict[str, Any] = Field(description="Those that conditions can read")
    personal: dict[str, Any] = Field(description="Those that are kept apart, to be erased")
    tags: list[str]
    groups: list[str]
    zone: str | None = None
    aliases: list[str] = Field(description="Ids that were merged into the customer")
    places: list[PlaceBody] = Field(description="Where they stand in each flow")


class CustomerMarks(Strict):
    """Tags or groups to put on and to take away."""

    add: Names = Field(default_factory=list)
    remove: Names = Field(default_factory=list)


class CustomerChange(Strict):
    """A change of a customer's record. Null takes a value away."""

    set: dict[str, Any] = Field(default_factory=dict, examples=[{"plan": "pro"}])
    tags: CustomerMarks | None = None
    groups: CustomerMarks | None = None
    zone: str | None = Field(None, description="IANA name")
    created: int | str | None = Field(None, description="ms UTC, or ISO text")


class CustomerTaken(BaseModel):
    """A change that the disk has."""

    accepted: int
    dropped: dict[str, int] = Field(description="Fields that the schema does not know")


class CustomerMerge(Strict):
    """Who turned out to be the customer."""

    previous: MergedId = Field(description="The id that is to be an alias from now on")


class CustomerMerged(BaseModel):
    """A merge that the disk has."""

    customer: str = Field(description="Whom both ids mean now")
    aliases: list[str] = Field(description="All ids that were merged into the customer")
    merged: bool = Field(description="False where that was so before")
    waiting: int = Field(description="Merged customers whose past comes later")


class CustomerKnown(BaseModel):
    """A customer in a list."""

    customer: str


class UploadBody(BaseModel):
    """What became of a file of customers. Of its lines only numbers are kept."""

    id: str
    began_ms: int
    lines: int
    accepted: int
    refused: int
    groups: list[str]
    refusals: list[dict[str, Any]] = Field(description="The first of them: line, column, code")


class ScanBody(BaseModel):
    """What a scan of every byte found."""

    files: int
    bytes: int
    texts: int = Field(description="How many texts were looked for")
    skipped: int = Field(description="Texts too short to look for")
    hits: dict[str, list[str]] = Field(
        description="Files by what they hold: `personal`, or `id`, which the journal keeps"
    )
    unreadable: list[str]


class ErasureBody(BaseModel):
    """An erasure and its proof."""

    id: str
    erased_ms: int
    partition: int = Field(description="Whose ledger of erasures tells of it")
    ledger_number: int = Field(description="Its number in that ledger")
    command: int = Field(description="Its number in the control log")
    pending: list[int] = Field(description="Partitions that follow later, because they are down")
    exports: int = Field(description="Exports whose archives were deleted with it")
    scan: str = Field(description="running, done, or failed")
    audiences: int = Field(description="Imported audiences that were written anew without them")
    runs: int = Field(description="Runs whose stories of them were taken out")
    files: int = Field(description="Files that waited to be imported, and were removed")
    reached: bool = Field(description="Whether audiences, runs and files have been reached")
    report: ScanBody | None = None


class CustomerExport(BaseModel):
    """Everything that is known of a customer (GDPR articles 15 and 20)."""

    customer: CustomerBody
    events: list[dict[str, Any]]
    changes: list[dict[str, Any]]
    complete: bool = Field(description="Whether the journal goes back to its beginning")


def customers_routes(exports: Exports) -> Routes:
    """The routes. An erasure takes `exports` along."""
    routes = Routes("Customers")
    erasures = Erasures()

    @routes.add(
        "GET", "/v1/customers", scope="customers:read", cost=5,
        example={"items": [{"customer": "c1"}]},
    )  # fmt: skip
    def list_customers(call: Calling, paging: Pages) -> Page[CustomerKnown]:
        """List the ids of customers, by partition and in the order in which they came."""
        engine = call.engine
        partition, last = _behind(paging.after, engine.partitions)
        found: list[tuple[str, str]] = []
        while partition < engine.partitions and len(found) <= paging.limit:
            numbered = engine.job(partition, "page", last, paging.limit + 1)
            found += [(f"{partition}.{number}", name) for number, name in numbered if name]
            if len(numbered) <= paging.limit:
                partition, last = partition + 1, -1
            else:
                last = numbered[-1][0]
        places = {name: place for place, name in found}
        return paging.page(
            [CustomerKnown(customer=n) for _, n in found], lambda one: places[one.customer]
        )

    @routes.add(
        "GET", "/v1/customers/{customer}", scope="customers:read", problems=[404], example=EXAMPLE
    )
    def read_customer(call: Calling, customer: CustomerId) -> CustomerBody:
        """Read a customer, and where they stand in each flow."""
        return customer_body(call.engine, restored(customer))

    @routes.add(
        "PUT",
        "/v1/customers/{customer}",
        scope="customers:write",
        problems=[422],
        example={"accepted": 1, "dropped": {}},
        body_example={"set": {"plan": "pro"}, "groups": {"add": ["vip"]}},
        response_model=CustomerTaken,
        beyond={422: "The tenant's schema decides, and an id has at most 511 bytes"},
    )
    def put_customer(call: Calling, customer: CustomerId, change: CustomerChange) -> Response:
        """Make a customer, or change their record.

        When it answers the disk has it. Flows see the change as one that came by an event route.
        """
        given = change.model_dump(exclude_unset=True, exclude_none=False)
        stated = {name: value for name, value in given.items() if value is not None}
        row = {"customer": restored(customer), "set": {}, **stated}
        reply = call.engine.send([row])
        if reply.rejects:
            raise _refused(reply.rejects)
        with call.change() as done:
            done.audit("customer.put", "customer", person=restored(customer))
            return done.answer(CustomerTaken(accepted=reply.accepted, dropped=dict(reply.dropped)))

    @routes.add(
        "POST",
        "/v1/customers/{customer}/merge",
        scope="customers:write",
        cost=20,
        problems=[409],
        example={"customer": "c1", "aliases": ["a-5b0a1c1e"], "merged": True, "waiting": 0},
        body_example={"previous": "a-5b0a1c1e"},
        response_model=CustomerMerged,
    )
    def merge_customer(call: Calling, customer: CustomerId, merge: CustomerMerge) -> Response:
        """Merge another customer into this one, for good.

        When it answers the disk has it: the other one's tokens have left their flows as `merged`,
        the history and the record are this customer's, and events for the other id are too.
        """
        name = restored(customer)
        found = call.engine.merge([(merge.previous, name)])
        for _, why in found.refused:
            raise refuse(409, "merge-refused", why, "Read both customers: `aliases` tells")
        aliases = call.engine.identities.aliases
        known = aliases.customer(name)
        with call.change() as done:
            done.audit("customer.merge", "customer", person=known)
            return done.answer(
                CustomerMerged(
                    customer=known,
                    aliases=aliases.of_customer(known),
                    merged=found.done is not None,
                    waiting=found.waiting,
                )
            )

    @routes.add(
        "GET",
        "/v1/customers/{customer}/export",
        scope="customers:read",
        cost=50,
        problems=[404],
        example={"customer": EXAMPLE, "events": [], "changes": [], "complete": True},
    )
    def export_customer(call: Calling, customer: CustomerId) -> CustomerExport:
        """Export all that is known of a customer: record, history, and where they stand."""
        name = call.engine.identities.aliases.customer(restored(customer))
        body = customer_body(call.engine, name)
        found = call.engine.job(call.engine.partition_of(name), "known_of", name)
        with call.change() as done:
            done.audit("customer.export", "customer", person=name)
        return CustomerExport(customer=body, **found)

    @routes.add(
        "DELETE",
        "/v1/customers/{customer}",
        scope="customers:erase",
        cost=50,
        status=202,
        problems=[404],
        example={**ERASURE, "scan": "running"},
        response_model=ErasureBody,
    )
    def erase_customer(call: Calling, customer: CustomerId) -> Response:
        """Erase a customer for good, with all ids that were merged into theirs.

        When it answers nothing of their personal values is left in the engine, and exports are
        gone. Imported audiences, runs and files that wait follow, then a scan of every byte; its
        report stands in the erasure that is named here. Who is only in an imported audience can be
        erased as well.
        """
        name = call.engine.identities.aliases.customer(restored(customer))
        if not is_imported(call.engine.path, name):
            known_state(call.engine, name)
        erasure, texts = erasures.erase(call.engine, name, call.now_ms)
        gone = exports.forget(call.rows, call.engine)
        erasure = replace(erasure, exports=gone)
        folder = call.engine.path
        without = [folder / TENANTS] if call.caller.tenant == FIRST else []
        with call.change() as done:
            erasures.put(done.txn, call.rows, erasure, texts, folder, without)
            done.audit("customer.erase", f"erasure:{erasure.id}", person=name)
            return done.answer(_erasure_body(erasure), 202)

    @routes.add("GET", "/v1/erasures", scope="customers:erase", example={"items": [ERASURE]})
    def list_erasures(call: Calling, paging: Pages) -> Page[ErasureBody]:
        """List the erasures, the oldest first."""
        with call.rows.read() as txn:
            found = erasures.list(txn, paging.after, paging.limit + 1)
        return paging.page([_erasure_body(each) for each in found], lambda erasure: erasure.id)

    @routes.add(
        "GET", "/v1/erasures/{erasure}", scope="customers:erase", problems=[404], example=ERASURE
    )
    def read_erasure(call: Calling, erasure: Annotated[str, Path(max_length=100)]) -> ErasureBody:
        """Read an erasure with its proof."""
        with call.rows.read() as txn:
            return _erasure_body(erasures.find(txn, erasure))

    _upload_routes(routes)
    return routes


def _upload_routes(routes: Routes) -> None:
    example = {
        "id": "1790000000000-0a1b2c3d",
        "began_ms": 1_790_000_000_000,
        "lines": 3,
        "accepted": 2,
        "refused": 1,
        "groups": ["guests"],
        "refusals": [{"line": 3, "column": "age", "code": "wrong-type"}],
    }

    @routes.add(
        "POST",
        "/v1/uploads",
        scope="customers:write",
        status=201,
        cost=50,
        problems=[422],
        example=example,
        body_bytes_max=UPLOAD_BYTES_MAX,
        beyond={422: "The first line names columns, customer among them"},
        extra={"requestBody": {"required": True, "content": {"text/csv": {"example": CSV}}}},
        response_model=UploadBody,
    )
    def upload_customers(
        call: Calling,
        file: Annotated[bytes, Body(media_type="text/csv", min_length=1)],
        group: Annotated[
            list[GroupName],
            Query(max_length=20, default_factory=list, description="Groups to put them into"),
        ],
    ) -> Response:
        """Upload a CSV file of specific users, who are made if they are not there.

        A group that they are put into starts the flows that begin with it. When it answers the
        disk has all lines that were accepted; one that was refused costs only itself.
        """
        found = read_upload(file, call.engine.schema, group)
        upload_id = f"{call.now_ms:013d}-{secrets.token_hex(4)}"
        accepted, refused = _send(call.engine, found, upload_id)
        told = sorted([*(each._asdict() for each in found.refused), *refused], key=_line)
        body = UploadBody(
            id=upload_id,
            began_ms=call.now_ms,
            lines=len(found.lines) + len(found.refused),
            accepted=accepted,
            refused=len(told),
            groups=group,
            refusals=told[:REFUSALS_TOLD],
        )
        with call.change() as done:
            done.txn.put("uploads", upload_id, body.model_dump())
            done.audit("customers.upload", f"upload:{upload_id}", after=accepted)
            return done.answer(body, 201)

    @routes.add("GET", "/v1/uploads", scope="customers:read", example={"items": [example]})
    def list_uploads(call: Calling, paging: Pages) -> Page[UploadBody]:
        """List the uploads, the oldest first."""
        with call.rows.read() as txn:
            rows = txn.scan("uploads", "", paging.after, paging.limit + 1)
            found = [UploadBody(**record) for _, record in rows]
        return paging.page(found, lambda upload: upload.id)

    @routes.add(
        "GET", "/v1/uploads/{upload}", scope="customers:read", problems=[404], example=example
    )
    def read_upload_report(
        call: Calling, upload: Annotated[str, Path(max_length=100)]
    ) -> UploadBody:
        """Read what became of an upload."""
        with call.rows.read() as txn:
            record = txn.get("uploads", upload)
        if record is None:
            raise not_found("upload")
        return UploadBody(**record)


def customer_body(engine: Engine, customer: str) -> CustomerBody:
    """What is known of a customer. Raises ProblemError, 404, for a stranger, DownError."""
    found = known_state(engine, customer)
    kinds = {name: each.type for name, each in engine.schema.attributes.items()}
    attributes = {
        name: _shown(kinds.get(name) or engine.schema.attribute_kind(name), value)
        for name, value in found["attributes"].items()
    }
    given = {"tags": found.get("tags", []), "groups": found.get("groups", [])}
    known = engine.identities.aliases
    return CustomerBody(
        customer=known.customer(customer),
        aliases=known.of_customer(known.customer(customer)),
        attributes=attributes,
        personal=dict(found.get("personal") or {}),
        zone=found.get("zone"),
        places=[PlaceBody(**place) for place in found["places"]],
        **given,
    )


def known_state(engine: Engine, customer: str) -> Mapping[str, Any]:
    """The engine's state of a customer. Raises ProblemError, 404, for a stranger or the erased."""
    found = engine.state_of(customer)
    if found is None or found.get("erased"):
        raise not_found("customer")
    return found


def _shown(kind: Kind | None, value: Any) -> Any:
    """A value as it would be sent: dates and times as ISO text."""
    if kind == "datetime":
        when = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=value)
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if kind == "date":
        return (date(1970, 1, 1) + timedelta(days=value)).isoformat()
    return value


def _behind(after: str, partitions: int) -> tuple[int, int]:
    """The partition and the number in it that a page goes on behind."""
    if not after:
        return 0, -1
    partition, _, number = after.partition(".")
    if not (partition.isdecimal() and number.isdecimal() and int(partition) < partitions):
        raise no_page()
    return int(partition), int(number)


def _send(engine: Engine, found: Upload, upload_id: str) -> tuple[int, list[dict[str, Any]]]:
    """Send the rows of an upload; how many were taken, and which lines were not."""
    accepted, refused = 0, []
    for first in range(0, len(found.rows), ROWS_AT_ONCE):
        batch = hashlib.sha256(f"{upload_id}:{first}".encode()).digest()[:16]
        reply = engine.send(found.rows[first : first + ROWS_AT_ONCE], batch=batch)
        accepted += reply.accepted + reply.duplicates
        for row, place, code, _ in reply.rejects:
            column = place.rpartition("/")[2] if place.count("/") > 1 else ""
            refused.append({"line": found.lines[first + row], "column": column, "code": code})
    return accepted, refused


def _line(refusal: dict[str, Any]) -> int:
    line: int = refusal["line"]
    return line


def _refused(rejects: list[tuple[int, str, str, str]]) -> ProblemError:
    """The error for a record that was not taken; places are those of the body."""
    faults = []
    for _, place, code, message in rejects:
        inner = "/" + "/".join(place.split("/")[2:]) if place.count("/") > 1 else ""
        faults.append({"pointer": inner, "code": code, "message": message})
    first = faults[0]
    advice = "Send what the schema has; GET /v1/schema tells it"
    return ProblemError(
        Problem(422, first["code"], first["message"], advice, first["pointer"], errors=faults)
    )


def _erasure_body(erasure: Erasure) -> ErasureBody:
    return ErasureBody(**asdict(erasure))
