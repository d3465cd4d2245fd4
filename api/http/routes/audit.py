"""Show, export and verify audit logs: a tenant's own, and the operator's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from actors.service import audit
from actors.service.access import OPERATOR
from actors.service.audit import Entry, Wanted
from actors.service.plane import Rows
from api.http.routing import Call, Calling, Page, Pages, Paging, Routes, no_page, sealed

SCOPE = "audit:read"
LINES = "application/x-ndjson"
VERIFY_COST = 20
HASH = "9f" * 32
EXAMPLE: dict[str, Any] = {
    "number": 7,
    "time_ms": 1_790_000_000_000,
    "actor": "user:ada",
    "key_id": "k7Qm2xVt",
    "ip": "203.0.113.7",
    "request_id": "c2f1d8e09a7b4f63",
    "action": "flow.publish",
    "object": "flow:welcome",
    "after": HASH,
    "previous": HASH,
    "hash": HASH,
}
VERDICT: dict[str, Any] = {"sound": True, "entries": 7, "hash": HASH, "problems": []}
LINE: dict[int | str, dict[str, Any]] = {
    200: {"content": {LINES: {"schema": {"type": "string"}, "example": '{"number": 7}\n'}}}
}
TIME = Query(ge=0, le=2**53)
NUMBER = Query(ge=0, le=2**53)


class EntryBody(BaseModel):
    """Who did what to what. Hashes are hexadecimal; `before` and `after` are keyed hashes."""

    number: int
    time_ms: int
    actor: str
    key_id: str | None = None
    ip: str | None = None
    request_id: str | None = None
    action: str
    object: str
    before: str | None = None
    after: str | None = None
    previous: str
    hash: str


class ProblemOfEntry(BaseModel):
    """What is wrong with an entry."""

    number: int
    what: str


class VerdictBody(BaseModel):
    """What verifying found. Keep `entries` and `hash` elsewhere: they are an anchor for later."""

    sound: bool
    entries: int
    hash: str
    problems: list[ProblemOfEntry]


@dataclass(frozen=True, slots=True)
class Filters:
    """Which entries, in which order."""

    wanted: Wanted
    newest_first: bool


def _filters(
    actor: Annotated[str | None, Query(max_length=300)] = None,
    action: Annotated[
        str | None, Query(max_length=300, description="Whole, or with a dot at its end: flow.")
    ] = None,
    object: Annotated[str | None, Query(max_length=300)] = None,
    since_ms: Annotated[int | None, TIME] = None,
    until_ms: Annotated[int | None, TIME] = None,
    oldest_first: Annotated[bool, Query()] = False,
) -> Filters:
    return Filters(Wanted(actor, action, object, since_ms, until_ms), not oldest_first)


Filtering = Annotated[Filters, Depends(_filters)]


def _anchor(
    anchor: Annotated[
        str | None,
        Query(
            pattern="^[1-9][0-9]{0,14}:[0-9a-f]{64}$",
            description="Number and hash of an entry, as an earlier verification told them",
        ),
    ] = None,
) -> tuple[int, bytes] | None:
    if anchor is None:
        return None
    number, _, found = anchor.partition(":")
    return int(number), bytes.fromhex(found)


Anchored = Annotated[tuple[int, bytes] | None, Depends(_anchor)]


def audit_routes() -> Routes:
    """The routes, for tenants and for the operator."""
    routes = Routes("Audit")
    _add(routes, "audit", "/v1/audit", SCOPE, lambda call: call.rows)
    _add(
        routes,
        "operator_audit",
        "/v1/operator/audit",
        OPERATOR,
        lambda call: call.service.plane.operator,
    )
    return routes


def _add(routes: Routes, name: str, path: str, scope: str, rows_of: Callable[[Call], Rows]) -> None:
    def listed(call: Calling, paging: Pages, filters: Filtering) -> Page[EntryBody]:
        """List entries of the audit log, the newest first.

        A page looks at 5,000 entries at most, so it may hold fewer items than `limit`, or none, and
        yet have a `next`.
        """
        with rows_of(call).read() as txn:
            found, last = audit.search(
                txn,
                _number(paging),
                paging.limit,
                newest_first=filters.newest_first,
                wanted=filters.wanted,
            )
        items = [_body(entry) for entry in found]
        following = None if last is None else sealed(str(last))
        return Page[EntryBody](items=items, next=following)

    def exported(call: Calling, after: Annotated[int, NUMBER] = 0) -> StreamingResponse:
        """Export the audit log as NDJSON, from the entry behind `after` on."""
        return StreamingResponse(audit.export(rows_of(call), after), media_type=LINES)

    def verified(call: Calling, anchor: Anchored) -> VerdictBody:
        """Verify the chain of the audit log, and name each entry that is not as it was.

        `anchor` is what an earlier verification told, as `entries:hash`: who rewrites a whole
        chain is found by that alone.
        """
        with rows_of(call).read() as txn:
            found = audit.verify(txn, anchor)
        problems = [ProblemOfEntry(number=each.number, what=each.what) for each in found.problems]
        return VerdictBody(
            sound=found.sound, entries=found.entries, hash=found.hash.hex(), problems=problems
        )

    for endpoint, verb in ((listed, "list"), (exported, "export"), (verified, "verify")):
        endpoint.__name__ = f"{verb}_{name}"
    routes.add("GET", path, scope=scope, cost=5, example={"items": [EXAMPLE]})(listed)
    routes.add(
        "GET",
        f"{path}/export",
        scope=scope,
        cost=VERIFY_COST,
        responses=LINE,
        response_class=StreamingResponse,
    )(exported)
    routes.add("GET", f"{path}/verify", scope=scope, cost=VERIFY_COST, example=VERDICT)(verified)


def _number(paging: Paging) -> int:
    if not paging.after:
        return 0
    if not (paging.after.isascii() and paging.after.isdecimal() and len(paging.after) <= 16):
        raise no_page()
    return int(paging.after)


def _body(entry: Entry) -> EntryBody:
    return EntryBody.model_validate(entry.to_json())
