"""Ask for what the API's document has under "Customers".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class CustomersCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_customers(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the ids of customers, by partition and in the order in which they came."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/customers", query={"limit": limit}
        )
        return found

    def read_customer(self, customer: str) -> dict[str, Any]:
        """Read a customer, and where they stand in each flow."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/customers/{}", customer))
        return found

    def put_customer(
        self,
        customer: str,
        *,
        set: Mapping[str, Any] | Omitted = OMITTED,
        tags: Mapping[str, Any] | Omitted | None = OMITTED,
        groups: Mapping[str, Any] | Omitted | None = OMITTED,
        zone: str | Omitted | None = OMITTED,
        created: int | str | Omitted | None = OMITTED,
    ) -> dict[str, Any]:
        """Make a customer, or change their record."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT",
            at("/v1/customers/{}", customer),
            body=given(
                {"set": set, "tags": tags, "groups": groups, "zone": zone, "created": created}
            ),
            once=True,
        )
        return found

    def erase_customer(self, customer: str) -> dict[str, Any]:
        """Erase a customer for good, with all ids that were merged into theirs."""
        found: dict[str, Any] = self._connection.fetch(
            "DELETE", at("/v1/customers/{}", customer), once=True
        )
        return found

    def merge_customer(self, customer: str, previous: str) -> dict[str, Any]:
        """Merge another customer into this one, for good."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            at("/v1/customers/{}/merge", customer),
            body=given({"previous": previous}),
            once=True,
        )
        return found

    def export_customer(self, customer: str) -> dict[str, Any]:
        """Export all that is known of a customer: record, history, and where they stand."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", at("/v1/customers/{}/export", customer)
        )
        return found

    def list_erasures(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the erasures, the oldest first."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/erasures", query={"limit": limit}
        )
        return found

    def read_erasure(self, erasure: str) -> dict[str, Any]:
        """Read an erasure with its proof."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/erasures/{}", erasure))
        return found

    def upload_customers(
        self, content: bytes, content_type: str, *, group: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """Upload a CSV file of specific users, who are made if they are not there."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/uploads",
            query={"group": group},
            content=content,
            content_type=content_type,
            once=True,
        )
        return found

    def list_uploads(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the uploads, the oldest first."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/uploads", query={"limit": limit}
        )
        return found

    def read_upload_report(self, upload: str) -> dict[str, Any]:
        """Read what became of an upload."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/uploads/{}", upload))
        return found
