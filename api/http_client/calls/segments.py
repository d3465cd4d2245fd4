"""Ask for what the API's document has under "Segments".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class SegmentsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_segments(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the segments."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/segments", query={"limit": limit}
        )
        return found

    def read_segment(self, name: str) -> dict[str, Any]:
        """Read a segment."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/segments/{}", name))
        return found

    def put_segment(
        self, name: str, body: Mapping[str, Any], *, if_match: str | None = None
    ) -> dict[str, Any]:
        """Make a segment, or change it."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT", at("/v1/segments/{}", name), headers={"If-Match": if_match}, body=body, once=True
        )
        return found

    def delete_segment(self, name: str) -> dict[str, Any]:
        """Delete a segment that nothing uses."""
        found: dict[str, Any] = self._connection.fetch(
            "DELETE", at("/v1/segments/{}", name), once=True
        )
        return found

    def read_segments_document(
        self,
    ) -> dict[str, Any]:
        """Read all segments and groups as one document."""
        found: dict[str, Any] = self._connection.fetch("GET", "/v1/segments-document")
        return found

    def set_segments_document(
        self, body: Mapping[str, Any], *, if_match: str | None = None
    ) -> dict[str, Any]:
        """Set all segments and groups by one document."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT", "/v1/segments-document", headers={"If-Match": if_match}, body=body, once=True
        )
        return found

    def read_customer_groups(
        self,
    ) -> dict[str, Any]:
        """Read the groups that have a priority, and which flows name them."""
        found: dict[str, Any] = self._connection.fetch("GET", "/v1/customer-groups")
        return found

    def set_customer_groups(
        self,
        groups: Sequence[str],
        *,
        if_match: str | None = None,
        deduplicate: bool | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Set the priorities of groups."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT",
            "/v1/customer-groups",
            headers={"If-Match": if_match},
            body=given({"groups": groups, "deduplicate": deduplicate}),
            once=True,
        )
        return found
