"""Tests of results as events."""

from actors.relay.results import Result
from relaying import EFFECT, EPOCH_MS


def test_an_event_says_what_the_flow_needs_and_nothing_personal() -> None:
    result = Result("message_failed", EFFECT, EPOCH_MS + 1_500, "http_400", 2)
    assert result.event() == {
        "id": f"{EFFECT.key}:message_failed",
        "event": "message_failed",
        "customer": 7,
        "time_ms": EPOCH_MS + 1_500,
        "flow": "welcome",
        "version": 3,
        "entry": 11,
        "node": "greeting",
        "visit": 1,
        "channel": "email",
        "template": "hello",
        "reason": "http_400",
        "attempts": 2,
        "message_id": "",
        "delay_ms": 1_500,
    }
