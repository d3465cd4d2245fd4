"""Ask for what the API's document has under "Health".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from typing import Any

from api.http_client.connection import Connection


class HealthCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def read_health(
        self,
    ) -> dict[str, Any]:
        """Say that the process answers."""
        found: dict[str, Any] = self._connection.fetch("GET", "/healthz")
        return found

    def read_readiness(
        self,
    ) -> dict[str, Any]:
        """Say whether every open shard takes rows, the disk has room and the plane can be
        written.
        """
        found: dict[str, Any] = self._connection.fetch("GET", "/readyz")
        return found
