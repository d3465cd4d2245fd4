"""Providers' reports: who says it, and what is said."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from actors.relay.callbacks import REPORTS_MAX, Report, UnverifiedError, read, verify
from actors.relay.link_settings import CallbackSettings

# The vector that the standard's own libraries are tested with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
ID, STAMP = "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
NOW_MS = 1_614_265_330_000
HEADERS = {"webhook-id": ID, "webhook-timestamp": STAMP, "webhook-signature": SIGNATURE}
OTHER = "whsec_" + base64.b64encode(b"o" * 24).decode()


def settings(**more: Any) -> CallbackSettings:
    told = {"secrets": [{"env": "X"}], "kinds": {"b": "bounce", "n": "none"}, "mark": "mark"}
    return CallbackSettings.model_validate({**told, **more})


def check(headers: dict[str, str], body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,),
          now_ms: int = NOW_MS, **more: Any) -> str:  # fmt: skip
    return verify(settings(**more), secrets, headers, body, now_ms)


def test_the_official_vector_is_verified() -> None:
    assert Webhook(SECRET).sign(ID, datetime.fromtimestamp(int(STAMP), UTC), BODY.decode()) == (
        SIGNATURE
    )
    assert check(HEADERS) == ID
    svix = {name.replace("webhook", "svix"): value for name, value in HEADERS.items()}
    assert check(svix) == ID


def test_one_of_several_secrets_and_signatures_is_enough() -> None:
    several = f"v1a,AAAA v1,{'A' * 43}= {SIGNATURE}"
    assert check({**HEADERS, "webhook-signature": several}, secrets=(OTHER, SECRET)) == ID


@pytest.mark.parametrize(
    ("changed", "body", "now_ms", "why"),
    [
        ({"webhook-id": "msg_other"}, BODY, NOW_MS, "wrong"),
        ({}, BODY + b" ", NOW_MS, "wrong"),
        ({"webhook-signature": "v1,"}, BODY, NOW_MS, "wrong"),
        ({"webhook-signature": "v1"}, BODY, NOW_MS, "wrong"),
        ({"webhook-signature": SIGNATURE.replace("v1", "v2")}, BODY, NOW_MS, "wrong"),
        ({"webhook-signature": f"{'v1,AAAA ' * 16}{SIGNATURE}"}, BODY, NOW_MS, "wrong"),
        ({"webhook-signature": ""}, BODY, NOW_MS, "expected webhook-id"),
        ({"webhook-timestamp": "1614265330.0"}, BODY, NOW_MS, "no number"),
        ({"webhook-timestamp": "-1"}, BODY, NOW_MS, "no number"),
        ({"webhook-timestamp": "9" * 4_000}, BODY, NOW_MS, "no number"),
        ({"webhook-timestamp": "٣"}, BODY, NOW_MS, "no number"),
        ({"webhook-id": "x" * 300}, BODY, NOW_MS, "too long"),
        ({}, BODY, NOW_MS + 301_000, "5 minutes"),
        ({}, BODY, NOW_MS - 301_000, "5 minutes"),
    ],
)
def test_what_is_not_signed_well_is_refused(
    changed: dict[str, str], body: bytes, now_ms: int, why: str
) -> None:
    with pytest.raises(UnverifiedError, match=why):
        check({**HEADERS, **changed}, body, now_ms=now_ms)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_AAAA", "whsec_***", ""])
def test_a_secret_that_is_none_verifies_nothing(secret: str) -> None:
    key = base64.b64decode("AAAA") if "AAAA" in secret else b""
    signed = hmac.digest(key, f"{ID}.{STAMP}.".encode() + BODY, "sha256")
    made = {**HEADERS, "webhook-signature": f"v1,{base64.b64encode(signed).decode()}"}
    with pytest.raises(UnverifiedError, match="not whsec_ and base64"):
        check(made, secrets=(secret,))


@pytest.mark.parametrize("form", ["hex", "HEX", "base64"])
def test_a_plain_hmac_may_be_hexadecimal_or_base64(form: str) -> None:
    digest = hmac.new(b"plain", BODY, hashlib.sha256)
    said = {
        "hex": digest.hexdigest(),
        "HEX": digest.hexdigest().upper(),
        "base64": base64.b64encode(digest.digest()).decode(),
    }[form]
    headers = {"x-sig": f"sha256={said}"}
    told: dict[str, Any] = {"scheme": "hmac", "header": "X-Sig", "prefix": "sha256="}
    assert check(headers, secrets=("other", "plain"), **told) == ""
    for bad in ("", "sha256=", said, f"sha256={said[:-4]}", "sha256=" + "0" * 64):
        with pytest.raises(UnverifiedError):
            check({"x-sig": bad}, secrets=("plain",), **told)
    with pytest.raises(UnverifiedError, match="X-Sig is missing"):
        check({}, secrets=("plain",), **told)


def test_reports_are_found_by_their_paths() -> None:
    told = settings(kind="event.type", mark="tags.0.value", address="to.0", id="event.id")
    body = {
        "event": {"type": "b", "id": 7},
        "tags": [{"value": "m"}],
        "to": ["ada@x.test", "bob@x.test"],
    }
    assert read(told, json.dumps(body).encode(), "c") == [Report("bounce", "m", "ada@x.test", "7")]


def test_several_reports_have_ids_of_their_own() -> None:
    told = settings(reports="items", kind="k")
    items = [{"k": "b", "mark": "1"}, {"k": "n"}, {"k": "unknown"}, {"k": "b", "mark": "2"}, 5]
    body = json.dumps({"items": items}).encode()
    stem = hashlib.sha256(body).hexdigest()
    assert [r.id for r in read(told, body, "c")] == ["c:0", "c:3"]
    assert [r.id for r in read(told, body, "")] == [f"{stem}:0", f"{stem}:3"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[" * 100_000, b'{"type": 1e999}', json.dumps([{}] * (REPORTS_MAX + 1))],
)
def test_a_body_that_is_no_list_of_reports_is_refused(body: Any) -> None:
    data = body.encode() if isinstance(body, str) else body
    with pytest.raises(ValueError, match=r"no JSON|at most 1,000"):
        read(settings(), data, "c")


@pytest.mark.parametrize(
    "value", [None, True, [], {}, {"type": ["b"]}, {"type": {"b": 1}}, {"type": True}, "b", 7]
)
def test_other_shapes_say_nothing(value: Any) -> None:
    assert read(settings(), json.dumps(value).encode(), "c") == []
