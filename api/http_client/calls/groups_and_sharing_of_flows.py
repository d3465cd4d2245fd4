"""Ask for what the API's document has under "Groups and sharing of flows".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class GroupsAndSharingOfFlowsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_flow_groups(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the groups of flows in the order in which they were made."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/flow-groups", query={"limit": limit}
        )
        return found

    def create_flow_group(self, name: str) -> dict[str, Any]:
        """Make a group of flows."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", "/v1/flow-groups", body=given({"name": name}), once=True
        )
        return found

    def rename_flow_group(self, group: str, name: str) -> dict[str, Any]:
        """Give a group of flows another name."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT", at("/v1/flow-groups/{}", group), body=given({"name": name}), once=True
        )
        return found

    def delete_flow_group(self, group: str) -> None:
        """Delete a group in which no flow is."""
        found: None = self._connection.fetch("DELETE", at("/v1/flow-groups/{}", group), once=True)
        return found

    def read_sharing(self, flow: str) -> dict[str, Any]:
        """Tell with whom a flow is shared."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/flows/{}/sharing", flow))
        return found

    def share_flow(
        self,
        flow: str,
        *,
        visibility: str | Omitted = OMITTED,
        users: Mapping[str, Any] | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Share a flow with users, and limit what they may do; for its owner and admins."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT",
            at("/v1/flows/{}/sharing", flow),
            body=given({"visibility": visibility, "users": users}),
            once=True,
        )
        return found
