"""Ask for what the API's document has under "Events".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from typing import Any

from api.http_client.connection import Connection


class EventsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def send_events(
        self, content: bytes, content_type: str, *, source: str | None = None
    ) -> dict[str, Any]:
        """Take events and changes of customers in, and say of each refused row why."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/events",
            query={"source": source},
            content=content,
            content_type=content_type,
        )
        return found
