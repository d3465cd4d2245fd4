"""Ask for what the API's document has under "Rejects".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class RejectsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_rejects(
        self, *, limit: int | None = None, format: str | None = None, code: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """List rows that were refused in the last two weeks, the oldest first."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/rejects", query={"limit": limit, "format": format, "code": code}
        )
        return found

    def decide_rejects(
        self,
        then: str,
        *,
        format: str | Omitted = OMITTED,
        code: str | Omitted = OMITTED,
        limit: int | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Send all rows again that fit, or discard them, up to a limit."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/rejects",
            body=given({"then": then, "format": format, "code": code, "limit": limit}),
            once=True,
        )
        return found

    def read_reject(self, reject: str) -> dict[str, Any]:
        """Read a row that was refused."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/rejects/{}", reject))
        return found

    def discard_reject(self, reject: str) -> None:
        """Forget a row."""
        found: None = self._connection.fetch("DELETE", at("/v1/rejects/{}", reject), once=True)
        return found

    def redrive_reject(
        self, reject: str, *, row: Mapping[str, Any] | Omitted = OMITTED
    ) -> dict[str, Any]:
        """Send a row again, as it came or mended; it counts once, at the time at which it came."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", at("/v1/rejects/{}/redrive", reject), body=given({"row": row}), once=True
        )
        return found
