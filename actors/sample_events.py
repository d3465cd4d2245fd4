"""Make up what a shop's customers did: visits, purchases, tickets, and the mail of older flows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.audience_writer import EventData, PropertyData
from actors.wall_time import local_to_utc_ms
from core.audience import Kind

Generator = np.random.Generator
Int64s = NDArray[np.int64]

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
DAY_MS = 86_400_000

VISITS_PER_DAY = 1 / 30  # of the average customer
VISIT_SPREAD = 1.2  # sigma of the log-normal rate: the busiest 10 % make half of all visits
VISITS_MAX = 20  # a day, whatever the draw

WEEKDAYS = (1.0, 1.0, 1.0, 1.05, 1.15, 1.35, 1.25)  # Monday first
HOURS = (
    1.2, 0.7, 0.4, 0.3, 0.3, 0.5, 1.2, 2.5, 4.0, 4.8, 5.2, 5.6,
    6.2, 5.8, 5.2, 5.0, 5.2, 5.8, 6.8, 8.0, 8.6, 7.8, 5.4, 2.9,
)  # fmt: skip
PAGES = ("/", "/new", "/sale", "/search", "/help", "/account")
PAGE_SHARES = (0.42, 0.16, 0.16, 0.14, 0.05, 0.07)
CATEGORIES = ("clothing", "shoes", "home", "beauty", "sports", "toys")
CATEGORY_SHARES = (0.34, 0.19, 0.17, 0.13, 0.11, 0.06)
CATEGORY_PRICE = np.array([38.0, 72.0, 55.0, 21.0, 47.0, 18.0])  # medians
PRODUCTS = 500
SOURCES = ("search", "ads", "social", "referral")
SOURCE_SHARES = (0.45, 0.27, 0.18, 0.10)
TOPICS = ("delivery", "refund", "product", "account")
TOPIC_SHARES = (0.46, 0.25, 0.18, 0.11)


@dataclass(slots=True)
class Shop:
    """The window, and of n customers the country, zone (codes), creation and subscriptions."""

    end_ms: int
    days: int
    country: Int64s
    zone_names: list[str]
    zone: Int64s
    created_ms: Int64s
    newsletter: NDArray[np.bool_]
    consent_email: NDArray[np.bool_]

    @property
    def customers(self) -> int:
        """The number of customers."""
        return len(self.created_ms)

    @property
    def start_ms(self) -> int:
        """The window's first instant."""
        return self.end_ms - self.days * DAY_MS


@dataclass(slots=True)
class History:
    """The events, their hashes not yet computed, and what each customer spent: float64[n]."""

    events: EventData
    spent: NDArray[np.float64]


@dataclass(slots=True)
class Rows:
    """Some events of one type: whose, when, and their properties as (kind, Arrow values)."""

    owner: Int64s
    ms: Int64s
    properties: dict[str, tuple[Kind, pa.Array]]


More = Callable[[dict[str, Rows]], dict[str, Rows]]
"""Makes further events of those that every shop has, by their types."""


def make_history(rng: Generator, shop: Shop, more: More | None = None) -> History:
    """All events of the shop's window, sorted by customer and time, with those that `more` adds."""
    visits, start = _visits(rng, shop)
    made: dict[str, Rows] = {}
    in_app = rng.random(shop.customers) < 0.35
    opened = np.flatnonzero(in_app[visits] & (rng.random(len(visits)) < 0.7))
    system = _words(rng, len(opened), ("ios", "android"), (0.52, 0.48))
    made["app_open"] = Rows(visits[opened], start[opened], {"system": ("string", system)})
    made["page_view"] = _page_views(rng, visits, start)
    made |= _shopping(rng, visits, start)
    made["support_ticket"] = _tickets(rng, shop)
    made["signup"] = _signups(rng, shop)
    made |= _mail(rng, shop, made["signup"])
    if more is not None:
        made |= more(made)
    purchase = made["purchase"]
    amounts = purchase.properties["amount"][1].to_numpy()
    inside = purchase.ms < shop.end_ms
    spent = np.bincount(purchase.owner[inside], amounts[inside], shop.customers)
    return History(_sorted(made, shop), spent.astype(np.float64))


def _share_picks(rng: Generator, rows: int, shares: Any) -> Int64s:
    edges = np.cumsum(np.asarray(shares, np.float64))
    return np.searchsorted(edges / edges[-1], rng.random(rows), side="right")


def _words(rng: Generator, rows: int, words: tuple[str, ...], shares: Any) -> pa.Array:
    return pa.array(words, pa.string()).take(pa.array(_share_picks(rng, rows, shares)))


