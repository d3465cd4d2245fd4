"""Scenario 43 for coupled flows: with the grants that live gave, the reference decides alike."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from core.couplings import (
    TrialSpec,
    resources_of,
)
from core.reference import run
from coupled_cases import coupled_case, crowded_case
from coupled_tenant import CoupledTenant
from differential import TooLongError, run_reference
from live_cases import Way, live_options, run_live, sorted_records

SEEDS = st.integers(0, 2**63 - 1)
PHASES = (Phase.explicit, Phase.generate)
ALONE = (Way(), Way(batch=3, restart_every=4, snapshots=True))
TOGETHER = (Way(3, 5, restart_every=6), Way(2, 64, snapshots=True))


def check(case: dict[str, Any], seed: int) -> int:
    """Run a coupled case live; returns how many claims were answered."""
    loaded = live_options(case)
    # Live, a version states its own rate and coupons.
    loaded = replace(loaded, options=replace(loaded.options, coupons={}, entry_rate=None))
    try:
        run_reference(loaded)
    except TooLongError:
        return 0
    specs = resources_of(loaded.flow, loaded.options)
    # A decision takes effect in each partition when it comes there.
    ways = ALONE if any(isinstance(s, TrialSpec) for s in specs) else ALONE + TOGETHER
    claims = 0
    for way in ways:
        with tempfile.TemporaryDirectory() as folder:
            tenant = run_live(Path(folder), loaded, way, seed, kind=CoupledTenant)
            assert isinstance(tenant, CoupledTenant)
            tenant.settle(loaded.options.horizon_ms - 1)
            tenant.close()
        grants = tenant.grants()
        expected = run(loaded.flow, loaded.audience, loaded.options, grants=grants).records
        found = sorted_records(tenant.records, loaded.audience)
        assert found == expected, f"seed {seed}, {way}: {first_difference(expected, found)}"
        claims += len(grants.answers)
    return claims


def first_difference(expected: list[Any], found: list[Any]) -> str:
    """The first record in which two logs differ."""
    for number, (one, other) in enumerate(zip(expected, found, strict=False)):
        if one != other:
            return f"record {number}: {one} against {other}"
    return f"{len(expected)} records against {len(found)}"


@pytest.mark.parametrize("make", [crowded_case, coupled_case])
def test_with_the_same_grants_the_reference_decides_alike(make: Any) -> None:
    claims = 0

    @settings(max_examples=15, phases=PHASES)
    @given(SEEDS)
    def check_one(seed: int) -> None:
        nonlocal claims
        claims += check(make(seed), seed)

    check_one()
    print(f"scenario 43, coupled: {claims:,} claims answered, 0 decisions differ")
    assert claims > 100


@pytest.mark.soak
@pytest.mark.parametrize("make", [crowded_case, coupled_case])
def test_with_the_same_grants_the_reference_decides_alike_in_many_cases(make: Any) -> None:
    @settings(max_examples=2_000, phases=PHASES)
    @given(SEEDS)
    def check_one(seed: int) -> None:
        check(make(seed), seed)

    check_one()
