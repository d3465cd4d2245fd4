"""Limit how fast requests come: token buckets for each key and for its tenant, by what they cost.

A bucket fills at a constant rate up to its capacity, and a request takes out what it costs. One
that costs more than a bucket can hold is let through when the bucket is full, and leaves a debt:
large batches wait longer afterwards instead of for ever. A full bucket is one that need not be
remembered, so memory stays bounded.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address, ip_network

from actors.service.errors import LimitedError

BUCKETS_MAX = 100_000  # of one budget
DISORDER_MS = 1_000  # by how much requests may come out of order without the clock being set back
TENANT_SHARE = 4  # the keys of a tenant have together what four of them may have


@dataclass(frozen=True, slots=True)
class Budget:
    """What one key may spend: so much at once, and so much a second in the long run."""

    capacity: float
    per_second: float

    def __post_init__(self) -> None:
        if not (0 < self.capacity < math.inf and 0 < self.per_second < math.inf):
            raise ValueError("capacity and per_second are above 0 and finite")


BUDGETS: Mapping[str, Budget] = {
    "api": Budget(1_000, 200),  # requests
    "events": Budget(2_000_000, 1_000_000),  # rows
    "simulations": Budget(20, 1 / 30),  # dry runs
    "failures": Budget(20, 1 / 6),  # wrong keys from one address
    # Links, pixels and subscriptions, which nobody needs a key for. Large mailboxes fetch pixels
    # for all of their people from a few addresses.
    "followed": Budget(3_000, 300),  # from one address
    "followed of tenants": Budget(5_000, 1_000),
}


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a request may pass, and what to tell of it."""

    budget: str
    allowed: bool
    capacity: float
    per_second: float
    remaining: float  # what could be spent at once, not below 0
    wait_s: float  # after which the same would pass; 0 if it does now

    @property
    def headers(self) -> dict[str, str]:
        """RateLimit-Policy and RateLimit as the IETF's draft has them; Retry-After if refused."""
        window_s = math.ceil(self.capacity / self.per_second)
        full_s = math.ceil((self.capacity - self.remaining) / self.per_second)
        told = {
            "RateLimit-Policy": f'"{self.budget}";q={math.floor(self.capacity)};w={window_s}',
            "RateLimit": f'"{self.budget}";r={math.floor(self.remaining)};t={full_s}',
        }
        if not self.allowed:
            told["Retry-After"] = str(max(1, math.ceil(self.wait_s)))
        return told

    def check(self) -> None:
        """Raise LimitedError unless it is allowed."""
        if not self.allowed:
            raise LimitedError(
                f"the budget for {self.budget} is spent",
                advice=f"Wait {max(1, math.ceil(self.wait_s)):,} s, then send the same again",
                retry_after_ms=max(1, math.ceil(self.wait_s * 1_000)),
            )


@dataclass(slots=True)
class _Bucket:
    level: float
    at_ms: int
    refused: Decision | None = None  # the last refusal, while it has not been waited for


_Key = tuple[str, str]  # tenant, key; the bucket that the tenant's keys share has no key