def _visits(rng: Generator, shop: Shop) -> tuple[Int64s, Int64s]:
    """Whose visits begin when, by weekday and hour of the customer's own clock."""
    mean = VISITS_PER_DAY * shop.days
    rate = mean * rng.lognormal(-(VISIT_SPREAD**2) / 2, VISIT_SPREAD, shop.customers)
    counts = rng.poisson(np.minimum(rate, VISITS_MAX * shop.days))
    owner = np.repeat(np.arange(shop.customers), counts)
    first_day = shop.start_ms // DAY_MS - 1  # west of Greenwich the window begins a day earlier
    weekday = (first_day + np.arange(shop.days + 2) + 3) % 7
    day = first_day + _share_picks(rng, len(owner), np.array(WEEKDAYS)[weekday])
    hour = _share_picks(rng, len(owner), HOURS)
    local = day * DAY_MS + hour * HOUR_MS + rng.integers(0, HOUR_MS, len(owner))
    zone = shop.zone[owner]
    start = np.empty(len(owner), np.int64)
    for code, name in enumerate(shop.zone_names):
        own = zone == code
        start[own] = local_to_utc_ms(name, local[own]).ms
    inside = (start >= np.maximum(shop.start_ms, shop.created_ms[owner])) & (start < shop.end_ms)
    return owner[inside], start[inside]


def _page_views(rng: Generator, visits: Int64s, start: Int64s) -> Rows:
    counts = np.minimum(rng.geometric(0.55, len(visits)), 30)
    rows = np.repeat(np.arange(len(visits)), counts)
    nth = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    ms = start[rows] + 1_000 + nth * 40_000 + rng.integers(0, 30_000, len(rows))
    pages = _words(rng, len(rows), PAGES, PAGE_SHARES)
    return Rows(visits[rows], ms, {"page": ("string", pages)})


def _shopping(rng: Generator, visits: Int64s, start: Int64s) -> dict[str, Rows]:
    """Product views, of some visits a cart, of some carts a purchase."""
    counts = rng.binomial(3, 0.28, len(visits))
    rows = np.repeat(np.arange(len(visits)), counts)
    category = _share_picks(rng, len(rows), CATEGORY_SHARES)
    product = np.minimum((rng.pareto(0.9, len(rows)) * 6).astype(np.int64), PRODUCTS - 1)
    spread = rng.normal(0, 0.55, len(rows))
    price = np.round(CATEGORY_PRICE[category] * np.exp(spread), 2)
    viewed = start[rows] + 20_000 + rng.integers(0, 4 * MINUTE_MS, len(rows))

    def rows_of(picked: Int64s, later_ms: int, extra: dict[str, Any]) -> Rows:
        delay = later_ms + rng.integers(0, 3 * MINUTE_MS, len(picked)) if later_ms else 0
        taken = pa.array(CATEGORIES, pa.string()).take(pa.array(category[picked]))
        return Rows(
            visits[rows[picked]], viewed[picked] + delay, {"category": ("string", taken), **extra}
        )

    def names(picked: Int64s) -> pa.Array:
        return _numbered("p", product[picked] + 1)

    everything = np.arange(len(rows))
    last = np.flatnonzero(np.append(rows[1:] != rows[:-1], True)) if len(rows) else everything
    cart = last[rng.random(len(last)) < 0.26]
    bought = cart[rng.random(len(cart)) < 0.47]
    items = rng.geometric(0.6, len(bought))
    amount = np.round(price[bought] * items.astype(np.float64), 2)
    order = _numbered("o", 100_000 + np.arange(len(bought)))
    return {
        "product_view": rows_of(
            everything, 0, {"product_id": ("string", names(everything)), "price": _floats(price)}
        ),
        "add_to_cart": rows_of(
            cart, MINUTE_MS, {"product_id": ("string", names(cart)), "price": _floats(price[cart])}
        ),
        "purchase": rows_of(
            bought,
            5 * MINUTE_MS,
            {
                "amount": _floats(amount),
                "items": ("int64", pa.array(items)),
                "order_id": ("string", order),
            },
        ),
    }


def _floats(values: NDArray[np.float64]) -> tuple[Kind, pa.Array]:
    return "float64", pa.array(values)


def _numbered(prefix: str, numbers: Int64s) -> pa.Array:
    return pc.binary_join_element_wise(
        pa.scalar(prefix), pc.cast(pa.array(numbers), pa.string()), ""
    )


