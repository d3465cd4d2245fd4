"""Ask for what the API's document has under "Dead letters".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class DeadLettersCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_dead_letters(
        self,
        *,
        limit: int | None = None,
        provider: str | None = None,
        channel: str | None = None,
        state: str | None = None,
        reason: str | None = None,
        flow: str | None = None,
    ) -> Iterator[dict[str, Any]]:
        """List messages that could not be sent, or may have been, and wait for a person."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/dead-letters",
            query={
                "limit": limit,
                "provider": provider,
                "channel": channel,
                "state": state,
                "reason": reason,
                "flow": flow,
            },
        )
        return found

    def decide_dead_letters(
        self,
        then: str,
        *,
        provider: str | Omitted = OMITTED,
        channel: str | Omitted = OMITTED,
        state: str | Omitted = OMITTED,
        reason: str | Omitted = OMITTED,
        flow: str | Omitted = OMITTED,
        limit: int | Omitted = OMITTED,
        expires_ms: int | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Send all messages again that fit, or discard them, up to a limit."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/dead-letters",
            body=given(
                {
                    "then": then,
                    "provider": provider,
                    "channel": channel,
                    "state": state,
                    "reason": reason,
                    "flow": flow,
                    "limit": limit,
                    "expires_ms": expires_ms,
                }
            ),
            once=True,
        )
        return found

    def read_dead_letter(self, letter: str) -> dict[str, Any]:
        """Read what is known of such a message."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/dead-letters/{}", letter))
        return found

    def discard_dead_letter(self, letter: str) -> None:
        """Forget a message: nobody will send it."""
        found: None = self._connection.fetch("DELETE", at("/v1/dead-letters/{}", letter), once=True)
        return found

    def redrive_dead_letter(
        self, letter: str, *, expires_ms: int | Omitted = OMITTED
    ) -> dict[str, Any]:
        """Send a message again, under the key that it had."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            at("/v1/dead-letters/{}/redrive", letter),
            body=given({"expires_ms": expires_ms}),
            once=True,
        )
        return found
