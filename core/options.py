"""State what a run is asked to do: its window, its horizon and what keys its draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core import limits

DEFAULT_SALT = "headrace"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The window [from_ms, until_ms) of entries, the horizon of tokens, seeds and salt.

    Times are milliseconds UTC. `audience_zone` is the zone of last resort before UTC; `step_budget`
    is the number of node arrivals that one item of work may cause. `entry_rate` is the number of
    entries a second of a flow that states none (None: any number), `coupons` how many are left in
    pools for which the flow states another number.
    """

    from_ms: int
    until_ms: int
    horizon_ms: int
    seed: int = 0
    replicate: int = 0
    salt: str = DEFAULT_SALT
    audience_zone: str | None = None
    step_budget: int = limits.STEP_BUDGET
    entry_rate: int | None = None
    coupons: Mapping[str, int] = field(default_factory=dict)
