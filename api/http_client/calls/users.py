"""Ask for what the API's document has under "Users".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class UsersCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def create_user(self, id: str, name: str, role: str) -> dict[str, Any]:
        """Make a user. Give him keys with POST /v1/keys."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", "/v1/users", body=given({"id": id, "name": name, "role": role}), once=True
        )
        return found

    def list_users(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List users by id."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/users", query={"limit": limit}
        )
        return found

    def read_user(self, user: str) -> dict[str, Any]:
        """Read a user."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/users/{}", user))
        return found

    def change_user(
        self, user: str, *, name: str | Omitted = OMITTED, role: str | Omitted = OMITTED
    ) -> dict[str, Any]:
        """Change a user's name or role."""
        found: dict[str, Any] = self._connection.fetch(
            "PATCH", at("/v1/users/{}", user), body=given({"name": name, "role": role}), once=True
        )
        return found

    def delete_user(self, user: str) -> None:
        """Delete a user, and revoke his keys at once."""
        found: None = self._connection.fetch("DELETE", at("/v1/users/{}", user), once=True)
        return found
