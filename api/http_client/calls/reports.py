"""Ask for what the API's document has under "Reports".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class ReportsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def read_report(self, flow: str, *, days: int | None = None) -> dict[str, Any]:
        """Read a live flow's report."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", at("/v1/flows/{}/report", flow), query={"days": days}
        )
        return found

    def read_version_graph(self, flow: str, version: int) -> dict[str, Any]:
        """Read a version's graph with its counts."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", at("/v1/flows/{}/report/versions/{}", flow, version)
        )
        return found

    def list_entrants(
        self,
        flow: str,
        version: int,
        *,
        node: str | None = None,
        port: str | None = None,
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """List who entered a version, a node of it or a branch."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            at("/v1/flows/{}/report/versions/{}/customers", flow, version),
            query={"node": node, "port": port, "limit": limit},
        )
        return found

    def save_entrants(
        self,
        flow: str,
        version: int,
        group: str,
        *,
        node: str | Omitted | None = OMITTED,
        port: str | Omitted | None = OMITTED,
    ) -> dict[str, Any]:
        """Save a list of people as a group."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            at("/v1/flows/{}/report/versions/{}/customers/save", flow, version),
            body=given({"group": group, "node": node, "port": port}),
            once=True,
        )
        return found

    def read_path(self, flow: str, version: int, customer: str) -> dict[str, Any]:
        """Read one customer's path in a version."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", at("/v1/flows/{}/report/versions/{}/customers/{}/path", flow, version, customer)
        )
        return found

    def read_entrant(self, flow: str, customer: str) -> dict[str, Any]:
        """Read a customer of a list."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", at("/v1/flows/{}/report/customers/{}", flow, customer)
        )
        return found

    def explain_way(self, flow: str, customer: str) -> dict[str, Any]:
        """Explain a customer's way through a flow, or why he is not in it."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", at("/v1/flows/{}/report/customers/{}/why", flow, customer)
        )
        return found
