"""Ask for what the API's document has under "Templates of flows".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class TemplatesOfFlowsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_templates(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the templates of the library and your own, by name."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/templates", query={"limit": limit}
        )
        return found

    def save_template(
        self,
        template: str,
        flow: str,
        *,
        version: int | Omitted | None = OMITTED,
        summary: str | Omitted = OMITTED,
        parameters: Mapping[str, Any] | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Save a flow as a template of your own."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/templates",
            body=given(
                {
                    "template": template,
                    "flow": flow,
                    "version": version,
                    "summary": summary,
                    "parameters": parameters,
                }
            ),
            once=True,
        )
        return found

    def read_one_template(self, template: str) -> dict[str, Any]:
        """Read what a template does and which parameters it has."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/templates/{}", template))
        return found

    def delete_template(self, template: str) -> None:
        """Delete a template of your own; flows that were made of it stay."""
        found: None = self._connection.fetch("DELETE", at("/v1/templates/{}", template), once=True)
        return found
