"""Make the scenario on which size is measured: 20 nodes, and 10 events for each customer.

An abandoned cart begins the only entry; the flow then asks three questions about history, waits for
a click and for a purchase, and refers to 4 of the 12 event types. Times lie around each customer's
cart, so that a fair share of the waits ends by the event. Customers come in fours of Berlin,
Warsaw, New York and no zone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.audience import INT64_MIN, Audience, Column
from core.flow import Flow
from core.options import RunOptions
from ext.hashing import hash_strings

DAY_MS = 86_400_000
START_MS = 20_454 * DAY_MS  # 2026-01-01
ENTRY_DAYS = 20
HORIZON_DAYS = 40
BEFORE_DAYS, AFTER_DAYS = 45, 15  # around the cart
EVENTS_EACH = 10
ID_CHARS = 9
CHUNK = 1 << 16  # customers made at once: bounds what the maker itself needs

OPTIONS = RunOptions(
    START_MS, START_MS + ENTRY_DAYS * DAY_MS, START_MS + HORIZON_DAYS * DAY_MS, audience_zone="UTC"
)

EVENT_SHARES = {
    "bounce": 0.03, "cart": 0.04, "click": 0.14, "login": 0.12, "open": 0.10, "purchase": 0.06,
    "refund": 0.01, "review": 0.02, "search": 0.12, "support": 0.02, "view": 0.16, "visit": 0.18,
}  # fmt: skip
REFERRED = ("cart", "click", "purchase", "view")
ATTRIBUTES = (
    "country", "language", "plan", "consent_email", "consent_sms", "age", "points", "born",
    "signed_up", "lifetime_value",
)  # fmt: skip

DOCUMENT: dict[str, Any] = {
    "headrace": 1,
    "flow": "cart",
    "settings": {"zone": "Europe/Berlin"},
    "nodes": {
        "carted": {"type": "on_event", "event": "cart", "next": "bought-lately"},
        "bought-lately": {
            "type": "condition",
            "if": {"did": "purchase", "within": "30 days"},
            "next": {"yes": "plan", "no": "country"},
        },
        "plan": {
            "type": "branch_attribute",
            "attribute": "plan",
            "branches": {"paying": ["plus", "pro"]},
            "next": {"paying": "done", "other": "often"},
        },
        "country": {
            "type": "branch_attribute",
            "attribute": "country",
            "branches": {"german": ["DE", "AT"], "french": "FR"},
            "next": {"german": "mail-de", "french": "mail-fr", "other": "mail-en"},
        },
        "mail-de": {"type": "send", "channel": "email", "template": "cart-de", "next": "clicked"},
        "mail-fr": {"type": "send", "channel": "email", "template": "cart-fr", "next": "clicked"},
        "mail-en": {"type": "send", "channel": "email", "template": "cart-en", "next": "clicked"},
        "clicked": {
            "type": "wait_event",
            "event": "click",
            "timeout": "5 days",
            "next": {"event": "interested", "timeout": "looked"},
        },
        "interested": {"type": "add_tag", "tag": "interested", "next": "offer"},
        "looked": {
            "type": "condition",
            "if": {"did": "view", "at_least": 1, "within": "14 days"},
            "next": {"yes": "offer", "no": "often"},
        },
        "offer": {
            "type": "split",
            "branches": {"voucher": "50%", "gift": "50%"},
            "next": {"voucher": "mail-voucher", "gift": "mail-gift"},
        },
        "mail-voucher": {
            "type": "send",
            "channel": "email",
            "template": "voucher",
            "next": "bought",
        },
        "mail-gift": {"type": "send", "channel": "email", "template": "gift", "next": "bought"},
        "bought": {
            "type": "wait_event",
            "event": "purchase",
            "timeout": "72 hours",
            "next": {"event": "buyer", "timeout": "done"},
        },
        "buyer": {"type": "add_tag", "tag": "buyer", "next": "done"},
        "often": {
            "type": "condition",
            "if": {"did": "cart", "at_least": 2, "within": "60 days"},
            "next": {"yes": "consent", "no": "done"},
        },
        "consent": {
            "type": "condition",
            "if": {
                "all": [
                    {"attribute": "consent_sms", "is": True},
                    {"attribute": "age", "at_least": 18},
                ]
            },
            "next": {"yes": "later", "no": "done"},
        },
        "later": {"type": "wait", "for": "1 day", "next": "sms"},
        "sms": {"type": "send", "channel": "sms", "template": "cart", "next": "done"},
        "done": {"type": "end"},
    },
}
FLOW = Flow.model_validate(DOCUMENT)


def make_audience(customers: int, *, seed: int = 1) -> Audience:
    """The scenario's audience in memory: 10 attributes, and 10 events a customer on average.

    Made in chunks of customers straight into the final arrays, so that the peak of memory is what
    the audience itself takes; each chunk has a generator of its own.
    """
    made = _empty(customers)
    for number, first in enumerate(range(0, customers, CHUNK)):
        rng = np.random.default_rng([seed, number])
        last = min(first + CHUNK, customers)
        _fill_people(rng, made, first, last)
        _fill_events(rng, made, first, last)
    return made


def _empty(customers: int) -> Audience:
    texts = {
        "country": ["AT", "DE", "FR", "GB", "PL", "US"],
        "language": ["de", "en", "fr", "pl"],
        "plan": ["free", "plus", "pro"],
    }
    attributes = {
        name: Column("string", np.empty(customers, np.int32), texts[name]) for name in texts
    }
    for name in ("consent_email", "consent_sms"):
        attributes[name] = Column("bool", np.empty(customers, np.int8))
    for name in ("age", "points"):
        attributes[name] = Column("int64", np.empty(customers, np.int64))
    attributes["born"] = Column("date", np.empty(customers, np.int64))
    attributes["signed_up"] = Column("datetime", np.empty(customers, np.int64))
    attributes["lifetime_value"] = Column("float64", np.empty(customers))
    ids = np.arange(customers)
    data = np.empty((customers, ID_CHARS), np.uint8)
    for place in range(ID_CHARS - 1, -1, -1):
        data[:, place] = ids % 10 + ord("0")
        ids //= 10
    id_data, id_offsets = data.reshape(-1), np.arange(customers + 1) * ID_CHARS
    events = customers * EVENTS_EACH
    return Audience(
        id_offsets=id_offsets,
        id_data=id_data,
        id_hash=hash_strings(id_data.data, id_offsets),
        created_ms=np.full(customers, INT64_MIN),
        zone_names=["America/New_York", "Europe/Berlin", "Europe/Warsaw"],
        zone_code=(np.arange(customers, dtype=np.int32) % 4 - 1).astype(np.int32),
        attributes=attributes,
        tags={name: np.zeros(customers, np.int8) for name in ("buyer", "interested")},
        groups={},
        event_names=list(EVENT_SHARES),
        event_offsets=np.zeros(customers + 1, np.int64),
        event_type=np.empty(events, np.int32),
        event_ms=np.empty(events, np.int64),
        event_hash=np.empty(events, np.uint64),
        properties={},
    )


def _fill_people(rng: np.random.Generator, made: Audience, first: int, last: int) -> None:
    count = last - first
    today = START_MS // DAY_MS
    age = rng.integers(14, 90, count)
    drawn = {
        "country": rng.integers(0, 6, count),
        "language": rng.integers(0, 4, count),
        "plan": np.searchsorted((0.7, 0.92), rng.random(count)),
        "consent_email": rng.integers(0, 2, count),
        "consent_sms": rng.integers(-1, 2, count),
        "age": np.where(rng.random(count) < 0.1, INT64_MIN, age),
        "points": rng.integers(0, 10_000, count),
        "born": today - age * 365 - rng.integers(0, 365, count),
        "signed_up": START_MS - rng.integers(60 * DAY_MS, 1_000 * DAY_MS, count),
        "lifetime_value": rng.lognormal(3, 1, count),
    }
    for name, values in drawn.items():
        made.attributes[name].values[first:last] = values


def _fill_events(rng: np.random.Generator, made: Audience, first: int, last: int) -> None:
    """Events of customers `first` to `last`, sorted by customer and time.

    Neighbours have 10 + d and 10 - d events (0 <= d < 10), so the total is exact. Customer, time
    and type are packed into one integer, which sorts in place.
    """
    count = last - first
    counts = np.full(count, EVENTS_EACH)
    more = rng.integers(0, EVENTS_EACH, count // 2)
    counts[0 : 2 * len(more) : 2] += more
    counts[1 : 2 * len(more) : 2] -= more
    ends = np.cumsum(counts)
    total = int(ends[-1])
    carts = BEFORE_DAYS * DAY_MS + rng.integers(0, ENTRY_DAYS * DAY_MS, count)
    owner = np.repeat(np.arange(count), counts)
    span = (BEFORE_DAYS + ENTRY_DAYS + AFTER_DAYS) * DAY_MS
    around = rng.integers(-BEFORE_DAYS * DAY_MS, AFTER_DAYS * DAY_MS, total)
    kind = _kinds(rng, total)
    around[ends - 1], kind[ends - 1] = 0, made.event_names.index("cart")
    packed = ((owner * span + carts[owner] + around) << 4) | kind
    packed.sort()
    begin = int(made.event_offsets[first])
    made.event_type[begin : begin + total] = packed & 15
    packed >>= 4
    made.event_ms[begin : begin + total] = packed % span + (START_MS - BEFORE_DAYS * DAY_MS)
    made.event_hash[begin : begin + total] = rng.integers(0, 2**64, total, dtype=np.uint64)
    made.event_offsets[first + 1 : last + 1] = begin + ends


def _kinds(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Event types by their shares, through a table of 256 cells: int64[count]."""
    edges = np.rint(np.cumsum([0.0, *EVENT_SHARES.values()]) * 256).astype(np.int64)
    table = np.repeat(np.arange(len(EVENT_SHARES)), [b - a for a, b in pairwise(edges)])
    return table[rng.integers(0, 256, count)]


def changed_flow() -> Flow:
    """Another draft of the flow: a shorter wait for the click, and other shares of the split."""
    nodes = DOCUMENT["nodes"]
    clicked = nodes["clicked"] | {"timeout": "3 days"}
    offer = nodes["offer"] | {"branches": {"voucher": "60%", "gift": "40%"}}
    return Flow.model_validate(
        DOCUMENT | {"nodes": nodes | {"clicked": clicked, "offer": offer}, "lineage": "cart"}
    )
