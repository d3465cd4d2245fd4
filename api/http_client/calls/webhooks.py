"""Ask for what the API's document has under "Webhooks".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class WebhooksCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def create_webhook(
        self,
        url: str,
        kinds: Sequence[str],
        *,
        flows: Sequence[str] | Omitted = OMITTED,
        networks: Sequence[str] | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Tell another system what happens in flows from now on."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/webhooks",
            body=given({"url": url, "kinds": kinds, "flows": flows, "networks": networks}),
            once=True,
        )
        return found

    def list_webhooks(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the subscriptions by id."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/webhooks", query={"limit": limit}
        )
        return found

    def read_webhook(self, webhook: str) -> dict[str, Any]:
        """Read a subscription, and how it goes."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/webhooks/{}", webhook))
        return found

    def change_webhook(
        self,
        webhook: str,
        *,
        kinds: Sequence[str] | Omitted = OMITTED,
        flows: Sequence[str] | Omitted = OMITTED,
        status: str | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Change what a receiver is told, pause it, or let it go on, also after a 410."""
        found: dict[str, Any] = self._connection.fetch(
            "PATCH",
            at("/v1/webhooks/{}", webhook),
            body=given({"kinds": kinds, "flows": flows, "status": status}),
            once=True,
        )
        return found

    def delete_webhook(self, webhook: str) -> None:
        """Tell a receiver nothing more, and forget what waits for it."""
        found: None = self._connection.fetch("DELETE", at("/v1/webhooks/{}", webhook), once=True)
        return found

    def rotate_webhook(self, webhook: str) -> dict[str, Any]:
        """Give a subscription a new secret."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", at("/v1/webhooks/{}/rotate", webhook), once=True
        )
        return found

    def list_dead_deliveries(
        self, webhook: str, *, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """List what was given up after ten attempts, by the place at which it happened."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            at("/v1/webhooks/{}/dead", webhook), query={"limit": limit}
        )
        return found

    def decide_dead_deliveries(
        self,
        webhook: str,
        then: str,
        *,
        places: Sequence[str] | Omitted = OMITTED,
        limit: int | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Deliver again what was given up, or discard it: all of it, or what stands at places."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            at("/v1/webhooks/{}/dead", webhook),
            body=given({"then": then, "places": places, "limit": limit}),
            once=True,
        )
        return found
