"""Ask for what the API's document has under "Providers".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class ProvidersCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_providers(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the providers, with their secrets masked."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/providers", query={"limit": limit}
        )
        return found

    def read_provider(self, name: str) -> dict[str, Any]:
        """Read a provider's settings, with its secrets masked."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/providers/{}", name))
        return found

    def put_provider(
        self, name: str, body: Mapping[str, Any], *, if_match: str | None = None
    ) -> dict[str, Any]:
        """Set a provider up, or change it; relays go on with it at once."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT",
            at("/v1/providers/{}", name),
            headers={"If-Match": if_match},
            body=body,
            once=True,
        )
        return found

    def delete_provider(self, name: str) -> None:
        """Delete a provider by which no flow sends, with its secrets."""
        found: None = self._connection.fetch("DELETE", at("/v1/providers/{}", name), once=True)
        return found

    def list_channels(
        self,
    ) -> dict[str, Any]:
        """List the channels: who sends by them, and whether they are switched off."""
        found: dict[str, Any] = self._connection.fetch("GET", "/v1/channels")
        return found

    def switch_channel(
        self, channel: str, state: str, *, messages: str | Omitted = OMITTED
    ) -> dict[str, Any]:
        """Switch a channel off, or on again."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT",
            at("/v1/channels/{}", channel),
            body=given({"state": state, "messages": messages}),
            once=True,
        )
        return found
