"""Ask for what the API's document has under "Audit".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.http_client.connection import Connection


class AuditCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_audit(
        self,
        *,
        limit: int | None = None,
        actor: str | None = None,
        action: str | None = None,
        object: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        oldest_first: bool | None = None,
    ) -> Iterator[dict[str, Any]]:
        """List entries of the audit log, the newest first."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/audit",
            query={
                "limit": limit,
                "actor": actor,
                "action": action,
                "object": object,
                "since_ms": since_ms,
                "until_ms": until_ms,
                "oldest_first": oldest_first,
            },
        )
        return found

    def export_audit(self, *, after: int | None = None) -> bytes:
        """Export the audit log as NDJSON, from the entry behind `after` on."""
        found: bytes = self._connection.fetch_bytes(
            "GET", "/v1/audit/export", query={"after": after}
        )
        return found

    def verify_audit(self, *, anchor: str | None = None) -> dict[str, Any]:
        """Verify the chain of the audit log, and name each entry that is not as it was."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", "/v1/audit/verify", query={"anchor": anchor}
        )
        return found

    def list_operator_audit(
        self,
        *,
        limit: int | None = None,
        actor: str | None = None,
        action: str | None = None,
        object: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        oldest_first: bool | None = None,
    ) -> Iterator[dict[str, Any]]:
        """List entries of the audit log, the newest first."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/operator/audit",
            query={
                "limit": limit,
                "actor": actor,
                "action": action,
                "object": object,
                "since_ms": since_ms,
                "until_ms": until_ms,
                "oldest_first": oldest_first,
            },
        )
        return found

    def export_operator_audit(self, *, after: int | None = None) -> bytes:
        """Export the audit log as NDJSON, from the entry behind `after` on."""
        found: bytes = self._connection.fetch_bytes(
            "GET", "/v1/operator/audit/export", query={"after": after}
        )
        return found

    def verify_operator_audit(self, *, anchor: str | None = None) -> dict[str, Any]:
        """Verify the chain of the audit log, and name each entry that is not as it was."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", "/v1/operator/audit/verify", query={"anchor": anchor}
        )
        return found
