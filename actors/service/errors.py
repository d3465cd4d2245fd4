"""Name what the service can refuse, so that an API can answer each with its own status.

ServiceError
├── UnauthenticatedError   no key, or none that is valid here and now        401
├── ForbiddenError         a valid key without the scope that is needed      403
├── NotFoundError          not there, or not this tenant's: nobody can tell  404
├── ConflictError          something else has happened meanwhile             409
│   └── UnderWayError      the same request is being carried out             409, again later
├── InvalidError           it can not be done as asked                       422
└── LimitedError           too much, too fast                                429, again later
"""

from __future__ import annotations

from core.errors import HeadraceError


class ServiceError(HeadraceError):
    """Any refusal of the service."""


class UnauthenticatedError(ServiceError):
    """There is no key, or none that is valid here and now. It never says which of these."""


class ForbiddenError(ServiceError):
    """The caller is known and may not do this."""


class NotFoundError(ServiceError):
    """It is not there. What belongs to another tenant is not there either."""


class ConflictError(ServiceError):
    """What is there now contradicts what was asked for."""


class InvalidError(ServiceError):
    """What was asked for can never be done like this."""


class _LaterError(ServiceError):
    """A refusal with the time after which the same may be tried again."""

    def __init__(
        self,
        message: str,
        *,
        retry_after_ms: int = 1_000,
        advice: str = "",
        file: str | None = None,
        pointer: str | None = None,
    ) -> None:
        super().__init__(message, advice=advice, file=file, pointer=pointer)
        self.retry_after_ms = retry_after_ms

    def __reduce__(self) -> tuple[object, ...]:
        state = (self.message, self.retry_after_ms, self.advice, self.file, self.pointer)
        return _later, (type(self), *state)


class UnderWayError(_LaterError, ConflictError):
    """The same request is being carried out; its response can be asked for after a while."""


class LimitedError(_LaterError):
    """A limit of speed or of a quota is reached."""


def _later(
    kind: type[_LaterError],
    message: str,
    retry_after_ms: int,
    advice: str,
    file: str | None,
    pointer: str | None,
) -> _LaterError:
    return kind(message, retry_after_ms=retry_after_ms, advice=advice, file=file, pointer=pointer)
