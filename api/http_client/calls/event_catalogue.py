"""Ask for what the API's document has under "Event catalogue".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.http_client.connection import Connection, at


class EventCatalogueCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_catalogue_events(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the events that are expected, by name: those of the schema, and standard ones."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/catalogue/events", query={"limit": limit}
        )
        return found

    def list_findings(
        self,
        *,
        kind: str | None = None,
        state: str | None = None,
        event: str | None = None,
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """List what arrived and the schema does not have so, by id."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/catalogue/findings",
            query={"kind": kind, "state": state, "event": event, "limit": limit},
        )
        return found

    def acknowledge_finding(self, finding: str) -> dict[str, Any]:
        """Let a finding be known: it counts on, and is no alarm any more."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", at("/v1/catalogue/findings/{}/acknowledge", finding), once=True
        )
        return found

    def clear_finding(self, finding: str) -> None:
        """Forget a finding that was mended; should it come again, it is an alarm again."""
        found: None = self._connection.fetch(
            "DELETE", at("/v1/catalogue/findings/{}", finding), once=True
        )
        return found
