"""Quotas of tenants: what they may be, and the budgets that they become."""

from __future__ import annotations

import pytest

from actors.service import jobs, launches, quotas
from actors.service.errors import InvalidError
from actors.service.rate import Rates
from actors.service.tenants import Tenant

NOW = 1_790_000_000_000


def test_a_quota_becomes_a_budget_and_goes_again() -> None:
    rates = Rates()
    for given, capacity, per_second in (
        ({"requests_per_second": 2}, 10, 2.0),
        ({"dry_runs_per_hour": 60}, 1_000, 200),
        ({}, 1_000, 200),
    ):
        quotas.apply(rates, Tenant("acme", "Acme", NOW, quotas=given))
        found = rates.look("acme", "k", "api", NOW)
        assert (found.capacity, found.per_second) == (capacity, per_second)
    quotas.apply(rates, Tenant("acme", "Acme", NOW, quotas={"dry_runs_per_hour": 60}))
    assert rates.look("acme", "k", "simulations", NOW).per_second == pytest.approx(1 / 60)
    assert rates.look("other", "k", "simulations", NOW).per_second == pytest.approx(1 / 30)


@pytest.mark.parametrize("wrong", [{"moons": 1}, {"events_per_second": 0}, {"api": 2}])
def test_a_quota_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidError, match="quota"):
        quotas.checked(wrong)


def test_every_count_that_is_obeyed_can_be_set() -> None:
    assert set(quotas.COUNTS) == {launches.QUOTA, *jobs.LIMITS}
