"""Name the conflicts of flows that carry more than words: what was expected, and what is there."""

from __future__ import annotations

from actors.service.errors import ConflictError


class EditedError(ConflictError):
    """Somebody saved another edition meanwhile: `edition` is what the caller began with."""

    def __init__(self, edition: str, current: int) -> None:
        super().__init__(
            f"the draft has been changed meanwhile: it is edition {current} now, not {edition}",
            advice="Put your change into the current edition, and save that",
        )
        self.edition = edition
        self.current = current

    def __reduce__(self) -> tuple[object, ...]:
        return EditedError, (self.edition, self.current)


class AudienceError(ConflictError):
    """The audience was not acknowledged, or is not any more what was: `now` customers."""

    def __init__(self, acknowledged: int | None, now: int, tolerance: float) -> None:
        if acknowledged is None:
            message = f"this flow starts with {now:,} customers, and nobody acknowledged that"
        else:
            message = (
                f"{acknowledged:,} customers were acknowledged and there are {now:,}, which "
                f"differs by more than {tolerance:.2%}"
            )
        super().__init__(message, advice="Look at the audience again, and send its count along")
        self.acknowledged = acknowledged
        self.now = now
        self.tolerance = tolerance

    def __reduce__(self) -> tuple[object, ...]:
        return AudienceError, (self.acknowledged, self.now, self.tolerance)


class QuotaError(ConflictError):
    """As many flows are started as the tenant may have at a time."""

    def __init__(self, started: int, most: int) -> None:
        super().__init__(
            f"{started:,} flows are started, and the tenant may have {most:,} at a time",
            advice="Stop one that is not needed any more, or ask for a greater quota",
        )
        self.started = started
        self.most = most

    def __reduce__(self) -> tuple[object, ...]:
        return QuotaError, (self.started, self.most)
