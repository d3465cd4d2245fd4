"""Take a key out of an address only where it can do nothing but send events."""

from __future__ import annotations

from fastapi import Request

from actors.service.access import EVENTS
from actors.service.errors import ForbiddenError
from api.http.security import caller_of_secret


def check_write_key(request: Request, key: str) -> None:
    """Raise ServiceError unless a key of an address can do nothing but send events."""
    if caller_of_secret(request, key).scopes != EVENTS:
        raise ForbiddenError(
            "a key that stands in an address may only send events",
            advice="Make a key with the scope events:write and no other",
        )
