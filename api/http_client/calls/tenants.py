"""Ask for what the API's document has under "Tenants".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class TenantsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def create_tenant(
        self,
        id: str,
        name: str,
        *,
        zone: str | Omitted | None = OMITTED,
        partitions: int | Omitted | None = OMITTED,
        sandbox: bool | Omitted = OMITTED,
        expires_ms: int | Omitted | None = OMITTED,
        quotas: Mapping[str, Any] | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Make a tenant and its first admin key."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/tenants",
            body=given(
                {
                    "id": id,
                    "name": name,
                    "zone": zone,
                    "partitions": partitions,
                    "sandbox": sandbox,
                    "expires_ms": expires_ms,
                    "quotas": quotas,
                }
            ),
            once=True,
        )
        return found

    def list_tenants(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List tenants by id."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/tenants", query={"limit": limit}
        )
        return found

    def read_tenant(self, tenant: str) -> dict[str, Any]:
        """Read a tenant."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/tenants/{}", tenant))
        return found

    def change_tenant(
        self,
        tenant: str,
        *,
        name: str | Omitted = OMITTED,
        expires_ms: int | Omitted | None = OMITTED,
        quotas: Mapping[str, Any] | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Change a tenant's name, quotas, and when it expires."""
        found: dict[str, Any] = self._connection.fetch(
            "PATCH",
            at("/v1/tenants/{}", tenant),
            body=given({"name": name, "expires_ms": expires_ms, "quotas": quotas}),
            once=True,
        )
        return found

    def suspend_tenant(self, tenant: str) -> dict[str, Any]:
        """Let nobody of a tenant in, and stop its engine; nothing is lost."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", at("/v1/tenants/{}/suspend", tenant), once=True
        )
        return found

    def resume_tenant(self, tenant: str) -> dict[str, Any]:
        """Let a tenant in again. Its engine goes on from where it was."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", at("/v1/tenants/{}/resume", tenant), once=True
        )
        return found

    def create_tenant_key(self, tenant: str) -> dict[str, Any]:
        """Make an admin key for a tenant that has lost its own. It is shown this once."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", at("/v1/tenants/{}/keys", tenant), once=True
        )
        return found
