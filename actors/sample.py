"""Make up a plausible shop: a seeded audience folder to try Headrace on, without anybody's data.

Few customers do most (a log-normal rate), evenings and week-ends are busy by each customer's own
clock, mail is opened by some and clicked by fewer. Older flows, `welcome_2025` and
`newsletter_weekly`, left their sends and responses in the history, so that a draft can be rehearsed
in their place. The window ends at a fixed instant: the same arguments give the same audience.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from actors.audience_writer import (
    AttributeData,
    ChangeData,
    CustomerData,
    Progress,
    count_names,
    new_folder,
    property_columns,
    write_changes,
    write_customers,
    write_events,
    write_schema,
)
from actors.event_identity import event_hashes
from actors.sample_events import DAY_MS, History, Shop, make_history
from actors.sample_lifecycle import Lifecycle
from core.audience import (
    AttributeSchema,
    AudienceCounts,
    AudienceSchema,
    EventSchema,
    PropertySchema,
    TimeSpan,
)
from core.errors import HeadraceError

Generator = np.random.Generator

END_MS = 1_782_777_600_000  # 2026-06-30T00:00:00Z
CUSTOMERS_MAX = 20_000_000
DAYS_MAX = 3_650

COUNTRIES = {
    "US": (0.30, "en", {"America/New_York": 0.47, "America/Chicago": 0.29,
                        "America/Denver": 0.07, "America/Los_Angeles": 0.17}),
    "GB": (0.16, "en", {"Europe/London": 1.0}),
    "DE": (0.15, "de", {"Europe/Berlin": 1.0}),
    "FR": (0.12, "fr", {"Europe/Paris": 1.0}),
    "ES": (0.09, "es", {"Europe/Madrid": 0.95, "Atlantic/Canary": 0.05}),
    "IT": (0.08, "it", {"Europe/Rome": 1.0}),
    "NL": (0.06, "nl", {"Europe/Amsterdam": 1.0}),
    "PL": (0.04, "pl", {"Europe/Warsaw": 1.0}),
}  # fmt: skip
PLANS = ("free", "plus", "pro")
PLAN_SHARES = (0.70, 0.22, 0.08)
PLAN_CHANGED_SHARE = 0.12


def make_sample(
    out_dir: Path | str,
    *,
    customers: int = 200_000,
    days: int = 90,
    seed: int = 1,
    lifecycle: bool = False,
    replace: bool = False,
    progress: Progress | None = None,
) -> AudienceSchema:
    """Write an audience of so many customers over the `days` before 2026-06-30T00:00Z.

    With `lifecycle` there are further attributes and events, and all others are the same. The same
    arguments give the same audience. Raises HeadraceError for numbers out of range, and as
    `new_folder` does for what stands in the way of writing.
    """
    if not 1 <= customers <= CUSTOMERS_MAX:
        raise HeadraceError(f"a sample has 1 to {CUSTOMERS_MAX:,} customers, not {customers:,}")
    if not 1 <= days <= DAYS_MAX:
        raise HeadraceError(f"a sample spans 1 to {DAYS_MAX:,} days, not {days:,}")
    with new_folder(Path(out_dir), replace=replace) as folder:
        step = _Steps(progress)
        shop, language = _people(np.random.default_rng([seed, 1]), customers, days)
        step("making events")
        further = Lifecycle(np.random.default_rng([seed, 4]), shop) if lifecycle else None
        more = None if further is None else further.rows
        history = make_history(np.random.default_rng([seed, 2]), shop, more)
        step("naming events")
        history.events.hash = event_hashes(history.events)
        step("making attributes")
        rng = np.random.default_rng([seed, 3])
        people, changes = _customer_data(rng, shop, language, history.spent)
        if further is not None:
            further.enrich(people, history)
        write_customers(folder, people, progress=progress)
        write_events(folder, history.events, progress=progress)
        write_changes(folder, changes)
        schema = _schema(people, history, changes)
        write_schema(folder, schema)
    return schema


class _Steps:
    """Report the steps that have no inner progress."""

    def __init__(self, progress: Progress | None) -> None:
        self.progress = progress

    def __call__(self, label: str) -> None:
        if self.progress is not None:
            self.progress(label, 0, 1)


def _pick(rng: Generator, rows: int, shares: Any) -> NDArray[np.int64]:
    """Indexes into `shares`, each as often as its share says: int64[rows]."""
    edges = np.cumsum(np.asarray(shares, np.float64))
    return np.searchsorted(edges / edges[-1], rng.random(rows), side="right")


def _people(rng: Generator, count: int, days: int) -> tuple[Shop, NDArray[np.int64]]:
    """Who the customers are, what they subscribed to, and an index of each one's language."""
    country = _pick(rng, count, [share for share, _, _ in COUNTRIES.values()])
    zone_names: list[str] = []
    zone = np.zeros(count, np.int64)
    for index, (_, _, zones) in enumerate(COUNTRIES.values()):
        own = np.flatnonzero(country == index)
        zone[own] = len(zone_names) + _pick(rng, len(own), list(zones.values()))
        zone_names += zones
    # Every seventh joins within the window, the others in the three years before it.
    fresh = rng.random(count) < 1 / 7
    since_days = np.where(fresh, rng.random(count) * days, days + rng.random(count) ** 2 * 1_095)
    native = rng.random(count) < 0.88
    consent_email = rng.random(count) < 0.72
    shop = Shop(
        end_ms=END_MS,
        days=days,
        country=country,
        zone_names=zone_names,
        zone=zone,
        created_ms=END_MS - (since_days * DAY_MS).astype(np.int64),
        newsletter=consent_email & (rng.random(count) < 0.42),
        consent_email=consent_email,
    )
    return shop, np.where(native, country, 0)


