"""Ask for what the API's document has under "Content".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class ContentCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def list_content(self, *, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """List the items of content."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/content", query={"limit": limit}
        )
        return found

    def read_content(self, name: str) -> dict[str, Any]:
        """Read an item of content, and which flows send it."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/content/{}", name))
        return found

    def put_content(
        self,
        name: str,
        channels: Mapping[str, Any],
        *,
        if_match: str | None = None,
        headrace_content: int | Omitted = OMITTED,
        constants: Mapping[str, Any] | Omitted = OMITTED,
        defaults: Mapping[str, Any] | Omitted = OMITTED,
        missing: str | Omitted = OMITTED,
        state: str | Omitted = OMITTED,
        recipient: str | Omitted | None = OMITTED,
        kind: str | Omitted | None = OMITTED,
        released: bool | Omitted = OMITTED,
        coupon: str | Omitted | None = OMITTED,
        expires: str | Omitted | None = OMITTED,
    ) -> dict[str, Any]:
        """Make an item of content, or change it; messages from now on say what it says."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT",
            at("/v1/content/{}", name),
            headers={"If-Match": if_match},
            body=given(
                {
                    "headrace_content": headrace_content,
                    "channels": channels,
                    "constants": constants,
                    "defaults": defaults,
                    "missing": missing,
                    "state": state,
                    "recipient": recipient,
                    "kind": kind,
                    "released": released,
                    "coupon": coupon,
                    "expires": expires,
                }
            ),
            once=True,
        )
        return found

    def delete_content(self, name: str) -> None:
        """Delete an item that no flow sends."""
        found: None = self._connection.fetch("DELETE", at("/v1/content/{}", name), once=True)
        return found

    def set_content_state(
        self, name: str, state: str, *, if_match: str | None = None
    ) -> dict[str, Any]:
        """Say that an item is ready to be sent, or a draft."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT",
            at("/v1/content/{}/state", name),
            headers={"If-Match": if_match},
            body=given({"state": state}),
            once=True,
        )
        return found

    def preview_content(
        self,
        name: str,
        customer: str,
        channel: str,
        *,
        stated: Mapping[str, Any] | Omitted = OMITTED,
        content: Mapping[str, Any] | Omitted | None = OMITTED,
    ) -> dict[str, Any]:
        """See an item as a customer would get it. Nothing is sent."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            at("/v1/content/{}/preview", name),
            body=given(
                {"customer": customer, "channel": channel, "stated": stated, "content": content}
            ),
            once=True,
        )
        return found

    def test_content(
        self,
        name: str,
        customer: str,
        channel: str,
        address: str,
        *,
        stated: Mapping[str, Any] | Omitted = OMITTED,
        content: Mapping[str, Any] | Omitted | None = OMITTED,
    ) -> dict[str, Any]:
        """Send an item as a customer would get it to an address, marked as a test."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            at("/v1/content/{}/test", name),
            body=given(
                {
                    "customer": customer,
                    "channel": channel,
                    "stated": stated,
                    "content": content,
                    "address": address,
                }
            ),
            once=True,
        )
        return found

    def read_recipients(
        self,
    ) -> dict[str, Any]:
        """Read of which kind of records groups are."""
        found: dict[str, Any] = self._connection.fetch("GET", "/v1/recipients")
        return found

    def set_recipients(
        self, groups: Mapping[str, Any], *, if_match: str | None = None
    ) -> dict[str, Any]:
        """Say of which kind of records groups are."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT",
            "/v1/recipients",
            headers={"If-Match": if_match},
            body=given({"groups": groups}),
            once=True,
        )
        return found
