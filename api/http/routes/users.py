"""Know who works for a tenant, with which role; keys belong to users."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Path, Response
from pydantic import BaseModel, Field

from actors.service import users
from actors.service.users import ID_PATTERN, User
from api.http.routes.keys import RoleName
from api.http.routing import Calling, Page, Pages, Routes, Strict, optional

SCOPE = "keys:admin"
UserId = Annotated[str, Path(max_length=100, description="The id of a user")]
NAME = r"^[^\x00-\x1f\x7f]+$"
EXAMPLE: dict[str, Any] = {
    "id": "ada",
    "name": "Ada",
    "role": "editor",
    "created_ms": 1_790_000_000_000,
    "created_by": "key:k7Qm2xVt",
}


class UserNew(Strict):
    """A user to be made."""

    id: str = Field(pattern=ID_PATTERN, description="Stands in the audit log: no e-mail address")
    name: str = Field(min_length=1, max_length=100, pattern=NAME, description="For people")
    role: RoleName


class UserChange(Strict):
    """What to change of a user; what is left out stays."""

    name: str = optional(min_length=1, max_length=100, pattern=NAME)
    role: RoleName = optional()


class UserBody(BaseModel):
    """A user."""

    id: str
    name: str
    role: RoleName
    created_ms: int
    created_by: str


class UserChanged(BaseModel):
    """A user as changed."""

    user: UserBody
    revoked_keys: list[str] = Field(description="Keys that went beyond his new role")


def user_routes() -> Routes:
    """The routes."""
    routes = Routes("Users")

    @routes.add(
        "POST",
        "/v1/users",
        scope=SCOPE,
        status=201,
        problems=(409, 422),
        example=EXAMPLE,
        body_example={"id": "ada", "name": "Ada", "role": "editor"},
        response_model=UserBody,
    )
    def create_user(call: Calling, body: UserNew) -> Response:
        """Make a user. Give him keys with POST /v1/keys."""
        user = User(body.id, body.name, body.role, call.now_ms, call.caller.actor)
        with call.change() as change:
            users.create(change.txn, call.caller, user)
            change.audit("user.create", f"user:{user.id}", after=asdict(user))
            return change.answer(_body(user), 201, {"Location": f"/v1/users/{user.id}"})

    @routes.add("GET", "/v1/users", scope=SCOPE, example={"items": [EXAMPLE]})
    def list_users(call: Calling, paging: Pages) -> Page[UserBody]:
        """List users by id."""
        with call.rows.read() as txn:
            found = users.listed(txn, paging.after, paging.limit + 1)
        return paging.page([_body(user) for user in found], lambda user: user.id)

    @routes.add("GET", "/v1/users/{user}", scope=SCOPE, problems=(404,), example=EXAMPLE)
    def read_user(call: Calling, user: UserId) -> UserBody:
        """Read a user."""
        with call.rows.read() as txn:
            return _body(users.find(txn, user))

    @routes.add(
        "PATCH",
        "/v1/users/{user}",
        scope=SCOPE,
        problems=(404, 409, 422),
        example={"user": EXAMPLE, "revoked_keys": []},
        body_example={"role": "editor"},
        response_model=UserChanged,
    )
    def change_user(call: Calling, user: UserId, body: UserChange) -> Response:
        """Change a user's name or role.

        Keys of his that go beyond a lower role are revoked at once, and named in the answer.
        """
        with call.change() as change:
            before = users.find(change.txn, user)
            after, revoked = users.update(
                change.txn,
                call.caller,
                call.service.keys,
                user,
                now_ms=call.now_ms,
                name=body.name,
                role=body.role,
            )
            change.audit("user.change", f"user:{user}", before=asdict(before), after=asdict(after))
            for key_id in revoked:
                change.audit("key.revoke", f"key:{key_id}", before="live", after="revoked")
            return change.answer(UserChanged(user=_body(after), revoked_keys=revoked))

    @routes.add(
        "DELETE", "/v1/users/{user}", scope=SCOPE, status=204, problems=(404, 409),
        response_class=Response,
    )  # fmt: skip
    def delete_user(call: Calling, user: UserId) -> Response:
        """Delete a user, and revoke his keys at once."""
        with call.change() as change:
            before = users.find(change.txn, user)
            keys = call.service.keys
            revoked = users.delete(change.txn, call.caller, keys, user, now_ms=call.now_ms)
            change.audit("user.delete", f"user:{user}", before=asdict(before))
            for key_id in revoked:
                change.audit("key.revoke", f"key:{key_id}", before="live", after="revoked")
            return change.answer(status=204)

    return routes


def _body(user: User) -> UserBody:
    return UserBody.model_validate(asdict(user))
