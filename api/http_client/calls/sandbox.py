"""Ask for what the API's document has under "Sandbox".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.http_client.connection import Connection


class SandboxCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_sandbox_messages(
        self, *, channel: str | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """List what this sandbox would have sent, by channel and partition, the oldest first."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/sandbox/messages", query={"channel": channel, "limit": limit}
        )
        return found