def _tickets(rng: Generator, shop: Shop) -> Rows:
    owner = np.repeat(np.arange(shop.customers), rng.poisson(0.0006 * shop.days, shop.customers))
    since = np.maximum(shop.start_ms, shop.created_ms[owner])
    ms = since + (rng.random(len(owner)) * (shop.end_ms - since)).astype(np.int64)
    topic = _words(rng, len(owner), TOPICS, TOPIC_SHARES)
    priority = pa.array(_share_picks(rng, len(owner), (0.2, 0.6, 0.2)) + 1)
    return Rows(owner, ms, {"topic": ("string", topic), "priority": ("int64", priority)})


def _signups(rng: Generator, shop: Shop) -> Rows:
    owner = np.flatnonzero(shop.created_ms >= shop.start_ms)
    source = _words(rng, len(owner), SOURCES, SOURCE_SHARES)
    return Rows(owner, shop.created_ms[owner], {"source": ("string", source)})


def _mail(rng: Generator, shop: Shop, signups: Rows) -> dict[str, Rows]:
    """Sends of the two older flows, and who opened and clicked them."""
    welcomed = np.flatnonzero(shop.consent_email[signups.owner])
    owners = [signups.owner[welcomed]]
    sent = [signups.ms[welcomed] + 10 * MINUTE_MS]
    templates = [np.zeros(len(welcomed), np.int64)]
    names = ["hello"]
    first_day = shop.start_ms // DAY_MS
    tuesday = first_day + (1 - (first_day + 3)) % 7
    for issue, day in enumerate(range(tuesday, shop.end_ms // DAY_MS, 7), start=1):
        at = day * DAY_MS + 9 * HOUR_MS
        readers = np.flatnonzero(shop.newsletter & (shop.created_ms < at))
        owners.append(readers)
        sent.append(np.full(len(readers), at))
        templates.append(np.full(len(readers), issue))
        names.append(f"issue_{issue}")
    owner, ms, template = np.concatenate(owners), np.concatenate(sent), np.concatenate(templates)
    eager = 0.12 + 0.5 * rng.beta(2, 3, shop.customers)
    opens = np.flatnonzero(rng.random(len(owner)) < eager[owner] * np.where(template == 0, 1.5, 1))
    open_ms = ms[opens] + (rng.lognormal(0.8, 1.3, len(opens)) * HOUR_MS).astype(np.int64)
    clicks = np.flatnonzero(rng.random(len(opens)) < 0.14)
    click_ms = open_ms[clicks] + 5_000 + (rng.exponential(MINUTE_MS, len(clicks))).astype(np.int64)

    def rows(picked: Int64s, when: Int64s) -> Rows:
        flow = pa.array(["welcome_2025", "newsletter_weekly"]).take(
            pa.array((template[picked] > 0).astype(np.int64))
        )
        chosen = pa.array(names).take(pa.array(template[picked]))
        channel = pa.array(["email"]).take(pa.array(np.zeros(len(picked), np.int64)))
        return Rows(
            owner[picked],
            when,
            {
                "flow": ("string", flow),
                "template": ("string", chosen),
                "channel": ("string", channel),
            },
        )

    return {
        "email_sent": rows(np.arange(len(owner)), ms),
        "email_opened": rows(opens, open_ms),
        "email_clicked": rows(opens[clicks], click_ms),
    }


def _sorted(made: dict[str, Rows], shop: Shop) -> EventData:
    """One table of all events before the window's end, in order of customer and time."""
    names = sorted(made)
    owner = np.concatenate([made[name].owner for name in names])
    ms = np.concatenate([made[name].ms for name in names])
    code = np.repeat(np.arange(len(names)), [len(made[name].ms) for name in names])
    # Customer and time in one number: a window of 10 years and 20 M customers fits in 63 bits.
    key = owner * (shop.end_ms - shop.start_ms) + (ms - shop.start_ms)
    order = np.argsort(np.where(ms < shop.end_ms, key, np.iinfo(np.int64).max), kind="stable")
    order = order[: int((ms < shop.end_ms).sum())]
    place = np.full(len(ms), -1, np.int64)
    place[order] = np.arange(len(order))
    events = EventData(
        customer=owner[order].astype(np.uint32),
        ms=ms[order],
        code=code[order].astype(np.int32),
        names=names,
        hash=np.zeros(len(order), np.uint64),
    )
    base = 0
    for name in names:
        rows = place[base : base + len(made[name].ms)]
        base += len(rows)
        kept = np.flatnonzero(rows >= 0)
        kept = kept[np.argsort(rows[kept])]
        for prop, (kind, values) in made[name].properties.items():
            data = PropertyData(kind, rows[kept], values.take(pa.array(kept)))
            events.properties[name, prop] = data
    return events
