"""Set up by whom messages leave, and switch channels off."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import Body, Path, Response
from pydantic import BaseModel, Field

from actors.live.engine import Engine
from actors.live.errors import DownError
from actors.relay.settings import load_providers
from actors.relay.switches import Mode, Off, read_switches, write_switches
from actors.service import sending
from actors.service.access import OPERATOR
from actors.service.uses import flows_that, sends_by
from api.http.plain import check_plain
from api.http.problems import not_found
from api.http.revisions import IfMatch, check_revision, in_use, revision
from api.http.routing import Call, Calling, Page, Pages, Routes, Strict
from core.nodes import CHANNELS, Channel

ProviderName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
GATE: dict[str, Any] = {
    "kind": "http_provider",
    "channels": ["sms"],
    "url": "https://gate.example.com/v1/messages",
    "headers": {"authorization": "Bearer {{ gate_key }}"},
    "secrets": {"gate_key": {"value": "s3cret"}},
    "body": {"to": "{{ to }}", "text": "{{ body }}"},
}
EXAMPLE: dict[str, Any] = {
    "name": "gate",
    "settings": {**GATE, "secrets": {"gate_key": {"stored": "gate.1f2e3d4c5b6a7988"}}},
    "revision": "0c1d2e3f4a5b6c7d",
    "problems": {},
}
SWITCH = {"channel": "email", "provider": "mail", "state": "off", "messages": "wait", "since_ms": 1}


class ProviderBody(BaseModel):
    """A provider. Of its secrets only names are told."""

    name: str
    settings: dict[str, Any]
    revision: str
    problems: dict[str, str] = Field(
        default_factory=dict, description="Why relays do not work, by partition"
    )


class ChannelBody(BaseModel):
    """Whether a channel's messages are sent."""

    channel: str
    provider: str | None = Field(None, description="Who sends them; absent where nobody does")
    state: Literal["on", "off"]
    messages: Mode | None = Field(None, description="What becomes of them while it is off")
    since_ms: int | None = None


class ChannelSwitch(Strict):
    """How a channel shall be."""

    state: Literal["on", "off"]
    messages: Mode = Field("wait", description="wait: until it is on again; drop: never sent")


def providers_routes() -> Routes:
    """The routes."""
    routes = Routes("Providers")

    @routes.add("GET", "/v1/providers", scope="settings:admin", example={"items": [EXAMPLE]})
    def list_providers(call: Calling, paging: Pages) -> Page[ProviderBody]:
        """List the providers, with their secrets masked."""
        known = load_providers(call.engine.path).providers
        behind = [name for name in sorted(known) if name > paging.after][: paging.limit + 1]
        return paging.page([_body(name, known[name]) for name in behind], lambda each: each.name)

    @routes.add(
        "GET", "/v1/providers/{name}", scope="settings:admin", problems=[404], example=EXAMPLE
    )
    def read_provider(call: Calling, name: ProviderName) -> ProviderBody:
        """Read a provider's settings, with its secrets masked."""
        return _body(name, _found(call, name))

    @routes.add(
        "PUT",
        "/v1/providers/{name}",
        scope="settings:admin",
        cost=20,
        problems=[409, 422],
        example=EXAMPLE,
        body_example=GATE,
        response_model=ProviderBody,
        beyond={422: "Hosts must be outside, templates must be right"},
    )
    def put_provider(
        call: Calling,
        name: ProviderName,
        settings: Annotated[dict[str, Any], Body()],
        if_match: IfMatch = None,
    ) -> Response:
        """Set a provider up, or change it; relays go on with it at once.

        A secret is given as `{"value": ...}`, stored encrypted, and shown no more. As it was read,
        `{"stored": ...}`, it stays; it does not go along to another URL or host.
        """
        engine = call.engine
        check_plain(settings)
        # Looking a host up may take long, and others wait for the change to end.
        put = sending.Change(name, settings, engine.path, call.caller.may(OPERATOR))
        after = sending.shown(put.settings)
        with call.change() as change:
            before = load_providers(engine.path).providers.get(name)
            was = None if before is None else sending.shown(before)
            check_revision(if_match, was, after)
            change.audit("provider.put", f"provider:{name}", before=was, after=after)
            put.apply()
            answer = _body(name, put.settings)
            told = change.answer(answer)
        problems = _renew(engine)
        if problems and call.claim is None:
            return _told(answer.model_copy(update={"problems": problems}))
        return told

    @routes.add(
        "DELETE",
        "/v1/providers/{name}",
        scope="settings:admin",
        cost=20,
        status=204,
        problems=[404, 409],
    )
    def delete_provider(call: Calling, name: ProviderName) -> Response:
        """Delete a provider by which no flow sends, with its secrets.

        Without any provider messages are written to a file.
        """
        engine = call.engine
        found = _found(call, name)
        channels = frozenset(map(str, found.channels))
        in_use(f"provider {name}", flows=flows_that(engine, sends_by(channels)))
        with call.change() as change:
            change.audit("provider.delete", f"provider:{name}", before=sending.shown(found))
            sending.delete(engine.path, name)
            told = change.answer(status=204)
        _renew(engine)
        return told

    _channel_routes(routes)
    return routes


