"""Ask for what the API's document has under "Schema".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.http_client.connection import Connection


class SchemaCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def read_schema(
        self,
    ) -> dict[str, Any]:
        """Read the schema."""
        found: dict[str, Any] = self._connection.fetch("GET", "/v1/schema")
        return found

    def set_schema(self, body: Mapping[str, Any], *, if_match: str | None = None) -> dict[str, Any]:
        """Let rows have other attributes and events from now on."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT", "/v1/schema", headers={"If-Match": if_match}, body=body, once=True
        )
        return found
