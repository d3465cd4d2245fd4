"""Ask for what the API's document has under "Links and callbacks".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.http_client.connection import Connection


class LinksAndCallbacksCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def read_tracking(
        self,
    ) -> dict[str, Any]:
        """Read what links lead over, and where providers send their callbacks."""
        found: dict[str, Any] = self._connection.fetch("GET", "/v1/tracking")
        return found

    def put_tracking(
        self, body: Mapping[str, Any], *, if_match: str | None = None
    ) -> dict[str, Any]:
        """Say what links lead over, and how providers report; relays go on with it at once."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT", "/v1/tracking", headers={"If-Match": if_match}, body=body, once=True
        )
        return found
