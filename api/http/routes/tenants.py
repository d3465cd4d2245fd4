"""Let the operator make tenants and look after them."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Any
from zoneinfo import available_timezones

from fastapi import Path, Response
from pydantic import BaseModel, Field, field_validator

from actors.service import audit, quotas
from actors.service.keys import Minted
from actors.service.tenants import ID_PATTERN, Status, Tenant
from actors.service.transactions import WriteTxn
from api.http.routes.keys import MINTED, KeyMinted, minted_body
from api.http.routing import Call, Calling, Page, Pages, Routes, Strict, optional

SCOPE = "tenants:admin"
NAME = Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$", description="For people")
EXPIRES = Field(None, ge=1, le=2**53, description="Flows stand still from then on; ms UTC")
QUOTAS_TOLD: Any = Field(
    default_factory=dict,
    description=f"Limits by name: {', '.join(quotas.QUOTAS)}. What is left out has the common one",
)
EXAMPLE: dict[str, Any] = {
    "id": "acme",
    "name": "Acme",
    "created_ms": 1_790_000_000_000,
    "status": "active",
    "expires_ms": 1_821_536_000_000,
    "expired": False,
    "sandbox": False,
    "quotas": {"events_per_second": 50_000},
    "settings": {"zone": "Europe/Riga", "partitions": 2},
}
TenantId = Annotated[str, Path(max_length=100, description="The id of a tenant")]
Quota = Annotated[int, Field(ge=1, le=quotas.QUOTA_MAX)]
NAMES: Any = {"enum": sorted({*quotas.QUOTAS, *quotas.LIMITS})}
QuotaName = Annotated[str, Field(json_schema_extra=NAMES)]


class TenantNew(Strict):
    """A tenant to be made."""

    id: str = Field(pattern=ID_PATTERN, description="Part of its folder's name; never changes")
    name: str = NAME
    zone: str | None = Field(
        None, max_length=100, description="Time zone of customers without one; never changes"
    )
    partitions: int | None = Field(
        None, ge=1, le=256, description="How many its engine has; default: as the first tenant's"
    )
    sandbox: bool = Field(
        False, description="Its messages all go to files and none leaves; never changes"
    )
    expires_ms: int | None = EXPIRES
    quotas: dict[QuotaName, Quota] = QUOTAS_TOLD

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str | None) -> str | None:
        if zone is not None and zone not in available_timezones():
            raise ValueError("there is no such time zone; write it as Europe/Riga")
        return zone


class TenantChange(Strict):
    """What to change of a tenant; what is left out stays. `expires_ms` of null is never."""

    name: str = optional(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
    expires_ms: int | None = EXPIRES
    quotas: dict[QuotaName, Quota] = optional("All of them, in place of the former")


class TenantBody(BaseModel):
    """A tenant."""

    id: str
    name: str
    created_ms: int
    status: Status
    expires_ms: int | None = None
    expired: bool = Field(description="Whether its flows stand still")
    sandbox: bool = Field(False, description="Whether its messages go to files, and none leaves")
    quotas: dict[str, int]
    settings: dict[str, Any] = Field(description="Those that its engine is made with")


class TenantMade(BaseModel):
    """A new tenant, and its first admin key, which is shown this once."""

    tenant: TenantBody
    key: KeyMinted


def tenant_routes() -> Routes:
    """The routes."""
    routes = Routes("Tenants")

    @routes.add(
        "POST",
        "/v1/tenants",
        scope=SCOPE,
        status=201,
        problems=(409, 422),
        example={"tenant": EXAMPLE, "key": MINTED},
        body_example={"id": "acme", "name": "Acme", "zone": "Europe/Riga"},
        beyond={422: "There may be no such time zone"},
        response_model=TenantMade,
    )
    def create_tenant(call: Calling, body: TenantNew) -> Response:
        """Make a tenant and its first admin key.

        The key is shown this once. The tenant's engine starts when it is first used. A sandbox is
        for trying things out: whatever its providers are, nothing leaves it.
        """
        stated = {"zone": body.zone, "partitions": body.partitions, "sandbox": body.sandbox or None}
        tenant = Tenant(
            body.id,
            body.name,
            call.now_ms,
            expires_ms=body.expires_ms,
            quotas=quotas.checked(body.quotas),
            settings={name: value for name, value in stated.items() if value is not None},
        )
        with call.change(call.service.plane.operator) as change:
            call.service.tenants.create(change.txn, tenant)
            own = change.txn.within(call.service.plane.tenant(tenant.id))
            minted = _mint(call, own, "first admin key")
            change.audit("tenant.create", f"tenant:{tenant.id}", after=asdict(tenant))
            change.txn.when_stored(lambda: quotas.apply(call.service.rates, tenant))
            body_made = TenantMade(
                tenant=_body(tenant, call.now_ms), key=minted_body(minted, call.now_ms)
            )
            return change.answer(body_made, 201, {"Location": f"/v1/tenants/{tenant.id}"})

    @routes.add("GET", "/v1/tenants", scope=SCOPE, example={"items": [EXAMPLE]})
    def list_tenants(call: Calling, paging: Pages) -> Page[TenantBody]:
        """List tenants by id."""
        with call.service.plane.operator.read() as txn:
            found = call.service.tenants.list(txn, paging.after, paging.limit + 1)
        return paging.page([_body(tenant, call.now_ms) for tenant in found], lambda t: t.id)

    @routes.add("GET", "/v1/tenants/{tenant}", scope=SCOPE, problems=(404,), example=EXAMPLE)
    def read_tenant(call: Calling, tenant: TenantId) -> TenantBody:
        """Read a tenant."""
        with call.service.plane.operator.read() as txn:
            return _body(call.service.tenants.find(txn, tenant), call.now_ms)

    @routes.add(
        "PATCH",
        "/v1/tenants/{tenant}",
        scope=SCOPE,
        problems=(404, 422),
        example=EXAMPLE,
        body_example={"expires_ms": 1_821_536_000_000, "quotas": {"events_per_second": 50_000}},
        response_model=TenantBody,
    )
    def change_tenant(call: Calling, tenant: TenantId, body: TenantChange) -> Response:
        """Change a tenant's name, quotas, and when it expires.

        A quota of speed is what each key may have in the long run; all keys together have four
        times that. The others count for the whole tenant.
        """
        stated = {name: getattr(body, name) for name in body.model_fields_set}
        if "quotas" in stated:
            stated["quotas"] = quotas.checked(stated["quotas"])
        with call.change(call.service.plane.operator) as change:
            before = call.service.tenants.find(change.txn, tenant)
            after = replace(before, **stated)
            call.service.tenants.put(change.txn, after)
            change.audit(
                "tenant.change", f"tenant:{tenant}", before=asdict(before), after=asdict(after)
            )
            change.txn.when_stored(lambda: quotas.apply(call.service.rates, after))
            return change.answer(_body(after, call.now_ms))

    @routes.add(
        "POST",
        "/v1/tenants/{tenant}/suspend",
        scope=SCOPE,
        problems=(404, 409),
        example={**EXAMPLE, "status": "suspended"},
        response_model=TenantBody,
    )
    def suspend_tenant(call: Calling, tenant: TenantId) -> Response:
        """Let nobody of a tenant in, and stop its engine; nothing is lost.

        Doing it again does nothing more.
        """
        answer = _set_status(call, tenant, "suspended")
        call.service.tenants.close_engine(tenant)
        return answer

    @routes.add(
        "POST",
        "/v1/tenants/{tenant}/resume",
        scope=SCOPE,
        problems=(404, 409),
        example=EXAMPLE,
        response_model=TenantBody,
    )
    def resume_tenant(call: Calling, tenant: TenantId) -> Response:
        """Let a tenant in again. Its engine goes on from where it was."""
        answer = _set_status(call, tenant, "active")
        call.service.tenants.open_all()
        return answer

    @routes.add(
        "POST",
        "/v1/tenants/{tenant}/keys",
        scope=SCOPE,
        status=201,
        problems=(404, 409),
        example=MINTED,
        response_model=KeyMinted,
    )
    def create_tenant_key(call: Calling, tenant: TenantId) -> Response:
        """Make an admin key for a tenant that has lost its own. It is shown this once."""
        with call.change(call.service.plane.operator) as change:
            call.service.tenants.find(change.txn, tenant)
            own = change.txn.within(call.service.plane.tenant(tenant))
            minted = _mint(call, own, "made by the operator")
            change.audit("tenant.key", f"tenant:{tenant}", after=minted.info.key_id)
            return change.answer(minted_body(minted, call.now_ms), 201)

    return routes


def _mint(call: Call, txn: WriteTxn, name: str) -> Minted:
    """An admin key for a tenant, who is told that the operator made it, and not which one."""
    minted = call.service.keys.mint(txn, None, name=name, now_ms=call.now_ms, role="admin")
    target = f"key:{minted.info.key_id}"
    audit.append(txn, audit.OPERATOR, "key.create", target, now_ms=call.now_ms)
    return minted


def _set_status(call: Call, tenant_id: str, status: Status) -> Response:
    with call.change(call.service.plane.operator) as change:
        before = call.service.tenants.find(change.txn, tenant_id)
        after = call.service.tenants.set_status(change.txn, tenant_id, status)
        action = "tenant.suspend" if status == "suspended" else "tenant.resume"
        change.audit(action, f"tenant:{tenant_id}", before=before.status, after=after.status)
        return change.answer(_body(after, call.now_ms))


def _body(tenant: Tenant, now_ms: int) -> TenantBody:
    sandbox = bool(tenant.settings.get("sandbox"))
    return TenantBody(**asdict(tenant), expired=tenant.expired(now_ms), sandbox=sandbox)
