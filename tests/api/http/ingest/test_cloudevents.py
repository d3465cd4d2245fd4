"""CloudEvents that are not as they should be, and those with other data."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from api.http.ingest.cloudevents import BATCHED, STRUCTURED, read_events
from api.http.ingest.translation import Places
from api.http.problems import ProblemError
from core.tenant_schema import TenantSchema

PLACES = Places.of(TenantSchema())
EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "order", "subject": "ada"}


def structured(**more: Any) -> Any:
    body = json.dumps({**EVENT, **more}).encode()
    return read_events(body, {"content-type": STRUCTURED}, PLACES).rows[0]


def test_data_may_be_in_base64() -> None:
    data = base64.b64encode(b'{"amount": 3}').decode()
    assert structured(data_base64=data)["properties"] == {"amount": 3}


def test_identify_changes_the_record() -> None:
    row = structured(type="headrace.identify", data={"plan": "gold"})
    assert (row["set"], "event" in row) == ({"plan": "gold"}, False)


def test_headers_are_unescaped() -> None:
    headers = {f"ce-{name}": value for name, value in EVENT.items()} | {"ce-subject": "%C3%A5 b"}
    (row,) = read_events(b"", headers, PLACES).rows
    assert row == {"customer": "å b", "message_id": "cloudevents:/s 1", "event": "order"}


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"id": None}, "/id"),
        ({"source": 7}, "/source"),
        ({"type": ""}, "/type"),
        ({"subject": None}, "/subject"),
        ({"data": [1]}, "/data"),
        ({"data_base64": "%"}, "/data_base64"),
    ],
)
def test_a_wrong_event_is_told_with_its_place(more: dict[str, Any], pointer: str) -> None:
    with pytest.raises(ProblemError) as found:
        structured(**more)
    problem = found.value.problem
    assert (problem.status, problem.code, problem.pointer) == (400, "not-a-cloudevent", pointer)


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        ("application/json", b"{}", 400, "not-a-cloudevent"),
        ("application/cloudevents+xml", b"<a/>", 415, "unsupported-media-type"),
        ("application/cloudevents-batch+avro", b"", 415, "unsupported-media-type"),
        (BATCHED, b"{}", 400, "invalid-shape"),
        (STRUCTURED, b"x" * 600_000, 413, "too-large"),
    ],
)
def test_a_wrong_request_is_told(kind: str, body: bytes, status: int, code: str) -> None:
    with pytest.raises(ProblemError) as found:
        read_events(body, {"content-type": kind}, PLACES)
    assert (found.value.problem.status, found.value.problem.code) == (status, code)
