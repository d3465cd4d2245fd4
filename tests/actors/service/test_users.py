"""Users: roles that nobody hands on beyond his own, and keys that end with them."""

from __future__ import annotations

import pytest

from actors.service import users
from actors.service.access import ROLES, Caller
from actors.service.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from actors.service.keys import Keys
from actors.service.plane import Plane
from actors.service.users import User

NOW = 1_790_000_000_000
ADMIN = Caller("acme", "k1", None, "admin", ROLES["admin"])
EDITOR = Caller("acme", "k2", None, "editor", ROLES["editor"])


def user(user_id: str, role: str = "editor", name: str = "Ada") -> User:
    return User(user_id, name, role, NOW, "key:k1")


@pytest.mark.parametrize("user_id", ["", "Ada", "a b", "a\n", "-a", "a" * 64, "ada@shop.example"])
def test_an_id_has_its_form(plane: Plane, user_id: str) -> None:
    with plane.tenant("acme").write() as txn, pytest.raises(InvalidError, match="no id of a user"):
        users.create(txn, ADMIN, user(user_id))


def test_nobody_gives_a_role_beyond_his_own(plane: Plane) -> None:
    keys = Keys(plane)
    with plane.tenant("acme").write() as txn:
        users.create(txn, EDITOR, user("ada"))
        with pytest.raises(ForbiddenError):
            users.create(txn, EDITOR, user("bob", "publisher"))
        with pytest.raises(ConflictError, match="is there"):
            users.create(txn, ADMIN, user("ada"))
        with pytest.raises(InvalidError, match="no control characters"):
            users.create(txn, ADMIN, user("cyd", name="\n"))
        users.create(txn, ADMIN, user("eve", "admin"))
        with pytest.raises(ForbiddenError):
            users.update(txn, EDITOR, keys, "eve", now_ms=NOW, role="viewer")


def test_a_lower_role_ends_the_keys_beyond_it(plane: Plane) -> None:
    keys = Keys(plane)
    with plane.tenant("acme").write() as txn:
        users.create(txn, ADMIN, user("ada", "publisher"))
        own, less = (
            keys.mint(txn, ADMIN, name="k", now_ms=NOW, role=role, user="ada").info
            for role in ("publisher", "viewer")
        )
        changed, revoked = users.update(txn, ADMIN, keys, "ada", now_ms=NOW, role="editor")
        assert (changed.role, revoked) == ("editor", [own.key_id])
        assert users.rights_of_key(txn, "ada", None, None) == "editor"
        assert users.rights_of_key(txn, "ada", None, ["flows:read"]) is None
        with pytest.raises(ForbiddenError, match="flows:publish"):
            users.rights_of_key(txn, "ada", "publisher", None)
        assert users.delete(txn, ADMIN, keys, "ada", now_ms=NOW) == [less.key_id]
        with pytest.raises(NotFoundError):
            users.find(txn, "ada")
    with plane.tenant("other").read() as read:
        assert users.listed(read) == []
