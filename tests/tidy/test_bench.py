"""Checks that the benchmark runs, and that what it measures is the reference journey.

`bench` is no part of what is installed, so it is imported from the checkout.
"""

from importlib import import_module

import numpy as np
import pytest

from actors.dry_run import dry_run
from core.lint import lint
from house import CHECKOUT

CUSTOMERS = 20_000


@pytest.fixture(autouse=True)
def _checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(CHECKOUT))


def test_the_journey_is_as_it_is_described() -> None:
    journey = import_module("bench.journey")
    assert [v for v in lint(journey.FLOW) if v.severity != "info"] == []
    counters = dry_run(journey.bound_journey(CUSTOMERS)).counters[0]
    entered = dict(zip(journey.FLOW.nodes, counters.entered.tolist(), strict=True))
    assert entered["start"] == entered["end"] == counters.people == CUSTOMERS
    assert counters.steps / CUSTOMERS == pytest.approx(7.55, abs=0.02)
    shares = {
        "tag": 0.1, "later": 0.9, "mail-a": 0.05, "mail-b": 0.05, "consent": 0.9, "sms": 0.45,
    }  # fmt: skip
    for node, share in shares.items():
        assert entered[node] / CUSTOMERS == pytest.approx(share, abs=0.02), node
    assert np.all(counters.waiting == 0)


def test_the_benchmark_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    import_module("bench.__main__").main(5_000, 1)
    printed = capsys.readouterr().out
    assert "reference journey: 5,000 customers, 7.5" in printed
    assert "million entries/s" in printed
