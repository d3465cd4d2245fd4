"""Say who may do what: scopes, the roles that bundle them, and the caller who has them.

A scope is what a route asks for. A role is a name for a growing set of them. A key has a role, or a
few scopes and no role, as the key that an SDK is given to send events with.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from actors.service.errors import ForbiddenError, InvalidError

SCOPES = {
    "events:write": "send events and customers in",
    "flows:read": "see flows, their versions, content and segments",
    "flows:write": "edit drafts, content and segments",
    "flows:publish": "publish, schedule, stop, pause and resume flows",
    "sim:run": "start and cancel dry runs",
    "reports:read": "see reports of flows and of dry runs",
    "customers:read": "see customers and export them",
    "customers:write": "change, import and merge customers",
    "customers:erase": "erase customers for good",
    "keys:admin": "make, rotate and revoke keys",
    "audit:read": "see the audit log",
    "settings:admin": "change settings, providers and quotas of the tenant",
    "tenants:admin": "make, change and delete tenants",
}
EVENTS = frozenset({"events:write"})
OPERATOR = "tenants:admin"  # goes with no role: it is given to a key by name

_VIEWER = frozenset({"flows:read", "reports:read"})
_EDITOR = _VIEWER | {"flows:write", "sim:run", "customers:read", "customers:write"}
_PUBLISHER = _EDITOR | {"flows:publish"}
_ADMIN = frozenset(SCOPES) - {OPERATOR}
ROLES = {"viewer": _VIEWER, "editor": _EDITOR, "publisher": _PUBLISHER, "admin": _ADMIN}
"""Each role has all that the one before has."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds a key: the tenant that it belongs to, and what it may do."""

    tenant: str
    key_id: str
    user: str | None
    role: str | None
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """Who it is, for the audit log: the user, or else the key."""
        return f"key:{self.key_id}" if self.user is None else f"user:{self.user}"

    def may(self, scope: str) -> bool:
        """Whether the caller has a scope of SCOPES."""
        return scope in self.scopes

    def need(self, scope: str) -> None:
        """Raise ForbiddenError unless the caller has a scope."""
        if scope not in self.scopes:
            raise ForbiddenError(
                f"this key may not {SCOPES[scope]}",
                advice=f"Use a key with the scope {scope}{_roles_with(scope)}",
            )

    def check_gives(self, role: str | None, scopes: Collection[str]) -> None:
        """Raise ForbiddenError if somebody with this role and scopes could do more than the caller.

        Nobody hands on what he does not have.
        """
        more = set(scopes) - self.scopes
        if not more and _rank(role) <= _rank(self.role):
            return
        what = f"the scopes {', '.join(sorted(more))}" if more else f"the role {role}"
        raise ForbiddenError(
            f"this key does not have {what}, so it can not give or take it",
            advice="Ask for less, or use a key that has it",
        )


def granted(role: str | None, scopes: Collection[str] | None) -> frozenset[str]:
    """What a key may do: all of its role, or the scopes named, which must be within the role.

    The operator's scope may be named beside the role of admin. A key without a role that sends
    events can not do anything else, because it ends up in browsers and phones.

    Raises InvalidError, which names the role or scope that is wrong.
    """
    if role is not None and role not in ROLES:
        raise InvalidError(
            f"there is no role {role!r}", advice=f"Use one of {', '.join(ROLES)}", pointer="/role"
        )
    named = frozenset(ROLES.get(role or "", ()) if scopes is None else scopes)
    if not named:
        raise InvalidError(
            "a key needs a role or scopes", advice="Name one or the other", pointer="/scopes"
        )
    unknown = sorted(named - set(SCOPES))
    if unknown:
        raise InvalidError(
            f"there is no scope {unknown[0]!r}",
            advice=f"Use some of {', '.join(SCOPES)}",
            pointer="/scopes",
        )
    if role is None:
        if named > EVENTS:
            raise InvalidError(
                "a key without a role that sends events can not do anything else",
                advice="Make one key that sends events and another for the rest",
                pointer="/scopes",
            )
        return named
    beyond = sorted(named - ROLES[role] - ({OPERATOR} if role == "admin" else set()))
    if beyond:
        raise InvalidError(
            f"the scope {beyond[0]} is beyond the role of {role}",
            advice=f"Leave it out{_roles_with(beyond[0])}",
            pointer="/scopes",
        )
    return named


def _rank(role: str | None) -> int:
    return -1 if role is None else list(ROLES).index(role)


def _roles_with(scope: str) -> str:
    having = [role for role, scopes in ROLES.items() if scope in scopes]
    return f", or the role {' or '.join(having)}" if having else ""
