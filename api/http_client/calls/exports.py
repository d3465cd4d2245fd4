"""Ask for what the API's document has under "Exports".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.http_client.connection import Connection, at


class ExportsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def export_journal(
        self,
    ) -> dict[str, Any]:
        """Begin to export the journal: audience folders for dry runs, one for each partition."""
        found: dict[str, Any] = self._connection.fetch("POST", "/v1/exports", once=True)
        return found

    def list_exports(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the exports, the oldest first."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/exports", query={"limit": limit}
        )
        return found

    def read_export(self, export: str) -> dict[str, Any]:
        """Read how an export is going."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/exports/{}", export))
        return found

    def delete_export(self, export: str) -> None:
        """Delete an export with its archive."""
        found: None = self._connection.fetch("DELETE", at("/v1/exports/{}", export), once=True)
        return found

    def fetch_export(self, export: str) -> bytes:
        """Fetch the archive of an export."""
        found: bytes = self._connection.fetch_bytes("GET", at("/v1/exports/{}/archive", export))
        return found
