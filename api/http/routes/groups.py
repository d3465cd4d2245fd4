"""Read and set the static groups of a tenant by priority, by which flows leave people out."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, Field

from actors.service.uses import flows_that, names
from api.http.revisions import IfMatch, check_revision, in_use, revision
from api.http.routes.segments import CHANGED, SegmentsChanged, document_of, set_all, standing
from api.http.routing import Calling, Routes, Strict

GroupName = Annotated[str, Field(min_length=1, max_length=256)]
EXAMPLE = {
    "groups": [{"name": "vip", "used_by": ["welcome"]}, {"name": "members", "used_by": []}],
    "deduplicate": True,
    "revision": "0c1d2e3f4a5b6c7d",
}


class RankedGroup(BaseModel):
    """A group with a priority."""

    name: str
    used_by: list[str] = Field(description="Flows that run, or have people inside, that name it")


class RankedGroups(BaseModel):
    """The groups by priority, the highest first."""

    groups: list[RankedGroup]
    deduplicate: bool = Field(
        description="Whether a flow that starts on a group leaves out whoever is in a higher one"
    )
    revision: str


class GroupRanking(Strict):
    """The groups as they shall be, the highest priority first."""

    groups: list[GroupName] = Field(max_length=1_000, examples=[["vip", "members"]])
    deduplicate: bool = False


def groups_routes() -> Routes:
    """The routes."""
    routes = Routes("Segments")

    @routes.add("GET", "/v1/customer-groups", scope="flows:read", example=EXAMPLE)
    def read_customer_groups(call: Calling) -> RankedGroups:
        """Read the groups that have a priority, and which flows name them."""
        segments = standing(call.engine)
        found = [
            RankedGroup(name=name, used_by=flows_that(call.engine, names("group", name)))
            for name in segments.groups
        ]
        stated = GroupRanking(groups=segments.groups, deduplicate=segments.deduplicate)
        return RankedGroups(
            groups=found, deduplicate=segments.deduplicate, revision=revision(stated.model_dump())
        )

    @routes.add(
        "PUT",
        "/v1/customer-groups",
        scope="flows:write",
        cost=10,
        problems=[409, 422],
        example=CHANGED,
        body_example={"groups": ["vip", "members"], "deduplicate": True},
        response_model=SegmentsChanged,
        beyond={422: "Names of groups have rules"},
    )
    def set_customer_groups(
        call: Calling, groups: GroupRanking, if_match: IfMatch = None
    ) -> Response:
        """Set the priorities of groups.

        A group need not have one. One that flows name can not lose its priority.
        """
        segments = standing(call.engine)
        before = GroupRanking(groups=segments.groups, deduplicate=segments.deduplicate)
        check_revision(if_match, before.model_dump(), groups.model_dump())
        for gone in (name for name in segments.groups if name not in groups.groups):
            in_use(f"group {gone}", flows=flows_that(call.engine, names("group", gone)))
        after = {**document_of(segments), **groups.model_dump()}
        return set_all(
            call, after, "groups.set", "groups", before.model_dump(), groups.model_dump()
        )

    return routes
