"""Time each kind of predicate: conditions over the customer, filters over an event, their trees."""

from __future__ import annotations

import pytest

from bench.micro.crowd import make_crowd
from bench.micro.flows import LINKS, ON_GO, Document, chain, entering
from bench.micro.stopwatch import Stopwatch
from ext.machine import BLOCK

AGE: Document = {"attribute": "age", "at_least": 50}
BALANCE: Document = {"attribute": "balance", "below": 50.0}
CONSENT: Document = {"attribute": "consent", "is": True}
COUNTRY: Document = {"attribute": "country", "one_of": ["DE", "FR"]}
VIP: Document = {"tag": "vip"}
LARGE: Document = {"property": "amount", "above": 50}
WEEK = "7 days"

CONDITIONS: dict[str, Document] = {
    "int range": AGE,
    "int between": {"attribute": "age", "between": [25, 75]},
    "float range": BALANCE,
    "date range": {"attribute": "born", "before": "1998-01-01"},
    "datetime range": {"attribute": "seen", "after": "2025-12-22T00:00"},
    "bool": CONSENT,
    "is set": {"attribute": "age", "is_set": True},
    "text is": {"attribute": "plan", "is": "plus"},
    "text one of": COUNTRY,
    "text matches": {"attribute": "plan", "matches": "^p.*s$"},
    "int set": {"attribute": "age", "one_of": list(range(0, 100, 2))},
    "float set": {"attribute": "balance", "one_of": [x / 2 for x in range(100)]},
    "tag": VIP,
    "group": {"group": "beta"},
    "entry range": {"entry": "amount", "above": 50},
    "compare text": {"attribute": "plan", "is": {"entry": "plan"}},
    "compare numbers": {"attribute": "balance", "above": {"entry": "amount"}},
    "within last": {"attribute": "seen", "within_last": "10 days"},
    "within next": {"attribute": "due", "within_next": "10 days"},
    "older than": {"attribute": "seen", "older_than": "10 days"},
    "did": {"did": "click"},
    "did within": {"did": "click", "within": WEEK},
    "did 3 within": {"did": "click", "at_least": 3, "within": WEEK},
    "did where": {"did": "click", "where": LARGE},
    "did where within": {"did": "click", "where": LARGE, "within": WEEK},
    "did 3 where within": {"did": "click", "where": LARGE, "at_least": 3, "within": WEEK},
    "never did": {"never_did": "click", "within": WEEK},
    "all": {"all": [AGE, BALANCE, CONSENT, COUNTRY]},
    "any": {"any": [AGE, BALANCE, CONSENT, COUNTRY]},
    "not": {"not": AGE},
    "tree": {
        "any": [{"all": [AGE, {"not": VIP}]}, {"all": [BALANCE, {"any": [CONSENT, COUNTRY]}]}]
    },
}  # fmt: skip

FILTERS: dict[str, Document] = {
    "none": {},
    "float range": {"where": {"property": "amount", "at_least": 0}},
    "text one of": {"where": {"property": "plan", "one_of": ["free", "plus", "pro"]}},
    "tree": {
        "where": {"any": [{"not": LARGE}, {"all": [LARGE, {"property": "plan", "is_set": True}]}]}
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", CONDITIONS)
def test_condition(kind: str, stopwatch: Stopwatch) -> None:
    """Time conditions, of which nearly all are true for about half of the customers.

    Those of history are asked after a wait until most of ten clicks lie in the past.
    """
    node: Document = {"type": "condition", "if": CONDITIONS[kind]}
    wait: Document = {"type": "wait", "for": "240 hours"}
    first = wait if kind.startswith(("did", "never did")) else node
    people = make_crowd(stopwatch.size(4 * BLOCK), clicks=10)
    stopwatch.time_flow(chain(lambda i: node if i else first), people, steps_each=LINKS + 2)


@pytest.mark.parametrize("kind", FILTERS)
def test_filter(kind: str, stopwatch: Stopwatch) -> None:
    """Time entries by events that a filter lets pass, all of them, beside entries without one."""
    people = make_crowd(stopwatch.size(4 * BLOCK), entries=LINKS)
    stopwatch.time_flow(entering(ON_GO | FILTERS[kind]), people, steps_each=2 * LINKS)