def _customer_data(
    rng: Generator, shop: Shop, language: NDArray[np.int64], spent: NDArray[np.float64]
) -> tuple[CustomerData, ChangeData]:
    count = shop.customers
    age = np.clip(np.round(rng.normal(41, 14, count)), 18, 95).astype(np.int64)
    end_day = END_MS // DAY_MS
    born = end_day - (age * 365.2425 + rng.random(count) * 365).astype(np.int64)
    no_age = rng.random(count) < 0.18
    no_birth = no_age & (rng.random(count) < 0.7)
    before_days = np.maximum(0, (END_MS - shop.created_ms) / DAY_MS - shop.days)
    earlier = rng.gamma(0.5, 1.2, count) * before_days / 3
    lifetime_value = np.round(spent + earlier, 2)
    plan, changes = _plans(rng, shop)
    names = list(COUNTRIES)
    languages = [language for _, language, _ in COUNTRIES.values()]
    attributes = {
        "country": AttributeData("string", _coded(shop.country, names)),
        "language": AttributeData("string", _coded(language, languages)),
        "age": AttributeData("int64", pa.array(age, mask=no_age)),
        "birth_date": AttributeData(
            "date", pa.array(born.astype(np.int32), mask=no_birth).cast(pa.date32()), constant=True
        ),
        "signup_date": AttributeData(
            "date",
            pa.array((shop.created_ms // DAY_MS).astype(np.int32)).cast(pa.date32()),
            constant=True,
        ),
        "plan": AttributeData("string", _coded(plan, list(PLANS))),
        "consent_email": AttributeData("bool", pa.array(shop.consent_email)),
        "consent_sms": AttributeData("bool", pa.array(rng.random(count) < 0.35)),
        "lifetime_value": AttributeData("float64", pa.array(lifetime_value)),
    }
    vip = lifetime_value > np.quantile(lifetime_value, 0.95)
    tags = {"vip": vip, "newsletter": shop.newsletter}
    groups = {"beta": rng.random(count) < 0.03, "loyalty": rng.random(count) < 0.25}
    number = pc.cast(pa.array(np.arange(1, count + 1)), pa.string())
    prefix = pa.scalar("c")
    people = CustomerData(
        ids=pc.binary_join_element_wise(prefix, pc.utf8_lpad(number, 8, "0"), ""),
        created_at=pa.array(shop.created_ms),
        zones=_coded(shop.zone, shop.zone_names),
        attributes=attributes,
        tags=_lists(tags),
        groups=_lists(groups),
    )
    return people, changes


def _plans(rng: Generator, shop: Shop) -> tuple[NDArray[np.int64], ChangeData]:
    """The plan of each customer at the end, and the log of those who changed within the window."""
    plan = _pick(rng, shop.customers, PLAN_SHARES)
    moved = np.flatnonzero(rng.random(shop.customers) < PLAN_CHANGED_SHARE)
    old = (plan[moved] + rng.integers(1, len(PLANS), len(moved))) % len(PLANS)
    since = np.maximum(shop.created_ms[moved], shop.start_ms)
    when = since + 1 + (rng.random(len(moved)) * (shop.end_ms - since - 1)).astype(np.int64)
    value = np.stack([old, plan[moved]], axis=1).ravel()
    rows = len(value)
    return plan, ChangeData(
        customer=np.repeat(moved, 2).astype(np.uint32),
        ms=np.stack([shop.created_ms[moved], when], axis=1).ravel(),
        code=np.zeros(rows, np.int32),
        names=["plan"],
        v_int=pa.nulls(rows, pa.int64()),
        v_float=pa.nulls(rows, pa.float64()),
        v_string=_coded(value, list(PLANS)),
    )


def _coded(codes: NDArray[np.int64], names: list[str]) -> pa.Array:
    """The strings that codes stand for."""
    return pa.array(names, pa.string()).take(pa.array(codes))


def _lists(flags: dict[str, NDArray[np.bool_]]) -> pa.Array:
    """A list<string> for each row, of the names whose flag is set, in the order given."""
    table = np.stack(list(flags.values()), axis=1)
    offsets = np.concatenate([[0], np.cumsum(table.sum(axis=1))]).astype(np.int32)
    names = _coded(np.nonzero(table)[1], list(flags))
    return pa.ListArray.from_arrays(pa.array(offsets), names)


def _schema(people: CustomerData, history: History, changes: ChangeData) -> AudienceSchema:
    events = history.events
    counts = np.bincount(events.code, minlength=len(events.names))
    described = {n: EventSchema(count=int(c)) for n, c in zip(events.names, counts, strict=True)}
    columns = property_columns(events.properties)
    for (event, name), data in events.properties.items():
        held = PropertySchema(type=data.kind, column=columns[event, name])
        described[event].properties[name] = held
    attributes = {
        name: AttributeSchema(type=a.kind, constant=a.constant, nulls=a.values.null_count)
        for name, a in people.attributes.items()
    }
    return AudienceSchema(
        as_of="2026-06-30T00:00:00Z",
        zone="Europe/London",
        attributes=attributes,
        tags=count_names(people.tags),
        groups=count_names(people.groups),
        events=described,
        counts=AudienceCounts(
            customers=len(people.ids), events=len(events.ms), changes=len(changes.ms)
        ),
        time=TimeSpan(
            first_ms=int(events.ms.min()) if len(events.ms) else None,
            last_ms=int(events.ms.max()) if len(events.ms) else None,
        ),
    )
