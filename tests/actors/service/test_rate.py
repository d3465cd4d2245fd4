"""Checks that nobody gets more than his budget, and that waiting times are true."""

import threading
import time
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.service.errors import LimitedError
from actors.service.rate import Budget, Rates, address_key

NOW = 1_790_000_000_000


def rates(capacity: float = 10, per_second: float = 2, **more: int) -> Rates:
    return Rates({"api": Budget(capacity, per_second), "events": Budget(100, 10)}, **more)


def passes(each: Rates, key: str, now_ms: int, cost: float = 1, tenant: str = "acme") -> bool:
    return each.take(tenant, key, "api", now_ms, cost).allowed


def test_a_burst_passes_and_then_a_steady_stream() -> None:
    each = rates()
    assert [passes(each, "k", NOW) for _ in range(12)] == [True] * 10 + [False] * 2
    assert not passes(each, "k", NOW + 499)
    assert passes(each, "k", NOW + 500)
    assert not passes(each, "k", NOW + 999)
    # An hour fills it up and no more.
    assert sum(passes(each, "k", NOW + 3_600_000) for _ in range(20)) == 10


def test_a_refusal_says_how_long_to_wait_and_that_is_true() -> None:
    each = rates()
    assert each.take("acme", "k", "api", NOW, 9).allowed
    refused = each.take("acme", "k", "api", NOW, 4)
    assert (refused.allowed, refused.remaining, refused.wait_s) == (False, 1.0, 1.5)
    assert refused.headers == {
        "RateLimit-Policy": '"api";q=10;w=5', "RateLimit": '"api";r=1;t=5', "Retry-After": "2",
    }  # fmt: skip
    with pytest.raises(LimitedError) as caught:
        refused.check()
    assert caught.value.retry_after_ms == 1_500
    assert str(caught.value) == ("the budget for api is spent. Wait 2 s, then send the same again")
    assert not each.look("acme", "k", "api", NOW + 1_499, 4).allowed
    granted = each.take("acme", "k", "api", NOW + 1_500, 4)
    assert (granted.allowed, granted.remaining, granted.wait_s) == (True, 0.0, 0.0)
    granted.check()
    assert granted.headers == {"RateLimit-Policy": '"api";q=10;w=5', "RateLimit": '"api";r=0;t=5'}


def test_what_costs_more_than_a_bucket_holds_waits_afterwards() -> None:
    each = rates()
    assert passes(each, "k", NOW, 30)
    refused = each.take("acme", "k", "api", NOW)
    # It owes 20, and needs 1 more.
    assert (refused.allowed, refused.wait_s, refused.remaining) == (False, 10.5, 0.0)
    assert not passes(each, "k", NOW + 14_999, 30)
    assert passes(each, "k", NOW + 15_000, 30)


def test_keys_budgets_and_tenants_are_apart() -> None:
    each = rates()
    assert passes(each, "k", NOW, 10)
    assert not passes(each, "k", NOW)
    assert passes(each, "l", NOW, 10)
    assert passes(each, "k", NOW, 10, tenant="other")
    assert each.take("acme", "k", "events", NOW, 100).allowed
    with pytest.raises(KeyError):
        each.take("acme", "k", "nothing", NOW)
    with pytest.raises(ValueError, match="a cost of -1"):
        each.take("acme", "k", "api", NOW, -1)
    with pytest.raises(ValueError, match="a cost of nan"):
        each.take("acme", "k", "api", NOW, nan)


def test_keys_of_a_tenant_have_together_four_times_as_much() -> None:
    each = rates()
    assert [passes(each, f"{number}", NOW, 10) for number in range(6)] == [True] * 4 + [False] * 2
    refused = each.take("acme", "7", "api", NOW, 8)
    # Its own bucket is full, and is not touched; the tenant's fills with 8 a second.
    assert (refused.wait_s, refused.remaining) == (1.0, 0.0)
    assert each.take("acme", "7", "api", NOW + 1_250, 10).allowed
    assert passes(each, "x", NOW, 10, tenant="other")


def test_addresses_without_a_tenant_share_nothing() -> None:
    each = rates()
    for number in range(20):
        assert each.take("", f"192.0.2.{number}", "api", NOW, 10).allowed
    assert not each.take("", "192.0.2.1", "api", NOW).allowed


def test_looking_spends_nothing() -> None:
    each = rates()
    for _ in range(20):
        assert each.look("acme", "k", "api", NOW).allowed
    assert passes(each, "k", NOW, 10)
    assert not each.look("acme", "k", "api", NOW).allowed


def test_a_tenant_may_have_a_budget_of_its_own() -> None:
    each = rates()
    each.set_budget("acme", "api", Budget(3, 1))
    assert [passes(each, "k", NOW) for _ in range(4)] == [True, True, True, False]
    assert passes(each, "k", NOW, 10, tenant="other")
    each.set_budget("acme", "api", None)
    assert sum(passes(each, "k", NOW + 60_000) for _ in range(20)) == 10
    # A smaller one holds at once, for buckets that are fuller too.
    assert passes(each, "k", NOW + 120_000)
    each.set_budget("acme", "api", Budget(2, 1))
    assert sum(passes(each, "k", NOW + 120_000) for _ in range(20)) == 2
    with pytest.raises(KeyError):
        each.set_budget("acme", "nothing", None)


