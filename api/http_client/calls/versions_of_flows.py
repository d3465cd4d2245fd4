"""Ask for what the API's document has under "Versions of flows".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.http_client.connection import Connection, at


class VersionsOfFlowsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_versions(self, flow: str, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the versions of a flow, the newest first; they are kept for ever."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            at("/v1/flows/{}/versions", flow), query={"limit": limit}
        )
        return found

    def read_version(self, flow: str, version: int) -> dict[str, Any]:
        """Read a version as it was written."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", at("/v1/flows/{}/versions/{}", flow, version)
        )
        return found

    def compare_versions(
        self, flow: str, before: str, *, after: str | None = None
    ) -> dict[str, Any]:
        """Compare two versions of a flow, or a version with the draft."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", at("/v1/flows/{}/diff", flow), query={"before": before, "after": after}
        )
        return found
