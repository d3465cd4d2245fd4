"""Read the forms in which PostHog's library for browsers sends: one event or a list, maybe packed.

A body is JSON, or a form whose `data` has JSON, mostly in base64; gzip is undone before. The key of
the project stands around the events or in their properties, as `token`.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import parse_qs

import msgspec

from api.http.ingest import posthog
from api.http.ingest.translation import Places, Translation, decoded
from api.http.problems import refuse

_FORM = b"data="


class _Properties(msgspec.Struct):
    token: Any = None


class _Event(msgspec.Struct):
    properties: _Properties | None = None
    api_key: Any = None
    token: Any = None


class _Body(msgspec.Struct):
    batch: list[_Event] = []
    properties: _Properties | None = None
    api_key: Any = None
    token: Any = None


_BODY = msgspec.json.Decoder(_Body)


def read(body: bytes, sent_at: str, places: Places, received_ms: int) -> Translation:
    """The events of a body in any of the forms. Raises ProblemError."""
    plain = unwrapped(body)
    whole = decoded(_BODY, plain)
    take = posthog.read_batch if whole.batch else posthog.read_event
    return take(plain, sent_at, places, received_ms)


def key_of(body: bytes) -> str:
    """The project key that stands in a body, "" if there is none. Raises ProblemError."""
    whole: _Body = decoded(_BODY, unwrapped(body))
    known: list[_Body | _Event] = [whole, *whole.batch[:1]]
    for each in known:
        inner = each.properties.token if each.properties is not None else None
        for key in (each.api_key, each.token, inner):
            if type(key) is str:
                return key
    return ""


def unwrapped(body: bytes) -> bytes:
    """The JSON of a body: of a form, that in its `data`; of a list, a batch of it.

    Raises ProblemError for a form that has none.
    """
    if body.startswith(_FORM):
        body = _form_data(body)
    if body.lstrip()[:1] == b"[":
        return b'{"batch":' + body + b"}"
    return body


def _form_data(body: bytes) -> bytes:
    try:
        data = parse_qs(body.decode("ascii"), max_num_fields=16)["data"][0]
        if data.lstrip()[:1] in ("{", "["):
            return data.encode()
        # Where nobody encoded it for a form, its pluses have become spaces.
        text = data.replace(" ", "+")
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (ValueError, KeyError, binascii.Error):
        raise refuse(
            400, "invalid-form", "the form has no events in `data`", "Send JSON, or base64 of it"
        ) from None
