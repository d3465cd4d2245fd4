"""Asks the routes of flows as the admin, as users, and at other times."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from flow_asking import Ask
from http_service import Served


@pytest.fixture
def ask(service: Served) -> Ask:
    """Asks as the admin, or with another key."""

    def ask(method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        more.setdefault("key", service.admin)
        return service.ask(method, path, **({} if body is None else {"json": body}), **more)

    return ask


@pytest.fixture
def name() -> str:
    """The id of a flow that nobody has."""
    return f"f-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def keys(service: Served) -> Callable[[str, str | None], str]:
    """Keys of users by role."""

    def key(role: str, user: str | None = None) -> str:
        with service.service.plane.tenant("main").write() as txn:
            if user is not None and txn.get("users", user) is None:
                record = {"id": user, "name": user, "role": role, "created_ms": 1, "created_by": ""}
                txn.put("users", user, record)
            now_ms = service.service.now_ms()
            minted = service.service.keys.mint(
                txn, None, name=role, now_ms=now_ms, role=role, user=user
            )
        return minted.secret

    return key


@pytest.fixture
def clock(service: Served) -> Iterator[Callable[[int], None]]:
    """Lets the service's time go on, and the flows be looked after then."""
    found = service.service
    real = found.now_ms
    at_ms = [real()]
    found.now_ms = lambda: at_ms[0]

    def go_on(ms: int) -> None:
        at_ms[0] += ms
        found.flows.wake("main")
        found.flows.step(at_ms[0])

    yield go_on
    found.now_ms = real
    with found.plane.operator.write() as txn:
        record = txn.get("tenants", "main")
        assert record is not None
        txn.put("tenants", "main", {**record, "expires_ms": None, "quotas": {}})
    found.flows.wake("main")
    found.flows.step(real())
