"""Tests of the wait before the next attempt."""

import numpy as np
import pytest

from actors.relay.backoff import Backoff


def test_full_jitter_is_uniform_below_a_doubling_bound() -> None:
    rng = np.random.default_rng(1)
    backoff = Backoff(1_000, 8_000)
    for failures, bound in ((1, 1_000), (2, 2_000), (4, 8_000), (5, 8_000), (10**9, 8_000)):
        drawn = [backoff.delay_ms(failures, rng) for _ in range(2_000)]
        assert 0 <= min(drawn) < bound * 0.05
        assert bound * 0.95 < max(drawn) <= bound
        assert abs(np.mean(drawn) - bound / 2) < bound * 0.05


def test_the_same_seed_draws_the_same_and_a_floor_is_kept() -> None:
    first, second = np.random.default_rng(2), np.random.default_rng(2)
    drawn = [Backoff().delay_ms(n, first, 5_000) for n in range(1, 50)]
    assert drawn == [Backoff().delay_ms(n, second, 5_000) for n in range(1, 50)]
    assert min(drawn) >= 5_000


def test_there_is_no_wait_without_a_failure() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Backoff().delay_ms(0, np.random.default_rng(3))
