"""Ask for what the API's document has under "Audiences".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.http_client.connection import Connection, at, given


class AudiencesCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def send_audience_file(
        self, audience: str, file: str, content: bytes, content_type: str
    ) -> dict[str, Any]:
        """Send a file to import: CSV, NDJSON or Parquet, the first two also packed by gzip."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT",
            at("/v1/audiences/{}/files/{}", audience, file),
            content=content,
            content_type=content_type,
            once=True,
        )
        return found

    def import_audience(self, audience: str, mapping: Mapping[str, Any]) -> dict[str, Any]:
        """Import the files that were sent into an audience, which is replaced if it is there."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            at("/v1/audiences/{}/import", audience),
            body=given({"mapping": mapping}),
            once=True,
        )
        return found

    def delete_audience(self, audience: str) -> None:
        """Delete an audience and the files that wait for it; not while a job uses it."""
        found: None = self._connection.fetch("DELETE", at("/v1/audiences/{}", audience), once=True)
        return found

    def read_audience(self, audience: str) -> dict[str, Any]:
        """Read what an audience holds: attributes, tags, groups, events, counts."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/audiences/{}", audience))
        return found

    def list_audiences(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List audiences by name, with the tenant's own journal, `live`."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/audiences", query={"limit": limit}
        )
        return found

    def list_audience_files(self, audience: str) -> dict[str, Any]:
        """List the files that wait to be imported into an audience."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", at("/v1/audiences/{}/files", audience)
        )
        return found

    def list_audience_rejects(
        self, audience: str, *, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """List the rows that the import of an audience refused: file, row, column and why."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            at("/v1/audiences/{}/rejects", audience), query={"limit": limit}
        )
        return found
