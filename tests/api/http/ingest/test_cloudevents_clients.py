"""The CloudEvents library as it is, in the three modes of HTTP."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from http_service import Served

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def event(**more: Any) -> CloudEvent:
    attributes = {
        "id": str(uuid.uuid4()),
        "source": "/shop/orders",
        "type": "order",
        "subject": "ådå 1",
        "time": AT,
        "datacontenttype": "application/json",
    }
    return CloudEvent(attributes | more, data={"amount": 59.9})


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
def test_events_arrive_once(service: Served, write: Callable[[Any], Any]) -> None:
    sent = event()
    for outcome in ({"accepted": 1, "duplicates": 0}, {"accepted": 0, "duplicates": 1}):
        message = write(sent)
        answer = service.ask(
            "POST", "/v1/cloudevents", headers=message.headers, content=message.body
        )
        assert (answer.status_code, answer.json()) == (200, {**outcome, "refused": 0})
    (row, _) = service.engine.rows
    assert row == {
        "customer": "ådå 1",
        "event": "order",
        "occurred": int(AT.timestamp() * 1000),
        "message_id": f"cloudevents:/shop/orders {sent.get_id()}",
        "properties": {"amount": 59.9},
    }


def test_a_batch_arrives_but_for_what_is_wrong(service: Served) -> None:
    good = [json.loads(to_structured_event(event()).body) for _ in range(2)]
    wrong = [{**good[0], "id": ""}, {**good[0], "id": "n", "specversion": "0.3"}, 7]
    answer = service.ask(
        "POST",
        "/v1/cloudevents",
        headers={"Content-Type": "application/cloudevents-batch+json; charset=utf-8"},
        content=json.dumps([good[0], *wrong, good[1]]),
    ).json()
    assert (answer["accepted"], answer["refused"]) == (2, 3)
    assert [(r["row"], r["pointer"], r["code"]) for r in answer["rows"]] == [
        (1, "/1/id", "missing-field"),
        (2, "/2/specversion", "invalid-value"),
        (3, "/3", "invalid-json"),
    ]
