"""Scenarios 43 to 45: live decides as the dry run does, however it is cut up and restarted."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from differential import TooLongError, run_reference
from live_cases import Tenant, Way, live_options, run_live, sorted_records
from random_flows import random_case

SEEDS = st.integers(0, 2**63 - 1)
PHASES = (Phase.explicit, Phase.generate)
WAYS = (
    Way(),
    Way(batch=1),
    Way(2, 64, restart_every=3, snapshots=True),
    Way(4, 7, restart_every=5),
    Way(8, 4096, snapshots=True),
)


def check(seed: int, ways: tuple[Way, ...] = WAYS) -> int:
    """Run a case live in every way; returns its steps, times the ways."""
    loaded = live_options(random_case(seed))
    try:
        expected = run_reference(loaded)[0]
    except TooLongError:
        return 0
    digests = {}
    for way in ways:
        with tempfile.TemporaryDirectory() as folder:
            tenant = run_live(Path(folder), loaded, way, seed)
            digests[way] = sum(p.digest() for p in tenant.partitions) % 2**64
            tenant.close()
            found = sorted_records(tenant.records, loaded.audience)
            assert found == expected, f"seed {seed}, {way}: {first_difference(expected, found)}"
    assert len(set(digests.values())) == 1, f"seed {seed}: {digests}"
    return len(expected) * len(ways)


def first_difference(expected: list[object], found: list[object]) -> str:
    """The first record in which two logs differ."""
    for number, (one, other) in enumerate(zip(expected, found, strict=False)):
        if one != other:
            return f"record {number}: {one} against {other}"
    return f"{len(expected)} records against {len(found)}"


def test_live_decides_as_the_dry_run_in_every_way() -> None:
    steps = 0

    @settings(max_examples=12, phases=PHASES)
    @given(SEEDS)
    def check_one(seed: int) -> None:
        nonlocal steps
        steps += check(seed)

    check_one()
    print(f"scenario 43: {steps:,} decisions, 0 differ")
    assert steps > 500


@pytest.mark.soak
def test_live_decides_as_the_dry_run_in_many_cases() -> None:
    steps = 0

    @settings(phases=PHASES)
    @given(SEEDS)
    def check_one(seed: int) -> None:
        nonlocal steps
        steps += check(seed)

    check_one()
    print(f"scenario 43: {steps:,} decisions, 0 differ")


def test_replaying_the_journal_gives_the_same_log(tmp_path: Path) -> None:
    compared = 0
    for seed in range(12):
        loaded = live_options(random_case(seed))
        try:
            run_reference(loaded)
        except TooLongError:
            continue
        folder = tmp_path / str(seed)
        tenant = run_live(folder, loaded, Way(2, 16), seed)
        tenant.close()
        again = Tenant(folder, loaded, Way(2, 16))
        again.close()
        assert again.records == tenant.records
        compared += len(again.records)
    assert compared > 100
