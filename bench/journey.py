"""Make the reference journey and its audience, on which every speed figure is taken.

Trigger event; branch on country (three and other); send e-mail; wait for a click at most 1 day (20
% click, uniform over 2 days, so half of them in time); yes: add a tag, A/B split 50/50, send A or
B, end; no: wait 3 days, send SMS if the customer consented (half), end. Every node entered is one
token-step.
"""

from __future__ import annotations

import numpy as np

from core.audience import INT64_MIN, Audience, Column
from core.binding import Bound, bind
from core.compiler import compile_flow
from core.flow import Flow
from core.options import RunOptions

DAY_MS = 86_400_000
ENTRY_DAYS = 20
HORIZON_DAYS = 30

FLOW = Flow.model_validate(
    {
        "headrace": 1,
        "flow": "reference",
        "settings": {"zone": "UTC"},
        "nodes": {
            "start": {"type": "on_event", "event": "go", "next": "country"},
            "country": {
                "type": "branch_attribute",
                "attribute": "country",
                "branches": {"a": "DE", "b": "FR", "c": "IT"},
                "next": {"a": "mail", "b": "mail", "c": "mail", "other": "mail"},
            },
            "mail": {"type": "send", "channel": "email", "template": "hello", "next": "clicked"},
            "clicked": {
                "type": "wait_event",
                "event": "click",
                "timeout": "24 hours",
                "next": {"event": "tag", "timeout": "later"},
            },
            "tag": {"type": "add_tag", "tag": "keen", "next": "split"},
            "split": {
                "type": "split",
                "branches": {"a": "50%", "b": "50%"},
                "next": {"a": "mail-a", "b": "mail-b"},
            },
            "mail-a": {"type": "send", "channel": "email", "template": "a", "next": "end"},
            "mail-b": {"type": "send", "channel": "email", "template": "b", "next": "end"},
            "later": {"type": "wait", "for": "72 hours", "next": "consent"},
            "consent": {
                "type": "condition",
                "if": {"attribute": "consent", "is": True},
                "next": {"yes": "sms", "no": "end"},
            },
            "sms": {"type": "send", "channel": "sms", "template": "hello", "next": "end"},
            "end": {"type": "end"},
        },
    }
)


def make_audience(customers: int, *, seed: int = 1) -> Audience:
    """The journey's audience in memory: all enter once, a fifth click within 2 days."""
    rng = np.random.default_rng(seed)
    entered = rng.integers(0, ENTRY_DAYS * DAY_MS, customers)
    clicks = np.flatnonzero(rng.random(customers) < 0.2)
    clicked = entered[clicks] + rng.integers(0, 2 * DAY_MS, len(clicks))
    owner = np.concatenate([np.arange(customers), clicks])
    ms = np.concatenate([entered, clicked])
    kind = np.concatenate([np.ones(customers, np.int32), np.zeros(len(clicks), np.int32)])
    order = np.lexsort((-kind, ms, owner))
    return Audience(
        id_offsets=np.zeros(customers + 1, np.int64),
        id_data=np.zeros(0, np.uint8),
        id_hash=rng.integers(0, 2**64, customers, dtype=np.uint64),
        created_ms=np.full(customers, INT64_MIN),
        zone_names=[],
        zone_code=np.full(customers, -1, np.int32),
        attributes={
            "country": Column(
                "string",
                rng.integers(0, 5, customers).astype(np.int32),
                ["DE", "FR", "IT", "US", "PL"],
            ),
            "consent": Column("bool", rng.integers(0, 2, customers).astype(np.int8)),
        },
        tags={"keen": np.zeros(customers, np.int8)},
        groups={},
        event_names=["click", "go"],
        event_offsets=np.searchsorted(owner[order], np.arange(customers + 1)).astype(np.int64),
        event_type=kind[order],
        event_ms=ms[order],
        event_hash=rng.integers(0, 2**64, len(ms), dtype=np.uint64),
        properties={},
    )


def bound_journey(customers: int) -> Bound:
    """The reference journey, bound to an audience of so many customers."""
    options = RunOptions(0, ENTRY_DAYS * DAY_MS, HORIZON_DAYS * DAY_MS)
    return bind(compile_flow(FLOW), make_audience(customers), options)
