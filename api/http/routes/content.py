"""Put, list, read, preview, test and delete the content that flows send."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import Path, Response
from pydantic import BaseModel, Field

from actors.live.messaging import Asked
from actors.relay.contents import ContentFile
from actors.relay.switches import read_switches
from actors.service.content import delete_template, put_template, read_template, template_names
from actors.service.uses import flows_that, sends
from api.http.plain import check_plain
from api.http.problems import not_found, refuse
from api.http.revisions import IfMatch, check_revision, in_use, revision
from api.http.routes.customers import known_state
from api.http.routing import Call, Calling, Page, Pages, Routes, Strict
from core.errors import HeadraceError
from core.nodes import Channel

NAME = r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,127}$"
ContentName = Annotated[str, Path(pattern=NAME, description="What send nodes name as template")]
DOCUMENT: dict[str, Any] = {
    "channels": {
        "email": {
            "address": "email",
            "parts": {"subject": {"text": "Hello"}, "text": {"text": "Dear {{ first_name }}"}},
        }
    },
    "state": "draft",
}
SUMMARY = {
    "name": "welcome",
    "state": "draft",
    "channels": ["email"],
    "revision": "0c1d2e3f4a5b6c7d",
}
EXAMPLE = {**SUMMARY, "content": DOCUMENT, "used_by": []}
SHOWN = {"parts": {"subject": "Hello", "text": "Dear Anna"}, "reason": ""}


class ContentSummary(BaseModel):
    """An item of content in a list."""

    name: str
    state: Literal["draft", "ready", "wrong"] = Field(description="wrong: its file can't be read")
    channels: list[str]
    kind: str | None = None
    recipient: str | None = None
    coupon: str | None = None
    expires: str | None = None
    revision: str
    problem: str | None = None


class ContentBody(ContentSummary):
    """An item of content."""

    content: dict[str, Any]
    used_by: list[str] = Field(description="Flows that run, or have people inside, that send it")


class ContentState(Strict):
    """Whether an item may be sent."""

    state: Literal["draft", "ready"]


class PreviewAsked(Strict):
    """Whom to show an item as, and on which channel."""

    customer: str = Field(min_length=1, max_length=511)
    channel: Channel
    stated: dict[str, Any] = Field(
        default_factory=dict, max_length=256, description="What the flow would state by `variables`"
    )
    content: ContentFile | None = Field(
        None, description="Content that isn't stored yet, in the place of what is"
    )


class TestAsked(PreviewAsked):
    """Whom to send a test as, and where to."""

    __test__ = False
    address: str = Field(min_length=1, max_length=2_048, examples=["me@example.com"])


class ContentPreview(BaseModel):
    """How a message looks."""

    parts: dict[str, str]
    reason: str = Field(description='Why no message would be sent, "" if one would')


class ContentTested(BaseModel):
    """What came of a test."""

    outcome: str = Field(description="delivered, or retry, ambiguous, dead, disabled, skipped")
    reason: str


def content_routes() -> Routes:
    """The routes."""
    routes = Routes("Content")

    @routes.add("GET", "/v1/content", scope="flows:read", example={"items": [SUMMARY]})
    def list_content(call: Calling, paging: Pages) -> Page[ContentSummary]:
        """List the items of content."""
        behind = [name for name in template_names(call.engine.path) if name > paging.after]
        found = [_summary(call, name) for name in behind[: paging.limit + 1]]
        return paging.page(found, lambda item: item.name)

    @routes.add("GET", "/v1/content/{name}", scope="flows:read", problems=[404], example=EXAMPLE)
    def read_content(call: Calling, name: ContentName) -> ContentBody:
        """Read an item of content, and which flows send it."""
        return _body(name, _found(call, name), flows_that(call.engine, sends(name)))

    @routes.add(
        "PUT",
        "/v1/content/{name}",
        scope="flows:write",
        cost=5,
        problems=[409, 422],
        example=EXAMPLE,
        body_example=DOCUMENT,
        response_model=ContentBody,
        beyond={422: "Templates have a language of their own"},
    )
    def put_content(
        call: Calling, name: ContentName, content: ContentFile, if_match: IfMatch = None
    ) -> Response:
        """Make an item of content, or change it; messages from now on say what it says.

        `state` is `draft` while it is written. A flow can't be published before all that it sends
        is `ready`, and what a flow sends can't become a draft again.
        """
        return _put(call, name, content, if_match, "content.put")

    @routes.add(
        "PUT",
        "/v1/content/{name}/state",
        scope="flows:write",
        problems=[404, 409, 422],
        example=EXAMPLE,
        body_example={"state": "ready"},
        response_model=ContentBody,
        beyond={422: "What is not finished can not be ready"},
    )
    def set_content_state(
        call: Calling, name: ContentName, state: ContentState, if_match: IfMatch = None
    ) -> Response:
        """Say that an item is ready to be sent, or a draft."""
        content = _found(call, name).model_copy(update={"state": state.state})
        return _put(call, name, content, if_match, "content.state")

    @routes.add(
        "DELETE", "/v1/content/{name}", scope="flows:write", status=204, problems=[404, 409]
    )
    def delete_content(call: Calling, name: ContentName) -> Response:
        """Delete an item that no flow sends."""
        if name not in template_names(call.engine.path):
            raise not_found("content")
        in_use(f"content {name}", flows=flows_that(call.engine, sends(name)))
        with call.change() as change:
            change.audit("content.delete", f"content:{name}")
            delete_template(call.engine.path, name)
            return change.answer(status=204)

    @routes.add(
        "POST",
        "/v1/content/{name}/preview",
        scope="customers:read",
        cost=5,
        problems=[404, 422],
        example=SHOWN,
        body_example={"customer": "c1", "channel": "email"},
        beyond={422: "Content may say nothing on a channel"},
    )
    def preview_content(call: Calling, name: ContentName, asked: PreviewAsked) -> ContentPreview:
        """See an item as a customer would get it. Nothing is sent."""
        number = call.engine.partition_of(asked.customer)
        return ContentPreview(**call.engine.job(number, "preview", _asked(call, name, asked)))

    @routes.add(
        "POST",
        "/v1/content/{name}/test",
        scope="flows:publish",
        cost=20,
        problems=[404, 409, 422],
        example={"outcome": "delivered", "reason": ""},
        body_example={"customer": "c1", "channel": "email", "address": "me@example.com"},
        response_model=ContentTested,
        beyond={422: "Content may say nothing on a channel"},
    )
    def test_content(call: Calling, name: ContentName, asked: TestAsked) -> Response:
        """Send an item as a customer would get it to an address, marked as a test.

        It leaves by the channel's provider, in one attempt; no flow hears of it.
        """
        if asked.channel in read_switches(call.engine.path):
            raise refuse(
                409, "channel-off", f"{asked.channel} is switched off", "Switch it on first"
            )
        number = call.engine.partition_of(asked.customer)
        message = _asked(call, name, asked)
        with call.change() as change:
            change.audit("content.test", f"content:{name}", person=asked.customer)
        found = ContentTested(**call.engine.job(number, "send_test", message, asked.address))
        with call.change() as change:
            return change.answer(found)

    return routes


def _found(call: Call, name: str) -> ContentFile:
    found = read_template(call.engine.path, name)
    if found is None:
        raise not_found("content")
    return found


def _document(content: ContentFile) -> dict[str, Any]:
    found: dict[str, Any] = content.model_dump(mode="json", exclude_defaults=True)
    return {**found, "state": content.state}


def _summary(call: Call, name: str) -> ContentSummary:
    try:
        return _body(name, _found(call, name), [])
    except HeadraceError as error:
        # Where it is, is the operator's affair.
        return ContentSummary(
            name=name, state="wrong", channels=[], revision="", problem=error.message
        )


def _body(name: str, content: ContentFile, used_by: list[str]) -> ContentBody:
    document = _document(content)
    return ContentBody(
        name=name,
        state=content.state,
        channels=list(content.channels),
        kind=content.kind,
        recipient=content.recipient,
        coupon=content.coupon,
        expires=content.expires,
        revision=revision(document),
        content=document,
        used_by=used_by,
    )


def _put(
    call: Call, name: str, content: ContentFile, if_match: str | None, action: str
) -> Response:
    folder = call.engine.path
    check_plain(content.model_dump(mode="python"))
    used_by = flows_that(call.engine, sends(name))
    with call.change() as change:
        try:
            before = read_template(folder, name)
        except HeadraceError:
            before = None  # a wrong file is put right by this
        was = None if before is None else _document(before)
        after = _document(content)
        check_revision(if_match, was, after)
        if content.state == "draft":
            in_use(f"content {name}", flows=used_by)
        change.audit(action, f"content:{name}", before=was, after=after)
        put_template(folder, name, content)
        return change.answer(_body(name, content, used_by))


def _asked(call: Call, name: str, asked: PreviewAsked) -> Asked:
    """What the engine is asked to compose. Raises ProblemError, HeadraceError."""
    known_state(call.engine, asked.customer)
    content = _found(call, name) if asked.content is None else asked.content
    if asked.channel not in content.channels:
        raise refuse(
            422,
            "invalid",
            f"content {name} says nothing on {asked.channel}",
            f"Use one of {', '.join(content.channels)}",
            pointer="/channel",
        )
    check_plain(asked.stated, ("stated",))
    check_plain(content.model_dump(mode="python"), ("content",))
    check_plain(getattr(asked, "address", ""), ("address",))
    stated = {key: json.dumps(value) for key, value in asked.stated.items()}
    return Asked(asked.customer, asked.channel, name, content, stated)
