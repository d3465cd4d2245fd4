"""Checks which role and scope may do what, and that nobody hands on more than he has."""

import itertools

import pytest

from actors.service.access import EVENTS, OPERATOR, ROLES, SCOPES, Caller, granted
from actors.service.errors import ForbiddenError, InvalidError

# What each role may do, written down once more.
MAY = {
    "viewer": "flows:read reports:read",
    "editor": "flows:read reports:read flows:write sim:run customers:read customers:write",
    "publisher": (
        "flows:read reports:read flows:write sim:run customers:read customers:write flows:publish"
    ),
    "admin": (
        "flows:read reports:read flows:write sim:run customers:read customers:write flows:publish "
        "events:write customers:erase keys:admin audit:read settings:admin"
    ),
}


def caller(role: str | None, *scopes: str) -> Caller:
    return Caller("acme", "k1", None, role, granted(role, scopes or None))


@pytest.mark.parametrize(("role", "scope"), list(itertools.product(ROLES, SCOPES)))
def test_every_role_may_do_what_it_may_and_nothing_else(role: str, scope: str) -> None:
    who = caller(role)
    assert who.may(scope) == (scope in MAY[role].split())
    if who.may(scope):
        who.need(scope)
    else:
        with pytest.raises(ForbiddenError, match=f"Use a key with the scope {scope}"):
            who.need(scope)


def test_each_role_has_all_of_the_one_before() -> None:
    assert list(ROLES) == ["viewer", "editor", "publisher", "admin"]
    for less, more in itertools.pairwise(ROLES.values()):
        assert less < more
    assert ROLES["admin"] == set(SCOPES) - {OPERATOR}


def test_a_key_that_sends_events_does_nothing_else() -> None:
    assert granted(None, ["events:write"]) == EVENTS
    for scope in set(SCOPES) - EVENTS:
        with pytest.raises(InvalidError, match="can not do anything else"):
            granted(None, ["events:write", scope])
        assert not caller(None, "events:write").may(scope)


def test_a_role_may_be_narrowed_and_not_widened() -> None:
    assert granted("editor", ["flows:read"]) == {"flows:read"}
    with pytest.raises(InvalidError, match="flows:publish is beyond the role of editor") as caught:
        granted("editor", ["flows:publish"])
    assert caught.value.advice == "Leave it out, or the role publisher or admin"
    assert granted("admin", [*ROLES["admin"], OPERATOR]) == set(SCOPES)
    with pytest.raises(InvalidError, match="tenants:admin is beyond the role of publisher"):
        granted("publisher", [OPERATOR])


@pytest.mark.parametrize(
    ("role", "scopes", "said"),
    [
        ("owner", None, "there is no role 'owner'. Use one of viewer, editor, publisher, admin"),
        (None, None, "a key needs a role or scopes"),
        (None, [], "a key needs a role or scopes"),
        ("viewer", [], "a key needs a role or scopes"),
        (None, ["flows:delete"], "there is no scope 'flows:delete'"),
    ],
)
def test_what_can_not_be_granted_is_told(
    role: str | None, scopes: list[str] | None, said: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        granted(role, scopes)
    assert said in str(caught.value)
    assert caught.value.pointer in ("/role", "/scopes")


@pytest.mark.parametrize(("giver", "taker"), list(itertools.product(ROLES, ROLES)))
def test_nobody_hands_on_what_he_does_not_have(giver: str, taker: str) -> None:
    allowed = list(ROLES).index(taker) <= list(ROLES).index(giver)
    if allowed:
        caller(giver).check_gives(taker, ROLES[taker])
    else:
        with pytest.raises(ForbiddenError, match="can not give or take it"):
            caller(giver).check_gives(taker, ROLES[taker])


def test_a_narrowed_role_is_not_handed_on_whole() -> None:
    narrowed = caller("admin", "keys:admin", "flows:read")
    narrowed.check_gives("viewer", ["flows:read"])
    with pytest.raises(ForbiddenError, match="does not have the scopes reports:read"):
        narrowed.check_gives("viewer", ROLES["viewer"])
    with pytest.raises(ForbiddenError, match="does not have the role viewer"):
        caller(None, "keys:admin", "flows:read").check_gives("viewer", ["flows:read"])
    with pytest.raises(ForbiddenError, match="does not have the scopes tenants:admin"):
        caller("admin").check_gives("admin", [*ROLES["admin"], OPERATOR])


def test_the_audit_log_names_the_user_or_else_the_key() -> None:
    assert caller("viewer").actor == "key:k1"
    assert Caller("acme", "k1", "u7", "viewer", frozenset()).actor == "user:u7"
