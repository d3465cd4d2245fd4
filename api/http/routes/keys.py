"""Make, list, rotate and revoke the keys of a tenant."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Path, Response
from pydantic import BaseModel, ConfigDict, Field

from actors.service import users
from actors.service.keys import NETWORKS_MAX, OVERLAP_MS, KeyInfo, Minted
from api.http.routing import Calling, Page, Pages, Routes, Strict, optional

SCOPE = "keys:admin"
KeyId = Annotated[str, Path(max_length=100, description="The id of a key")]
RoleName = Literal["viewer", "editor", "publisher", "admin"]
ScopeName = Literal[
    "events:write", "flows:read", "flows:write", "flows:publish", "sim:run", "reports:read",
    "customers:read", "customers:write", "customers:erase", "keys:admin", "audit:read",
    "settings:admin", "tenants:admin",
]  # fmt: skip
TIME_MAX_MS = 2**53
EXAMPLE: dict[str, Any] = {
    "key_id": "k7Qm2xVt",
    "name": "shop backend",
    "status": "live",
    "scopes": ["events:write"],
    "networks": ["203.0.113.0/24"],
    "created_ms": 1_790_000_000_000,
    "created_by": "user:ada",
}
MINTED: dict[str, Any] = {"secret": "hr_live_k7Qm2xVt_...", "key": EXAMPLE}


class KeyNew(Strict):
    """A key to be made: with a role, or a few scopes, or for a user as he is."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"anyOf": [{"required": [name]} for name in ("role", "scopes", "user")]},
    )
    name: str = Field(
        min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", description="What it is for"
    )
    role: RoleName = optional()
    scopes: list[ScopeName] = optional("Default: all of the role", min_length=1, max_length=20)
    user: str = optional("Whose it is", max_length=100)
    expires_ms: int | None = Field(None, ge=1, le=TIME_MAX_MS, description="ms UTC; default: never")
    networks: list[str] = Field(
        default_factory=list,
        max_length=NETWORKS_MAX,
        description="Where it may be used from, as 203.0.113.0/24; anywhere if empty",
    )


class KeyRotation(Strict):
    """How long the former key stays valid beside its successor."""

    overlap_ms: int = Field(OVERLAP_MS, ge=0, le=30 * OVERLAP_MS)


class KeyBody(BaseModel):
    """What may be shown of a key. Times are ms UTC."""

    key_id: str
    name: str
    status: Literal["live", "expired", "revoked"]
    role: RoleName | None = None
    scopes: list[ScopeName]
    user: str | None = None
    networks: list[str]
    created_ms: int
    created_by: str
    expires_ms: int | None = None
    revoked_ms: int | None = None
    last_used_ms: int | None = Field(None, description="About a minute behind")
    rotated_from: str | None = None
    rotated_to: str | None = None


class KeyMinted(BaseModel):
    """A new key: `secret` is shown this once."""

    secret: str
    key: KeyBody


def key_routes() -> Routes:
    """The routes."""
    routes = Routes("Keys")

    @routes.add(
        "POST",
        "/v1/keys",
        scope=SCOPE,
        status=201,
        problems=(404, 422),
        example=MINTED,
        body_example={"name": "shop backend", "scopes": ["events:write"]},
        response_model=KeyMinted,
        beyond={422: "Times must lie ahead, networks must be some"},
    )
    def create_key(call: Calling, body: KeyNew) -> Response:
        """Make a key. Its secret is shown this once.

        It can do no more than the one that makes it. With a user it can do no more than he, and has
        his role if it names neither role nor scopes. A key without a role that sends events can do
        nothing else, because it ends up in browsers and phones.
        """
        with call.change() as change:
            role: str | None = body.role
            if body.user is not None:
                role = users.rights_of_key(change.txn, body.user, role, body.scopes)
            minted = call.service.keys.mint(
                change.txn,
                call.caller,
                name=body.name,
                now_ms=call.now_ms,
                role=role,
                scopes=body.scopes,
                user=body.user,
                expires_ms=body.expires_ms,
                networks=body.networks,
            )
            change.audit(
                "key.create", f"key:{minted.info.key_id}", after=_told(minted.info, call.now_ms)
            )
            headers = {"Location": f"/v1/keys/{minted.info.key_id}"}
            return change.answer(minted_body(minted, call.now_ms), 201, headers)

    @routes.add("GET", "/v1/keys", scope=SCOPE, example={"items": [EXAMPLE]})
    def list_keys(call: Calling, paging: Pages) -> Page[KeyBody]:
        """List keys by id, also those that are over; never a secret."""
        with call.rows.read() as txn:
            found = call.service.keys.list(txn, paging.after, paging.limit + 1)
        return paging.page([key_body(info, call.now_ms) for info in found], lambda k: k.key_id)

    @routes.add("GET", "/v1/keys/{key}", scope=SCOPE, problems=(404,), example=EXAMPLE)
    def read_key(call: Calling, key: KeyId) -> KeyBody:
        """Read what may be shown of a key."""
        with call.rows.read() as txn:
            return key_body(call.service.keys.get(txn, key), call.now_ms)

    @routes.add(
        "POST",
        "/v1/keys/{key}/rotate",
        scope=SCOPE,
        status=201,
        problems=(404, 409, 422),
        example=MINTED,
        body_example={"overlap_ms": OVERLAP_MS},
        response_model=KeyMinted,
    )
    def rotate_key(call: Calling, key: KeyId, body: KeyRotation | None = None) -> Response:
        """Make a successor with the same rights; for a while both are valid, by default for a day.

        A predecessor of the key that is still valid ends at once, so that there are two at most.
        """
        overlap_ms = OVERLAP_MS if body is None else body.overlap_ms
        with call.change() as change:
            minted = call.service.keys.rotate(
                change.txn, call.caller, key, now_ms=call.now_ms, overlap_ms=overlap_ms
            )
            change.audit("key.rotate", f"key:{key}", after=minted.info.key_id)
            headers = {"Location": f"/v1/keys/{minted.info.key_id}"}
            return change.answer(minted_body(minted, call.now_ms), 201, headers)

    @routes.add(
        "POST",
        "/v1/keys/{key}/revoke",
        scope=SCOPE,
        problems=(404, 409),
        example={**EXAMPLE, "status": "revoked", "revoked_ms": 1_790_000_600_000},
        response_model=KeyBody,
    )
    def revoke_key(call: Calling, key: KeyId) -> Response:
        """End a key at once. Revoking it again does nothing more."""
        with call.change() as change:
            before = call.service.keys.get(change.txn, key)
            after = call.service.keys.revoke(change.txn, call.caller, key, now_ms=call.now_ms)
            if before.revoked_ms is None:
                change.audit("key.revoke", f"key:{key}", before="live", after="revoked")
            return change.answer(key_body(after, call.now_ms))

    return routes


def key_body(info: KeyInfo, now_ms: int) -> KeyBody:
    """What may be shown of a key."""
    return KeyBody.model_validate(_told(info, now_ms))


def minted_body(minted: Minted, now_ms: int) -> KeyMinted:
    """A new key with its secret."""
    return KeyMinted(secret=minted.secret, key=key_body(minted.info, now_ms))


def _told(info: KeyInfo, now_ms: int) -> dict[str, Any]:
    told = {**asdict(info), "status": info.status(now_ms)}
    del told["tenant"]
    return told
