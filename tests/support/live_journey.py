"""Makes a journey that most marketers know, and as many customers for it as wanted.

They enter within `entry_days`; a fifth click within two days, half of them in time. Yes: a tag, an
A/B split, one of two messages. No: three days later an SMS for those who agreed.
"""

from __future__ import annotations

import numpy as np

from core.audience import INT64_MIN, Audience, Column
from core.duration import DAY_MS
from core.flow import Flow
from core.options import RunOptions
from differential import Loaded
from ext.hashing import hash_strings

FLOW = Flow.model_validate(
    {
        "headrace": 1,
        "flow": "welcome",
        "settings": {"zone": "UTC"},
        "nodes": {
            "start": {"type": "on_event", "event": "go", "next": "country"},
            "country": {
                "type": "branch_attribute",
                "attribute": "country",
                "branches": {"home": "DE", "near": ["FR", "IT"]},
                "next": {"home": "mail", "near": "mail", "other": "mail"},
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


def journey(
    customers: int, *, entry_days: float = 20, clicks: float = 0.2, seed: int = 1
) -> Loaded:
    """The journey for so many customers, each of whom enters once; it ends ten days after."""
    rng = np.random.default_rng(seed)
    entered = DAY_MS + rng.integers(0, int(entry_days * DAY_MS), customers)
    clickers = np.flatnonzero(rng.random(customers) < clicks)
    clicked = entered[clickers] + rng.integers(1, 2 * DAY_MS, len(clickers))
    owner = np.concatenate([np.arange(customers), clickers])
    ms = np.concatenate([entered, clicked])
    kind = np.concatenate([np.ones(customers, np.int32), np.zeros(len(clickers), np.int32)])
    order = np.lexsort((ms, owner))
    names = np.char.add("c", np.char.zfill(np.arange(customers).astype("U8"), 8)).astype("S9")
    offsets = np.arange(customers + 1, dtype=np.int64) * 9
    audience = Audience(
        id_offsets=offsets,
        id_data=names.view(np.uint8),
        id_hash=hash_strings(names.view(np.uint8).data, offsets),
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
        zone="UTC",
    )
    options = RunOptions(
        DAY_MS, DAY_MS + int(entry_days * DAY_MS), DAY_MS + int((entry_days + 10) * DAY_MS)
    )
    return Loaded(FLOW, audience, options, None)
