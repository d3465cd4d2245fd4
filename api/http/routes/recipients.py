"""Say of which kind of records a group is, to which content must be made for the same kind."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response
from pydantic import BaseModel, Field

from actors.service.content import put_recipients, read_list
from api.http.revisions import IfMatch, check_revision, revision
from api.http.routing import Calling, Routes, Strict
from core.content import Recipient

GroupName = Annotated[str, Field(min_length=1, max_length=256)]
EXAMPLE = {
    "groups": {"newsletter": "contact", "leads": "profile"},
    "revision": "0c1d2e3f4a5b6c7d",
}


class RecipientsBody(BaseModel):
    """The kind of records in each group of which it is known."""

    groups: dict[str, Recipient]
    revision: str


class RecipientsNew(Strict):
    """The kinds as they shall be."""

    groups: dict[GroupName, Recipient] = Field(max_length=1_000)


def recipients_routes() -> Routes:
    """The routes."""
    routes = Routes("Content")

    @routes.add("GET", "/v1/recipients", scope="flows:read", example=EXAMPLE)
    def read_recipients(call: Calling) -> RecipientsBody:
        """Read of which kind of records groups are."""
        return _body(read_list(call.engine.path).segments)

    @routes.add(
        "PUT",
        "/v1/recipients",
        scope="flows:write",
        problems=[409],
        example=EXAMPLE,
        body_example={"groups": EXAMPLE["groups"]},
        response_model=RecipientsBody,
    )
    def set_recipients(
        call: Calling, recipients: RecipientsNew, if_match: IfMatch = None
    ) -> Response:
        """Say of which kind of records groups are.

        A flow that chooses people by a group can be published with content made for that kind only.
        """
        folder = call.engine.path
        with call.change() as change:
            before = read_list(folder).segments
            check_revision(if_match, before, recipients.groups)
            change.audit("recipients.set", "recipients", before=before, after=recipients.groups)
            put_recipients(folder, recipients.groups)
            return change.answer(_body(recipients.groups))

    return routes


def _body(groups: dict[str, Recipient]) -> RecipientsBody:
    return RecipientsBody(groups=groups, revision=revision(groups))
