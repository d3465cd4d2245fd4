"""Ask for what the API's document has under "Suppressions".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from typing import Any

from api.http_client.connection import Connection, given


class SuppressionsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def check_suppression(self, channel: str, address: str) -> dict[str, Any]:
        """Say whether anything may be sent to an address."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/suppressions/check",
            body=given({"channel": channel, "address": address}),
            once=True,
        )
        return found

    def create_suppression(self, channel: str, address: str) -> dict[str, Any]:
        """Send nothing more to an address, whoever has it, now or later."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/suppressions",
            body=given({"channel": channel, "address": address}),
            once=True,
        )
        return found

    def lift_suppression(self, channel: str, address: str) -> dict[str, Any]:
        """Send to an address again, whatever the reason was; lift it only if its owner asks."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/suppressions/lift",
            body=given({"channel": channel, "address": address}),
            once=True,
        )
        return found
