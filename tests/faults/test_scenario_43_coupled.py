"""Scenario 43 for coupled flows: with the grants that live gave, the reference decides alike."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from actors.live.coordinator import Desk
from core.couplings import (
    ANSWER,
    CLAIM,
    DECISION,
    Coordinator,
    Grants,
    Kind,
    TrialSpec,
    resources_of,
)
from core.reference import run
from coupled_cases import coupled_case, crowded_case
from differential import Loaded, TooLongError, run_reference
from live_cases import Tenant, Way, live_options, run_live, sorted_records

SEEDS = st.integers(0, 2**63 - 1)
PHASES = (Phase.explicit, Phase.generate)
ALONE = (Way(), Way(batch=3, restart_every=4, snapshots=True))
TOGETHER = (Way(3, 5, restart_every=6), Way(2, 64, snapshots=True))


class CoupledTenant(Tenant):
    """Answers claims after every commit, and keeps the answers as they took effect."""

    def __init__(self, folder: Path, loaded: Loaded, way: Way) -> None:
        self.specs = resources_of(loaded.flow, loaded.options)
        self.desk = Desk(Coordinator(self.specs))
        self.granted: dict[tuple[int, int], tuple[int, int]] = {}
        self.decided: dict[int, tuple[int, int]] = {}
        super().__init__(folder, loaded, way)

    def _after(self, number: int) -> None:
        super()._after(number)
        if self.partitions[number].control_sequence:
            self.coordinate()

    def coordinate(self) -> int:
        """Answer what was claimed; returns how many claims and reports were."""
        found = {n: p.open_claims(1) for n, p in enumerate(self.partitions)}
        fresh: dict[int, Any] = {}
        for number, (acked, data, _) in found.items():
            claims = np.frombuffer(data, CLAIM)
            begin = self.desk.align(number, acked, acked + len(claims))
            if begin < acked + len(claims):
                fresh[number] = begin, claims[begin - acked :]
        clocks = [clock for _, _, clock in found.values()]
        self.desk.take(fresh, min(clocks), max(clocks))
        decisions = self.desk.coordinator.decisions()
        answered = 0
        for number, (acked, data, clock) in found.items():
            lacking = self.desk.lacking(number, acked)
            if not len(lacking) and not len(decisions):
                continue
            for claim, answer in zip(np.frombuffer(data, CLAIM), lacking, strict=True):
                if claim["kind"] <= Kind.COUPON:
                    key = int(claim["hash"]), int(claim["number"])
                    self.granted[key] = max(int(answer["time_ms"]), clock), int(answer["result"])
            for time_ms, resource, branch in decisions.tolist():
                self.decided.setdefault(resource, (max(time_ms, clock), branch))
            self.partitions[number].grant(
                1, acked + len(lacking), lacking.tobytes(), decisions.tobytes()
            )
            answered += len(lacking)
        return answered

    def settle(self, until_ms: int) -> None:
        """Let the time pass until nothing more is claimed."""
        while True:
            self.tick(until_ms)
            if not self.coordinate():
                return

    def grants(self) -> Grants:
        """The answers by the audience's rows."""
        audience = self.loaded.audience
        answers: list[tuple[int, int, int]] = []
        offsets = [0]
        for hashed in audience.id_hash.tolist():
            mine = sorted((n, *a) for (h, n), a in self.granted.items() if h == hashed)
            assert [n for n, _, _ in mine] == list(range(len(mine)))
            answers += [(time_ms, result, 0) for _, time_ms, result in mine]
            offsets.append(len(answers))
        decided = [
            (time_ms, resource, branch) for resource, (time_ms, branch) in self.decided.items()
        ]
        return Grants(
            np.array(offsets, np.int64), np.array(answers, ANSWER), np.array(decided, DECISION)
        )


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
