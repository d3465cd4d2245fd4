"""Ask for what the API's document has under "Flows that run".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class FlowsThatRunCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def publish_flow(
        self,
        flow: str,
        *,
        if_match: str | None = None,
        in_flight: str | Omitted = OMITTED,
        audience: int | Omitted | None = OMITTED,
    ) -> dict[str, Any]:
        """Publish the draft of a flow: it runs from now on."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            at("/v1/flows/{}/publish", flow),
            headers={"If-Match": if_match},
            body=given({"in_flight": in_flight, "audience": audience}),
            once=True,
        )
        return found

    def stop_flow(self, flow: str, *, in_flight: str | Omitted = OMITTED) -> dict[str, Any]:
        """Stop a flow: nobody enters it any more."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", at("/v1/flows/{}/stop", flow), body=given({"in_flight": in_flight}), once=True
        )
        return found

    def pause_flow(self, flow: str) -> dict[str, Any]:
        """Let a flow stand still: nobody enters or moves in it."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", at("/v1/flows/{}/pause", flow), once=True
        )
        return found

    def resume_flow(self, flow: str) -> dict[str, Any]:
        """Let a flow that was paused go on."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", at("/v1/flows/{}/resume", flow), once=True
        )
        return found

    def schedule_flow(
        self,
        flow: str,
        start_ms: int,
        stop_ms: int,
        *,
        if_match: str | None = None,
        in_flight: str | Omitted = OMITTED,
        at_stop: str | Omitted = OMITTED,
        audience: int | Omitted | None = OMITTED,
    ) -> dict[str, Any]:
        """Set when a flow starts and when it stops."""
        found: dict[str, Any] = self._connection.fetch(
            "PUT",
            at("/v1/flows/{}/schedule", flow),
            headers={"If-Match": if_match},
            body=given(
                {
                    "start_ms": start_ms,
                    "stop_ms": stop_ms,
                    "in_flight": in_flight,
                    "at_stop": at_stop,
                    "audience": audience,
                }
            ),
            once=True,
        )
        return found

    def unschedule_flow(self, flow: str) -> dict[str, Any]:
        """Forget a flow's schedule; if it has started, it goes on without a stop."""
        found: dict[str, Any] = self._connection.fetch(
            "DELETE", at("/v1/flows/{}/schedule", flow), once=True
        )
        return found

    def count_audience(self, flow: str) -> dict[str, Any]:
        """Count whom the draft would let in at once if it were published now."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/flows/{}/audience", flow))
        return found

    def read_launches(
        self,
    ) -> dict[str, Any]:
        """Tell how many flows are started or ready to start, and how many more may be."""
        found: dict[str, Any] = self._connection.fetch("GET", "/v1/launches")
        return found

    def replay_draft(
        self,
        flow: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        document: str | Mapping[str, Any] | Omitted = OMITTED,
        in_flight: str | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Replay an edit before it is published: who would move where by `pin`, `drop`, `reset`."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            at("/v1/flows/{}/draft/replay", flow),
            query={"limit": limit, "after": after},
            body=given({"document": document, "in_flight": in_flight}),
            once=True,
        )
        return found
