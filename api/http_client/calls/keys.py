"""Ask for what the API's document has under "Keys".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class KeysCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def create_key(
        self,
        name: str,
        *,
        role: str | Omitted = OMITTED,
        scopes: Sequence[str] | Omitted = OMITTED,
        user: str | Omitted = OMITTED,
        expires_ms: int | Omitted | None = OMITTED,
        networks: Sequence[str] | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Make a key. Its secret is shown this once."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/keys",
            body=given(
                {
                    "name": name,
                    "role": role,
                    "scopes": scopes,
                    "user": user,
                    "expires_ms": expires_ms,
                    "networks": networks,
                }
            ),
            once=True,
        )
        return found

    def list_keys(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List keys by id, also those that are over; never a secret."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/keys", query={"limit": limit}
        )
        return found

    def read_key(self, key: str) -> dict[str, Any]:
        """Read what may be shown of a key."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/keys/{}", key))
        return found

    def rotate_key(self, key: str, *, overlap_ms: int | Omitted = OMITTED) -> dict[str, Any]:
        """Make a successor with the same rights; for a while both are valid, by default for a
        day.
        """
        found: dict[str, Any] = self._connection.fetch(
            "POST", at("/v1/keys/{}/rotate", key), body=given({"overlap_ms": overlap_ms}), once=True
        )
        return found

    def revoke_key(self, key: str) -> dict[str, Any]:
        """End a key at once. Revoking it again does nothing more."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", at("/v1/keys/{}/revoke", key), once=True
        )
        return found
