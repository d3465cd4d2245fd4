"""Read what providers report of messages: verify who says it, then find what, of whom, and when.

Nothing of a body is believed before its signature is: Standard Webhooks 1.0.0, or a plain
HMAC-SHA256 of the body. What a report says is found by paths that the tenant wrote down.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from actors.relay.link_settings import CallbackSettings, Meaning

TOLERANCE_S = 300
BODY_BYTES_MAX = 1 << 20
REPORTS_MAX = 1_000
SIGNATURES_MAX = 16
ID_CHARS_MAX = 256
SECRET_BYTES_MIN = 16
_SECRET = "whsec_"


class UnverifiedError(ValueError):
    """A callback that nobody who has a secret has signed, or too long ago; its text is safe."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a provider says of one message.

    `mark` is what went out with it and `address` whom it went to, each "" if not told; `id` is the
    same whenever the same report comes.
    """

    meaning: Meaning
    mark: str
    address: str
    id: str


def verify(
    settings: CallbackSettings,
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now_ms: int,
) -> str:
    """Return the callback's id, "" if it has none. Raises UnverifiedError.

    `headers` are by names in lower case. Compares in constant time.
    """
    if settings.scheme == "hmac":
        _check_plain(settings, secrets, headers, body)
        return ""
    return _check_standard(secrets, headers, body, now_ms)


def _check_plain(
    settings: CallbackSettings, secrets: Sequence[str], headers: Mapping[str, str], body: bytes
) -> None:
    given = headers.get(settings.header.lower(), "").strip()
    if not given or not given.startswith(settings.prefix):
        raise UnverifiedError(f"the header {settings.header} is missing")
    said = _bytes_of(given.removeprefix(settings.prefix))
    found = [hmac.compare_digest(_digest(secret.encode(), body), said) for secret in secrets]
    if not any(found):
        raise UnverifiedError("the signature is wrong")


def _check_standard(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now_ms: int
) -> str:
    # Svix, from which the standard comes, has its own names for the same headers.
    for prefix in ("webhook", "svix"):
        names = (f"{prefix}-id", f"{prefix}-timestamp", f"{prefix}-signature")
        id_, stamp, signatures = (headers.get(name, "") for name in names)
        if id_ and stamp and signatures:
            break
    else:
        raise UnverifiedError("expected webhook-id, webhook-timestamp and webhook-signature")
    if not (stamp.isdecimal() and stamp.isascii() and len(stamp) <= 12):
        raise UnverifiedError("webhook-timestamp is no number of seconds")
    if abs(now_ms // 1_000 - int(stamp)) > TOLERANCE_S:
        raise UnverifiedError("webhook-timestamp is more than 5 minutes away from now")
    if len(id_) > ID_CHARS_MAX:
        raise UnverifiedError("webhook-id is too long")
    signed = f"{id_}.{stamp}.".encode("utf-8", "surrogateescape") + body
    wanted = [_digest(shared_secret(secret), signed) for secret in secrets]
    given = [
        _bytes_of(value)
        for version, _, value in (each.partition(",") for each in signatures.split(" "))
        if version == "v1"
    ][:SIGNATURES_MAX]
    found = [hmac.compare_digest(one, other) for one in wanted for other in given]
    if not any(found):
        raise UnverifiedError("the signature is wrong")
    return id_


def read(settings: CallbackSettings, body: bytes, callback_id: str) -> list[Report]:
    """The reports in a body that was verified; those of kinds that mean nothing are left out.

    Raises ValueError, whose text is safe, for a body that is no JSON or has too many.
    """
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is no JSON") from None
    several = _at(document, settings.reports) if settings.reports else document
    listed = several if isinstance(several, list) else [several]
    if len(listed) > REPORTS_MAX:
        raise ValueError(f"the body has {len(listed):,} reports, at most {REPORTS_MAX:,} are taken")
    # Where neither says which report it is, the whole body does.
    stem = callback_id or hashlib.sha256(body).hexdigest()
    return list(_reports(settings, listed, stem))


def _reports(settings: CallbackSettings, listed: list[object], stem: str) -> Iterator[Report]:
    for number, each in enumerate(listed):
        meaning = settings.kinds.get(_text(each, settings.kind), "none")
        if meaning == "none":
            continue
        own = _text(each, settings.id)[:ID_CHARS_MAX]
        yield Report(
            meaning,
            _text(each, settings.mark),
            _text(each, settings.address),
            own or f"{stem}:{number}",
        )


def _text(document: object, path: str) -> str:
    found = _at(document, path) if path else ""
    if isinstance(found, bool) or not isinstance(found, str | int):
        return ""
    return str(found)


def _at(document: object, path: str) -> object:
    """What the names in a path lead to, None if to nothing."""
    for name in path.split("."):
        if isinstance(document, dict):
            document = document.get(name)
        elif isinstance(document, list) and name.isdecimal() and len(name) < 6:
            document = document[int(name)] if int(name) < len(document) else None
        else:
            return None
    return document


def _digest(secret: bytes, data: bytes) -> bytes:
    return hmac.digest(secret, data, "sha256")


def shared_secret(secret: str) -> bytes:
    """The key that a secret of Standard Webhooks is. Raises UnverifiedError for what is none."""
    try:
        text = secret.removeprefix(_SECRET)
        found = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) < SECRET_BYTES_MIN:
        raise UnverifiedError("a secret of this callback is not whsec_ and base64 of 16 bytes")
    return found


def _bytes_of(text: str) -> bytes:
    """A signature as bytes, from hexadecimal or base64; b"" for neither."""
    try:
        if len(text) == 64:
            return bytes.fromhex(text)
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