def _channel_routes(routes: Routes) -> None:
    @routes.add("GET", "/v1/channels", scope="flows:read", example={"items": [SWITCH]})
    def list_channels(call: Calling) -> Page[ChannelBody]:
        """List the channels: who sends by them, and whether they are switched off."""
        off = read_switches(call.engine.path)
        return Page[ChannelBody](items=[_channel(call.engine, each, off) for each in CHANNELS])

    @routes.add(
        "PUT",
        "/v1/channels/{channel}",
        scope="flows:publish",
        cost=5,
        problems=[422],
        example=SWITCH,
        body_example={"state": "off", "messages": "wait"},
        response_model=ChannelBody,
    )
    def switch_channel(call: Calling, channel: Channel, switch: ChannelSwitch) -> Response:
        """Switch a channel off, or on again.

        When it answers no message leaves by it any more, also after a restart. Messages wait, or
        are dropped; those that have waited are sent once it is on, if they are wanted still.
        """
        engine = call.engine
        with call.change() as change:
            off = read_switches(engine.path)
            before = None if channel not in off else asdict(off[channel])
            off.pop(channel, None)
            if switch.state == "off":
                since_ms = before["since_ms"] if before is not None else call.now_ms
                off[channel] = Off(switch.messages, since_ms)
            after = None if channel not in off else asdict(off[channel])
            action = f"channel.{switch.state}"
            change.audit(action, f"channel:{channel}", before=before, after=after)
            write_switches(engine.path, off)
            told = change.answer(_channel(engine, channel, off))
        for number in range(engine.partitions):
            # One that is down sends nothing, and reads the switches when it is back.
            with contextlib.suppress(DownError):
                engine.job(number, "settle_messages")
        return told


def _found(call: Call, name: str) -> Any:
    found = load_providers(call.engine.path).providers.get(name)
    if found is None:
        raise not_found("provider")
    return found


def _body(name: str, settings: Any) -> ProviderBody:
    shown = sending.shown(settings)
    return ProviderBody(name=name, settings=shown, revision=revision(shown))


def _told(body: BaseModel) -> Response:
    return Response(body.model_dump_json(exclude_none=True), media_type="application/json")


def _renew(engine: Engine) -> dict[str, str]:
    """Have all relays go on with the providers as they are now; what is wrong, by partition."""
    found = {}
    for number in range(engine.partitions):
        with contextlib.suppress(DownError):
            problem = engine.job(number, "renew_relay")
            if problem:
                found[f"{number:03}"] = "the relay does not start: see the service's status"
    return found


def _channel(engine: Engine, channel: str, off: dict[str, Off]) -> ChannelBody:
    providers = load_providers(engine.path).providers
    senders = [name for name, each in providers.items() if channel in each.channels]
    switched = off.get(channel)
    return ChannelBody(
        channel=channel,
        provider=next(iter(senders), None),
        state="on" if switched is None else "off",
        messages=None if switched is None else switched.messages,
        since_ms=None if switched is None else switched.since_ms,
    )
