"""Name the quotas of tenants, and turn those of speed into budgets.

A quota of speed is what each key of the tenant may have in the long run; all of its keys together
have four times that. For a while a key may go faster, as `actors.service.rate` tells.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.service import launches
from actors.service.errors import InvalidError
from actors.service.jobs import LIMITS as JOB_LIMITS
from actors.service.rate import BUDGETS, Budget, Rates
from actors.service.tenants import Tenant

HOUR_S = 3_600
SPEEDS: Mapping[str, tuple[str, float]] = {
    # The budget that each quota sets, and its unit in seconds.
    "requests_per_second": ("api", 1),
    "events_per_second": ("events", 1),
    "dry_runs_per_hour": ("simulations", HOUR_S),
}
LIMITS = (*JOB_LIMITS, launches.QUOTA)  # of how much there is at a time, not of speed
COUNTS = ("flows_started", "jobs_waiting", "jobs_per_day", "dry_run_customers")
QUOTAS = (*SPEEDS, *COUNTS)
QUOTA_MAX = 10**12


def checked(quotas: Mapping[str, int]) -> dict[str, int]:
    """Quotas as they are stored. Raises InvalidError for one that is not known or too large."""
    for name, value in quotas.items():
        if name not in QUOTAS and name not in LIMITS:
            raise InvalidError(
                f"there is no quota {name[:80]!r}",
                advice=f"Use some of {', '.join((*QUOTAS, *LIMITS))}",
                pointer="/quotas",
            )
        if not 1 <= value <= QUOTA_MAX:
            raise InvalidError(
                f"the quota {name} is {value:,}",
                advice=f"State 1 to {QUOTA_MAX:,}, or leave it out for the common one",
                pointer=f"/quotas/{name}",
            )
    return dict(quotas)


def apply(rates: Rates, tenant: Tenant) -> None:
    """Let a tenant have its quotas from now on, and the common budgets where it has none."""
    for name, (budget, unit_s) in SPEEDS.items():
        own = None
        if name in tenant.quotas:
            common = BUDGETS[budget]
            per_second = tenant.quotas[name] / unit_s
            # As long as the common budget can be saved up, so can this.
            own = Budget(max(1.0, per_second * common.capacity / common.per_second), per_second)
        rates.set_budget(tenant.id, budget, own)