@pytest.mark.parametrize(("capacity", "per_second"), [(0, 1), (1, 0), (-1, 1), (inf, 1), (1, nan)])
def test_a_budget_is_positive_and_finite(capacity: float, per_second: float) -> None:
    with pytest.raises(ValueError, match="above 0 and finite"):
        Budget(capacity, per_second)


def test_a_clock_that_is_set_back_gives_nothing_and_takes_nothing() -> None:
    each = rates()
    assert passes(each, "k", NOW, 10)
    assert not passes(each, "k", NOW - 3_600_000)
    assert not passes(each, "k", NOW - 3_600_000 + 499)
    assert passes(each, "k", NOW - 3_600_000 + 500)


def test_requests_out_of_order_refill_nothing_twice() -> None:
    each = rates(capacity=1, per_second=1_000)
    assert passes(each, "k", NOW + 1)
    assert not passes(each, "k", NOW)
    assert not passes(each, "k", NOW + 1)
    assert passes(each, "k", NOW + 2)


def test_memory_is_bounded_and_other_budgets_are_not_forgotten() -> None:
    each = rates(buckets_max=100)
    assert each.take("acme", "k", "events", NOW, 100).allowed
    for number in range(10_000):
        each.take("", f"{number}", "api", NOW, 10)
    assert {name: len(found) for name, found in each._buckets.items()} == {"api": 100, "events": 2}
    assert not each.take("acme", "k", "events", NOW).allowed
    # The last ones are remembered.
    assert not each.take("", "9999", "api", NOW).allowed


@given(
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 25)), max_size=60),
    st.integers(1, 20), st.integers(1, 10),
)  # fmt: skip
def test_what_passes_keeps_within_the_budget(
    requests: list[tuple[int, int]], capacity: int, per_second: int
) -> None:
    each = Rates({"api": Budget(capacity, per_second)})
    now_ms, spent, overdraft = NOW, 0, 0
    for passed_ms, cost in requests:
        now_ms += passed_ms
        decision = each.take("acme", "k", "api", now_ms, cost)
        if decision.allowed:
            spent += cost
            overdraft = max(overdraft, cost - capacity)
        else:
            wait_ms = int(decision.wait_s * 1_000) + 1
            assert each.look("acme", "k", "api", now_ms + wait_ms, cost).allowed
        filled = capacity + (now_ms - NOW) * per_second / 1_000
        assert spent <= filled + max(overdraft, 0) + 1e-6
        assert 0 <= decision.remaining <= capacity


def test_threads_spend_no_more_than_there_is() -> None:
    each = rates(capacity=1_000, per_second=1)
    passed: list[int] = []

    def spend() -> None:
        passed.append(sum(passes(each, "k", NOW) for _ in range(500)))

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(passed) == 1_000


@pytest.mark.parametrize(
    ("ip", "key"),
    [
        ("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("testclient", "unknown"), (None, "unknown"), ("", "unknown"),
    ],
)  # fmt: skip
def test_an_address_of_ipv6_counts_as_its_network(ip: str | None, key: str) -> None:
    assert address_key(ip) == key


def test_a_decision_takes_microseconds(capsys: pytest.CaptureFixture[str]) -> None:
    each = Rates()
    began = time.perf_counter_ns()
    for number in range(20_000):
        each.take("acme", "k", "api", NOW + number)
    taken = (time.perf_counter_ns() - began) / 20_000
    with capsys.disabled():
        print(f"\na decision on a rate: {taken:,.0f} ns")
    assert taken < 100_000


def test_who_does_not_wait_is_known_until_he_has() -> None:
    rates = Rates({"events": Budget(10, 10)})
    assert rates.refused("t", "k", "events", 0) is None
    assert rates.take("t", "k", "events", 0, 8).allowed
    assert rates.refused("t", "k", "events", 0) is None
    told = rates.take("t", "k", "events", 0, 7)
    assert (told.allowed, told.wait_s) == (False, 0.5)
    assert rates.refused("t", "other", "events", 0) is None
    again = rates.refused("t", "k", "events", 200)
    assert again is not None
    assert again.wait_s == pytest.approx(0.3)
    assert again.headers["Retry-After"] == "1"
    assert rates.refused("t", "k", "events", 500) is None
    # What passes takes a refusal away; so does a clock that was set back.
    assert not rates.take("t", "k", "events", 500, 10).allowed
    assert rates.take("t", "k", "events", 500, 1).allowed
    assert rates.refused("t", "k", "events", 500) is None
    assert not rates.take("t", "k", "events", 500, 10).allowed
    assert rates.refused("t", "k", "events", 0) is None