class Rates:
    """The buckets of all keys and tenants. Any thread may use it; times are handed in."""

    def __init__(
        self, budgets: Mapping[str, Budget] = BUDGETS, buckets_max: int = BUCKETS_MAX
    ) -> None:
        """Begin with full buckets."""
        self._budgets = dict(budgets)
        self._own: dict[tuple[str, str], Budget] = {}
        # Of each budget apart, the longest unused first: who has many addresses must not be able
        # to make other budgets forgotten.
        self._buckets: dict[str, dict[_Key, _Bucket]] = {name: {} for name in budgets}
        self._buckets_max = buckets_max
        self._lock = threading.Lock()

    def set_budget(self, tenant: str, name: str, budget: Budget | None) -> None:
        """Give each key of a tenant another budget, or None for the common one. Raises KeyError."""
        if name not in self._budgets:
            raise KeyError(name)
        with self._lock:
            if budget is None:
                self._own.pop((tenant, name), None)
            else:
                self._own[tenant, name] = budget

    def take(
        self, tenant: str, key_id: str, budget: str, now_ms: int, cost: float = 1.0
    ) -> Decision:
        """Spend from the budget of a key and that of its tenant, or from neither.

        Raises KeyError for an unknown budget, ValueError for a cost below 0.
        """
        return self._decide(tenant, key_id, budget, now_ms, cost, spend=True)

    def look(
        self, tenant: str, key_id: str, budget: str, now_ms: int, cost: float = 1.0
    ) -> Decision:
        """What `take` would say, without spending."""
        return self._decide(tenant, key_id, budget, now_ms, cost, spend=False)

    def refused(self, tenant: str, key_id: str, budget: str, now_ms: int) -> Decision | None:
        """The last refusal of a key, for as long as it said to wait; None for who need not wait.

        Who does not wait can so be refused before it is known what he asks for.
        """
        with self._lock:
            bucket = self._buckets[budget].get((tenant, key_id))
            if bucket is None or bucket.refused is None:
                return None
            left_s = bucket.refused.wait_s - (now_ms - bucket.at_ms) / 1_000
            if not 0 < left_s <= bucket.refused.wait_s:
                bucket.refused = None
                return None
            return replace(bucket.refused, wait_s=left_s)

    def _decide(
        self, tenant: str, key_id: str, name: str, now_ms: int, cost: float, *, spend: bool
    ) -> Decision:
        if not cost >= 0:
            raise ValueError(f"a cost of {cost}")
        with self._lock:
            own = self._own.get((tenant, name)) or self._budgets[name]
            capacity, per_second = own.capacity, own.per_second
            buckets = self._buckets[name]
            bucket = self._filled(buckets, (tenant, key_id), capacity, per_second, now_ms, spend)
            wait_s = max(0.0, (min(cost, capacity) - bucket.level) / per_second)
            remaining = bucket.level
            shared = None
            # Addresses that belong to no tenant share nothing.
            if tenant:
                capacity_all, per_second_all = TENANT_SHARE * capacity, TENANT_SHARE * per_second
                shared = self._filled(
                    buckets, (tenant, ""), capacity_all, per_second_all, now_ms, spend
                )
                short = min(cost, capacity_all) - shared.level
                wait_s = max(wait_s, short / per_second_all)
                remaining = min(remaining, shared.level)
            allowed = wait_s <= 0
            if allowed and spend:
                bucket.level -= cost
                remaining = bucket.level
                if shared is not None:
                    shared.level -= cost
                    remaining = min(remaining, shared.level)
            told_s = 0.0 if allowed else wait_s
            found = Decision(name, allowed, capacity, per_second, max(0.0, remaining), told_s)
            if spend:
                bucket.refused = None if allowed else found
        return found

    def _filled(
        self,
        buckets: dict[_Key, _Bucket],
        key: _Key,
        capacity: float,
        per_second: float,
        now_ms: int,
        keep: bool,
    ) -> _Bucket:
        """A bucket as full as it is by now; if it is kept, it becomes the last to be forgotten."""
        bucket = buckets.get(key) or _Bucket(capacity, now_ms)
        level, at_ms = bucket.level, bucket.at_ms
        if now_ms >= at_ms:
            level += (now_ms - at_ms) * per_second / 1_000
            at_ms = now_ms
        elif now_ms < at_ms - DISORDER_MS:
            # The clock was set back: that fills nothing, and is not waited for.
            at_ms = now_ms
        level = min(capacity, level)
        if not keep:
            return _Bucket(level, at_ms)
        if buckets.pop(key, None) is None:
            while len(buckets) >= self._buckets_max:
                del buckets[next(iter(buckets))]
        bucket.level, bucket.at_ms = level, at_ms
        buckets[key] = bucket
        return bucket


def address_key(ip: str | None) -> str:
    """What to count an address under: itself, or of IPv6 the network of 64 bits that one gets."""
    try:
        address = ip_address(ip or "")
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((int(address) >> 64 << 64, 64)))
    return str(address)
