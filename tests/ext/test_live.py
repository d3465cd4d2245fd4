"""Holds the live machine against the dry run of the same inputs, however they come."""

from __future__ import annotations

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from differential import TooLongError, difference, run_reference
from live_feeding import FEEDINGS, feed_all, live_bound, loaded_live
from random_flows import random_case

SEEDS = st.integers(0, 2**63 - 1)
PHASES = (Phase.explicit, Phase.generate)
CASES = 150


def check(seed: int) -> None:
    """Run the case of a seed live, fed in every way."""
    loaded = loaded_live(random_case(seed))
    try:
        expected = run_reference(loaded)
    except TooLongError:
        return
    bound, empty = live_bound(loaded)
    for feeding in FEEDINGS:
        found = difference(expected, feed_all(bound, empty, feeding, seed))
        assert found is None, f"seed {seed}, {feeding}: {found}"
        _, counters = feed_all(bound, empty, feeding, seed, log=False)
        found = difference(([], expected[1]), ([], counters))
        assert found is None, f"seed {seed}, {feeding}, without a log: {found}"


@settings(max_examples=CASES, phases=PHASES)
@given(SEEDS)
def test_live_decides_as_the_reference_does(seed: int) -> None:
    check(seed)


@pytest.mark.soak
@settings(phases=PHASES)
@given(SEEDS)
def test_live_decides_as_the_reference_does_in_many_cases(seed: int) -> None:
    check(seed)
