"""Send by any provider that takes HTTP: SMS, push, WhatsApp, WeChat gateways, set up by a template.

A gateway says which request carries a message and how to read the answer. In its URL, headers and
JSON body, Liquid placeholders stand for `to` (the address), `key`, the message's parts, `mark`
(what the provider may send back with a report) and `unsubscribe_post` (the header of one-click);
each is encoded for its place, and JSON is made by an encoder from the finished strings.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from actors.relay.channels.base import Message
from actors.relay.channels.exchange import Exchange, Reply, refusal
from actors.relay.channels.guard import Guard
from actors.relay.channels.render import Encoding, RenderError, Source, check, render
from actors.relay.outcomes import Ambiguous, Dead, Delivered, Disabled, Outcome, Retry

Class = Literal["sent", "retry", "throttled", "ambiguous", "dead", "disabled"]
DEPTH_MAX = 16


@dataclass(frozen=True, slots=True)
class Gateway:
    """How to talk to one provider.

    `statuses` overrides what a status means by itself (2xx sent, 410 disabled, the rest as in
    `exchange.refusal`). Where providers answer 200 and hide the error in the body, `error_path`
    leads to its code (keys joined by dots), and `errors` says what each code means; a code that is
    not listed means dead, an absent or null one means sent. `id_path` leads to the provider's id.
    `secrets` fill placeholders in headers and URL, and show in no repr.
    """

    url: str
    body: object
    method: Literal["POST", "PUT"] = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    parts: Mapping[str, Encoding] = field(default_factory=lambda: {"body": "sms"})
    optional: frozenset[str] = frozenset()
    statuses: Mapping[int, Class] = field(default_factory=dict)
    id_path: str = ""
    error_path: str = ""
    errors: Mapping[str, Class] = field(default_factory=dict)
    keyed: bool = False
    key_ttl_ms: int = 86_400_000


class HttpProvider:
    """One gateway as a channel."""

    def __init__(
        self,
        gateway: Gateway,
        guard: Guard,
        *,
        timeout_ms: int = 20_000,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Raises ValueError if a template of the gateway cannot be compiled."""
        self._gateway = gateway
        self._exchange = Exchange(guard, timeout_ms, tls)
        self.keyed, self.key_ttl_ms = gateway.keyed, gateway.key_ttl_ms
        self.parts, self.optional = gateway.parts, gateway.optional
        check(Source(gateway.url), "url")
        for text in gateway.headers.values():
            check(Source(text), "header")
        _filled(gateway.body, None, 0)

    async def send(self, message: Message) -> Outcome:
        """Make the gateway's request once and read its answer."""
        gateway = self._gateway
        values = {
            **message.parts,
            "to": message.address,
            "key": message.key,
            "mark": message.mark,
            "unsubscribe_post": "List-Unsubscribe=One-Click" if message.one_click else "",
        }
        private = {**values, **gateway.secrets}
        try:
            url = render(Source(gateway.url), "url", private)
            headers = {
                name.lower(): render(Source(text), "header", private)
                for name, text in gateway.headers.items()
            }
            body = _filled(gateway.body, values, 0)
            data = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        except (RenderError, UnicodeEncodeError, ValueError):
            return Dead("gateway_template_failed")
        headers.setdefault("content-type", "application/json")
        reply = await self._exchange.ask(gateway.method, url, headers, data)
        if isinstance(reply, Outcome):
            return reply
        return self._read(reply, message.at_ms)

    async def close(self) -> None:
        """Give back connections."""
        await self._exchange.close()

    def _read(self, reply: Reply, now_ms: int) -> Outcome:
        gateway, status = self._gateway, reply.status
        if (stated := gateway.statuses.get(status)) is not None:
            return _outcome(stated, f"http_{status}", "")
        if status == 410:
            return Disabled("http_410")
        if not 200 <= status < 300:
            return refusal(reply, now_ms)
        if not (gateway.error_path or gateway.id_path):
            return Delivered()
        try:
            document = msgspec.json.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Without an error to look for, the status alone says that it was accepted.
            return Ambiguous("reply_unreadable") if gateway.error_path else Delivered()
        code = _at(document, gateway.error_path)
        if code and (meaning := gateway.errors.get(code, "dead")) != "sent":
            return _outcome(meaning, "provider_error", code if code in gateway.errors else "")
        return Delivered(_at(document, gateway.id_path)[:128])


def _outcome(meaning: Class, reason: str, code: str) -> Outcome:
    # Only codes that the gateway's owner wrote down are repeated: others may hold anything.
    reason = f"{reason}_{code}" if code else reason
    match meaning:
        case "sent":
            return Delivered()
        case "retry":
            return Retry(reason)
        case "throttled":
            return Retry(reason, throttled=True)
        case "ambiguous":
            return Ambiguous(reason)
        case "disabled":
            return Disabled(reason)
        case _:
            return Dead(reason)


def _at(document: object, path: str) -> str:
    """The text or number that dots lead to, as text; empty if there is none."""
    for name in path.split(".") if path else ():
        if isinstance(document, dict):
            document = document.get(name)
        elif isinstance(document, list) and name.isdigit() and int(name) < len(document):
            document = document[int(name)]
        else:
            return ""
    return str(document) if isinstance(document, str | int) and path else ""


def _filled(shape: object, values: Mapping[str, object] | None, depth: int) -> object:
    """The body with every string rendered; without values only compiled."""
    if depth > DEPTH_MAX:
        raise ValueError("the gateway's body is nested too deep")
    if isinstance(shape, str):
        if values is None:
            check(Source(shape), "text")
            return shape
        return render(Source(shape, "empty"), "text", values)
    if isinstance(shape, Mapping):
        return {str(name): _filled(each, values, depth + 1) for name, each in shape.items()}
    if isinstance(shape, list | tuple):
        return [_filled(each, values, depth + 1) for each in shape]
    return shape
