"""Count how many flows are started, and how many more the tenant may start."""

from __future__ import annotations

from dataclasses import dataclass

from actors.service.flow_errors import QuotaError

QUOTA = "flows_started"
"""The name of the quota among a tenant's."""


@dataclass(frozen=True, slots=True)
class Launches:
    """How many flows are started, ready to start or frozen; `most` is None without a limit."""

    started: int
    most: int | None

    @property
    def remaining(self) -> int | None:
        """How many more may be started, None without a limit."""
        return None if self.most is None else max(0, self.most - self.started)

    def check(self) -> None:
        """Raise QuotaError if no other may be started."""
        if self.most is not None and self.started >= self.most:
            raise QuotaError(self.started, self.most)
