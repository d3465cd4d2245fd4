"""Ask for what the API's document has under "Flows".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class FlowsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_flows(
        self,
        *,
        status: Sequence[str] | None = None,
        group: str | None = None,
        search: str | None = None,
        sort: str | None = None,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """List the flows that you may see."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/flows",
            query={
                "status": status,
                "group": group,
                "search": search,
                "sort": sort,
                "columns": columns,
                "limit": limit,
            },
        )
        return found

    def create_flow(
        self,
        *,
        flow: str | Omitted | None = OMITTED,
        name: str | Omitted | None = OMITTED,
        template: str | Omitted | None = OMITTED,
        values: Mapping[str, Any] | Omitted = OMITTED,
        document: str | Mapping[str, Any] | Omitted | None = OMITTED,
        group: str | Omitted | None = OMITTED,
    ) -> dict[str, Any]:
        """Make a flow: blank, of a template, or of a document."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/flows",
            body=given(
                {
                    "flow": flow,
                    "name": name,
                    "template": template,
                    "values": values,
                    "document": document,
                    "group": group,
                }
            ),
            once=True,
        )
        return found

    def read_columns(
        self,
    ) -> dict[str, Any]:
        """Tell which columns your lists of flows have."""
        found: dict[str, Any] = self._connection.fetch("GET", "/v1/flow-columns")
        return found

    def choose_columns(self, columns: Sequence[str]) -> dict[str, Any]:
        """Choose which columns your lists of flows have; each user has his own."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT", "/v1/flow-columns", body=given({"columns": columns}), once=True
        )
        return found

    def copy_flow(
        self,
        flow: str,
        *,
        flow_: str | Omitted | None = OMITTED,
        name: str | Omitted | None = OMITTED,
        version: int | Omitted | None = OMITTED,
        group: str | Omitted | None = OMITTED,
    ) -> dict[str, Any]:
        """Copy a flow, its draft or a version of it, as a new draft."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            at("/v1/flows/{}/copy", flow),
            body=given({"flow": flow_, "name": name, "version": version, "group": group}),
            once=True,
        )
        return found

    def read_flow(self, flow: str) -> dict[str, Any]:
        """Read what a flow is and does; its document is its draft, or a version."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/flows/{}", flow))
        return found

    def change_flow(
        self,
        flow: str,
        *,
        group: str | Omitted | None = OMITTED,
        audience_tolerance: float | Omitted | None = OMITTED,
    ) -> dict[str, Any]:
        """Put a flow into a group, or let its audience be acknowledged before it is published."""
        found: dict[str, Any] = self._connection.fetch(
            "PATCH",
            at("/v1/flows/{}", flow),
            body=given({"group": group, "audience_tolerance": audience_tolerance}),
            once=True,
        )
        return found

    def delete_flow(self, flow: str) -> None:
        """Delete a flow that does not run."""
        found: None = self._connection.fetch("DELETE", at("/v1/flows/{}", flow), once=True)
        return found

    def read_draft(self, flow: str) -> dict[str, Any]:
        """Read the draft of a flow; give its `ETag` as `If-Match` when you save the next."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/flows/{}/draft", flow))
        return found

    def save_draft(
        self, flow: str, document: str | Mapping[str, Any], *, if_match: str
    ) -> dict[str, Any]:
        """Save the next edition of a draft."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT",
            at("/v1/flows/{}/draft", flow),
            headers={"If-Match": if_match},
            body=given({"document": document}),
            once=True,
        )
        return found

    def lint_flow(self, flow: str) -> dict[str, Any]:
        """Tell what is wrong with a draft, as publishing would judge it now."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/flows/{}/draft/lint", flow))
        return found

    def lint_document(self, document: str | Mapping[str, Any]) -> dict[str, Any]:
        """Tell what is wrong with a document that nobody has saved."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", "/v1/lint", body=given({"document": document}), once=True
        )
        return found
