"""Put, list, read and delete pools of coupons: how many are left, and until when."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response
from pydantic import BaseModel, Field

from actors.service.content import put_pools, read_list, with_coupon
from api.http.problems import not_found
from api.http.revisions import IfMatch, check_revision, in_use, revision
from api.http.routing import Call, Calling, Page, Pages, Routes
from core.content import CouponPool

PoolName = Annotated[
    str, Path(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]*$")
]
EXAMPLE = {
    "name": "spring",
    "stock": 500,
    "expires": "2026-06-30",
    "revision": "0c1d2e3f4a5b6c7d",
    "used_by": ["welcome"],
}


class PoolBody(BaseModel):
    """A pool of coupons."""

    name: str
    stock: int | None = Field(None, description="How many are left; absent where nobody knows")
    expires: str | None = Field(None, description="The last day, or the time from which on not")
    deleted: bool | None = None
    revision: str
    used_by: list[str] = Field(description="Content that carries coupons of it")


def coupons_routes() -> Routes:
    """The routes."""
    routes = Routes("Coupons")

    @routes.add("GET", "/v1/coupons", scope="flows:read", example={"items": [EXAMPLE]})
    def list_coupons(call: Calling, paging: Pages) -> Page[PoolBody]:
        """List the pools of coupons."""
        pools = read_list(call.engine.path).pools
        behind = [name for name in sorted(pools) if name > paging.after][: paging.limit + 1]
        return paging.page([_body(call, name, pools[name]) for name in behind], lambda p: p.name)

    @routes.add("GET", "/v1/coupons/{pool}", scope="flows:read", problems=[404], example=EXAMPLE)
    def read_coupons(call: Calling, pool: PoolName) -> PoolBody:
        """Read a pool of coupons."""
        found = read_list(call.engine.path).pools.get(pool)
        if found is None:
            raise not_found("pool of coupons")
        return _body(call, pool, found)

    @routes.add(
        "PUT",
        "/v1/coupons/{pool}",
        scope="flows:write",
        problems=[409, 422],
        example=EXAMPLE,
        body_example={"stock": 500, "expires": "2026-06-30"},
        response_model=PoolBody,
    )
    def put_coupons(
        call: Calling, pool: PoolName, content: CouponPool, if_match: IfMatch = None
    ) -> Response:
        """Make a pool of coupons, or change it. Lint holds flows that are published against it."""
        folder = call.engine.path
        with call.change() as change:
            pools = dict(read_list(folder).pools)
            before = None if pool not in pools else pools[pool].model_dump(mode="json")
            after = content.model_dump(mode="json")
            check_revision(if_match, before, after)
            change.audit("coupons.put", f"coupons:{pool}", before=before, after=after)
            put_pools(folder, {**pools, pool: content})
            return change.answer(_body(call, pool, content))

    @routes.add(
        "DELETE", "/v1/coupons/{pool}", scope="flows:write", status=204, problems=[404, 409]
    )
    def delete_coupons(call: Calling, pool: PoolName) -> Response:
        """Delete a pool that no content carries coupons of."""
        folder = call.engine.path
        with call.change() as change:
            pools = dict(read_list(folder).pools)
            if pool not in pools:
                raise not_found("pool of coupons")
            in_use(f"pool {pool}", content=with_coupon(folder, pool))
            change.audit("coupons.delete", f"coupons:{pool}")
            put_pools(folder, {name: each for name, each in pools.items() if name != pool})
            return change.answer(status=204)

    return routes


def _body(call: Call, name: str, pool: CouponPool) -> PoolBody:
    return PoolBody(
        name=name,
        stock=pool.stock,
        expires=pool.expires,
        deleted=pool.deleted or None,
        revision=revision(pool.model_dump(mode="json")),
        used_by=with_coupon(call.engine.path, name),
    )
