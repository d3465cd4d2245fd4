"""Checks the balance of counters against runs of the reference interpreter on random flows.

That counters which lose or invent people are refused is in test_report.py.
"""

import pytest

from core.balance import UnbalancedError, check_balance
from core.counters import Counters
from core.nodes import WaitEvent
from core.outcomes import Outcome
from differential import Loaded, TooLongError, load, run_reference
from random_flows import random_case
from sample_flows import large
from walks import walk

SEEDS = range(100)


def runs() -> list[tuple[Loaded, Counters]]:
    found = []
    for seed in SEEDS:
        loaded = load(random_case(seed))
        try:
            found.append((loaded, run_reference(loaded)[1]))
        except TooLongError:
            continue
    return found


def test_every_run_of_the_rules_balances() -> None:
    every = runs()
    for loaded, counters in every:
        check_balance(loaded.flow, counters)
    # The difficult cases must be among them.
    whole = sum(int(c.outcome[:, Outcome.WHOLE_FLOW.column].sum()) > 0 for _, c in every)
    assert whole >= 1
    assert sum(int(c.idle.sum()) > 0 for _, c in every) >= 10
    assert sum(int(c.waiting.sum()) > 0 for _, c in every) >= 10
    entered = sum(
        isinstance(node, WaitEvent) and node.entry
        for loaded, _ in every
        for node in loaded.flow.nodes.values()
    )
    assert entered >= 3


def test_whole_flow_is_told_apart_from_loss() -> None:
    """Where `whole_flow` took tokens out, one more or one fewer of them is noticed."""
    flow = large()
    counters = walk(flow, people=600)
    check_balance(flow, counters)
    column = Outcome.WHOLE_FLOW.column
    taken = [i for i in range(len(flow.nodes)) if counters.outcome[i, column]]
    assert len(taken) >= 3
    for i in taken:
        for change in (1, -1):
            counters.outcome[i, column] += change
            with pytest.raises(UnbalancedError, match="do not balance"):
                check_balance(flow, counters)
            counters.outcome[i, column] -= change
    check_balance(flow, counters)
