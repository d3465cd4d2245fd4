"""Checks the latency harness of the live benchmark against services whose delays are known.

`bench` is no part of what is installed, so it is imported from the checkout.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from house import CHECKOUT


@pytest.fixture
def latency(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(CHECKOUT))
    return import_module("bench.live.latency")


def _server(clock: Any, seconds: Callable[[int], float]) -> Callable[[int], Future[int]]:
    """Serves one request after the other, each as long as `seconds` says of it."""
    free_at = 0.0

    def submit(number: int) -> Future[int]:
        nonlocal free_at
        future: Future[int] = Future()
        free_at = max(free_at, clock.now()) + seconds(number)
        clock.plan(free_at, lambda: future.set_result(number))
        return future

    return submit


def test_a_steady_server_takes_as_long_as_it_takes(latency: Any) -> None:
    clock = latency.DrivenClock()
    found = latency.open_loop(_server(clock, lambda _: 0.004), range(1_000), 100, clock)
    assert found.seconds == pytest.approx(np.full(1_000, 0.004))
    assert (found.p50_ms, found.p99_ms, found.max_ms) == pytest.approx((4, 4, 4))
    assert (found.offered, found.late) == (100, 0)
    assert found.achieved == pytest.approx(1_000 / 9.994)


def test_a_stall_is_charged_to_all_whom_it_kept_waiting(latency: Any) -> None:
    """A second's stall at 100 requests a second: 1.0 s, then 10 ms less 1 ms each."""
    clock = latency.DrivenClock()
    server = _server(clock, lambda number: 1.0 if number == 50 else 0.001)
    found = latency.open_loop(server, range(1_000), 100, clock)
    waited = np.maximum(1.0 - 0.009 * np.arange(950), 0.001)
    assert found.seconds == pytest.approx(np.concatenate([np.full(50, 0.001), waited]))
    # The ten longest of a thousand begin with 1.0 s, each 9 ms less than the one before.
    assert found.percentile(99) == pytest.approx(1.0 - 0.009 * 10)
    assert found.max_ms == pytest.approx(1_000)


def test_a_submit_that_blocks_does_not_hide_what_it_kept_back(latency: Any) -> None:
    clock = latency.DrivenClock()

    def submit(number: int) -> Future[None]:
        clock.sleep_until(clock.now() + (0.1 if number == 5 else 0))
        future: Future[None] = Future()
        future.set_result(None)
        return future

    found = latency.open_loop(submit, range(20), 100, clock)
    # Requests 6 to 14 were due while it blocked, and 15 just when it no longer did.
    kept = [0.1 - 0.01 * i for i in range(11)]
    assert found.seconds == pytest.approx([*[0] * 5, *kept, *[0] * 4], abs=1e-9)
    assert found.late == 9


def test_the_load_is_a_share_of_the_capacity(latency: Any) -> None:
    clock = latency.DrivenClock()
    found = latency.at_load(_server(clock, lambda _: 0.01), range(101), 100, 80, clock)
    assert found.offered == 80
    assert clock.now() == pytest.approx(100 / 80 + 0.01)


def test_percentiles_are_by_nearest_rank(latency: Any) -> None:
    found = latency.Latencies(np.arange(1, 201) / 1e3, 1.0, 1.0, 0)
    assert (found.p50_ms, found.p99_ms, found.max_ms) == (100, 198, 200)


def test_what_goes_wrong_is_raised(latency: Any) -> None:
    clock = latency.DrivenClock()
    with pytest.raises(ValueError, match="must be positive"):
        latency.open_loop(_server(clock, lambda _: 0), range(1), 0, clock)
    with pytest.raises(ValueError, match="no request"):
        latency.open_loop(_server(clock, lambda _: 0), [], 1, clock)
    with pytest.raises(TimeoutError):
        latency.open_loop(_server(clock, lambda _: 61), range(1), 1, clock)

    def refuse(_: int) -> Future[None]:
        future: Future[None] = Future()
        future.set_exception(OSError("no space"))
        return future

    with pytest.raises(OSError, match="no space"):
        latency.open_loop(refuse, range(1), 1, clock)


def test_futures_of_other_threads_are_timed(latency: Any) -> None:
    with ThreadPoolExecutor(1) as pool:
        found = latency.open_loop(lambda n: pool.submit(pow, n, 2), range(50), 1_000)
        assert len(found.seconds) == 50
        assert 0 < found.p50_ms <= found.p99_ms <= found.max_ms
        stuck: Future[None] = Future()
        with pytest.raises(TimeoutError):
            latency.open_loop(lambda _: stuck, range(1), 1_000, drain_s_max=0.01)
