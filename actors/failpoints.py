"""Fail on purpose at named points of the code, so that tests can see what a crash leaves behind.

Off unless a test arms them. A point costs one look at an empty mapping:

    if failpoints.armed:
        failpoints.hit("in_transaction")

HEADRACE_FAILPOINTS arms them in a process of its own: `name=action@hit`, several by comma; `@hit`
says which passage fires, and without it the first does. Each fires once.
"""

from __future__ import annotations

import errno
import os
import signal

ENVIRONMENT = "HEADRACE_FAILPOINTS"
ACTIONS = ("kill", "stop", "eio", "enospc")

# From a point's name to the passages left and the action.
armed: dict[str, tuple[int, str]] = {}


def arm(name: str, action: str, hit: int = 1) -> None:
    """Let the hit-th next passage of point `name` fail: kill, stop, eio or enospc.

    Raises ValueError for another action or a hit below 1.
    """
    if action not in ACTIONS or hit < 1:
        raise ValueError(f"{name}={action}@{hit}: expected one of {', '.join(ACTIONS)}, hit >= 1")
    armed[name] = (hit, action)


def arm_from(text: str) -> None:
    """Arm what `text` names, as in HEADRACE_FAILPOINTS. Raises ValueError for a malformed part."""
    for part in filter(None, text.split(",")):
        name, _, rest = part.partition("=")
        action, _, hit = rest.partition("@")
        arm(name, action, int(hit or 1))


def disarm() -> None:
    """Disarm every point."""
    armed.clear()


def hit(name: str) -> None:
    """Pass point `name`: die, stop or raise OSError, as it was armed, if its time has come."""
    left, action = armed.get(name, (0, ""))
    if left > 1:
        armed[name] = (left - 1, action)
    elif left == 1:
        del armed[name]
        if action in ("kill", "stop"):
            os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)
        else:
            code = errno.EIO if action == "eio" else errno.ENOSPC
            raise OSError(code, os.strerror(code), name)


arm_from(os.environ.get(ENVIRONMENT, ""))
