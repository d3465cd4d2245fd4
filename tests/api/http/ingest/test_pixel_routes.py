"""Pixels: calls that come in the address of an image, and keys that may stand there."""

from __future__ import annotations

import base64
import json
import logging
import uuid
from typing import Any
from urllib.parse import urlencode

import pytest

from api.http.ingest import posthog_web
from api.http.problems import ProblemError
from api.http.routes.tracking import PIXEL
from http_service import Served


def packed(call: dict[str, Any]) -> str:
    return urlencode({"data": base64.b64encode(json.dumps(call).encode()).decode()})


def test_segments_pixel_stores_a_call_once(service: Served) -> None:
    user = str(uuid.uuid4())
    call = {"writeKey": service.events, "userId": user, "event": "order", "messageId": user}
    path = f"/v1/pixel/track?{packed({**call, 'properties': {'amount': 5.5}})}"
    for _ in range(2):
        answer = service.ask("GET", path, key="")
        assert (answer.status_code, answer.content) == (200, PIXEL)
        assert answer.headers["content-type"] == "image/gif"
        assert answer.headers["access-control-allow-origin"] == "*"
    assert service.engine.total == (1, 1, 0)
    assert service.engine.rows[0]["properties"] == {"amount": 5.5}


def test_rudderstacks_pixel_has_its_fields_one_by_one(service: Served) -> None:
    user = str(uuid.uuid4())
    fields = {"writeKey": service.events, "anonymousId": user, "properties.plan": "gold"}
    path = f"/pixel/v1/track?{urlencode({**fields, 'event': 'signup', 'messageId': user})}"
    assert service.ask("GET", path, key="").content == PIXEL
    assert service.engine.total == (1, 0, 0)
    row = service.engine.rows[0]
    assert (row["event"], row["properties"]) == ("signup", {"plan": "gold"})
    twice = f"/pixel/v1/track?writeKey={service.events}&a=1&a.b=2"
    assert service.ask("GET", twice, key="").json()["code"] == "invalid-query"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/projects/{key}/settings",
        "/array/{key}/config",
        "/pixel/v1/track?writeKey={key}&event=e",
    ],
)
def test_only_keys_that_send_events_may_stand_in_an_address(service: Served, path: str) -> None:
    assert service.ask("GET", path.format(key="hr_live_x"), key="").status_code in (401, 404)
    assert service.ask("GET", path.format(key=service.admin), key="").status_code in (403, 404)
    if "event" not in path:
        assert service.ask("GET", path.format(key=service.events), key="").status_code == 200


def test_no_key_of_an_address_is_logged(service: Served, caplog: pytest.LogCaptureFixture) -> None:
    call = {"writeKey": service.events, "userId": "u", "event": "signup"}
    with caplog.at_level(logging.DEBUG):
        for path in (
            f"/v1/pixel/track?{packed(call)}",
            f"/pixel/v1/page?writeKey={service.events}&userId=u",
            f"/array/{service.events}/config",
            f"/v1/projects/{service.events}/settings",
        ):
            assert service.ask("GET", path, key="").status_code == 200
    # The server's own lines about requests go nowhere: here they are only seen by the test's hook.
    assert not logging.getLogger("uvicorn.access").propagate
    others = ("httpx", "httpcore", "uvicorn.access")
    ours = [record for record in caplog.records if not record.name.startswith(others)]
    assert any(record.name == "headrace.http" for record in ours)
    told = "\n".join(record.getMessage() for record in ours)
    assert service.events not in told
    assert packed(call)[5:40] not in told


def test_what_is_no_base64_is_told(service: Served) -> None:
    answer = service.ask("GET", "/v1/pixel/track?data=%25%25", key="")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-data")
    assert (
        service.ask("GET", f"/v1/pixel/track?{packed({'event': 'e'})}", key="").status_code == 401
    )


EVENT = {"event": "signup", "properties": {"token": "hr_1", "distinct_id": "u"}}
PLAIN = json.dumps(EVENT).encode()
FORM = b"data=" + base64.b64encode(PLAIN).replace(b"+", b"%2B").replace(b"=", b"%3D")


@pytest.mark.parametrize("body", [PLAIN, b"[" + PLAIN + b"]", FORM, b"data=" + PLAIN], ids=str)
def test_posthog_js_has_its_key_in_every_form(body: bytes) -> None:
    assert posthog_web.key_of(body) == "hr_1"


@pytest.mark.parametrize("body", [b"data=", b"data=%25", b"data=\xff"])
def test_a_form_without_events_is_told(body: bytes) -> None:
    with pytest.raises(ProblemError):
        posthog_web.unwrapped(body)
