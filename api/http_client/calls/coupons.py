"""Ask for what the API's document has under "Coupons".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class CouponsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_coupons(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the pools of coupons."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/coupons", query={"limit": limit}
        )
        return found

    def read_coupons(self, pool: str) -> dict[str, Any]:
        """Read a pool of coupons."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/coupons/{}", pool))
        return found

    def put_coupons(
        self,
        pool: str,
        *,
        if_match: str | None = None,
        stock: int | Omitted | None = OMITTED,
        expires: str | Omitted | None = OMITTED,
        deleted: bool | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Make a pool of coupons, or change it. Lint holds flows that are published against it."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT",
            at("/v1/coupons/{}", pool),
            headers={"If-Match": if_match},
            body=given({"stock": stock, "expires": expires, "deleted": deleted}),
            once=True,
        )
        return found

    def delete_coupons(self, pool: str) -> None:
        """Delete a pool that no content carries coupons of."""
        found: None = self._connection.fetch("DELETE", at("/v1/coupons/{}", pool), once=True)
        return found
