"""Ask for what the API's document has under "Dry runs".

It is written of that document, by `python tests/support/write_client.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from api.http_client.connection import OMITTED, Connection, Omitted, at, given


class DryRunsCalls:
    """The operations of a client; `_connection` sends them."""

    _connection: Connection

    def start_run(
        self,
        audience: str,
        draft: Any,
        *,
        from_: str | Omitted | None = OMITTED,
        until: str | Omitted | None = OMITTED,
        horizon: str | Omitted | None = OMITTED,
        seed: int | Omitted = OMITTED,
        salt: str | Omitted | None = OMITTED,
        entry_rate: int | Omitted | None = OMITTED,
        coupons: Mapping[str, Any] | Omitted = OMITTED,
        replaces: str | Omitted | None = OMITTED,
        responses: Mapping[str, Any] | str | Omitted | None = OMITTED,
        segments: Mapping[str, Any] | str | Omitted | None = OMITTED,
        replicates: int | Omitted = OMITTED,
        strict_history: bool | Omitted = OMITTED,
        trace: Sequence[str] | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Start a dry run: what a flow would have done on an audience's past."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/runs",
            body=given(
                {
                    "audience": audience,
                    "from": from_,
                    "until": until,
                    "horizon": horizon,
                    "seed": seed,
                    "salt": salt,
                    "entry_rate": entry_rate,
                    "coupons": coupons,
                    "replaces": replaces,
                    "responses": responses,
                    "segments": segments,
                    "draft": draft,
                    "replicates": replicates,
                    "strict_history": strict_history,
                    "trace": trace,
                }
            ),
            once=True,
        )
        return found

    def list_runs(
        self, *, kind: str | None = None, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """List jobs, the newest first."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_items(
            "/v1/runs", query={"kind": kind, "limit": limit}
        )
        return found

    def start_comparison(
        self,
        audience: str,
        first: Any,
        second: Any,
        *,
        from_: str | Omitted | None = OMITTED,
        until: str | Omitted | None = OMITTED,
        horizon: str | Omitted | None = OMITTED,
        seed: int | Omitted = OMITTED,
        salt: str | Omitted | None = OMITTED,
        entry_rate: int | Omitted | None = OMITTED,
        coupons: Mapping[str, Any] | Omitted = OMITTED,
        replaces: str | Omitted | None = OMITTED,
        responses: Mapping[str, Any] | str | Omitted | None = OMITTED,
        segments: Mapping[str, Any] | str | Omitted | None = OMITTED,
        replicates: int | Omitted = OMITTED,
    ) -> dict[str, Any]:
        """Compare two drafts, or a draft with what is published, on the same people and luck."""
        found: dict[str, Any] = self._connection.fetch(
            "POST",
            "/v1/comparisons",
            body=given(
                {
                    "audience": audience,
                    "from": from_,
                    "until": until,
                    "horizon": horizon,
                    "seed": seed,
                    "salt": salt,
                    "entry_rate": entry_rate,
                    "coupons": coupons,
                    "replaces": replaces,
                    "responses": responses,
                    "segments": segments,
                    "first": first,
                    "second": second,
                    "replicates": replicates,
                }
            ),
            once=True,
        )
        return found

    def cancel_run(self, run: str) -> dict[str, Any]:
        """Cancel a job, whether it waits or runs. Of one that has ended nothing changes."""
        found: dict[str, Any] = self._connection.fetch(
            "POST", at("/v1/runs/{}/cancel", run), once=True
        )
        return found

    def delete_run(self, run: str) -> None:
        """Delete a job that has ended, with its results."""
        found: None = self._connection.fetch("DELETE", at("/v1/runs/{}", run), once=True)
        return found

    def read_run(self, run: str) -> dict[str, Any]:
        """Read a job: its status, what it is doing, why it failed."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/runs/{}", run))
        return found

    def follow_run(self, run: str) -> Iterator[dict[str, Any]]:
        """Follow a job by server-sent events, until it has ended."""
        found: Iterator[dict[str, Any]] = self._connection.fetch_events(
            at("/v1/runs/{}/events", run)
        )
        return found

    def read_run_report(
        self, run: str, *, format: str | None = None, of: str | None = None
    ) -> dict[str, Any]:
        """Read the report of a dry run, as JSON or as a page; of a comparison, that of a draft."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", at("/v1/runs/{}/report", run), query={"format": format, "of": of}
        )
        return found

    def read_comparison(self, run: str, *, format: str | None = None) -> dict[str, Any]:
        """Read what changes from the first draft of a comparison to the second."""
        found: dict[str, Any] = self._connection.fetch(
            "GET", at("/v1/runs/{}/comparison", run), query={"format": format}
        )
        return found

    def read_run_stories(self, run: str) -> dict[str, Any]:
        """Read the stories of the customers that a dry run was asked to trace."""
        found: dict[str, Any] = self._connection.fetch("GET", at("/v1/runs/{}/stories", run))
        return found
