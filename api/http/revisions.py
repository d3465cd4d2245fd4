"""Let two people who edit the same thing at once notice: who changes it may say what it was.

What is read has a `revision`. Sent back in the header If-Match, it keeps a change from going over
one that came in between: 409, with what is there and what was sent.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import Header

from api.http.problems import refuse

IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=64, description="The `revision` that this change is to"),
]


def revision(value: Any) -> str:
    """A short text that changes with a value that JSON can carry."""
    text = json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()[:16]


def check_revision(stated: str | None, current: Any, sent: Any) -> None:
    """Refuse a change to another revision than `current` has; None is any."""
    if stated is None or stated.strip().strip('"') in ("*", revision(current)):
        return
    raise refuse(
        409,
        "changed-meanwhile",
        "somebody else has changed it since it was read",
        "Read it again, and make the change to what is there now",
        more={"current": current, "sent": sent, "revision": revision(current)},
    )


def in_use(what: str, **by: list[str]) -> None:
    """Refuse to change or delete what something else needs: `by` are the names, by kind."""
    found = {kind: names for kind, names in by.items() if names}
    if found:
        told = "; ".join(f"{kind} {', '.join(names[:10])}" for kind, names in found.items())
        raise refuse(
            409,
            "in-use",
            f"{what} is used by {told}",
            "Change these first",
            more={"used_by": found},
        )
