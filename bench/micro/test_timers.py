"""Time timers: one or many a customer, due together or apart, in one call of `apply` or several."""

from __future__ import annotations

import pytest

from bench.micro.crowd import make_crowd
from bench.micro.flows import LINKS, ON_GO, chain, entering, fork
from bench.micro.stopwatch import Stopwatch
from ext.machine import BLOCK

APPLIES = (1, 10, 100)


@pytest.mark.parametrize("applies", APPLIES)
def test_one_timer(applies: int, stopwatch: Stopwatch) -> None:
    """Time waits one after the other, up to the horizon in so many calls of `apply`."""
    flow = chain(lambda i: {"type": "wait", "for": "72 hours"})
    people = make_crowd(stopwatch.size(4 * BLOCK))
    stopwatch.time_flow(flow, people, steps_each=LINKS + 2, applies=applies)


def test_timers_between_events(stopwatch: Stopwatch) -> None:
    """Time waits of customers to whom something happens in the midst of each."""
    goal = {"event": "click", "within": "90 days"}
    flow = chain(lambda i: {"type": "wait", "for": "24 hours"}, goal=goal)
    people = make_crowd(stopwatch.size(4 * BLOCK), clicks=LINKS)
    stopwatch.time_flow(flow, people, steps_each=LINKS + 2)


def test_waits_on_the_wall_clock(stopwatch: Stopwatch) -> None:
    """Time waits of days, which end by the customer's clock, in zones that change theirs."""
    flow = chain(lambda i: {"type": "wait", "for": "3 days"})
    people = make_crowd(stopwatch.size(4 * BLOCK))
    stopwatch.time_flow(flow, people, steps_each=LINKS + 2)


@pytest.mark.parametrize("applies", APPLIES)
def test_forked_timers(applies: int, stopwatch: Stopwatch) -> None:
    """Time waits side by side: a customer has as many tokens as the fork has edges."""
    flow = fork(lambda i: {"type": "wait", "for": f"{LINKS - i} days"})
    people = make_crowd(stopwatch.size(4 * BLOCK))
    stopwatch.time_flow(flow, people, steps_each=1 + 2 * LINKS, applies=applies)


def test_entries_that_overlap(stopwatch: Stopwatch) -> None:
    """Time waits of many entries of a customer at the same time."""
    flow = entering(ON_GO, {"type": "wait", "for": "720 hours"})
    people = make_crowd(stopwatch.size(4 * BLOCK), entries=LINKS)
    stopwatch.time_flow(flow, people, steps_each=3 * LINKS)


def test_timeouts(stopwatch: Stopwatch) -> None:
    """Time waits for an event that doesn't come before their timeout."""
    flow = chain(lambda i: {"type": "wait_event", "event": "click", "timeout": "1 minute"})
    people = make_crowd(stopwatch.size(4 * BLOCK), clicks=1)
    stopwatch.time_flow(flow, people, steps_each=LINKS + 2)


def test_forked_timeouts(stopwatch: Stopwatch) -> None:
    """Time an event that ends the waits of all tokens of a customer before their timeouts."""
    flow = fork(lambda i: {"type": "wait_event", "event": "click", "timeout": f"{9 + i} days"})
    people = make_crowd(stopwatch.size(4 * BLOCK), clicks=1)
    stopwatch.time_flow(flow, people, steps_each=1 + 2 * LINKS)
