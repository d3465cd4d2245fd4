"""Know who works for a tenant: names with roles, and the keys that belong to them.

A key of a user can do no more than his role. Who loses a role loses the keys that go beyond it in
the same transaction.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Any

from actors.service.access import ROLES, Caller, granted
from actors.service.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from actors.service.keys import Keys
from actors.service.transactions import ReadTxn, WriteTxn

ID_PATTERN = "^[a-z0-9][a-z0-9._-]{0,62}$"
NAME_LENGTH_MAX = 100
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
USERS_MAX = 10_000

_ID = re.compile(ID_PATTERN.removesuffix("$") + r"\Z")


@dataclass(frozen=True, slots=True)
class User:
    """Who works for a tenant. `created_ms` is UTC."""

    id: str
    name: str
    role: str
    created_ms: int
    created_by: str


def create(txn: WriteTxn, by: Caller, user: User) -> None:
    """Write down a new user of the tenant whose rows `txn` is bound to.

    Raises InvalidError, ConflictError for an id that is taken, ForbiddenError for a role beyond the
    one of `by`.
    """
    if not _ID.match(user.id):
        raise InvalidError(
            f"{user.id[:80]!r} is no id of a user",
            advice="Use 1 to 63 of a-z, 0-9, dot, hyphen and underscore",
            pointer="/id",
        )
    _check(by, user.role, user.name)
    if txn.get("users", user.id) is not None:
        raise ConflictError(f"the user {user.id} is there", advice="Change it", pointer="/id")
    if sum(1 for _ in txn.scan("users", limit=USERS_MAX)) >= USERS_MAX:
        raise ConflictError(
            f"the tenant has {USERS_MAX:,} users, the most there can be",
            advice="Delete those who are gone",
        )
    txn.put("users", user.id, asdict(user))


def find(txn: ReadTxn, user_id: str) -> User:
    """A user of the tenant that `txn` is bound to. Raises NotFoundError."""
    record = txn.get("users", user_id)
    if record is None:
        raise NotFoundError("there is no such user", advice="List the users that there are")
    return User(**record)


def listed(txn: ReadTxn, after: str = "", limit: int | None = None) -> list[User]:
    """Users by id."""
    return [User(**record) for _, record in txn.scan("users", "", after, limit)]


def update(
    txn: WriteTxn,
    by: Caller,
    keys: Keys,
    user_id: str,
    *,
    now_ms: int,
    name: str | None = None,
    role: str | None = None,
) -> tuple[User, list[str]]:
    """Change a user; returns the user as changed and the ids of keys that were revoked for it.

    Raises NotFoundError, InvalidError, and ForbiddenError for a role beyond the one of `by`,
    whether it is taken or given.
    """
    before = find(txn, user_id)
    _check(by, before.role, before.name)
    user = replace(before, name=name or before.name, role=role or before.role)
    _check(by, user.role, user.name)
    txn.put("users", user_id, asdict(user))
    allowed = granted(user.role, None)
    beyond = [k.key_id for k in _keys(txn, keys, user_id, now_ms) if not set(k.scopes) <= allowed]
    return user, _revoked(txn, by, keys, beyond, now_ms)


def delete(txn: WriteTxn, by: Caller, keys: Keys, user_id: str, *, now_ms: int) -> list[str]:
    """Delete a user and revoke his keys; returns their ids. Raises as `update` does."""
    user = find(txn, user_id)
    _check(by, user.role, user.name)
    found = _revoked(txn, by, keys, [k.key_id for k in _keys(txn, keys, user_id, now_ms)], now_ms)
    txn.delete("users", user_id)
    return found


def rights_of_key(
    txn: ReadTxn, user_id: str, role: str | None, scopes: Collection[str] | None
) -> str | None:
    """The role of a new key for a user: the one asked for, or his own if nothing is.

    Raises NotFoundError; ForbiddenError if the key could do more than he may.
    """
    user = find(txn, user_id)
    if role is None and scopes is None:
        return user.role
    more = granted(role, scopes) - ROLES[user.role]
    if more:
        raise ForbiddenError(
            f"the user {user_id} is {user.role} and may not have {', '.join(sorted(more))}",
            advice="Ask for less, or give the user a higher role",
        )
    return role


def _keys(txn: ReadTxn, keys: Keys, user_id: str, now_ms: int) -> list[Any]:
    return [
        info for info in keys.list(txn) if info.user == user_id and info.status(now_ms) == "live"
    ]


def _revoked(txn: WriteTxn, by: Caller, keys: Keys, key_ids: list[str], now_ms: int) -> list[str]:
    for key_id in key_ids:
        keys.revoke(txn, by, key_id, now_ms=now_ms)
    return key_ids


def _check(by: Caller, role: str, name: str) -> None:
    allowed = granted(role, None)
    by.check_gives(role, allowed)
    if not 1 <= len(name) <= NAME_LENGTH_MAX or _CONTROL.search(name):
        raise InvalidError(
            f"the name of a user has 1 to {NAME_LENGTH_MAX} characters, and no control characters",
            advice="Write it as people do",
            pointer="/name",
        )
