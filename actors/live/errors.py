"""Name what a live engine can answer instead of an acknowledgement.

LiveError
├── BusyError          over a watermark: the same rows may be sent again after `retry_after_ms`
├── FullError          the disk is nearly full: nothing is taken in until there is room
├── DownError          a partition halted, or a shard does not answer
│   └── GoneError      and it will not come back before the engine is started again
├── EngineError        records that only another version of Headrace may replay
├── MovedError         rows of somebody who was merged into another customer meanwhile
├── BehindError        a shard lacks commands of the control log; its engine brings them
├── FlowError          a document that cannot be published, with all that is wrong with it
├── RefusedError       what was asked for contradicts what is there, such as a flow nobody published
└── UnknownError       no answer came in time, so whether it was stored is not known
"""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import HeadraceError
from core.violations import Violation


class LiveError(HeadraceError):
    """Any refusal or failure of a live engine."""


class BusyError(LiveError):
    """A queue or the memory is full. Nothing was taken in; send the same again a little later."""

    def __init__(
        self,
        message: str,
        *,
        retry_after_ms: int = 100,
        advice: str = "",
        file: str | None = None,
        pointer: str | None = None,
    ) -> None:
        super().__init__(message, advice=advice, file=file, pointer=pointer)
        self.retry_after_ms = retry_after_ms

    def __reduce__(self) -> tuple[object, ...]:
        return _busy, (self.message, self.retry_after_ms, self.advice, self.file, self.pointer)


def _busy(
    message: str, retry_after_ms: int, advice: str, file: str | None, pointer: str | None
) -> BusyError:
    return BusyError(
        message, retry_after_ms=retry_after_ms, advice=advice, file=file, pointer=pointer
    )


class FullError(LiveError):
    """The disk is nearly full: no new rows are taken in, timers and reads go on."""


class DownError(LiveError):
    """A partition is halted or its shard does not answer."""


class GoneError(DownError):
    """A shard that will not come back by itself."""


class EngineError(LiveError):
    """The journal has records behind the last snapshot that another version of Headrace wrote."""


class BehindError(LiveError):
    """A shard has not got all commands yet, so it takes nothing in."""


class MovedError(LiveError):
    """Rows name somebody who is another customer by now. Nothing was taken in; send them again."""


class RefusedError(LiveError):
    """What was asked for cannot be done to what is there."""


class FlowError(LiveError):
    """A document that cannot be published; `violations` say why, errors first."""

    exit_code = 1

    def __init__(self, violations: Sequence[Violation], *, file: str | None = None) -> None:
        self.violations = sorted(violations)
        first = self.violations[0]
        errors = sum(v.severity == "error" for v in violations)
        more = f" (and {errors - 1} more errors)" if errors > 1 else ""
        line = f"line {first.line}, " if first.line else ""
        super().__init__(
            f"{first.message}{more}",
            advice=first.advice.rstrip("."),
            file=file,
            pointer=f"{line}{first.pointer or 'the document'}",
        )

    def __reduce__(self) -> tuple[object, ...]:
        return _flow, (self.violations, self.file)


def _flow(violations: Sequence[Violation], file: str | None) -> FlowError:
    return FlowError(violations, file=file)


class UnknownError(LiveError):
    """No answer came in time. Ask again with the same source and sequence: nothing doubles."""
