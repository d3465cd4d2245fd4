"""The PostHog library as it is, in both versions of its protocol, but for host and key."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import posthog
import pytest

from actors.live.errors import BusyError, DownError
from http_service import Served

Connect = Callable[..., Any]
TOLD_S = 2  # how long to wait, as a refusal says: 503 does so by itself


@pytest.fixture(params=["v0", "v1"])
def connect(request: pytest.FixtureRequest, service: Served) -> Iterator[Connect]:
    """Makes clients of one version; what one could not send fails the test.

    Of events that are dropped only version 1 tells its callers, with the status 200.
    """
    clients: list[Any] = []
    failures: list[Any] = []

    def made(**options: Any) -> Any:
        client = posthog.Posthog(
            service.events,
            host=service.url,
            capture_mode=request.param,
            on_error=lambda error, batch: failures.append(error),
            flush_interval=0.05,
            **options,
        )
        clients.append(client)
        return client

    yield made
    for client in clients:
        client.shutdown()
    assert [failure for failure in failures if failure.status != 200] == []


def person() -> str:
    return f"u-{uuid.uuid4()}"


@pytest.mark.parametrize("options", [{}, {"gzip": True}], ids=["plain", "gzip"])
def test_captured_events_arrive(connect: Connect, service: Served, options: dict[str, Any]) -> None:
    client, user = connect(**options), person()
    at = datetime.now(UTC) - timedelta(minutes=5)
    client.capture("signup", distinct_id=user, properties={"plan": "gold"}, timestamp=at)
    client.set(distinct_id=user, properties={"plan": "gold", "email": "ada@example.com"})
    client.flush()
    assert service.engine.total == (2, 0, 0)
    event = next(row for row in service.engine.rows if "event" in row)
    assert event["properties"] == {"plan": "gold"}
    assert 0 <= event["occurred"] - at.timestamp() * 1000 < 2_000
    state = service.engine.state_of(user)
    assert (state["attributes"], state["personal"]) == (
        {"plan": "gold"},
        {"email": "ada@example.com"},
    )


@pytest.mark.parametrize("compression", ["gzip", "deflate", "none"])
def test_version_1_compresses_as_it_likes(service: Served, compression: str) -> None:
    failures: list[object] = []
    client = posthog.Posthog(
        service.events,
        host=service.url,
        capture_mode="v1",
        capture_compression=compression,
        on_error=lambda error, batch: failures.append(error),
    )
    client.capture("signup", distinct_id=person())
    client.shutdown()
    assert (service.engine.total, failures) == ((1, 0, 0), [])


def test_what_is_set_once_stays(connect: Connect, service: Served) -> None:
    client, user = connect(), person()
    for plan in ("gold", "free"):
        client.set_once(distinct_id=user, properties={"plan": plan})
        client.flush()
    assert service.engine.state_of(user)["attributes"] == {"plan": "gold"}


def test_an_alias_makes_two_ids_one_customer(connect: Connect, service: Served) -> None:
    client, anonymous, user = connect(), person(), person()
    client.set(distinct_id=anonymous, properties={"plan": "gold"})
    client.alias(anonymous, user)
    client.flush()
    assert service.engine.state_of(user)["attributes"] == {"plan": "gold"}
    assert service.engine.state_of(anonymous) == service.engine.state_of(user)


def test_a_group_of_nobody_is_refused(connect: Connect, service: Served) -> None:
    client = connect()
    client.group_identify("company", "acme", {"size": 3})
    client.group_identify("company", "acme", {"size": 3}, distinct_id=person())
    client.flush()
    codes = [code for _, reply in service.engine.sent for _, _, code, _ in reply.rejects]
    assert codes == ["group-traits-not-kept"]
    assert service.engine.total == (1, 0, 1)


@pytest.mark.parametrize(
    "failure",
    [BusyError("a queue is full", retry_after_ms=TOLD_S * 1_000), DownError("a partition is down")],
    ids=["429", "503"],
)
def test_what_is_refused_for_now_is_sent_again(
    connect: Connect, service: Served, failure: Exception
) -> None:
    client, user = connect(), person()
    service.engine.failures.append(failure)
    began_s = time.monotonic()
    client.capture("signup", distinct_id=user)
    client.flush()
    client.shutdown()
    assert service.engine.failures == []
    assert service.engine.total == (1, 0, 0)
    assert time.monotonic() - began_s >= TOLD_S


def test_a_repeated_event_counts_once(connect: Connect, service: Served) -> None:
    client, user, event = connect(), person(), str(uuid.uuid4())
    for _ in range(2):
        client.capture("signup", distinct_id=user, uuid=event)
        client.flush()
    assert service.engine.total == (1, 1, 0)


def test_there_are_no_feature_flags(connect: Connect) -> None:
    client = connect()
    flags = client.evaluate_flags(person())
    assert flags.is_enabled("x") is False
