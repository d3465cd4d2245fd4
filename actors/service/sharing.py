"""Share a flow with users, and limit what each of them may do with it.

Nobody gets more than his role gives him. A flow is everybody's in the tenant unless its visibility
is `shared`: then it is its owner's, the admins' and that of those whom it is shared with, and for
all others it is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from actors.service.access import Caller
from actors.service.errors import ForbiddenError
from actors.service.flow_rows import FlowRow, unknown
from actors.service.transactions import ReadTxn, WriteTxn

Permission = Literal["view", "edit", "publish"]
PERMISSIONS: tuple[Permission, ...] = get_args(Permission)
SCOPES = ("flows:read", "flows:write", "flows:publish")
"""What gives each permission, by role or by itself."""
USERS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Sharing:
    """Who may do what with a flow, beyond their roles: permissions by user."""

    visibility: Literal["tenant", "shared"] = "tenant"
    users: Mapping[str, Permission] = field(default_factory=dict)


def find(txn: ReadTxn, flow: str) -> Sharing:
    """How a flow is shared."""
    record = txn.get("shares", flow)
    return Sharing() if record is None else Sharing(**record)


def every(txn: ReadTxn) -> dict[str, Sharing]:
    """How flows are shared, by flow; those that are everybody's may be absent."""
    return {key: Sharing(**record) for key, record in txn.scan("shares")}


def put(txn: WriteTxn, flow: str, sharing: Sharing) -> None:
    """Share a flow so from now on."""
    txn.put("shares", flow, asdict(sharing))


def permissions(row: FlowRow, sharing: Sharing, caller: Caller) -> tuple[Permission, ...]:
    """What a caller may do with a flow, the least first; () if he may not know of it."""
    by_role = sum(caller.may(scope) for scope in SCOPES)
    limit = len(PERMISSIONS)
    if not (caller.role == "admin" or is_owner(row, caller)):
        shared = sharing.users.get(caller.user or "")
        if shared is not None:
            limit = PERMISSIONS.index(shared) + 1
        elif sharing.visibility == "shared":
            limit = 0
    return PERMISSIONS[: min(by_role, limit)]


def is_owner(row: FlowRow, caller: Caller) -> bool:
    """Whether the flow was made by the caller."""
    return row.owner is not None and row.owner == caller.user


def check(row: FlowRow, sharing: Sharing, caller: Caller, permission: Permission) -> None:
    """Raise NotFoundError if the caller may not know of the flow, ForbiddenError if not do this."""
    allowed = permissions(row, sharing, caller)
    if not allowed:
        raise unknown()
    if permission not in allowed:
        raise ForbiddenError(
            f"you may only {allowed[-1]} this flow",
            advice=f"Ask its owner to share it for you to {permission}",
        )
