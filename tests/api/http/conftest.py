"""Serves one service to all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from http_service import Served, served


@pytest.fixture(scope="module")
def _module_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("service") / "data") as found:
        yield found


@pytest.fixture
def service(_module_service: Served) -> Iterator[Served]:
    """The service, as if it had been sent nothing yet."""
    _module_service.engine.forget()
    yield _module_service
    _module_service.engine.forget()
