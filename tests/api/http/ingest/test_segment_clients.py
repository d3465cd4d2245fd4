"""The Segment, RudderStack and Customer.io-CDP libraries as they are, but for host and key."""

from __future__ import annotations

import inspect
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import customerio.analytics.client
import pytest
import rudderstack.analytics.client
import segment.analytics.client

from actors.live.errors import BusyError, DownError
from http_service import Served

# What libraries do with deprecated functions is theirs.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

LIBRARIES = {
    "segment": segment.analytics.client.Client,
    "rudderstack": rudderstack.analytics.client.Client,
    "customerio": customerio.analytics.client.Client,
}
Connect = Callable[..., Any]
TOLD_S = 2  # how long to wait, as a refusal says: 503 does so by itself


@pytest.fixture(params=LIBRARIES)
def connect(request: pytest.FixtureRequest, service: Served) -> Iterator[Connect]:
    """Makes clients of one library after the other; what one could not send fails the test."""
    clients: list[Any] = []
    failures: list[object] = []

    def made(**options: Any) -> Any:
        library = LIBRARIES[request.param]
        known = inspect.signature(library).parameters
        quick = {name: 0.05 for name in ("upload_interval", "flush_interval") if name in known}
        client = library(
            service.events,
            host=service.url,
            on_error=lambda error, batch: failures.append(error),
            **quick,
            **options,
        )
        clients.append(client)
        return client

    yield made
    for client in clients:
        client.join()
    assert failures == []


def person() -> str:
    return f"u-{uuid.uuid4()}"


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
def test_identify_and_track_arrive(connect: Connect, service: Served, gzip: bool) -> None:
    client, user = connect(gzip=gzip), person()
    at = datetime.now(UTC) - timedelta(minutes=5)
    client.identify(user, {"email": "ada@example.com", "plan": "gold", "address": {"city": "Riga"}})
    client.track(user, "signup", {"plan": "gold"}, timestamp=at)
    client.flush()
    assert service.engine.total == (2, 0, 0)
    state = service.engine.state_of(user)
    assert state["attributes"] == {"plan": "gold", "address_city": "Riga"}
    assert state["personal"] == {"email": "ada@example.com"}
    event = next(row for row in service.engine.rows if "event" in row)
    assert event["properties"] == {"plan": "gold"}
    # The library's clock is this machine's, so that only the way is corrected.
    assert 0 <= event["occurred"] - at.timestamp() * 1000 < 2_000


def test_page_screen_and_group_arrive(connect: Connect, service: Served) -> None:
    client, user = connect(), person()
    client.page(user, "docs", "home", {"url": "https://example.com/a", "title": "A"})
    client.screen(user, "phone", "checkout", {})
    client.group(user, "acme", {"size": 3})
    client.flush()
    assert service.engine.total == (3, 0, 0)
    rows = {row.get("event", "group"): row for row in service.engine.rows}
    assert rows["page_visited"]["properties"] == {"url": "https://example.com/a"}
    assert rows["screen_viewed"]["properties"] == {"screen": "checkout"}
    assert rows["group"]["groups"] == {"add": ["acme"]}


def test_an_alias_makes_two_ids_one_customer(connect: Connect, service: Served) -> None:
    client, anonymous, user = connect(), person(), person()
    client.identify(anonymous, {"plan": "gold"})
    client.flush()
    client.alias(anonymous, user)
    client.flush()
    assert service.engine.total == (2, 0, 0)
    state = service.engine.state_of(user)
    assert state["attributes"] == {"plan": "gold"}
    assert service.engine.state_of(anonymous) == state
    client.alias(anonymous, person())
    client.flush()
    assert service.engine.total == (2, 0, 1)
    assert [c for _, reply in service.engine.sent for _, _, c, _ in reply.rejects] == [
        "merge-refused"
    ]


def test_an_event_that_nobody_declared_costs_only_itself(connect: Connect, service: Served) -> None:
    client, user = connect(), person()
    client.track(user, "unheard of")
    client.track(user, "signup")
    client.flush()
    assert service.engine.total == (1, 0, 1)


@pytest.mark.parametrize(
    "failure",
    [BusyError("a queue is full", retry_after_ms=TOLD_S * 1_000), DownError("a partition is down")],
    ids=["429", "503"],
)
def test_what_is_refused_for_now_is_sent_again(
    connect: Connect, service: Served, failure: Exception, request: pytest.FixtureRequest
) -> None:
    client, user = connect(), person()
    service.engine.failures.append(failure)
    began_s = time.monotonic()
    client.track(user, "signup")
    client.flush()
    client.join()
    assert service.engine.failures == []
    assert service.engine.total == (1, 0, 0)
    # The other two wait as they like; they'd try more often than they are told to wait.
    if request.node.callspec.params["connect"] == "segment":
        assert time.monotonic() - began_s >= TOLD_S


def test_a_repeated_message_counts_once(connect: Connect, service: Served) -> None:
    client, user, message = connect(), person(), str(uuid.uuid4())
    for _ in range(3):
        client.track(user, "signup", message_id=message)
        client.flush()
    assert service.engine.total == (1, 2, 0)
