"""Gives the micro-benchmarks their stopwatch, their short form, and a name for the machine."""

from __future__ import annotations

from typing import Any

import pytest

from bench import results
from bench.micro.stopwatch import Stopwatch


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--micro-short`."""
    parser.addoption(
        "--micro-short", action="store_true", help="micro-benchmarks of few customers: a try"
    )


@pytest.fixture(name="stopwatch")
def _stopwatch(benchmark: Any, request: pytest.FixtureRequest) -> Stopwatch:
    return Stopwatch(benchmark, short=request.config.getoption("--micro-short"))


def pytest_benchmark_generate_machine_info() -> dict[str, Any]:
    """Describe the machine as the large benchmark does."""
    return results.machine()
