"""Let flows be ordered by groups, and be shared with users."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Response
from pydantic import BaseModel, Field

from actors.service import flow_groups, sharing
from actors.service.flow_groups import Group
from actors.service.sharing import USERS_MAX, Permission, Sharing
from actors.service.transactions import ReadTxn
from actors.service.users import ID_PATTERN
from api.http.problems import refuse
from api.http.routes.flow_calls import NAME, NOW_MS, FlowId, desk_of
from api.http.routing import Calling, Page, Pages, Routes, Strict

GROUP: dict[str, Any] = {"group": "1", "name": "Onboarding", "created_ms": NOW_MS}
SHARED: dict[str, Any] = {"visibility": "shared", "owner": "ada", "users": {"bob": "edit"}}
GroupId = Annotated[str, Path(max_length=100, description="The id of a group")]
UserName = Annotated[str, Field(pattern=ID_PATTERN)]


class GroupNamed(Strict):
    """What a group is called."""

    name: str = Field(min_length=1, max_length=100, pattern=NAME)


class GroupBody(BaseModel):
    """A group of flows."""

    group: str
    name: str
    created_ms: int


class SharingSet(Strict):
    """Who may do what with a flow."""

    visibility: Literal["tenant", "shared"] = Field(
        "tenant",
        description="Everybody's of the tenant by his role, or the owner's, the admins' and theirs "
        "whom it is shared with",
    )
    users: dict[UserName, Permission] = Field(
        default_factory=dict,
        max_length=USERS_MAX,
        description="What each user may do at most; nobody gets more than his role gives him",
    )


class SharingBody(BaseModel):
    """Who may do what with a flow."""

    visibility: Literal["tenant", "shared"]
    owner: str | None = None
    users: dict[str, Permission]


def flow_group_routes() -> Routes:
    """The routes."""
    routes = Routes("Groups and sharing of flows")

    @routes.add("GET", "/v1/flow-groups", scope="flows:read", example={"items": [GROUP]})
    def list_flow_groups(call: Calling, paging: Pages) -> Page[GroupBody]:
        """List the groups of flows in the order in which they were made."""
        with call.rows.read() as txn:
            found = flow_groups.every(txn)
        ids = [group.id for group in found]
        begin = ids.index(paging.after) + 1 if paging.after in ids else 0
        return paging.page(
            [_group_body(group) for group in found[begin : begin + paging.limit + 1]],
            lambda body: body.group,
        )

    @routes.add(
        "POST",
        "/v1/flow-groups",
        scope="flows:write",
        status=201,
        problems=(409, 422),
        example=GROUP,
        body_example={"name": "Onboarding"},
        response_model=GroupBody,
    )
    def create_flow_group(call: Calling, body: GroupNamed) -> Response:
        """Make a group of flows."""
        with call.change() as change:
            group = flow_groups.create(change.txn, body.name, call.now_ms)
            change.audit("flow_group.create", f"flow_group:{group.id}", after=body.name)
            return change.answer(_group_body(group), 201)

    @routes.add(
        "PUT",
        "/v1/flow-groups/{group}",
        scope="flows:write",
        problems=(404, 409, 422),
        example=GROUP,
        body_example={"name": "Onboarding"},
        response_model=GroupBody,
    )
    def rename_flow_group(call: Calling, group: GroupId, body: GroupNamed) -> Response:
        """Give a group of flows another name."""
        with call.change() as change:
            found = flow_groups.rename(change.txn, group, body.name)
            change.audit("flow_group.rename", f"flow_group:{found.id}", after=body.name)
            return change.answer(_group_body(found))

    @routes.add(
        "DELETE",
        "/v1/flow-groups/{group}",
        scope="flows:write",
        status=204,
        problems=(404, 409),
    )
    def delete_flow_group(call: Calling, group: GroupId) -> Response:
        """Delete a group in which no flow is."""
        with call.change() as change:
            flow_groups.delete(change.txn, group)
            change.audit("flow_group.delete", f"flow_group:{group}")
            return change.answer(None, 204)

    @routes.add(
        "GET", "/v1/flows/{flow}/sharing", scope="flows:read", problems=(404,), example=SHARED
    )
    def read_sharing(call: Calling, flow: FlowId) -> SharingBody:
        """Tell with whom a flow is shared."""
        desk = desk_of(call)
        with desk.rows.read() as txn:
            owner = desk.find(txn, flow).row.owner
            found = sharing.find(txn, flow)
        return SharingBody(visibility=found.visibility, owner=owner, users=dict(found.users))

    @routes.add(
        "PUT",
        "/v1/flows/{flow}/sharing",
        scope="flows:write",
        problems=(404, 422),
        example=SHARED,
        body_example={"visibility": "shared", "users": {"bob": "edit"}},
        response_model=SharingBody,
        beyond={422: "There may be no such user"},
    )
    def share_flow(call: Calling, flow: FlowId, body: SharingSet) -> Response:
        """Share a flow with users, and limit what they may do; for its owner and admins.

        For whom a flow is not shared with it is not there.
        """
        desk = desk_of(call)
        with call.change() as change:
            row = desk.find(change.txn, flow, "edit").row
            if not (call.caller.role == "admin" or sharing.is_owner(row, call.caller)):
                raise refuse(
                    403, "forbidden", "only its owner and admins share a flow", "Ask one of them"
                )
            _check_users(change.txn, body)
            before = sharing.find(change.txn, flow)
            sharing.put(change.txn, flow, Sharing(body.visibility, dict(body.users)))
            told = [body.visibility, dict(body.users)]
            was = [before.visibility, dict(before.users)]
            change.audit("flow.share", f"flow:{flow}", before=was, after=told)
            return change.answer(
                SharingBody(visibility=body.visibility, owner=row.owner, users=dict(body.users))
            )

    return routes


def _check_users(txn: ReadTxn, body: SharingSet) -> None:
    for user in body.users:
        if txn.get("users", user) is None:
            raise refuse(
                422,
                "invalid",
                f"there is no user {user}",
                "See /v1/users",
                pointer=f"/users/{user}",
            )


def _group_body(group: Group) -> GroupBody:
    return GroupBody(group=group.id, name=group.name, created_ms=group.created_ms)
