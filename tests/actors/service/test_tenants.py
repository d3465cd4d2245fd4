"""Tenants while the service stops."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from actors.service.errors import NotFoundError
from actors.service.plane import Plane
from actors.service.tenants import FIRST, Tenant, Tenants
from waiting import PATIENCE_S


class FakeEngine:
    """Knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        """Close it."""
        self.closed = True


def test_two_who_ask_at_once_open_one_engine(tmp_path: Path) -> None:
    started: list[FakeEngine] = []
    begun, go = threading.Event(), threading.Event()

    def start(folder: Path, tenant: Tenant) -> Any:
        begun.set()
        go.wait(PATIENCE_S)
        started.append(FakeEngine())
        return started[-1]

    first: Any = FakeEngine()
    found: list[Any] = []
    with Plane.open(tmp_path / "plane") as plane:
        tenants = Tenants(tmp_path, plane, first, start)
        with plane.operator.write() as txn:
            tenants.put(txn, Tenant("acme", "Acme", 1))
        threads = [
            threading.Thread(target=lambda: found.append(tenants.engine("acme"))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        begun.wait(PATIENCE_S)
        go.set()
        for thread in threads:
            thread.join()
        tenants.close()
    assert found == started * 3
    assert started[0].closed
    assert not first.closed


def test_an_engine_that_opens_too_late_is_closed(tmp_path: Path) -> None:
    late = FakeEngine()
    with Plane.open(tmp_path / "plane") as plane:

        def start(folder: Path, tenant: Tenant) -> Any:
            tenants.close()
            return late

        first: Any = FakeEngine()
        tenants = Tenants(tmp_path, plane, first, start)
        with plane.operator.write() as txn:
            tenants.put(txn, Tenant("acme", "Acme", 1))
        with pytest.raises(NotFoundError, match="stopping"):
            tenants.engine("acme")
        assert tenants.engine(FIRST) is first
    assert late.closed
